"""What the end of an execution sets going in other streams: commands that stand in the commit that ends it (rule 13).

Who asked for the execution and named itself as its origin is told, also when the start was refused; a failure starts
the error workflow. Ids are derived from the execution, so that what is sent twice happens once.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple
from uuid import NAMESPACE_URL, UUID, uuid5

from domain.decision import Decision, Outcome, OutgoingCommand
from domain.execution.commands import ConcludeChild, StartExecution
from domain.execution.events import (
    ErrorInfo,
    ExecutionCancelled,
    ExecutionCompleted,
    ExecutionFailed,
    ExecutionTimedOut,
    Items,
    Origin,
    Told,
)
from domain.execution.links import Links
from domain.execution.state import CANCELLED, COMPLETED, FAILED, TIMEOUT
from domain.limit.commands import ReleaseSlot
from domain.schedule.commands import NoteExecutionEnded
from domain.subscription.answers import status_in
from domain.subscription.commands import NoteDeliveryEnded

TerminalEvent = ExecutionCompleted | ExecutionFailed | ExecutionCancelled | ExecutionTimedOut
EndStatus = Literal["completed", "failed", "cancelled", "timeout", "refused"]

EXECUTION_STREAM = "execution-"
ERROR_TRIGGER_TYPE = "error"
MAX_DEPTH = 20
"""Executions above one another: a workflow that calls itself for ever ends here."""


class End(NamedTuple):
    """How an execution ended. `at`: owner's time, ms. refused: it never began."""

    execution_id: str
    status: EndStatus
    at: int
    output: Items
    error: ErrorInfo | None


def derived(execution_id: str, name: str) -> str:
    """The id of what an execution causes: the same cause gives the same id."""
    try:
        namespace = UUID(execution_id)
    except ValueError:
        namespace = uuid5(NAMESPACE_URL, execution_id)
    return str(uuid5(namespace, name))


def end_of(execution_id: str, event: TerminalEvent) -> End:
    match event:
        case ExecutionCompleted():
            return End(execution_id, COMPLETED, event.at, event.output, None)
        case ExecutionFailed():
            return End(execution_id, FAILED, event.at, [], event.error)
        case ExecutionTimedOut():
            return End(execution_id, TIMEOUT, event.at, [], event.error)
        case ExecutionCancelled():
            reason = event.reason or "it was cancelled"
            return End(execution_id, CANCELLED, event.at, [], ErrorInfo(code="cancelled", message=reason))


def _to_parent(origin: Origin, end: End) -> ConcludeChild:
    return ConcludeChild(
        node=origin.node,
        run=origin.run,
        item=origin.item,
        child=end.execution_id,
        status=end.status,
        output=end.output,
        error=end.error,
    )


def _to_schedule(origin: Origin, end: End) -> NoteExecutionEnded:
    message = "" if end.error is None else f"{end.error.code}: {end.error.message}"[:500]
    return NoteExecutionEnded(end.execution_id, origin.ref, end.status, end.at, message)


def _to_subscription(origin: Origin, end: End) -> NoteDeliveryEnded | None:
    """A delivery of a subscription goes out and is waited for; one that came in to an endpoint's inbox is not."""
    if not origin.stream.startswith("subscription-"):
        return None
    code, message = ("", "") if end.error is None else (end.error.code, end.error.message[:500])
    return NoteDeliveryEnded(
        execution_id=end.execution_id,
        delivery_id=origin.ref,
        status=end.status,
        at=end.at,
        code=code,
        message=message,
        response_status=status_in(end.output, message),
    )


_TELL: dict[str, Callable[[Origin, End], Any]] = {
    "parent": _to_parent,
    "schedule": _to_schedule,
    "delivery": _to_subscription,
}
"""By kind of origin, the command that tells it. A kind without a line here wants to know nothing."""


def tell(origin: Origin | None, end: End) -> list[OutgoingCommand]:
    """The command that tells an execution's origin how it ended."""
    said = _TELL.get(origin.kind) if origin is not None else None
    command = said(origin, end) if said is not None and origin is not None else None
    if command is None or origin is None:
        return []
    return [OutgoingCommand(derived(end.execution_id, "ended"), origin.stream, command)]


def refused(command: StartExecution, execution_id: str, state: Any, outcome: Outcome, now: int) -> Decision:
    """A start that is refused for good: nothing is recorded but the answer, and its origin is told."""
    error = ErrorInfo(code=outcome.code, message=outcome.message)
    end = End(execution_id, "refused", now, [], error)
    return Decision([], state, outcome, commands=tell(command.origin, end))


class Ending(NamedTuple):
    """An execution that ends, as far as others are concerned. `last_node`: the one that failed or finished last."""

    execution_id: str
    workflow_id: str
    workflow_version: int
    workflow_name: str
    trigger_type: str
    priority: str
    queued_at: int
    told: Told
    last_node: str | None


def consequences(ending: Ending, event: TerminalEvent, links: Links) -> list[OutgoingCommand]:
    """What is sent when `event` ends the execution: word to its origin, its error workflow, its places.

    An origin knows of an execution that was repeated (`settings.retries`) by the id of the first.
    """
    return [
        *tell(ending.told.origin, end_of(ending.told.first or ending.execution_id, event)),
        *_error_workflow(ending, event, links),
        *releases(ending.execution_id, ending.told),
    ]


def releases(execution_id: str, told: Told) -> list[OutgoingCommand]:
    """All places go back: also where the execution is repeated, which asks for places of its own."""
    return [release(execution_id, slot.stream, slot.key) for slot in told.slots]


def release(execution_id: str, stream: str, key: str) -> OutgoingCommand:
    """Gives a place back; one that it does not have is no loss."""
    return OutgoingCommand(derived(execution_id, f"release {stream} {key}"), stream, ReleaseSlot(execution_id, key))


def _error_workflow(ending: Ending, event: TerminalEvent, links: Links) -> list[OutgoingCommand]:
    """Every failure starts it, a cancellation does not, and neither does the failure of an error workflow."""
    told = ending.told
    if not isinstance(event, ExecutionFailed | ExecutionTimedOut) or told.error_workflow is None:
        return []
    if ending.trigger_type == ERROR_TRIGGER_TYPE or told.depth >= MAX_DEPTH:
        return []
    execution_id = derived(ending.execution_id, "error workflow")
    command = StartExecution(
        execution_id=execution_id,
        workflow_id=told.error_workflow,
        workflow_version=0,
        trigger_node="",
        trigger_type=ERROR_TRIGGER_TYPE,
        items=[{"json": _report(ending, event, links)}],
        queued_at=event.at,
        priority=ending.priority,
        depth=told.depth + 1,
    )
    return [OutgoingCommand(derived(execution_id, "start"), EXECUTION_STREAM + execution_id, command)]


def _report(ending: Ending, event: ExecutionFailed | ExecutionTimedOut, links: Links) -> dict[str, Any]:
    """The item of an error trigger."""
    error = event.error
    return {
        "execution": {
            "id": ending.execution_id,
            "url": links.execution(ending.execution_id),
            "status": FAILED if isinstance(event, ExecutionFailed) else TIMEOUT,
            "error": {"code": error.code, "message": error.message, "node_id": error.node_id},
            "last_node": error.node_id or ending.last_node,
            "retry_of": ending.told.retry_of,
            "trigger_type": ending.trigger_type,
            "queued_at": iso_time(ending.queued_at),
            "failed_at": iso_time(event.at),
        },
        "workflow": {
            "id": ending.workflow_id,
            "name": ending.workflow_name,
            "version": ending.workflow_version,
        },
    }


def iso_time(milliseconds: int) -> str:
    """RFC 3339 in UTC, with milliseconds."""
    return datetime.fromtimestamp(milliseconds / 1_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
