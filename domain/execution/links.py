"""Addresses that an execution gives to the world: its own, and those that wake its waits.

A resume link stands for one run of one wait node of one execution of one workspace, until it expires. It is known
before that run waits, so that earlier nodes can send it. Its token is the base64url of a MAC and of what it stands for,
in the only spelling that is accepted; that it is used once is the decider's business, not the link's.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

import msgspec

_MAC_BYTES = 32
_PURPOSE = b"linkflow resume link 1"
MAX_TOKEN = 1_200
RESUME_PREFIX = "/resume/"


class ResumePlace(msgspec.Struct, frozen=True, array_like=True):
    """What a token stands for. `expires`: ms since 1970."""

    workspace: str
    execution_id: str
    node: str
    run: int
    expires: int
    kind: Literal["webhook", "approval"]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(ResumePlace).decode


@dataclass(frozen=True, slots=True)
class Links:
    """`base`: this installation's address; `secret`: signs resume links, without one there are none."""

    base: str = ""
    secret: bytes = b""
    workspace: str = ""

    def within(self, workspace: str) -> "Links":
        return Links(self.base, self.secret, workspace)

    def execution(self, execution_id: str) -> str:
        return f"{self.base}/api/v1/executions/{execution_id}"

    def resume(
        self, execution_id: str, node: str, run: int, expires: int, kind: Literal["webhook", "approval"]
    ) -> str | None:
        """The address that wakes a run of a wait node."""
        if not self.secret:
            return None
        place = ResumePlace(self.workspace, execution_id, node, run, expires, kind)
        return f"{self.base}{RESUME_PREFIX}{resume_token(place, self.secret)}"


NO_LINKS = Links()


def _mac(payload: bytes, secret: bytes) -> bytes:
    key = hmac.digest(secret, _PURPOSE, sha256)
    return hmac.digest(key, payload, sha256)


def resume_token(place: ResumePlace, secret: bytes) -> str:
    payload = _encode(place)
    return urlsafe_b64encode(_mac(payload, secret) + payload).decode().rstrip("=")


def read_resume_token(token: str, secret: bytes) -> ResumePlace | None:
    """What a token stands for; None if it was not made with this secret, or is spelled otherwise than we do."""
    if len(token) > MAX_TOKEN or not token.isascii():
        return None
    try:
        raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (NotBase64, ValueError):
        return None
    mac, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    genuine = hmac.compare_digest(mac, _mac(payload, secret))
    if not genuine or urlsafe_b64encode(raw).decode().rstrip("=") != token:
        return None
    try:
        return _decode(payload)
    except msgspec.DecodeError:
        return None
