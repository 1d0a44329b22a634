"""Integrations over HTTP, by the real interpreter with real credentials, on loopback: pages, and no secret (S24)."""

import asyncio
import ssl
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from domain.credential import http_auth
from domain.credential.types import CREDENTIAL_TYPES
from domain.effects import CredentialRef, EffectError, HttpRequest, ItemResult
from domain.integrations.registry import INTEGRATIONS
from domain.integrations.shape import Integration, Request
from infra.egress.guard import EgressGuard
from services.worker.effects.http import HttpEffects
from services.worker.effects.interpreter import EffectContext
from tests.domain.integrations.table import run_case, started
from tests.domain.integrations.test_operations import CASES
from tests.support.certificates import authority
from tests.support.credentials import WORKSPACE, MemoryCredentials
from tests.support.executions import Run
from tests.support.raw_http import Asked, RawServer, serve_raw

CANARY = "canary-7f3a9c5e1b2d4860"
OVER_HTTP = [pytest.param(each, id=each.type) for each in INTEGRATIONS if each.base_url]
CONTEXT = EffectContext(WORKSPACE, "execution", "x", "5f0c1a2b-0000-5000-8000-000000000001", "unsafe")


async def client_with(type_: str, **values: str) -> HttpEffects:
    credentials = MemoryCredentials()
    fields = CREDENTIAL_TYPES[type_].fields
    secret = {field.name: CANARY for field in fields if field.secret}
    plain = {field.name: "plain" for field in fields if field.required and not field.secret and not field.default}
    await credentials.add("c", type_, {**plain, **secret, **values})
    return HttpEffects(EgressGuard(["127.0.0.1"]), credentials.worker())


def json_answer(body: Any, status: int = 200, head: str = "") -> bytes:
    data = msgspec.json.encode(body)
    return (
        f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n{head}\r\n".encode()
        + data
    )


def at(server: RawServer, effect: HttpRequest, type_: str) -> HttpRequest:
    """The effect, sent to this server instead of the service."""
    parts = urlsplit(effect.url)
    return msgspec.structs.replace(
        effect, url=server.url + parts.path, credential=CredentialRef("c", [type_]), timeout_seconds=0.7
    )


def holds_secret(value: Any) -> bool:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    shifted = [b64encode(b"x" * pad + CANARY.encode()).decode()[4:-4] for pad in range(3)]
    return CANARY in text or CANARY[:12] in text or any(each in text for each in shifted)


async def ok(asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(json_answer({"ok": True, "you_sent": asked.head.decode()}, head=f"X-Seen: {CANARY}\r\n"))


async def refusal(asked: Asked, writer: asyncio.StreamWriter) -> None:
    told = f"wrong key: {asked.head.decode()}"
    body = {"ok": False, "message": told, "error": {"message": told, "code": told}, "description": told}
    writer.write(json_answer(body, 403))


async def long_text(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """The secret stands where messages are cut."""
    data = ("x" * 255 + asked.head.decode() + "y" * 200_000).encode()
    writer.write(f"HTTP/1.1 500 X\r\nContent-Type: text/plain\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)


async def silence(_asked: Asked, _writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


ANSWERS = {"ok": ok, "refusal": refusal, "long text": long_text, "silence": silence}


@pytest.mark.parametrize("what", [*ANSWERS, "tls"])
@pytest.mark.parametrize("integration", OVER_HTTP)
async def test_no_secret_comes_back(
    integration: Integration, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert integration.credential is not None
    monkeypatch.setattr(http_auth, "check_host", lambda *_: None)  # the server here is not the service's
    type_ = integration.credential.name
    client = await client_with(type_)
    tls: ssl.SSLContext | None = authority().server(tmp_path, "other.example") if what == "tls" else None
    moved = http_auth.moved
    async with serve_raw(ANSWERS.get(what, ok), tls) as server:
        monkeypatch.setattr(http_auth, "moved", lambda *given: server.url + urlsplit(moved(*given)).path)
        case = next(each for each in CASES[integration.type] if each.failure is None)
        run = run_case(integration.type, case)
        (effect,) = run.attempt("x").effects
        assert not holds_secret(msgspec.to_builtins(effect))
        effect = msgspec.structs.replace(effect, credential=CredentialRef("c", [type_]), timeout_seconds=0.7)
        result = await client.perform(effect, CONTEXT)
        await client.close()
    if what == "tls":
        assert isinstance(result, EffectError)
        assert result.code == "tls_failed"
    else:
        sent = server.asked[0].head.decode()
        assert holds_secret(sent), "the request was not authenticated"
    failed = isinstance(result, EffectError)
    assert failed == (what in {"silence", "tls"})
    assert not holds_secret(msgspec.to_builtins(result))
    item = ItemResult(index=0, error=result) if isinstance(result, EffectError) else ItemResult(index=0, value=result)
    run.conclude("x", [item])
    assert run.status == ("completed" if what == "ok" else "failed")
    assert not holds_secret(msgspec.to_builtins(run.events))


async def performed(run: Run, client: HttpEffects, type_: str) -> Run:
    """One attempt, by the real interpreter."""
    (effect,) = run.attempt("x").effects
    effect = msgspec.structs.replace(effect, credential=CredentialRef("c", [type_]))
    result = await client.perform(effect, CONTEXT)
    await client.close()
    assert not isinstance(result, EffectError), result
    return run.conclude("x", [ItemResult(index=0, value=result)])


async def test_pages_by_link_at_a_service_of_ones_own() -> None:
    async def pages(asked: Asked, writer: asyncio.StreamWriter) -> None:
        page = 2 if "&page=2" in asked.target else 1
        following = f'Link: <{server.url}/api/v3/repos/o/r/issues?per_page=100&page=2>; rel="next"\r\n'
        writer.write(json_answer([{"n": 2 * page - 1}, {"n": 2 * page}], head=following if page == 1 else ""))

    async with serve_raw(pages) as server:
        client = await client_with("github", base_url=f"{server.url}/api/v3")
        listed = {"resource": "issue", "operation": "list", "owner": "o", "repo": "r"}
        run = await performed(started("github", listed, {}), client, "github")
        assert [item["json"] for item in run.output] == [{"n": 1}, {"n": 2}, {"n": 3}, {"n": 4}]
        assert [asked.target for asked in server.asked] == [
            "/api/v3/repos/o/r/issues?per_page=100",
            "/api/v3/repos/o/r/issues?per_page=100&page=2",
        ]
        assert all(asked.headers["authorization"] == f"Bearer {CANARY}" for asked in server.asked)

        client = await client_with("github", base_url=f"{server.url}/api/v3")
        run = await performed(started("github", {**listed, "limit": 2}, {}), client, "github")
        assert [item["json"] for item in run.output] == [{"n": 1}, {"n": 2}]
        assert len(server.asked) == 3


async def test_pages_by_cursor_go_through_empty_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_auth, "check_host", lambda *_: None)

    async def pages(asked: Asked, writer: asyncio.StreamWriter) -> None:
        following = {"": "a", "a": "b", "b": ""}
        cursor = asked.target.partition("cursor=")[2]
        channels = [] if cursor == "a" else [{"id": cursor or "first"}]
        answer = {"ok": True, "channels": channels, "response_metadata": {"next_cursor": following[cursor]}}
        writer.write(json_answer(answer))

    async with serve_raw(pages) as server:
        client = await client_with("slack")
        run = started("slack", {"resource": "channel", "operation": "list"}, {})
        (effect,) = run.attempt("x").effects
        result = await client.perform(at(server, effect, "slack"), CONTEXT)
        await client.close()
        run.conclude("x", [ItemResult(index=0, value=result)])
        assert [item["json"]["id"] for item in run.output] == ["first", "b"]


async def test_a_credential_is_shown_to_its_own_service_only() -> None:
    """A request to anywhere else fails before anything is sent."""
    async with serve_raw(ok) as server:
        for integration in (each for each in INTEGRATIONS if each.base_url):
            assert integration.credential is not None
            client = await client_with(integration.credential.name)
            request = HttpRequest("GET", server.url, credential=CredentialRef("c", [integration.credential.name]))
            result = await client.perform(request, CONTEXT)
            await client.close()
            assert isinstance(result, EffectError)
            assert result.code == "credential_host_refused", (integration.type, result)
        assert server.asked == []


def test_no_node_and_no_interpreter_starts_a_process() -> None:
    """S16: no text of a user is ever an argument of a program."""
    root = Path(__file__).parents[4]
    for folder in ("domain/integrations", "services/worker/effects"):
        for path in (root / folder).rglob("*.py"):
            source = path.read_text(encoding="utf-8")
            assert "subprocess" not in source, path
            assert "os.system" not in source, path
            assert "os.exec" not in source, path


def test_every_request_goes_where_the_integration_says() -> None:
    for integration in INTEGRATIONS:
        for case in CASES[integration.type]:
            operation = next(each for each in integration.operations if each.key == case.operation)
            if isinstance(operation.request, Request):
                assert case.effect["url"].startswith(integration.base_url + "/")
