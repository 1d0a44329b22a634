"""A client and the api between it and the log: looks at the read model, appends, follows the commits for answers."""

import asyncio
import hashlib
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.dead_letter.commands import RedriveLetter
from domain.execution.commands import CancelExecution, GiveVerdict, StartExecution
from domain.inbox.decider import stream_of
from domain.workspace.commands import AddApiKey, CreateWorkspace
from infra.log.port import LogError, LogUnavailable, NewRecord, Topic, Writer
from projections.memory import MemoryTables
from schemas import registry
from schemas.envelope import KIND_COMMAND, CommitRecord, decode_commit, encode, header, partition_of
from schemas.fence import Fence
from schemas.payloads import BlobCollector
from tests.simulation.clocks import simulated_wall_ms
from tests.simulation.deliveries import Sent
from tests.simulation.log import SimLog
from tests.simulation.stores import SimBlobs
from tests.simulation.workload import Bad, Wish, Workload, workflow_id
from tests.support.workers import WORKSPACE
from tests.torture.marks import MARK

ANSWER_SECONDS = 10.0
REVIEWED_SECONDS = 3_000.0
UNSURE_SECONDS = 120.0
"""So long after a failed append a letter is looked for."""
COMMIT_TOPICS = (Topic.EVENTS, Topic.EXECUTIONS)


@dataclass(frozen=True, slots=True)
class Answered:
    """What a client was told about a command. `commit`: topic and id of the commit that said so."""

    command: str
    stream: str
    kind: str
    code: str
    commit: tuple[str, str]


class Client:
    """All clients of one simulation. `promised`: executions that were accepted by a 202; `taken`: such deliveries."""

    def __init__(
        self, log: SimLog, tables: MemoryTables, blobs: SimBlobs, source: random.Random, load: Workload
    ) -> None:
        self._log = log
        self._tables = tables
        self._blobs = blobs
        self._random = source
        self._load = load
        self._writer: Writer | None = None
        self._expected: dict[bytes, asyncio.Future[CommitRecord]] = {}
        self._asked_at: dict[tuple[str, str, int], float] = {}
        self.answers: list[Answered] = []
        self.promised: set[str] = set()
        self.taken: set[str] = set()
        self.appended: set[str] = set()
        self.run_again: set[tuple[str, str, int]] = set()
        self.left = 0

    @property
    def done(self) -> bool:
        return self.left == 0

    async def run(self) -> None:
        load = self._load
        asked = sum(len(wish.asks) for wish in load.wishes) + sum(len(sent.asks) for sent in load.deliveries)
        self.left = asked + len(load.api_keys) + len(load.bad) + 1
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._judge())
            group.create_task(self._aggregate(0.0, CreateWorkspace(workspace_id=WORKSPACE, name="Acme", at=1)))
            for at, number in load.api_keys:
                key_hash = hashlib.sha256(str(number).encode()).hexdigest()
                add = AddApiKey(key_id=f"key-{number}", key_hash=key_hash, prefix="lf", name="key", at=number)
                group.create_task(self._aggregate(at, add))
            for number, bad in enumerate(load.bad):
                group.create_task(self._put_bad(number, bad))
            for sent in load.deliveries:
                for at in sent.asks:
                    group.create_task(self._deliver(sent, at))
            for wish in load.wishes:
                for at, fingerprint in wish.asks:
                    group.create_task(self._ask(wish, at, fingerprint))
                if wish.cancel_after is not None:
                    group.create_task(self._cancel(wish, wish.asks[0][0] + wish.cancel_after))

    # --- what is asked ------------------------------------------------------------------------------------------------

    async def _ask(self, wish: Wish, at: float, fingerprint: str) -> None:
        await asyncio.sleep(at)
        stream = f"execution-{wish.execution_id}"
        while True:
            made = simulated_wall_ms()
            if wish.keyed and any(key[1] == wish.execution_id for key in self._tables.rows["executions"]):
                break
            command = self._start(wish, fingerprint, made)
            try:
                answer = await self._send(stream, command, made, wait=wish.keyed)
            except (LogError, TimeoutError):
                if not wish.keyed:
                    break  # nobody knows: it must be done once if it landed, and not at all if it did not
                await asyncio.sleep(self._random.uniform(0.2, 3.0))
                continue
            if answer is None or answer.outcome.kind in {"accepted", "duplicate"}:
                self.promised.add(wish.execution_id)
            if answer is None or answer.outcome.code != "stale_command":
                break
        self.left -= 1

    def _start(self, wish: Wish, fingerprint: str, made: int) -> StartExecution:
        return StartExecution(
            execution_id=wish.execution_id,
            workflow_id=workflow_id(wish.workflow),
            workflow_version=1,
            trigger_node="start",
            trigger_type="manual",
            items=[{"json": item} for item in wish.items],
            queued_at=made,
            fingerprint=fingerprint,
        )

    async def _deliver(self, sent: Sent, at: float) -> None:
        """A sender with an Idempotency-Key asks until it is answered; another one asks once."""
        await asyncio.sleep(at)
        while True:
            made = simulated_wall_ms()
            try:
                answer = await self._send(stream_of(sent.endpoint), sent.command(made), made, wait=True)
            except (LogError, TimeoutError):
                if not sent.keyed:
                    break
                await asyncio.sleep(self._random.uniform(0.2, 3.0))
                continue
            if answer is not None and answer.outcome.kind in {"accepted", "duplicate"}:
                self.taken.add(sent.identity)
            if answer is not None and answer.outcome.code != "stale_command":
                break
        self.left -= 1

    async def _aggregate(self, at: float, command: Any) -> None:
        await asyncio.sleep(at)
        while True:
            try:
                answer = await self._send(f"workspace-{WORKSPACE}", command, simulated_wall_ms(), wait=True)
            except (LogError, TimeoutError):
                await asyncio.sleep(self._random.uniform(0.2, 3.0))
                continue
            if answer is not None and answer.outcome.code not in {"stale_command", "workspace_not_found"}:
                break
            await asyncio.sleep(0.5)
        self.left -= 1

    async def _cancel(self, wish: Wish, at: float) -> None:
        await asyncio.sleep(at)
        await self._try(f"execution-{wish.execution_id}", CancelExecution(reason="no more"))

    # --- bad inputs ---------------------------------------------------------------------------------------------------

    async def _put_bad(self, number: int, bad: Bad) -> None:
        """Append it, once; an operator who finds the letter puts what is missing in place, and may send it again."""
        await asyncio.sleep(bad.at)
        await (self._bury(number, bad) if bad.execution_id else self._put_garbage(number))
        self.left -= 1

    async def _put_garbage(self, number: int) -> None:
        topic = self._random.choice((Topic.COMMANDS, Topic.EXECUTION_COMMANDS))
        record = NewRecord(f"{{{MARK}{number}".encode(), (("k", KIND_COMMAND),))
        with suppress(LogError, TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._append(topic, self._random.randrange(self._log.partitions), [record])

    async def _bury(self, number: int, bad: Bad) -> None:
        stream = f"execution-{bad.execution_id}"
        made = simulated_wall_ms()
        start = StartExecution(
            execution_id=bad.execution_id,
            workflow_id=workflow_id(bad.workflow),
            workflow_version=1,
            trigger_node="start",
            trigger_type="manual",
            items=[{"json": {"n": number}}],
            queued_at=made,
            fingerprint="bad",
        )
        spill = BlobCollector(WORKSPACE)
        record = registry.command_record(
            start, id=f"{MARK}{number}", stream=stream, workspace=WORKSPACE, made=made, spill=spill, over=0
        )
        place = partition_of(stream, self._log.partitions)
        landed = True
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._append(Topic.EXECUTION_COMMANDS, place, [NewRecord(encode(record), (("k", KIND_COMMAND),))])
        except (LogError, TimeoutError):
            landed = False
        deadline = asyncio.get_running_loop().time() + (REVIEWED_SECONDS if landed else UNSURE_SECONDS)
        while (letter := self._letter(stream)) is None:
            if asyncio.get_running_loop().time() > deadline:
                return
            await asyncio.sleep(1.0)
        while True:
            with suppress(LogError):
                await self._store(spill.blobs)
                break
            await asyncio.sleep(0.5)
        if bad.redriven:
            await self._try(f"letter-{letter}", RedriveLetter(simulated_wall_ms(), "operator"))

    def _letter(self, stream: str) -> str | None:
        """The id of the dead letter of what was for this stream."""
        return next((row["id"] for row in self._tables.all_rows("dead_letters") if row["stream"] == stream), None)

    async def _judge(self) -> None:
        """A person looks now and then for unsafe attempts that nobody knows about, and says what became of them."""
        while True:
            await asyncio.sleep(2.0)
            rows = self._tables.rows["executions"]
            parked = {key[1] for key, row in rows.items() if row["status"] == "waiting"}
            for key, row in list(self._tables.rows["node_executions"].items()):
                _, execution, node, run = key
                # A run of which one item is asked about shows as running once its other items go on.
                waiting = row["completed_at"] is None and row["attempts"] and execution in parked
                asked = (execution, node, run)
                now = asyncio.get_running_loop().time()
                if not waiting or now - self._asked_at.get(asked, -100.0) < 15.0:
                    continue
                self._asked_at[asked] = now
                verdict = self._random.choice(("happened", "run_again", "fail"))
                if verdict == "run_again":
                    self.run_again.add(asked)
                command = GiveVerdict(node=node, run=run, verdict=verdict, result={"n": 1})  # type: ignore[arg-type]
                await self._try(f"execution-{execution}", command)

    async def _try(self, stream: str, command: Any) -> None:
        try:
            await self._send(stream, command, simulated_wall_ms(), wait=False)
        except (LogError, TimeoutError):
            return

    # --- the way to the log and back ----------------------------------------------------------------------------------

    async def _send(self, stream: str, command: Any, made: int, *, wait: bool) -> CommitRecord | None:
        """Append, and wait for the answer if wanted. Raises LogError, TimeoutError: nobody knows."""
        command_id = str(UUID(int=self._random.getrandbits(128), version=4))
        spill = BlobCollector(WORKSPACE)
        record = registry.command_record(
            command, id=command_id, stream=stream, workspace=WORKSPACE, made=made, spill=spill, over=1_000
        )
        if spill.blobs:
            await self._store(spill.blobs)
        nonce = b"nonce-" + command_id.encode()
        headers = (("k", KIND_COMMAND), ("i", command_id.encode()), ("r", nonce))
        topic = Topic.EXECUTION_COMMANDS if stream.startswith("execution-") else Topic.COMMANDS
        answer: asyncio.Future[CommitRecord] = asyncio.get_running_loop().create_future()
        self._expected[nonce] = answer
        new = [NewRecord(encode(record), headers, stream.encode())]
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._append(topic, partition_of(stream, self._log.partitions), new)
            self.appended.add(command_id)
            if not wait:
                return None
            async with asyncio.timeout(ANSWER_SECONDS):
                return await answer
        finally:
            del self._expected[nonce]

    async def _store(self, blobs: dict[str, bytes]) -> None:
        try:
            await self._blobs.put_many(WORKSPACE, blobs)
        except OSError as error:
            raise LogUnavailable("the blobs were not stored") from error

    async def _append(self, topic: Topic, partition: int, records: Sequence[NewRecord]) -> None:
        writer = self._writer
        if writer is None:
            writer = self._writer = await self._log.writer()
        try:
            await writer.append(topic, partition, records)
        except (LogError, asyncio.CancelledError):
            if self._writer is writer:
                self._writer = None
            await writer.close()
            raise

    async def _follow(self) -> None:
        """Read the commits that count and wake who waits for one of them."""
        reader = await self._log.reader()
        fences: dict[tuple[Topic, int], Fence] = {}
        for topic in COMMIT_TOPICS:
            for partition in range(self._log.partitions):
                fences[topic, partition] = Fence()
                reader.seek(topic, partition, 0)
        while True:
            try:
                records = await reader.read()
            except LogUnavailable:
                await asyncio.sleep(0.2)
                continue
            for record in records:
                if not fences[record.topic, record.partition].accept(record.offset, record.headers):
                    continue
                waiting = self._expected.get(header(record.headers, "r") or b"")
                if waiting is not None and not waiting.done():
                    commit = decode_commit(record.value)
                    outcome = commit.outcome
                    identity = str(record.topic), commit.id
                    self.answers.append(Answered(commit.cause, commit.stream, outcome.kind, outcome.code, identity))
                    waiting.set_result(commit)
