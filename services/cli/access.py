"""How commands reach the installation: its settings, database, log, and HTTP API."""

import http.client
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from infra.keys import api_key_path
from infra.log import open_log
from infra.log.port import Log
from infra.postgres.embedded import url_of
from infra.postgres.pool import CONNECTION_LOST, Pool, open_pool
from infra.settings import Settings, SettingsError

REQUEST_SECONDS = 90.0


class Unreachable(Exception):
    """Nobody answers where the installation should be; the message says what to do."""

    code = "unreachable"


class ApiRefused(Exception):
    """The API's answer is a problem document; the message has its detail and errors."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        errors = problem.get("errors") or []
        lines = [str(problem.get("detail") or problem.get("title") or f"status {status}")]
        lines += [f"{each.get('path', '')}: {each.get('message', '')}" for each in errors]
        super().__init__("; ".join(lines))
        self.code = str(problem.get("code") or f"http_{status}")
        self.status = status


def database_settings() -> Settings:
    """Settings with the database: LINKFLOW_DATABASE_URL, else the embedded one of the data directory."""
    settings = Settings.from_env()
    return settings if settings.database_url else replace(settings, database_url=url_of(settings.data))


@asynccontextmanager
async def opened_pool(settings: Settings) -> AsyncIterator[Pool]:
    """Raises Unreachable."""
    try:
        pool = await open_pool(settings.database_url, min_size=1, max_size=4, application_name="linkflow cli")
    except CONNECTION_LOST as error:
        raise _away(settings, error) from error
    try:
        yield pool
    finally:
        await pool.close()


@asynccontextmanager
async def opened_log(settings: Settings) -> AsyncIterator[Log]:
    """The log with the partitions that it has. Raises LogError."""
    log = await open_log(settings.log, database_url=settings.database_url, prefix=settings.log_prefix)
    try:
        yield log
    finally:
        await log.close()


def _away(settings: Settings, error: BaseException) -> Unreachable:
    fix = "is `linkflow up` running?" if "host=/" in settings.database_url else "check LINKFLOW_DATABASE_URL"
    return Unreachable(f"PostgreSQL does not answer ({type(error).__name__}: {error}): {fix}")


def request(
    method: str,
    path: str,
    *,
    body: Any = None,
    query: Mapping[str, object | None] | None = None,
    headers: Mapping[str, str] | None = None,
    seconds: float = REQUEST_SECONDS,
) -> Any:
    """One request to the API; returns the decoded JSON (None if the answer is empty).

    Where: LINKFLOW_URL, else this machine's. Key: LINKFLOW_API_KEY, LINKFLOW_BOOTSTRAP_API_KEY, else the data
    directory's. Raises Unreachable, ApiRefused, SettingsError.
    """
    settings = Settings.from_env()
    base = os.environ.get("LINKFLOW_URL") or settings.own_url
    parts = urlsplit(base)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError(f"LINKFLOW_URL={base!r} is not http://host:port")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=seconds)
    given = {name: value for name, value in (query or {}).items() if value is not None}
    target = parts.path.rstrip("/") + path + (f"?{urlencode(given)}" if given else "")
    sent = {"authorization": f"Bearer {_api_key(settings)}", "accept": "application/json", **(headers or {})}
    payload = None
    if body is not None:
        payload = json.dumps(body, ensure_ascii=False).encode()
        sent["content-type"] = "application/json"
    try:
        connection.request(method, target, body=payload, headers=sent)
        answer = connection.getresponse()
        data = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(
            f"nobody answers at {base} ({error}): is `linkflow up` running? (or set LINKFLOW_URL)"
        ) from error
    finally:
        connection.close()
    try:
        decoded = json.loads(data) if data else None
    except ValueError as error:
        raise Unreachable(f"{base} answers, but not as LinkFlow (status {answer.status})") from error
    if answer.status >= 400:
        raise ApiRefused(answer.status, decoded if isinstance(decoded, dict) else {})
    return decoded


def segment(text: str) -> str:
    """A part of a path, whatever it holds."""
    return quote(text, safe="")


def _api_key(settings: Settings) -> str:
    key = os.environ.get("LINKFLOW_API_KEY") or settings.bootstrap_api_key
    if key:
        return key
    path = api_key_path(settings)
    try:
        return path.read_text().strip()
    except OSError as error:
        raise SettingsError(
            f"no API key: set LINKFLOW_API_KEY, or LINKFLOW_DATA to the directory of `linkflow up` ({path}:"
            f" {error.strerror})"
        ) from error
