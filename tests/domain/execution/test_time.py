"""Waits, the time-out, and the clock that stands still while an execution is parked."""

from typing import Any

import pytest

from domain.effects import WakeAt
from domain.execution.commands import Begin, CancelExecution
from domain.execution.events import (
    ExecutionCancelled,
    ExecutionParked,
    ExecutionResumed,
    ExecutionTimedOut,
    NodeCancelled,
    NodeCompleted,
    NodeWaiting,
)
from tests.support.executions import CLOCK, NOW, Run, items, node, ok, workflow


def waiting(parameters: dict[str, Any], **settings: Any) -> dict[str, Any]:
    return workflow(
        [node("start", "manual"), node("w", "wait", parameters), node("end", "set", {"fields": {"late": True}})],
        "start -> w",
        "w -> end",
        **settings,
    )


def test_a_long_wait_parks_and_ends_by_a_tick() -> None:
    run = Run(waiting({"seconds": 60})).start([{"n": 1}])
    assert run.of(NodeWaiting)[0].due == NOW + 60_000
    assert run.status == "waiting"
    assert run.open == []
    assert run.state is not None
    assert run.state.next_due == NOW + 60_000
    run.pass_time(59_999)
    assert run.status == "waiting"
    run.pass_time(1)
    assert run.output == items({"n": 1, "late": True})


def test_a_short_wait_is_woken_by_the_owner() -> None:
    run = Run(waiting({"seconds": "{{ $json.s }}"})).start([{"s": 0.5}])
    assert next(effect for effect in run.open if isinstance(effect, WakeAt)).due == NOW + 500
    run.restart()
    assert isinstance(run.open[0], WakeAt)


def test_no_time_to_wait_is_no_wait() -> None:
    run = Run(waiting({"seconds": 0})).start([{"n": 1}])
    assert run.status == "completed"
    assert run.of(NodeWaiting) == []


@pytest.mark.parametrize(
    ("until", "due"),
    [
        (NOW + 7_000, NOW + 7_000),
        ("1970-01-01T01:00:00Z", 3_600_000),
        ("1970-01-01T02:00:00", 3_600_000),
        ("1970-01-01T03:00:00+02:00", 3_600_000),
    ],
)
def test_wait_until(until: Any, due: int) -> None:
    document = waiting({"until": "{{ $json.at }}"}, timezone="Europe/Berlin")
    run = Run(document).start([{"at": until}])
    assert run.of(NodeWaiting)[0].due == due


def test_a_time_that_is_none_fails_the_node() -> None:
    run = Run(waiting({"until": "{{ $json.at }}"})).start([{"at": "tomorrow"}])
    assert run.error.code == "bad_parameter"


def test_waits_go_on_side_by_side() -> None:
    run = Run(
        workflow(
            [node("start", "manual"), node("a", "wait", {"seconds": 20}), node("b", "wait", {"seconds": 10})],
            "start -> a",
            "start -> b",
        )
    ).start([{}])
    run.pass_time(10_000)
    assert [event.node for event in run.of(NodeCompleted)] == ["start", "b"]
    assert run.status == "waiting"
    run.pass_time(10_000)
    assert run.status == "completed"


def test_the_time_out_stands_still_while_parked() -> None:
    call = node("call", "http", {"url": "http://x/"})
    document = waiting({"seconds": 1_000}, timeout_seconds=10)
    document["nodes"][2] = {**call, "id": "end"}
    run = Run(document).start([{}])
    assert run.of(ExecutionParked)[0].at == NOW
    run.pass_time(1_000_000)
    assert run.of(ExecutionResumed)[0].deadline == run.now + 10_000
    run.pass_time(9_999)
    assert run.status == "running"
    run.pass_time(1)
    assert run.status == "timeout"


def test_the_time_out_ends_everything() -> None:
    document = workflow(
        [node("start", "manual"), node("call", "http", {"url": "http://x/"}), node("w", "wait", {"seconds": 99})],
        "start -> call",
        "start -> w",
        timeout_seconds=10,
    )
    run = Run(document).start([{}])
    assert run.status == "running"
    run.pass_time(10_000)
    assert run.error.code == "timeout"
    assert isinstance(run.events[-1], ExecutionTimedOut)
    assert {event.node for event in run.of(NodeCancelled)} == {"call", "w"}
    run.conclude("call", [ok(0)])
    assert run.status == "timeout"


def test_cancel_ends_what_is_parked() -> None:
    run = Run(waiting({"seconds": 60})).start([{}]).do(CancelExecution(reason="no more"))
    assert run.status == "cancelled"
    assert isinstance(run.end, ExecutionCancelled)
    assert run.end.reason == "no more"
    assert [event.node for event in run.of(NodeCancelled)] == ["w"]
    run.do(CancelExecution())
    assert run.last is not None
    assert run.last.outcome.code == "already_ended"


def test_a_queued_execution_begins_when_told() -> None:
    run = Run(waiting({"seconds": 0})).start([{"n": 1}], begin=False)
    assert run.status == "queued"
    assert run.state is not None
    assert run.state.next_due is None
    run.pass_time(1_000_000)
    assert run.status == "queued"
    run.restart()
    assert run.status == "queued"
    run.do(Begin())
    assert run.status == "completed"
    run.do(Begin())
    assert run.last is not None
    assert (run.last.outcome.kind, run.last.events) == ("accepted", [])


def test_a_queued_execution_can_be_cancelled() -> None:
    run = Run(waiting({"seconds": 0})).start([{"n": 1}], begin=False).do(CancelExecution())
    assert run.status == "cancelled"
    run.do(Begin())
    assert run.status == "cancelled"


def test_expressions_see_the_wall_clock() -> None:
    document = workflow(
        [node("start", "manual"), node("x", "set", {"fields": {"at": "{{ $now.toMillis() }}"}})], "start -> x"
    )
    assert Run(document).start([{}]).output == items({"at": CLOCK})
