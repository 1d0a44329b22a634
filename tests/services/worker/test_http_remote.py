"""R21: what a server may do to us, each as a result that says what happened, in bounded time and memory."""

import asyncio
import datetime
import gzip
import ssl
import zlib
from collections.abc import AsyncIterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from domain.effects import EffectError, HttpRequest
from infra.egress.guard import EgressGuard
from services.worker.effects.http import HttpEffects
from services.worker.effects.interpreter import EffectContext
from tests.support.raw_http import Asked, RawServer, answer, serve_raw

CONTEXT = EffectContext("w", "e", "n", "key", "unsafe")
BOMB = gzip.compress(bytes(200_000_000), 9)  # 200 KB that become 200 MB


async def reset(writer: asyncio.StreamWriter) -> None:
    await writer.drain()
    writer.transport.abort()
    raise ConnectionResetError


async def misbehave(asked: Asked, writer: asyncio.StreamWriter) -> None:
    match asked.target:
        case "/hang":
            await asyncio.Event().wait()
        case "/hang-in-body":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
            await asyncio.Event().wait()
        case "/drip":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while True:
                writer.write(b"x")
                await asyncio.sleep(0.02)
        case "/reset":
            await reset(writer)
        case "/reset-in-body":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
            await reset(writer)
        case "/ends-early":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\n12345")
            await writer.drain()
            raise ConnectionResetError
        case "/chunks-end-early":
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n")
            await writer.drain()
            raise ConnectionResetError
        case "/endless":
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                writer.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
                await writer.drain()
        case "/long":
            writer.write(answer(bytes(2_000_000)))
        case "/gigabyte":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            for _ in range(1_000):
                writer.write(bytes(1_000_000))
                await writer.drain()
        case "/bomb":
            writer.write(answer(BOMB, content_encoding="gzip"))
        case "/bomb-deflate":
            writer.write(answer(zlib.compress(bytes(50_000_000), 9), content_encoding="deflate"))
        case "/gzip-cut":
            writer.write(answer(gzip.compress(b'{"a": 1}')[:-9], content_encoding="gzip"))
        case "/gzip-broken":
            writer.write(answer(b"no gzip at all", content_encoding="gzip"))
        case "/unasked-encoding":
            writer.write(answer(b"???", content_encoding="br"))
        case "/no-http":
            writer.write(b"220 mail.example.com ESMTP\r\n\r\n")
        case "/headers":
            writer.write(b"HTTP/1.1 200 OK\r\n" + b"X: " + b"a" * 100_000 + b"\r\n\r\n")
        case "/many-headers":
            writer.write(b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: a\r\n" % n for n in range(100_000)) + b"\r\n")
        case "/deep":
            writer.write(answer(b"[" * 100_000 + b"]" * 100_000))
        case "/deep-quotes":
            writer.write(answer(b"[" * 101 + b'"' + b'\\"' * 2_000_000))
        case "/bad-length":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n")
        case "/two-lengths":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n12")
        case "/broken-json":
            writer.write(answer(b'{"a": '))
        case _:
            status = asked.target.removeprefix("/status/")
            writer.write(answer(b'{"no": true}', f"{status} So", retry_after="7"))


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    async with serve_raw(misbehave) as served:
        yield served


@pytest.fixture
async def client() -> AsyncIterator[HttpEffects]:
    effects = HttpEffects(EgressGuard(["127.0.0.1"]))
    yield effects
    await effects.close()


async def ask(client: HttpEffects, url: str, **more: Any) -> dict[str, Any] | EffectError:
    return await client.perform(HttpRequest(**{"method": "POST", "url": url, "timeout_seconds": 5, **more}), CONTEXT)


@pytest.mark.parametrize(
    ("path", "code", "retriable", "unknown"),
    [
        ("/hang", "timeout", True, True),
        ("/hang-in-body", "timeout", True, True),
        ("/drip", "timeout", True, True),
        ("/reset", "connection_lost", True, True),
        ("/reset-in-body", "connection_lost", True, True),
        ("/ends-early", "connection_lost", True, True),
        ("/chunks-end-early", "connection_lost", True, True),
        ("/endless", "response_too_large", False, False),
        ("/long", "response_too_large", False, False),
        ("/gigabyte", "response_too_large", False, False),
        ("/bomb", "response_too_large", False, False),
        ("/bomb-deflate", "response_too_large", False, False),
        ("/gzip-cut", "bad_response", False, False),
        ("/gzip-broken", "bad_response", False, False),
        ("/unasked-encoding", "bad_response", False, False),
        ("/no-http", "bad_response", False, True),
        ("/headers", "bad_response", False, True),
        ("/many-headers", "bad_response", False, True),
        ("/deep", "response_too_deep", False, False),
        ("/bad-length", "bad_response", False, True),
        ("/two-lengths", "bad_response", False, True),
    ],
)
async def test_what_a_server_does(
    server: RawServer, client: HttpEffects, path: str, code: str, retriable: bool, unknown: bool
) -> None:
    seconds = 0.3 if code == "timeout" else 5
    result = await ask(client, server.url + path, timeout_seconds=seconds, max_response_bytes=1_000_000)
    assert isinstance(result, EffectError), str(result)[:300]
    assert (result.code, result.retriable, result.unknown) == (code, retriable, unknown), result
    assert len(result.message) < 700
    assert len(server.asked) == 1  # attempts are the engine's business: one effect, one request


async def test_deep_quotes_cost_no_more_than_their_length(server: RawServer, client: HttpEffects) -> None:
    result = await ask(client, server.url + "/deep-quotes", max_response_bytes=5_000_000, timeout_seconds=20)
    assert isinstance(result, EffectError)
    assert result.code == "response_too_deep"


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
async def test_a_status_is_an_answer(server: RawServer, client: HttpEffects, status: int) -> None:
    """What it means is the node's business (`accept_status`, Retry-After)."""
    result = await ask(client, f"{server.url}/status/{status}")
    assert isinstance(result, dict)
    assert (result["status"], result["body"], result["headers"]["retry-after"]) == (status, {"no": True}, "7")


async def test_broken_json_is_text_unless_json_was_asked_for(server: RawServer, client: HttpEffects) -> None:
    result = await ask(client, server.url + "/broken-json")
    assert isinstance(result, dict)
    assert result["body"] == '{"a": '
    result = await ask(client, server.url + "/broken-json", response="json")
    assert isinstance(result, EffectError)
    assert (result.code, result.retriable) == ("bad_response", False)


async def test_nobody_listens(client: HttpEffects) -> None:
    result = await ask(client, "http://127.0.0.1:9/")
    assert isinstance(result, EffectError)
    assert (result.code, result.retriable, result.unknown) == ("connection_failed", True, False)


async def test_others_are_served_while_servers_misbehave(server: RawServer, client: HttpEffects) -> None:
    bad = [
        asyncio.create_task(ask(client, server.url + path, timeout_seconds=2, max_response_bytes=500_000))
        for path in ("/bomb", "/endless", "/drip", "/hang", "/deep") * 4
    ]
    for _ in range(20):
        assert isinstance(await ask(client, f"{server.url}/status/200", timeout_seconds=5), dict)
    assert all(isinstance(result, EffectError) for result in await asyncio.gather(*bad))


# --- TLS ------------------------------------------------------------------------------------------------------------


def certificate(directory: Path, *, expired: bool = False) -> ssl.SSLContext:
    """A server's context with a certificate for 127.0.0.1 that nobody signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    end = now - datetime.timedelta(days=1) if expired else now + datetime.timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = directory / "server.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@pytest.mark.parametrize("expired", [False, True])
async def test_a_certificate_that_is_not_good(tmp_path: Path, client: HttpEffects, expired: bool) -> None:
    async with serve_raw(misbehave, certificate(tmp_path, expired=expired)) as server:
        result = await ask(client, server.url + "/status/200")
        assert isinstance(result, EffectError)
        assert (result.code, result.retriable, result.unknown) == ("tls_failed", False, False)
        assert not server.asked
        taken = await ask(client, server.url + "/status/200", verify_tls=False)
        assert isinstance(taken, dict), taken
        again = await ask(client, server.url + "/status/200")  # the unverified connection serves nobody else
        assert isinstance(again, EffectError)


async def test_no_tls_where_https_is_said(client: HttpEffects) -> None:
    async def plain(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server:
        result = await ask(client, f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    assert isinstance(result, EffectError)
    assert (result.code, result.retriable, result.unknown) == ("tls_failed", False, False)


async def test_a_handshake_that_hangs_sent_nothing(server: RawServer, client: HttpEffects) -> None:
    result = await ask(client, server.url.replace("http:", "https:") + "/hang", timeout_seconds=0.3)
    assert isinstance(result, EffectError)
    assert (result.code, result.retriable, result.unknown) == ("timeout", True, False)
