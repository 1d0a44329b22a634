"""The way of a person's consent at an OAuth 2 provider: what is sent along, and how it is known when it comes back.

`state` is signed and names workspace, credential and an id that the credential itself lets through once. PKCE's
verifier is derived from that id, so that nothing has to be kept meanwhile. Where a browser's session asked, only this
browser's session may bring the consent back.
"""

import base64
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_urlsafe

import msgspec

CONSENT_SECONDS = 600


class _State(msgspec.Struct, frozen=True, array_like=True):
    workspace: str
    credential: str
    id: str
    expires: int
    by_session: bool


@dataclass(frozen=True, slots=True)
class Consent:
    """`expires`: milliseconds since 1970; `by_session`: the status page's session asked for it."""

    workspace: str
    credential: str
    id: str
    expires: int
    by_session: bool
    verifier: str


class Consents:
    """`secret`: the installation's 32 bytes."""

    def __init__(self, secret: bytes, *, clock: Callable[[], float] = time.time) -> None:
        self._signing = hmac.digest(secret, b"linkflow:oauth2-state", sha256)
        self._proving = hmac.digest(secret, b"linkflow:oauth2-pkce", sha256)
        self._clock = clock

    def begin(self, workspace: str, credential: str, *, by_session: bool) -> tuple[str, Consent]:
        """The state to send along, and what it stands for."""
        expires = int(self._clock() + CONSENT_SECONDS) * 1_000
        state = _State(workspace, credential, token_urlsafe(18), expires, by_session)
        payload = _text(msgspec.json.encode(state))
        return f"{payload}.{self._seal(payload)}", self._consent(state)

    def read(self, text: str) -> Consent | None:
        """What a state stands for; None if it is not one of ours or is over."""
        payload, _, seal = text.partition(".")
        try:
            if len(text) > 1_000 or not hmac.compare_digest(seal.encode(), self._seal(payload).encode()):
                return None
            state = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)), type=_State)
        except (ValueError, msgspec.DecodeError):
            return None
        return self._consent(state) if state.expires > self._clock() * 1_000 else None

    def _consent(self, state: _State) -> Consent:
        verifier = _text(hmac.digest(self._proving, state.id.encode(), sha256))
        return Consent(state.workspace, state.credential, state.id, state.expires, state.by_session, verifier)

    def _seal(self, payload: str) -> str:
        return _text(hmac.digest(self._signing, payload.encode(), sha256))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
