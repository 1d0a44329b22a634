"""What both halves of the second reading share: how values are kept for comparison."""

import json
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

Row = dict[str, Any]
Report = Callable[[str, str, str], None]
"""Called with the kind of a finding, where it is, and what is wrong."""


def digest(value: Any) -> bytes:
    """Of JSON: equal for equal values, whatever the order of keys. A row's payloads are kept as this."""
    return blake2b(json.dumps(value, sort_keys=True, separators=(",", ":")).encode(), digest_size=12).digest()


def shown(text: str) -> str:
    return text.replace("\0", "\ufffd")
