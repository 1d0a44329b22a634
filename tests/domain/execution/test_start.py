"""Starts: accepted once, refused with a reason."""

from typing import Any

from domain.execution.commands import CancelExecution, StartExecution
from domain.execution.decider import decide
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
