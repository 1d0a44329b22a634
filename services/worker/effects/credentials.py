"""Opens credentials for effect interpreters, the only ones that see a secret.

    opened = await credentials.open(context.workspace, effect.credential)      # raises CredentialProblem
    request = await credentials.authorise(request, opened)                     # HTTP; others take opened.fields
    …
    return opened.hide_in(answer)                                              # whatever goes back is free of secrets

On a 401, `answer_refusal` gives the request to send once more: Digest's answer to the challenge, or one with a new
token. What is opened is kept for a moment and looked at again by its revision, so that a change or a deletion holds a
quarter of a second after it is visible. Tokens are renewed by one worker at a time, before they expire.
"""

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from domain.credential.commands import EndConnection, NoteCredentialUsed, StoreTokens
from domain.credential.credential_type import CredentialType
from domain.credential.decider import USED_AGAIN_MS
from domain.credential.digest import answer_challenge, find_challenge
from domain.credential.http_auth import CannotAuthorise, authorised, check_host
from domain.credential.oauth2 import Tokens, may_succeed_later, read_tokens, renewal_request
from domain.credential.types import CREDENTIAL_TYPES
from domain.credential.values import complete
from domain.effects import CredentialRef, EffectError, HttpRequest
from infra.postgres.pool import DATABASE_AWAY
from infra.telemetry.logs import get_logger
from infra.telemetry.secret_values import RECENT, SecretValues
from infra.vault import CannotOpen, Place, Vault
from projections.credentials.queries import SealedCredential
from services.worker.effects.credential_rows import CredentialRows
from services.worker.effects.opened import CredentialProblem, Opened, secret_values
from services.worker.tell import Teller

__all__ = ["CredentialProblem", "Credentials", "Opened"]

FRESH_SECONDS = 0.25
KEPT = 2_000
RENEW_BEFORE_MS = 60_000
"""Tokens are renewed so long before they expire."""
RENEWALS_AT_ONCE = 4
REFUSED_AGAIN_SECONDS = 30.0
"""A token that a server refuses before its time is renewed once in so long."""
VISIBLE_SECONDS = 60.0
"""So long renewed tokens may take to be visible before the lock is given up."""
AWAY_SECONDS = 30.0
"""So long a database that is away is waited for; the effect's own time-out may be shorter."""
_AGAIN_SECONDS = 0.2
_LOOK_SECONDS = 0.03
_NOTE_SECONDS = 5.0

Key = tuple[str, str]
"""(workspace, credential id)"""

Fetch = Callable[[str, HttpRequest], Awaitable[dict[str, Any] | EffectError]]
"""(workspace, request) → `{"status", "headers", "body"}`: HTTP through the egress guard, without a credential."""

_log = get_logger("worker.credentials")


@dataclass(slots=True)
class _Kept:
    revision: int
    opened: Opened
    until: float


class Credentials:
    """One a worker. `seconds`: a monotonic clock; `wall`: milliseconds since 1970; `patience`: seconds that a database
    which is away is waited for."""

    def __init__(
        self,
        rows: CredentialRows,
        vault: Vault,
        teller: Teller,
        fetch: Fetch,
        *,
        seconds: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        patience: float = AWAY_SECONDS,
    ) -> None:
        self._rows = rows
        self._patience = patience
        self._vault = vault
        self._teller = teller
        self._fetch = fetch
        self._seconds = seconds
        self._wall = wall
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._loading: dict[Key, asyncio.Task[Opened]] = {}
        self._renewing: dict[Key, asyncio.Task[Opened]] = {}
        self._places = asyncio.Semaphore(RENEWALS_AT_ONCE)
        self._uses: dict[Key, int] = {}
        self._noted: dict[Key, int] = {}
        self._refused_until: dict[Key, float] = {}
        self._noting: asyncio.Task[None] | None = None

    # --- for interpreters -------------------------------------------------------------------------------------------

    async def open(self, workspace: str, ref: CredentialRef) -> Opened:
        """The credential of this workspace, with a token that is good for a while. Raises CredentialProblem."""
        key = (workspace, ref.id)
        opened = await self.look(workspace, ref)
        if _type_of(opened).oauth2 and self._expires_soon(opened):
            opened = await self._renewed(key, opened)
        self._note_use(key, opened)
        return opened

    async def look(self, workspace: str, ref: CredentialRef) -> Opened:
        """As `open`, but with whatever tokens there are, and not as a use. Raises CredentialProblem."""
        opened = await self._current((workspace, ref.id))
        if not _type_of(opened).fits(ref.accepts):
            raise CredentialProblem(
                "credential_type_mismatch",
                f"the credential is of type {opened.type}; this takes {' or '.join(ref.accepts)}",
            )
        return opened

    async def authorise(self, request: HttpRequest, opened: Opened) -> HttpRequest:
        """The request with the credential in it; it must not be kept or logged. Raises CredentialProblem."""
        try:
            return authorised(request, _type_of(opened), opened.fields, at=self._wall())
        except CannotAuthorise as error:
            raise CredentialProblem(error.code, error.message) from None

    async def answer_refusal(
        self, request: HttpRequest, opened: Opened, status: int, headers: Mapping[str, str], url: str = ""
    ) -> tuple[HttpRequest, Opened] | None:
        """What to send once more after this answer to an authorised request; None: the answer stands.

        With it the credential as it is in there: of a new token `opened` knows nothing, so it cannot hide it.
        `request`: as it was before `authorise`; `headers`: of the answer, in lower case; `url`: as it was sent, with
        its query. Raises CredentialProblem.
        """
        type_ = _type_of(opened)
        if status != 401 or type_.http is None:
            return None
        if type_.http.scheme == "digest":
            proven = self._digest_answer(request, opened, type_, headers, url or request.url)
            return None if proven is None else (proven, opened)
        if type_.oauth2:
            key = (opened.workspace, opened.id)
            if self._seconds() < self._refused_until.get(key, 0.0):
                return None  # a new token was refused as well: it is not the token
            self._refused_until[key] = self._seconds() + REFUSED_AGAIN_SECONDS
            renewed = await self._renewed(key, opened)
            return await self.authorise(request, renewed), renewed
        return None

    async def close(self) -> None:
        """Tell what has been used and not told yet, give up what is under way."""
        for task in (*self._loading.values(), *self._renewing.values(), *([self._noting] if self._noting else [])):
            task.cancel()
        try:
            async with asyncio.timeout(2.0):
                await self._tell_uses()
        except TimeoutError:
            _log.warning("the last uses of credentials are not recorded")
        await self._teller.close()

    # --- opening ----------------------------------------------------------------------------------------------------

    async def _current(self, key: Key) -> Opened:
        kept = self._kept.get(key)
        if kept is not None and self._seconds() < kept.until:
            return kept.opened
        return await _shared(self._loading, key, self._load)

    async def _load(self, key: Key) -> Opened:
        try:
            row = await self._find(key)
        except DATABASE_AWAY as error:
            _log.warning("credentials cannot be read", reason=str(error))
            kept = self._kept.get(key)
            if kept is None:
                raise _away() from None
            kept.until = self._seconds() + FRESH_SECONDS  # nobody can change or delete it either
            return kept.opened
        if row is None:
            self._kept.pop(key, None)
            raise CredentialProblem("credential_not_found", "there is no such credential in this workspace")
        kept = self._kept.get(key)
        until = self._seconds() + FRESH_SECONDS
        if kept is None or kept.revision != row.revision:
            kept = _Kept(row.revision, self._opened(key, row), until)
            self._kept[key] = kept
        kept.until = until
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return kept.opened

    async def _find(self, key: Key) -> SealedCredential | None:
        """The row; where there is nothing to go on with, a database that is away is waited for."""
        deadline = self._seconds() + self._patience
        while True:
            try:
                return await self._rows.find(*key)
            except DATABASE_AWAY:
                if key in self._kept or self._seconds() >= deadline:
                    raise
            await asyncio.sleep(_AGAIN_SECONDS)

    def _opened(self, key: Key, row: SealedCredential) -> Opened:
        workspace, credential_id = key
        secret: dict[str, str] = {}
        for name, sealed in row.sealed.items():
            try:
                secret[name] = self._vault.open(sealed, Place(workspace, credential_id, name))
            except CannotOpen as error:
                _log.error(
                    "a stored secret does not open",
                    code=error.code, credential_id=credential_id, workspace_id=workspace, field=name,
                )  # fmt: skip
                raise CredentialProblem(error.code, str(error)) from None
        type_ = CREDENTIAL_TYPES.get(row.type)
        fields = row.fields | secret
        values = secret_values(secret, fields)
        RECENT.use(credential_id, values)
        return Opened(
            credential_id,
            row.type,
            complete(type_, fields) if type_ is not None else fields,
            workspace,
            SecretValues(values),
            row.generation,
            None if row.expires_at is None else int(row.expires_at.timestamp() * 1_000),
            0 if row.last_used_at is None else int(row.last_used_at.timestamp() * 1_000),
        )

    # --- tokens -----------------------------------------------------------------------------------------------------

    def _expires_soon(self, opened: Opened) -> bool:
        if not opened.fields.get("access_token"):
            return True
        return opened.expires_at is not None and opened.expires_at - RENEW_BEFORE_MS <= self._wall()

    async def _renewed(self, key: Key, seen: Opened) -> Opened:
        """The credential with tokens that are newer than those of `seen`."""

        async def renew(key: Key) -> Opened:
            return await self._renew(key, seen.generation)

        try:
            return await _shared(self._renewing, key, renew)
        except CredentialProblem as problem:
            still_good = seen.expires_at is not None and seen.expires_at > self._wall()
            if problem.retriable and still_good and seen.fields.get("access_token"):
                return seen
            raise

    async def _renew(self, key: Key, generation: int) -> Opened:
        try:
            async with self._places, self._rows.alone(key[1]):
                opened = await self._load(key)
                if opened.generation != generation:
                    return opened  # another worker was faster
                return await self._ask_provider(key, opened)
        except DATABASE_AWAY as error:
            _log.warning("tokens cannot be renewed now", credential_id=key[1], reason=str(error))
            raise _away() from None

    async def _ask_provider(self, key: Key, opened: Opened) -> Opened:
        request = renewal_request(opened.fields)
        if request is None:
            connected = bool(opened.fields.get("access_token"))
            raise CredentialProblem(
                "credential_not_connected",
                "its token is over and cannot be renewed: connect it again"
                if connected
                else "nobody has connected this credential yet: connect it first",
            )
        answer = await self._fetch(key[0], request)
        if isinstance(answer, EffectError):
            message = f"the token address cannot be reached: {opened.hide(answer.message)}"
            raise CredentialProblem("oauth2_unavailable", message, retriable=answer.retriable or answer.unknown)
        read = read_tokens(answer)
        if isinstance(read, Tokens):
            await self.store_tokens(key, read, opened.generation)
            return await self._newer(key, opened.generation)
        if read.final:
            ended = EndConnection(read.code, read.message, self._wall(), generation=opened.generation)
            await self._teller.tell(key[0], f"credential-{key[1]}", ended)
        raise CredentialProblem(read.code, read.message, retriable=may_succeed_later(answer))

    async def store_tokens(self, key: Key, tokens: Tokens, generation: int, state_id: str = "") -> None:
        """Record tokens, sealed, in place of those of `generation`; returns when the log has them."""
        workspace, credential_id = key
        given = {"access_token": tokens.access_token, "refresh_token": tokens.refresh_token}
        sealed = {
            name: self._vault.seal(value, Place(workspace, credential_id, name))
            for name, value in given.items()
            if value is not None
        }
        RECENT.use(f"{credential_id}:new", [value for value in given.values() if value is not None])
        now = self._wall()
        expires_at = None if tokens.lives_seconds is None else now + tokens.lives_seconds * 1_000
        command = StoreTokens(sealed, generation, now, expires_at, tokens.scope, state_id)
        await self._teller.tell(workspace, f"credential-{credential_id}", command)

    async def _newer(self, key: Key, generation: int) -> Opened:
        """Wait, with the lock held, until everybody can see the new tokens."""
        deadline = self._seconds() + VISIBLE_SECONDS
        while self._seconds() < deadline:
            opened = await self._load(key)
            if opened.generation != generation:
                return opened
            await asyncio.sleep(_LOOK_SECONDS)
        raise CredentialProblem("credentials_unavailable", "the new tokens are not visible yet", retriable=True)

    def _digest_answer(
        self, request: HttpRequest, opened: Opened, type_: CredentialType, headers: Mapping[str, str], url: str
    ) -> HttpRequest | None:
        challenge = find_challenge(headers.get("www-authenticate", ""))
        if challenge is None or type_.http is None:
            return None
        try:
            check_host(url, type_.http, opened.fields)
        except CannotAuthorise as error:
            raise CredentialProblem(error.code, error.message) from None
        value = answer_challenge(
            challenge,
            method=request.method,
            url=url,
            user=opened.fields.get("user", ""),
            password=opened.fields.get("password", ""),
            client_nonce=secrets.token_hex(16),
        )
        kept = {name: each for name, each in request.headers.items() if name.lower() != "authorization"}
        return _with_headers(request, kept | {"Authorization": value})

    # --- last use ---------------------------------------------------------------------------------------------------

    def _note_use(self, key: Key, opened: Opened) -> None:
        now = self._wall()
        if now - max(opened.used_at, self._noted.get(key, 0)) < USED_AGAIN_MS:
            return
        self._noted[key] = self._uses[key] = now
        if self._noting is None or self._noting.done():
            self._noting = asyncio.create_task(self._note_soon())

    async def _note_soon(self) -> None:
        await asyncio.sleep(_NOTE_SECONDS)
        await self._tell_uses()

    async def _tell_uses(self) -> None:
        uses, self._uses = self._uses, {}
        if len(self._noted) > KEPT:
            self._noted.clear()
        for (workspace, credential_id), at in uses.items():
            await self._teller.tell(workspace, f"credential-{credential_id}", NoteCredentialUsed(at))


def _away() -> CredentialProblem:
    return CredentialProblem("credentials_unavailable", "credentials cannot be read now", retriable=True)


def _type_of(opened: Opened) -> CredentialType:
    type_ = CREDENTIAL_TYPES.get(opened.type)
    if type_ is None:
        raise CredentialProblem("unknown_credential_type", f"this worker knows no credentials of type {opened.type}")
    return type_


async def _shared(under_way: "dict[Key, asyncio.Task[Opened]]", key: Key, work: Callable[[Key], Any]) -> Opened:
    """What `work` finds for `key`, done once for all who want it at the same time."""
    task = under_way.get(key)
    if task is None:
        task = under_way[key] = asyncio.create_task(work(key))
        task.add_done_callback(lambda _done: under_way.pop(key, None))
    return await asyncio.shield(task)


def _with_headers(request: HttpRequest, headers: dict[str, str]) -> HttpRequest:
    return msgspec.structs.replace(request, headers=headers)
