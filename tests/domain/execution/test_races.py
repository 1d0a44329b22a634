"""R24: whatever comes at the same time comes in some order, and in every order one wins and the history is legal."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any
from unittest.mock import patch

import pytest

from domain.effects import Compute, PerformAttempt
from domain.execution import course
from domain.execution.commands import (
    Begin,
    CancelExecution,
    ConcludeAttempt,
    ConcludeCompute,
    ExecutionCommand,
    GiveVerdict,
    PassTime,
    Resume,
)
from domain.execution.decider import compute_job, compute_run
from domain.execution.events import TERMINAL, AttemptConcluded, ExecutionCancelled
from tests.support.executions import Run, computed, failed, node, ok, workflow

ORDERS = 100


def calling(method: str = "GET", **fields: Any) -> dict[str, Any]:
    call = node("call", "http", {"method": method, "url": "http://x/"}, **fields)
    return workflow([node("start", "manual"), call], "start -> call", timeout_seconds=10)


def result(run: Run, name: str = "call", *, good: bool = True) -> ConcludeAttempt:
    attempt = run.attempt(name)
    return ConcludeAttempt(node=name, run=attempt.run, attempt=attempt.attempt, results=[ok(0) if good else failed(0)])


Race = tuple[Run, Sequence[tuple[int, ExecutionCommand]]]
"""An execution, and what comes at once: (ms to pass before, command)."""


def cancel_and_completion() -> Race:
    run = Run(calling()).start()
    return run, [(0, CancelExecution()), (0, result(run))]


def cancel_and_failure_with_a_repeat() -> Race:
    run = Run(calling(retry={"attempts": 3})).start()
    return run, [(0, CancelExecution()), (0, result(run, good=False)), (1_000, PassTime())]


def cancel_and_begin() -> Race:
    run = Run(calling()).start(begin=False)
    return run, [(0, CancelExecution()), (0, Begin()), (10_000, PassTime())]


def cancel_and_wake() -> Race:
    document = workflow([node("start", "manual"), node("w", "wait", {"seconds": 60})], "start -> w")
    return Run(document).start(), [(0, CancelExecution()), (60_000, PassTime())]


def cancel_and_computed() -> Race:
    document = workflow([node("start", "manual"), node("big", "set", {"fields": {"n": 1}})], "start -> big")
    with patch.object(course, "HEAVY", 0):
        run = Run(document).start()
    assert run.state is not None
    assert run.document is not None
    request = next(effect for effect in run.open if isinstance(effect, Compute))
    job = compute_job(run.state, request.node, request.run, run.graph)
    assert job is not None
    conclusion = ConcludeCompute(node="big", run=0, result=computed(compute_run(run.document, job)))
    return run, [(0, CancelExecution()), (0, conclusion), (0, Resume())]


def resumption_and_time_out() -> Race:
    run = Run(calling()).start()
    return run, [(0, Resume()), (10_000, PassTime()), (0, result(run))]


def asked_beside_a_call() -> Run:
    post = node("post", "http", {"method": "POST", "url": "http://x/"}, on_unknown_outcome="ask")
    call = node("call", "http", {"url": "http://x/"}, timeout_seconds=60)
    document = workflow([node("start", "manual"), post, call], "start -> post", "start -> call", timeout_seconds=10)
    return Run(document).start().conclude("post", [failed(0, unknown=True)])


def verdict_and_time_out() -> Race:
    run = asked_beside_a_call()
    verdict = GiveVerdict(node="post", run=0, verdict="happened", result={"id": 1})
    return run, [(0, verdict), (10_000, PassTime()), (0, result(run))]


def two_verdicts_and_a_cancel() -> Race:
    run = asked_beside_a_call()
    verdicts = [GiveVerdict(node="post", run=0, verdict=word) for word in ("fail", "happened")]
    return run, [(0, verdicts[0]), (0, verdicts[1]), (0, CancelExecution())]


RACES: list[Callable[[], Race]] = [
    cancel_and_completion, cancel_and_failure_with_a_repeat, cancel_and_begin, cancel_and_wake, cancel_and_computed,
    resumption_and_time_out, verdict_and_time_out, two_verdicts_and_a_cancel,
]  # fmt: skip


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_one_wins_and_the_history_is_legal(race: Callable[[], Race]) -> None:
    won = set()
    for seed in range(ORDERS):
        run, coming = race()
        order = list(coming)
        Random(seed).shuffle(order)
        cancelled_open = False
        for pause, command in order:
            run.now += pause
            was_open = run.state is not None and not run.state.closed
            run.do(command)
            cancelled_open = cancelled_open or (was_open and isinstance(command, CancelExecution))
        finish(run)
        ends = [place for place, event in enumerate(run.events) if isinstance(event, TERMINAL)]
        assert len(ends) == 1
        late = run.events[ends[0] + 1 :]
        assert all(isinstance(event, AttemptConcluded) and event.late for event in late)
        assert isinstance(run.end, ExecutionCancelled) is cancelled_open, "a cancel of what is open always wins"
        won.add(type(run.end).__name__)
    assert len(won) > 1 or won == {"ExecutionCancelled"}, f"always the same won: {won}"


def finish(run: Run) -> None:
    """Answer and pass time until it has ended and can be forgotten."""
    for _ in range(20):
        assert run.state is not None
        if run.state.closed:
            break
        under_way = [e for e in run.open if isinstance(e, PerformAttempt)]
        current = [e for e in under_way if (e.node, e.run, e.attempt) in run.state.under_way]
        if current:
            run.conclude(current[-1].node, [ok(0)])
        elif run.state.next_due is not None:
            run.pass_time(max(0, run.state.next_due - run.now))
    run.pass_time(1_000_000)
    assert run.state is not None
    assert run.state.forgettable
