"""The server dies and comes back with its data: what was acknowledged is there, readers and members go on."""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

import pytest

from infra.log import kafka_writer, open_log
from infra.log.port import Log, LogError, LogUnavailable, Reader, Topic, Writer, WriterClosed
from tests.contracts.log.stores import PARTITIONS, PATIENCE, Store, kafka_store, postgres_store, record, settled
from tests.support.kafka import KafkaMissing, kafka_required, own_broker
from tests.support.postgres import PostgresServer

TOPIC = Topic.EXECUTION_COMMANDS


class Server(Protocol):
    """What these tests do to a server of their own."""

    def start(self) -> None: ...

    def kill(self) -> None: ...

    def remove(self) -> None: ...


@pytest.fixture(params=["postgres", pytest.param("kafka", marks=pytest.mark.kafka)])
async def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    monkeypatch.setattr(kafka_writer, "APPEND_MS", 2_000)
    made: Server
    if request.param == "postgres":
        made = PostgresServer()
    else:
        try:
            made = own_broker()
        except KafkaMissing as missing:
            if kafka_required():
                pytest.fail(f"Kafka is required here: {missing}")
            pytest.skip(f"the Kafka suites did not run: {missing}")
    try:
        await asyncio.to_thread(made.start)
        yield made
    finally:
        await asyncio.to_thread(made.remove)


@pytest.fixture
async def store(server: Server) -> AsyncIterator[Store]:
    if isinstance(server, PostgresServer):
        made = await postgres_store(server.url())
    else:
        made = await kafka_store(server.bootstrap)  # type: ignore[attr-defined]
    yield made
    await made.close()


async def test_what_was_acknowledged_survives_a_crash(server: Server, store: Store) -> None:
    log = await store.log()
    reader, writer = await log.reader(), await log.writer()
    member = await log.membership("workers", "a")
    async with asyncio.timeout(PATIENCE):
        everything = await member.assigned()
    acknowledged: dict[int, list[tuple[int, str]]] = {number: [] for number in range(PARTITIONS)}
    failures: list[LogError] = []
    enough = asyncio.Event()

    async def append(partition: int) -> None:
        for number in range(1_000_000):
            text = f"{partition}.{number}"
            try:
                offset = await writer.append(TOPIC, partition, [record(text)])
            except LogError as error:
                failures.append(error)
                return
            acknowledged[partition].append((offset, text))
            if min(len(done) for done in acknowledged.values()) >= 20:
                enough.set()

    appending = [asyncio.ensure_future(append(partition)) for partition in range(PARTITIONS)]
    async with asyncio.timeout(PATIENCE):
        await enough.wait()
    for partition in range(PARTITIONS):
        reader.seek(TOPIC, partition, 0)
    seen = [(one.partition, one.offset, one.value.decode()) for one in await reader.read(max_records=8)]
    await asyncio.to_thread(server.kill)
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*appending)
    assert {type(failure) for failure in failures} <= {LogUnavailable, WriterClosed}
    with pytest.raises(WriterClosed):
        await writer.append(TOPIC, 0, [record("late")])
    with pytest.raises(LogUnavailable):
        await log.writer()

    # The reader had its places before and has them after; meanwhile it says that the log is away.
    reading = asyncio.ensure_future(read_until(reader, seen, acknowledged))
    await asyncio.to_thread(server.start)
    async with asyncio.timeout(PATIENCE):
        await reading
    for partition, records in acknowledged.items():
        found = {offset: text for at, offset, text in seen if at == partition}
        assert sorted(found) == list(range(len(found))), "in order, each once, none left out"
        for offset, text in records:
            assert found[offset] == text

    again = await reopened(log)
    offset = await again.append(TOPIC, 0, [record("after")])
    assert offset >= len(acknowledged[0])
    assert member.current() == everything
    other = await log.membership("workers", "b")
    await settled([member, other], [frozenset({0, 1}), frozenset({2, 3})])
    await other.close()
    await again.close()
    await writer.close()
    await reader.close()
    await member.close()


async def read_until(
    reader: Reader, seen: list[tuple[int, int, str]], wanted: dict[int, list[tuple[int, str]]]
) -> None:
    missing = {(partition, offset) for partition, records in wanted.items() for offset, _ in records}
    missing -= {(partition, offset) for partition, offset, _ in seen}
    while missing:
        try:
            found = await reader.read()
        except LogUnavailable:
            await asyncio.sleep(0.05)
            continue
        seen += [(one.partition, one.offset, one.value.decode()) for one in found]
        missing -= {(one.partition, one.offset) for one in found}


async def reopened(log: Log) -> Writer:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await log.writer()
            except LogUnavailable:
                await asyncio.sleep(0.1)


async def test_everything_closes_while_the_server_is_away(server: Server, store: Store) -> None:
    log = await store.log()
    reader, writer = await log.reader(), await log.writer()
    member = await log.membership("workers", "a")
    await writer.append(TOPIC, 0, [record("a")])
    reader.seek(TOPIC, 0, 0)
    await reader.read()
    await asyncio.to_thread(server.kill)
    async with asyncio.timeout(15):
        await member.close()
        await writer.close()
        await reader.close()
        await log.close()


async def test_a_log_that_is_away_cannot_be_opened(server: Server, store: Store) -> None:
    await asyncio.to_thread(server.kill)
    with pytest.raises(LogUnavailable):
        await store.open()


async def test_opening_names_a_log_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="rabbit"):
        await open_log("rabbit://")
    with pytest.raises(ValueError, match="database"):
        await open_log("postgres")
