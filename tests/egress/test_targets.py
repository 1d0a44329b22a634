"""S10: the host that is judged is the host that is connected to, whatever the address looks like."""

import random

from domain.effects import EffectError, HttpRequest
from infra.egress.guard import EgressGuard
from services.worker.effects.http import HttpEffects
from services.worker.effects.interpreter import EffectContext
from tests.egress.sink import open_sink

COUNT = 10_000
SEED = 20_261_127
CONTEXT = EffectContext("w", "e", "n", "key", "read")

LABELS = [
    "example",
    "EXAMPLE",
    "evil-example",
    "a",
    "münchen",
    "xn--mnchen-3ya",
    "пример",
    "b_c",
    "127",
    "0x7f",
    "１２７",
    "ß",
    "İ",
]
ENDS = ["com", "COM", "com.", "example.org", "test", "1", "0.0.1", "рф", "internal"]
BEFORE = [
    "",
    "",
    "",
    "",
    "",
    "user@",
    "user:secret@",
    "good.example@",
    "good.example:80@",
    "@",
    "good.example\\@",
    "good.example%40",
]
AFTER = [
    "/", "", "/a/b", "?x=1", "#f", "/@evil.example", "?@evil.example/", "#@evil.example", "/\\evil.example", "/%2e%2e/",
    "//b/",
    "/a b", "/ü?ü=ü#ü", ";@evil.example", "\\evil.example", "\\@evil.example", "?http://evil.example/",
    "/%0d%0aHost:evil.example",
]  # fmt: skip
SCHEMES = ["http", "http", "http", "HTTP", "hTTp"]


def address(source: random.Random, port: int) -> str:
    labels = [source.choice(LABELS) for _ in range(source.randint(0, 3))]
    host = source.choice([".", ".", ".", ".", "。", ".."]).join([*labels, source.choice(ENDS)])
    where = source.choice([f":{port}"] * 9 + [f":{port}:80", f": {port}", f":0{port}", ":"])
    return f"{source.choice(SCHEMES)}://{source.choice(BEFORE)}{host}{where}{source.choice(AFTER)}"


async def test_the_host_judged_is_the_host_connected_to() -> None:
    """Each name is resolved to the sink, which notes the Host header; so the three hosts can be compared."""
    source = random.Random(SEED)
    judged: list[str] = []

    async def lookup(host: str, _port: int) -> list[str]:
        judged.append(host)
        return ["127.0.0.1"]

    connected = refused = 0
    async with open_sink() as sink:
        for _ in range(COUNT // 1_000):  # a new client now and then: names are remembered
            client = HttpEffects(EgressGuard(["127.0.0.1"], lookup))
            seen: set[str] = set()
            for _ in range(1_000):
                url = address(source, sink.port)
                if source.random() < 0.1:
                    url = url.replace(f":{sink.port}", "", 1)
                before, asked = sink.connections, len(judged)
                result = await client.perform(HttpRequest(method="GET", url=url, timeout_seconds=5), CONTEXT)
                if isinstance(result, EffectError):
                    assert sink.connections == before, (url, result)
                    refused += 1
                    continue
                connected += 1
                assert sink.connections == before + 1, url
                host = _host_header(sink.heads[-1])
                if len(judged) > asked:
                    assert judged[-1].rstrip(".") == host, url  # the client leaves the final dot out of the header
                    seen.add(host)
                else:
                    assert host in seen or host == "127.0.0.1", url  # judged before, by this guard; opened as it is
                assert "@" not in url.partition("://")[2].partition("/")[0].partition("?")[0].partition("#")[0]
            await client.close()
    assert connected > COUNT // 6
    assert refused > COUNT // 4


def _host_header(head: bytes) -> str:
    lines = [line for line in head.decode("latin-1").split("\r\n") if line.lower().startswith("host:")]
    assert len(lines) == 1
    return lines[0].partition(":")[2].strip().rpartition(":")[0]
