"""Which request follows a page."""

from typing import Any

import msgspec
import pytest

from domain.effects import HttpRequest, Pages
from domain.nodes.http_pages import next_page

URL = "https://api.example.com/v1/things"


def following(
    pages: Pages, answer: Any = None, headers: dict[str, str] | None = None, **given: Any
) -> dict[str, Any] | None:
    """What differs in the next request."""
    request = HttpRequest(method="GET", url=URL, pages=pages, **given)
    made = next_page(request, headers or {}, answer)
    if made is None:
        return None
    before = msgspec.to_builtins(request)
    return {name: value for name, value in msgspec.to_builtins(made).items() if before.get(name) != value}


@pytest.mark.parametrize(
    ("header", "url"),
    [
        ('<https://api.example.com/v1/things?page=2>; rel="next"', "https://api.example.com/v1/things?page=2"),
        ('</v1/things?page=2>; rel=next', "https://api.example.com/v1/things?page=2"),
        ('<?page=2>; title="a"; rel="next last"', "https://api.example.com/v1/things?page=2"),
        ('<a>; rel="prev", <b,c>; rel="NEXT", <d>; rel="last"', "https://api.example.com/v1/b,c"),
        ('<https://other.example.com/2>; rel="next"', "https://other.example.com/2"),
        ('<a>; rel="prev"', None),
        ('<a>; rel="nextish"', None),
        ("", None),
        ("garbage", None),
    ],
)  # fmt: skip
def test_link_header(header: str, url: str | None) -> None:
    made = following(Pages("link"), {}, {"link": header})
    assert made == (None if url is None else {"url": url})


def test_the_query_stands_in_the_linked_address() -> None:
    request = HttpRequest(method="GET", url=URL, query={"page": 1}, pages=Pages("link"))
    made = next_page(request, {"link": '<?page=2>; rel="next"'}, {})
    assert made is not None
    assert made.query == {}


@pytest.mark.parametrize(
    ("body", "url"),
    [
        ({"links": {"next": "/p2"}}, "https://api.example.com/p2"),
        ({"links": {"next": None}}, None),
        ({"links": {"next": ""}}, None),
        ({"links": {"next": {"href": "x"}}}, None),
        ({"links": None}, None),
        ({}, None),
        ([1], None),
    ],
)
def test_link_in_the_body(body: Any, url: str | None) -> None:
    assert following(Pages("link", at="links.next"), body) == (None if url is None else {"url": url})


@pytest.mark.parametrize(("cursor", "more"), [("c2", True), (7, True), (None, False), ("", False), (False, False)])
def test_cursor(cursor: Any, more: bool) -> None:
    pages = Pages("cursor", "after", "meta.next")
    wanted = {"query": {"limit": 5, "after": cursor}} if more else None
    assert following(pages, {"meta": {"next": cursor}}, query={"limit": 5}) == wanted


def test_cursor_in_the_body() -> None:
    pages = Pages("cursor", "after", "next", in_body=True)
    assert following(pages, {"next": "c"}, body={"a": 1}) == {"body": {"a": 1, "after": "c"}}
    assert following(pages, {"next": "c"}) == {"body": {"after": "c"}}


@pytest.mark.parametrize(("first", "then"), [({}, 1), ({"page": 1}, 2), ({"page": "4"}, 5), ({"page": 0}, 1)])
def test_number(first: dict[str, Any], then: int) -> None:
    assert following(Pages("number", "page"), {"x": 1}, query=first) == {"query": {"page": then}}


@pytest.mark.parametrize(
    ("pages", "body", "more"),
    [
        (Pages("number", "page"), [], False),
        (Pages("number", "page"), None, False),
        (Pages("number", "page"), {}, False),
        (Pages("number", "page", items_at="a"), {"a": []}, False),
        (Pages("number", "page", items_at="a"), {"a": [1]}, True),
        (Pages("number", "page", items_at="a"), {}, False),
        (Pages("number", "page", items_at="a", size=2), {"a": [1]}, False),
        (Pages("number", "page", items_at="a", size=2), {"a": [1, 2]}, True),
        (Pages("number", "page", items_at=""), [1], True),
        (Pages("cursor", "c", "next", items_at="a"), {"a": [], "next": "c"}, False),
    ],
)
def test_where_a_list_ends(pages: Pages, body: Any, more: bool) -> None:
    assert (following(pages, body) is not None) == more


def test_offset() -> None:
    pages = Pages("offset", "skip", step=20)
    assert following(pages, [1]) == {"query": {"skip": 20}}
    assert following(pages, [1], query={"skip": 20}) == {"query": {"skip": 40}}
    in_body = Pages("offset", "skip", step=20, in_body=True)
    assert following(in_body, [1], body={"skip": 40, "q": 1}) == {"body": {"skip": 60, "q": 1}}
