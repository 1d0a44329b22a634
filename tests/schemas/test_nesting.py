"""The depth of JSON without recursion, compared with what a recursive look finds."""

import json
from random import Random
from typing import Any

import pytest

from schemas.nesting import too_deep

TEXTS = ["", "a", "[", '"[', "{\\", "\\", '\\"', '\n"', '\\n"[', '""', '"["', "é\\"]


def some(random: Random, depth: int) -> Any:
    kind = random.random()
    if depth <= 0 or kind < 0.2:
        return random.choice([1, None, *TEXTS])
    if kind < 0.6:
        return [some(random, depth - 1) for _ in range(random.randint(0, 3))]
    return {random.choice(TEXTS): some(random, depth - 1) for _ in range(random.randint(0, 3))}


def depth_of(value: Any) -> int:
    if isinstance(value, dict | list):
        below = value.values() if isinstance(value, dict) else value
        return 1 + max(map(depth_of, below), default=0)
    return 0


def test_depth_is_that_of_the_values() -> None:
    random = Random(7)
    for _ in range(5_000):
        value = some(random, random.randint(0, 9))
        for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
            limit = random.randint(0, 8)
            assert too_deep(text.encode(), limit) == (depth_of(value) > limit), text


@pytest.mark.parametrize(
    ("body", "deep"),
    [
        (b"[" * 101, True),
        (b"[" * 100, False),
        (b"[" * 60 + b"[" * 60 + b"]" * 60, True),
        (b'"' + b"[" * 200, False),
        (b"]" * 200 + b"[" * 100, False),
        (b"[}" * 200, False),
        (b'["\\""' + b"[" * 100, True),
    ],
)
def test_what_is_no_json_is_looked_at_as_well(body: bytes, deep: bool) -> None:
    assert too_deep(body) is deep
