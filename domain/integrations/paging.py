"""Lists that have several pages: what is asked for first, and what the answers are together."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from domain.effects import HttpRequest
from domain.integrations.pages import Pages


def first_page(request: HttpRequest, pages: Pages, limit: int) -> HttpRequest:
    """The request for pages that are as large as they may and need to be."""
    size = {pages.size_as: min(limit, pages.size)}
    if pages.in_body:
        return msgspec.structs.replace(request, body={**(request.body or {}), **size})
    return msgspec.structs.replace(request, query={**request.query, **size})


def together(value: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The answers, one a page."""
    return [value]
