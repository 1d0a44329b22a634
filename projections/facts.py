"""Commits as projections see them: payloads stay the JSON text that they are on the log.

What a projection only passes on to a column (`outputs`, `items`, `document`, …) is never decoded. Events of an older
version take the long way through the registry and its upcasters.
"""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import msgspec

from domain.schedule import events as schedule
from domain.subscription import events as subscription
from schemas.envelope import CommitRecord, EventRecord
from schemas.errors import DECODING_ERRORS, MalformedRecord, SchemaError
from schemas.registry import EVENTS, decode_event_bare

_NOTHING = msgspec.Raw(b"")
_EMPTY_LIST = msgspec.Raw(b"[]")


class Origin(msgspec.Struct, frozen=True):
    kind: str
    stream: str
    ref: str = ""


class ExecutionQueued(msgspec.Struct, frozen=True):
    workflow_id: str
    workflow_version: int
    trigger_node: str
    trigger_type: str
    queued_at: int
    items: msgspec.Raw = _NOTHING
    priority: str = "normal"
    fingerprint: str = ""
    retry_of: str | None = None
    origin: Origin | None = None
    retry_count: int = 0
    variables: msgspec.Raw = _NOTHING


class ExecutionStarted(msgspec.Struct, frozen=True):
    started_at: int


class ExecutionParked(msgspec.Struct, frozen=True):
    pass


class ExecutionResumed(msgspec.Struct, frozen=True):
    pass


class ExecutionRecovered(msgspec.Struct, frozen=True):
    count: int


class ExecutionCompleted(msgspec.Struct, frozen=True):
    at: int
    output: msgspec.Raw = _NOTHING


class ExecutionFailed(msgspec.Struct, frozen=True):
    at: int
    error: msgspec.Raw


class ExecutionTimedOut(msgspec.Struct, frozen=True):
    at: int
    error: msgspec.Raw


class ExecutionCancelled(msgspec.Struct, frozen=True):
    at: int


class ResponseGiven(msgspec.Struct, frozen=True):
    status: int
    headers: msgspec.Raw
    body: msgspec.Raw = msgspec.Raw(b"null")


class NodeAttempted(msgspec.Struct, frozen=True):
    node: str
    run: int
    attempt: int
    sources: msgspec.Raw = _EMPTY_LIST


class CallAwaited(msgspec.Struct, frozen=True):
    kind: str = "time"
    title: str = ""
    message: str = ""


class NodeWaiting(msgspec.Struct, frozen=True):
    node: str
    run: int
    due: int | None = None
    sources: msgspec.Raw = _EMPTY_LIST
    call: CallAwaited = CallAwaited()


class ChildrenStarted(msgspec.Struct, frozen=True):
    node: str
    run: int
    sources: msgspec.Raw = _EMPTY_LIST


class RetryScheduled(msgspec.Struct, frozen=True):
    node: str
    run: int
    due: int


class NodeCompleted(msgspec.Struct, frozen=True):
    node: str
    run: int
    outputs: msgspec.Raw = _NOTHING
    sources: msgspec.Raw = _EMPTY_LIST
    attempts: int = 0
    taken: bool = False
    logs: msgspec.Raw = _EMPTY_LIST


class ErrorCode(msgspec.Struct, frozen=True):
    code: str
    message: str
    node_id: str | None = None


class NodeFailed(msgspec.Struct, frozen=True):
    node: str
    run: int
    error: ErrorCode
    sources: msgspec.Raw = _EMPTY_LIST
    attempts: int = 0
    logs: msgspec.Raw = _EMPTY_LIST


class NodeOutcomeUnknown(msgspec.Struct, frozen=True):
    node: str
    run: int
    attempt: int
    waiting_for: list[int] = []


class VerdictGiven(msgspec.Struct, frozen=True):
    node: str
    run: int
    left: list[int] = []


class NodeCancelled(msgspec.Struct, frozen=True):
    node: str
    run: int


class WorkflowCreated(msgspec.Struct, frozen=True):
    name: str
    at: int
    document: msgspec.Raw = _NOTHING
    fingerprint: str = ""


class WorkflowVersionAdded(msgspec.Struct, frozen=True):
    version: int
    name: str
    at: int
    document: msgspec.Raw = _NOTHING


class WebhookBinding(msgspec.Struct, frozen=True):
    endpoint_id: str
    node: str
    method: str
    respond: str


class WorkflowActivated(msgspec.Struct, frozen=True):
    version: int
    webhooks: list[WebhookBinding]
    at: int


class WorkflowDeactivated(msgspec.Struct, frozen=True):
    at: int


class WorkflowArchived(msgspec.Struct, frozen=True):
    at: int


class WorkspaceCreated(msgspec.Struct, frozen=True):
    name: str
    at: int


class LetterRecorded(msgspec.Struct, frozen=True):
    topic: str
    partition: int
    offset: int
    code: str
    reason: str
    at: int
    excerpt: str = ""
    command: str = ""
    stream: str = ""
    body: msgspec.Raw = msgspec.Raw(b"null")
    outside: dict[str, str] = {}


class LetterReviewed(msgspec.Struct, frozen=True):
    at: int


class LetterRedriven(msgspec.Struct, frozen=True):
    at: int
    number: int
    stream: str
    by: str = ""


class LetterDiscarded(msgspec.Struct, frozen=True):
    at: int
    by: str = ""
    reason: str = ""


class Delivery(msgspec.Struct, frozen=True):
    id: str
    endpoint_id: str
    workflow_id: str
    workflow_version: int
    node: str
    received_at: int
    fingerprint: str = ""


class DedupKey(msgspec.Struct, frozen=True):
    key: str


class DeliveryGates(msgspec.Struct, frozen=True):
    dedup: DedupKey | None = None


class DeliveryAccepted(msgspec.Struct, frozen=True):
    delivery: Delivery
    execution_id: str
    at: int
    gates: DeliveryGates = DeliveryGates()


class DeliveryHeld(msgspec.Struct, frozen=True):
    delivery: Delivery
    at: int
    due: int | None = None
    items: msgspec.Raw = _EMPTY_LIST
    gates: DeliveryGates = DeliveryGates()


class DeliveryBegun(msgspec.Struct, frozen=True):
    delivery_id: str
    execution_id: str
    at: int


class DeliverySuperseded(msgspec.Struct, frozen=True):
    delivery_id: str
    by: str
    at: int


class DeliveryDuplicated(msgspec.Struct, frozen=True):
    delivery: Delivery
    first: str
    at: int
    items: msgspec.Raw = _EMPTY_LIST
    same: bool = False


class DeliveryRefused(msgspec.Struct, frozen=True):
    delivery: Delivery
    code: str
    reason: str
    at: int
    retry_at: int | None = None
    items: msgspec.Raw = _EMPTY_LIST
    excerpt: str = ""
    more: int = 0


class ShareSet(msgspec.Struct, frozen=True):
    weight: float = 1.0
    concurrent: int | None = None


class RetentionSet(msgspec.Struct, frozen=True):
    days: int | None = None
    payload_days: int | None = None


class ApiKeyAdded(msgspec.Struct, frozen=True):
    key_id: str
    key_hash: str
    prefix: str
    name: str
    at: int


class ApiKeyRevoked(msgspec.Struct, frozen=True):
    key_id: str
    at: int


class VariableCreated(msgspec.Struct, frozen=True):
    name: str
    value: msgspec.Raw
    version: int
    at: int
    description: str = ""
    request_id: str = ""
    fingerprint: str = ""


class VariableChanged(msgspec.Struct, frozen=True):
    name: str
    value: msgspec.Raw
    version: int
    at: int
    description: str = ""


class VariableDeleted(msgspec.Struct, frozen=True):
    name: str


class CredentialCreated(msgspec.Struct, frozen=True):
    type: str
    name: str
    fields: dict[str, str]
    sealed: dict[str, str]
    at: int
    description: str = ""
    fingerprint: str = ""


class CredentialUpdated(msgspec.Struct, frozen=True):
    version: int
    name: str
    fields: dict[str, str]
    sealed: dict[str, str]
    at: int
    description: str = ""
    disconnected: bool = False


class CredentialDeleted(msgspec.Struct, frozen=True):
    at: int


class CredentialResealed(msgspec.Struct, frozen=True):
    sealed: dict[str, str]
    at: int


class ConnectionBegun(msgspec.Struct, frozen=True):
    at: int


class TokensStored(msgspec.Struct, frozen=True):
    sealed: dict[str, str]
    generation: int
    at: int
    expires_at: int | None = None
    scope: str = ""


class ConnectionEnded(msgspec.Struct, frozen=True):
    code: str
    message: str
    at: int
    state_id: str = ""


class CredentialUsed(msgspec.Struct, frozen=True):
    at: int


class CredentialTested(msgspec.Struct, frozen=True):
    ok: bool
    at: int
    code: str = ""
    message: str = ""


SEEN: dict[str, type[msgspec.Struct]] = {
    "execution.queued": ExecutionQueued,
    "execution.started": ExecutionStarted,
    "execution.parked": ExecutionParked,
    "execution.resumed": ExecutionResumed,
    "execution.recovered": ExecutionRecovered,
    "execution.completed": ExecutionCompleted,
    "execution.failed": ExecutionFailed,
    "execution.timed_out": ExecutionTimedOut,
    "execution.cancelled": ExecutionCancelled,
    "execution.response_given": ResponseGiven,
    "execution.node_attempted": NodeAttempted,
    "execution.node_waiting": NodeWaiting,
    "execution.children_started": ChildrenStarted,
    "execution.retry_scheduled": RetryScheduled,
    "execution.node_completed": NodeCompleted,
    "execution.node_failed": NodeFailed,
    "execution.node_outcome_unknown": NodeOutcomeUnknown,
    "execution.verdict_given": VerdictGiven,
    "execution.node_cancelled": NodeCancelled,
    "workflow.created": WorkflowCreated,
    "workflow.version_added": WorkflowVersionAdded,
    "workflow.activated": WorkflowActivated,
    "workflow.deactivated": WorkflowDeactivated,
    "workflow.archived": WorkflowArchived,
    "schedule.created": schedule.ScheduleCreated,
    "schedule.changed": schedule.ScheduleChanged,
    "schedule.paused": schedule.SchedulePaused,
    "schedule.resumed": schedule.ScheduleResumed,
    "schedule.ended": schedule.ScheduleEnded,
    "schedule.deleted": schedule.ScheduleDeleted,
    "schedule.armed": schedule.ScheduleArmed,
    "schedule.fired": schedule.ScheduleFired,
    "schedule.firing_deferred": schedule.FiringDeferred,
    "schedule.firings_skipped": schedule.FiringsSkipped,
    "schedule.firing_suppressed": schedule.FiringSuppressed,
    "schedule.execution_noted": schedule.ExecutionNoted,
    "schedule.backfill_started": schedule.BackfillStarted,
    "schedule.backfill_ended": schedule.BackfillEnded,
    "subscription.created": subscription.SubscriptionCreated,
    "subscription.changed": subscription.SubscriptionChanged,
    "subscription.paused": subscription.SubscriptionPaused,
    "subscription.resumed": subscription.SubscriptionResumed,
    "subscription.disabled": subscription.SubscriptionDisabled,
    "subscription.deleted": subscription.SubscriptionDeleted,
    "subscription.delivery_queued": subscription.DeliveryQueued,
    "subscription.delivery_requeued": subscription.DeliveryRequeued,
    "subscription.delivery_started": subscription.DeliveryStarted,
    "subscription.delivery_ended": subscription.DeliveryEnded,
    "subscription.delivery_dropped": subscription.DeliveryDropped,
    "variable.created": VariableCreated,
    "variable.changed": VariableChanged,
    "variable.deleted": VariableDeleted,
    "workspace.created": WorkspaceCreated,
    "workspace.share_set": ShareSet,
    "workspace.retention_set": RetentionSet,
    "workspace.api_key_added": ApiKeyAdded,
    "workspace.api_key_revoked": ApiKeyRevoked,
    "dead_letter.recorded": LetterRecorded,
    "dead_letter.reviewed": LetterReviewed,
    "dead_letter.redriven": LetterRedriven,
    "dead_letter.discarded": LetterDiscarded,
    "inbox.accepted": DeliveryAccepted,
    "inbox.held": DeliveryHeld,
    "inbox.begun": DeliveryBegun,
    "inbox.superseded": DeliverySuperseded,
    "inbox.duplicated": DeliveryDuplicated,
    "inbox.refused": DeliveryRefused,
    "credential.created": CredentialCreated,
    "credential.updated": CredentialUpdated,
    "credential.deleted": CredentialDeleted,
    "credential.resealed": CredentialResealed,
    "credential.connection_begun": ConnectionBegun,
    "credential.tokens_stored": TokensStored,
    "credential.connection_ended": ConnectionEnded,
    "credential.used": CredentialUsed,
    "credential.tested": CredentialTested,
}

UNSEEN = frozenset(
    {
        "execution.attempt_concluded",
        "execution.child_concluded",
        "execution.node_prepared",
        "execution.slot_granted",
        "execution.slots_asked",
        "inbox.cleared",
        "limit.slot_awaited",
        "limit.slot_given",
        "limit.slot_refused",
        "limit.slot_returned",
    }
)
"""Events that change no row of any projection."""

Fact: TypeAlias = tuple[Any, int, dict[str, str]]
"""An event, its version in the stream, and the fields of it that are stored outside (field → blob id)."""


class Commit(msgspec.Struct, frozen=True):
    """`id`: of the aggregate (the stream without its kind). `version`: the stream's after this commit.

    `time`, `queued_at`: milliseconds since 1970; `queued_at` is 0 for all but executions. `actor`: who asked. `blobs`:
    ids of all values stored outside that the commit names, also in events that change no row and in commands it sends.
    `delivers`: of an execution that the system runs for a subscription.
    """

    kind: str
    id: str
    workspace: str
    version: int
    time: int
    queued_at: int
    facts: list[Fact]
    actor: str = ""
    blobs: list[str] = []
    delivers: bool = False


_DECODERS: dict[tuple[str, int], Callable[[msgspec.Raw], Any]] = {
    (name, EVENTS.entries[name].version): msgspec.json.Decoder(kind).decode for name, kind in SEEN.items()
}
_LONG_WAY = {name: msgspec.json.Decoder(kind).decode for name, kind in SEEN.items()}
_encode = msgspec.json.Encoder().encode


def read_commit(record: CommitRecord) -> tuple[Commit, list[tuple[EventRecord, SchemaError]]]:
    """The commit without the events that change no row, and the events that cannot be decoded, with the reason."""
    facts: list[Fact] = []
    broken: list[tuple[EventRecord, SchemaError]] = []
    version = record.version
    for event in record.events:
        name = event.type
        decode = _DECODERS.get((name, event.v))
        try:
            if decode is not None:
                facts.append((decode(event.data), version, event.blobs))
            elif name not in UNSEEN:
                facts.append((_decode_long(event), version, event.blobs))
        except SchemaError as error:
            broken.append((event, error))
        except DECODING_ERRORS as error:
            broken.append((event, MalformedRecord.of(name, event.v, error)))
        version += 1
    kind, _, identity = record.stream.partition("-")
    last = version - 1 if record.events else record.version
    blobs, queued_at = _blobs_of(record), record.queued_at or 0
    workspace, actor, delivers = record.workspace, record.actor, record.delivers
    read = Commit(kind, identity, workspace, last, record.time, queued_at, facts, actor, blobs, delivers)
    return read, broken


def _blobs_of(record: CommitRecord) -> list[str]:
    named = [event.blobs for event in record.events if event.blobs]
    named += [command.blobs for command in record.commands if command.blobs]
    return sorted({blob for blobs in named for blob in blobs.values()}) if named else []


def _decode_long(event: EventRecord) -> Any:
    lifted = decode_event_bare(event)
    return _LONG_WAY[event.type](_encode(lifted))


CLOCKS_DIFFER_MS: Final = 3_600_000


def happened_at(commit: Commit, at: int) -> int:
    """When an event was decided: by its worker's clock, to the millisecond, unless that is more than an hour off the
    log's time `at`. Retention must not take an execution for old because a host's clock was wrong."""
    return by_log_where_off(commit.time, at)


def by_log_where_off(time: int, at: int) -> int:
    """A worker's `time`, unless it is more than an hour off the log's `at`."""
    return time if abs(time - at) <= CLOCKS_DIFFER_MS else at


def payload(raw: msgspec.Raw, field: str, blobs: dict[str, str]) -> str | None:
    """The JSON text for a column: of the field itself, or the reference to the blob that holds it."""
    if blobs and field in blobs:
        return '{"$blob":"' + blobs[field] + '"}'
    return str(raw, "utf-8") if raw is not _NOTHING else None


def text(value: str) -> str:
    """Without NUL characters, which no text column takes."""
    return value.replace("\x00", "\ufffd") if "\x00" in value else value
