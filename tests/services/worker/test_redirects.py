"""Redirects: methods, bounds, and what goes along to another origin (V03), on real servers."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from domain.effects import EffectError, HttpRequest
from infra.egress.guard import EgressGuard
from services.worker.effects.http import HttpEffects
from services.worker.effects.interpreter import EffectContext

CONTEXT = EffectContext("w", "e", "n", "key", "unsafe")
SECRETS = {"Authorization": "Bearer canary", "Cookie": "s=canary", "X-Api-Key": "canary", "X-Whatever": "canary"}


class Server:
    """`/to/<status>?where=…` redirects, `/loop` to itself; everything else says what came."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], str]] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.seen.append((request.method, request.path, dict(request.headers), await request.text()))
        if request.path.startswith("/to/"):
            return web.Response(status=int(request.path[4:]), headers={"Location": request.query["where"]})
        if request.path == "/loop":
            return web.Response(status=302, headers={"Location": "/loop"})
        return web.json_response({"ok": True})


async def open_server() -> tuple[Server, web.AppRunner]:
    server, app = Server(), web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    return server, runner


@pytest.fixture
async def servers() -> AsyncIterator[tuple[Server, Server]]:
    """Two origins."""
    (one, first), (two, second) = await open_server(), await open_server()
    yield one, two
    await first.cleanup()
    await second.cleanup()


@pytest.fixture
async def client() -> AsyncIterator[HttpEffects]:
    effects = HttpEffects(EgressGuard(["127.0.0.1"]))
    yield effects
    await effects.close()


@pytest.mark.parametrize(
    ("status", "method", "then", "body"),
    [
        (301, "POST", "GET", ""), (302, "POST", "GET", ""), (303, "POST", "GET", ""), (303, "PUT", "GET", ""),
        (307, "POST", "POST", '{"a":1}'), (308, "POST", "POST", '{"a":1}'), (301, "PUT", "PUT", '{"a":1}'),
        (302, "DELETE", "DELETE", '{"a":1}'), (303, "HEAD", "HEAD", ""), (301, "GET", "GET", ""),
    ],
)  # fmt: skip
async def test_the_method_that_follows(
    servers: tuple[Server, Server], client: HttpEffects, status: int, method: str, then: str, body: str
) -> None:
    one, _ = servers
    request = HttpRequest(
        method=method,
        url=f"{one.url}/to/{status}",
        query={"where": "/end?x=1"},
        headers=SECRETS,
        body=None if method in {"GET", "HEAD"} else {"a": 1},
    )
    result = await client.perform(request, CONTEXT)
    assert isinstance(result, dict), result
    assert [seen[0] for seen in one.seen] == [method, then]
    assert one.seen[-1][1] == "/end"
    assert one.seen[-1][3] == body
    assert ("Content-Type" in one.seen[-1][2]) == bool(body)
    assert all(one.seen[-1][2][name] == value for name, value in SECRETS.items())  # the same origin


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_nothing_secret_goes_to_another_origin(
    servers: tuple[Server, Server], client: HttpEffects, status: int
) -> None:
    one, two = servers
    headers = {**SECRETS, "Accept": "text/plain"}
    request = HttpRequest(
        method="GET", url=f"{one.url}/to/{status}", query={"where": f"{two.url}/end"}, headers=headers
    )
    assert isinstance(await client.perform(request, CONTEXT), dict)
    assert "canary" in str(one.seen)
    assert "canary" not in str(two.seen)
    assert two.seen[0][2]["Accept"] == "text/plain"


async def test_there_and_back_brings_no_secret_back(servers: tuple[Server, Server], client: HttpEffects) -> None:
    one, two = servers
    back = f"{two.url}/to/302?where={one.url}/end"
    request = HttpRequest(method="GET", url=f"{one.url}/to/302", query={"where": back}, headers=SECRETS)
    assert isinstance(await client.perform(request, CONTEXT), dict)
    assert "canary" not in str(two.seen)
    assert "canary" not in str(one.seen[-1])


async def test_a_loop_ends(servers: tuple[Server, Server], client: HttpEffects) -> None:
    one, _ = servers
    for most in (10, 3):
        one.seen.clear()
        request = HttpRequest(method="GET", url=f"{one.url}/loop", max_redirects=most)
        result = await client.perform(request, CONTEXT)
        assert isinstance(result, EffectError)
        assert (result.code, result.retriable) == ("too_many_redirects", False)
        assert len(one.seen) == most + 1


async def test_a_redirect_that_is_not_followed_is_the_answer(
    servers: tuple[Server, Server], client: HttpEffects
) -> None:
    one, two = servers
    request = HttpRequest(
        method="GET", url=f"{one.url}/to/302", query={"where": f"{two.url}/end"}, follow_redirects=False
    )
    result = await client.perform(request, CONTEXT)
    assert isinstance(result, dict)
    assert result["status"] == 302
    assert result["headers"]["location"] == f"{two.url}/end"
    assert not two.seen


async def test_what_fails_after_the_first_answer_may_have_happened(
    servers: tuple[Server, Server], client: HttpEffects
) -> None:
    """A POST was taken and its redirect cannot be followed: it must not be sent again by itself."""
    one, _ = servers
    request = HttpRequest(method="POST", url=f"{one.url}/to/303", query={"where": "http://127.0.0.1:9/"}, body={})
    result = await client.perform(request, CONTEXT)
    assert isinstance(result, EffectError)
    assert (result.code, result.unknown) == ("connection_failed", True)
