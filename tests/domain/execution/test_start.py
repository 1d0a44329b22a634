"""Starts: accepted once, refused with a reason."""

from typing import Any

from domain.decision import Decision
from domain.execution.commands import CancelExecution, ConcludeChild, StartExecution
from domain.execution.decider import decide
from domain.execution.events import ErrorInfo, ExecutionQueued, Origin
from tests.support.executions import EXECUTION, Run, compiled, items, node, workflow

DOCUMENT = workflow([node("start", "manual"), node("end", "noop")], "start -> end")


def start(**fields: Any) -> StartExecution:
    known = {
        "execution_id": EXECUTION,
        "workflow_id": "w",
        "workflow_version": 1,
        "trigger_node": "start",
        "trigger_type": "manual",
        "items": items({"n": 1}),
        "queued_at": 0,
    }
    return StartExecution(**{**known, **fields})


def outcome(command: Any, state: Any, graph: Any) -> tuple[str, str]:
    decision = decide(command, state, graph, execution_id=EXECUTION, now=0, clock=0)
    assert decision.events == [] or decision.outcome.kind == "accepted"
    return decision.outcome.kind, decision.outcome.code


def test_the_same_start_twice_is_a_duplicate() -> None:
    run = Run(DOCUMENT).start([{"n": 1}], fingerprint="f")
    events = len(run.events)
    run.start([{"n": 1}], fingerprint="f")
    assert run.last is not None
    assert run.last.outcome.kind == "duplicate"
    assert len(run.events) == events


def test_another_request_under_the_same_id_is_refused() -> None:
    run = Run(DOCUMENT).start([{"n": 1}], fingerprint="f").start([{"n": 2}], fingerprint="g")
    assert run.last is not None
    assert run.last.outcome.code == "idempotency_mismatch"


def test_what_cannot_start() -> None:
    graph = compiled(DOCUMENT)
    assert outcome(start(), None, None) == ("rejected", "unknown_workflow_version")
    assert outcome(start(trigger_node="end"), None, graph) == ("rejected", "unknown_trigger")
    assert outcome(start(trigger_node="nobody"), None, graph) == ("rejected", "unknown_trigger")
    assert outcome(start(items=[{"json": [1]}]), None, graph) == ("rejected", "invalid_input")
    assert outcome(CancelExecution(), None, graph) == ("rejected", "unknown_execution")


def test_a_disabled_trigger_starts_nothing() -> None:
    document = workflow([node("start", "manual", disabled=True), node("other", "manual")])
    assert outcome(start(), None, compiled(document)) == ("rejected", "unknown_trigger")


def test_only_the_trigger_that_started_runs() -> None:
    document = workflow(
        [node("start", "manual"), node("other", "webhook"), node("m", "merge")],
        "start -> m.input1",
        "other -> m.input2",
    )
    run = Run(document).start([{"n": 1}])
    assert set(run.nodes) == {"start", "m"}
    assert run.output == items({"n": 1})


def test_no_items_complete_with_nothing() -> None:
    run = Run(DOCUMENT).start([])
    assert run.output == []
    assert run.nodes == {"start": [{}]}


PARENT = Origin(kind="parent", stream="execution-p", node="call", run=2, item=3)


def decided(command: Any, document: dict[str, Any] | None, **fields: Any) -> Decision:
    graph = None if document is None else compiled(document)
    return decide(command, None, graph, execution_id=EXECUTION, now=7, clock=0, **fields)


def test_a_start_by_reference_records_what_it_means() -> None:
    document = workflow([node("hook", "webhook"), node("start", "manual")])
    queued = decided(start(workflow_version=0, trigger_node=""), document, version=4).events[0]
    assert isinstance(queued, ExecutionQueued)
    assert (queued.workflow_version, queued.trigger_node) == (4, "start")


def test_a_start_without_a_priority_has_the_workflow_s() -> None:
    urgent = DOCUMENT | {"settings": {"priority": "high"}}
    for asked, recorded in (("", "high"), ("low", "low")):
        queued = decided(start(priority=asked), urgent).events[0]
        assert isinstance(queued, ExecutionQueued)
        assert queued.priority == recorded


def test_others_start_a_workflow_only_where_it_says_so() -> None:
    for kind in ("error", "sub_workflow"):
        decision = decided(start(trigger_node="", trigger_type=kind), DOCUMENT)
        assert decision.outcome.code == "no_trigger"
    assert decided(start(trigger_node="", trigger_type="schedule"), DOCUMENT).outcome.kind == "accepted"


def test_an_origin_is_told_how_it_ended() -> None:
    run = Run(DOCUMENT).start([{"n": 1}], origin=PARENT)
    assert run.last is not None
    (told,) = run.last.commands
    assert told.stream == "execution-p"
    expected = ConcludeChild(node="call", run=2, item=3, child=EXECUTION, status="completed", output=items({"n": 1}))
    assert told.command == expected


def test_an_origin_is_told_of_a_cancellation() -> None:
    run = Run(workflow([node("start", "manual"), node("w", "wait", {"seconds": 60})], "start -> w"))
    run.start(origin=PARENT).do(CancelExecution())
    assert run.last is not None
    assert [told.command.status for told in run.last.commands] == ["cancelled"]


def test_an_origin_is_told_of_a_refusal_under_the_same_id_each_time() -> None:
    refused = [decided(start(origin=PARENT, trigger_node="nobody"), DOCUMENT) for _ in range(2)]
    assert refused[0].events == []
    assert refused[0].commands == refused[1].commands
    command = refused[0].commands[0].command
    assert (command.status, command.child) == ("refused", EXECUTION)
    assert isinstance(command.error, ErrorInfo)
    assert command.error.code == "unknown_trigger"


def test_who_has_no_origin_tells_nobody() -> None:
    run = Run(DOCUMENT).start()
    assert run.last is not None
    assert run.last.commands == []
