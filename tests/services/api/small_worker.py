"""A worker of a few lines: takes over every partition, decides workflows with the real decider, executions by script.

What an execution does is said by its first item's json: `{"hold": true}` stays open until cancelled, `{"fail": text}`
fails, `{"respond": {...}}` answers like a respond node; everything completes with its input as output.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import msgspec

from domain.credential import decider as credentials
from domain.dead_letter import decider as dead_letters
from domain.decision import DUPLICATE, Outcome, OutgoingCommand, rejected
from domain.execution import commands as execution_commands
from domain.execution import events as execution
from domain.inbox import decider as inboxes
from domain.schedule import decider as schedules
from domain.subscription import decider as subscriptions
from domain.ticking import PassTime
from domain.variable import decider as variables
from domain.workflow import decider as workflows
from domain.workspace import decider as workspaces
from infra.blobs import BlobStore
from infra.log.port import Log, LogUnavailable, NewRecord, Record, Topic
from schemas.envelope import (
    KIND_COMMAND,
    KIND_COMMIT,
    KIND_TAKEOVER,
    KIND_TICK,
    Answers,
    CommandRecord,
    CommitRecord,
    Epoch,
    TakeoverRecord,
    TickRecord,
    decode_command,
    encode,
    header,
    partition_of,
)
from schemas.payloads import BlobCollector
from schemas.registry import blobs_of, decode_command_data, encode_event, sent_command
from services.api.commands import now_ms
from services.worker.effects.credential_work import CredentialDesk

_DECIDERS: dict[str, Any] = {
    "workflow": workflows,
    "workspace": workspaces,
    "credential": credentials,
    "inbox": inboxes,
    "letter": dead_letters,
    "schedule": schedules,
    "subscription": subscriptions,
    "variables": variables,
}
LANES = {Topic.COMMANDS: Topic.EVENTS, Topic.EXECUTION_COMMANDS: Topic.EXECUTIONS}


class SmallWorker:
    def __init__(self, log: Log, blobs: BlobStore) -> None:
        self._log = log
        self._blobs = blobs
        self._epochs: dict[tuple[Topic, int], Epoch] = {}
        self._next: dict[tuple[Topic, int], int] = {}
        self._states: dict[str, Any] = {}
        self._versions: dict[str, int] = {}
        self.decided: list[CommandRecord] = []
        self.desk: CredentialDesk | None = None
        self._serving: list[asyncio.Task[None]] = []
        self.now: Callable[[], int] = now_ms
        """Owner's time, for schedules."""
        self._outgoing: list[tuple[OutgoingCommand, str]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def run(self) -> None:
        self._writer = await self._log.writer()
        reader = await self._log.reader()
        try:
            for partition in range(self._log.partitions):
                for inputs, commits in LANES.items():
                    await self._take_over(commits, partition)
                    reader.seek(inputs, partition, 0)
                tick = NewRecord(encode(TickRecord(now_ms(), "test")), (("k", KIND_TICK),))
                await self._writer.append(Topic.TICKS, partition, [tick])
            while True:
                try:
                    records = await reader.read()
                except LogUnavailable:
                    await asyncio.sleep(0.01)
                    continue
                for record in records:
                    await self.gate.wait()
                    await self._decide(record)
        finally:
            for task in self._serving:
                task.cancel()
            await reader.close()
            await self._writer.close()

    async def _take_over(self, topic: Topic, partition: int) -> None:
        nonce = uuid4().hex
        value = encode(TakeoverRecord(nonce, "test", now_ms()))
        offset = await self._writer.append(
            topic, partition, [NewRecord(value, (("k", KIND_TAKEOVER), ("o", nonce.encode())))]
        )
        self._epochs[topic, partition] = Epoch(offset, nonce)
        self._next[topic, partition] = 0

    async def _decide(self, record: Record) -> None:
        command = decode_command(record.value)
        self.decided.append(command)
        contents = await self._blobs.get_many(command.workspace, blobs_of(command))
        events, outcome = self._events(command, decode_command_data(command, contents))
        await self.commit(command, events, outcome, record)
        await self._send()

    async def commit(
        self, command: CommandRecord, events: Sequence[Any], outcome: Outcome, answered: Record | None
    ) -> None:
        collector = BlobCollector(command.workspace)
        records = [encode_event(event, spill=collector) for event in events]
        await self._blobs.put_many(command.workspace, collector.blobs)
        topic = Topic.EXECUTIONS if command.stream.startswith("execution-") else Topic.EVENTS
        inputs = Topic.EXECUTION_COMMANDS if topic is Topic.EXECUTIONS else Topic.COMMANDS
        slot = (topic, partition_of(command.stream, self._log.partitions))
        version = self._versions.get(command.stream, 0)
        n, epoch = self._next[slot], self._epochs[slot]
        self._next[slot] += 1
        self._versions[command.stream] = version + len(events)
        state = self._states.get(command.stream)
        commit = CommitRecord(
            id=str(uuid4()),
            stream=command.stream,
            version=version + 1 if events else version,
            epoch=epoch,
            n=n,
            workspace=command.workspace,
            time=now_ms(),
            events=records,
            outcome=outcome,
            answers=Answers(inputs, answered.offset) if answered is not None else None,
            cause=command.id,
            actor=command.actor,
            queued_at=state["queued_at"] if isinstance(state, dict) else None,
        )
        headers = (
            ("k", KIND_COMMIT),
            ("e", epoch.header()),
            ("n", b"%d" % n),
            ("s", command.stream.encode()),
            ("w", command.workspace.encode()),
            ("c", command.id.encode()),
        )
        reply = header(answered.headers, "r") if answered is not None else None
        if reply is not None:
            headers = (*headers, ("r", reply))
        await self._writer.append(*slot, [NewRecord(encode(commit), headers)])

    def _events(self, command: CommandRecord, given: Any) -> tuple[Sequence[Any], Outcome]:
        if command.stream.startswith("execution-"):
            return self._execution(command.stream, given)
        decider = _DECIDERS[command.stream.partition("-")[0]]
        timed = {"now": self.now()} if hasattr(decider, "next_due") else {}
        decision = decider.decide(
            given, self._states.get(command.stream), workspace=command.workspace, stream_id=command.stream, **timed
        )
        self._states[command.stream] = decision.state
        for work in decision.effects:
            if self.desk is not None:
                self._serving.append(asyncio.create_task(self.desk.serve(work, command.workspace)))
        self._outgoing += [(each, command.workspace) for each in decision.commands]
        return decision.events, decision.outcome

    def streams(self) -> list[str]:
        """All that anything was decided for."""
        return list(self._states)

    async def pass_time(self, stream: str, workspace: str, now: int) -> None:
        """Time comes to `now` for one stream."""
        self.now = lambda: now
        command = CommandRecord("time", "time", stream, workspace, now, msgspec.Raw(b"{}"))
        events, outcome = self._events(command, PassTime(now))
        await self.commit(command, events, outcome, None)
        await self._send()

    async def _send(self) -> None:
        """Append what commits want sent (rule 13)."""
        while self._outgoing:
            each, workspace = self._outgoing.pop(0)
            sent = sent_command(each)
            record = CommandRecord(
                sent.id, sent.type, sent.stream, workspace, now_ms(), sent.data, sent.tv, blobs=sent.blobs
            )
            headers = (("k", KIND_COMMAND), ("i", each.id.encode()), ("s", each.stream.encode()))
            topic = Topic.EXECUTION_COMMANDS if each.stream.startswith("execution-") else Topic.COMMANDS
            place = partition_of(each.stream, self._log.partitions)
            await self._writer.append(topic, place, [NewRecord(encode(record), headers)])

    def _execution(self, stream: str, given: Any) -> tuple[Sequence[Any], Outcome]:
        state = self._states.get(stream)
        if isinstance(given, execution_commands.StartExecution):
            if state is not None:
                same = state["fingerprint"] == given.fingerprint
                return [], DUPLICATE if same else rejected("idempotency_mismatch", "another request")
            self._states[stream] = {"fingerprint": given.fingerprint, "queued_at": given.queued_at, "open": True}
            return self._started(stream, given), Outcome()
        if state is None:
            return [], rejected("execution_not_found", "there is no such execution")
        if isinstance(given, execution_commands.CancelExecution) and state["open"]:
            state["open"] = False
            return [execution.ExecutionCancelled(at=now_ms(), reason=given.reason)], Outcome()
        return [], Outcome()

    def _started(self, stream: str, given: execution_commands.StartExecution) -> Sequence[Any]:
        now, items, node = now_ms(), given.items, given.trigger_node
        events: list[Any] = [
            execution.ExecutionQueued(
                workflow_id=given.workflow_id,
                workflow_version=given.workflow_version,
                trigger_node=node,
                trigger_type=given.trigger_type,
                items=items,
                queued_at=given.queued_at,
                priority=given.priority,
                fingerprint=given.fingerprint,
                reply=given.reply,
                retry_of=given.retry_of,
                origin=given.origin,
            ),
            execution.ExecutionStarted(started_at=now),
            execution.NodeCompleted(node=node, run=0, outputs={"main": items}),
        ]
        script = items[0]["json"] if items else {}
        script = script.get("body") or script if isinstance(script.get("body", {}), dict) else script
        if script.get("hold"):
            return events
        self._states[stream]["open"] = False
        if "respond" in script:
            events.append(execution.ResponseGiven(node="answer", **script["respond"]))
        if "fail" in script:
            error = execution.ErrorInfo("node_failed", script["fail"], "work")
            source = [(node, 0, "main", "main")]
            events.append(execution.NodeFailed(node="work", run=0, error=error, sources=source))
            events.append(execution.ExecutionFailed(error=error, at=now))
        else:
            events.append(execution.ExecutionCompleted(output=items, at=now))
        return events
