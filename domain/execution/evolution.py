"""How events change the state of an execution. A function of state, event and graph, and of nothing else."""

from collections.abc import Iterable
from typing import assert_never

from domain.effects import EffectError, ItemResult
from domain.errors import ImpossibleHistory
from domain.execution.events import (
    AttemptConcluded,
    ChildConcluded,
    ChildrenStarted,
    ExecutionCancelled,
    ExecutionCompleted,
    ExecutionEvent,
    ExecutionFailed,
    ExecutionParked,
    ExecutionQueued,
    ExecutionRecovered,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionTimedOut,
    NodeAttempted,
    NodeCancelled,
    NodeCompleted,
    NodeFailed,
    NodeOutcomeUnknown,
    NodePrepared,
    NodeWaiting,
    ResponseGiven,
    RetryScheduled,
    SlotGranted,
    SlotsAsked,
    VerdictGiven,
)
from domain.execution.gathering import deliver, look, loop_finished
from domain.execution.state import (
    CANCELLED,
    COMPLETED,
    FAILED,
    RUNNING,
    TIMEOUT,
    WAITING,
    ChildEnd,
    ChildRun,
    Delivery,
    EffectRun,
    Execution,
    Held,
    Ready,
    RunKey,
    Waiting,
)
from domain.workflow.graph import Graph, Node

OUTCOME_UNKNOWN = EffectError(
    code="outcome_unknown", message="nobody knows whether it happened: it was sent, no answer came", retriable=False
)


def evolve(state: Execution | None, event: ExecutionEvent, graph: Graph, *, execution_id: str) -> Execution:
    """The state after one event; the given state stays as it is. Raises ImpossibleHistory."""
    return fold(state, (event,), graph, execution_id=execution_id)


def fold(state: Execution | None, events: Iterable[ExecutionEvent], graph: Graph, *, execution_id: str) -> Execution:
    """The state after some events; the given state stays as it is. Raises ImpossibleHistory."""
    own = Execution(execution_id) if state is None else state.copy()
    for event in events:
        apply(own, event, graph)
    return own


def apply(state: Execution, event: ExecutionEvent, graph: Graph) -> None:
    """Change a state that is the caller's own. Raises ImpossibleHistory for what no decider could have written."""
    match event:
        case NodeCompleted():
            _node_completed(state, event, graph)
        case NodeAttempted():
            _node_attempted(state, event, graph)
        case ExecutionQueued():
            _queued(state, event)
        case ExecutionStarted() | ExecutionParked() | ExecutionResumed() | ExecutionRecovered():
            _moved(state, event)
        case SlotsAsked():
            state.begin_at = None
        case SlotGranted():
            state.granted += 1
        case ExecutionCompleted():
            _close(state, COMPLETED)
        case ResponseGiven():
            state.responded = True
        case VerdictGiven():
            pass  # what follows from it are events of their own
        case AttemptConcluded():
            _attempt_concluded(state, event, graph)
        case RetryScheduled():
            _retry_scheduled(state, event, graph)
        case NodeOutcomeUnknown():
            _outcome_unknown(state, event, graph)
        case NodeWaiting():
            _node_waiting(state, event, graph)
        case ChildrenStarted():
            _children_started(state, event, graph)
        case ChildConcluded():
            _child_concluded(state, event, graph)
        case NodePrepared():
            state.prepared[_node(graph, event.node).index, event.run] = event.values
            state.computing = state.computing_until = None
        case NodeFailed():
            _finished(state, graph, _node(graph, event.node), event.run)
        case NodeCancelled():
            _node_cancelled(state, event, graph)
        case ExecutionFailed():
            _close(state, FAILED)
        case ExecutionCancelled():
            _close(state, CANCELLED)
        case ExecutionTimedOut():
            _close(state, TIMEOUT)
        case _:
            assert_never(event)


def _moved(state: Execution, event: ExecutionStarted | ExecutionParked | ExecutionResumed | ExecutionRecovered) -> None:
    match event:
        case ExecutionStarted():
            state.status = RUNNING
            state.started_at = event.started_at
            state.deadline = event.deadline
        case ExecutionParked():
            state.status = WAITING
            state.parked_at = event.at
        case ExecutionResumed():
            state.status = RUNNING
            state.parked_at = None
            state.deadline = event.deadline
        case ExecutionRecovered():
            state.recoveries, state.setbacks = event.count, event.in_a_row


def _node(graph: Graph, node: str) -> Node:
    found = graph.by_id.get(node)
    if found is None:
        raise ImpossibleHistory(f"an event names node {node!r}, which the workflow version does not have")
    return found


def _node_waiting(state: Execution, event: NodeWaiting, graph: Graph) -> None:
    node = _node(graph, event.node)
    ready = _taken(state, (node.index, event.run))
    state.waits[node.index, event.run] = Waiting(node.index, event.run, event.due, ready.deliveries[0])


def _queued(state: Execution, event: ExecutionQueued) -> None:
    state.workflow_id = event.workflow_id
    state.workflow_version = event.workflow_version
    state.trigger_node = event.trigger_node
    state.trigger_type = event.trigger_type
    state.items = event.items
    state.queued_at = event.queued_at
    state.priority = event.priority
    state.fingerprint = event.fingerprint
    state.reply = event.reply
    state.told = event.told
    state.retry_count = event.retry_count
    state.begin_at = event.begin_at
    state.variables = event.variables


def _taken(state: Execution, key: RunKey) -> Ready:
    """Take a run out of the queue."""
    queue = state.queue
    for position, ready in enumerate(queue):
        if ready.node == key[0] and ready.run == key[1]:
            if position:
                del queue[position]
            else:
                queue.popleft()
            if state.computing == key:
                state.computing = state.computing_until = None
            if state.held is not None and state.held[:2] == key:
                state.held = None
            return ready
    raise ImpossibleHistory(f"run {key[1]} of node number {key[0]} is not in the queue")


def _finished(state: Execution, graph: Graph, node: Node, run: int) -> None:
    """A run that was queued, under way or parked is no more."""
    key = (node.index, run)
    if state.prepared:
        state.prepared.pop(key, None)
    if node.kind == "trigger":
        if state.retry_count + 1 >= graph.document.settings.retries.attempts:
            state.items = None
        state.runs[node.index] = 1
        state.run_count += 1
    elif (
        state.effects.pop(key, None) is None
        and state.waits.pop(key, None) is None
        and state.children.pop(key, None) is None
    ):
        _taken(state, key)


def _node_completed(state: Execution, event: NodeCompleted, graph: Graph) -> None:
    node = _node(graph, event.node)
    outputs = event.outputs
    _finished(state, graph, node, event.run)
    state.setbacks = 0
    state.last = (node.index, outputs)
    if node.referenced:
        state.outputs[node.index] = outputs
    if node.followed:
        state.traced[node.index, event.run] = outputs
    if node.kind == "loop":
        loop_finished(state, node.index, outputs.get("loop"))
    deliver(state, graph, node, event.run, outputs)
    if graph.gathering:
        look(state, graph)


def _node_attempted(state: Execution, event: NodeAttempted, graph: Graph) -> None:
    node = _node(graph, event.node)
    key = (node.index, event.run)
    run = state.effects.get(key)
    if run is None:
        run = EffectRun(node.index, node.id, event.run, _taken(state, key).deliveries[0])
        state.effects[key] = run
    run.attempt = event.attempt
    run.effect_class = event.effect_class
    run.in_flight = event.indexes
    run.start_by = event.start_by
    run.unknown_after = event.unknown_after
    run.retry = _without(run.retry, event.indexes)
    run.asked = _without(run.asked, event.indexes)


def _run(state: Execution, graph: Graph, node: str, run: int) -> EffectRun:
    found = state.effects.get((_node(graph, node).index, run))
    if found is None:
        raise ImpossibleHistory(f"run {run} of node {node!r} is not under way")
    return found


def _without(indexes: list[int], taken: Iterable[int]) -> list[int]:
    if not indexes:
        return indexes
    out = set(taken)
    return [index for index in indexes if index not in out]


def _attempt_concluded(state: Execution, event: AttemptConcluded, graph: Graph) -> None:
    if event.late:
        key = (_node(graph, event.node).index, event.run)
        run = state.effects.get(key)
        if run is not None and state.closed and run.attempt == event.attempt:
            del state.effects[key]
        return
    run = _run(state, graph, event.node, event.run)
    run.settled.update((result.index, result) for result in event.results)
    if any(result.error is None for result in event.results):
        state.setbacks = 0
    run.in_flight = _without(run.in_flight, run.settled)
    run.retry = _without(run.retry, run.settled)
    run.asked = _without(run.asked, run.settled)


def _retry_scheduled(state: Execution, event: RetryScheduled, graph: Graph) -> None:
    node = _node(graph, event.node)
    if (node.index, event.run) not in state.effects:
        _hold(state, node.index, event)
        return
    run = _run(state, graph, event.node, event.run)
    for index in event.indexes:
        run.settled.pop(index, None)
    run.in_flight = _without(run.in_flight, event.indexes)
    run.asked = _without(run.asked, event.indexes)
    run.retry = sorted({*run.retry, *event.indexes})
    run.retry_due = event.due
    run.retries += not event.system


def _hold(state: Execution, node: int, event: RetryScheduled) -> None:
    """A run without effects failed: it keeps its place in the queue."""
    key = (node, event.run)
    if not any((ready.node, ready.run) == key for ready in state.queue):
        raise ImpossibleHistory(f"run {event.run} of node {event.node!r} is not in the queue")
    retries = state.held.retries if state.held is not None and state.held[:2] == key else 0
    state.held = Held(*key, retries + (not event.system), event.due)
    if state.computing == key:
        state.computing = state.computing_until = None


def _outcome_unknown(state: Execution, event: NodeOutcomeUnknown, graph: Graph) -> None:
    run = _run(state, graph, event.node, event.run)
    run.in_flight = _without(run.in_flight, event.indexes)
    if event.asked:
        run.asked = sorted({*run.asked, *event.indexes})
    else:
        run.settled.update((index, ItemResult(index=index, error=OUTCOME_UNKNOWN)) for index in event.indexes)


def _children_started(state: Execution, event: ChildrenStarted, graph: Graph) -> None:
    key = (_node(graph, event.node).index, event.run)
    run = state.children.get(key)
    if run is None:
        run = state.children[key] = ChildRun(*key, _taken(state, key).deliveries[0])
        run.awaited = event.awaited
        run.due = event.due
    for child in event.children:
        run.next = max(run.next, child.item + 1)
        if event.awaited:
            run.open[child.item] = child.execution_id
        else:
            started = {"execution_id": child.execution_id, "workflow_id": child.workflow_id}
            run.settled[child.item] = ChildEnd([{"json": started}], None)


def _child_concluded(state: Execution, event: ChildConcluded, graph: Graph) -> None:
    run = state.children.get((_node(graph, event.node).index, event.run))
    if run is None:
        raise ImpossibleHistory(f"run {event.run} of node {event.node!r} has no children")
    run.open.pop(event.item, None)
    run.next = max(run.next, event.item + 1)
    run.settled[event.item] = ChildEnd(event.output, event.error)


_NOTHING = Delivery(("", 0, "", ""), [])


def _abandon(run: EffectRun) -> None:
    """Keep only what is needed to recognise a result that comes too late."""
    run.delivery = _NOTHING
    run.settled = {}
    run.retry = []
    run.asked = []


def _node_cancelled(state: Execution, event: NodeCancelled, graph: Graph) -> None:
    node = _node(graph, event.node)
    run = state.effects.get((node.index, event.run))
    if run is not None and run.in_flight:
        _abandon(run)
    else:
        _finished(state, graph, node, event.run)


def _close(state: Execution, status: str) -> None:
    state.status = status
    state.items = None
    state.last = None
    state.parked_at = None
    state.computing = state.computing_until = None
    state.held = None
    state.queue.clear()
    state.runs = {}
    state.waits = {}
    state.children = {}
    state.merges = {}
    state.loops = {}
    state.outputs = {}
    state.traced = {}
    state.prepared = {}
    if state.effects:
        state.effects = {key: run for key, run in state.effects.items() if run.in_flight}
        for run in state.effects.values():
            _abandon(run)
