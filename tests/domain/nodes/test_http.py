"""`http`: each option's request, and what is put out for an answer; no network."""

from base64 import b64encode
from typing import Any

import pytest

from domain.effects import CredentialRef, FilePart, HttpRequest, Pages
from domain.execution import attempts
from domain.execution.events import Item
from domain.expressions import Scope
from domain.nodes.failures import NodeFailure
from domain.nodes.http import HTTP, ITEMS_SIDE_BY_SIDE
from domain.nodes.node_type import Effects
from domain.nodes.parameters import Parameters

URL = "https://example.com/x"
FILE = {"data": b64encode(b"hello").decode(), "mime_type": "text/plain", "file_name": "a.txt", "size": 5}
ITEM: Item = {"json": {"n": 7, "fields": {"a": 1}}, "binary": {"data": FILE, "scan": {**FILE, "file_name": "scan.pdf"}}}


def bind(given: dict[str, Any], credential: CredentialRef | None = None) -> Effects:
    problems: list[str] = []
    parameters = Parameters(
        HTTP.parameters,
        {"url": URL, **given},
        lambda path, why: problems.append(f"{path}: {why}"),
        credential=credential,
    )
    operation = HTTP.bind(parameters)
    if problems:
        raise ValueError(problems)
    assert isinstance(operation, Effects)
    return operation


def request(given: dict[str, Any], *, index: int = 0, item: Item = ITEM) -> HttpRequest:
    scope = Scope(item["json"], item_index=index, items=[item] * (index + 1))
    effect = bind(given).request(scope)
    assert isinstance(effect, HttpRequest)
    return effect


def put_out(given: dict[str, Any], value: dict[str, Any]) -> Any:
    return bind(given).conclude(ITEM, {"status": 200, "headers": {}, "body": None, **value})


POST = {"method": "POST"}

REQUESTS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("method", {"method": "PATCH"}, {"method": "PATCH"}),
    ("url", {"url": "https://example.com/{{ $json.n }}"}, {"url": "https://example.com/7"}),
    ("query", {"query": {"a": "{{ $json.n }}", "b": [1, 2], "c": None}}, {"query": {"a": 7, "b": [1, 2], "c": None}}),
    ("headers", {"headers": {"X-N": "{{ $json.n }}", "X-0": None}}, {"headers": {"X-N": "7"}}),
    ("auto json", {**POST, "body": "{{ $json.fields }}"}, {"body": {"a": 1}, "body_text": None}),
    ("auto text", {**POST, "body": "n={{ $json.n }}"}, {"body": None, "body_text": "n=7"}),
    ("json text", {**POST, "body_kind": "json", "body": "seven"}, {"body": "seven", "body_text": None}),
    (
        "json type",
        {**POST, "body_kind": "json", "body": {}, "content_type": "application/vnd.api+json"},
        {"body": {}, "headers": {"Content-Type": "application/vnd.api+json"}},
    ),
    (
        "text",
        {**POST, "body_kind": "text", "body": "{{ $json.n }}"},
        {"body_text": "7", "headers": {"Content-Type": "text/plain; charset=utf-8"}},
    ),
    (
        "text type",
        {**POST, "body_kind": "text", "body": "<a/>", "content_type": "application/xml"},
        {"body_text": "<a/>", "headers": {"Content-Type": "application/xml"}},
    ),
    (
        "own header wins",
        {**POST, "body_kind": "text", "body": "x", "headers": {"content-type": "text/x"}},
        {"headers": {"content-type": "text/x"}},
    ),
    ("form", {**POST, "body_kind": "form", "body": "{{ $json.fields }}"}, {"form": {"a": 1}, "multipart": False}),
    ("form without fields", {**POST, "body_kind": "form"}, {"form": {}}),
    (
        "multipart",
        {
            **POST,
            "body_kind": "multipart",
            "body": {"a": "{{ $json.n }}"},
            "files": [
                {},
                {"field": "doc", "binary": "scan", "file_name": "{{ $json.n }}.pdf", "mime_type": "application/pdf"},
            ],
        },
        {
            "form": {"a": 7},
            "multipart": True,
            "files": [
                FilePart("file", FILE["data"], "a.txt", "text/plain"),
                FilePart("doc", FILE["data"], "7.pdf", "application/pdf"),
            ],
        },
    ),
    (
        "binary",
        {"method": "PUT", "body_kind": "binary"},
        {"body_data": FILE["data"], "headers": {"Content-Type": "text/plain"}},
    ),
    (
        "binary by name",
        {"method": "PUT", "body_kind": "binary", "body": "scan", "content_type": "application/pdf"},
        {"body_data": FILE["data"], "headers": {"Content-Type": "application/pdf"}},
    ),
    ("none", {**POST, "body_kind": "none", "body": "x"}, {"body": None, "body_text": None}),
    ("response", {"response": "binary"}, {"response": "binary"}),
    ("time-out", {"timeout_seconds": 2.5}, {"exchange_seconds": 2.5}),
    ("the node's own time-out, whatever that is", {}, {"exchange_seconds": None}),
    ("size", {"max_response_bytes": 1_000}, {"max_response_bytes": 1_000}),
    ("redirects", {}, {"follow_redirects": True, "max_redirects": 10}),
    ("no redirects", {"follow_redirects": False}, {"follow_redirects": False}),
    ("few redirects", {"max_redirects": 1}, {"max_redirects": 1}),
    ("redirects of GET", {"redirect_methods": ["GET"]}, {"follow_redirects": True}),
    ("redirects of GET only", {**POST, "redirect_methods": ["GET"]}, {"follow_redirects": False}),
    ("proxy", {"proxy": "http://proxy.example.com:3128"}, {"proxy": "http://proxy.example.com:3128"}),
    ("tls", {}, {"verify_tls": True}),
    ("no tls", {"verify_tls": False}, {"verify_tls": False}),
    ("no pages", {}, {"pages": None}),
    ("link", {"paginate": "link"}, {"pages": Pages("link")}),
    ("link in body", {"paginate": "link", "next_at": "links.next"}, {"pages": Pages("link", at="links.next")}),
    (
        "cursor",
        {"paginate": "cursor", "next_at": "next", "page_parameter": "after", "page_in": "body", "items_at": ""},
        {"pages": Pages("cursor", "after", "next", items_at="", in_body=True)},
    ),
    (
        "number",
        {"paginate": "number", "page_parameter": "page", "items_at": "items", "page_size": 50, "max_pages": 3},
        {"pages": Pages("number", "page", items_at="items", size=50, most_pages=3)},
    ),
    (
        "offset",
        {"paginate": "offset", "page_parameter": "skip", "page_size": 20, "on_max_pages": "stop"},
        {"pages": Pages("offset", "skip", step=20, stop_at_most=True)},
    ),
]


@pytest.mark.parametrize(("given", "wanted"), [pytest.param(g, w, id=name) for name, g, w in REQUESTS])
def test_the_request_of_an_option(given: dict[str, Any], wanted: dict[str, Any]) -> None:
    made = request(given)
    assert {name: getattr(made, name) for name in wanted} == wanted


def test_every_parameter_is_in_the_table() -> None:
    """Those that shape the request here; those of the answer below."""
    of_answers = {"binary_name", "full_response", "accept_status", "batch_size", "batch_interval_seconds"}
    tried = {name for _, given, _ in REQUESTS for name in given} | of_answers
    assert {parameter.name for parameter in HTTP.parameters} == tried


@pytest.mark.parametrize(
    ("method", "headers", "effect"),
    [
        ("GET", {}, "read"), ("HEAD", {}, "read"), ("OPTIONS", {}, "read"), ("PUT", {}, "idempotent"),
        ("DELETE", {}, "idempotent"), ("POST", {}, "unsafe"), ("PATCH", {}, "unsafe"),
        ("POST", {"idempotency-KEY": "k"}, "idempotent"), ("GET", {"Idempotency-Key": "k"}, "read"),
    ],
)  # fmt: skip
def test_effect_classes(method: str, headers: dict[str, str], effect: str) -> None:
    assert bind({"method": method, "headers": headers}).effect_class == effect


def test_the_credential_goes_along_as_a_reference() -> None:
    credential = CredentialRef("c-1", ["http"])
    effect = bind({}, credential).request(Scope({}))
    assert isinstance(effect, HttpRequest)
    assert effect.credential == credential
    assert HTTP.credential_types == ("http",)


def test_batches_are_sent_one_after_the_other() -> None:
    given = {"batch_size": 10, "batch_interval_seconds": 2}
    delays = [request(given, index=index).delay_seconds for index in (0, 9, 10, 25, 199, 200, 211)]
    assert delays == [0, 0, 2, 4, 38, 0, 2]  # after 200 items a new attempt begins
    assert bind({**given, "timeout_seconds": 5}).timeout_seconds == 5 + 38
    assert request({}, index=50).delay_seconds == 0
    assert attempts.ATTEMPT_ITEMS == ITEMS_SIDE_BY_SIDE


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"url": "ftp://example.com"}, "url"),
        ({"url": "example.com"}, "url"),
        ({"proxy": "socks5://example.com"}, "proxy"),
        ({"headers": {"a\nb": "c"}}, "headers"),
        ({"headers": {"a": "b\r\nc: d"}}, "headers"),
        ({"method": "POST", "body_kind": "form", "body": "{{ $json.n }}"}, "body"),
    ],
)
def test_what_cannot_be_sent_fails_its_item(given: dict[str, Any], names: str) -> None:
    with pytest.raises(NodeFailure, match=names) as failed:
        request(given)
    assert failed.value.code == "bad_parameter"


def test_a_missing_file_is_named_with_those_that_there_are() -> None:
    for given in ({"body": "other", "body_kind": "binary"}, {"body_kind": "multipart", "files": [{"binary": "other"}]}):
        with pytest.raises(NodeFailure, match=r"no file 'other' .it has 'data', 'scan'") as failed:
            request({"method": "POST", **given})
        assert failed.value.code == "missing_binary"


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"method": "BREW"}, "method"),
        ({"body_kind": "form", "body": "a=b"}, "body"),
        ({"files": [{}]}, "files"),
        ({"paginate": "number"}, "page_parameter"),
        ({"paginate": "cursor", "page_parameter": "c"}, "next_at"),
        ({"paginate": "offset", "page_parameter": "o"}, "page_size"),
        ({"accept_status": ["4xx"]}, "accept_status"),
        ({"redirect_methods": ["get"]}, "redirect_methods"),
        ({"max_response_bytes": 100_000_000}, "max_response_bytes"),
        ({"max_redirects": 51}, "max_redirects"),
    ],
)
def test_what_does_not_fit_together_is_refused(given: dict[str, Any], where: str) -> None:
    with pytest.raises(ValueError, match=where):
        bind(given)


ANSWERS: list[tuple[str, dict[str, Any], dict[str, Any], Any]] = [
    ("object", {}, {"body": {"a": 1}}, {"json": {"a": 1}}),
    ("list", {}, {"body": [1]}, {"json": {"body": [1]}}),
    ("text", {}, {"body": "x"}, {"json": {"body": "x"}}),
    ("nothing", {}, {"status": 204}, {"json": {"body": None}}),
    (
        "full",
        {"full_response": True},
        {"headers": {"a": "b"}, "body": [1]},
        {"json": {"status": 200, "headers": {"a": "b"}, "body": [1]}},
    ),
    ("file", {}, {"binary": FILE}, {"json": {}, "binary": {"data": FILE}}),
    ("named file", {"binary_name": "scan"}, {"binary": FILE}, {"json": {}, "binary": {"scan": FILE}}),
    (
        "full file",
        {"full_response": True},
        {"binary": FILE},
        {"json": {"status": 200, "headers": {}, "body": None}, "binary": {"data": FILE}},
    ),
    ("accepted", {"accept_status": [404]}, {"status": 404, "body": {"a": 1}}, {"json": {"a": 1}}),
    ("accepted range", {"accept_status": ["400-499"]}, {"status": 418, "body": "tea"}, {"json": {"body": "tea"}}),
    (
        "pages",
        {"paginate": "link"},
        {"body": {"p": 2}, "earlier": [{"p": 1}]},
        [{"json": {"p": 1}}, {"json": {"p": 2}}],
    ),
    (
        "entries",
        {"paginate": "link", "items_at": "a.b"},
        {"body": {"a": {"b": [3]}}, "earlier": [{"a": {"b": [{"n": 1}, 2]}}]},
        [{"json": {"n": 1}}, {"json": {"body": 2}}, {"json": {"body": 3}}],
    ),
    ("list itself", {"paginate": "link", "items_at": ""}, {"body": [{"n": 1}]}, [{"json": {"n": 1}}]),
    ("no entries", {"paginate": "link", "items_at": "a"}, {"body": {"a": []}}, []),
    (
        "full pages",
        {"paginate": "link", "full_response": True},
        {"body": 2, "earlier": [1]},
        [{"json": {"status": 200, "headers": {}, "body": body}} for body in (1, 2)],
    ),
]


@pytest.mark.parametrize(("given", "value", "made"), [pytest.param(g, v, m, id=name) for name, g, v, m in ANSWERS])
def test_what_is_put_out(given: dict[str, Any], value: dict[str, Any], made: Any) -> None:
    assert put_out(given, value) == made


@pytest.mark.parametrize(
    ("status", "retriable"),
    [(400, False), (404, False), (408, True), (425, True), (429, True), (500, True), (503, True)],
)
def test_a_status_of_400_or_more_fails_the_item(status: int, retriable: bool) -> None:
    with pytest.raises(NodeFailure) as failed:
        put_out({}, {"status": status, "body": {"error": "no"}})
    assert (failed.value.code, failed.value.retriable) == ("http_status", retriable)
    assert f'{status}: {{"error":"no"}}' in failed.value.message


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "999999"}, 86_400.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:27:00 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT"}, None),  # no clock here
        ({"retry-after": "soon", "date": "now"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    with pytest.raises(NodeFailure) as failed:
        put_out({}, {"status": 429, "headers": headers})
    assert failed.value.retry_after_seconds == seconds


def test_a_verdict_stands_for_an_answer() -> None:
    operation = bind({})
    assert operation.conclude(ITEM, operation.of_verdict({"id": 5})) == {"json": {"id": 5}}
