"""The wire name and version of every event and command, and the way between objects and records.

Names and versions stand on the log for ever: a class may be renamed or moved, its line here may not. To change the
fields of a stored type other than by adding optional ones: raise its version here, add the upcaster from the version
before (a pure function on the JSON object), run `python -m schemas.generate` and `python -m tests.golden.add`.

Some commands come only from the owner of a partition and never by the log: they have names (for tools and traces) but
`decode_command_data` refuses them.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from domain.credential import commands as credential_commands
from domain.credential import events as credential
from domain.dead_letter import commands as dead_letter_commands
from domain.dead_letter import events as dead_letter
from domain.decision import OutgoingCommand, Resent
from domain.execution import commands as execution_commands
from domain.execution import events as execution
from domain.inbox import commands as inbox_commands
from domain.inbox import events as inbox
from domain.limit import commands as limit_commands
from domain.limit import events as limit
from domain.schedule import commands as schedule_commands
from domain.schedule import events as schedule
from domain.subscription import commands as subscription_commands
from domain.subscription import events as subscription
from domain.variable import commands as variable_commands
from domain.variable import events as variable
from domain.workflow import commands as workflow_commands
from domain.workflow import events as workflow
from domain.workspace import commands as workspace_commands
from domain.workspace import events as workspace
from schemas.codec import Codec, Entry
from schemas.envelope import CommandRecord, CommitRecord, EventRecord, SentCommand, encode
from schemas.errors import UnknownRecord
from schemas.payloads import NO_BLOBS, SPILL_OVER, Spill

EVENTS = Codec(
    [
        Entry("execution.queued", execution.ExecutionQueued),
        Entry("execution.slots_asked", execution.SlotsAsked),
        Entry("execution.slot_granted", execution.SlotGranted),
        Entry("execution.started", execution.ExecutionStarted),
        Entry("execution.node_attempted", execution.NodeAttempted),
        Entry("execution.attempt_concluded", execution.AttemptConcluded),
        Entry("execution.retry_scheduled", execution.RetryScheduled),
        Entry("execution.node_waiting", execution.NodeWaiting),
        Entry("execution.children_started", execution.ChildrenStarted),
        Entry("execution.child_concluded", execution.ChildConcluded),
        Entry("execution.node_prepared", execution.NodePrepared),
        Entry("execution.node_completed", execution.NodeCompleted),
        Entry("execution.node_failed", execution.NodeFailed),
        Entry("execution.node_outcome_unknown", execution.NodeOutcomeUnknown),
        Entry("execution.verdict_given", execution.VerdictGiven),
        Entry("execution.node_cancelled", execution.NodeCancelled),
        Entry("execution.response_given", execution.ResponseGiven),
        Entry("execution.parked", execution.ExecutionParked),
        Entry("execution.resumed", execution.ExecutionResumed),
        Entry("execution.recovered", execution.ExecutionRecovered),
        Entry("execution.completed", execution.ExecutionCompleted),
        Entry("execution.failed", execution.ExecutionFailed),
        Entry("execution.cancelled", execution.ExecutionCancelled),
        Entry("execution.timed_out", execution.ExecutionTimedOut),
        Entry("schedule.created", schedule.ScheduleCreated),
        Entry("schedule.changed", schedule.ScheduleChanged),
        Entry("schedule.paused", schedule.SchedulePaused),
        Entry("schedule.resumed", schedule.ScheduleResumed),
        Entry("schedule.ended", schedule.ScheduleEnded),
        Entry("schedule.deleted", schedule.ScheduleDeleted),
        Entry("schedule.armed", schedule.ScheduleArmed),
        Entry("schedule.fired", schedule.ScheduleFired),
        Entry("schedule.firing_deferred", schedule.FiringDeferred),
        Entry("schedule.firings_skipped", schedule.FiringsSkipped),
        Entry("schedule.firing_suppressed", schedule.FiringSuppressed),
        Entry("schedule.execution_noted", schedule.ExecutionNoted),
        Entry("schedule.backfill_started", schedule.BackfillStarted),
        Entry("schedule.backfill_ended", schedule.BackfillEnded),
        Entry("workflow.created", workflow.WorkflowCreated),
        Entry("workflow.version_added", workflow.WorkflowVersionAdded),
        Entry("workflow.activated", workflow.WorkflowActivated),
        Entry("workflow.deactivated", workflow.WorkflowDeactivated),
        Entry("workflow.archived", workflow.WorkflowArchived),
        Entry("dead_letter.recorded", dead_letter.LetterRecorded),
        Entry("dead_letter.reviewed", dead_letter.LetterReviewed),
        Entry("dead_letter.redriven", dead_letter.LetterRedriven),
        Entry("dead_letter.discarded", dead_letter.LetterDiscarded),
        Entry("inbox.accepted", inbox.DeliveryAccepted),
        Entry("inbox.held", inbox.DeliveryHeld),
        Entry("inbox.begun", inbox.DeliveryBegun),
        Entry("inbox.superseded", inbox.DeliverySuperseded),
        Entry("inbox.duplicated", inbox.DeliveryDuplicated),
        Entry("inbox.refused", inbox.DeliveryRefused),
        Entry("inbox.cleared", inbox.InboxCleared),
        Entry("limit.slot_given", limit.SlotGiven),
        Entry("limit.slot_awaited", limit.SlotAwaited),
        Entry("limit.slot_refused", limit.SlotRefused),
        Entry("limit.slot_returned", limit.SlotReturned),
        Entry("subscription.created", subscription.SubscriptionCreated),
        Entry("subscription.changed", subscription.SubscriptionChanged),
        Entry("subscription.paused", subscription.SubscriptionPaused),
        Entry("subscription.resumed", subscription.SubscriptionResumed),
        Entry("subscription.disabled", subscription.SubscriptionDisabled),
        Entry("subscription.deleted", subscription.SubscriptionDeleted),
        Entry("subscription.delivery_queued", subscription.DeliveryQueued),
        Entry("subscription.delivery_requeued", subscription.DeliveryRequeued),
        Entry("subscription.delivery_started", subscription.DeliveryStarted),
        Entry("subscription.delivery_ended", subscription.DeliveryEnded),
        Entry("subscription.delivery_dropped", subscription.DeliveryDropped),
        Entry("variable.created", variable.VariableCreated),
        Entry("variable.changed", variable.VariableChanged),
        Entry("variable.deleted", variable.VariableDeleted),
        Entry("workspace.share_set", workspace.ShareSet),
        Entry("workspace.retention_set", workspace.RetentionSet),
        Entry("workspace.created", workspace.WorkspaceCreated),
        Entry("workspace.api_key_added", workspace.ApiKeyAdded),
        Entry("workspace.api_key_revoked", workspace.ApiKeyRevoked),
        Entry("credential.created", credential.CredentialCreated),
        Entry("credential.updated", credential.CredentialUpdated),
        Entry("credential.deleted", credential.CredentialDeleted),
        Entry("credential.resealed", credential.CredentialResealed),
        Entry("credential.connection_begun", credential.ConnectionBegun),
        Entry("credential.tokens_stored", credential.TokensStored),
        Entry("credential.connection_ended", credential.ConnectionEnded),
        Entry("credential.used", credential.CredentialUsed),
        Entry("credential.tested", credential.CredentialTested),
    ]
)

COMMANDS = Codec(
    [
        Entry("execution.start", execution_commands.StartExecution),
        Entry("execution.cancel", execution_commands.CancelExecution),
        Entry("execution.give_verdict", execution_commands.GiveVerdict),
        Entry("execution.resume_wait", execution_commands.ResumeWait),
        Entry("execution.conclude_child", execution_commands.ConcludeChild),
        Entry("execution.grant_slot", execution_commands.GrantSlot),
        Entry("execution.refuse_slot", execution_commands.RefuseSlot),
        Entry("execution.begin", execution_commands.Begin),
        Entry("execution.conclude_attempt", execution_commands.ConcludeAttempt),
        Entry("execution.attempt_not_started", execution_commands.AttemptNotStarted),
        Entry("execution.conclude_compute", execution_commands.ConcludeCompute),
        Entry("execution.pass_time", execution_commands.PassTime),
        Entry("execution.resume", execution_commands.Resume),
        Entry("schedule.create", schedule_commands.CreateSchedule),
        Entry("schedule.update", schedule_commands.UpdateSchedule),
        Entry("schedule.pause", schedule_commands.PauseSchedule),
        Entry("schedule.resume", schedule_commands.ResumeSchedule),
        Entry("schedule.delete", schedule_commands.DeleteSchedule),
        Entry("schedule.ensure", schedule_commands.EnsureSchedule),
        Entry("schedule.end", schedule_commands.EndSchedule),
        Entry("schedule.note_execution_ended", schedule_commands.NoteExecutionEnded),
        Entry("schedule.start_backfill", schedule_commands.StartBackfill),
        Entry("schedule.cancel_backfill", schedule_commands.CancelBackfill),
        Entry("workflow.create", workflow_commands.CreateWorkflow),
        Entry("workflow.update", workflow_commands.UpdateWorkflow),
        Entry("workflow.activate", workflow_commands.ActivateWorkflow),
        Entry("workflow.deactivate", workflow_commands.DeactivateWorkflow),
        Entry("workflow.archive", workflow_commands.ArchiveWorkflow),
        Entry("dead_letter.record", dead_letter_commands.RecordLetter),
        Entry("dead_letter.redrive", dead_letter_commands.RedriveLetter),
        Entry("dead_letter.discard", dead_letter_commands.DiscardLetter),
        Entry("inbox.receive", inbox_commands.ReceiveDelivery),
        Entry("inbox.refuse", inbox_commands.RefuseDelivery),
        Entry("limit.request_slot", limit_commands.RequestSlot),
        Entry("limit.release_slot", limit_commands.ReleaseSlot),
        Entry("subscription.create", subscription_commands.CreateSubscription),
        Entry("subscription.change", subscription_commands.ChangeSubscription),
        Entry("subscription.pause", subscription_commands.PauseSubscription),
        Entry("subscription.resume", subscription_commands.ResumeSubscription),
        Entry("subscription.delete", subscription_commands.DeleteSubscription),
        Entry("subscription.tell_events", subscription_commands.TellEvents),
        Entry("subscription.send_test", subscription_commands.SendTest),
        Entry("subscription.redeliver", subscription_commands.Redeliver),
        Entry("subscription.note_delivery_ended", subscription_commands.NoteDeliveryEnded),
        Entry("variable.create", variable_commands.CreateVariable),
        Entry("variable.set", variable_commands.SetVariable),
        Entry("variable.delete", variable_commands.DeleteVariable),
        Entry("workspace.set_share", workspace_commands.SetShare),
        Entry("workspace.set_retention", workspace_commands.SetRetention),
        Entry("workspace.create", workspace_commands.CreateWorkspace),
        Entry("workspace.add_api_key", workspace_commands.AddApiKey),
        Entry("workspace.revoke_api_key", workspace_commands.RevokeApiKey),
        Entry("credential.create", credential_commands.CreateCredential),
        Entry("credential.update", credential_commands.UpdateCredential),
        Entry("credential.delete", credential_commands.DeleteCredential),
        Entry("credential.reseal", credential_commands.ResealCredential),
        Entry("credential.connect", credential_commands.ConnectCredential),
        Entry("credential.store_tokens", credential_commands.StoreTokens),
        Entry("credential.end_connection", credential_commands.EndConnection),
        Entry("credential.note_used", credential_commands.NoteCredentialUsed),
        Entry("credential.test", credential_commands.TestCredential),
        Entry("credential.conclude_test", credential_commands.ConcludeTest),
    ]
)

OWNER_ONLY = frozenset(
    {
        "execution.begin",
        "execution.conclude_compute",
        "execution.pass_time",
        "execution.resume",
    }
)
"""Commands that the owner of a partition gives to its own deciders; on the log they would be a forgery.

Results of attempts may come by the log: from a worker that lost the partition while it performed them (rule 10).
"""


def encode_event(event: Any, *, spill: Spill | None = None, over: int = SPILL_OVER) -> EventRecord:
    """The record of an event. Payload fields of more than `over` bytes go to `spill`, which returns their blob ids.

    Without `spill` nothing moves out. Raises UnknownRecord, UnencodableRecord.
    """
    name, version, data, blobs = EVENTS.encode(event, spill, over)
    return EventRecord(name, data, version, blobs)


def decode_event(record: EventRecord, blobs: Mapping[str, bytes] = NO_BLOBS) -> Any:
    """The event, lifted to its current version. `blobs`: blob id → bytes, for all of `blobs_of(record)`.

    Raises UnknownRecord, MalformedRecord, MissingBlob.
    """
    return EVENTS.decode(record.type, record.v, record.data, record.blobs, blobs)


def decode_event_bare(record: EventRecord) -> Any:
    """The event with the fields that are stored outside left empty; `record.blobs` names them (for projections)."""
    return EVENTS.decode_bare(record.type, record.v, record.data, record.blobs)


def encode_command(command: Any) -> tuple[str, int, msgspec.Raw]:
    """Type, tv and data of a command, everything inside. Raises UnknownRecord, UnencodableRecord."""
    return COMMANDS.encode(command)[:3]


def command_record(
    command: Any,
    *,
    id: str,  # noqa: A002 - the field's name
    stream: str,
    workspace: str,
    made: int,
    actor: str = "",
    correlation: str = "",
    spill: Spill | None = None,
    over: int = SPILL_OVER,
) -> CommandRecord:
    """The record of a command to be appended; large payload fields go to `spill`. Raises as `encode_event`."""
    name, version, data, blobs = COMMANDS.encode(command, spill, over)
    return CommandRecord(id, name, stream, workspace, made, data, version, actor, correlation, blobs)


def sent_command(outgoing: OutgoingCommand, *, spill: Spill | None = None, over: int = SPILL_OVER) -> SentCommand:
    """The record, inside a commit, of a command for another stream (rule 13)."""
    command = outgoing.command
    if isinstance(command, Resent):
        return SentCommand(outgoing.id, command.type, outgoing.stream, _raw(command.data), command.tv, command.outside)
    name, version, data, blobs = COMMANDS.encode(command, spill, over)
    return SentCommand(outgoing.id, name, outgoing.stream, data, version, blobs)


def _raw(data: Any) -> msgspec.Raw:
    return msgspec.Raw(encode(data))


def decode_command_data(record: CommandRecord | SentCommand, blobs: Mapping[str, bytes] = NO_BLOBS) -> Any:
    """The command, its data checked against its type. Raises UnknownRecord, MalformedRecord, MissingBlob."""
    if record.type in OWNER_ONLY:
        raise UnknownRecord(record.type, record.tv, "comes only from the owner of a partition, never by the log")
    return COMMANDS.decode(record.type, record.tv, record.data, record.blobs, blobs)


def decode_command_bare(record: CommandRecord) -> Any:
    """As `decode_command_data`, with the fields that are stored outside left empty: for what cannot be decided."""
    if record.type in OWNER_ONLY:
        raise UnknownRecord(record.type, record.tv, "comes only from the owner of a partition, never by the log")
    return COMMANDS.decode_bare(record.type, record.tv, record.data, record.blobs)


def blobs_of(record: EventRecord | CommandRecord | SentCommand | CommitRecord) -> list[str]:
    """The ids of all blobs that decoding this record needs, each once."""
    if isinstance(record, CommitRecord):
        parts: Iterable[EventRecord | SentCommand] = [*record.events, *record.commands]
        return list(dict.fromkeys(blob for part in parts if part.blobs for blob in part.blobs.values()))
    return list(dict.fromkeys(record.blobs.values()))
