"""The replay property: after every step of a random workflow a new owner comes to the whole state of the live one.

The new owner is the real one's memory: it starts from the last checkpoint (written after random steps, or never) and
folds what lies behind it, as it reads it from the log.
"""

from random import Random
from typing import Any
from unittest.mock import patch

import pytest

from domain.execution import course
from domain.execution.commands import Begin, GrantSlot
from domain.execution.slots import wanted
from infra.postgres.checkpoints import MemoryCheckpoints
from schemas import registry
from schemas.envelope import KIND_TAKEOVER, Epoch, decode_commit
from services.worker.commits import CommitEncoder
from services.worker.lanes import Entry, ExecutionLane
from services.worker.memory import PartitionMemory
from tests.domain.execution.test_random_workflows import step
from tests.simulation.workload import random_document
from tests.support.executions import EXECUTION, NOW, Run, view
from tests.support.workers import WORKSPACE, KnownVersions

GRAPHS = 600
CHUNK = 50
STREAM = f"execution-{EXECUTION}"
EPOCH = Epoch(0, "only")


class Recorder:
    """Writes each decision of a run as a commit, keeps a live owner's memory beside it, checkpoints now and then."""

    def __init__(self, run: Run, source: Random, document: dict[str, Any]) -> None:
        versions = KnownVersions()
        versions.add("w", 1, document)
        self.compared = 0
        self._run = run
        self._random = source
        self._every = source.choice((0.0, 0.1, 0.5))
        self._lane = ExecutionLane(versions)
        self._encoder = CommitEncoder(EPOCH, 0)
        self._checkpoints = MemoryCheckpoints()
        self._records: list[Any] = []
        self._pending: list[list[Any]] = []
        self.live = _memory(self._lane)
        run.after_decision = self._decided

    def _decided(self, run: Run) -> None:
        assert run.last is not None
        if run.last.events:
            self._pending.append(list(run.last.events))

    async def claim(self) -> None:
        await self._checkpoints.claim("executions", 0, EPOCH)

    async def catch_up(self) -> None:
        """Commit what was decided; then stop, recover, compare."""
        pending, self._pending = self._pending, []
        for events in pending:
            version = sum(len(commit.events) for commit in self._records) + 1
            encoded = self._encoder.encode(
                STREAM, workspace=WORKSPACE, version=version, time=self._run.now, events=events, queued_at=NOW
            )
            self._records.append(decode_commit(encoded.record.value))
            self._fold(self.live, len(self._records))
            if self._random.random() < self._every:
                change, _ = self.live.collect_changes()
                await self._checkpoints.save("executions", 0, EPOCH, change)
                self.live.saved(change)
        if pending:
            await self._compare()

    def _fold(self, memory: PartitionMemory, offset: int) -> None:
        """The commit at `offset` (the takeover stands at 0)."""
        commit = self._records[offset - 1]
        memory.fence.next_offset = offset + 1
        memory.fence.next_n = offset
        memory.fold(offset, commit, [registry.decode_event(event, {}) for event in commit.events], None)

    async def _compare(self) -> None:
        stored = await self._checkpoints.load("executions", 0)
        recovered = PartitionMemory(self._lane, stored) if stored.fence.epoch else _memory(self._lane)
        for offset in range(recovered.fence.next_offset, len(self._records) + 1):
            self._fold(recovered, offset)
        for stream in recovered.busy_streams():  # an owner resumes them at once; nothing comes of it for a queued one
            entry = recovered.entries[stream]
            self._lane.wake(entry)
            recovered.unchanged(stream, entry, self._run.now)
        self.compared += 1
        assert recovered.fence == self.live.fence
        assert recovered.remembered.get(STREAM) == self.live.remembered.get(STREAM)
        assert recovered.queued.waiting() == self.live.queued.waiting()
        assert set(recovered.entries) == set(self.live.entries)
        for stream, entry in recovered.entries.items():
            self._equal(entry, self.live.entries[stream])
            assert view(entry.state) == view(self._run.state)  # type: ignore[arg-type]

    def _equal(self, recovered: Entry, live: Entry) -> None:
        for entry in (recovered, live):
            self._lane.wake(entry)
        assert view(recovered.state) == view(live.state)
        for name in ("workspace", "version", "due", "parked", "queued", "graph_key", "queued_at"):
            assert getattr(recovered, name) == getattr(live, name), name


def _memory(lane: ExecutionLane) -> PartitionMemory:
    memory = PartitionMemory(lane)
    memory.fence.accept(0, (("k", KIND_TAKEOVER), ("o", EPOCH.nonce.encode())))
    return memory


async def replay(seed: int) -> int:
    """Drive one random workflow to its end; how many states were compared."""
    source = Random(f"replay {seed}")
    document = random_document(source)
    run = Run(document)
    recorder = Recorder(run, source, document)
    await recorder.claim()
    run.start([{"n": number} for number in range(source.randint(0, 4))], begin=source.random() < 0.9)
    for _ in range(3_000):
        await recorder.catch_up()
        assert run.state is not None
        if run.state.closed:
            return recorder.compared
        if run.state.status == "queued":
            slot = wanted(run.state)
            run.do(Begin() if slot is None else GrantSlot(slot.stream, slot.key))
        else:
            step(source, run)
    raise AssertionError("it does not end")


@pytest.mark.simulation
@pytest.mark.parametrize("first", range(0, GRAPHS, CHUNK))
async def test_a_new_owner_holds_the_same_after_every_step(first: int) -> None:
    compared = 0
    with patch.object(course, "MAX_RUNS", 60):
        for seed in range(first, first + CHUNK):
            try:
                compared += await replay(seed)
            except AssertionError as error:
                raise AssertionError(f"replay({seed}): {error}") from error
    assert compared > 2 * CHUNK
