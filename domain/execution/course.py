"""A decision in the making: its own copy of the state, the events so far, and how an execution goes on and ends."""

from collections.abc import Sequence

from msgspec.structs import replace

from domain.decision import Decision, OutgoingCommand
from domain.effects import Compute, EffectRequest, WakeAt
from domain.execution import attempts, calls, children
from domain.execution.endings import Ending, TerminalEvent, consequences, releases
from domain.execution.events import (
    ErrorInfo,
    ExecutionCompleted,
    ExecutionEvent,
    ExecutionFailed,
    ExecutionParked,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionTimedOut,
    Items,
    LogLine,
    NodeCancelled,
    NodeCompleted,
    NodeFailed,
    NodeWaiting,
    ResponseGiven,
    Source,
)
from domain.execution.evolution import apply
from domain.execution.gathering import next_batch
from domain.execution.links import NO_LINKS, Links
from domain.execution.repeating import repetition
from domain.execution.retrying import hold_pure_run
from domain.execution.runs import conclude, cost_of, items_of, perform, scope_of
from domain.execution.state import RUNNING, WAITING, Delivery, Execution, Ready, Waiting
from domain.expressions import ExpressionError, Scope
from domain.expressions.errors import LIMIT
from domain.expressions.limits import STEPS
from domain.nodes.failures import NodeFailure
from domain.nodes.node_type import Loop, Output, Wait
from domain.nodes.origins import stamped, unmarked
from domain.workflow.graph import Graph, Node

HEAVY = 1_000
"""A pure run that costs more evaluated expressions than this is computed in the pool."""

RUNS_PER_DECISION = 200
COST_PER_DECISION = 4_000
"""What one decision does before it lets others go on; it comes back at once."""

INLINE_STEPS = 5_000
"""Steps of one expression evaluated inline; one that needs more is computed in the pool, with the full budget."""

MAX_RUNS = 100_000
"""Runs of one execution: what loops for ever, ends."""

SHORT_WAIT_MS = 5_000
"""Waits up to this long are woken by the owner's own timer, not by a tick."""


_SILENT: list[LogLine] = []


class Course:
    """Decides by doing: every event is applied to `state` at once. `now`: owner's time, `clock`: wall clock, in ms."""

    def __init__(self, state: Execution, graph: Graph, now: int, clock: int, links: Links = NO_LINKS) -> None:
        self.state = state
        self.graph = graph
        self.now = now
        self.clock = clock
        self.links = links
        self.events: list[ExecutionEvent] = []
        self.effects: list[EffectRequest] = []
        self.commands: list[OutgoingCommand] = []
        self._scope: Scope | None = None

    @property
    def scope(self) -> Scope:
        if self._scope is None:
            self._scope = scope_of(self.state, self.graph, self.clock, INLINE_STEPS)
        if self.graph.called:  # the addresses are those of the next runs, which may have changed
            facts = calls.resume_facts(self.state, self.graph, self.links, self.now)
            self._scope.execution = {**self._scope.execution, **facts}
        return self._scope

    def emit(self, event: ExecutionEvent) -> None:
        if self.graph.follows and isinstance(event, NodeCompleted) and self.graph.by_id[event.node].followed:
            event = replace(event, outputs=stamped(event.node, event.run, event.outputs))
        self.events.append(event)
        apply(self.state, event, self.graph)

    def decision(self) -> Decision:
        return Decision(self.events, self.state, effects=self.effects, commands=self.commands)

    # how it begins, goes on and ends

    def begin(self, taken: Sequence[NodeCompleted] = ()) -> None:
        """Start a queued execution: its trigger hands its items on, or the runs that are taken over (the trigger's is
        the first) lead to where another one failed."""
        timeout = round(self.graph.document.settings.timeout_seconds * 1000)
        items = self.state.items or []
        if self.graph.follows:
            items = unmarked(items)
        self.emit(ExecutionStarted(started_at=self.now, deadline=self.now + timeout))
        for run in taken:
            self.emit(run)
        if not taken:
            self.emit(NodeCompleted(node=self.state.trigger_node, run=0, outputs={"main": items} if items else {}))
        self.go_on()

    def go_on(self) -> None:
        """Work off the queue as far as it goes now, then end the execution or park it if there is nothing else."""
        self._work_off()
        state = self.state
        if state.closed or state.queue:
            return
        if not state.effects and not state.waits and not state.children:
            self.end(ExecutionCompleted(output=self._output(), at=self.now))
        elif state.status == RUNNING and state.idle:
            self.emit(ExecutionParked(at=self.now))

    def unpark(self) -> None:
        """What follows runs: the time-out goes on."""
        state = self.state
        if state.status == WAITING:
            parked = self.now - state.parked_at if state.parked_at is not None else 0
            deadline = state.deadline + max(0, parked) if state.deadline is not None else None
            self.emit(ExecutionResumed(at=self.now, deadline=deadline))

    def fail(self, error: ErrorInfo) -> None:
        self.cancel_rest()
        self.end(ExecutionFailed(error=error, at=self.now))

    def time_out(self) -> None:
        seconds = self.graph.document.settings.timeout_seconds
        error = ErrorInfo(code="timeout", message=f"the execution took longer than its {seconds:g} seconds")
        self.cancel_rest()
        self.end(ExecutionTimedOut(at=self.now, error=error))

    def end(self, event: TerminalEvent) -> None:
        """The last event but late results, and what it sets going elsewhere."""
        self.commands += after_end(self.state, self.graph, event, self.now, self.links)
        self.emit(event)

    def cancel_rest(self) -> None:
        """Every run that is under way, parked or queued ends here, and so do the executions that it waits for."""
        state, nodes = self.state, self.graph.nodes
        self.commands += children.all_cancellations(state)
        open_runs = [*sorted(state.effects), *sorted(state.waits), *sorted(state.children)]
        keys = [*open_runs, *((ready.node, ready.run) for ready in state.queue)]
        for node, run in keys:
            self.emit(NodeCancelled(node=nodes[node].id, run=run))

    def _output(self) -> Items:
        """What the last finished run put out, all ports in declared order."""
        if self.state.last is None:
            return []
        node, outputs = self.state.last
        lists = [items for port in self.graph.nodes[node].outputs if (items := outputs.get(port))]
        return lists[0] if len(lists) == 1 else [item for items in lists for item in items]

    # the queue

    def _work_off(self) -> None:
        """First in, first out. What computes waits for the pure run before it; effects and waits start beside it."""
        state, nodes = self.state, self.graph.nodes
        queue = state.queue
        runs = cost = position = 0
        blocked = False
        while position < len(queue):
            ready = queue[position]
            node = nodes[ready.node]
            if runs >= RUNS_PER_DECISION or cost >= COST_PER_DECISION:
                if not blocked or state.computing is None:
                    self.effects.append(WakeAt(execution_id=state.id, due=self.now))
                return
            if state.run_count > MAX_RUNS:
                self.fail(ErrorInfo(code="too_many_runs", message=f"more than {MAX_RUNS} node runs: an endless loop?"))
                return
            if node.kind in {"effect", "wait", "sub_workflow"} and not node.disabled and self._prepared(node, ready):
                runs += 1
                cost += len(ready.deliveries[0].items)
                if node.kind == "wait":
                    self._wait(ready, node)
                elif node.kind == "sub_workflow":
                    children.start(self, ready, node)
                else:
                    attempts.start(self, ready, node)
            elif blocked:
                position += 1
            elif (spent := self._compute(ready, node)) is None:
                blocked = True
                position += 1
            else:
                runs += 1
                cost += spent

    def _compute(self, ready: Ready, node: Node) -> int | None:
        """A pure run, or a disabled node's: what it cost. None: it is done in the compute pool."""
        deliveries = ready.deliveries
        held = self.state.held
        if held is not None and held[:2] == (ready.node, ready.run) and held.due > self.now:
            return None
        if node.kind == "loop":
            return self._loop(ready, node)
        if node.disabled:
            self.complete(node, ready, {node.operation.outputs[0]: deliveries[0].items})
            return 1
        cost = cost_of(node, deliveries)
        if cost <= HEAVY and not node.sandboxed and self.state.computing != (ready.node, ready.run):
            scope = self.scope
            scope.step_limit = INLINE_STEPS
            output = perform(node, deliveries, ready.run, scope)
            if not _over_the_limit(output):
                self.conclude(node, ready, output)
                return cost
        if self.state.computing != (ready.node, ready.run):
            self.state.computing = (ready.node, ready.run)
            limit = node.document.timeout_seconds
            most = attempts.START_WITHIN_MS + round((limit or 0) * 1000) + attempts.GRACE_MS
            self.state.computing_until = None if limit is None else self.now + most
            self.effects.append(Compute(execution_id=self.state.id, node=node.id, run=ready.run))
        return None

    def _prepared(self, node: Node, ready: Ready) -> bool:
        """Whether a run with effects, or a wait, needs nothing of the sandbox (any more)."""
        return not node.foreign or (ready.node, ready.run) in self.state.prepared

    def _loop(self, ready: Ready, node: Node) -> int:
        assert isinstance(node.operation, Loop)
        hold = self.state.loops[node.index]
        batch = next_batch(hold, node.operation.batch_size)
        if batch:
            assert hold.current is not None
            self._completed(node, ready.run, {"loop": batch}, [hold.current.source])
        else:
            done = items_of(tuple(hold.collected))
            sources = [delivery.source for delivery in hold.collected]
            self._completed(node, ready.run, {"done": done} if done else {}, sources)
        return 1

    def conclude(self, node: Node, ready: Ready, output: Output) -> None:
        """Record what a pure run put out, or that it failed, unless it is done again."""
        if output.failures and hold_pure_run(self, node, ready, output):
            return
        if output.response is not None and not self.state.responded and not output.failures:
            given = output.response
            self.emit(ResponseGiven(node=node.id, status=given.status, headers=given.headers, body=given.body))
        concluded = conclude(node, items_of(ready.deliveries), output)
        sources = [delivery.source for delivery in ready.deliveries]
        if isinstance(concluded, dict):
            self._completed(node, ready.run, concluded, sources, output.logs)
        else:
            self.fail_run(node, ready.run, concluded, sources, logs=output.logs)

    def complete(self, node: Node, ready: Ready, outputs: dict[str, Items]) -> None:
        self._completed(node, ready.run, outputs, [delivery.source for delivery in ready.deliveries])

    def _completed(
        self, node: Node, run: int, outputs: dict[str, Items], sources: list[Source], logs: list[LogLine] = _SILENT
    ) -> None:
        self.emit(NodeCompleted(node=node.id, run=run, outputs=outputs, sources=sources, logs=logs))

    def fail_run(
        self,
        node: Node,
        run: int,
        error: ErrorInfo,
        sources: list[Source],
        attempts: int = 0,
        logs: list[LogLine] = _SILENT,
    ) -> None:
        """A run failed and nothing catches it: the execution ends."""
        self.emit(NodeFailed(node=node.id, run=run, error=error, sources=sources, attempts=attempts, logs=logs))
        self.fail(error)

    # waits

    def _wait(self, ready: Ready, node: Node) -> None:
        operation = node.operation
        assert isinstance(operation, Wait)
        delivery = ready.deliveries[0]
        scope = self.scope_for(node, delivery, ready.run)
        scope.item_index, scope.json = 0, delivery.items[0]["json"]
        call = None
        try:
            due = operation.due(scope, self.now)
            if operation.call is not None:
                call = calls.awaited(operation.call, scope)
        except (ExpressionError, NodeFailure) as error:
            failures = [attempts.failure(index, error) for index in range(len(delivery.items))]
            self.conclude(node, ready, Output({}, failures))
            return
        if due <= self.now and call is None:
            self.complete(node, ready, {"main": delivery.items})
            return
        sources = [delivery.source]
        self.emit(NodeWaiting(node=node.id, run=ready.run, due=due, items=delivery.items, sources=sources, call=call))
        self.wake_at(due)

    def scope_for(self, node: Node, delivery: Delivery, run: int) -> Scope:
        """The scope to evaluate in for an effect or a wait, whose expressions have no second chance in the pool."""
        scope = self.scope
        scope.step_limit = STEPS
        scope.items = delivery.items
        scope.run_index = run
        scope.foreign = self.state.prepared.get((node.index, run)) if node.foreign else None
        return scope

    def wake(self, waiting: Waiting) -> None:
        """A wait's time is over."""
        operation = self.graph.nodes[waiting.node].operation
        assert isinstance(operation, Wait)
        items = {"main": waiting.delivery.items}
        outputs = items if operation.call is None else calls.out_of_time(operation.call, waiting, self.now)
        self.complete_wait(waiting, outputs)

    def complete_wait(self, waiting: Waiting, outputs: dict[str, Items]) -> None:
        node = self.graph.nodes[waiting.node]
        self._completed(node, waiting.run, outputs, [waiting.delivery.source])

    def wake_at(self, due: int) -> None:
        if due - self.now <= SHORT_WAIT_MS:
            self.effects.append(WakeAt(execution_id=self.state.id, due=due))


def after_end(state: Execution, graph: Graph, event: TerminalEvent, now: int, links: Links) -> list[OutgoingCommand]:
    """What is sent when `event` ends `state`: the start of its repetition, or else word to others."""
    told = state.told
    if told.origin is None and not told.slots and isinstance(event, ExecutionCompleted):
        return []  # as most executions end
    repeat = repetition(state, graph, event, now)
    if repeat is not None:
        return [repeat, *releases(state.id, told)]
    return consequences(ending_of(state, graph), event, links)


def ending_of(state: Execution, graph: Graph) -> Ending:
    """An open execution as it is told of when it ends."""
    return Ending(
        execution_id=state.id,
        workflow_id=state.workflow_id,
        workflow_version=state.workflow_version,
        workflow_name=graph.document.name,
        trigger_type=state.trigger_type,
        priority=state.priority,
        queued_at=state.queued_at,
        told=state.told,
        last_node=graph.nodes[state.last[0]].id if state.last is not None else None,
    )


def _over_the_limit(output: Output) -> bool:
    return bool(output.failures) and any(failure.code == LIMIT for failure in output.failures)
