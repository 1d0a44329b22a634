import asyncio

import pytest

from infra.log.memory import Fault, MemoryLog
from infra.log.port import LogUnavailable, NewRecord, Topic
from schemas.envelope import decode_tick, header
from services.scheduler.ticker import Ticker

BASE = 1_800_000_000_000
HOUR = 3_600_000


class World:
    """A log, and clocks that the test moves: the log's own, and each leader's."""

    def __init__(self, partitions: int = 3) -> None:
        self.now = 0
        self.log = MemoryLog(partitions, clock=lambda: BASE + self.now)

    async def leader(self, name: str, wall_offset: int = 0) -> Ticker:
        boot = 77_000 + len(name)  # each machine's monotonic clock starts anywhere
        return await Ticker.open(
            self.log, name, monotonic=lambda: boot + self.now, wall=lambda: BASE + self.now + wall_offset
        )

    async def times(self, partition: int) -> list[int]:
        end = await self.log.end_offset(Topic.TICKS, partition)
        start = await self.log.first_offset(Topic.TICKS, partition)
        if start == end:
            return []
        reader = await self.log.reader()
        reader.seek(Topic.TICKS, partition, start)
        records = await reader.read(max_records=10_000)
        await reader.close()
        assert all(header(record.headers, "k") == b"t" for record in records)
        return [decode_tick(record.value).time for record in records]


async def test_every_partition_gets_each_tick() -> None:
    world = World()
    ticker = await world.leader("a")
    for _ in range(5):
        world.now += 1_000
        await ticker.tick()
    for partition in range(3):
        assert await world.times(partition) == [BASE + 1_000 * second for second in range(1, 6)]
    await ticker.close()


@pytest.mark.parametrize("wall_offset", [0, HOUR, -HOUR])
async def test_the_next_leader_goes_on_where_the_log_says(wall_offset: int) -> None:
    world = World()
    first = await world.leader("a")
    world.now += 1_000
    await first.tick()
    await first.close()
    world.now += 7_000
    second = await world.leader("b", wall_offset)
    times = [await second.tick()]
    for _ in range(10):
        world.now += 1_000
        times.append(await second.tick())
    assert times[0] == BASE + 8_000
    assert times == sorted(times)
    assert 8_900 <= times[-1] - times[0] <= 11_100
    everything = await world.times(0)
    assert everything == sorted(everything)
    await second.close()


async def test_time_stands_at_the_newest_tick_of_any_partition_also_behind_garbage() -> None:
    world = World()
    first = await world.leader("a")
    world.now += 1_000
    await first.tick()
    await first.close()
    writer = await world.log.writer()
    await writer.append(Topic.TICKS, 1, [NewRecord(b"garbage")])
    await writer.close()
    second = await world.leader("b", -HOUR)
    assert await second.tick() == BASE + 1_000
    await second.close()


async def test_a_tick_that_lands_again_much_later_does_not_hold_time_up() -> None:
    world = World()
    first = await world.leader("a")
    await first.tick()
    sent = world.log.records(Topic.TICKS, 0)[-1]
    await first.close()
    world.now += 15_000
    writer = await world.log.writer()
    await writer.append(Topic.TICKS, 0, [NewRecord(sent.value, sent.headers)])
    await writer.close()
    world.now += 1_000
    second = await world.leader("b", -HOUR)
    assert await second.tick() == BASE + 16_000
    await second.close()


async def test_a_lost_append_is_said_and_the_next_leader_goes_on() -> None:
    world = World()
    ticker = await world.leader("a")
    world.log.fail_next(Fault.LOST)
    with pytest.raises(LogUnavailable):
        await ticker.tick()
    await ticker.close()
    world.now += 2_000
    again = await world.leader("a")
    assert await again.tick() >= BASE
    await again.close()


async def test_old_ticks_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.scheduler.ticker.KEPT", 4)
    world = World()
    ticker = await world.leader("a")
    for _ in range(10):
        world.now += 1_000
        await ticker.tick()
    await ticker.cut()
    for partition in range(3):
        assert len(await world.times(partition)) == 4
    await ticker.close()
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
