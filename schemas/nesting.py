"""How deep JSON is nested, found out before it is decoded: a decoder of nested values recurses."""

from typing import Final

MAX_JSON_DEPTH: Final = 100
"""Of what comes in: a request, an answer, what code puts out."""
MAX_RECORD_DEPTH: Final = 400
"""Of an event or a command. Nodes nest what came in deeper, and every reader has to get through it: a decoder that
recurses gives up before 1,000, counted from wherever it was called."""
_NEITHER_BRACKET_NOR_QUOTE: Final = bytes(set(range(256)) - set(b'[]{}"'))
_ONE_KIND: Final = bytes.maketrans(b"{}", b"[]")


def too_deep(body: bytes, limit: int = MAX_JSON_DEPTH) -> bool:
    """Whether brackets outside strings are nested deeper than `limit`; without recursion, and about as fast as encoding
    (strings are gone when the quotes around nothing are, then a level at a time)."""
    if body.count(b"[") + body.count(b"{") <= limit:
        return False
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    left = body.translate(_ONE_KIND, _NEITHER_BRACKET_NOR_QUOTE).replace(b'""', b"")
    if b'"' in left:
        left = b"".join(left.split(b'"')[::2])
    for level in range(limit):
        inner = left.replace(b"[]", b"")
        if len(inner) == len(left):  # nothing is left, or what is left is no JSON
            return level + _deepest(left) > limit
        left = inner
    return _deepest(left) > 0


def _deepest(brackets: bytes) -> int:
    depth = deepest = 0
    for sign in brackets:
        depth += 1 if sign == ord("[") else -1
        deepest = max(deepest, depth)
    return deepest
