"""The contract of appending and reading, for every implementation."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from infra.log.port import (
    MAX_APPEND_BYTES,
    MAX_RECORD_BYTES,
    Log,
    LogUnavailable,
    NewRecord,
    OffsetOutOfRange,
    Reader,
    RecordTooLarge,
    Topic,
    Writer,
    WriterClosed,
)
from tests.contracts.log.stores import PARTITIONS, PATIENCE, Store, read_records, read_texts, record

TOPIC = Topic.EXECUTIONS


@pytest.fixture
async def writer(log: Log) -> AsyncIterator[Writer]:
    opened = await log.writer()
    yield opened
    await opened.close()


@pytest.fixture
async def reader(log: Log) -> AsyncIterator[Reader]:
    opened = await log.reader()
    yield opened
    await opened.close()


async def test_what_was_appended_is_read_whole(writer: Writer, reader: Reader) -> None:
    headers = (("e", b"\x00\xff"), ("w", b""), ("e", b"again"))
    await writer.append(TOPIC, 1, [NewRecord(b"\x00value\xff", headers, b"execution-1")])
    await writer.append(TOPIC, 1, [NewRecord(b"")])
    reader.seek(TOPIC, 1, 0)
    first, second = await read_records(reader, 2)
    assert (first.topic, first.partition, first.offset) == (TOPIC, 1, 0)
    assert (first.value, first.headers, first.key) == (b"\x00value\xff", headers, b"execution-1")
    assert (second.offset, second.value, second.headers, second.key) == (1, b"", (), None)


async def test_appended_at_is_the_logs_time(store: Store, writer: Writer, reader: Reader) -> None:
    before = time.time() * 1000
    await writer.append(TOPIC, 0, [record("a")])
    reader.seek(TOPIC, 0, 0)
    [found] = await read_records(reader, 1)
    assert isinstance(found.appended_at, int)
    if store.name != "memory":  # its clock stands still
        assert before - 2_000 <= found.appended_at <= time.time() * 1000 + 2_000


async def test_offsets_are_gapless_in_each_partition(writer: Writer, log: Log) -> None:
    assert await writer.append(TOPIC, 0, [record("a"), record("b"), record("c")]) == 0
    assert await writer.append(TOPIC, 0, [record("d")]) == 3
    assert await writer.append(TOPIC, 1, [record("e")]) == 0
    assert await writer.append(Topic.EVENTS, 0, [record("f")]) == 0
    assert [await log.end_offset(TOPIC, partition) for partition in range(PARTITIONS)] == [4, 1, 0, 0]
    assert await log.end_offset(Topic.EVENTS, 0) == 1
    assert await log.first_offset(TOPIC, 0) == 0


async def test_many_appends_under_way_land_in_the_order_of_the_calls(writer: Writer, reader: Reader) -> None:
    calls = [writer.append(TOPIC, number % 2, [record(f"{number}")]) for number in range(400)]
    offsets = await asyncio.gather(*calls)
    assert list(offsets) == [number // 2 for number in range(400)]
    reader.seek(TOPIC, 0, 0)
    reader.seek(TOPIC, 1, 0)
    found = await read_records(reader, 400)
    for partition in (0, 1):
        texts = [one.value.decode() for one in found if one.partition == partition]
        assert texts == [str(number) for number in range(partition, 400, 2)]


async def test_one_append_is_contiguous_among_many_writers(log: Log, reader: Reader) -> None:
    writers = [await log.writer() for _ in range(3)]
    try:

        async def append(name: int, writer: Writer) -> None:
            for turn in range(20):
                await writer.append(TOPIC, 2, [record(f"{name}.{turn}.{rank}") for rank in range(3)])

        await asyncio.gather(*(append(name, writer) for name, writer in enumerate(writers)))
    finally:
        for writer in writers:
            await writer.close()
    reader.seek(TOPIC, 2, 0)
    found = await read_records(reader, 180)
    assert [one.offset for one in found] == list(range(180))
    texts = [one.value.decode() for one in found]
    for start in range(0, 180, 3):
        name, turn, _ = texts[start].split(".")
        assert texts[start : start + 3] == [f"{name}.{turn}.{rank}" for rank in range(3)]
    for name in range(3):
        own = [text for text in texts if text.startswith(f"{name}.")]
        assert own == [f"{name}.{turn}.{rank}" for turn in range(20) for rank in range(3)]


async def test_two_writers_over_several_partitions_do_not_block_each_other(log: Log) -> None:
    first, second = await log.writer(), await log.writer()
    try:
        forwards = [first.append(TOPIC, number % PARTITIONS, [record("a")]) for number in range(200)]
        backwards = [second.append(TOPIC, -number % PARTITIONS, [record("b")]) for number in range(200)]
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*forwards, *backwards)
    finally:
        await first.close()
        await second.close()
    assert sum([await log.end_offset(TOPIC, partition) for partition in range(PARTITIONS)]) == 400


async def test_a_waiting_reader_is_woken_at_once(writer: Writer, reader: Reader) -> None:
    for partition in range(PARTITIONS):
        reader.seek(TOPIC, partition, 0)
    assert await reader.read(timeout=0.05) == []
    waits = []
    for number in range(20):
        reading = asyncio.ensure_future(reader.read())
        await asyncio.sleep(0)
        started = time.perf_counter()
        await writer.append(TOPIC, number % PARTITIONS, [record(f"{number}")])
        async with asyncio.timeout(PATIENCE):
            [found] = await reading
        waits.append(time.perf_counter() - started)
        assert found.value == f"{number}".encode()
    # The best of many: a shared machine may be busy, a poll would delay each of them.
    assert min(waits) < 0.1


async def test_a_reader_in_another_process_is_woken(store: Store, writer: Writer) -> None:
    other = await store.log()
    reader = await other.reader()
    try:
        reader.seek(TOPIC, 3, 0)
        reading = asyncio.ensure_future(reader.read(timeout=PATIENCE))
        await asyncio.sleep(0)
        await writer.append(TOPIC, 3, [record("a")])
        assert [found.value for found in await reading] == [b"a"]
    finally:
        await reader.close()


async def test_read_times_out_with_nothing(reader: Reader) -> None:
    assert await reader.read(timeout=0.01) == []
    reader.seek(TOPIC, 0, 0)
    assert await reader.read(timeout=0.01) == []


async def test_a_seek_by_another_task_wakes_the_reader(writer: Writer, reader: Reader) -> None:
    await writer.append(TOPIC, 0, [record("a"), record("b")])
    reader.seek(TOPIC, 1, 0)
    reading = asyncio.ensure_future(reader.read())
    assert await asyncio.wait([reading], timeout=0.05) == (set(), {reading})
    reader.seek(TOPIC, 0, 1)
    async with asyncio.timeout(PATIENCE):
        assert [found.value for found in await reading] == [b"b"]


async def test_seek_back_and_forth(writer: Writer, reader: Reader) -> None:
    await writer.append(TOPIC, 0, [record(f"{number}") for number in range(5)])
    reader.seek(TOPIC, 0, 3)
    assert await read_texts(reader, 2) == ["3", "4"]
    reader.seek(TOPIC, 0, 0)
    assert await read_texts(reader, 1, max_records=1) == ["0"]
    reader.seek(TOPIC, 0, 4)
    assert await read_texts(reader, 1) == ["4"]


async def test_a_forgotten_partition_is_read_no_more(writer: Writer, reader: Reader) -> None:
    await writer.append(TOPIC, 0, [record("a")])
    await writer.append(TOPIC, 1, [record("b")])
    reader.seek(TOPIC, 0, 0)
    reader.seek(TOPIC, 1, 0)
    reader.forget(TOPIC, 0)
    assert await read_texts(reader, 1) == ["b"]
    assert await reader.read(timeout=0.05) == []


async def test_pause_keeps_the_place_and_resume_wakes(writer: Writer, reader: Reader) -> None:
    await writer.append(TOPIC, 0, [record("a"), record("b")])
    reader.seek(TOPIC, 0, 0)
    assert await read_texts(reader, 1, max_records=1) == ["a"]
    reader.pause(TOPIC, 0)
    await writer.append(TOPIC, 0, [record("c")])
    reading = asyncio.ensure_future(reader.read())
    assert await asyncio.wait([reading], timeout=0.05) == (set(), {reading})
    reader.resume(TOPIC, 0)
    async with asyncio.timeout(PATIENCE):
        found = [one.value for one in await reading]
    if len(found) < 2:
        found += [one.value for one in await read_records(reader, 1)]
    assert found == [b"b", b"c"]


async def test_no_partition_starves_behind_a_long_one(writer: Writer, reader: Reader) -> None:
    await writer.append(TOPIC, 0, [record("long") for _ in range(500)])
    for partition in (1, 2, 3):
        await writer.append(TOPIC, partition, [record("short")])
    for partition in range(PARTITIONS):
        reader.seek(TOPIC, partition, 0)
    seen: list[str] = []
    for _ in range(20):
        found = await reader.read(max_records=8, timeout=PATIENCE)
        assert 0 < len(found) <= 8
        seen += [one.value.decode() for one in found]
        if seen.count("short") == 3:
            return
    pytest.fail("the short partitions were not reached within 20 reads")


async def test_every_partition_has_its_turn_when_fewer_records_are_asked_for(writer: Writer, reader: Reader) -> None:
    for partition in range(PARTITIONS):
        await writer.append(TOPIC, partition, [record(f"{partition}") for _ in range(50)])
        reader.seek(TOPIC, partition, 0)
    seen = set()
    for _ in range(4 * PARTITIONS):
        [found] = await reader.read(max_records=1, timeout=PATIENCE)
        seen.add(found.partition)
    assert seen == set(range(PARTITIONS))


async def test_long_records_are_read_in_pieces(writer: Writer, reader: Reader) -> None:
    bodies = [bytes([65 + number]) * 300_000 for number in range(12)]
    await asyncio.gather(*(writer.append(TOPIC, 0, [NewRecord(body)]) for body in bodies))
    reader.seek(TOPIC, 0, 0)
    assert [found.value for found in await read_records(reader, 12)] == bodies


async def test_deleted_records_are_out_of_range(writer: Writer, reader: Reader, log: Log) -> None:
    await writer.append(TOPIC, 0, [record(f"{number}") for number in range(10)])
    await log.delete_before(TOPIC, 0, 4)
    assert await log.first_offset(TOPIC, 0) == 4
    assert await log.end_offset(TOPIC, 0) == 10
    reader.seek(TOPIC, 0, 3)
    with pytest.raises(OffsetOutOfRange):
        await reader.read(timeout=PATIENCE)
    reader.seek(TOPIC, 0, 4)
    assert await read_texts(reader, 6) == ["4", "5", "6", "7", "8", "9"]
    await log.delete_before(TOPIC, 0, 100)
    assert await log.first_offset(TOPIC, 0) == await log.end_offset(TOPIC, 0) == 10
    assert await writer.append(TOPIC, 0, [record("10")]) == 10
    assert await read_texts(reader, 1) == ["10"]


async def test_an_offset_beyond_the_end_is_out_of_range(writer: Writer, reader: Reader) -> None:
    await writer.append(TOPIC, 0, [record("a")])
    reader.seek(TOPIC, 0, 1)
    assert await reader.read(timeout=0.05) == []
    reader.seek(TOPIC, 0, 5)
    with pytest.raises(OffsetOutOfRange):
        await reader.read(timeout=PATIENCE)


async def test_an_oversize_record_is_refused_and_nothing_lands(writer: Writer, log: Log) -> None:
    with pytest.raises(RecordTooLarge) as refused:
        await writer.append(TOPIC, 0, [record("a"), NewRecord(bytes(MAX_RECORD_BYTES), (("h", b"1"),))])
    assert (refused.value.size, refused.value.limit) == (MAX_RECORD_BYTES + 2, MAX_RECORD_BYTES)
    with pytest.raises(RecordTooLarge):
        await writer.append(TOPIC, 0, [NewRecord(bytes(MAX_RECORD_BYTES))] * (MAX_APPEND_BYTES // MAX_RECORD_BYTES + 1))
    assert await log.end_offset(TOPIC, 0) == 0
    assert await writer.append(TOPIC, 0, [NewRecord(bytes(MAX_RECORD_BYTES))]) == 0, "the writer lives on"


async def test_a_closed_writer_appends_no_more(log: Log) -> None:
    writer = await log.writer()
    await writer.append(TOPIC, 0, [record("a")])
    await writer.close()
    with pytest.raises(WriterClosed):
        await writer.append(TOPIC, 0, [record("b")])
    assert await log.end_offset(TOPIC, 0) == 1


async def test_closing_a_writer_gives_up_what_is_under_way(log: Log) -> None:
    writer = await log.writer()
    under_way = [asyncio.ensure_future(writer.append(TOPIC, 0, [record("a")])) for _ in range(10)]
    await asyncio.sleep(0)
    await writer.close()
    async with asyncio.timeout(PATIENCE):
        outcomes = await asyncio.gather(*under_way, return_exceptions=True)
    assert all(isinstance(outcome, int | WriterClosed | LogUnavailable) for outcome in outcomes), outcomes


async def test_a_cancelled_append_does_not_disturb_the_others(writer: Writer, log: Log) -> None:
    calls = [asyncio.ensure_future(writer.append(TOPIC, 0, [record(f"{number}")])) for number in range(10)]
    await asyncio.sleep(0)
    calls[3].cancel()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    others = [outcome for number, outcome in enumerate(outcomes) if number != 3]
    assert others == sorted(others)
    assert await log.end_offset(TOPIC, 0) >= 9


async def test_group_offsets_are_kept_by_group(store: Store, log: Log) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                assert await log.group_offsets("lag") == {}
                break
            except LogUnavailable:  # a broker that has just been started has no coordinator yet
                await asyncio.sleep(0.2)
    await log.commit_group_offsets("lag", {(TOPIC, 0): 5, (Topic.COMMANDS, 3): 7})
    await log.commit_group_offsets("lag", {(TOPIC, 0): 6})
    other = await store.log()
    assert await other.group_offsets("lag") == {(TOPIC, 0): 6, (Topic.COMMANDS, 3): 7}
    assert await other.group_offsets("other") == {}
