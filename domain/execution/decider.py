"""The decider of executions: what a command means in a state. Pure; `evolve` and `fold` change states by events.

    decision = decide(StartExecution(…), None, graph, execution_id=…, now=…, clock=…)

`now` is the owner's time in ms, `clock` the wall clock in ms, for `$now` only. A decision's state is what folding its
events over the given state gives.
"""

from collections.abc import Mapping
from typing import Any, Final, assert_never

from domain.decision import DUPLICATE, Decision, Outcome, rejected
from domain.effects import ItemResult
from domain.execution import attempts, calls, children, slots
from domain.execution.commands import (
    AttemptNotStarted,
    Begin,
    CancelExecution,
    ConcludeAttempt,
    ConcludeChild,
    ConcludeCompute,
    ExecutionCommand,
    GiveVerdict,
    GrantSlot,
    PassTime,
    RefuseSlot,
    Resume,
    ResumeWait,
    StartExecution,
)
from domain.execution.compute import compute_job, compute_run
from domain.execution.course import Course
from domain.execution.endings import refused
from domain.execution.events import (
    AttemptConcluded,
    ExecutionCancelled,
    ExecutionQueued,
    NodePrepared,
    VerdictGiven,
)
from domain.execution.evolution import evolve, fold
from domain.execution.links import NO_LINKS, Links
from domain.execution.resuming import DoesNotFit, check_fit, taken_over
from domain.execution.retrying import INTERRUPTED, recover, resume_wait
from domain.execution.runs import failed_output, items_of, perform
from domain.execution.scripts import foreign_values, script_call
from domain.execution.snapshots import restore, snapshot
from domain.execution.state import QUEUED, RUNNING, WAITING, EffectRun, Execution, Ready
from domain.nodes.failures import NodeFailure
from domain.nodes.node_type import Effects, Output
from domain.scripts import read_answer
from domain.workflow.graph import Graph, Node
from domain.workflow.variables import NO_NAMES, seen

NO_VARIABLES: Final[Mapping[str, Any]] = {}

__all__ = ["Execution", "compute_job", "compute_run", "decide", "evolve", "fold", "restore", "script_call", "snapshot"]


def decide(
    command: ExecutionCommand,
    state: Execution | None,
    graph: Graph | None,
    *,
    execution_id: str,
    now: int,
    clock: int,
    begin: bool = True,
    version: int = 0,
    links: Links = NO_LINKS,
    workspace: str = "",
    concurrent: int | None = None,
    variables: Mapping[str, Any] = NO_VARIABLES,
) -> Decision:
    """Decide one command. `begin=False`: a start is only queued, Begin follows when its turn comes. `version`: what
    `graph` is a version of, for a start that names none. `links`: makes addresses. `concurrent`: how many executions of
    `workspace` may go on side by side. `variables`: those of the workspace, now, that `graph` may ask for."""
    if isinstance(command, StartExecution):
        return _start(
            command, state, graph, execution_id, now, clock, begin, version, links, workspace, concurrent, variables
        )
    if isinstance(command, GrantSlot | RefuseSlot) and (state is None or state.closed):
        return slots.not_open(command, execution_id, state)
    if state is None:
        return Decision([], None, rejected("unknown_execution", "there is no such execution"))
    if graph is None:
        return Decision([], state, rejected("unknown_workflow_version", "the workflow version was not found"))
    course = Course(state.copy(), graph, now, clock, links)
    outcome = _decide(command, course, begin)
    if outcome is not None:
        return Decision([], state, outcome)
    return course.decision()


def _start(
    command: StartExecution,
    state: Execution | None,
    graph: Graph | None,
    execution_id: str,
    now: int,
    clock: int,
    begin: bool,
    version: int,
    links: Links,
    workspace: str,
    concurrent: int | None,
    variables: Mapping[str, Any],
) -> Decision:
    if state is not None:
        if state.fingerprint == command.fingerprint:
            return Decision([], state, DUPLICATE)
        return Decision([], state, rejected("idempotency_mismatch", "this id was used for another request"))
    wrong = _wrong_with_start(command, graph)
    if wrong is not None:
        return refused(command, execution_id, None, wrong, now)
    assert graph is not None
    trigger = _trigger(command, graph)
    assert trigger is not None
    course = Course(Execution(execution_id), graph, now, clock, links)
    queued = ExecutionQueued(
        workflow_id=command.workflow_id,
        workflow_version=version or command.workflow_version,
        trigger_node=trigger.id,
        trigger_type=command.trigger_type,
        items=command.items,
        queued_at=command.queued_at,
        priority=command.priority or graph.document.settings.priority,
        fingerprint=command.fingerprint,
        reply=command.reply,
        retry_of=command.retry_of,
        origin=command.origin,
        depth=command.depth,
        error_workflow=graph.document.settings.error_workflow,
        retry_count=command.retry_count,
        begin_at=command.begin_at,
        first=command.first,
        variables=_seen(command, graph, variables),
    )
    if command.taken_runs:
        try:
            check_fit(execution_id, graph, command.trigger_node, command.taken_runs)
        except DoesNotFit as error:
            return Decision([], None, rejected("version_does_not_fit", str(error)))
        course.emit(queued)
        course.begin(taken_over(command.taken_runs))
        return course.decision()
    if graph.document.settings.concurrency is None and concurrent is None:
        course.emit(queued)
    elif not slots.take_up(course, queued, workspace, concurrent):
        return course.decision()
    if begin and slots.ready(course):
        course.begin()
    return course.decision()


def _trigger(command: StartExecution, graph: Graph) -> Node | None:
    if command.trigger_node:
        return graph.trigger(command.trigger_node)
    return graph.trigger_for(command.trigger_type)


def _seen(command: StartExecution, graph: Graph, variables: Mapping[str, Any]) -> dict[str, Any]:
    """What it sees in `$vars`; `variables`: those of now. A repetition sees what the first one saw and nothing else."""
    if graph.variables == NO_NAMES:
        return {}
    given = command.variables if command.first is not None else {**variables, **command.variables}
    return seen(given, graph.variables)


def _wrong_with_start(command: StartExecution, graph: Graph | None) -> Outcome | None:
    if graph is None:
        return rejected("unknown_workflow_version", "the workflow version was not found")
    if _trigger(command, graph) is None:
        if not command.trigger_node:
            return rejected("no_trigger", f"this workflow version has no trigger for a start by {command.trigger_type}")
        why = f"{command.trigger_node[:100]!r} is no trigger of this workflow version, or it is disabled"
        return rejected("unknown_trigger", why)
    if not all(type(item.get("json")) is dict for item in command.items):
        return rejected("invalid_input", 'every item must be {"json": {…}} with an object in it')
    return None


def _decide(command: ExecutionCommand, course: Course, begin: bool) -> Outcome | None:
    """Decide on the course's state; an outcome if the command is refused."""
    match command:
        case ConcludeAttempt():
            return _conclude_attempt(command, course)
        case PassTime():
            _pass_time(course)
        case ConcludeCompute():
            return _conclude_compute(command, course)
        case Begin():
            if slots.ready(course):
                course.begin()
        case AttemptNotStarted():
            return _not_started(command, course)
        case Resume():
            _resume(course)
        case CancelExecution():
            return _cancel(command, course)
        case GiveVerdict():
            return _give_verdict(command, course)
        case ConcludeChild():
            return children.conclude(course, command)
        case ResumeWait():
            return calls.resume(course, command)
        case GrantSlot():
            return slots.granted(course, command, begin=begin)
        case RefuseSlot():
            return slots.denied(course, command)
        case StartExecution():
            raise AssertionError("decided elsewhere")
        case _:
            assert_never(command)
    return None


def _run(course: Course, node: str, run: int) -> EffectRun | None:
    found = course.graph.by_id.get(node)
    return course.state.effects.get((found.index, run)) if found is not None else None


def _conclude_attempt(command: ConcludeAttempt, course: Course) -> Outcome | None:
    state = course.state
    run = _run(course, command.node, command.run)
    current = run is not None and run.attempt == command.attempt and bool(run.in_flight or run.asked)
    if run is None or not current or state.closed:
        if not _was_made(course, command):
            return rejected("not_under_way", "this attempt is not under way")
        course.emit(
            AttemptConcluded(
                node=command.node, run=command.run, attempt=command.attempt, results=command.results, late=True
            )
        )
        return None
    course.unpark()
    if run.in_flight:
        attempts.conclude(course, run, command.results)
    else:
        attempts.settle(course, run, [result for result in command.results if result.index in run.asked])
    course.go_on()
    return None


def _was_made(course: Course, command: ConcludeAttempt) -> bool:
    """Whether a result belongs to an attempt of this execution that nobody waits for any more."""
    state = course.state
    node = course.graph.by_id.get(command.node)
    if node is None or node.kind != "effect":
        return False
    if state.closed:
        run = state.effects.get((node.index, command.run))
        return run is not None and run.attempt == command.attempt
    return command.run < state.runs.get(node.index, 0)


def _not_started(command: AttemptNotStarted, course: Course) -> Outcome | None:
    run = _run(course, command.node, command.run)
    if run is None or run.attempt != command.attempt or not run.in_flight:
        return rejected("not_under_way", "this attempt is not under way")
    if course.state.closed:
        _forget(course, run)
    else:
        attempts.again(course, run, run.in_flight)
        course.go_on()
    return None


def _forget(course: Course, run: EffectRun) -> None:
    """Of an attempt that the end cut off, no result will come any more."""
    course.emit(AttemptConcluded(node=run.node_id, run=run.run, attempt=run.attempt, results=[], late=True))


def _conclude_compute(command: ConcludeCompute, course: Course) -> Outcome | None:
    node = course.graph.by_id.get(command.node)
    ready = next(
        (
            ready
            for ready in course.state.queue
            if node is not None and (ready.node, ready.run) == (node.index, command.run)
        ),
        None,
    )
    if node is None or ready is None or not (node.kind in {"pure", "merge"} or node.sandboxed):
        return rejected("not_under_way", "this run is not being computed")
    if command.sources is not None and command.sources != [delivery.source for delivery in ready.deliveries]:
        return rejected("not_under_way", "this run has another input than the one that was computed")
    try:
        output = _computed(command, course, node, ready)
    except NodeFailure as error:
        output = failed_output(len(items_of(ready.deliveries)), error.code, error.message)
    if output is not None:
        course.conclude(node, ready, output)
    course.go_on()
    return None


def _stop_computing(course: Course) -> None:
    """The compute pool was not done in the node's time: whatever it does, the run ends here."""
    key = course.state.computing
    ready = next(ready for ready in course.state.queue if (ready.node, ready.run) == key)
    node = course.graph.nodes[ready.node]
    why = f"the run took longer than its {node.timeout_seconds:g} seconds"
    course.conclude(node, ready, failed_output(len(items_of(ready.deliveries)), "timeout", why))


def _computed(command: ConcludeCompute, course: Course, node: Node, ready: Ready) -> Output | None:
    """The output of a run that was computed; None: its expressions are evaluated and its effects may begin.

    Raises NodeFailure.
    """
    if command.error is not None:
        raise NodeFailure(command.error.code, command.error.message)
    if command.answer is None:
        assert isinstance(command.result, Output)
        return command.result
    if node.script is not None:
        course.scope.script = read_answer(command.answer)
        output = perform(node, ready.deliveries, ready.run, course.scope)
        course.scope.script = None
        return output
    course.emit(NodePrepared(node=node.id, run=ready.run, values=foreign_values(node, command.answer)))
    return None


def _pass_time(course: Course) -> None:
    state, now = course.state, course.now
    runs = [state.effects[key] for key in sorted(state.effects)]
    if state.closed:
        for run in runs:
            if run.unknown_after <= now:
                _forget(course, run)
        return
    if state.status == QUEUED:
        if state.begin_at is not None and state.begin_at <= now:
            if slots.wanted(state) is None:
                course.begin()
            else:
                slots.ask_now(course)
        return
    if state.status == RUNNING and state.deadline is not None and state.deadline <= now:
        course.time_out()
        return
    if state.computing is not None and state.computing_until is not None and state.computing_until <= now:
        _stop_computing(course)
        if course.state.closed:
            return
    due = [waiting for waiting in state.waits.values() if waiting.due is not None and waiting.due <= now]
    if due:
        course.unpark()
    for waiting in sorted(due, key=lambda waiting: (waiting.due, waiting.node, waiting.run)):
        course.wake(waiting)
    for key in sorted(state.children):
        started = state.children.get(key)
        if started is not None and started.due is not None and started.due <= now:
            children.expire(course, started)
        elif started is not None and not started.open:
            children.more(course, started)
    for run in runs:
        if course.state.closed:  # the one before failed for good
            return
        if run.in_flight:
            if run.unknown_after <= now:
                attempts.expire(course, run)
        elif run.retry and run.retry_due <= now:
            attempts.again(course, run, run.retry)
    course.go_on()


def _resume(course: Course) -> None:
    """A new owner: what was under way and may be repeated is (rule 10); an unsafe attempt waits for its time."""
    state = course.state
    state.computing = state.computing_until = None
    cut_off = [run for _, run in sorted(state.effects.items()) if run.in_flight and run.effect_class != "unsafe"]
    wait = resume_wait(state.setbacks)
    if cut_off and not state.closed:
        recover(course, INTERRUPTED)
    for run in cut_off:
        if (run.node, run.run) not in state.effects:
            continue
        if state.closed:
            _forget(course, run)
        elif wait:
            attempts.retry_later(course, run, run.in_flight, wait, system=True)
        else:
            attempts.again(course, run, run.in_flight)
    if state.closed or state.status == QUEUED:
        return
    dues = [waiting.due for waiting in state.waits.values()] + [run.retry_due for run in state.effects.values()]
    for due in dues:
        if due is not None and due > course.now:
            course.wake_at(due)
    course.go_on()


def _cancel(command: CancelExecution, course: Course) -> Outcome | None:
    if course.state.closed:
        return rejected("already_ended", f"the execution has ended already: {course.state.status}")
    course.cancel_rest()
    course.end(ExecutionCancelled(at=course.now, reason=command.reason))
    return None


def _give_verdict(command: GiveVerdict, course: Course) -> Outcome | None:
    run = _run(course, command.node, command.run)
    if run is None or not run.asked or course.state.status not in {RUNNING, WAITING}:
        return rejected("nothing_asked", "no verdict is waited for at this node run")
    indexes = run.asked if command.items is None else sorted({*command.items})
    strangers = [index for index in indexes if index not in run.asked]
    if strangers or not indexes:
        shown = ", ".join(map(str, run.asked[:20]))
        return rejected("nothing_asked", f"no verdict is waited for there; it is for these items: {shown}")
    left = [index for index in run.asked if index not in indexes]
    operation = course.graph.nodes[run.node].operation
    assert isinstance(operation, Effects)
    course.unpark()
    course.emit(VerdictGiven(node=run.node_id, run=run.run, verdict=command.verdict, indexes=indexes, left=left))
    match command.verdict:
        case "happened":
            value = operation.of_verdict(command.result)
            attempts.settle(course, run, [ItemResult(index=index, value=value) for index in indexes])
        case "fail":
            attempts.settle(course, run, [attempts.verdict_failed(index) for index in indexes])
        case "run_again":
            if run.in_flight or len(indexes) > attempts.ATTEMPT_ITEMS:
                attempts.retry_later(course, run, indexes, 0)
            else:
                attempts.again(course, run, indexes)
    course.go_on()
    return None
