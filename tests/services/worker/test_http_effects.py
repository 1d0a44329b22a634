"""HttpRequest on a real server: what arrives there, and what comes back."""

import asyncio
import email
import email.policy
import json
import time
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl

import pytest

from domain.effects import EffectClass, EffectError, FilePart, HttpRequest, Pages
from infra.egress.guard import EgressGuard
from services.worker.effects.http import HttpEffects
from services.worker.effects.interpreter import EffectContext
from tests.support.raw_http import Asked, RawServer, answer, serve_raw

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


async def serve(asked: Asked, writer: asyncio.StreamWriter) -> None:
    path, _, query = asked.target.partition("?")
    given = dict(parse_qsl(query))
    match path:
        case "/png":
            writer.write(answer(PNG, content_type="image/png"))
        case "/named":
            writer.write(
                answer(PNG, content_type="application/pdf", content_disposition='attachment; filename="../../a b.pdf"')
            )
        case "/bare":
            writer.write(answer(PNG if given.get("of") == "bytes" else "schön".encode(), content_type=""))
        case "/text":
            writer.write(answer("schön".encode("latin-1"), content_type="text/plain; charset=latin-1"))
        case "/nothing":
            writer.write(answer(status="204 No Content", content_type=""))
        case "/cursor":
            page = int(given.get("after", "1"))
            writer.write(answer(json.dumps({"n": [page], "next": page + 1 if page < 4 else None}).encode()))
        case "/number":
            page = int(given["page"])
            writer.write(answer(json.dumps([page] * (2 if page < 3 else 1)).encode()))
        case "/linked":
            page = int(given.get("p", "1"))
            link = f'</linked?p={page + 1}>; rel="next"' if page < 3 else ""
            writer.write(answer(json.dumps({"p": page}).encode(), link=link))
        case "/away":
            writer.write(answer(json.dumps({"next": given["to"]}).encode()))
        case "/same":
            writer.write(answer(b'{"next": "/same"}'))
        case "/fails-later":
            status = "200 OK" if "c" not in given else "500 No"
            writer.write(answer(b'{"next": "x"}', status))
        case _ if asked.method == "HEAD":
            writer.write(answer(status="200 OK", content_length="1234"))
        case _:
            writer.write(answer(b'{"ok": true}'))


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    async with serve_raw(serve) as served:
        yield served


@pytest.fixture
async def client() -> AsyncIterator[HttpEffects]:
    effects = HttpEffects(EgressGuard(["127.0.0.1"]))
    yield effects
    await effects.close()


async def ask(client: HttpEffects, url: str, *, effect_class: EffectClass = "read", **more: Any) -> dict[str, Any]:
    result = await fail(client, url, effect_class=effect_class, **more)
    assert isinstance(result, dict), result
    return result


async def fail(client: HttpEffects, url: str, *, effect_class: EffectClass = "read", **more: Any) -> Any:
    context = EffectContext("w", "e", "n", "the-key", effect_class, b"00-trace")
    return await client.perform(HttpRequest(**{"method": "GET", "url": url, "timeout_seconds": 5, **more}), context)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
async def test_methods(server: RawServer, client: HttpEffects, method: str) -> None:
    most = 100 if method == "HEAD" else 5_000_000  # its length is that of a body which does not come
    result = await ask(client, server.url + "/x", method=method, max_response_bytes=most)
    assert server.asked[0].method == method
    assert result["body"] == (None if method == "HEAD" else {"ok": True})


async def test_query_and_headers(server: RawServer, client: HttpEffects) -> None:
    query = {"a": [1, "zwei"], "b": None, "c": True, "d": {"x": 1}, "ü&": "=&+ "}
    await ask(client, server.url + "/x?z=1", query=query, headers={"X-A": "1", "User-Agent": "mine"})
    asked = server.asked[0]
    pairs = [("z", "1"), ("a", "1"), ("a", "zwei"), ("c", "true"), ("d", '{"x":1}'), ("ü&", "=&+ ")]
    assert parse_qsl(asked.target.partition("?")[2]) == pairs
    assert (asked.headers["x-a"], asked.headers["user-agent"]) == ("1", "mine")
    assert asked.headers["traceparent"] == "00-trace"
    assert asked.headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize(
    ("effect_class", "given", "sent"),
    [("idempotent", {}, "the-key"), ("idempotent", {"idempotency-key": "mine"}, "mine"), ("unsafe", {}, None)],
)
async def test_the_idempotency_key(
    server: RawServer, client: HttpEffects, effect_class: EffectClass, given: dict[str, str], sent: str | None
) -> None:
    await ask(client, server.url + "/x", method="PUT", effect_class=effect_class, headers=given)
    assert server.asked[0].headers.get("idempotency-key") == sent


@pytest.mark.parametrize(
    ("body", "kind", "sent"),
    [
        ({"body": {"ä": [1]}}, "application/json", '{"ä":[1]}'.encode()),
        ({"body": "text"}, "application/json", b'"text"'),
        ({"body_text": "schön"}, "application/octet-stream", "schön".encode()),
        ({"body_text": "x", "headers": {"content-type": "text/x"}}, "text/x", b"x"),
        ({"form": {"a": [1, 2], "b": "ü &", "c": None}}, "application/x-www-form-urlencoded", b"a=1&a=2&b=%C3%BC+%26"),
        ({"form": {}}, "application/x-www-form-urlencoded", b""),
        ({"body_data": b64encode(PNG).decode(), "headers": {"Content-Type": "image/png"}}, "image/png", PNG),
    ],
)
async def test_bodies(server: RawServer, client: HttpEffects, body: dict[str, Any], kind: str, sent: bytes) -> None:
    await ask(client, server.url + "/x", method="POST", **body)
    assert (server.asked[0].headers["content-type"], server.asked[0].body) == (kind, sent)


async def test_multipart(server: RawServer, client: HttpEffects) -> None:
    files = [
        FilePart("scan", b64encode(PNG).decode(), 'a "b"\r\n.png', "image/png"),
        FilePart("scan", b64encode(b"two").decode(), "ü.txt", "text/plain\r\nX-Forged: 1"),
    ]
    form = {"a": ["1", 2], 'n"\r\nX: y': "v"}
    header = {"Content-Type": "multipart/form-data; boundary=wrong"}
    await ask(client, server.url + "/x", method="POST", form=form, files=files, multipart=True, headers=header)
    asked = server.asked[0]
    head = f"Content-Type: {asked.headers['content-type']}\r\n\r\n".encode()
    parts = email.message_from_bytes(head + asked.body, policy=email.policy.HTTP).get_payload()
    assert isinstance(parts, list)
    found = [
        (part["content-disposition"].params["name"], part.get_filename(), part.get_payload(decode=True))
        for part in parts
    ]
    assert found == [
        ("a", None, b"1"),
        ("a", None, b"2"),
        ("n%22%0D%0AX: y", None, b"v"),
        ("scan", "a %22b%22%0D%0A.png", PNG),
        ("scan", "ü.txt", b"two"),
    ]
    assert b"\r\nX-Forged" not in asked.body


async def test_a_file_that_is_no_base64_is_not_sent(server: RawServer, client: HttpEffects) -> None:
    for given in ({"body_data": "§"}, {"files": [FilePart("f", "a", "a", "a/b")], "multipart": True}):
        result = await fail(client, server.url + "/x", method="POST", **given)
        assert isinstance(result, EffectError)
        assert (result.code, result.retriable, result.unknown) == ("invalid_request", False, False)
    assert not server.asked


@pytest.mark.parametrize(
    ("path", "kind", "body", "file"),
    [
        ("/png", "auto", None, ("image/png", "png", PNG)),
        ("/named", "auto", None, ("application/pdf", "a b.pdf", PNG)),
        ("/bare?of=bytes", "auto", None, ("application/octet-stream", "bare", PNG)),
        ("/bare", "auto", "schön", None),
        ("/text", "auto", "schön", None),
        ("/text", "binary", None, ("text/plain", "text", "schön".encode("latin-1"))),
        ("/nothing", "auto", None, None),
        ("/nothing", "binary", None, ("application/octet-stream", "nothing", b"")),
        ("/x", "text", '{"ok": true}', None),
        ("/x", "json", {"ok": True}, None),
    ],
)
async def test_answers(
    server: RawServer, client: HttpEffects, path: str, kind: str, body: Any, file: tuple[str, str, bytes] | None
) -> None:
    result = await ask(client, server.url + path, response=kind)
    assert result["body"] == body
    if file is None:
        assert "binary" not in result
    else:
        mime_type, file_name, content = file
        binary = result["binary"]
        assert (binary["mime_type"], binary["file_name"], binary["size"]) == (mime_type, file_name, len(content))
        assert b64decode(binary["data"]) == content


# --- pages ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "given", "bodies"),
    [
        ("/cursor", {"pages": Pages("cursor", "after", "next")}, [1, 2, 3, 4]),
        ("/cursor", {"pages": Pages("cursor", "after", "next", most_items=2, items_at="n")}, [1, 2]),
        ("/cursor", {"pages": Pages("cursor", "after", "next", most_pages=3, stop_at_most=True)}, [1, 2, 3]),
        ("/linked", {"pages": Pages("link")}, [1, 2, 3]),
        ("/number", {"pages": Pages("number", "page", items_at="", size=2), "query": {"page": 1}}, [1, 2, 3]),
    ],
)
async def test_pages(
    server: RawServer, client: HttpEffects, path: str, given: dict[str, Any], bodies: list[int]
) -> None:
    result = await ask(client, server.url + path, **given)
    pages = [*result.get("earlier", []), result["body"]]
    assert [page[0] if isinstance(page, list) else page.get("p") or page["n"][0] for page in pages] == bodies
    assert len(server.asked) == len(bodies)


@pytest.mark.parametrize(
    ("path", "pages", "code"),
    [
        ("/cursor", Pages("cursor", "after", "next", most_pages=3), "too_many_pages"),
        ("/same", Pages("link", at="next"), "endless_pages"),
        ("/away?to=http://169.254.169.254/", Pages("link", at="next"), "egress_refused"),
        ("/away?to=file:///etc/passwd", Pages("link", at="next"), "egress_refused"),
    ],
)
async def test_pages_that_do_not_end_well(
    server: RawServer, client: HttpEffects, path: str, pages: Pages, code: str
) -> None:
    result = await fail(client, server.url + path, pages=pages)
    assert isinstance(result, EffectError)
    assert (result.code, result.retriable) == (code, False)


async def test_a_page_that_fails_is_the_answer(server: RawServer, client: HttpEffects) -> None:
    result = await ask(client, server.url + "/fails-later", pages=Pages("cursor", "c", "next"))
    assert result["status"] == 500
    assert "earlier" not in result


async def test_all_pages_together_are_bounded(server: RawServer, client: HttpEffects) -> None:
    result = await fail(client, server.url + "/cursor", pages=Pages("cursor", "after", "next"), max_response_bytes=60)
    assert isinstance(result, EffectError)
    assert result.code == "response_too_large"


async def test_a_next_page_elsewhere_gets_no_secrets(server: RawServer, client: HttpEffects) -> None:
    async with serve_raw(serve) as other:
        headers = {"Authorization": "canary", "X-Key": "canary", "Accept": "application/json"}
        url = f"{server.url}/away?to={other.url}/x"
        await ask(client, url, headers=headers, pages=Pages("link", at="next"))
        assert "canary" in server.asked[0].head.decode()
        assert "canary" not in other.asked[0].head.decode()
        assert other.asked[0].headers["accept"] == "application/json"


# --- the way out ----------------------------------------------------------------------------------------------------


async def test_a_proxy_is_asked_for_the_whole_address(server: RawServer, client: HttpEffects) -> None:
    async with serve_raw(serve) as proxy:
        await ask(client, server.url + "/x", proxy=proxy.url)
        assert proxy.asked[0].target == server.url + "/x"
    assert not server.asked


@pytest.mark.parametrize(
    "target", ["http://10.0.0.1/", "http://[::1]/", "http://2852039166/", "http://user@127.0.0.1/"]
)
async def test_a_proxy_leads_nowhere_else(client: HttpEffects, target: str) -> None:
    async with serve_raw(serve) as proxy:
        result = await fail(client, target, proxy=proxy.url)
        assert isinstance(result, EffectError)
        assert result.code == "egress_refused"
        assert not proxy.asked


@pytest.mark.parametrize("proxy", ["http://10.0.0.1:3128", "http://[::1]:3128", "http://user:p@127.0.0.1:1"])
async def test_the_proxy_is_judged(server: RawServer, client: HttpEffects, proxy: str) -> None:
    result = await fail(client, server.url + "/x", proxy=proxy)
    assert isinstance(result, EffectError)
    assert result.code == "egress_refused"
    assert not server.asked


async def test_a_delay_is_waited_for_and_counts(server: RawServer, client: HttpEffects) -> None:
    begun = time.monotonic()
    await ask(client, server.url + "/x", delay_seconds=0.1, exchange_seconds=2)
    assert time.monotonic() - begun >= 0.1
    result = await fail(client, server.url + "/x", delay_seconds=10, timeout_seconds=0.05)
    assert isinstance(result, EffectError)
    assert (result.code, result.unknown) == ("timeout", False)  # it was never sent
    assert len(server.asked) == 1


async def test_connections_are_kept(server: RawServer, client: HttpEffects) -> None:
    for _ in range(3):
        await ask(client, server.url + "/x")
    assert server.connections == 1
