"""Keeps secrets out of what is logged: by the name of a field, and by the look of a value."""

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "[hidden]"

_SECRET_NAMES = re.compile(
    r"(^|_)(password|passwd|secret|token|authorization|cookie|api_?key|private_?key|credentials?|database_url|dsn)($|_)",
    re.IGNORECASE,
)
_SECRET_VALUES = (
    (re.compile(r"lf_[A-Za-z0-9_-]{20,}"), f"lf_{HIDDEN}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"(?<=://)([^\s/:@]*):[^\s/@]+@"), rf"\1:{HIDDEN}@"),
    (re.compile(r"(?i)([?&](?:token|api_?key|secret|password|signature)=)[^&\s]+"), rf"\1{HIDDEN}"),
)
_MAX_DEPTH = 6


def redact_text(text: str) -> str:
    """The text with API keys, Authorization values, passwords in URLs and secret query parameters hidden."""
    for pattern, replacement in _SECRET_VALUES:
        text = pattern.sub(replacement, text)
    return text


def redact(value: Any, name: str = "", depth: int = 0) -> Any:
    """The value with everything secret hidden; `name` is the field that holds it. Looks `_MAX_DEPTH` levels deep."""
    if name and _SECRET_NAMES.search(name) and value not in (None, "", False):
        return HIDDEN
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bytes):
        return redact_text(value.decode("utf-8", "replace"))
    if isinstance(value, Mapping | list | tuple) and depth >= _MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return {str(k): redact(v, str(k), depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [redact(v, name, depth + 1) for v in value]
    return value
