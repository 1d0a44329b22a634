"""Trying again: by the node's policy, in place of a pure run, and what the system's own three tries are for."""

from typing import Any
from unittest.mock import patch

import pytest

from domain.effects import Compute, PerformAttempt
from domain.execution import course
from domain.execution.commands import ConcludeCompute
from domain.execution.events import (
    ErrorInfo,
    ExecutionRecovered,
    NodeAttempted,
    NodeCompleted,
    NodeFailed,
    RetryScheduled,
)
from tests.support.executions import NOW, Run, failed, items, node, ok, workflow


def calling(method: str = "GET", **fields: Any) -> dict[str, Any]:
    call = node("call", "http", {"method": method, "url": "http://x/"}, **fields)
    return workflow([node("start", "manual"), call], "start -> call")


def tried(run: Run) -> list[int]:
    """When the tries of a run that always fails are due, counted from its start, in seconds."""
    while run.status == "running":
        run.conclude("call", [failed(0)])
        if run.state is not None and run.state.next_due is not None:
            run.pass_time(run.state.next_due - run.now)
    return [(event.due - NOW) // 1_000 for event in run.of(RetryScheduled)]


def test_the_schedule_of_a_node_on_a_virtual_clock() -> None:
    retry = {"attempts": 6, "backoff": "exponential", "max_delay_seconds": 8}
    assert tried(Run(calling(retry=retry)).start()) == [1, 3, 7, 15, 23]
    assert tried(Run(calling(retry={"attempts": 3, "delay_seconds": 5})).start()) == [5, 10]


def test_jitter_is_the_same_for_whoever_decides_it() -> None:
    document = calling(retry={"attempts": 2, "delay_seconds": 100, "jitter": 1})
    one, other = (Run(document).start().conclude("call", [failed(0)]) for _ in range(2))
    assert one.of(RetryScheduled) == other.of(RetryScheduled)
    assert NOW < one.of(RetryScheduled)[0].due < NOW + 100_000


@pytest.mark.parametrize(
    ("on", "result", "again"),
    [
        (["404"], ok(0, status=404), True),
        (["404"], ok(0, status=503), False),
        (["500-502"], ok(0, status=501), True),
        (["connect"], failed(0, retriable=False), True),
        (["connect"], ok(0, status=503), False),
        (["all"], ok(0, status=400), True),
        (["retriable", 400], ok(0, status=503), True),
        (["retriable", 400], ok(0, status=401), False),
    ],
)
def test_on_which_errors(on: list[Any], result: Any, again: bool) -> None:
    run = Run(calling(retry={"attempts": 2, "on": on})).start().conclude("call", [result])
    assert bool(run.of(RetryScheduled)) is again


def test_a_date_is_read_against_the_clock_of_the_server() -> None:
    headers = {"Date": "Thu, 01 Jan 2099 00:00:00 GMT", "Retry-After": "Thu, 01 Jan 2099 00:00:40 GMT"}
    run = Run(calling(retry={"attempts": 2, "max_delay_seconds": 2})).start()
    run.conclude("call", [ok(0, status=503, headers=headers)])
    assert run.of(RetryScheduled)[0].due == NOW + 40_000


# runs without effects


def computing(**fields: Any) -> dict[str, Any]:
    nodes = [
        node("start", "manual"),
        node("bad", "set", {"fields": {"x": "{{ $json.a.b }}"}}, **fields),
        node("next", "noop"),
    ]
    return workflow(nodes, "start -> bad", "start -> next", "bad -> next")


def test_a_run_without_effects_is_done_again_only_for_errors_that_are_named() -> None:
    assert Run(computing(retry={"attempts": 5})).start([{}]).status == "failed"
    run = Run(computing(retry={"attempts": 3, "delay_seconds": 10, "on": "all"})).start([{}])
    assert run.status == "running"
    assert [event.node for event in run.of(NodeCompleted)] == ["start"], "what computes waits for the run before it"
    assert run.state is not None
    assert run.state.next_due == NOW + 10_000
    run.restart()
    assert run.state.next_due == NOW + 10_000
    run.pass_time(9_999)
    assert len(run.of(RetryScheduled)) == 1
    run.pass_time(1)
    assert [event.due - NOW for event in run.of(RetryScheduled)] == [10_000, 20_000]
    run.pass_time(10_000)
    assert run.status == "failed"
    assert (run.error.node_id, len(run.of(NodeFailed))) == ("bad", 1)


def test_then_it_continues() -> None:
    run = Run(computing(retry={"attempts": 2, "on": ["all"]}, on_error="continue")).start([{}]).pass_time(1_000)
    assert run.status == "completed"
    assert "error" in run.nodes["bad"][0]["main"][0]["json"]


# failures of the system


def heavy(**fields: Any) -> Run:
    document = workflow(
        [node("start", "manual"), node("big", "set", {"fields": {"n": 1}}, **fields)],
        "start -> big",
        timeout_seconds=60,
    )
    with patch.object(course, "HEAVY", 0):
        return Run(document).start([{"a": 1}])


def pool_died(run: Run) -> Run:
    request = next(effect for effect in run.open if isinstance(effect, Compute))
    run.open.remove(request)
    error = ErrorInfo(code="compute_failed", message="the compute process died")
    return run.do(ConcludeCompute(node=request.node, run=request.run, result=None, error=error))


def test_a_compute_process_that_died_is_got_over_three_times() -> None:
    run = heavy()
    waits = []
    with patch.object(course, "HEAVY", 0):
        for _ in range(3):
            before = run.now
            pool_died(run)
            assert run.state is not None
            assert run.state.next_due is not None
            run.pass_time(run.state.next_due - run.now)
            waits.append(run.now - before)
        assert waits == [1_000, 2_000, 4_000]
        assert [event.in_a_row for event in run.of(ExecutionRecovered)] == [1, 2, 3]
        pool_died(run)
    assert (run.status, run.error.code) == ("failed", "compute_failed")


def test_once_is_enough() -> None:
    run = heavy()
    with patch.object(course, "HEAVY", 0):
        pool_died(run).pass_time(1_000).compute()
    assert run.output == items({"a": 1, "n": 1})
    assert run.state is not None
    assert run.state.recoveries == 1


def test_what_a_crash_interrupts_is_resumed_and_counted_at_once_and_then_later_and_later() -> None:
    run = Run(calling()).start()
    for number in (1, 2, 3):
        run.restart()
        assert run.of(ExecutionRecovered)[-1].in_a_row == number
        assert run.attempt("call").attempt == number + 1
    for seconds in (1, 2, 4, 8, 16, 32, 60, 60):
        assert not any(isinstance(each, PerformAttempt) for each in run.restart().open)
        assert run.state is not None
        assert run.state.next_due == run.now + seconds * 1_000
        run.pass_time(seconds * 1_000)
    run.conclude("call", [ok(0, {"late": True})])
    assert run.status == "completed"


def test_what_was_finished_meanwhile_gives_the_tries_back() -> None:
    calls = [node(name, "http", {"url": "http://x/"}) for name in ("one", "two")]
    run = Run(workflow([node("start", "manual"), *calls], "start -> one", "one -> two")).start()
    for _ in range(3):
        run.restart()
    run.conclude("one", [ok(0)]).restart()
    last = run.of(ExecutionRecovered)[-1]
    assert (last.in_a_row, last.count) == (1, 4)
    run.conclude("two", [ok(0)])
    assert run.status == "completed"


def test_an_interpreter_that_fails_uses_up_no_try_of_the_node() -> None:
    run = Run(calling(retry={"attempts": 2})).start()
    run.conclude("call", [failed(0, "internal_error", retriable=False)])
    assert run.of(RetryScheduled)[0].system
    run.pass_time(1_000).conclude("call", [failed(0)])
    assert not run.of(RetryScheduled)[1].system
    run.pass_time(1_000).conclude("call", [failed(0)])
    assert (run.status, run.error.code) == ("failed", "connect")
    assert len(run.of(NodeAttempted)) == 3


def test_an_unsafe_effect_is_not_repeated_for_the_system_either() -> None:
    run = Run(calling("POST")).start().conclude("call", [failed(0, "internal_error", retriable=False, unknown=True)])
    assert (run.status, run.error.code) == ("failed", "outcome_unknown")


# time-outs of runs in the compute pool


def test_the_node_s_time_out_ends_a_run_in_the_pool_whatever_the_pool_does() -> None:
    run = heavy(timeout_seconds=5)
    assert run.state is not None
    assert run.state.next_due == NOW + 5_000 + 5_000 + 5_000, "to begin, to run, and grace, as for effects"
    run.pass_time(14_999)
    assert run.status == "running"
    run.pass_time(1)
    assert (run.status, run.error.code, run.error.node_id) == ("failed", "timeout", "big")
    run.do(ConcludeCompute(node="big", run=0, result=b""))
    assert run.last is not None
    assert run.last.outcome.code == "already_ended" or run.last.outcome.kind == "rejected"


def test_a_hung_pool_does_not_outlive_the_execution_s_time_out() -> None:
    run = heavy()
    assert run.state is not None
    assert run.state.next_due == NOW + 60_000
    run.pass_time(60_000)
    assert run.status == "timeout"


def test_after_the_system_s_tries_the_node_s_own_go_on() -> None:
    run = Run(calling(retry={"attempts": 2})).start()
    for _ in range(4):
        run.restart()
    assert run.status == "running"
    run.pass_time(1_000).conclude("call", [ok(0)])
    assert run.status == "completed"
