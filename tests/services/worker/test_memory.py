"""What an owner holds, and what of it a checkpoint covers."""

from uuid import uuid4

import asyncpg
import pytest

from infra.log.memory import MemoryLog
from infra.log.port import NewRecord, Topic
from infra.postgres.checkpoints import (
    Checkpoint,
    CheckpointChange,
    CheckpointRefused,
    MemoryCheckpoints,
    PostgresCheckpoints,
    StoredState,
)
from infra.postgres.migrate import migrate
from schemas import registry
from schemas.envelope import KIND_TAKEOVER, KIND_TICK, Epoch, TickRecord, encode
from schemas.fence import Fence
from services.worker.lanes import AggregateLane, ExecutionLane
from services.worker.memory import PartitionMemory
from services.worker.recovery import last_tick
from tests.services.worker.test_traces import CREATE, MANUAL, STREAM, add_key, start
from tests.support.workers import PARTITIONS, Cluster


async def test_what_changes_while_a_checkpoint_is_written_is_in_the_next_one() -> None:
    async with Cluster() as cluster:
        await cluster.start("a")
        for command in (CREATE, add_key(1), add_key(2)):
            await cluster.answered(await cluster.send(command, STREAM), STREAM)
        commits = cluster.answers(STREAM)
    memory = PartitionMemory(AggregateLane())

    def fold(number: int) -> None:
        commit = commits[number]
        memory.fold(number + 1, commit, [registry.decode_event(event, {}) for event in commit.events], None)

    fold(0)
    first, _ = memory.collect_changes()
    fold(1)
    memory.saved(first)
    second, streams = memory.collect_changes()
    assert [(each.stream, each.version) for each in second.states] == [(STREAM, 2)]
    fold(2)
    memory.not_saved(streams)
    third, _ = memory.collect_changes()
    assert [(each.stream, each.version) for each in third.states] == [(STREAM, 3)]
    memory.saved(third)
    assert not memory.collect_changes()[0].states


async def test_a_closed_stream_leaves_the_checkpoint_also_if_nobody_knows_whether_it_got_there() -> None:
    """A save that was done and not answered, then the end: a row left behind would be taken for an open execution."""
    async with Cluster() as cluster:
        cluster.versions.add("w", 1, MANUAL)
        await cluster.start("a")
        stream = f"execution-{uuid4()}"
        command = start(stream.removeprefix("execution-"), "w")
        commit = await cluster.answered(await cluster.send(command, stream), stream)
    events = [registry.decode_event(event, {}) for event in commit.events]
    memory = PartitionMemory(ExecutionLane(cluster.versions))
    epoch = Epoch(0, "a")
    memory.fence.accept(0, (("k", KIND_TAKEOVER), ("o", b"a")))
    await cluster.checkpoints.claim("executions", 9, epoch)

    memory.fold(1, commit, events[:1], None)  # queued
    memory.fence.next_offset = 2
    change, streams = memory.collect_changes()
    await cluster.checkpoints.save("executions", 9, epoch, change)
    assert [state.stream for state in (await cluster.checkpoints.load("executions", 9)).states] == [stream]
    memory.not_saved(streams)  # the answer was lost

    memory.fold(2, commit, events[1:], None)  # to the end
    memory.fence.next_offset = 3
    assert not memory.entries
    change, _ = memory.collect_changes()
    await cluster.checkpoints.save("executions", 9, epoch, change)
    assert (await cluster.checkpoints.load("executions", 9)).states == []


async def test_a_change_is_refused_on_a_checkpoint_that_the_database_took_back(postgres_url: str) -> None:
    """A save is acknowledged before it is on the disk. After a crash the next one would stand on a gap: the execution
    that the lost one had closed would come back to life, and end twice (torture, Kafka, seed 31)."""
    await migrate(postgres_url)
    epoch = Epoch(0, "a")

    def change(after: set[int], offset: int, states: list[StoredState], gone: list[str]) -> CheckpointChange:
        return CheckpointChange(after, Fence(offset, epoch, offset), offset, b"", states=states, gone=gone)

    open_one = StoredState("execution-1", "w", 3, None, True, b"{}")
    async with asyncpg.create_pool(postgres_url, min_size=1, max_size=1) as pool:
        for stored in (MemoryCheckpoints(), PostgresCheckpoints(pool)):
            await stored.claim("executions", 0, epoch)
            await stored.save("executions", 0, epoch, change({0}, 10, [open_one], []))
            # a save {10} → 20 without the stream was acknowledged and is gone: this one knows of no other than 20
            with pytest.raises(CheckpointRefused):
                await stored.save("executions", 0, epoch, change({20}, 30, [], []))
            loaded = await stored.load("executions", 0)
            assert (loaded.fence.next_offset, [each.stream for each in loaded.states]) == (10, ["execution-1"])
            # whether the save 10 → 20 was done is not known: both are good to build on
            await stored.save("executions", 0, epoch, change({10, 20}, 30, [], ["execution-1"]))
            assert (await stored.load("executions", 0)).states == []


async def test_a_memory_says_which_checkpoints_its_next_one_may_follow() -> None:
    memory = PartitionMemory(AggregateLane(), Checkpoint(fence=Fence(10)))
    memory.fence.next_offset = 20
    first, streams = memory.collect_changes()
    assert set(first.after) == {10}
    memory.not_saved(streams)  # done or not, nobody knows
    memory.fence.next_offset = 30
    second, _ = memory.collect_changes()
    assert set(second.after) == {10, 20}
    memory.saved(second)
    third, _ = memory.collect_changes()
    assert set(third.after) == {30}


async def test_time_goes_on_from_the_tick_that_came_soonest() -> None:
    """The last one was sent by an old leader long before it landed: taken for the newest it would hold time up."""
    cluster = Cluster()
    clock = [1_000_000]
    cluster.log = MemoryLog(PARTITIONS, clock=lambda: clock[0])
    writer = await cluster.log.writer()
    for time in (500_000, 501_000, 502_000, 490_000):
        await writer.append(Topic.TICKS, 0, [NewRecord(encode(TickRecord(time=time, leader="x")), (("k", KIND_TICK),))])
        clock[0] += 1_000
    await writer.append(Topic.TICKS, 0, [NewRecord(b"no tick")])
    worker = await cluster.start("a", lanes=[])
    assert await last_tick(worker, 0) == (5, (503_000, 1_003_000))
    await cluster.kill("a")
