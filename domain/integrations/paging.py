"""Lists that have several pages: what is asked for first, and what the answers are together."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from domain.effects import HttpRequest
from domain.effects import Pages as HttpPages
from domain.integrations.pages import Pages
from domain.integrations.shape import Read

_MOST_PAGES: Final = 1_000
_FIRST: Final = {"number": 1, "offset": 0}


def first_page(request: HttpRequest, pages: Pages, items: str | Read, limit: int) -> HttpRequest:
    """The request for a list of at most `limit` items, in pages that are as large as they may and need to be."""
    size = min(limit, pages.size)
    sent: dict[str, Any] = {pages.size_as: size} if pages.size_as else {}
    if pages.way in _FIRST:
        sent[pages.parameter] = _FIRST[pages.way]
    going_on = HttpPages(
        way=pages.way,
        parameter=pages.parameter,
        at=pages.next,
        step=size if pages.way == "offset" else 1,
        items_at=items.removesuffix("[]") if isinstance(items, str) else None,
        size=size if pages.way in _FIRST else 0,
        through_empty=pages.way not in _FIRST,
        in_body=pages.in_body,
        most_pages=_MOST_PAGES,
        most_items=limit,
    )
    if pages.in_body:
        return msgspec.structs.replace(request, body={**(request.body or {}), **sent}, pages=going_on)
    return msgspec.structs.replace(request, query={**request.query, **sent}, pages=going_on)


def together(value: Mapping[str, Any]) -> list[Any]:
    """The bodies of all pages."""
    return [*value.get("earlier", ()), value.get("body")]
