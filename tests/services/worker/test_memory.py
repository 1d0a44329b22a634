"""What an owner holds, and what of it a checkpoint covers."""

from schemas import registry
from services.worker.lanes import AggregateLane
from services.worker.memory import PartitionMemory
from tests.services.worker.test_traces import CREATE, STREAM, add_key
from tests.support.workers import Cluster


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
