"""Given events: commits of owners on a log, as a worker writes them."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from domain.credential.events import (
    ConnectionBegun,
    ConnectionEnded,
    CredentialCreated,
    CredentialDeleted,
    CredentialResealed,
    CredentialTested,
    CredentialUpdated,
    CredentialUsed,
    TokensStored,
)
from domain.execution.events import (
    ErrorInfo,
    ExecutionCompleted,
    ExecutionFailed,
    ExecutionQueued,
    ExecutionStarted,
    NodeAttempted,
    NodeCompleted,
    NodeFailed,
    Origin,
)
from domain.inbox.events import (
    DeliveryAccepted,
    DeliveryBegun,
    DeliveryDuplicated,
    DeliveryHeld,
    DeliveryRefused,
    DeliverySuperseded,
    InboxCleared,
)
from domain.inbox.gates import Dedup, Delivery, Gates
from domain.subscription.commands import Notice
from domain.subscription.definition import Definition, EmailChannel, WebhookChannel
from domain.subscription.events import (
    DeliveryDropped,
    DeliveryEnded,
    DeliveryQueued,
    DeliveryRequeued,
    DeliveryStarted,
    SubscriptionChanged,
    SubscriptionCreated,
    SubscriptionDeleted,
    SubscriptionDisabled,
    SubscriptionPaused,
    SubscriptionResumed,
)
from domain.variable.events import VariableChanged, VariableCreated, VariableDeleted
from domain.workflow.events import WebhookBinding, WorkflowActivated, WorkflowCreated
from domain.workspace.events import ApiKeyAdded, WorkspaceCreated
from infra.log.memory import MemoryLog
from infra.log.port import NewRecord, Topic
from projections.catalog import PROJECTIONS, TABLES
from projections.memory import MemoryTables
from projections.positions import Place
from schemas.envelope import (
    KIND_COMMIT,
    KIND_TAKEOVER,
    Answers,
    CommitRecord,
    Epoch,
    EventRecord,
    TakeoverRecord,
    encode,
    partition_of,
)
from schemas.registry import encode_event
from services.projector.batch import PartitionFold
from services.projector.statements import instant

T0 = 1_795_000_000_000
"""2026-11-18, in milliseconds."""

SPACE = str(uuid.uuid5(uuid.NAMESPACE_URL, "workspace"))
FLOW = str(uuid.uuid5(uuid.NAMESPACE_URL, "workflow"))


def some_id(name: object) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, str(name)))


@dataclass
class Owner:
    """Writes one partition of one commit topic."""

    log: MemoryLog
    topic: Topic
    partition: int
    epoch: Epoch | None = None
    n: int = 0

    def take_over(self, nonce: str) -> None:
        record = NewRecord(encode(TakeoverRecord(nonce, "test", T0)), (("k", KIND_TAKEOVER), ("o", nonce.encode())))
        self.epoch = Epoch(self.log.append(self.topic, self.partition, [record]), nonce)
        self.n = 0

    def commit(self, stream: str, version: int, events: Sequence[Any], **fields: Any) -> None:
        assert self.epoch is not None
        records = [event if isinstance(event, EventRecord) else encode_event(event) for event in events]
        commit = CommitRecord(
            fields.pop("id", f"c{self.n}"),
            stream,
            version,
            self.epoch,
            self.n,
            fields.pop("workspace", SPACE),
            fields.pop("time", T0),
            records,
            **fields,
        )
        self.append(encode(commit), commit.workspace, stream)

    def append(self, value: bytes, workspace: str = "", stream: str = "") -> None:
        assert self.epoch is not None
        headers = (
            ("k", KIND_COMMIT),
            ("e", self.epoch.header()),
            ("n", str(self.n).encode()),
            ("w", workspace.encode()),
            ("s", stream.encode()),
        )
        self.log.append(self.topic, self.partition, [NewRecord(value, headers)])
        self.n += 1


@dataclass
class World:
    """A log with an owner for each partition."""

    log: MemoryLog = field(default_factory=lambda: MemoryLog(2, clock=lambda: T0))
    owners: dict[tuple[Topic, int], Owner] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    inputs: dict[tuple[Topic, int], int] = field(default_factory=dict)

    def owner(self, topic: Topic, partition: int) -> Owner:
        found = self.owners.get((topic, partition))
        if found is None:
            found = self.owners[topic, partition] = Owner(self.log, topic, partition)
            found.take_over(f"first-{partition}")
        return found

    def commit(self, stream: str, events: Sequence[Any], **fields: Any) -> None:
        topic = Topic.EXECUTIONS if stream.startswith("execution-") else Topic.EVENTS
        partition = partition_of(stream, self.log.partitions)
        version = self.versions.get(stream, 0) + 1
        answered = self.inputs.get((topic, partition), 0)
        self.inputs[topic, partition] = answered + 1
        fields.setdefault("answers", Answers("input", answered))
        self.owner(topic, partition).commit(stream, version, events, **fields)
        self.versions[stream] = version - 1 + len(events)

    def configure(self) -> None:
        self.commit(f"workspace-{SPACE}", [WorkspaceCreated("Space", T0)])
        self.commit(f"workspace-{SPACE}", [ApiKeyAdded(some_id("key"), "hash", "lf_ab", "first", T0 + 1)])
        self.commit(f"workflow-{FLOW}", [WorkflowCreated("Flow", {"name": "Flow", "nodes": []}, T0 + 2, "fp")])
        binding = WebhookBinding("endpoint-1", "hook", "POST", "at_once")
        self.commit(f"workflow-{FLOW}", [WorkflowActivated(1, [binding], T0 + 3)])

        self.keep_credentials()
        self.keep_deliveries()
        self.keep_subscriptions()
        self.keep_variables()

    def keep_variables(self) -> None:
        """All that can happen to them, in some order of names."""
        stream = f"variables-{SPACE}"
        self.commit(stream, [VariableCreated("region", "é\u0000", 1, T0, "where\0", some_id("asked"), "fp")])
        self.commit(stream, [VariableCreated("_rates", {"vat": 0.19, "large": 2**70}, 2, T0 + 1)])
        self.commit(stream, [VariableCreated("Nothing", None, 3, T0 + 2)])
        self.commit(stream, [VariableChanged("region", [1, None], 4, T0 + 3), VariableDeleted("_rates", 5, T0 + 4)])
        self.commit(stream, [VariableCreated("_rates", False, 6, T0 + 5)])

    def keep_credentials(self) -> None:
        """One with everything that can happen to it, one that was deleted."""
        stream = f"credential-{some_id('mail')}"
        sealed = {"client_secret": "1.aa.secret"}
        tokens = {"access_token": "1.aa.access", "refresh_token": "1.aa.refresh"}
        self.commit(stream, [CredentialCreated("oauth2", "Mail\0", {"client_id": "c"}, sealed, T0, "post", "fp")])
        self.commit(stream, [ConnectionBegun("s", T0 + 9, T0 + 1)])
        self.commit(stream, [TokensStored(tokens, 1, T0 + 2, T0 + 3_600_000, "read", "s")])
        self.commit(stream, [CredentialUpdated(2, "Post", {"client_id": "c", "scope": "é"}, sealed, T0 + 3)])
        self.commit(stream, [CredentialUsed(T0 + 4), ConnectionEnded("oauth2_refused", "no", T0 + 5, "s2")])
        self.commit(stream, [CredentialTested("t", False, T0 + 6, "timeout", "no answer")])
        self.commit(
            stream, [CredentialResealed({name: f"{each}2" for name, each in (sealed | tokens).items()}, T0 + 7)]
        )
        self.commit(stream, [TokensStored({"access_token": "1.aa.next"}, 2, T0 + 8)])
        over = f"credential-{some_id('over')}"
        self.commit(over, [CredentialCreated("oauth2", "Over", {}, sealed, T0)])
        self.commit(over, [TokensStored(tokens, 1, T0 + 1), ConnectionEnded("oauth2_refused", "over", T0 + 2)])
        gone = f"credential-{some_id('gone')}"
        self.commit(gone, [CredentialCreated("http_bearer", "Gone", {}, {"token": "1.aa.t"}, T0)])
        self.commit(gone, [CredentialDeleted(T0 + 1)])

    def subscribe(self, name: object, *patterns: str, workflow: str = "") -> str:
        """A webhook's subscription; returns its id."""
        subscription = some_id(name)
        channel = WebhookChannel("https://x.example/in", some_id("signs"))
        asked = Definition(f"{name}\0", list(patterns), channel, workflow_id=workflow)
        self.commit(f"subscription-{subscription}", [SubscriptionCreated(asked, T0, "fp")])
        return subscription

    def keep_subscriptions(self) -> None:
        """All that can happen to one, and to its deliveries."""
        subscription = self.subscribe("telling", "workflow.archived")
        stream = f"subscription-{subscription}"
        changed = Definition("Mail", ["workflow.archived"], EmailChannel(["a@x.example"], some_id("smtp")), "to me")
        notice = Notice(some_id("event"), "workflow.archived", T0, SPACE, {"text": "é\u0000", "list": [1, None]}, "c")
        first, second, third = (some_id(f"delivery {number}") for number in range(3))
        self.commit(stream, [SubscriptionChanged(changed, T0 + 1), SubscriptionPaused(T0 + 2, "lunch\0")])
        self.commit(stream, [SubscriptionResumed(T0 + 3)])
        self.commit(stream, [DeliveryQueued(first, notice, T0 + 4, "linkflow.events/0", 7, 1)])
        self.commit(stream, [DeliveryStarted(first, some_id("run 1"), T0 + 5), DeliveryQueued(second, notice, T0 + 5)])
        failed = DeliveryEnded(first, some_id("run 1"), "failed", T0 + 6, "http_status", "no\0", 503, 1, T0 + 6)
        self.commit(stream, [failed, DeliveryDropped(second, T0 + 6, "too_many_waiting")])
        self.commit(stream, [SubscriptionDisabled("Mail", "email", T0 + 7, "failures", 1, T0 + 6, "c", "m")])
        self.commit(
            stream, [SubscriptionResumed(T0 + 8), DeliveryRequeued(first, notice, some_id("again"), T0 + 8, "f")]
        )
        self.commit(stream, [DeliveryStarted(first, some_id("run 2"), T0 + 9)])
        self.commit(stream, [DeliveryEnded(first, some_id("run 2"), "delivered", T0 + 10, response_status=200)])
        self.commit(stream, [DeliveryQueued(third, notice, T0 + 11, test=True)])
        gone = f"subscription-{self.subscribe('gone', 'workflow.archived')}"
        self.commit(gone, [DeliveryQueued(some_id("of gone 1"), notice, T0 + 1)])
        self.commit(gone, [SubscriptionDisabled("Gone", "webhook", T0 + 1, "gone", 1, T0 + 1)])
        self.commit(gone, [DeliveryQueued(some_id("of gone 2"), notice, T0 + 2)])
        self.commit(gone, [DeliveryDropped(some_id("of gone 2"), T0 + 2, "too_many_waiting")])
        self.commit(gone, [SubscriptionDeleted(T0 + 2)])
        tired = f"subscription-{self.subscribe('tired', 'workflow.archived')}"
        self.commit(tired, [DeliveryQueued(some_id("of tired"), notice, T0 + 1)])
        disabled = SubscriptionDisabled("Tired", "webhook", T0 + 2, "failures", 9, T0, ends_waiting=True)
        self.commit(tired, [disabled])

    def keep_deliveries(self) -> None:
        """All that an inbox can say; one that was refused comes again and is taken."""
        stream = f"inbox-{some_id('inbox')}"
        gates = Gates(dedup=Dedup("00", 1_000))
        item = [{"json": {"body": "é\u0000"}}]
        given = {name: _delivery(name) for name in ("first", "same", "again", "early", "late", "much")}
        self.commit(stream, [DeliveryAccepted(given["first"], gates, some_id("begun"), T0)])
        self.commit(stream, [DeliveryDuplicated(given["same"], some_id("first"), T0 + 1, item)])
        self.commit(
            stream, [DeliveryDuplicated(given["again"], some_id("first"), T0 + 1, until=T0 + 60_000, same=True)]
        )
        self.commit(stream, [DeliveryHeld(given["early"], gates, T0 + 2, T0 + 9, item)])
        superseded = DeliverySuperseded(some_id("early"), some_id("late"), T0 + 3)
        self.commit(stream, [superseded, DeliveryHeld(given["late"], gates, T0 + 3, T0 + 10, item)])
        self.commit(stream, [DeliveryBegun(some_id("late"), some_id("begun late"), T0 + 10)])
        self.commit(stream, [DeliveryRefused(given["much"], "throttled\0", "2", T0 + 11, T0 + 12, item, "{", 3)])
        self.commit(stream, [DeliveryAccepted(given["much"], gates, some_id("begun at last"), T0 + 12)])
        self.commit(stream, [DeliveryRefused(_delivery("bad"), "malformed_json", "no", T0 + 13, excerpt="{\0")])
        self.commit(stream, [InboxCleared(T0 + 14)])

    def run_deliveries(self) -> None:
        """Executions: one of an inbox, one of an endpoint without one, one that was asked for otherwise."""
        origin = Origin(kind="delivery", stream=f"inbox-{some_id('inbox')}", ref=some_id("first"))
        for name, actor, fields in (
            ("begun", "", {"origin": origin}),
            ("direct", "webhook:endpoint-1", {}),
            ("asked", "key:1", {}),
            ("told", "", {"origin": Origin(kind="delivery", stream="subscription-1", ref="3")}),
        ):
            start = msgspec.structs.replace(queued(T0), **fields)
            self.commit(f"execution-{some_id(name)}", [start], queued_at=T0, actor=actor)

    def run_at_once(self, name: object, *, at: int = T0, nodes: int = 3, wall: int | None = None) -> str:
        """An execution that starts and ends in one commit. `at`: by ticks; `wall`: by the worker's clock."""
        execution = some_id(name)
        events: list[Any] = [queued(at), ExecutionStarted(started_at=at + 1)]
        events += [
            NodeCompleted(node=f"n{i}", run=0, outputs={"main": [{"json": {"i": i}}]}, sources=source(i))
            for i in range(nodes)
        ]
        events.append(ExecutionCompleted(output=[{"json": {"ok": True}}], at=at + 5))
        self.commit(f"execution-{execution}", events, queued_at=at, time=(at if wall is None else wall) + 5)
        return execution

    def run_in_steps(self, name: object, *, at: int = T0, fails: bool = False) -> str:
        """One with an effect: an attempt in one commit, its result in the next."""
        execution = some_id(name)
        stream = f"execution-{execution}"
        begin = NodeCompleted(node="start", run=0, outputs={"main": [{"json": {}}]})
        saw = {"region": "eu\u0000", "rates": [1, None]}
        self.commit(stream, [msgspec.structs.replace(queued(at), variables=saw)], queued_at=at, time=at)
        self.commit(
            stream, [ExecutionStarted(started_at=at + 1), begin, attempted("call", 1)], queued_at=at, time=at + 1
        )
        if fails:
            error = ErrorInfo("refused", "no", "call")
            end: list[Any] = [
                NodeFailed(node="call", run=0, error=error, attempts=1),
                ExecutionFailed(error=error, at=at + 9),
            ]
        else:
            end = [
                NodeCompleted(node="call", run=0, outputs={"main": [{"json": {"r": "é\u0000"}}]}, attempts=1),
                ExecutionCompleted(output=[], at=at + 9),
            ]
        self.commit(stream, end, queued_at=at, time=at + 9)
        return execution

    def fold(self) -> MemoryTables:
        """The read models by the memory executor, record by record."""
        tables = MemoryTables()
        for topic in (Topic.EVENTS, Topic.EXECUTIONS):
            for partition in range(self.log.partitions):
                fold = PartitionFold(topic.value, partition, Place(), list(PROJECTIONS.values()))
                for record in self.log.records(topic, partition):
                    tables.apply(fold.fold(record).operations)
        return tables


def _delivery(name: str) -> Delivery:
    return Delivery(some_id(name), "endpoint-1", FLOW, 1, "hook\0", T0)


def queued(at: int) -> ExecutionQueued:
    return ExecutionQueued(
        workflow_id=FLOW,
        workflow_version=1,
        trigger_node="n0",
        trigger_type="webhook",
        items=[{"json": {"a": 1}}],
        queued_at=at,
        fingerprint="f",
    )


def attempted(node: str, attempt: int) -> NodeAttempted:
    return NodeAttempted(
        node=node,
        run=0,
        attempt=attempt,
        effect_class="read",
        indexes=[0],
        start_by=0,
        unknown_after=0,
        sources=[("start", 0, "main", "main")],
    )


def source(index: int) -> list[tuple[str, int, str, str]]:
    return [] if index == 0 else [(f"n{index - 1}", 0, "main", "main")]


async def stored_rows(connection: Any, table: str, schema: str = "read") -> list[dict[str, Any]]:
    """All rows of a table in the database, as MemoryTables shows them."""
    columns = TABLES[table].columns
    shown = ", ".join(f"{name}::text" if kind in ("json", "uuid") else name for name, kind in columns.items())
    keys = ", ".join(TABLES[table].key)
    rows = await connection.fetch(f"SELECT {shown} FROM {schema}.{table} ORDER BY {keys}")
    return [dict(row) for row in rows]


def memory_rows(tables: MemoryTables, table: str) -> list[dict[str, Any]]:
    """Rows of the memory executor with times as the database gives them."""
    kinds = TABLES[table].columns
    return [
        {name: instant(row[name]) if kinds[name] == "time" and row[name] is not None else row[name] for name in kinds}
        for row in tables.all_rows(table)
    ]


async def assert_same(connection: Any, tables: MemoryTables) -> None:
    for name in TABLES:
        assert await stored_rows(connection, name) == memory_rows(tables, name), name
