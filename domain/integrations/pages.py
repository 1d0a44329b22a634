"""How a provider's lists go on from page to page."""

from dataclasses import dataclass
from typing import Literal

LIMIT = "limit"
"""The parameter that operations with pages have: how many items at most."""

DEFAULT_LIMIT = 100
MOST_ITEMS = 10_000


@dataclass(frozen=True, slots=True)
class Pages:
    """Pages of a list.

    cursor  the answer holds, at `next`, what is sent as `parameter` for the next page; nothing there: it was the last
    link    the header Link names the next page's address (RFC 8288, rel="next")
    number  `parameter` counts pages from 1; a page with fewer than `size` items is the last
    offset  `parameter` counts items from 0

    `size_as`: the parameter that says how many items a page has, `size`: the most that it takes.
    `in_body`: these parameters stand in the body, not in the query.
    """

    way: Literal["cursor", "link", "number", "offset"]
    size_as: str
    size: int
    parameter: str = ""
    next: str = ""
    in_body: bool = False


def cursor(next_: str, parameter: str, *, size_as: str, size: int, in_body: bool = False) -> Pages:
    return Pages("cursor", size_as, size, parameter, next_, in_body)


def link(*, size_as: str = "per_page", size: int = 100) -> Pages:
    return Pages("link", size_as, size)


def number(parameter: str = "page", *, size_as: str, size: int) -> Pages:
    return Pages("number", size_as, size, parameter)


def offset(parameter: str = "offset", *, size_as: str, size: int) -> Pages:
    return Pages("offset", size_as, size, parameter)
