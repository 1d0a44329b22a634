"""One owner of one partition of one lane: takes over, recovers, decides, commits, and acts on what was accepted.

The life of an owner (docs/log-protocol.md):

    announce (takeover record) → claim the checkpoint → fold the commits up to the own takeover → decide, for ever

Nothing is acted upon before the log has acknowledged it at exactly the offset after the owner's previous record
(rule 4). Anything else means: forget everything and take over anew. One append is under way at a time; what arrives
meanwhile makes the next batch.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import asyncpg

from domain.effects import Compute, ExchangeCode, PerformAttempt, TryCredential, WakeAt
from domain.execution.commands import Begin, PassTime, Resume
from infra.blobs import BlobsMissing
from infra.failpoints import failpoint
from infra.log.port import LogError, NewRecord, OffsetOutOfRange, Record, RecordTooLarge, Topic, Writer
from infra.postgres.checkpoints import CheckpointRefused
from infra.postgres.pool import DATABASE_AWAY
from infra.telemetry import metrics
from infra.telemetry.logs import get_logger
from schemas.fence import GapInLog
from services.worker.batch import Batch, Decided, Internal
from services.worker.clock import OwnerClock, elapsed_ms
from services.worker.commits import CommitEncoder
from services.worker.lanes import Entry, Lane
from services.worker.memory import PartitionMemory
from services.worker.read_models import ReadModelsBehind
from services.worker.recovery import OwnershipLost, announce, first_waiting, last_tick, recover
from services.worker.surroundings import Surroundings

SUSPECT_LIMIT = 10
"""An input that was decided alone so often in a row without an answer takes its process down."""
MAX_BATCH = 200
"""Decisions in one append."""
INBOX_LIMIT = 1_000
"""Inputs that wait undecided before the owner's partition is paused."""
CHECKPOINT_SECONDS = 3.0
BEGIN_AT_ONCE = 20
"""So many starts that were put off begin in one batch; while inputs wait, one: they are to be seen soon."""
CROWDED = 20
"""While so many inputs wait, workspaces that have had more than others stand back."""
QUEUED_SECONDS = 0.05
"""While starts are put off, room for them is looked for this often."""

_MENDED_BY_TAKEOVER: tuple[type[BaseException], ...] = (
    OwnershipLost,
    CheckpointRefused,
    LogError,
    ReadModelsBehind,
    *DATABASE_AWAY,
)
_NO_CHECKPOINT: tuple[type[BaseException], ...] = (CheckpointRefused, *DATABASE_AWAY)

_log = get_logger("worker.owner")


class PartitionOwner:
    """Owns partition `partition` of `lane` for as long as `run` runs."""

    def __init__(self, lane: Lane, partition: int, around: Surroundings) -> None:
        self.lane = lane
        self.partition = partition
        self.clock = OwnerClock()
        self.live = False
        self.stopped: str | None = None
        self.next_tick = 0
        self._around = around
        self._memory = PartitionMemory(lane, shares=around.shares)
        self._writer: Writer | None = None
        self._encoder: CommitEncoder | None = None
        self._internal: deque[Internal] = deque()
        self._inbox: deque[Record] = deque()
        self.next_input = 0
        self._poison = -1
        self._suspect = -1
        self._survived = -1
        self._damage: Exception | None = None
        self._computing: set[tuple[str, str, int]] = set()
        self._wake = asyncio.Event()
        self._paused = False
        self._busy = False
        self._checkpointing = False

    # --- what the worker calls --------------------------------------------------------------------------------------

    @property
    def open_streams(self) -> int:
        return len(self._memory.entries)

    @property
    def standing_in_line(self) -> dict[str, int]:
        """Starts that were put off, by workspace."""
        return self._memory.queued.waiting()

    @property
    def answered(self) -> int:
        """Inputs below this offset have their answer in the log."""
        return self._memory.answered

    @property
    def waiting_inputs(self) -> int:
        return len(self._inbox)

    @property
    def idle(self) -> bool:
        return not self._inbox and not self._internal and not self._busy

    def post(self, stream: str, command: Any) -> None:
        """Give the owner an input from inside: a result, or the passing of time."""
        self._internal.append(Internal(stream, command))
        self._wake.set()

    def take_in(self, record: Record) -> None:
        """Give the owner the next record of its input topic; one that it had already is dropped."""
        if record.offset < self.next_input:
            return
        if record.offset > self.next_input:
            self.stop_for(GapInLog(self.next_input, record.offset))
            return
        self.next_input += 1
        self._inbox.append(record)
        self._wake.set()
        if len(self._inbox) >= INBOX_LIMIT and not self._paused:
            self._paused = True
            self._around.pause(self)

    def stop_for(self, damage: Exception) -> None:
        """The log is damaged where this owner reads: it says so and stops, the others go on."""
        self._damage = damage
        self._wake.set()

    def tick(self, tick_time: int, record: Record) -> None:
        """A tick was read from `record`."""
        self.next_tick = record.offset + 1
        self.clock.tick(tick_time, record.appended_at)
        self._wake.set()

    def projected(self, next_offset: int) -> None:
        """The read model has all commits of this partition below `next_offset`."""
        self._memory.remembered.visible(next_offset, elapsed_ms())

    def computing_begins(self, stream: str, node: str, run: int) -> bool:
        """Whether this heavy run is not in the compute pool already."""
        if (stream, node, run) in self._computing:
            return False
        self._computing.add((stream, node, run))
        return True

    def computing_ended(self, stream: str, node: str, run: int) -> None:
        self._computing.discard((stream, node, run))

    def drain(self) -> None:
        """Take no more inputs; go on with what is under way."""
        self._around.stop_feeding(self)

    async def finish(self) -> None:
        """After the drain: a last checkpoint. What it does not hold, the next owner folds from the log."""
        if not self.live or self._busy:
            return
        try:
            async with asyncio.timeout(2.0):
                await self._checkpoint()
        except _NO_CHECKPOINT as error:
            _log.warning("no last checkpoint", **self._labels(), reason=str(error))

    # --- life -------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Own the partition until cancelled. Returns only if the log itself is damaged (`stopped` says why)."""
        failures = 0
        while True:
            try:
                await self._take_over()
                failures = 0
                await self._work()
            except (OffsetOutOfRange, GapInLog, BlobsMissing) as error:
                self.stopped = str(error)
                _log.error("partition stopped: the log is damaged", **self._labels(), reason=str(error))
                return
            except _MENDED_BY_TAKEOVER as error:
                failures += 1
                _log.warning("taking over anew", **self._labels(), reason=str(error), kind=type(error).__name__)
            except asyncpg.PostgresError as error:  # a statement that is wrong: of this partition only, we hope
                failures += 1
                _log.exception("taking over anew", **self._labels(), reason=str(error), kind=type(error).__name__)
            finally:
                self.live = False
                self._memory.outbox.stop()
                self._around.stop_feeding(self)
            await self._back_off(failures)

    async def _back_off(self, failures: int) -> None:
        """With jitter, and until the group confirms the assignment: two confused owners must not alternate."""
        await asyncio.sleep(min(5.0, 0.1 * 2**failures) * random.uniform(0.5, 1.0))  # noqa: S311
        while not self._around.confirmed(self.lane.name, self.partition):
            await asyncio.sleep(0.2)

    async def _take_over(self) -> None:
        started = time.perf_counter()
        around = self._around
        self._inbox.clear()
        self._damage = None
        self._computing.clear()
        self._paused = False
        self._writer = await around.writer()
        try:
            epoch = await announce(self._writer, self.lane, self.partition, around.name)
        except LogError:
            await around.writer_failed(self._writer)
            raise
        announced = elapsed_ms()
        self._memory, announced_at = await recover(around, self.lane, self.partition, epoch)
        around.log_clock.saw(announced_at, announced)  # before anything is sent: the wall clock may be wrong
        self._encoder = CommitEncoder(epoch, self.partition)
        self._suspect = await first_waiting(around, self._memory, self.partition)
        self._poison = -1
        if self.lane.ticks:
            self.next_tick, tick = await last_tick(around, self.partition)
            if tick is not None:
                tick_time, appended_at = tick
                age = announced_at - appended_at + elapsed_ms() - announced
                self.clock.resume(tick_time, max(0, age))
        for stream in self._memory.busy_streams():
            self._internal.append(Internal(stream, Resume()))
        self._memory.outbox.start(around, self._labels())
        self.next_input = self._memory.answered
        self.live = True
        self._wake.set()
        around.feed(self, self._memory.answered)
        metrics.TAKEOVERS.labels(self.lane.name).inc()
        metrics.RECOVERY_SECONDS.observe(time.perf_counter() - started)
        _log.info("took over", **self._labels(), epoch=epoch.offset, open=self.open_streams, answered=self.answered)

    async def _work(self) -> None:
        next_checkpoint = time.monotonic() + CHECKPOINT_SECONDS * random.uniform(0.5, 1.5)  # noqa: S311
        while True:
            pause = next_checkpoint - time.monotonic()
            if self._damage is not None:
                raise self._damage
            if pause <= 0:
                await self._keep_house()
                next_checkpoint = time.monotonic() + CHECKPOINT_SECONDS
            elif self._internal or self._inbox or self._due_now() or self._may_begin():
                self._fire_due()
                self._begin_queued()
                await self._decide_batch()
            else:
                await self._wait(min(pause, QUEUED_SECONDS) if self._memory.queued else pause)

    async def _wait(self, seconds: float) -> None:
        self._wake.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _keep_house(self) -> None:
        remembered = self._memory.remembered
        now = elapsed_ms()  # a wall clock that is stepped would forget ids too early, and start a stream twice
        if remembered.wants_end_offset(now):
            remembered.expire(now, await self._around.log.end_offset(self.lane.input_topic, self.partition))
        remembered.forget(self._memory.answered)
        if not self._memory.has_changed():
            return
        try:
            await self._checkpoint()
        except DATABASE_AWAY as error:
            _log.warning("no checkpoint, again later", **self._labels(), reason=str(error))

    async def _checkpoint(self) -> None:
        memory = self._memory
        epoch = memory.fence.epoch
        if epoch is None or self._checkpointing:  # the last one of a drain and a regular one must not cross
            return
        started = time.perf_counter()
        self._checkpointing = True
        change, streams = memory.collect_changes()
        try:
            failpoint("owner.before_checkpoint")
            await self._around.checkpoints.save(self.lane.name, self.partition, epoch, change)
            failpoint("owner.after_checkpoint")
        except BaseException:
            memory.not_saved(streams)
            raise
        finally:
            self._checkpointing = False
        memory.saved(change)
        metrics.CHECKPOINT_SECONDS.observe(time.perf_counter() - started)

    def _due_now(self) -> bool:
        due = self._memory.next_due()
        return due is not None and self.clock.fresh() and due <= self.clock.now()

    def _fire_due(self) -> None:
        """Whatever is due by the time that ticks carry gets its PassTime."""
        if self._due_now():
            self._internal.extend(Internal(stream, PassTime()) for stream in self._memory.pop_due(self.clock.now()))

    def _may_begin(self) -> bool:
        return any(not self._around.saturated(workspace) for workspace in self._memory.queued.workspaces())

    def _begin_queued(self) -> None:
        """Starts that were put off under pressure begin when there is room again, in fair turns."""
        for _ in range(1 if self._inbox else BEGIN_AT_ONCE):
            stream = self._memory.queued.take(time.monotonic(), lambda name: not self._around.saturated(name))
            if stream is None:
                return
            self._internal.append(Internal(stream, Begin()))

    # --- deciding and committing ------------------------------------------------------------------------------------

    async def _decide_batch(self) -> None:
        assert self._encoder is not None
        self._busy = True
        try:
            alone = await self._beware()
            batch = Batch(
                self._around,
                self.lane,
                self.partition,
                self._memory,
                self._encoder,
                self.clock,
                self._poison,
                crowded=len(self._inbox) >= CROWDED,
            )
            most_internal, most_inputs = (0, 1) if alone else (MAX_BATCH, MAX_BATCH)
            internal = [self._internal.popleft() for _ in range(min(len(self._internal), most_internal))]
            inputs = [self._inbox.popleft() for _ in range(min(len(self._inbox), most_inputs))]
            left_internal, left_inputs = await batch.decide(internal, inputs)
            self._internal.extendleft(reversed(left_internal))
            self._inbox.extendleft(reversed(left_inputs))
            if batch.dead_letters:
                await self._append(Topic.DEAD_LETTERS, batch.dead_letters)
                failpoint("owner.after_dead_letters")
            await self._commit(batch)
        finally:
            self._busy = False
        if self._paused and len(self._inbox) < INBOX_LIMIT // 2:
            self._paused = False
            self._around.resume(self)

    async def _beware(self) -> bool:
        """The input that a takeover found waiting first is counted just before it is decided, alone: if the process
        dies of it again and again, it becomes a dead letter (rule 8), and no input of another partition with it."""
        if self._suspect < 0 or not self._inbox or self._inbox[0].offset != self._suspect:
            return False
        if self._suspect != self._survived:  # else this very process decided it before: something else went wrong
            count = await self._around.checkpoints.suspect(self.lane.name, self.partition, self._suspect)
            if count > SUSPECT_LIMIT:
                self._poison = self._suspect
            else:
                self._survived = self._suspect
        self._suspect = -1
        return True

    async def _commit(self, batch: Batch) -> None:
        """Append the batch; act on it once the log has acknowledged exactly the expected offset (rule 4)."""
        memory = self._memory
        expected = memory.fence.next_offset
        if batch.records:
            assert self._encoder is not None
            for workspace, blobs in self._encoder.take_blobs().items():
                await self._around.blobs.put_many(workspace, blobs)
                failpoint("owner.after_blobs")
            started = time.perf_counter()
            failpoint("owner.before_append")
            first = await self._append(self.lane.commit_topic, batch.records)
            failpoint("owner.after_append")
            if first != expected:
                raise OwnershipLost(f"expected offset {expected} for the next commit, the log gave {first}")
            metrics.APPEND_SECONDS.labels(self.lane.commit_topic).observe(time.perf_counter() - started)
            metrics.COMMITS.labels(self.lane.name).inc(len(batch.records))
            memory.fence.next_offset = first + len(batch.records)
            memory.fence.next_n = self._encoder.next_n
        self._act(expected, batch.decided)
        failpoint("owner.after_effects")

    async def _append(self, topic: Topic, records: Sequence[NewRecord]) -> int:
        assert self._writer is not None
        try:
            return await self._writer.append(topic, self.partition, records)
        except RecordTooLarge:
            raise
        except LogError:
            await self._around.writer_failed(self._writer)
            raise

    def _act(self, first: int, decided: Sequence[Decided]) -> None:
        memory = self._memory
        for each in decided:
            offset = first + each.place
            memory.answered = max(memory.answered, each.answers + 1)
            for sent in each.outgoing:
                memory.outbox.add(*sent)
            if each.refused:
                memory.remembered.add(each.stream, f"!{each.refused}", offset)
            if each.entry is None:
                continue
            for request in each.decision.effects:
                self._start(request, each.stream, each.entry)
            if each.decision.events and memory.entries.get(each.stream) is each.entry:
                memory.changed(each.stream, each.entry, offset)
        memory.outbox.send()

    def _start(self, request: Any, stream: str, entry: Entry) -> None:
        match request:
            case PerformAttempt():
                self._around.perform(self, request, stream, entry)
            case Compute():
                self._around.compute(self, request, stream, entry)
            case TryCredential() | ExchangeCode():
                self._around.serve_credential(request, entry)
            case WakeAt():
                delay = max(0.0, (request.due - self.clock.now()) / 1_000)
                asyncio.get_running_loop().call_later(delay, self._wake_stream, stream)

    def _wake_stream(self, stream: str) -> None:
        if stream in self._memory.entries:
            self.post(stream, PassTime())

    def _labels(self) -> dict[str, Any]:
        return {"lane": self.lane.name, "partition": self.partition}
