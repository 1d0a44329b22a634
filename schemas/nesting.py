"""How deep JSON is nested, found out before it is decoded: a decoder of nested values recurses."""

from typing import Final

MAX_JSON_DEPTH: Final = 100
_BUT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_ONE_KIND: Final = bytes.maketrans(b"{}", b"[]")


def too_deep(body: bytes, limit: int = MAX_JSON_DEPTH) -> bool:
    """Whether brackets outside strings are nested deeper than `limit`; without recursion, a level at a time."""
    if body.count(b"[") + body.count(b"{") <= limit:
        return False
    outside = body.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2]
    brackets = b"".join(outside).translate(_ONE_KIND, _BUT_BRACKETS)
    for level in range(limit):
        inner = brackets.replace(b"[]", b"")
        if len(inner) == len(brackets):  # nothing is left, or what is left is no JSON
            return level + _deepest(brackets) > limit
        brackets = inner
    return _deepest(brackets) > 0


def _deepest(brackets: bytes) -> int:
    depth = deepest = 0
    for sign in brackets:
        depth += 1 if sign == ord("[") else -1
        deepest = max(deepest, depth)
    return deepest
