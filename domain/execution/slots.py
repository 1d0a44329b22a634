"""Places under limits that an execution must have before it begins: asked for in turn, given back at its end.

Each is asked for in the order in which it stands in ExecutionQueued (the same for all executions of a workspace: first
those of the workflow, then the workspace's), so that two executions never wait for each other.
"""

from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_OID, uuid5

from msgspec.structs import replace

from domain.decision import DUPLICATE, Decision, Outcome, OutgoingCommand, rejected
from domain.execution.commands import GrantSlot, RefuseSlot
from domain.execution.endings import derived, release
from domain.execution.events import ErrorInfo, ExecutionCancelled, ExecutionQueued, Slot, SlotGranted, SlotsAsked
from domain.execution.evolution import fold
from domain.execution.runs import scope_of
from domain.execution.state import QUEUED, Execution
from domain.expressions import ExpressionError, to_text
from domain.expressions.limits import STEPS
from domain.limit.commands import RequestSlot

if TYPE_CHECKING:
    from domain.execution.course import Course

MAX_KEY = 200


def stream_of(workspace: str, name: str) -> str:
    """The limit `name` of a workspace."""
    return f"limit-{uuid5(NAMESPACE_OID, f'{workspace} {name}')}"


def take_up(course: "Course", queued: ExecutionQueued, workspace: str, concurrent: int | None) -> bool:
    """Record a start with the places that it needs and ask for the first. False: its key cannot be told, it failed."""
    try:
        needed = _needed(course, queued, workspace, concurrent)
    except ExpressionError as error:
        course.emit(queued)
        course.fail(ErrorInfo(code=error.code, message=f"settings.concurrency.key: {error.message}"))
        return False
    course.emit(replace(queued, slots=needed))
    if queued.begin_at is None or queued.begin_at <= course.now:
        ask(course)
    return True


def _needed(course: "Course", queued: ExecutionQueued, workspace: str, concurrent: int | None) -> list[Slot]:
    """`concurrent`: how many executions of the workspace may go on side by side. One that another one waits for rides
    on its place. Raises ExpressionError."""
    graph = course.graph
    state = fold(None, (queued,), graph, execution_id=course.state.id)
    slots = []
    settings = graph.document.settings.concurrency
    if settings is not None:
        key = ""
        if graph.concurrency_key is not None:
            scope = scope_of(state, graph, course.clock, STEPS)
            scope.item_index = 0
            scope.items = state.items or []
            scope.json = scope.items[0]["json"] if scope.items else {}
            key = to_text(graph.concurrency_key.evaluate_json(scope))[:MAX_KEY]
        stream = stream_of(workspace, f"workflow {state.workflow_id}")
        slots.append(Slot(stream, key, settings.limit, settings.when_full))
    if concurrent is not None and (state.told.origin is None or state.told.origin.kind != "parent"):
        slots.append(Slot(stream_of(workspace, "workspace"), "", concurrent))
    return slots


def wanted(state: Execution) -> Slot | None:
    """The place that has to be given next before a queued execution may begin."""
    if state.status != QUEUED or state.granted >= len(state.told.slots):
        return None
    return state.told.slots[state.granted]


def ready(course: "Course") -> bool:
    """Whether a queued execution may begin: its time has come and it has its places."""
    state = course.state
    its_time = state.begin_at is None or state.begin_at <= course.now
    return state.status == QUEUED and its_time and wanted(state) is None


def ask_now(course: "Course") -> None:
    """Its time has come: it asks for its places, which it would only have kept from others before."""
    course.emit(SlotsAsked())
    ask(course)


def ask(course: "Course") -> None:
    """Ask for the place that is wanted next."""
    state = course.state
    slot = wanted(state)
    if slot is not None:
        name = derived(state.id, f"request {slot.stream} {slot.key}")
        request = RequestSlot(state.id, slot.key, slot.size, state.priority, slot.when_full)
        course.commands.append(OutgoingCommand(name, slot.stream, request))


def not_open(command: GrantSlot | RefuseSlot, execution_id: str, state: Any) -> Decision:
    """The execution has ended, or never was: what it is given goes back, so that nothing leaks."""
    back = [release(execution_id, command.stream, command.key)] if isinstance(command, GrantSlot) else []
    return Decision([], state, rejected("execution_closed", "the execution is not open any more"), commands=back)


def granted(course: "Course", command: GrantSlot, *, begin: bool) -> Outcome | None:
    """A place is given: the next one is asked for, or the execution begins."""
    state = course.state
    slot = wanted(state)
    if slot is None or (slot.stream, slot.key) != (command.stream, command.key):
        known = any(
            (each.stream, each.key) == (command.stream, command.key) for each in state.told.slots[: state.granted]
        )
        return DUPLICATE if known else rejected("not_asked", "this place was not asked for")
    course.emit(SlotGranted(stream=command.stream, key=command.key))
    if wanted(state) is not None:
        ask(course)
    elif begin and ready(course):
        course.begin()
    return None


def denied(course: "Course", command: RefuseSlot) -> Outcome | None:
    """All places are taken and the workflow says not to wait: the execution ends before it begins."""
    slot = wanted(course.state)
    if slot is None or (slot.stream, slot.key) != (command.stream, command.key):
        return rejected("not_asked", "this place was not asked for")
    under = f" under the key {slot.key!r}" if slot.key else ""
    course.end(ExecutionCancelled(at=course.now, reason=f"{slot.size} executions{under} go on already: skipped"))
    return None
