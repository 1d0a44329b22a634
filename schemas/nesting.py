"""How deep JSON is nested, found out before it is decoded: a decoder of nested values recurses."""

import re
from typing import Final

MAX_JSON_DEPTH: Final = 100
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\Z)|[\[\]{}]', re.DOTALL)
"""A string, to the end of the text if nothing closes it (else each quote in it would be tried anew), or a bracket."""


def too_deep(body: bytes, limit: int = MAX_JSON_DEPTH) -> bool:
    """Whether brackets outside strings are nested deeper than `limit`; linear, without recursion."""
    if body.count(b"[") + body.count(b"{") <= limit:
        return False
    depth = 0
    for token in _TOKEN.finditer(body):
        first = token.group()[0]
        if first in b"[{":
            depth += 1
            if depth > limit:
                return True
        elif first in b"]}":
            depth -= 1
    return False
