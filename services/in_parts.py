"""Things in parts, as many together as one command or one append takes."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

NOTICE_BYTES: Final = 120_000
"""Notices of one command: what a subscription makes of them must fit into one record."""

Thing = TypeVar("Thing")


def in_parts(
    things: Iterable[Thing], size_of: Callable[[Thing], int], most_bytes: int, most: int | None = None
) -> Iterator[list[Thing]]:
    """In order, at most `most_bytes` and `most` things in a part; one that is larger stands alone."""
    part: list[Thing] = []
    size = 0
    for thing in things:
        length = size_of(thing)
        if part and (len(part) == most or size + length > most_bytes):
            yield part
            part, size = [], 0
        part.append(thing)
        size += length
    if part:
        yield part
