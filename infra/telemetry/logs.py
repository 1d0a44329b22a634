"""Structured logs: one line an event, text for people or JSON for machines, secrets hidden.

    log = get_logger(__name__)
    log.info("took over", lane="executions", partition=3)

Fields bound with `structlog.contextvars.bound_contextvars(execution_id=…, trace_id=…)` stand on every line below them.
Lines of libraries (asyncio, aiokafka, uvicorn) pass the same way.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import orjson
import structlog

from infra.settings import Settings
from infra.telemetry.redaction import redact, redact_text
from infra.telemetry.secret_values import RECENT

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_KEPT = frozenset(("event", "timestamp", "level", "role"))
_NOISY = {"aiokafka": logging.ERROR, "asyncio": logging.WARNING, "uvicorn.error": logging.WARNING}

Fields = MutableMapping[str, Any]


def configure_logs(settings: Settings, role: str) -> None:
    """Set up logging of this process, once. `role` (`api`, `worker-0`, …) stands on every line."""
    level = _LEVELS.get(settings.log_level.lower(), logging.INFO)
    render = _render_json if settings.log_format == "json" else _render_text
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_role(role),
        structlog.processors.format_exc_info,
        _hide_secrets,
    ]
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    _route_libraries(level, shared, render)


def get_logger(name: str) -> Any:
    """The logger of a module; safe to call at import, before `configure_logs`."""
    return structlog.get_logger(module=name)


def _route_libraries(level: int, shared: list[Any], render: Any) -> None:
    """Standard logging (libraries) goes through the same processors to the same place."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[_drop_meta, render]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.INFO))
    if level > logging.DEBUG:
        for name, threshold in _NOISY.items():
            logging.getLogger(name).setLevel(max(level, threshold))


def _drop_meta(_logger: Any, _method: str, fields: Fields) -> Fields:
    fields.pop("_record", None)
    fields.pop("_from_structlog", None)
    return fields


def _add_role(role: str) -> Any:
    def add(_logger: Any, _method: str, fields: Fields) -> Fields:
        fields["role"] = role
        return fields

    return add


def _hide_secrets(_logger: Any, _method: str, fields: Fields) -> Fields:
    for name, value in fields.items():
        if name == "event":
            fields[name] = RECENT.hide(redact_text(str(value)))
        elif name not in _KEPT and not isinstance(value, int | float | None):
            fields[name] = RECENT.hide_in(redact(value, name))
    return fields


def _render_json(_logger: Any, _method: str, fields: Fields) -> str:
    fields["message"] = fields.pop("event", "")
    return orjson.dumps(dict(fields), default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _render_text(_logger: Any, _method: str, fields: Fields) -> str:
    when, level, role, event = (fields.pop(name, "") for name in ("timestamp", "level", "role", "event"))
    head = f"{when} {level:<7} {role}: {event}"
    fields.pop("module", None)
    trace = fields.pop("exception", None)
    rest = "".join(f" {name}={_as_text(value)}" for name, value in fields.items())
    # A newline in a value would let whoever sent it forge lines of the log.
    line = (head + rest).replace("\r", "\\r").replace("\n", "\\n")
    return f"{line}\n{trace}" if trace else line


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return repr(value) if value == "" or any(c in value for c in ' "=\t') else value
    return str(value)
