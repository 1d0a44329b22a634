"""Workers on a log in memory: several in one event loop, each of which can be held up, paused or killed."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from uuid import uuid4

from domain.effects import HttpRequest
from domain.workflow.document import parse_document
from domain.workflow.graph import Graph, compile_workflow
from infra.blobs import MemoryBlobs
from infra.egress.guard import EgressGuard
from infra.log.memory import MemoryLog
from infra.log.port import Log, Membership, NewRecord, Reader, Record, Topic, Writer
from infra.postgres.checkpoints import MemoryCheckpoints
from infra.sandbox import Sandbox
from schemas import registry
from schemas.envelope import (
    KIND_COMMAND,
    KIND_TICK,
    CommitRecord,
    TickRecord,
    decode_commit,
    encode,
    partition_of,
)
from schemas.fence import Fence
from services.worker.clock import wall_ms
from services.worker.effects.http import HttpEffects
from services.worker.lanes import Lane
from services.worker.variables import NoVariables, Variables
from services.worker.versions import BY_REFERENCE, GraphKey
from services.worker.worker import GROUP, Worker

WORKSPACE = "0b1f6f0e-6d0c-4b6e-9d3a-1c9f4a1e7a10"
PARTITIONS = 2
LOOPBACK = EgressGuard(["127.0.0.1"])


class KnownVersions:
    """Workflow versions that a test made."""

    def __init__(self) -> None:
        self._documents: dict[GraphKey, bytes] = {}
        self._graphs: dict[GraphKey, Graph] = {}

    def add(self, workflow_id: str, version: int, document: Mapping[str, Any], workspace: str = WORKSPACE) -> None:
        key = (workspace, workflow_id, version)
        self._graphs[key] = compile_workflow(parse_document(dict(document)))
        self._documents[key] = encode(document)

    def forget(self) -> None:
        """As after an upgrade that cannot run what is stored any more."""
        self._graphs.clear()

    def get(self, key: GraphKey) -> Graph | None:
        return self._graphs.get(key)

    def meant(self, key: GraphKey) -> GraphKey:
        """The newest version: nothing is ever activated here."""
        versions = [known[2] for known in self._graphs if known[:2] == key[:2]]
        return (*key[:2], max(versions)) if key[2] == BY_REFERENCE and versions else key

    def document(self, key: GraphKey) -> bytes | None:
        return self._documents.get(key)

    def missing(self, keys: Iterable[GraphKey]) -> set[GraphKey]:
        return {key for key in keys if key not in self._graphs}

    async def load(self, keys: Iterable[GraphKey]) -> None:
        return


class HeldWriter:
    """A writer whose appends wait for its gate, as those of a process that was stopped just before sending."""

    def __init__(self, writer: Writer, gate: asyncio.Event) -> None:
        self._writer = writer
        self._gate = gate

    async def append(self, topic: Topic, partition: int, records: Sequence[NewRecord]) -> int:
        await self._gate.wait()
        return await self._writer.append(topic, partition, records)

    async def close(self) -> None:
        await self._writer.close()


class HeldLog:
    """The shared log as one worker sees it: `gate` holds its appends, `assignment` overrules the group."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self.partitions = log.partitions
        self.gate = asyncio.Event()
        self.gate.set()

    async def writer(self) -> Writer:
        return HeldWriter(await self._log.writer(), self.gate)

    async def reader(self) -> Reader:
        return await self._log.reader()

    async def membership(self, group: str, member: str) -> Membership:
        # a group of its own: the worker believes that everything is its, like a zombie does
        return await self._log.membership(f"{group}-{member}", member)

    async def end_offset(self, topic: Topic, partition: int) -> int:
        return await self._log.end_offset(topic, partition)

    async def first_offset(self, topic: Topic, partition: int) -> int:
        return await self._log.first_offset(topic, partition)

    async def group_offsets(self, group: str) -> dict[tuple[Topic, int], int]:
        return await self._log.group_offsets(group)

    async def commit_group_offsets(self, group: str, offsets: Mapping[tuple[Topic, int], int]) -> None:
        await self._log.commit_group_offsets(group, offsets)

    async def delete_before(self, topic: Topic, partition: int, offset: int) -> None:
        await self._log.delete_before(topic, partition, offset)

    async def close(self) -> None:
        return


class Cluster:
    """A log, its checkpoints, and workers on it. Use as a context manager: all workers end with it."""

    def __init__(self, *, max_effects: int = 2_000, sandboxed: bool = False, guard: EgressGuard = LOOPBACK) -> None:
        self._sandboxed = sandboxed
        self._max_effects = max_effects
        self._guard = guard
        self.log = MemoryLog(PARTITIONS, clock=wall_ms)
        self.checkpoints = MemoryCheckpoints()
        self.blobs = MemoryBlobs()
        self.versions = KnownVersions()
        self.variables: Variables = NoVariables()
        self.workers: dict[str, Worker] = {}
        self.held: dict[str, HeldLog] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._stops: dict[str, asyncio.Event] = {}
        self._clock: asyncio.Task[None] | None = None
        self.tick_time: Callable[[], int | None] = wall_ms
        """The time that ticks carry, ms since 1970; None: nobody ticks."""

    async def __aenter__(self) -> "Cluster":
        self._clock = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *_: object) -> None:
        for name in list(self._running):
            await self.kill(name)
        if self._clock is not None:
            self._clock.cancel()
        await self.log.close()

    async def start(self, name: str, *, alone: bool = False, lanes: Sequence[Lane] | None = None) -> Worker:
        """Start a worker. `alone`: it believes that all partitions are its, whatever others do."""
        log: Log = self.log
        if alone:
            log = self.held[name] = HeldLog(self.log)

        async def positions() -> Mapping[tuple[str, int], int]:
            return {}

        worker = Worker(
            log,
            self.checkpoints,
            self.blobs,
            self.versions,
            positions,
            name=name,
            lanes=lanes,
            max_effects=self._max_effects,
            interpreters={HttpRequest: HttpEffects(self._guard)},
            sandbox=Sandbox() if self._sandboxed else None,
            variables=self.variables,
        )
        stop = self._stops[name] = asyncio.Event()
        self.workers[name] = worker
        self._running[name] = asyncio.create_task(worker.run(stop))
        return worker

    async def stop(self, name: str) -> None:
        """End a worker as SIGTERM does."""
        self._stops[name].set()
        await self._running.pop(name)
        del self.workers[name]

    async def kill(self, name: str) -> None:
        """End a worker without any goodbye."""
        task = self._running.pop(name)
        self.workers.pop(name, None)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self.log.expire(GROUP, name)

    async def send(self, command: Any, stream: str, *, id: str | None = None, made: int | None = None) -> str:  # noqa: A002
        """Append a command as the api does; returns its id."""
        command_id = id or str(uuid4())
        record = registry.command_record(
            command, id=command_id, stream=stream, workspace=WORKSPACE, made=wall_ms() if made is None else made
        )
        headers = (("k", KIND_COMMAND), ("i", command_id.encode()), ("r", b"nonce-" + command_id.encode()))
        topic = Topic.EXECUTION_COMMANDS if stream.startswith("execution-") else Topic.COMMANDS
        writer = await self.log.writer()
        await writer.append(topic, partition_of(stream, PARTITIONS), [NewRecord(encode(record), headers)])
        return command_id

    def accepted(self, topic: Topic, partition: int) -> list[tuple[Record, CommitRecord]]:
        """The commits that count, by the rules that every reader follows."""
        fence = Fence()
        return [
            (record, decode_commit(record.value))
            for record in self.log.records(topic, partition)
            if fence.accept(record.offset, record.headers)
        ]

    def answers(self, stream: str) -> list[CommitRecord]:
        """All accepted commits of a stream."""
        topic = Topic.EXECUTIONS if stream.startswith("execution-") else Topic.EVENTS
        place = partition_of(stream, PARTITIONS)
        return [commit for _, commit in self.accepted(topic, place) if commit.stream == stream]

    def answer_to(self, command_id: str, stream: str) -> CommitRecord | None:
        found = [commit for commit in self.answers(stream) if commit.cause == command_id]
        assert len(found) <= 1, f"command {command_id} was answered {len(found)} times"
        return found[0] if found else None

    async def answered(self, command_id: str, stream: str, seconds: float = 10.0) -> CommitRecord:
        """Wait for the answer to a command."""
        await until(lambda: self.answer_to(command_id, stream) is not None, seconds, f"no answer to {command_id}")
        commit = self.answer_to(command_id, stream)
        assert commit is not None
        return commit

    async def closed(self, stream: str, seconds: float = 10.0) -> list[str]:
        """Wait until an execution has ended; the types of all its events."""

        def types() -> list[str]:
            return [event.type for commit in self.answers(stream) for event in commit.events]

        ends = {"execution.completed", "execution.failed", "execution.cancelled", "execution.timed_out"}
        await until(lambda: bool(ends & set(types())), seconds, f"{stream} has not ended: {types()}")
        return types()

    async def owned(self, name: str, seconds: float = 10.0) -> None:
        """Wait until the worker's owners have taken over."""
        await until(lambda: name in self.workers and self.workers[name].ready, seconds, f"{name} owns nothing")

    async def _tick(self) -> None:
        writer = await self.log.writer()
        while True:
            if (now := self.tick_time()) is not None:
                tick = NewRecord(encode(TickRecord(time=now, leader="test")), (("k", KIND_TICK),))
                for partition in range(PARTITIONS):
                    await writer.append(Topic.TICKS, partition, [tick])
            await asyncio.sleep(0.05)


async def until(condition: Callable[[], bool], seconds: float, otherwise: str) -> None:
    """Wait for `condition`, looking at it whenever the event loop has gone round."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise AssertionError(otherwise) from None
