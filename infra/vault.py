"""Secrets as ciphertext: AES-256-GCM, bound to where they belong.

    sealed = vault.seal("s3cret", Place(workspace, credential_id, "password"))
    vault.open(sealed, Place(workspace, credential_id, "password"))

A sealed value is text, `1.KEY.DATA`: the format, the id of the key it is under, base64url of nonce (96 random bits),
ciphertext and tag. Each credential has a key of its own, derived (HKDF-SHA256) from the installation's, so that a nonce
has to be unique only among the values of one credential: at a million of them the odds of a repetition are 6 in 10^18.
The additional data are format, workspace, credential, key and field: what is moved to another place, changed in one bit
or cut does not open. Any of it raises `CannotOpen`, whose message holds nothing of the content.
"""

import base64
import hmac
import os
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

FORMAT = "1"
NONCE_BYTES = 12
_TAG_BYTES = 16


class Place(NamedTuple):
    """Where a secret belongs."""

    workspace: str
    credential: str
    field: str


class CannotOpen(Exception):
    """A sealed value that does not open. `code`: unknown_key (this process has not got it) or damaged_secret."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Keyring:
    """The keys that wrap secrets, 32 bytes each, by id. `current` seals, all of them open."""

    def __init__(self, current: bytes, older: Iterable[bytes] = ()) -> None:
        self.current = key_id(current)
        self._keys: Mapping[str, bytes] = {key_id(key): key for key in (*older, current)}

    def find(self, name: str) -> bytes | None:
        return self._keys.get(name)

    @property
    def ids(self) -> frozenset[str]:
        return frozenset(self._keys)


class Vault:
    """Seals and opens. `keyring()` is asked anew for each sealing, so that a new key is used as soon as it is there;
    for an opening with a key that is not known, `renew()` is asked first."""

    def __init__(self, keyring: Callable[[], Keyring], renew: Callable[[], Keyring] | None = None) -> None:
        self._keyring = keyring
        self._renew = renew or keyring

    @staticmethod
    def of_key(key: bytes, *older: bytes) -> "Vault":
        """With keys that do not change."""
        keyring = Keyring(key, older)
        return Vault(lambda: keyring)

    @property
    def current(self) -> str:
        """The id of the key that is used for sealing now."""
        return self._keyring().current

    def seal(self, secret: str, place: Place) -> str:
        keyring = self._keyring()
        name = keyring.current
        master = keyring.find(name)
        assert master is not None
        nonce = os.urandom(NONCE_BYTES)
        content = AESGCM(_own_key(master, place)).encrypt(nonce, secret.encode(), _additional(name, place))
        return f"{FORMAT}.{name}.{_text(nonce + content)}"

    def open(self, sealed: str, place: Place) -> str:
        """The secret. Raises CannotOpen."""
        form, _, rest = sealed.partition(".")
        name, _, text = rest.partition(".")
        if form != FORMAT:
            raise CannotOpen("damaged_secret", "a stored secret has a format that this program does not know")
        master = self._keyring().find(name) or self._renew().find(name)
        if master is None:
            raise CannotOpen(
                "unknown_key",
                "a stored secret is under a key that this process has not got: give all processes the same "
                "LINKFLOW_SECRET_KEY and LINKFLOW_OLD_SECRET_KEYS (or data directory)",
            )
        try:
            data = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
            # The last character of base64 may hold bits that nobody reads: changed, it would open all the same.
            if _text(data) != text or len(data) < NONCE_BYTES + _TAG_BYTES:
                raise ValueError
            nonce, content = data[:NONCE_BYTES], data[NONCE_BYTES:]
            return AESGCM(_own_key(master, place)).decrypt(nonce, content, _additional(name, place)).decode()
        except (ValueError, InvalidTag):
            raise CannotOpen(
                "damaged_secret", "a stored secret was changed, or belongs to another credential: enter it again"
            ) from None


def key_id(key: bytes) -> str:
    """A key's name in sealed values: says nothing of the key."""
    return hmac.digest(key, b"linkflow:key-id", sha256).hex()[:16]


def key_of(sealed: str) -> str:
    """The id of the key that a sealed value is under ("" for what is none)."""
    parts = sealed.split(".")
    return parts[1] if len(parts) == 3 else ""


def _additional(name: str, place: Place) -> bytes:
    # Lengths in front: no two places give the same bytes.
    parts = (FORMAT, place.workspace, place.credential, name, place.field)
    return b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)


def _own_key(master: bytes, place: Place) -> bytes:
    return _derived(master, f"linkflow:credential:{place.workspace}:{place.credential}")


@lru_cache(maxsize=256)
def _derived(master: bytes, purpose: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(master)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
