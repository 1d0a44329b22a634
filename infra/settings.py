"""All settings: environment variables with the prefix LINKFLOW_, read once by a composition root.

`Settings.from_env` raises SettingsError that names the variable, what it holds and what it takes.
"""

import base64
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from domain.schedule.zones import UnknownZone, zone_of
from domain.workspace.decider import MAX_RETENTION_DAYS
from infra.egress.addresses import Allowed


class SettingsError(Exception):
    """A setting that cannot be used; the message names the variable and the fix."""

    code = "invalid_setting"


def _setting(default: Any, meaning: str, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"meaning": meaning, "secret": secret})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One field a variable: `port` is LINKFLOW_PORT. `linkflow settings` prints them."""

    host: str = _setting("127.0.0.1", "address that the HTTP server listens on")
    port: int = _setting(8080, "port of the HTTP server")
    data: Path = _setting(Path(".linkflow"), "data directory (embedded PostgreSQL, keys, logs of the processes)")
    database_url: str = _setting(
        "", "postgresql://… of the read side and the embedded log; empty: embedded", secret=True
    )
    log: str = _setting("postgres", "the log: postgres, or kafka://host:port,host:port")
    log_prefix: str = _setting("", "put before the names of topics and groups, so that installations can share a log")
    bootstrap_api_key: str = _setting("", "the first API key (lf_…); empty: made once and kept", secret=True)
    workers: int = _setting(0, "worker processes of `linkflow up`; 0: cores − 1, at least 1")
    partitions: int = _setting(8, "partitions of each topic, fixed at the first start")
    public_url: str = _setting("", "own address in links; empty: http://127.0.0.1:PORT")
    secret_key: str = _setting("", "32 bytes in base64 that wrap all secrets; empty: made once and kept", secret=True)
    old_secret_keys: tuple[str, ...] = _setting(
        (), "keys that LINKFLOW_SECRET_KEY was before, comma-separated: they open what is still under them", secret=True
    )
    egress_allow: tuple[str, ...] = _setting(
        (), "addresses and ranges (10.0.0.0/8) that nodes may reach besides public ones, comma-separated"
    )
    log_level: str = _setting("info", "debug, info, warning or error")
    log_format: str = _setting("text", "text, or json")
    otel_endpoint: str = _setting("", "OTLP/HTTP endpoint for traces; empty: no tracing at all")
    otel_sample: float = _setting(0.1, "share of the traces that is kept")
    metrics_port: int = _setting(0, "port for Prometheus metrics of worker, projector and scheduler; 0: none")
    member: str = _setting("", "stable name of this process in its group; empty: made from role and host")
    max_effects: int = _setting(2000, "effects under way at once in one worker")
    max_undecided: int = _setting(
        2000, "starts of one partition that may wait for their decision before the API answers 503"
    )
    max_open: int = _setting(200_000, "open executions of one worker above which the API takes no new starts (503)")
    max_queued: int = _setting(
        20_000, "starts in line, of all workers, above which the API answers 503; of one workspace: a quarter, 429"
    )

    timezone: str = _setting("UTC", "time zone of the daily jobs of housekeeping")
    housekeeping_at: str = _setting("03:00", "time of day (HH:MM) at which the daily jobs of housekeeping begin")
    retention_days: int = _setting(30, "days that an execution is kept after its end, unless its workspace says other")
    payload_retention_days: int = _setting(
        0, "days that the inputs and outputs of an execution are kept after its end; 0: as long as the execution"
    )

    @staticmethod
    def from_env(env: Mapping[str, str] | None = None) -> "Settings":
        env = os.environ if env is None else env
        values: dict[str, Any] = {}
        for each in fields(Settings):
            raw = env.get(f"LINKFLOW_{each.name.upper()}")
            if raw is not None and raw != "":
                values[each.name] = _convert(f"LINKFLOW_{each.name.upper()}", raw, each.default)
        settings = Settings(**values)
        _check(settings)
        return settings

    def name_of(self, role: str) -> str:
        """What this process is called: stable for a worker, which gets its partitions back by it; of the other roles
        several may run on one machine."""
        own = platform.node() if role == "worker" else f"{platform.node()}-{os.getpid()}"
        return self.member or f"{role}@{own}"

    @property
    def own_url(self) -> str:
        return self.public_url.rstrip("/") or f"http://127.0.0.1:{self.port}"


def _convert(name: str, raw: str, default: Any) -> Any:
    try:
        match default:
            case int():
                return int(raw)
            case float():
                return float(raw)
            case Path():
                return Path(raw)
            case tuple():
                return tuple(part.strip() for part in raw.split(",") if part.strip())
            case _:
                return raw
    except ValueError:
        raise SettingsError(f"{name}={raw!r} is not a {type(default).__name__}") from None


def _check(settings: Settings) -> None:
    if settings.log != "postgres" and not settings.log.startswith("kafka://"):
        raise SettingsError(f"LINKFLOW_LOG={settings.log!r} is neither 'postgres' nor 'kafka://host:port,…'")
    if not 1 <= settings.partitions <= 1024:
        raise SettingsError(f"LINKFLOW_PARTITIONS={settings.partitions} is not between 1 and 1024")
    if settings.database_url and not settings.database_url.startswith(("postgresql://", "postgres://")):
        raise SettingsError("LINKFLOW_DATABASE_URL does not start with postgresql://")
    _check_housekeeping(settings)
    try:
        Allowed(settings.egress_allow)
    except ValueError as error:
        raise SettingsError(f"LINKFLOW_EGRESS_ALLOW: {error}") from None
    if settings.secret_key:
        try:
            size = len(base64.b64decode(settings.secret_key, validate=True))
        except ValueError:
            size = 0
        if size != 32:
            raise SettingsError("LINKFLOW_SECRET_KEY is not 32 bytes in base64")


def _check_housekeeping(settings: Settings) -> None:
    try:
        zone_of(settings.timezone)
    except UnknownZone as error:
        raise SettingsError(f"LINKFLOW_TIMEZONE: {error}") from None
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", settings.housekeeping_at):
        raise SettingsError(f"LINKFLOW_HOUSEKEEPING_AT={settings.housekeeping_at!r} is not a time of day like 03:00")
    for name, least in (("retention_days", 1), ("payload_retention_days", 0)):
        if not least <= getattr(settings, name) <= MAX_RETENTION_DAYS:
            raise SettingsError(f"LINKFLOW_{name.upper()} is not between {least} and {MAX_RETENTION_DAYS}")
