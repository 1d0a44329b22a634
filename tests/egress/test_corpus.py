"""V02: no request reaches what is not public, however it is spelled, redirected or resolved; no good one is blocked."""

from collections.abc import AsyncIterator

import pytest

from domain.effects import EffectError, HttpRequest
from infra.egress.guard import EgressGuard
from services.worker.effects.http import HttpEffects
from services.worker.effects.interpreter import EffectContext
from tests.egress.corpus import ADDRESSES, ALIASES, GOOD, NAMES, TARGETS, V6
from tests.egress.sink import NameServer, Redirector, Sink, open_name_server, open_redirector, open_sink

CONTEXT = EffectContext("w", "e", "n", "key", "read")
REDIRECTS_FROM = "127.0.0.5"
STATUSES = (301, 302, 303, 307, 308)
BLOCKED = {"egress_refused", "invalid_request"}


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    async with open_sink() as opened:
        yield opened


@pytest.fixture
async def names() -> AsyncIterator[NameServer]:
    async with open_name_server() as server:
        server.answers = {name: (lambda _n, found=found: found) for name, found in NAMES.items()}
        server.aliases = dict(ALIASES)
        yield server


@pytest.fixture
async def redirector() -> AsyncIterator[Redirector]:
    try:
        async with open_redirector(REDIRECTS_FROM) as opened:
            yield opened
    except OSError:
        pytest.skip(f"this system has no {REDIRECTS_FROM}")


async def ask(client: HttpEffects, url: str, **more: object) -> dict[str, object] | EffectError:
    return await client.perform(HttpRequest(method="GET", url=url, timeout_seconds=5, **more), CONTEXT)  # type: ignore[arg-type]


def resolver(names: NameServer) -> object:
    """The test's name server for its names, the system for the rest (odd spellings of addresses, localhost)."""
    system = EgressGuard([])

    async def lookup(host: str, port: int) -> object:
        known = host.rstrip(".") in names.answers or host in names.aliases
        return await (names.lookup(host, port) if known else system._ask_system(host, port))

    return lookup


def test_the_corpus_is_large_enough() -> None:
    assert len(set(TARGETS)) >= 120
    assert len(set(GOOD)) >= 50


async def test_no_target_is_reached(sink: Sink, names: NameServer) -> None:
    client = HttpEffects(EgressGuard([], resolver(names)))  # type: ignore[arg-type]
    passed = {}
    for target in TARGETS:
        result = await ask(client, target.replace("PORT", str(sink.port)))
        if not isinstance(result, EffectError) or result.code not in BLOCKED or result.retriable or result.unknown:
            passed[target] = result
    await client.close()
    assert not passed
    assert sink.connections == 0


async def test_no_redirect_reaches_a_target(sink: Sink, names: NameServer, redirector: Redirector) -> None:
    """The first hop may be reached, what it points at may not."""
    client = HttpEffects(EgressGuard([REDIRECTS_FROM], resolver(names)))  # type: ignore[arg-type]
    passed = {}
    asked = 0
    for target in TARGETS:
        if "\r" in target or "\n" in target or "\0" in target:
            continue  # cannot stand in a header
        for status in STATUSES:
            redirector.location = target.replace("PORT", str(sink.port))
            result = await ask(client, f"http://{REDIRECTS_FROM}:{redirector.port}/{status}")
            asked += 1
            blocked = isinstance(result, EffectError) and result.code in BLOCKED
            stayed = isinstance(result, dict) and result["status"] == 404  # a path of the first hop, as URLs are read
            if not blocked and not stayed:
                passed[target, status] = result
    await client.close()
    assert not passed
    assert sink.connections == 0
    assert asked >= 120 * len(STATUSES)


async def test_what_a_name_was_judged_to_be_is_what_is_connected_to(sink: Sink, names: NameServer) -> None:
    """A name that is harmless when it is judged and loopback when it would be connected to (TTL 0)."""
    names.answers["rebinding.example"] = lambda n: ["127.0.0.7"] if n == 1 else ["127.0.0.1"]
    client = HttpEffects(EgressGuard(["127.0.0.7"], names.lookup))
    for _ in range(3):
        result = await ask(client, f"http://rebinding.example:{sink.port}/")
        assert isinstance(result, EffectError)
        assert result.code == "connection_failed"  # at 127.0.0.7 nobody listens
    await client.close()
    assert names.asked["rebinding.example"] == 1
    assert sink.connections == 0


async def test_a_name_that_turns_bad_is_refused_when_it_is_resolved_again(sink: Sink, names: NameServer) -> None:
    names.answers["turning.example"] = lambda n: ["127.0.0.7"] if n == 1 else ["127.0.0.1"]
    for code in ("connection_failed", "egress_refused"):
        client = HttpEffects(EgressGuard(["127.0.0.7"], names.lookup))
        result = await ask(client, f"http://turning.example:{sink.port}/")
        await client.close()
        assert isinstance(result, EffectError)
        assert result.code == code
    assert sink.connections == 0


async def test_proxies_of_the_environment_are_not_used(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{sink.port}")
    client = HttpEffects(EgressGuard(["127.0.0.9"]))
    for scheme in ("http", "https"):
        result = await ask(client, f"{scheme}://127.0.0.9:9/")
        assert isinstance(result, EffectError)
        assert result.code == "connection_failed"
    await client.close()
    assert sink.connections == 0


async def test_nothing_good_is_blocked() -> None:
    guard = EgressGuard([])
    for ip in GOOD:
        addresses = await guard.resolve(ip, 443)  # judged, not connected
        assert len(addresses) == 1, ip


async def test_the_port_of_a_database_or_mail_server_is_judged_alike(sink: Sink, names: NameServer) -> None:
    """What other interpreters use: resolve, connect, open_connection."""
    guard = EgressGuard([], resolver(names))  # type: ignore[arg-type]
    for host in [*ADDRESSES, *V6, *NAMES, *ALIASES]:
        for connect in (guard.resolve, guard.connect, guard.open_connection):
            with pytest.raises((Exception,)) as refused:
                await connect(host, sink.port)
            assert getattr(refused.value, "code", None) == "egress_refused" or isinstance(refused.value, OSError), host
    assert sink.connections == 0


@pytest.mark.parametrize("allow", [["127.0.0.1"], ["127.0.0.0/8", "::1"]])
async def test_what_the_operator_opened_is_reached(sink: Sink, allow: list[str]) -> None:
    client = HttpEffects(EgressGuard(allow))
    for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]"):
        result = await ask(client, f"http://{host}:{sink.port}/")
        assert isinstance(result, dict), result
        assert result["status"] == 200
    await client.close()
    assert sink.connections == 3


async def test_the_refusal_says_which_setting_opens_it(sink: Sink) -> None:
    client = HttpEffects(EgressGuard(["10.0.0.0/8"]))
    result = await ask(client, f"http://127.0.0.1:{sink.port}/")
    await client.close()
    assert isinstance(result, EffectError)
    assert "LINKFLOW_EGRESS_ALLOW=127.0.0.1" in result.message
    assert "loopback" in result.message
