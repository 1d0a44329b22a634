"""What only one implementation has: armed faults of the log in memory, names taken twice in PostgreSQL."""

import asyncio

import pytest

from infra.log import postgres_membership
from infra.log.memory import Fault, MemoryLog
from infra.log.port import LogMismatch, LogUnavailable, Topic, WriterClosed
from tests.contracts.log.stores import PATIENCE, die, postgres_store, read_texts, record, settled

TOPIC = Topic.EVENTS


def texts(log: MemoryLog) -> list[str]:
    return [found.value.decode() for found in log.records(TOPIC, 0)]


@pytest.mark.parametrize(
    ("fault", "landed", "later"),
    [
        (Fault.LOST, ["a", "c"], ["a", "c"]),
        (Fault.LANDED, ["a", "b", "c"], ["a", "b", "c"]),
        (Fault.LATE, ["a", "c"], ["a", "c", "b"]),
    ],
)
async def test_a_fault_closes_the_writer(fault: Fault, landed: list[str], later: list[str]) -> None:
    log = MemoryLog(1)
    writer = await log.writer()
    await writer.append(TOPIC, 0, [record("a")])
    log.fail_next(fault)
    with pytest.raises(LogUnavailable):
        await writer.append(TOPIC, 0, [record("b")])
    with pytest.raises(WriterClosed):
        await writer.append(TOPIC, 0, [record("c")])
    another = await log.writer()
    await another.append(TOPIC, 0, [record("c")])
    assert texts(log) == landed
    log.land_late()
    assert texts(log) == later


async def test_a_fault_gives_up_what_waits_behind_it() -> None:
    log = MemoryLog(1)
    writer = await log.writer()
    log.fail_next(Fault.LOST)
    outcomes = await asyncio.gather(
        *(writer.append(TOPIC, 0, [record(name)]) for name in "abc"), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [LogUnavailable] * 3
    assert texts(log) == []


async def test_an_append_may_land_twice() -> None:
    log = MemoryLog(1)
    writer = await log.writer()
    log.fail_next(Fault.TWICE)
    assert await writer.append(TOPIC, 0, [record("a")]) == 0
    assert texts(log) == ["a", "a"]
    assert await writer.append(TOPIC, 0, [record("b")]) == 2


async def test_a_log_that_is_down_keeps_what_it_has() -> None:
    log = MemoryLog(1, clock=lambda: 1234)
    writer, reader = await log.writer(), await log.reader()
    await writer.append(TOPIC, 0, [record("a")])
    reader.seek(TOPIC, 0, 0)
    log.set_down(True)
    with pytest.raises(LogUnavailable):
        await reader.read()
    with pytest.raises(LogUnavailable):
        await writer.append(TOPIC, 0, [record("b")])
    log.set_down(False)
    [found] = await reader.read()
    assert (found.value, found.appended_at) == (b"a", 1234)


async def test_an_expired_member_goes_on_believing() -> None:
    log = MemoryLog(2)
    one, two = await log.membership("g", "a"), await log.membership("g", "b")
    assert (one.current(), two.current()) == (frozenset({0}), frozenset({1}))
    log.expire("g", "a")
    assert (one.current(), two.current()) == (frozenset({0}), frozenset({0, 1}))


async def test_an_unknown_partition_is_an_error(postgres_url: str) -> None:
    for log in (MemoryLog(1), await (await postgres_store(postgres_url)).log()):
        with pytest.raises(LogMismatch):
            await log.end_offset(TOPIC, 9)
        await log.close()


async def test_the_newer_process_of_a_name_has_its_place(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_membership, "LEASE_SECONDS", 1.0)
    monkeypatch.setattr(postgres_membership, "HEARTBEAT_SECONDS", 0.2)
    store = await postgres_store(postgres_url)
    older = await (await store.log()).membership("g", "a")
    await settled([older], [frozenset(range(4))])
    newer = await (await store.log()).membership("g", "a")
    await settled([newer, older], [frozenset(range(4)), frozenset()])
    await die(newer)
    await settled([older], [frozenset(range(4))])
    await older.close()
    await store.close()


async def test_lost_listening_is_mended(postgres_url: str) -> None:
    """The connection that hears of appends is cut; the reader still gets what is appended."""
    store = await postgres_store(postgres_url)
    log = await store.log()
    reader, writer = await log.reader(), await log.writer()
    reader.seek(TOPIC, 0, 0)
    reading = asyncio.ensure_future(read_texts(reader, 2))
    await writer.append(TOPIC, 0, [record("a")])
    log._control._connection.terminate()  # type: ignore[attr-defined]
    await writer.append(TOPIC, 0, [record("b")])
    async with asyncio.timeout(PATIENCE):
        assert await reading == ["a", "b"]
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                assert await log.end_offset(TOPIC, 0) == 2
                break
            except LogUnavailable:
                await asyncio.sleep(0.02)
    await reader.close()
    await writer.close()
    await store.close()
