"""Starting an execution: one way for webhooks, `execute` and `retry`, with or without a caller that waits."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from domain.execution.commands import StartExecution, TakenRun
from domain.execution.events import Items, Origin, Reply
from infra.blobs import BlobStore
from infra.log.port import Record, Topic
from schemas.envelope import CommitRecord, EventRecord, decode_commit, partition_of
from schemas.payloads import join
from services.api.answers import Follower, StreamWaiter, await_reply
from services.api.asgi import Header
from services.api.commands import Position, Sender, now_ms
from services.api.idempotency import Identity, check_fingerprint, mismatch, unkeyed
from services.api.pressure import Pressure
from services.api.principal import Principal
from services.api.problems import of_outcome
from services.api.reads import Reads

ENDS = {
    "execution.completed": "completed",
    "execution.failed": "failed",
    "execution.cancelled": "cancelled",
    "execution.timed_out": "timeout",
}
RESPONSE = "execution.response_given"


@dataclass(frozen=True, slots=True)
class Start:
    """What is to be started, once workflow and version are known."""

    workflow_id: str
    version: int
    node: str
    kind: str
    items: Items
    priority: str
    retry_of: str | None = None
    taken_runs: Sequence[TakenRun] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """`position` is None where the execution existed already (`repeated`) and nothing was appended."""

    execution_id: str
    position: Position | None
    repeated: bool = False


class Starter:
    def __init__(
        self,
        sender: Sender,
        follower: Follower,
        reads: Reads,
        blobs: BlobStore,
        pressure: Pressure,
        partitions: int,
    ) -> None:
        self._sender = sender
        self._follower = follower
        self._reads = reads
        self._blobs = blobs
        self._pressure = pressure
        self._partitions = partitions

    async def start(
        self, principal: Principal, start: Start, identity: Identity, reply: Reply, trace: bytes | None = None
    ) -> Started:
        """Append the start. Without a key: in the log is enough. With one the decision is waited for.

        Problems: 422 `idempotency_mismatch`, 503 where the log does not answer, or `overloaded`.
        """
        made = now_ms()
        workspace = principal.workspace_id
        if identity.keyed:
            stored = await self._reads.fingerprint(workspace, identity.id)
            if stored is not None:
                check_fingerprint(stored, identity)
                return Started(identity.id, None, repeated=True)
        command = StartExecution(
            execution_id=identity.id,
            workflow_id=start.workflow_id,
            workflow_version=start.version,
            trigger_node=start.node,
            trigger_type=start.kind,
            items=start.items,
            queued_at=made,
            priority=start.priority,
            fingerprint=identity.fingerprint,
            reply=reply,
            retry_of=start.retry_of,
            taken_runs=list(start.taken_runs),
            variables=dict(start.variables),
            origin=start.origin,
        )
        stream = f"execution-{identity.id}"
        self.check_pressure(stream, workspace)
        if not identity.keyed:
            position = await self._sender.send(
                Topic.EXECUTION_COMMANDS,
                stream,
                command,
                workspace=workspace,
                actor=principal.actor,
                made=made,
                trace=trace,
            )
            self._pressure.appended(position, workspace)
            return Started(identity.id, position)
        nonce = self._sender.new_nonce()
        with self._follower.expect_reply(nonce) as answer:
            position = await self._sender.send(
                Topic.EXECUTION_COMMANDS,
                stream,
                command,
                workspace=workspace,
                actor=principal.actor,
                made=made,
                reply=nonce,
                trace=trace,
            )
            self._pressure.appended(position, workspace)
            commit = decode_commit((await await_reply(answer)).value)
        if commit.outcome.kind == "accepted":
            return Started(identity.id, position)
        if commit.outcome.kind == "duplicate":
            return Started(identity.id, position, repeated=True)
        if commit.outcome.code == "idempotency_mismatch":
            raise mismatch()
        raise of_outcome(commit.outcome)

    def admit_unread(self, workspace: str, headers: Sequence[Header]) -> Identity | None:
        """The identity of a start without an Idempotency-Key. Nothing that exists can be meant, so a refusal need not
        know what was sent: raises Problem as `check_pressure` does. None: there is a key, read on."""
        identity = unkeyed(headers)
        if identity is not None:
            self.check_pressure(f"execution-{identity.id}", workspace)
        return identity

    def check_pressure(self, stream: str, workspace: str) -> None:
        """Raises Problem 503 `overloaded` or 429 `workspace_overloaded` if no execution of this stream may start."""
        self._pressure.check(partition_of(stream, self._partitions), workspace)

    async def event_data(self, workspace: str, event: EventRecord) -> bytes:
        """An event's data with everything that is stored outside in place."""
        if not event.blobs:
            return bytes(event.data)
        contents = await self._blobs.get_many(workspace, list(event.blobs.values()))
        return join(event.data, {name: contents[blob] for name, blob in event.blobs.items()})


class Ended(msgspec.Struct, frozen=True):
    """How an execution ended, or the response that it gave: `event` is the record that says so."""

    event: EventRecord

    @property
    def status(self) -> str | None:
        """None: it is a response, the execution goes on."""
        return ENDS.get(self.event.type)


_MARKS = tuple(f'"type":"{name}"'.encode() for name in (*ENDS, RESPONSE))


async def wait_for_end(waiter: StreamWaiter, seconds: float, *, response: bool) -> Ended | None:
    """The event that ends the execution (or, with `response`, an earlier one that answers); None after `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                found = _end_in(await waiter.next(), response=response)
                if found is not None:
                    return found
    except TimeoutError:
        return None


def _end_in(record: Record, *, response: bool) -> Ended | None:
    if not any(mark in record.value for mark in _MARKS):
        return None
    commit: CommitRecord = decode_commit(record.value)
    for event in commit.events:
        if event.type in ENDS or (response and event.type == RESPONSE):
            return Ended(event)
    return None


def as_items(given: Any) -> Items:
    """`input` as items: an object is one item, a list one item each. The caller has checked its shape."""
    values = given if isinstance(given, list) else [given]
    return [{"json": value} for value in values]
