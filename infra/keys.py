"""Secrets of this installation: the key that wraps all secrets and the first API key, made once and kept (mode 600)."""

import base64
import hashlib
import os
import secrets
from pathlib import Path

from infra.settings import Settings, SettingsError

API_KEY_PREFIX = "lf_"
_MIN_KEY_LENGTH = 24


def new_api_key() -> str:
    """A new API key: `lf_` and 43 URL-safe characters (256 random bits)."""
    return API_KEY_PREFIX + secrets.token_urlsafe(32)


def api_key_hash(key: str) -> str:
    """Hex SHA-256: what is stored and looked up (256 random bits need no slow hash)."""
    return hashlib.sha256(key.encode()).hexdigest()


def api_key_hint(key: str) -> str:
    """The first characters, by which people tell keys apart."""
    return key[:10]


def secret_key_path(settings: Settings) -> Path:
    return settings.data / "secret-key"


def api_key_path(settings: Settings) -> Path:
    return settings.data / "api-key"


def load_secret_key(settings: Settings) -> bytes:
    """The 32 bytes that wrap all secrets: LINKFLOW_SECRET_KEY, else DATA/secret-key, made at the first call.

    Raises SettingsError if the file does not hold a key.
    """
    text = settings.secret_key
    path = secret_key_path(settings)
    if not text:
        text, _ = keep_secret(path, base64.b64encode(secrets.token_bytes(32)).decode())
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise SettingsError(f"{path} does not hold 32 bytes in base64: put the key back, or set LINKFLOW_SECRET_KEY")
    return key


def load_bootstrap_api_key(settings: Settings) -> tuple[str, bool]:
    """The first API key, and whether it was made just now: LINKFLOW_BOOTSTRAP_API_KEY, else DATA/api-key.

    Raises SettingsError if the key has not the form of one (`lf_` and at least 21 URL-safe characters).
    """
    key, made = settings.bootstrap_api_key, False
    source = "LINKFLOW_BOOTSTRAP_API_KEY"
    if not key:
        path = api_key_path(settings)
        source = str(path)
        key, made = keep_secret(path, new_api_key())
    body = key.removeprefix(API_KEY_PREFIX)
    if body == key or len(key) < _MIN_KEY_LENGTH or not body.replace("-", "").replace("_", "").isalnum():
        raise SettingsError(f"{source} holds no API key: lf_ and at least 21 letters, digits, '-' or '_' (best 43)")
    return key, made


def keep_secret(path: Path, fresh: str) -> tuple[str, bool]:
    """What `path` holds, and False; or `fresh`, now kept there (mode 600), and True."""
    # Two processes may start at once and a crash may come at any point: the file appears whole, or not at all.
    if path.exists():
        return path.read_text().strip(), False
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(fresh + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:
        return path.read_text().strip(), False
    finally:
        temporary.unlink()
    return fresh, True
