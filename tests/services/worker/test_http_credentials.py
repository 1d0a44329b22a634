"""HTTP with credentials, real ones: what the server gets, who else gets nothing (V03), and what comes back (S24)."""

import asyncio
import gzip
import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from hashlib import md5
from typing import Any
from urllib.parse import parse_qsl, quote
from uuid import uuid4

import pytest

from domain.effects import CredentialRef, EffectError, HttpRequest, Pages
from domain.nodes.failures import NodeFailure
from infra.egress.guard import EgressGuard
from services.worker.effects.http import HttpEffects
from services.worker.effects.interpreter import EffectContext
from tests.domain.nodes.test_http import bind
from tests.support.credentials import WORKSPACE, MemoryCredentials
from tests.support.raw_http import Asked, RawServer, answer, serve_raw

CANARY = "canary-0f/9+8=Ω-5c41d2"
CONTEXT = EffectContext(WORKSPACE, "e", "n", "key", "unsafe")

TYPES: dict[str, dict[str, str]] = {
    "http_bearer": {"token": CANARY.replace("Ω", "o")},
    "http_basic": {"user": "order", "password": CANARY},
    "http_digest": {"user": "order", "password": CANARY},
    "http_header": {"name": "X-Shop-Key", "value": CANARY.replace("Ω", "o")},
    "http_query": {"name": "key", "value": CANARY},
    "http_custom": {
        "headers": json.dumps({"X-One": CANARY.replace("Ω", "o")}),
        "query": json.dumps({"two": CANARY}),
    },
}
CHALLENGE = 'Digest realm="shop", qop="auth", nonce="n0", algorithm=MD5'


def spellings() -> set[str]:
    """The canary as it might turn up in texts."""
    found = set()
    for text in (CANARY, CANARY.replace("Ω", "o")):
        raw = text.encode()
        found |= {
            text,
            quote(text, safe=""),
            quote(text),
            raw.hex(),
            json.dumps(text)[1:-1],
            b64encode(raw).decode()[:-4],
        }
        found.add(b64encode(b"order:" + raw).decode())
    return found


def assert_hidden(value: Any) -> None:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    assert not [each for each in spellings() if each in text], text[:2_000]


def echo(asked: Asked) -> bytes:
    """Everything that came, in several encodings."""
    head = asked.head.decode("latin-1")
    given = asked.headers.get("authorization", "")
    decoded = b64decode(given.partition(" ")[2]).decode() if given.startswith("Basic ") else given
    values = [*asked.headers.values(), *(value for _, value in parse_qsl(asked.target.partition("?")[2]))]
    return json.dumps(
        {
            "head": head,
            "user": decoded,
            "url": asked.target,
            "values": values,
            "hex": [v.encode().hex() for v in values],
        }
    ).encode()


async def serve(asked: Asked, writer: asyncio.StreamWriter) -> None:
    path, _, query = asked.target.partition("?")
    given = dict(parse_qsl(query))
    if path == "/digest-login" and "authorization" not in asked.headers:
        writer.write(answer(status="401 Who", www_authenticate=CHALLENGE))
        return
    match path:
        case "/ok" | "/digest-login":
            writer.write(answer(echo(asked)))
        case "/text":
            writer.write(answer(echo(asked), content_type="text/html"))
        case "/file":
            writer.write(answer(b"\x00" + echo(asked), content_type="application/pdf"))
        case "/gzip":
            writer.write(answer(gzip.compress(echo(asked)), content_encoding="gzip"))
        case "/large":
            writer.write(answer(json.dumps({"much": "x" * 1_000_000, "echo": echo(asked).decode()}).encode()))
        case "/too-large":
            writer.write(answer(echo(asked) * 50))
        case "/header":
            writer.write(answer(b"{}", x_echo=quote(asked.head.decode("latin-1")), set_cookie=asked.target))
        case "/hang":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + echo(asked))
            await asyncio.Event().wait()
        case "/cut":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + echo(asked))
            await writer.drain()
            raise ConnectionResetError
        case "/no-http":
            writer.write(asked.head.replace(b"\r\n", b" ") + b"\r\n\r\n")
        case "/bad-gzip":
            writer.write(answer(echo(asked), content_encoding="gzip"))
        case "/bad-json":
            writer.write(answer(echo(asked)[:-1]))
        case "/encoding":
            writer.write(answer(b"x", content_encoding=quote(asked.target, safe="")))
        case "/to":
            where = given["where"] + ("?back=" + quote(asked.target) if "back" in given else "")
            writer.write(answer(status="302 Go", location=where))
        case "/loop":
            writer.write(answer(status="302 Go", location=asked.target))
        case "/pages":
            writer.write(answer(json.dumps({"next": given["where"]}).encode()))
        case _:
            writer.write(answer(echo(asked), f"{path.rsplit('/', 1)[1]} So"))


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    async with serve_raw(serve) as served:
        yield served


class Shop:
    """An interpreter with a credential of each type."""

    def __init__(self) -> None:
        self.memory = MemoryCredentials()
        self.client = HttpEffects(EgressGuard(["127.0.0.1"]), self.memory.worker(self.provide))
        self.tokens = 0

    def provide(self, _request: HttpRequest) -> dict[str, Any]:
        self.tokens += 1
        body = {"access_token": f"token-number-{self.tokens}", "token_type": "bearer", "expires_in": 3_600}
        return {"status": 200, "headers": {}, "body": body}

    async def ask(self, type_: str, url: str, values: dict[str, str] | None = None, **more: Any) -> Any:
        name = str(uuid4())
        await self.memory.add(name, type_, {**(TYPES.get(type_) or {}), **(values or {})})
        given = {"method": "GET", "timeout_seconds": 5, **more}
        return await self.client.perform(
            HttpRequest(url=url, credential=CredentialRef(name, ["http"]), **given), CONTEXT
        )


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    made = Shop()
    yield made
    await made.client.close()


async def test_each_type_reaches_the_server(server: RawServer, shop: Shop) -> None:
    for type_ in TYPES:
        server.asked.clear()
        path = "/digest-login" if type_ == "http_digest" else "/ok"
        result = await shop.ask(type_, server.url + path + "?q=1")
        assert isinstance(result, dict), result
        assert result["status"] == 200
        asked = server.asked[-1]
        query = dict(parse_qsl(asked.target.partition("?")[2]))
        plain = CANARY.replace("Ω", "o")
        match type_:
            case "http_bearer":
                assert asked.headers["authorization"] == f"Bearer {plain}"
            case "http_basic":
                assert b64decode(asked.headers["authorization"][6:]).decode() == f"order:{CANARY}"
            case "http_digest":
                assert _digest_is_right(asked, "/digest-login?q=1")
            case "http_header":
                assert asked.headers["x-shop-key"] == plain
            case "http_query":
                assert query == {"q": "1", "key": CANARY}
            case _:
                assert (asked.headers["x-one"], query["two"]) == (plain, CANARY)


async def test_oauth2_gets_its_token_and_renews_what_is_refused(shop: Shop) -> None:
    async def picky(asked: Asked, writer: asyncio.StreamWriter) -> None:
        good = asked.headers.get("authorization") == "Bearer token-number-2"
        writer.write(answer(b"{}", "200 OK" if good else "401 No"))

    oauth = {
        "grant": "client_credentials",
        "token_url": "https://id.example/token",
        "client_id": "c",
        "client_secret": CANARY,
    }
    async with serve_raw(picky) as server:
        result = await shop.ask("oauth2", server.url + "/x", oauth)
        assert isinstance(result, dict), result
        assert result["status"] == 200
        assert [asked.headers["authorization"] for asked in server.asked] == [
            "Bearer token-number-1", "Bearer token-number-2",
        ]  # fmt: skip


async def test_a_token_that_was_renewed_on_the_way_comes_back_as_little_as_the_one_before(shop: Shop) -> None:
    """S24, and the pages that follow go on with it."""

    async def picky(asked: Asked, writer: asyncio.StreamWriter) -> None:
        given, place = asked.headers["authorization"], int(asked.target.removeprefix("/"))
        refused = place > 0 and given.endswith("1")
        body = {"echo": given, "next": f"/{place + 1}" if place < 3 else None}
        writer.write(answer(json.dumps(body).encode(), "401 No" if refused or place == 9 else "200 OK"))

    oauth = {"grant": "client_credentials", "token_url": "https://id.example/token", "client_id": "c"}
    async with serve_raw(picky) as server:
        pages = Pages("link", at="next", most_pages=9)
        result = await shop.ask("oauth2", server.url + "/0", oauth, pages=pages)
        assert isinstance(result, dict), result
        assert [asked.headers["authorization"][-1] for asked in server.asked] == ["1", "1", "2", "2", "2"]
        assert [page["echo"] for page in [*result["earlier"], result["body"]]] == ["Bearer [hidden]"] * 4
        result = await shop.ask("oauth2", server.url + "/9", oauth)
        assert "token-number" not in json.dumps(result)


@pytest.mark.parametrize("type_", TYPES)
async def test_v03_a_redirect_to_another_origin_gets_nothing(server: RawServer, shop: Shop, type_: str) -> None:
    async with serve_raw(serve) as other:
        for hop in (f"{other.url}/ok", f"{other.url}/to?where={quote(server.url)}/ok"):
            server.asked.clear()
            other.asked.clear()
            result = await shop.ask(
                type_, server.url + "/to", query={"where": hop}, headers={"X-Own-Key": CANARY[:6] + "own"}
            )
            assert isinstance(result, dict)
            assert len(other.asked) == 1
            for asked in (*other.asked, *server.asked[1:]):  # and nothing on the way back
                assert_hidden(asked.head.decode("latin-1"))
                assert "authorization" not in asked.headers
                assert "x-own-key" not in asked.headers


@pytest.mark.parametrize("type_", TYPES)
async def test_a_next_page_of_another_origin_gets_nothing(server: RawServer, shop: Shop, type_: str) -> None:
    async with serve_raw(serve) as other:
        url = f"{server.url}/pages?where={quote(other.url)}/ok"
        await shop.ask(type_, url, pages=Pages("link", at="next"))
        assert len(other.asked) == 1
        assert_hidden(other.asked[0].head.decode("latin-1"))
        assert "authorization" not in other.asked[0].headers


async def test_a_credential_for_other_hosts_is_not_shown(server: RawServer, shop: Shop) -> None:
    hosts = {"allowed_hosts": "api.example.com, *.example.org"}
    for type_ in TYPES:
        result = await shop.ask(type_, server.url + "/ok", hosts)
        assert isinstance(result, EffectError)
        assert (result.code, result.retriable, result.unknown) == ("credential_host_refused", False, False)
    assert not server.asked


async def test_no_such_credential_sends_nothing(server: RawServer, shop: Shop) -> None:
    request = HttpRequest("GET", server.url + "/ok", credential=CredentialRef(str(uuid4()), ["http"]))
    result = await shop.client.perform(request, CONTEXT)
    assert isinstance(result, EffectError)
    assert result.code == "credential_not_found"
    result = await HttpEffects(EgressGuard(["127.0.0.1"])).perform(request, CONTEXT)
    assert isinstance(result, EffectError)
    assert result.code == "credentials_unavailable"
    assert not server.asked


PATHS = [
    "/ok", "/text", "/file", "/gzip", "/large", "/too-large", "/header", "/hang", "/cut", "/no-http", "/bad-gzip",
    "/bad-json", "/encoding", "/loop", "/status/400", "/status/401", "/status/403", "/status/422", "/status/500",
    "/to?back=1&where=http://127.0.0.1:9/", "/to?back=1&where=http://10.0.0.1/", "/to?back=1&where=gopher://x/",
    "/to?back=1&where=https://127.0.0.1:PORT/ok",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("type_", TYPES)
async def test_s24_no_secret_comes_back(
    server: RawServer,
    shop: Shop,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    type_: str,
    path: str,
) -> None:
    """Whatever the server does with it: not in the result, not in an item, not in an error, not in the log."""
    url = server.url + path.replace("PORT", str(server.port))
    seconds = 0.2 if path == "/hang" or "https" in path else 5
    result = await shop.ask(
        type_, url, timeout_seconds=seconds, max_response_bytes=2_000 if path == "/too-large" else 3_000_000
    )
    assert server.asked
    if isinstance(result, EffectError):
        assert_hidden(result.message)
    else:
        assert_hidden(result)
        if result.get("binary"):
            assert_hidden(b64decode(result["binary"]["data"], validate=True).decode("latin-1"))
        try:
            assert_hidden(bind({"full_response": True}).conclude({"json": {}}, result))
        except NodeFailure as failed:
            assert_hidden(failed.message)
    assert_hidden(caplog.text)
    out, err = capfd.readouterr()
    assert_hidden(out + err)


def _digest_is_right(asked: Asked, uri: str) -> bool:
    given = dict(
        part.strip().split("=", 1) for part in asked.headers["authorization"].removeprefix("Digest ").split(", ")
    )
    said = {name: value.strip('"') for name, value in given.items()}

    def digest(text: str) -> str:
        return md5(text.encode(), usedforsecurity=False).hexdigest()

    secret, what = digest(f"order:shop:{CANARY}"), digest(f"GET:{uri}")
    return said["response"] == digest(f"{secret}:n0:{said['nc']}:{said['cnonce']}:auth:{what}") and said["uri"] == uri
