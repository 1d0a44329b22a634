"""Getting into the status page without typing a key: a link that works once, then a signed cookie.

Tokens are `base64url(payload).base64url(HMAC-SHA256)`; login and session tokens use different derived keys.
"""

import base64
import hmac
import time
from collections.abc import Callable
from hashlib import sha256
from secrets import token_urlsafe

import msgspec

COOKIE = "linkflow_session"
LOGIN_SECONDS = 600
SESSION_SECONDS = 12 * 3600


class _Token(msgspec.Struct, frozen=True, array_like=True):
    workspace: str
    expires: int
    nonce: str


def make_login_token(secret: str | bytes, workspace: str, *, now: float | None = None) -> str:
    """A token for `GET /login?token=`: lets its reader into `workspace` once, within 10 minutes.

    `secret`: LINKFLOW_SECRET_KEY (base64), or its 32 bytes.
    """
    moment = time.time() if now is None else now
    return _sign(_key(secret, b"login"), _Token(workspace, int(moment) + LOGIN_SECONDS, token_urlsafe(12)))


class Sessions:
    """Checks login tokens and session cookies. Used tokens are remembered until they expire (per process)."""

    def __init__(self, secret: str | bytes, *, clock: Callable[[], float] = time.time) -> None:
        self._login_key = _key(secret, b"login")
        self._session_key = _key(secret, b"session")
        self._clock = clock
        self._used: dict[str, int] = {}

    def redeem(self, token: str) -> str | None:
        """The session cookie's value for a login token, or None if it is wrong, expired or used."""
        found = _verify(self._login_key, token)
        now = self._clock()
        if found is None or found.expires <= now or found.nonce in self._used:
            return None
        self._used = {nonce: expires for nonce, expires in self._used.items() if expires > now}
        self._used[found.nonce] = found.expires
        return _sign(self._session_key, _Token(found.workspace, int(now) + SESSION_SECONDS, token_urlsafe(12)))

    def workspace_of(self, cookie: str) -> str | None:
        """The workspace that a session cookie opens, or None."""
        found = _verify(self._session_key, cookie)
        return found.workspace if found is not None and found.expires > self._clock() else None


def _key(secret: str | bytes, purpose: bytes) -> bytes:
    raw = base64.b64decode(secret) if isinstance(secret, str) else secret
    return hmac.digest(raw, b"linkflow:" + purpose, sha256)


def _sign(key: bytes, token: _Token) -> str:
    payload = base64.urlsafe_b64encode(msgspec.json.encode(token)).rstrip(b"=")
    return (payload + b"." + _seal(key, payload)).decode()


def _seal(key: bytes, payload: bytes) -> bytes:
    return base64.urlsafe_b64encode(hmac.digest(key, payload, sha256)).rstrip(b"=")


def _verify(key: bytes, token: str) -> _Token | None:
    try:
        payload, _, seal = token.encode("ascii").partition(b".")
        if not hmac.compare_digest(seal, _seal(key, payload)):
            return None
        return msgspec.json.decode(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)), type=_Token)
    except (ValueError, msgspec.DecodeError):
        return None
