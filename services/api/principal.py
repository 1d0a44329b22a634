"""Who asks: the one place that turns a request into a principal, and the list of addresses that need none."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from time import monotonic
from urllib.parse import urlsplit

from domain.execution.links import RESUME_PREFIX
from projections.workspaces.queries import ApiKeyRow
from services.api.asgi import Header, Scope, header_of
from services.api.problems import Problem
from services.api.sessions import COOKIE, Sessions

PUBLIC_PATHS = frozenset(
    (
        "/",
        "/page.js",
        "/page.css",
        "/favicon.ico",
        "/login",
        "/health",
        "/health/live",
        "/health/ready",
        "/metrics",
        "/openapi.json",
        "/oauth2/callback",
    )
)
"""Answered without a principal. Everything else needs one; `/webhooks/…` is known by its secret address, a provider's
callback by its signed state."""

WEBHOOKS_PREFIX = "/webhooks/"
_KEY_SECONDS = 5.0
_UNKNOWN_KEY_SECONDS = 2.0
_MAX_CACHED = 10_000
_KEY_FORM = re.compile(rb"[\x21-\x7e]{8,200}")
_SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))

FindKey = Callable[[str], Awaitable[ApiKeyRow | None]]


@dataclass(frozen=True, slots=True)
class Principal:
    """Everything that is read or asked is read and asked in `workspace_id`. `actor` stands in the events."""

    workspace_id: str
    actor: str
    key_id: str | None = None


def is_public(path: str) -> bool:
    return path in PUBLIC_PATHS or path.startswith((WEBHOOKS_PREFIX, RESUME_PREFIX))


class Authenticator:
    """API keys (`Authorization: Bearer`, `X-API-Key`) by their hash, and the status page's cookie."""

    def __init__(self, find_key: FindKey, sessions: Sessions) -> None:
        self._find_key = find_key
        self._sessions = sessions
        self._cache: dict[str, tuple[float, Principal | None]] = {}

    async def principal_of(self, scope: Scope) -> Principal:
        """The principal, or Problem 401 (no valid credential), 403 (a cookie used from elsewhere)."""
        headers = scope["headers"]
        key = _key_of(headers)
        if key is not None:
            principal = await self._of_key(key)
            if principal is None:
                raise unauthorised("This API key is not valid.")
            return principal
        if cookie := session_of(headers):
            workspace = self._sessions.workspace_of(cookie)
            if workspace is None:
                raise unauthorised("The session is over. Open a new link to the status page.")
            if (scope["type"] == "websocket" or scope["method"] not in _SAFE_METHODS) and not same_origin(headers):
                raise Problem(403, "foreign_origin", "A session works only from the status page itself.")
            return Principal(workspace, "session")
        raise unauthorised("Send an API key as `Authorization: Bearer …` or `X-API-Key`.")

    async def _of_key(self, key: bytes) -> Principal | None:
        if not _KEY_FORM.fullmatch(key):
            return None
        key_hash = sha256(key).hexdigest()
        cached = self._cache.get(key_hash)
        now = monotonic()
        if cached is not None and cached[0] > now:
            return cached[1]
        row = await self._find_key(key_hash)
        principal = None if row is None else Principal(row.workspace_id, f"key:{row.key_id}", row.key_id)
        if len(self._cache) >= _MAX_CACHED:
            self._cache.clear()
        self._cache[key_hash] = (now + (_UNKNOWN_KEY_SECONDS if row is None else _KEY_SECONDS), principal)
        return principal


def unauthorised(detail: str) -> Problem:
    return Problem(401, "unauthorised", detail, headers=((b"www-authenticate", b"Bearer"),))


def same_origin(headers: Sequence[Header]) -> bool:
    """Whether the browser says that the request comes from a page of this very host."""
    origin, host = header_of(headers, b"origin"), header_of(headers, b"host")
    return origin is not None and host is not None and urlsplit(origin).netloc.lower() == host.lower()


def _key_of(headers: Sequence[Header]) -> bytes | None:
    for name, value in headers:
        if name == b"authorization":
            scheme, _, token = value.partition(b" ")
            return token.strip() if scheme.lower() == b"bearer" else b""
        if name == b"x-api-key":
            return value.strip()
    return None


def session_of(headers: Sequence[Header]) -> str | None:
    """The value of the session's cookie, whether it is good or not."""
    raw = header_of(headers, b"cookie")
    if raw is None:
        return None
    try:
        morsel = SimpleCookie(raw.decode("latin-1")).get(COOKIE)
    except CookieError:
        return None
    return None if morsel is None else morsel.value
