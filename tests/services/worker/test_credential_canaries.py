"""S24, C18: a canary in a credential, through every interpreter, whatever the server does: it turns up nowhere else."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from domain.effects import CredentialRef, Effect, EffectError, HttpRequest, RedisCommand, SendMail, SqlQuery
from domain.execution.commands import ConcludeAttempt
from infra.egress.guard import EgressGuard
from infra.telemetry.logs import _hide_secrets
from infra.telemetry.secret_values import encodings
from services.worker.effects.credentials import Credentials
from services.worker.effects.interpreter import EffectContext, Interpreter
from services.worker.main import make_interpreters
from tests.support.credentials import WORKSPACE, MemoryCredentials
from tests.support.provider import provider

CANARY = 'canary-Zq7/+"9&f3=x'
FORMS = encodings(CANARY)
CONTEXT = EffectContext(WORKSPACE, str(uuid4()), "call", "key", "read")


def hits(text: str) -> list[str]:
    return [form for form in FORMS if form in text]


def logged(lines: list[Any]) -> str:
    """The lines as the log's own processor leaves them."""
    return repr([_hide_secrets(None, "", line) for line in lines])


@asynccontextmanager
async def server(talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]) -> AsyncIterator[int]:
    """A TCP server that behaves as `talk` does; its port."""

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    running = await asyncio.start_server(served, "127.0.0.1", 0)
    async with running:
        yield running.sockets[0].getsockname()[1]


async def repeats(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()


async def accuses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers in no protocol at all, with the secret in it."""
    writer.write(f"-ERR 535 {CANARY}\r\n".encode())
    await writer.drain()
    while await reader.read(65_536):
        writer.write(f"-ERR wrong password {CANARY}\r\n".encode())
        await writer.drain()


async def is_silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    while await reader.read(65_536):
        pass


@pytest.fixture
async def worker() -> AsyncIterator[tuple[MemoryCredentials, dict[type, Interpreter]]]:
    guard = EgressGuard(("127.0.0.1",))
    memory = MemoryCredentials()
    credentials: Credentials = memory.worker()
    interpreters = dict(make_interpreters(guard, credentials))
    yield memory, interpreters
    for interpreter in interpreters.values():
        await interpreter.close()
    await credentials.close()
    guard.close()


async def test_http(worker: tuple[MemoryCredentials, dict[type, Interpreter]]) -> None:
    memory, interpreters = worker
    values = {
        "http_bearer": {"token": CANARY},
        "http_basic": {"user": "order", "password": CANARY},
        "http_header": {"name": "X-Shop-Key", "value": CANARY},
        "http_query": {"name": "key", "value": CANARY},
        "http_custom": {"headers": json.dumps({"X-One": CANARY}), "query": json.dumps({"two": CANARY})},
    }
    shown: list[tuple[str, str, str]] = []
    lines: list[Any] = []
    async with (
        provider() as service,
        server(repeats) as port,
        server(is_silent) as deaf,
        server(accuses) as rude,
    ):
        addresses = [
            f"{service.url}/echo/200",
            f"{service.url}/echo/401",
            f"{service.url}/echo/500",
            f"{service.url}/large",
            f"{service.url}/elsewhere?to=http://127.0.0.1:{deaf}/",
            f"http://127.0.0.1:{port}/",
            f"http://127.0.0.1:{rude}/",
            f"https://127.0.0.1:{port}/",
            f"http://127.0.0.1:{deaf}/",
            "http://127.0.0.1:1/",
            "http://10.0.0.1/",
            f"http://{CANARY[:8]}.invalid/",
        ]
        for type_, fields in values.items():
            name = str(uuid4())
            await memory.add(name, type_, fields)
            ref = CredentialRef(name, ["http"])
            for url in addresses:
                for limit in (5_000_000, 900):
                    request = HttpRequest(
                        "POST", url, body={"n": 1}, timeout_seconds=0.3, max_response_bytes=limit, credential=ref
                    )
                    with capture_logs() as seen:
                        answer = await interpreters[HttpRequest].perform(request, CONTEXT)
                    lines += seen
                    shown.append((type_, url, repr(answer)))
    assert not hits(logged(lines))
    assert not [each for each in shown if hits(each[2])]
    outcomes = {text.split("code='")[1].split("'")[0] for _, _, text in shown if "code='" in text}
    assert {"timeout", "tls_failed", "connection_failed", "egress_refused", "response_too_large"} <= outcomes


@pytest.mark.parametrize(
    "talk", [repeats, accuses, is_silent, None], ids=lambda each: getattr(each, "__name__", "none")
)
async def test_servers(worker: tuple[MemoryCredentials, dict[type, Interpreter]], talk: Any) -> None:
    memory, interpreters = worker
    async with server(talk or is_silent) as port:
        place = {"host": "127.0.0.1", "port": str(port if talk else 1)}
        wanted: list[tuple[str, dict[str, str], Callable[[CredentialRef], Effect]]] = [
            ("postgres", {**place, "database": "d", "user": "u", "password": CANARY, "tls": "off"},
             lambda ref: SqlQuery("SELECT 1", timeout_seconds=0.3, credential=ref)),
            ("redis", {**place, "password": CANARY},
             lambda ref: RedisCommand(["PING"], timeout_seconds=0.3, credential=ref)),
            ("smtp", {**place, "security": "none", "user": "u", "password": CANARY, "from": "a@example.com"},
             lambda ref: SendMail(["b@example.com"], "s", text="t", timeout_seconds=0.3, credential=ref)),
        ]  # fmt: skip
        for type_, fields, effect_of in wanted:
            name = str(uuid4())
            await memory.add(name, type_, fields)
            effect = effect_of(CredentialRef(name, [type_]))
            with capture_logs() as lines:
                answer = await interpreters[type(effect)].perform(effect, CONTEXT)
            assert isinstance(answer, EffectError) or talk is repeats, (type_, answer)
            assert not hits(repr(answer)), (type_, answer)
            assert not hits(logged(list(lines)))


async def test_an_interpreter_that_fails_with_the_secret_in_its_error() -> None:
    """The performer's last resort, for a mistake in an interpreter: nested exceptions and all."""
    from domain.effects import PerformAttempt
    from services.worker.effects.performer import EffectPerformer

    memory, name = MemoryCredentials(), str(uuid4())
    await memory.add(name, "http_bearer", {"token": CANARY})
    credentials = memory.worker()

    class Careless:
        async def perform(self, effect: Any, context: EffectContext) -> Any:
            opened = await credentials.open(context.workspace, effect.credential)
            try:
                raise OSError(f"cannot send {opened.fields['token']}")
            except OSError as error:
                raise RuntimeError(f"gave up: {error!r}") from error

        async def close(self) -> None:
            return

    class Now:
        def now(self) -> int:
            return 0

        def fresh(self) -> bool:
            return True

    told: asyncio.Future[ConcludeAttempt] = asyncio.get_running_loop().create_future()
    performer = EffectPerformer(1, {HttpRequest: Careless()})
    request = HttpRequest("GET", "http://127.0.0.1/", credential=CredentialRef(name, ["http"]))
    attempt = PerformAttempt("e", "n", 0, 1, "read", [0], [request], ["k"], 1_000, 5.0)
    performer.start(
        attempt, "execution-e", Now(), lambda _s, result: told.set_result(result), None, workspace=WORKSPACE
    )  # type: ignore[arg-type]
    async with asyncio.timeout(5):
        result = (await told).results[0].error
    await performer.close()
    await credentials.close()
    assert result is not None
    assert "gave up" in result.message
    assert not hits(repr(result))
