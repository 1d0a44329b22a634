"""Values as texts of requests."""

from typing import Any

import msgspec

from domain.expressions import to_text


def as_text(value: Any) -> str:
    """Text as it is, objects and lists as JSON, everything else as JavaScript prints it."""
    if isinstance(value, dict | list):
        return msgspec.json.encode(value).decode()
    return to_text(value)
