"""Deliveries, and the nodes that gather them: merges in rounds, loops in iterations (semantics, rules 3 to 12)."""

from collections.abc import Sequence

from domain.execution.events import Items
from domain.execution.state import Delivery, Execution, LoopHold, MergeHold, Ready
from domain.workflow.graph import Graph, Node
from domain.workflow.reachability import LOOP_PORT

_BACK = (LOOP_PORT,)


def deliver(state: Execution, graph: Graph, node: Node, run: int, outputs: dict[str, Items]) -> None:
    """Hand a finished run's outputs on along its connections, in the order of the document."""
    for output, target, port, back in node.links:
        items = outputs.get(output)
        if not items:
            continue
        delivery = Delivery((node.id, run, output, port), items)
        kind = graph.nodes[target].kind
        if kind == "merge":
            state.merges.setdefault(target, {}).setdefault(port, []).append(delivery)
        elif kind == "loop":
            hold = state.loops.setdefault(target, LoopHold())
            (hold.collected if back else hold.entries).append(delivery)
        else:
            enqueue(state, target, (delivery,))


def enqueue(state: Execution, node: int, deliveries: tuple[Delivery, ...]) -> None:
    run = state.runs.get(node, 0)
    state.runs[node] = run + 1
    state.run_count += 1
    state.queue.append(Ready(node, run, deliveries))


def look(state: Execution, graph: Graph) -> None:
    """After a finished run: queue every gathering node that may run; if all only wait for each other, force one."""
    if not state.merges and not state.loops:
        return
    seen = _Sight(state)
    for node in graph.gathering:
        if node.kind == "merge":
            _look_at_merge(state, graph, node, seen)
        else:
            _look_at_loop(state, graph, node, seen)
    if not state.queue and not state.effects and not state.waits and not state.children:
        _force(state, graph)


class _Sight:
    """Masks of what is alive, and of the loops whose batch is out. Queueing a gathering node leaves it alive, so the
    first holds for the whole look; a loop that is queued has no batch out any more."""

    __slots__ = ("alive", "out")

    def __init__(self, state: Execution) -> None:
        alive = out = 0
        for ready in state.queue:
            alive |= 1 << ready.node
        for node, _ in state.effects:
            alive |= 1 << node
        for node, _ in state.waits:
            alive |= 1 << node
        for node, _ in state.children:
            alive |= 1 << node
        for node in state.merges:
            alive |= 1 << node
        for node, hold in state.loops.items():
            if hold.alive():
                alive |= 1 << node
            if hold.out and not hold.queued:
                out |= 1 << node
        self.alive = alive
        self.out = out

    def can_come(self, graph: Graph, node: Node, ports: Sequence[str]) -> bool:
        """Whether something alive can reach one of these inputs (rule 9)."""
        reachability = graph.reachability
        closed = self.out & reachability.enclosing[node.index]
        return any(self.alive & reachability.reaching(node.index, port, closed) for port in ports)


def _look_at_merge(state: Execution, graph: Graph, node: Node, seen: _Sight) -> None:
    while (hold := state.merges.get(node.index)) is not None:
        missing = [port for port in node.inputs if port not in hold]
        if missing and seen.can_come(graph, node, missing):
            return
        _run_merge(state, node, hold)


def _run_merge(state: Execution, node: Node, hold: MergeHold) -> None:
    """Queue the oldest round with what it has."""
    round_ = []
    for port in node.inputs:
        deliveries = hold.get(port)
        if deliveries:
            round_.append(deliveries.pop(0))
            if not deliveries:
                del hold[port]
    if not hold:
        del state.merges[node.index]
    enqueue(state, node.index, tuple(round_))


def _look_at_loop(state: Execution, graph: Graph, node: Node, seen: _Sight) -> None:
    hold = state.loops.get(node.index)
    if hold is None or hold.queued:
        return
    if not hold.out and hold.entries:
        _run_loop(state, node, hold)
    elif (hold.out or hold.collected) and not seen.can_come(graph, node, _BACK):
        seen.out &= ~(1 << node.index)
        _run_loop(state, node, hold)


def _run_loop(state: Execution, node: Node, hold: LoopHold) -> None:
    """Queue the loop: for its next batch, or to put out what it collected."""
    if hold.current is None and hold.entries:
        hold.current = hold.entries.pop(0)
        hold.offset = 0
    hold.out = False
    hold.queued = True
    enqueue(state, node.index, ())


def next_batch(hold: LoopHold, batch_size: int) -> Items:
    """The items that the queued run of a loop puts out on `loop`; none: the iteration is at its end."""
    return hold.current.items[hold.offset : hold.offset + batch_size] if hold.current is not None else []


def loop_finished(state: Execution, node: int, batch: Items | None) -> None:
    """A loop's run put out this batch on `loop`, or (None) everything collected on `done`."""
    hold = state.loops[node]
    hold.queued = False
    if batch:
        hold.offset += len(batch)
        hold.out = True
        return
    hold.current = None
    hold.collected = []
    if not hold.entries:
        del state.loops[node]


def _force(state: Execution, graph: Graph) -> None:
    """Nothing can happen any more but here: an execution never hangs (rule 12)."""
    for node in graph.gathering:
        hold = state.merges.get(node.index)
        if hold is not None:
            _run_merge(state, node, hold)
            return
    for node in graph.gathering:
        loop = state.loops.get(node.index)
        if loop is not None and loop.alive():
            _run_loop(state, node, loop)
            return
