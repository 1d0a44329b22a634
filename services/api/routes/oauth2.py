"""Where a provider sends a person's browser back: the consent becomes tokens, by a worker, and the person is told."""

import html
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from domain.credential.commands import ConnectCredential
from infra.vault import Place
from services.api.commands import now_ms
from services.api.consents import Consent
from services.api.credential_answers import await_event
from services.api.parts import Parts
from services.api.principal import Principal, session_of
from services.api.problems import Problem
from services.api.routes.credentials import CALLBACK

CONNECT_SECONDS = 40.0
_HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
}
_MOST = 4_000


def make_router(parts: Parts) -> APIRouter:
    """The callback: known by its signed state, and where a session asked for it, by that session's cookie."""
    router = APIRouter(tags=["credentials"])

    @router.get(CALLBACK, summary="Where a provider sends the browser back", response_class=Response)
    async def callback(
        request: Request,
        state: Annotated[str, Query(max_length=1_000)] = "",
        code: Annotated[str, Query(max_length=_MOST)] = "",
        error: Annotated[str, Query(max_length=200)] = "",
    ) -> Response:
        consent = parts.consents.read(state)
        if consent is None or not _same_person(parts, request, consent):
            return _page(400, "This link is not valid or is over. Begin anew, from the credential.")
        if error or not code:
            return _page(400, f"The provider did not allow it ({error or 'it sent no code'}).")
        try:
            return await _connect(parts, consent, code)
        except Problem as problem:
            return _page(problem.status, problem.detail)

    return router


async def _connect(parts: Parts, consent: Consent, code: str) -> Response:
    workspace, credential = consent.workspace, consent.credential
    sealed = {
        name: parts.vault.seal(value, Place(workspace, credential, name))
        for name, value in (("code", code), ("verifier", consent.verifier))
    }
    command = ConnectCredential(consent.id, sealed, parts.own_url + CALLBACK, consent.expires, now_ms())
    principal = Principal(workspace, "oauth2")
    kinds, mark = ("tokens_stored", "connection_ended"), ("state_id", consent.id)
    told = await await_event(parts, principal, credential, command, kinds, mark, CONNECT_SECONDS)
    if told["kind"] == "tokens_stored":
        return _page(200, "Connected. You can close this window.")
    return _page(502, f"It could not be connected: {told['message']}.")


def _same_person(parts: Parts, request: Request, consent: Consent) -> bool:
    """Nobody lets another person's account into a credential by sending them a link."""
    if not consent.by_session:
        return True
    cookie = session_of(request.scope["headers"])
    return cookie is not None and parts.sessions.workspace_of(cookie) == consent.workspace


def _page(status: int, says: str) -> Response:
    text = html.escape(says[:1].upper() + says[1:])
    body = f"<!doctype html><meta charset=utf-8><title>LinkFlow</title><p style='font:16px system-ui'>{text}</p>"
    return Response(body, status, _HEADERS)
