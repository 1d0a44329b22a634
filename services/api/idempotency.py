"""Idempotency-Key: the same key names the same thing, so a request may be sent again (24 h).

The id of what is made is derived from the workspace and the key. Its stream answers a second request as a duplicate,
and rejects one whose fingerprint differs; the read model answers once the stream is forgotten.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID, uuid4, uuid5

from services.api.asgi import Header, header_of
from services.api.problems import Problem

KEY = b"idempotency-key"
MAX_KEY_LENGTH = 255


@dataclass(frozen=True, slots=True)
class Identity:
    """The id of what a request makes. `keyed`: derived from a key, so it may exist already."""

    id: str
    keyed: bool
    fingerprint: str


def unkeyed(headers: Sequence[Header]) -> Identity | None:
    """The identity of what a request without a key makes: it cannot exist already. None: there is a key."""
    return _new() if header_of(headers, KEY) is None else None


def _new() -> Identity:
    return Identity(str(uuid4()), False, "")


def identify(kind: str, workspace: str, headers: Sequence[Header], route: str, body: bytes) -> Identity:
    """The identity of an `execution` or `workflow` that this request makes. `route` names what was asked of what.

    `kind` is also the room in which a key is one's own: callers of different webhooks know nothing of each other.

    Raises Problem 400 for a key that is empty, too long or not printable ASCII.
    """
    key = header_of(headers, KEY)
    if key is None:
        return _new()
    if not 0 < len(key) <= MAX_KEY_LENGTH or not (text := key.decode("latin-1")).isprintable() or not text.isascii():
        raise Problem(
            400, "invalid_idempotency_key", f"Idempotency-Key takes 1 to {MAX_KEY_LENGTH} printable ASCII characters."
        )
    fingerprint = sha256(route.encode() + b"\n" + body).hexdigest()[:32]
    return Identity(str(uuid5(UUID(workspace), f"{kind}:{text}")), True, fingerprint)


def keyed_fingerprint(key: bytes, identity: Identity) -> Identity:
    """Where a body holds a secret: its fingerprint goes into the log, and with a plain hash anybody could try secrets
    against it."""
    if not identity.fingerprint:
        return identity
    keyed = hmac.digest(key, identity.fingerprint.encode(), sha256).hex()[:32]
    return Identity(identity.id, identity.keyed, keyed)


def check_fingerprint(stored: str | None, identity: Identity) -> None:
    """Raises Problem 422 `idempotency_mismatch` if what exists was asked for in other words."""
    if (stored or "") != identity.fingerprint:
        raise mismatch()


def mismatch() -> Problem:
    return Problem(
        422, "idempotency_mismatch", "This Idempotency-Key was used for another request. Use a new key for a new one."
    )
