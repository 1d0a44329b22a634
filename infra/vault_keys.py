"""Where the keys that wrap secrets are kept, and how a new one comes in while processes run.

LINKFLOW_SECRET_KEY seals where it is set, else DATA/credential-key where somebody made one, else DATA/secret-key. What
opens besides: LINKFLOW_OLD_SECRET_KEYS (comma-separated), DATA/old-secret-keys (one a line), and DATA/secret-key, all
in base64. With files a new key is there for every process at once: they look at the files when they seal, and when they
meet a key that they do not know. DATA/secret-key itself stays: it also signs links and sessions.
"""

import base64
import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

from infra.keys import load_secret_key, secret_key_path
from infra.settings import Settings, SettingsError
from infra.vault import Keyring, Vault, key_id


class KeysFromEnvironment(Exception):
    """The key is given by a variable: a new one is made by whoever sets it."""

    code = "keys_from_environment"


def open_vault(settings: Settings) -> Vault:
    """The vault of this installation. Raises SettingsError when it is used and the keys cannot be read."""
    paths = (secret_key_path(settings), credential_key_path(settings), old_keys_path(settings))
    files = _WatchedFiles(paths, lambda: load_keyring(settings))
    return Vault(files.keyring, files.read)


def load_keyring(settings: Settings) -> Keyring:
    """Raises SettingsError that names the variable or file."""
    # The old ones first: whoever changes keys writes them first, so no key is missing in between.
    older = [*_decoded(settings.old_secret_keys, "LINKFLOW_OLD_SECRET_KEYS"), *_read(old_keys_path(settings))]
    made = _read(credential_key_path(settings))
    if settings.secret_key:
        return Keyring(load_secret_key(settings), [*older, *made, *_read(secret_key_path(settings))])
    first = load_secret_key(settings)
    return Keyring(made[0] if made else first, [*older, first])


def credential_key_path(settings: Settings) -> Path:
    return settings.data / "credential-key"


def old_keys_path(settings: Settings) -> Path:
    return settings.data / "old-secret-keys"


def make_new_key(settings: Settings) -> str:
    """Let a new key seal from now on; the present one goes on to open. Returns the new one's id.

    May be cut off at any point: the present key is among the old ones before the new one is there. Raises
    KeysFromEnvironment.
    """
    if settings.secret_key:
        raise KeysFromEnvironment(
            "LINKFLOW_SECRET_KEY is set: add it to LINKFLOW_OLD_SECRET_KEYS, set LINKFLOW_SECRET_KEY to a new one "
            "(linkflow keys new-secret prints one), restart all processes, and run this again"
        )
    load_secret_key(settings)  # made, if this is the first start
    present, old = _read(credential_key_path(settings)), _read(old_keys_path(settings))
    if present and present[0] not in old:
        _replace(old_keys_path(settings), [*old, present[0]])
    fresh = secrets.token_bytes(32)
    _replace(credential_key_path(settings), [fresh])
    return key_id(fresh)


def forget_old_keys(settings: Settings) -> int:
    """Throw DATA/old-secret-keys away; returns how many keys that were. What is under them never opens again."""
    count = len(_read(old_keys_path(settings)))
    old_keys_path(settings).unlink(missing_ok=True)
    return count


class _WatchedFiles:
    """Reads anew what was replaced: a look costs two calls of stat."""

    def __init__(self, paths: tuple[Path, ...], load: Callable[[], Keyring]) -> None:
        self._paths = paths
        self._load = load
        self._keyring: Keyring | None = None
        self._seen: tuple[object, ...] = ()

    def keyring(self) -> Keyring:
        seen = tuple(_identity(path) for path in self._paths)
        if self._keyring is None or seen != self._seen:
            self._keyring = self._load()
            self._seen = tuple(_identity(path) for path in self._paths)
        return self._keyring

    def read(self) -> Keyring:
        self._keyring = None
        return self.keyring()


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _read(path: Path) -> list[bytes]:
    return _decoded(path.read_text().split(), str(path)) if path.exists() else []


def _decoded(texts: Sequence[str], source: str) -> list[bytes]:
    keys = []
    for text in texts:
        try:
            key = base64.b64decode(text, validate=True)
        except ValueError:
            key = b""
        if len(key) != 32:
            raise SettingsError(f"{source} holds something that is not 32 bytes in base64")
        keys.append(key)
    return keys


def _replace(path: Path, keys: list[bytes]) -> None:
    """The file appears whole, or stays as it was (mode 600)."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.writelines(base64.b64encode(key).decode() + "\n" for key in keys)
        file.flush()
        os.fsync(file.fileno())
    if path.exists():  # made by a start as root, it may belong to another user
        owner = path.stat()
        if owner.st_uid != os.geteuid():
            os.chown(temporary, owner.st_uid, owner.st_gid)
    temporary.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
