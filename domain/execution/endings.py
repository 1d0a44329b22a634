"""What the end of an execution sets going in other streams: commands that stand in the commit that ends it (rule 13).

Who asked for the execution and named itself as its origin is told, also when the start was refused. Ids are derived
from the execution, so that the same end told twice is told once.
"""

from collections.abc import Callable, Sequence
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
)
from domain.execution.state import CANCELLED, COMPLETED, FAILED, TIMEOUT

TerminalEvent = ExecutionCompleted | ExecutionFailed | ExecutionCancelled | ExecutionTimedOut
EndStatus = Literal["completed", "failed", "cancelled", "timeout", "refused"]

EXECUTION_STREAM = "execution-"


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


_TELL: dict[str, Callable[[Origin, End], Any]] = {"parent": _to_parent}
"""By kind of origin, the command that tells it. A kind without a line here wants to know nothing."""


def tell(origin: Origin | None, end: End) -> list[OutgoingCommand]:
    """The command that tells an execution's origin how it ended."""
    said = _TELL.get(origin.kind) if origin is not None else None
    if said is None or origin is None:
        return []
    return [OutgoingCommand(derived(end.execution_id, "ended"), origin.stream, said(origin, end))]


def refused(command: StartExecution, execution_id: str, state: Any, outcome: Outcome, now: int) -> Decision:
    """A start that is refused for good: nothing is recorded but the answer, and its origin is told."""
    error = ErrorInfo(code=outcome.code, message=outcome.message)
    end = End(execution_id, "refused", now, [], error)
    return Decision([], state, outcome, commands=tell(command.origin, end))


def consequences(origin: Origin | None, execution_id: str, events: Sequence[Any]) -> list[OutgoingCommand]:
    """What is told when one of `events` ends the execution."""
    for event in events:
        if isinstance(event, TerminalEvent):
            return tell(origin, end_of(execution_id, event))
    return []
