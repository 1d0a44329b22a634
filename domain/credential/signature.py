"""Signatures of webhooks as Standard Webhooks has them (https://www.standardwebhooks.com), symmetric: HMAC-SHA256.

    webhook-id: ID     webhook-timestamp: seconds since 1970     webhook-signature: v1,BASE64 [v1,BASE64 …]

What is signed is `ID.TIMESTAMP.BODY`; a secret is `whsec_` and the base64 of its bytes.
"""

import hmac
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final

PREFIX: Final = "whsec_"
PATTERN: Final = r"whsec_[A-Za-z0-9+/]{32,88}={0,2}"
"""What a secret looks like: 24 to 64 bytes."""
SLOTS: Final = ("secret", "second_secret")
"""Fields of the credential that hold secrets; `…_until` (ms since 1970, empty: for ever) says how long each signs."""


def secret_text(key: bytes) -> str:
    """The secret of 24 to 64 random bytes, as people get to see it."""
    return PREFIX + b64encode(key).decode()


def key_of(secret: str) -> bytes | None:
    """The bytes of a secret; None: it is none."""
    try:
        key = b64decode(secret.removeprefix(PREFIX), validate=True)
    except (NotBase64, ValueError):
        return None
    return key if secret.startswith(PREFIX) and 24 <= len(key) <= 64 else None


def secrets_at(fields: Mapping[str, str], at: int) -> list[str]:
    """The secrets that sign at this time (ms): two, while one follows the other."""
    return [
        fields[name]
        for name in SLOTS
        if fields.get(name) and (not fields.get(f"{name}_until") or int(fields[f"{name}_until"]) > at)
    ]


def signatures(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> str:
    """The value of webhook-signature. `timestamp`: seconds."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    keys = [key for key in map(key_of, secrets) if key is not None]
    return " ".join(f"v1,{b64encode(hmac.digest(key, signed, sha256)).decode()}" for key in keys)
