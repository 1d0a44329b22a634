"""A worker process: owns the partitions that the group gives it, feeds their owners, performs their effects.

One tree of tasks (structured concurrency): if any part fails in a way that it cannot mend by itself, the whole worker
ends with that error and its supervisor starts it again; there is no half-alive process.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import asyncpg

from domain.effects import Compute, CredentialWork, PerformAttempt
from domain.execution.commands import AttemptNotStarted, ConcludeAttempt
from domain.execution.links import NO_LINKS, Links
from domain.workflow.graph import Graph
from infra.blobs import BlobStore
from infra.log.clock import LogClock
from infra.log.port import (
    Log,
    LogError,
    LogUnavailable,
    Membership,
    NewRecord,
    OffsetOutOfRange,
    Reader,
    Record,
    Topic,
    Writer,
)
from infra.postgres.checkpoints import Checkpoints
from infra.postgres.pool import DATABASE_AWAY
from infra.postgres.waiting import waited_out
from infra.telemetry import metrics
from infra.telemetry.logs import get_logger
from schemas import registry
from schemas.envelope import KIND_COMMAND, decode_tick, encode, partition_of
from schemas.fence import GapInLog
from schemas.payloads import BlobCollector
from services.worker.compute import ComputePool
from services.worker.computing import Computing, ScriptRunner
from services.worker.effects.credential_work import CredentialDesk
from services.worker.effects.interpreter import Interpreters
from services.worker.effects.performer import EffectPerformer
from services.worker.lanes import AggregateLane, Entry, ExecutionLane, Lane, unlimited
from services.worker.owner import PartitionOwner
from services.worker.shares import Shares, Weights, equal
from services.worker.variables import NoVariables, Variables
from services.worker.versions import Versions
from services.worker.workspaces import WorkspaceShares

GROUP = "linkflow-workers"
DRAIN_SECONDS = 8.0
WATCH_SECONDS = 1.0
MOST_TOLD = 100
"""Workspaces whose starts stand in line that a heartbeat names, the longest lines first."""
LATE_AGAIN_SECONDS = 0.5
LATE_SECONDS = 5.0
"""So long the end of the process waits for results that others must get by the log."""

Beat = Callable[[dict[str, Any]], Awaitable[None]]
"""Says to the installation what this worker holds."""

Positions = Callable[[], Awaitable[Mapping[tuple[str, int], int]]]
"""(commit topic, partition) → the read model has all commits below this offset."""

Started = Callable[[Collection[str]], Awaitable[Collection[str]]]
"""Those of the executions that the read model has."""


async def none_started(_executions: Collection[str]) -> Collection[str]:
    """There is no read model."""
    return ()


_AWAY: tuple[type[BaseException], ...] = (LogError, *DATABASE_AWAY)
_SENT_AGAIN: tuple[type[BaseException], ...] = (*_AWAY, asyncpg.PostgresError)

_log = get_logger("worker")


class Worker:
    """Runs owners for whatever partitions it has been given. `name` is stable over restarts."""

    def __init__(
        self,
        log: Log,
        checkpoints: Checkpoints,
        blobs: BlobStore,
        versions: Versions,
        positions: Positions,
        *,
        name: str,
        max_effects: int = 2_000,
        compute_processes: int = 1,
        lanes: Sequence[Lane] | None = None,
        interpreters: Interpreters,
        compute: ComputePool | None = None,
        shares: WorkspaceShares | None = None,
        beat: Beat | None = None,
        links: Links = NO_LINKS,
        credential_desk: CredentialDesk | None = None,
        log_clock: LogClock | None = None,
        started: Started = none_started,
        sandbox: ScriptRunner | None = None,
        variables: Variables | None = None,
    ) -> None:
        self.log = log
        self.checkpoints = checkpoints
        self.blobs = blobs
        self.name = name
        self.versions = versions
        self.variables = variables or NoVariables()
        self._workspaces = shares
        weights: Weights = shares.weight if shares is not None else equal
        self.shares = Shares(weights)
        self._positions = positions
        self._started = started
        self._beat = beat
        self._lanes: Sequence[Lane] = lanes or (
            ExecutionLane(self.versions, links, shares.concurrent if shares is not None else unlimited),
            AggregateLane(),
        )
        self._owners: dict[tuple[str, int], PartitionOwner] = {}
        self._tasks: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._fed: dict[tuple[Topic, int], PartitionOwner] = {}
        self._ticked: dict[int, list[PartitionOwner]] = {}
        self._performer = EffectPerformer(max_effects, interpreters, weights)
        self._computing = Computing(compute or ComputePool(compute_processes), sandbox, links)
        self._writer: Writer | None = None
        self._writer_lock = asyncio.Lock()
        self._late: set[asyncio.Task[None]] = set()
        self._assigned: frozenset[int] = frozenset()
        self._credential_desk = credential_desk
        self.log_clock = log_clock or LogClock()
        self._fresh_ticks: dict[int, int] = {}

    @property
    def ready(self) -> bool:
        """Whether every partition that the group gave to this worker has been taken over."""
        return bool(self._owners) and all(owner.live for owner in self._owners.values())

    def find_owner(self, lane: str, partition: int) -> PartitionOwner | None:
        return self._owners.get((lane, partition))

    def owner_of(self, lane: str, partition: int) -> PartitionOwner:
        """The owner of a partition that this worker has; raises KeyError."""
        return self._owners[lane, partition]

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then drain: finish what is under way, checkpoint, leave the group."""
        membership = await self.log.membership(GROUP, self.name)
        reader = await self.log.reader()
        self._reader = reader
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._follow_assignment(membership, group)),
                    group.create_task(self._feed_owners(reader)),
                    group.create_task(self._watch_read_model()),
                ]
                if self._workspaces is not None:
                    tasks.append(group.create_task(self._workspaces.run()))
                await stop.wait()
                await self._drain()
                for task in (*tasks, *self._tasks.values()):
                    task.cancel()
        finally:
            await self._close(membership, reader)

    # --- for owners (Surroundings) ----------------------------------------------------------------------------------

    async def started(self, executions: Collection[str]) -> Collection[str]:
        return await self._started(executions)

    async def writer(self) -> Writer:
        async with self._writer_lock:
            if self._writer is None:
                self._writer = await self.log.writer()
            return self._writer

    async def writer_failed(self, writer: Writer) -> None:
        """Give up everything under way in `writer` (rule 4); the next caller gets a new one."""
        if self._writer is writer:
            self._writer = None
        await writer.close()

    def confirmed(self, lane: str, partition: int) -> bool:
        return partition in self._assigned

    def feed(self, owner: PartitionOwner, offset: int) -> None:
        self._fed[owner.lane.input_topic, owner.partition] = owner
        self._reader.seek(owner.lane.input_topic, owner.partition, offset)
        if owner.lane.ticks:
            listening = self._ticked.setdefault(owner.partition, [])
            if not listening:
                self._fresh_ticks[owner.partition] = owner.next_tick
                self._reader.seek(Topic.TICKS, owner.partition, owner.next_tick)
            if owner not in listening:
                listening.append(owner)

    def stop_feeding(self, owner: PartitionOwner) -> None:
        if self._fed.get((owner.lane.input_topic, owner.partition)) is owner:
            del self._fed[owner.lane.input_topic, owner.partition]
            self._reader.forget(owner.lane.input_topic, owner.partition)
        listening = self._ticked.get(owner.partition, [])
        if not owner.live and owner in listening:
            listening.remove(owner)
            if not listening:
                self._reader.forget(Topic.TICKS, owner.partition)

    def pause(self, owner: PartitionOwner) -> None:
        self._reader.pause(owner.lane.input_topic, owner.partition)

    def resume(self, owner: PartitionOwner) -> None:
        if self._fed.get((owner.lane.input_topic, owner.partition)) is owner:
            self._reader.resume(owner.lane.input_topic, owner.partition)

    def perform(self, owner: PartitionOwner, request: PerformAttempt, stream: str, entry: Entry) -> None:
        self._performer.start(
            request,
            stream,
            owner.clock,
            partial(self._deliver, entry.workspace),
            entry.trace,
            workspace=entry.workspace,
        )

    def serve_credential(self, work: CredentialWork, entry: Entry) -> None:
        if self._credential_desk is None:
            _log.error("this worker serves no credentials", credential_id=work.credential_id)
        else:
            self._spawn(self._credential_desk.serve(work, entry.workspace))

    def saturated(self, workspace: str) -> bool:
        return self._performer.saturated(workspace)

    def compute(self, owner: PartitionOwner, request: Compute, stream: str, entry: Entry) -> None:
        key = entry.graph_key
        graph = self.versions.get(key) if key else None
        document = self.versions.document(key) if key else None
        if graph is None or document is None or entry.state is None:
            return
        if owner.computing_begins(stream, request.node, request.run):
            self._spawn(self._compute_run(owner, request, stream, entry, graph, document))

    # --- assignment -------------------------------------------------------------------------------------------------

    async def _follow_assignment(self, membership: Membership, group: asyncio.TaskGroup) -> None:
        while True:
            assigned = await membership.assigned()
            self._assigned = assigned
            _log.info("assigned", partitions=sorted(assigned))
            for place in [place for place in self._owners if place[1] not in assigned]:
                self._owners.pop(place)
                self._tasks.pop(place).cancel()
            for lane in self._lanes:
                for partition in sorted(assigned):
                    if (lane.name, partition) not in self._owners:
                        self._own(lane, partition, group)
                metrics.OWNED.labels(lane.name).set(len(assigned))

    def _own(self, lane: Lane, partition: int, group: asyncio.TaskGroup) -> None:
        owner = PartitionOwner(lane, partition, self)
        self._owners[lane.name, partition] = owner
        self._tasks[lane.name, partition] = group.create_task(owner.run(), name=f"{lane.name}/{partition}")

    # --- feeding ----------------------------------------------------------------------------------------------------

    async def _feed_owners(self, reader: Reader) -> None:
        while True:
            try:
                records = await reader.read(max_records=2_000)
            except LogUnavailable as error:
                _log.warning("reading inputs failed, again soon", reason=str(error))
                await asyncio.sleep(0.3)
            except OffsetOutOfRange as error:
                await self._find_cut(error)
            else:
                for record in records:
                    self._feed_record(record)

    async def _find_cut(self, error: OffsetOutOfRange) -> None:
        """A partition was cut where it is read: that one stops, the others go on. Ticks go on with the newest."""
        found = False
        for partition, listening in list(self._ticked.items()):
            first = await self.log.first_offset(Topic.TICKS, partition)
            end = await self.log.end_offset(Topic.TICKS, partition)
            if listening and not first <= max(owner.next_tick for owner in listening) <= end:
                found = True
                self._reader.seek(Topic.TICKS, partition, max(first, end - 1))
        for (topic, partition), owner in list(self._fed.items()):
            first = await self.log.first_offset(topic, partition)
            end = await self.log.end_offset(topic, partition)
            if not first <= owner.next_input <= end:
                found = True
                self._reader.forget(topic, partition)
                owner.stop_for(GapInLog(owner.next_input, first))
        if not found:
            raise error

    def _feed_record(self, record: Record) -> None:
        if record.topic is Topic.TICKS:
            self._feed_tick(record)
        elif (owner := self._fed.get((record.topic, record.partition))) is not None:
            owner.take_in(record)

    def _feed_tick(self, record: Record) -> None:
        """Both lanes' owners of a partition go by the same ticks."""
        try:
            tick_time = decode_tick(record.value).time
        except Exception as error:  # noqa: BLE001 — garbage among the ticks stops nothing
            _log.warning("tick cannot be decoded", partition=record.partition, reason=str(error))
            return
        for owner in self._ticked.get(record.partition, ()):
            owner.tick(tick_time, record)
        if record.offset >= self._fresh_ticks.get(record.partition, 0):
            self.log_clock.saw(record.appended_at)

    async def _watch_read_model(self) -> None:
        """Tell owners how far the read model is (rule 14) and keep the gauges."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            reached: Mapping[tuple[str, int], int] = {}
            with waited_out(_log, "positions cannot be read", quiet=True) as reading:
                reached = await self._positions()
            if reading.failed:
                continue
            open_executions = 0
            waiting: Counter[str] = Counter()
            for owner in self._owners.values():
                owner.projected(reached.get((owner.lane.commit_topic, owner.partition), 0))
                metrics.LAG.labels(owner.lane.name, str(owner.partition)).set(owner.waiting_inputs)
                if owner.lane.commit_topic is Topic.EXECUTIONS:
                    open_executions += owner.open_streams
                    waiting.update(owner.standing_in_line)
            metrics.OPEN_EXECUTIONS.set(open_executions)
            if self._beat is not None:
                facts = {
                    "partitions": len(self._owners),
                    "holds": sorted(self._assigned),
                    "open": open_executions,
                    "queued": waiting.total(),
                    "queued_by_workspace": dict(waiting.most_common(MOST_TOLD)),
                }
                with waited_out(_log, "no sign of life can be given", quiet=True):
                    await self._beat(facts)

    # --- results ----------------------------------------------------------------------------------------------------

    def _deliver(self, workspace: str, stream: str, command: ConcludeAttempt | AttemptNotStarted) -> None:
        owner = self._owners.get(("executions", partition_of(stream, self.log.partitions)))
        if owner is not None and owner.stopped is None:
            owner.post(stream, command)
        else:
            self._spawn(self._send_late(workspace, stream, command))

    async def _send_late(self, workspace: str, stream: str, command: ConcludeAttempt | AttemptNotStarted) -> None:
        """The stream has another owner now: it gets the result by the log."""
        name = f"{stream}:{command.node}:{command.run}:{command.attempt}:result"
        headers = (("k", KIND_COMMAND), ("i", name.encode()), ("s", stream.encode()))
        place = partition_of(stream, self.log.partitions)
        while True:
            spill = BlobCollector(workspace)
            record = registry.command_record(
                command,
                id=name,
                stream=stream,
                workspace=workspace,
                made=self.log_clock.now(),  # anew each time: it does not age while the log is away
                actor=self.name,
                spill=spill,
            )
            writer: Writer | None = None
            try:
                if spill.blobs:
                    await self.blobs.put_many(workspace, spill.blobs)
                writer = await self.writer()
                await writer.append(
                    Topic.EXECUTION_COMMANDS, place, [NewRecord(encode(record), headers, stream.encode())]
                )
            except _SENT_AGAIN as error:
                said = _log.warning if isinstance(error, _AWAY) else _log.exception
                said("a late result cannot be sent, again soon", stream=stream, reason=str(error))
                if writer is not None:
                    await self.writer_failed(writer)
                await asyncio.sleep(LATE_AGAIN_SECONDS)
            else:
                return

    async def _compute_run(
        self, owner: PartitionOwner, request: Compute, stream: str, entry: Entry, graph: Graph, document: bytes
    ) -> None:
        try:
            done = await self._computing.run(entry.workspace, entry.state, request, graph, document, owner.clock.now())
        finally:
            owner.computing_ended(stream, request.node, request.run)
        for command in done:
            owner.post(stream, command)

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    # --- the end ----------------------------------------------------------------------------------------------------

    async def _drain(self) -> None:
        _log.info("draining", effects=self._performer.under_way)
        owners: Sequence[PartitionOwner] = list(self._owners.values())
        for owner in owners:
            owner.drain()
        deadline = asyncio.get_running_loop().time() + DRAIN_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            await self._performer.settle(0.2)
            if not self._performer.under_way and all(owner.idle for owner in owners):
                break
            await asyncio.sleep(0.01)
        for owner in owners:
            await owner.finish()

    async def _close(self, membership: Membership, reader: Reader) -> None:
        await self._performer.close()
        if self._late:
            await asyncio.wait(self._late, timeout=LATE_SECONDS)
        for task in list(self._late):
            task.cancel()
        await self._computing.close()
        await membership.close()
        await reader.close()
        if self._writer is not None:
            await self._writer.close()
