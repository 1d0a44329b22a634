"""Sub-workflows: runs whose work is done by executions of their own, the children (log protocol, rules 13 and 14).

A child's id is derived from its parent, node, run and item, never from an attempt: however often its start is sent, it
runs once. It tells its parent how it ended, or that it was refused; whatever ends the parent, or the run that waits,
cancels the children that are open. Commands stand in the commit that wants them, so that none is lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from domain.decision import Outcome, OutgoingCommand, rejected
from domain.execution.commands import CancelExecution, ConcludeChild, StartExecution
from domain.execution.endings import EXECUTION_STREAM, MAX_DEPTH, derived
from domain.execution.events import (
    ChildConcluded,
    ChildrenStarted,
    ErrorInfo,
    Items,
    NodeCompleted,
    Origin,
    StartedChild,
)
from domain.execution.runs import MAX_ITEMS, failed_output
from domain.execution.runs import conclude as conclude_run
from domain.execution.state import ChildEnd, ChildRun, Delivery, Execution, Ready
from domain.expressions import ExpressionError
from domain.nodes.failures import NodeFailure
from domain.nodes.node_type import MAIN, Failure, Output, SubWorkflow
from domain.nodes.origins import ORIGIN, carry, inherit, unmarked
from domain.workflow.graph import Node

if TYPE_CHECKING:
    from domain.execution.course import Course

AT_ONCE = 50
"""Children of one run that go on side by side; the next one starts when one ends."""
STARTED_AT_ONCE = 200
"""Children that nobody waits for: so many are started by one decision."""
TRIGGER_TYPE = "sub_workflow"


def start(course: Course, ready: Ready, node: Node) -> None:
    """The first children of a queued run."""
    delivery = ready.deliveries[0]
    if not _go_on(course, node, ready.run, delivery, range(_count(node, delivery)), None):
        _finish(course, node, ready.run, delivery, course.state.children.get((node.index, ready.run)))


def more(course: Course, run: ChildRun) -> None:
    """The next children of a run, or its end."""
    node = course.graph.nodes[run.node]
    if not _go_on(course, node, run.run, run.delivery, range(run.next, _count(node, run.delivery)), run):
        _finish(course, node, run.run, run.delivery, run)


def conclude(course: Course, command: ConcludeChild) -> Outcome | None:
    """A child has ended, or was refused."""
    found = course.graph.by_id.get(command.node)
    run = course.state.children.get((found.index, command.run)) if found is not None else None
    if run is None or run.open.get(command.item) != command.child:
        return rejected("not_under_way", "this child is not waited for")
    course.emit(
        ChildConcluded(
            node=command.node,
            run=command.run,
            item=command.item,
            child=command.child,
            status=command.status,
            output=unmarked(command.output),
            error=_as_seen_from_above(command),
        )
    )
    more(course, run)
    course.go_on()
    return None


def expire(course: Course, run: ChildRun) -> None:
    """The node's own time-out: what is open is cancelled, what has not begun never will."""
    node = course.graph.nodes[run.node]
    course.commands += cancellations(run)
    error = ErrorInfo(code="timeout", message=f"the sub-workflow took longer than {node.timeout_seconds:g} seconds")
    for item in [*sorted(run.open), *range(run.next, _count(node, run.delivery))]:
        child = run.open.get(item, "")
        course.emit(ChildConcluded(node=node.id, run=run.run, item=item, child=child, status="timeout", error=error))
    _finish(course, node, run.run, run.delivery, run)


def cancellations(run: ChildRun) -> list[OutgoingCommand]:
    """The commands that cancel the open children of a run."""
    return [
        OutgoingCommand(
            derived(child, "cancel"), EXECUTION_STREAM + child, CancelExecution(reason="its parent no longer waits")
        )
        for _, child in sorted(run.open.items())
    ]


def all_cancellations(state: Execution) -> list[OutgoingCommand]:
    """For an execution that ends: the commands that cancel everything it started and waits for."""
    return [command for key in sorted(state.children) for command in cancellations(state.children[key])]


def _count(node: Node, delivery: Delivery) -> int:
    assert isinstance(node.operation, SubWorkflow)
    return len(delivery.items) if node.operation.each else 1


def _go_on(
    course: Course, node: Node, run: int, delivery: Delivery, items: Iterable[int], state: ChildRun | None
) -> bool:
    """Start as many of `items` as there is room for. False: the run is over, by its last child or by a failure."""
    operation = node.operation
    assert isinstance(operation, SubWorkflow)
    fatal = node.on_error == "fail"
    if state is not None and fatal and state.failed:
        return False
    room = AT_ONCE - (len(state.open) if state is not None else 0) if operation.wait else STARTED_AT_ONCE
    children, broken = _describe(course, node, run, delivery, items, room)
    if broken and fatal:
        children = []
    if children or state is None:
        _emit_started(course, node, run, delivery, children, first=state is None)
    for item, error in broken:
        course.emit(ChildConcluded(node=node.id, run=run, item=item, child="", status="refused", error=error))
    state = course.state.children[node.index, run]
    if state.failed and fatal:
        return False
    return bool(state.open) or state.next < _count(node, delivery)


def _describe(
    course: Course, node: Node, run: int, delivery: Delivery, items: Iterable[int], room: int
) -> tuple[list[tuple[StartedChild, Items]], list[tuple[int, ErrorInfo]]]:
    """The next children with their input, as many as there is room for, and the items on the way that start none."""
    operation = node.operation
    assert isinstance(operation, SubWorkflow)
    scope = course.scope_for(node, delivery, run)
    children: list[tuple[StartedChild, Items]] = []
    broken: list[tuple[int, ErrorInfo]] = []
    for item in items:
        if len(children) >= room:
            break
        scope.json = delivery.items[item]["json"]
        scope.item_index = item
        try:
            if course.state.told.depth >= MAX_DEPTH:
                raise NodeFailure("too_deep", f"sub-workflows may be {MAX_DEPTH} deep: does one call itself for ever?")
            workflow = operation.workflow_of(scope)
            given = operation.input_of(scope, delivery.items[item : item + 1] if operation.each else delivery.items)
        except (ExpressionError, NodeFailure) as error:
            broken.append((item, ErrorInfo(code=error.code, message=error.message)))
        else:
            child = derived(course.state.id, f"child:{node.id}:{run}:{item}")
            children.append((StartedChild(item=item, execution_id=child, workflow_id=workflow), unmarked(given)))
    return children, broken


def _emit_started(
    course: Course, node: Node, run: int, delivery: Delivery, children: list[tuple[StartedChild, Items]], *, first: bool
) -> None:
    operation = node.operation
    assert isinstance(operation, SubWorkflow)
    own = node.document.timeout_seconds
    course.emit(
        ChildrenStarted(
            node=node.id,
            run=run,
            children=[child for child, _ in children],
            awaited=operation.wait,
            due=course.now + round(own * 1000) if first and own is not None and operation.wait else None,
            sources=[delivery.source] if first else [],
        )
    )
    course.commands += [_start_command(course, node, run, child, given) for child, given in children]


def _start_command(course: Course, node: Node, run: int, child: StartedChild, given: Items) -> OutgoingCommand:
    state = course.state
    assert isinstance(node.operation, SubWorkflow)
    stream = EXECUTION_STREAM + state.id
    origin = Origin(kind="parent", stream=stream, node=node.id, run=run, item=child.item)
    command = StartExecution(
        execution_id=child.execution_id,
        workflow_id=child.workflow_id,
        workflow_version=0,
        trigger_node="",
        trigger_type=TRIGGER_TYPE,
        items=given,
        queued_at=course.now,
        priority=state.priority,
        origin=origin if node.operation.wait else None,
        depth=state.told.depth + 1,
    )
    return OutgoingCommand(derived(child.execution_id, "start"), EXECUTION_STREAM + child.execution_id, command)


def _as_seen_from_above(command: ConcludeChild) -> ErrorInfo | None:
    """A child's error as its parent's: with where it happened."""
    if command.status == "completed":
        return None
    error = command.error or ErrorInfo(code=command.status, message="it did not complete")
    if command.status == "refused":
        return ErrorInfo(code=error.code, message=f"the sub-workflow did not start: {error.message}")
    code = "sub_workflow_cancelled" if command.status == "cancelled" else error.code
    place = f", node {error.node_id!r}" if error.node_id else ""
    return ErrorInfo(code=code, message=f"{error.message} (sub-workflow, execution {command.child}{place})")


def _finish(course: Course, node: Node, run: int, delivery: Delivery, state: ChildRun | None) -> None:
    """Everything is known, or enough of it: the run completes, or fails."""
    assert state is not None
    course.commands += cancellations(state)
    output = _output(node, delivery, state.settled)
    concluded = conclude_run(node, delivery.items, output)
    sources = [delivery.source]
    if isinstance(concluded, ErrorInfo):
        course.fail_run(node, run, concluded, sources)
    else:
        course.emit(NodeCompleted(node=node.id, run=run, outputs=concluded, sources=sources))


def _output(node: Node, delivery: Delivery, settled: dict[int, ChildEnd]) -> Output:
    assert isinstance(node.operation, SubWorkflow)
    items = delivery.items
    made: Items = []
    failures: list[Failure] = []
    for index in sorted(settled):
        end = settled[index]
        if end.error is not None:
            if not node.operation.each:
                return failed_output(len(items), end.error.code, end.error.message)
            failures.append(Failure(index, end.error.code, end.error.message, len(made)))
        elif node.operation.each and ORIGIN in items[index]:
            made += [inherit({**one}, items[index]) for one in end.output]
        else:
            made += end.output
    if len(made) > MAX_ITEMS:
        return failed_output(len(items), "too_many_items", f"a run may put out {MAX_ITEMS} items at most")
    ports = {MAIN: made}
    return Output(carry(ports, items) if node.traces and not node.operation.each else ports, failures)
