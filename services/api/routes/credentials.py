"""Credentials: their plain fields and which secrets are set; the secrets themselves come in and never go out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import uuid4

import msgspec
from fastapi import APIRouter, Header, Path, Query, Request, Response

from domain.credential.catalogue import credential_catalogue, describe_type
from domain.credential.commands import CreateCredential, DeleteCredential, TestCredential, UpdateCredential
from domain.credential.credential_type import CredentialType
from domain.credential.oauth2 import AUTHORIZATION_CODE, authorize_address
from domain.credential.types import CREDENTIAL_TYPES
from domain.credential.values import complete, missing_fields, read_values, shown_value
from infra.log.port import Topic
from infra.telemetry.metrics import ACCEPTED
from infra.vault import Place
from projections.credentials.queries import CredentialRow
from projections.subscriptions.queries import uses_of_credential
from services.api.bodies import parse_object, read_body
from services.api.commands import Position, now_ms
from services.api.configuration import decide
from services.api.credential_answers import await_event
from services.api.credential_uses import uses_of
from services.api.executions_view import time_text
from services.api.idempotency import Identity, check_fingerprint, identify, keyed_fingerprint
from services.api.paging import DEFAULT_LIMIT, MAX_LIMIT, decode_cursor, encode_cursor, page
from services.api.parts import Parts
from services.api.principal import Principal
from services.api.problems import Problem, not_found
from services.api.routes import credential_models as models
from services.api.routes import examples
from services.api.routes.common import Asker, MinPosition, json_answer, reach
from services.api.routes.workflows import expected_version

CredentialId = Annotated[str, Path(examples=[examples.CREDENTIAL_ID])]
TEST_SECONDS = 30.0
CALLBACK = "/oauth2/callback"
_FIELDS = {"name", "type", "description", "data"}
_created = ACCEPTED.labels("credential")


def make_type_router() -> APIRouter:
    """The routes under /credential-types. The answers never change while the process lives."""
    router = APIRouter(prefix="/credential-types", tags=["credentials"])

    @router.get("", response_model=models.CredentialTypePage, summary="All types of credentials, enough to draw forms")
    async def list_(_principal: Asker) -> Response:
        return json_answer(page(credential_catalogue(), None))

    @router.get("/{type}", response_model=models.CredentialType, summary="One type of credentials")
    async def get(type_: Annotated[str, Path(alias="type", examples=["http_bearer"])], _principal: Asker) -> Response:
        found = CREDENTIAL_TYPES.get(type_)
        if found is None:
            raise not_found("type of credentials")
        return json_answer(msgspec.json.encode(describe_type(found)))

    return router


def make_router(parts: Parts) -> APIRouter:
    """The routes under /credentials."""
    router = APIRouter(prefix="/credentials", tags=["credentials"])
    _add_changes(router, parts)
    _add_reads(router, parts)
    _add_actions(router, parts)
    return router


def _add_changes(router: APIRouter, parts: Parts) -> None:
    @router.post(
        "",
        status_code=201,
        response_model=models.Credential,
        openapi_extra=examples.credential_body(),
        summary="Create a credential",
    )
    async def create(request: Request, principal: Asker) -> Response:
        body = await read_body(request.receive, request.scope["headers"])
        identity = identify("credential", principal.workspace_id, request.scope["headers"], request.url.path, body)
        return await _create(parts, principal, keyed_fingerprint(parts.fingerprint_key, identity), parse_object(body))

    @router.put(
        "/{credential_id}",
        response_model=models.Credential,
        openapi_extra=examples.credential_body(),
        summary="Change a credential; secret fields that are left out stay as they are",
    )
    async def put(
        request: Request,
        credential_id: CredentialId,
        principal: Asker,
        if_match: Annotated[
            str | None, Header(description="The version that this one is based on; 409 if there is a newer one.")
        ] = None,
    ) -> Response:
        body = parse_object(await read_body(request.receive, request.scope["headers"]))
        expected = expected_version(if_match)
        row = await _row(parts, principal, credential_id)
        command = _update(parts, principal, row, body, expected)
        await _configure(parts, principal, row.id, command)
        return await _shown(parts, await _row(parts, principal, row.id))

    @router.delete("/{credential_id}", status_code=204, summary="Delete a credential and its secrets")
    async def delete(
        credential_id: CredentialId,
        principal: Asker,
        force: Annotated[bool, Query(description="Also while workflows use it: they fail from then on.")] = False,
    ) -> Response:
        row = await _row(parts, principal, credential_id)
        if not force and (problems := await _users(parts, principal, row.id)):
            said = "Workflows or subscriptions use this credential; ?force=true deletes it."
            raise Problem(409, "credential_in_use", said, problems)
        await _configure(parts, principal, row.id, DeleteCredential(now_ms()))
        return Response(status_code=204)


def _add_reads(router: APIRouter, parts: Parts) -> None:
    @router.get("", response_model=models.CredentialPage, summary="List credentials, newest first")
    async def list_(
        principal: Asker,
        type_: Annotated[str | None, Query(alias="type", max_length=100)] = None,
        name: Annotated[str | None, Query(max_length=100, description="A part of the name, in any case.")] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
        cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None,
        min_position: MinPosition = None,
    ) -> Response:
        await reach(parts, min_position)
        if "\0" in f"{type_}{name}":
            return json_answer(page([], None))
        rows = await parts.reads.credentials(
            principal.workspace_id, type_=type_, name=name, limit=limit + 1, before=decode_cursor(cursor)
        )
        shown = rows[:limit]
        following = encode_cursor(shown[-1].created_at, shown[-1].id) if len(rows) > limit else None
        return json_answer(page([_summary(row) for row in shown], following))

    @router.get("/{credential_id}", response_model=models.Credential, summary="A credential without its secrets")
    async def get(credential_id: CredentialId, principal: Asker, min_position: MinPosition = None) -> Response:
        await reach(parts, min_position)
        return await _shown(parts, await _row(parts, principal, credential_id))


def _add_actions(router: APIRouter, parts: Parts) -> None:
    @router.post(
        "/{credential_id}/test",
        response_model=models.CredentialTest,
        openapi_extra=examples.credential_test_body(),
        summary="Try a credential out: a worker uses it once, reading only",
    )
    async def test(request: Request, credential_id: CredentialId, principal: Asker) -> Response:
        body = await read_body(request.receive, request.scope["headers"], limit=10_000)
        url = _test_url(parse_object(body) if body else {})
        row = await _row(parts, principal, credential_id)
        test_id = str(uuid4())
        command, mark = TestCredential(test_id, now_ms(), url), ("test_id", test_id)
        event = await await_event(parts, principal, row.id, command, ("tested",), mark, TEST_SECONDS)
        shown = {"ok": event["ok"], "code": event.get("code", ""), "message": event.get("message", "")}
        return json_answer(msgspec.json.encode({**shown, "at": _time_of(event["at"])}))

    @router.get(
        "/{credential_id}/oauth2/authorize",
        response_model=models.Authorization,
        summary="The address at which a person allows it",
    )
    async def authorize(credential_id: CredentialId, principal: Asker) -> Response:
        row = await _row(parts, principal, credential_id)
        type_ = CREDENTIAL_TYPES.get(row.type)
        plain = complete(type_, row.fields) if type_ is not None else {}
        if type_ is None or not type_.oauth2 or plain.get("grant", AUTHORIZATION_CODE) != AUTHORIZATION_CODE:
            raise Problem(422, "not_oauth2", "Nobody has to allow a credential of this kind in a browser.")
        if not plain.get("authorize_url"):
            problem = ("data.authorize_url", "is missing")
            raise Problem(422, "invalid_credential", "The credential names no authorization address.", [problem])
        by_session = principal.key_id is None
        state, consent = parts.consents.begin(principal.workspace_id, row.id, by_session=by_session)
        redirect_uri = parts.own_url + CALLBACK
        url = authorize_address(plain, redirect_uri=redirect_uri, state=state, verifier=consent.verifier)
        shown = {"url": url, "redirect_uri": redirect_uri, "expires_at": _time_of(consent.expires)}
        return json_answer(msgspec.json.encode(shown), headers={"cache-control": "no-store"})


async def _users(parts: Parts, principal: Principal, credential_id: str) -> list[tuple[str, str]]:
    """Who would fail without the credential."""
    workflows = await uses_of(parts.reads, principal.workspace_id, credential_id)
    tellers = await uses_of_credential(parts.reads.pool, principal.workspace_id, credential_id)
    found = [(f"workflows.{use['workflow_id']}", f"{use['name']}: {', '.join(use['nodes'])}") for use in workflows]
    return found + [(f"subscriptions.{subscription}", name) for subscription, name in tellers]


# --- what is asked ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asked:
    name: str
    description: str
    plain: dict[str, str]
    secret: dict[str, str]
    cleared: frozenset[str]


def _read(type_: CredentialType, body: Mapping[str, Any], kept: frozenset[str]) -> _Asked:
    """What the body asks for. `kept`: secret fields that stay unless the body names them. Raises Problem 422."""
    unknown = "unknown field; there are name, type, description, data"
    problems = [(str(name)[:100], unknown) for name in body if name not in _FIELDS]
    texts = {name: body.get(name, "") for name in ("name", "description")}
    problems += [(name, "must be a text") for name, text in texts.items() if not isinstance(text, str)]
    if isinstance(texts["name"], str) and not texts["name"].strip():
        problems.append(("name", "is missing"))
    data = body.get("data", {})
    if not isinstance(data, dict):
        raise Problem(422, "invalid_credential", "The credential is not valid.", [("data", "must be an object")])
    values, wrong = read_values(type_, data)
    secret_names = {field.name for field in type_.fields if field.secret}
    cleared = frozenset(name for name in data if name in secret_names and data[name] in (None, ""))
    wrong += missing_fields(type_, {*values, *(kept - cleared)})
    problems += [(problem.path, problem.message) for problem in wrong]
    if problems:
        raise Problem(422, "invalid_credential", "The credential is not valid.", problems)
    return _Asked(
        texts["name"],
        texts["description"],
        {name: value for name, value in values.items() if name not in secret_names},
        {name: value for name, value in values.items() if name in secret_names},
        cleared,
    )


def _sealed(parts: Parts, workspace: str, credential_id: str, secret: Mapping[str, str]) -> dict[str, str]:
    return {name: parts.vault.seal(value, Place(workspace, credential_id, name)) for name, value in secret.items()}


async def _create(parts: Parts, principal: Principal, identity: Identity, body: dict[str, Any]) -> Response:
    made = now_ms()
    existing = await parts.reads.credential(principal.workspace_id, identity.id) if identity.keyed else None
    if existing is not None:
        check_fingerprint(existing.fingerprint, identity)
        return await _shown(parts, existing, 201)
    name = body.get("type")
    type_ = CREDENTIAL_TYPES.get(name) if isinstance(name, str) else None
    if type_ is None:
        problem = ("type", f"must be one of {', '.join(sorted(CREDENTIAL_TYPES))}")
        raise Problem(422, "unknown_credential_type", "There is no such type of credentials.", [problem])
    asked = _read(type_, body, frozenset())
    command = CreateCredential(
        identity.id,
        type_.name,
        asked.name,
        asked.plain,
        _sealed(parts, principal.workspace_id, identity.id, asked.secret),
        made,
        asked.description,
        identity.fingerprint,
    )
    await _configure(parts, principal, identity.id, command, made=made)
    _created.inc()
    return await _shown(parts, await _row(parts, principal, identity.id), 201)


def _update(
    parts: Parts, principal: Principal, row: CredentialRow, body: dict[str, Any], expected: int | None
) -> UpdateCredential:
    type_ = CREDENTIAL_TYPES.get(row.type)
    if type_ is None:
        raise Problem(422, "unknown_credential_type", f"There are no credentials of type {row.type} any more.")
    if body.get("type", row.type) != row.type:
        problem = ("type", f"stays {row.type}: create another credential")
        raise Problem(422, "invalid_credential", "A credential's type does not change.", [problem])
    there = frozenset(row.secrets)
    asked = _read(type_, body, there)
    return UpdateCredential(
        asked.name,
        asked.plain,
        _sealed(parts, principal.workspace_id, row.id, asked.secret),
        sorted(there - asked.cleared - asked.secret.keys()),
        now_ms(),
        asked.description,
        expected,
    )


def _test_url(body: Mapping[str, Any]) -> str:
    url = body.get("url", "")
    if set(body) - {"url"} or not isinstance(url, str) or (url and not url.startswith(("http://", "https://"))):
        problem = ("url", "must be an http or https address")
        raise Problem(422, "invalid_parameters", 'The body takes {"url": …}, or nothing.', [problem])
    return url


async def _configure(
    parts: Parts, principal: Principal, credential_id: str, command: Any, *, made: int | None = None
) -> Position:
    """Decide a command and wait until its row is there, so that the caller reads its own write."""
    stream = f"credential-{credential_id}"
    _, position = await decide(parts, principal, Topic.COMMANDS, stream, command, made=made)
    await parts.positions.require(position)
    return position


# --- what is answered -------------------------------------------------------------------------------------------------


async def _row(parts: Parts, principal: Principal, credential_id: str) -> CredentialRow:
    row = await parts.reads.credential(principal.workspace_id, credential_id)
    if row is None:
        raise not_found("credential")
    return row


def _summary(row: CredentialRow) -> dict[str, Any]:
    type_ = CREDENTIAL_TYPES.get(row.type)
    status = None
    if type_ is not None and type_.oauth2:
        status = {
            "connected": row.connected,
            "expires_at": time_text(row.expires_at),
            "scope": row.scope,
            "error": _told(row.connection_error),
        }
    return {
        "id": row.id,
        "name": row.name,
        "type": row.type,
        "description": row.description,
        "version": row.version,
        "oauth2": status,
        "last_used_at": time_text(row.last_used_at),
        "last_test": _told(row.last_test),
        "created_at": time_text(row.created_at),
        "updated_at": time_text(row.updated_at),
    }


async def _shown(parts: Parts, row: CredentialRow, status: int = 200) -> Response:
    type_ = CREDENTIAL_TYPES.get(row.type)
    data = {
        name: text if type_ is None or (field := type_.field(name)) is None else shown_value(field, text)
        for name, text in row.fields.items()
    }
    used_by = await uses_of(parts.reads, row.workspace_id, row.id)
    shown = {**_summary(row), "data": data, "secrets": row.secrets, "used_by": used_by}
    headers = {"etag": f'"{row.version}"'}
    if status == 201:
        headers["location"] = f"/api/v1/credentials/{row.id}"
    return json_answer(msgspec.json.encode(shown), status, headers)


def _time_of(milliseconds: int) -> str | None:
    return time_text(datetime.fromtimestamp(milliseconds / 1_000, UTC))


def _told(text: str | None) -> dict[str, Any] | None:
    """A test or an error as it is kept, its time as text."""
    if text is None:
        return None
    told: dict[str, Any] = msgspec.json.decode(text)
    return {**told, "at": _time_of(told["at"])}
