"""RedisCommand on a real server, and on servers that misbehave."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest

from domain.effects import EffectError, ItemResult, RedisCommand
from infra.egress.guard import EgressGuard
from services.worker.effects.redis import RedisEffects
from tests.domain.integrations import cases_redis
from tests.domain.integrations.table import Case, run_case
from tests.support.opened import REF, Opener, context
from tests.support.redis import PASSWORD, RedisServer

LOOPBACK = ["127.0.0.1"]


def command(*words: str, **fields: Any) -> RedisCommand:
    return RedisCommand(list(words), credential=REF, **fields)


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[RedisEffects]:
    opener = Opener(host="127.0.0.1", port=str(redis_server.port), password=PASSWORD, database="3")
    effects = RedisEffects(EgressGuard(LOOPBACK), opener)
    assert await effects.perform(command("FLUSHDB"), context()) == {"reply": "OK"}
    yield effects
    await effects.close()


async def error(effects: RedisEffects, effect: RedisCommand) -> EffectError:
    result = await effects.perform(effect, context())
    assert isinstance(result, EffectError), result
    assert PASSWORD not in result.message
    return result


CASES = [pytest.param(case, id=f"{case.operation}-{number}") for number, case in enumerate(cases_redis.CASES)]


@pytest.mark.parametrize("case", CASES)
async def test_every_operation_runs_on_a_real_server(case: Case, redis: RedisEffects) -> None:
    run = run_case("redis", case)
    (effect,) = run.attempt("x").effects
    effect = msgspec.structs.replace(effect, credential=REF)
    value = await redis.perform(effect, context())
    assert isinstance(value, dict), value
    run.conclude("x", [ItemResult(index=0, value=value)])
    assert run.status == "completed", run.error


async def test_what_is_written_can_be_read(redis: RedisEffects) -> None:
    assert await redis.perform(command("HSET", "h", "a", "1", "b", "ü\r\n"), context()) == {"reply": 2}
    assert await redis.perform(command("HGETALL", "h"), context()) == {"reply": ["a", "1", "b", "ü\r\n"]}
    assert await redis.perform(command("GET", "nothing"), context()) == {"reply": None}


async def test_words_cannot_become_commands(redis: RedisEffects) -> None:
    await redis.perform(command("SET", "kept", "1"), context())
    await redis.perform(command("SET", "k\r\nFLUSHALL\r\n", "*1\r\n$8\r\nFLUSHALL\r\n"), context())
    assert await redis.perform(command("GET", "kept"), context()) == {"reply": "1"}


async def test_scan_goes_on_to_the_end_and_stops_at_enough(redis: RedisEffects) -> None:
    for number in range(40):
        await redis.perform(command("SET", f"user:{number}", "x"), context())
    await redis.perform(command("SET", "other", "x"), context())
    scan = command("SCAN", "0", "MATCH", "user:*", "COUNT", "7", scan=1000)
    found = await redis.perform(scan, context())
    assert isinstance(found, dict)
    assert sorted(found["reply"]) == sorted(f"user:{number}" for number in range(40))
    few = await redis.perform(msgspec.structs.replace(scan, scan=3), context())
    assert isinstance(few, dict)
    assert len(few["reply"]) == 3


async def test_connections_are_used_again_but_not_after_an_error_of_the_wire(redis: RedisEffects) -> None:
    first = await redis.perform(command("CLIENT", "ID"), context())
    assert (await error(redis, command("INCR", "h", "x"))).code == "rejected"
    assert await redis.perform(command("CLIENT", "ID"), context()) == first
    await redis.perform(command("SET", "long", "x" * 10_000), context())
    assert (await error(redis, command("GET", "long", max_bytes=1_000))).code == "response_too_large"
    assert await redis.perform(command("CLIENT", "ID"), context()) != first


async def test_many_at_once(redis: RedisEffects) -> None:
    results = await asyncio.gather(*(redis.perform(command("INCR", "n"), context()) for _ in range(100)))
    assert sorted(result["reply"] for result in results if isinstance(result, dict)) == list(range(1, 101))


async def test_a_refused_command_says_why(redis: RedisEffects) -> None:
    await redis.perform(command("SET", "text", "x"), context())
    refused = await error(redis, command("INCR", "text"))
    assert (refused.code, refused.retriable, refused.unknown) == ("rejected", False, False)
    assert "not an integer" in refused.message


async def test_a_wrong_password(redis_server: RedisServer) -> None:
    wrong = Opener(host="127.0.0.1", port=str(redis_server.port), password="canary-wrong")
    effects = RedisEffects(EgressGuard(LOOPBACK), wrong)
    refused = await error(effects, command("PING"))
    assert (refused.code, refused.retriable) == ("unauthorized", False)
    assert "canary" not in refused.message
    none = RedisEffects(EgressGuard(LOOPBACK), Opener(host="127.0.0.1", port=str(redis_server.port)))
    assert (await error(none, command("PING"))).code == "unauthorized"


async def test_no_credential_and_one_of_another_workspace(redis: RedisEffects) -> None:
    assert (await error(redis, RedisCommand(["PING"]))).code == "credential_missing"
    other = msgspec.structs.replace(command("PING"), credential=msgspec.structs.replace(REF, id="x"))
    assert (await error(redis, other)).code == "credential_not_found"


async def test_an_address_that_is_not_open(redis_server: RedisServer) -> None:
    effects = RedisEffects(EgressGuard([]), Opener(host="localhost", port=str(redis_server.port), password=PASSWORD))
    refused = await error(effects, command("PING"))
    assert (refused.code, refused.retriable, refused.unknown) == ("egress_refused", False, False)


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def against(serve: Serve, effect: RedisCommand, **fields: str) -> EffectError:
    """What comes of an effect on a server that does what `serve` does with each connection."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        effects = RedisEffects(
            EgressGuard(LOOPBACK), Opener(host="127.0.0.1", port=str(port), password=PASSWORD, **fields)
        )
        try:
            return await error(effects, effect)
        finally:
            await effects.close()


async def _greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(PASSWORD.encode() + b"\r\n")
    writer.write(b"+OK\r\n")


async def test_no_answer_means_that_nobody_knows() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _greet(reader, writer)
        await reader.read()

    lost = await against(silent, command("INCR", "n", timeout_seconds=0.2))
    assert (lost.code, lost.retriable, lost.unknown) == ("timeout", True, True)


async def test_a_connection_that_breaks_after_the_command() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _greet(reader, writer)
        await reader.readuntil(b"INCR\r\n")

    lost = await against(hang_up, command("INCR", "n"))
    assert (lost.code, lost.unknown) == ("connection_lost", True)


async def test_a_server_that_hangs_up_at_once_has_done_nothing() -> None:
    async def closed(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        return

    lost = await against(closed, command("INCR", "n"))
    assert (lost.code, lost.retriable, lost.unknown) == ("connection_failed", True, False)


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"$x\r\n", b"*1\r\n" * 20, b"+" + b"x" * 70_000, b"$-x\r\n"]
)
async def test_a_server_that_is_no_redis(answer: bytes) -> None:
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _greet(reader, writer)
        await reader.readuntil(b"GET\r\n")
        writer.write(answer)
        await reader.read()

    wrong = await against(other, command("GET", "n"))
    assert (wrong.code, wrong.retriable, wrong.unknown) == ("bad_response", False, True)


async def test_a_server_without_tls() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"-ERR Protocol error\r\n")

    wrong = await against(plain, command("GET", "n"), tls="verify")
    assert (wrong.code, wrong.unknown) == ("tls_failed", False)


async def test_an_error_that_echoes_the_secret_is_without_it() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _greet(reader, writer)
        await reader.readuntil(b"GET\r\n")
        writer.write(b"-ERR what is " + PASSWORD.encode() + b"?\r\n")
        await reader.read()

    assert "what is" in (await against(echo, command("GET", "n"))).message
