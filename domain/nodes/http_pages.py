"""Paging through an HTTP list: which request follows an answer. Pure; the interpreter sends what it says."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urljoin

import msgspec

from domain.effects import HttpRequest, Pages
from domain.nodes.paths import read_path, split_path

_LINK: Final = re.compile(r"<([^>]*)>([^<]*)")
_REL: Final = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))', re.IGNORECASE)


def next_page(request: HttpRequest, headers: Mapping[str, str], body: Any) -> HttpRequest | None:
    """The request for the page after this one, None if it was the last. `headers` in lower case."""
    pages = request.pages
    assert pages is not None
    if pages.items_at is not None and not pages.through_empty:
        items = items_of(body, pages.items_at)
        if not items or (pages.size and len(items) < pages.size):
            return None
    match pages.way:
        case "link":
            address = _linked(headers.get("link", "")) if not pages.at else _found(body, pages.at)
            if not isinstance(address, str) or not address:
                return None
            return msgspec.structs.replace(request, url=urljoin(request.url, address), query={})
        case "cursor":
            cursor = _found(body, pages.at)
            if cursor is None or cursor == "" or cursor is False:
                return None
            return _with(request, pages, cursor)
        case "number" | "offset":
            if body is None or body in ("", [], {}):
                return None
            return _with(request, pages, _counted(request, pages) + pages.step)


def items_of(body: Any, path: str) -> list[Any]:
    """The list at `path` of an answer's body, the body itself for an empty path; [] where there is no list."""
    found = body if not path else _found(body, path)
    return found if isinstance(found, list) else []


def _found(body: Any, path: str) -> Any:
    found = read_path(body, split_path(path) or (path,)) if isinstance(body, dict) else None
    return found if isinstance(found, str | int | float | bool | list | dict) else None


def _counted(request: HttpRequest, pages: Pages) -> int:
    place = request.body if pages.in_body else request.query
    value = place.get(pages.parameter) if isinstance(place, dict) else None
    return int(value) if isinstance(value, int | float) or (isinstance(value, str) and value.isdecimal()) else 0


def _with(request: HttpRequest, pages: Pages, value: Any) -> HttpRequest:
    if pages.in_body:
        body = request.body if isinstance(request.body, dict) else {}
        return msgspec.structs.replace(request, body={**body, pages.parameter: value})
    return msgspec.structs.replace(request, query={**request.query, pages.parameter: value})


def _linked(header: str) -> str | None:
    """The target of rel="next" in a Link header (RFC 8288)."""
    for target, parameters in _LINK.findall(header):
        for quoted, plain in _REL.findall(parameters):
            if "next" in (quoted or plain).lower().split():
                return str(target)
    return None
