"""Runs with effects: attempts, results, retries, failure policies, outcomes that nobody knows."""

from typing import Any

import pytest

from domain.effects import ItemResult
from domain.execution.commands import AttemptNotStarted, CancelExecution, ConcludeAttempt, GiveVerdict, Resume
from domain.execution.events import (
    AttemptConcluded,
    ExecutionFailed,
    NodeAttempted,
    NodeCancelled,
    NodeCompleted,
    NodeFailed,
    NodeOutcomeUnknown,
    RetryScheduled,
    VerdictGiven,
)
from tests.support.executions import EXECUTION, NOW, Run, failed, items, node, ok, workflow


def calling(method: str = "GET", parameters: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A trigger, a call, and something behind it."""
    call = node("call", "http", {"method": method, "url": "http://x/{{ $json.n }}", **(parameters or {})}, **fields)
    nodes = [node("start", "manual"), call, node("end", "set", {"fields": {"seen": True}})]
    links = ["start -> call", "call -> end"]
    if fields.get("on_error") == "error_output":
        nodes.append(node("bad", "set", {"fields": {"bad": True}}))
        links.append("call.error -> bad")
    return workflow(nodes, *links)


def test_one_effect_an_item_recorded_before_it_starts() -> None:
    run = Run(calling()).start([{"n": 1}, {"n": 2}])
    attempted = run.of(NodeAttempted)[0]
    request = run.attempt("call")
    assert run.status == "running"
    assert (attempted.attempt, attempted.indexes, attempted.effect_class) == (1, [0, 1], "read")
    assert attempted.start_by == NOW + 5_000
    assert attempted.unknown_after == NOW + 5_000 + 30_000 + 5_000
    assert [effect.url for effect in request.effects] == ["http://x/1", "http://x/2"]
    assert len(set(request.keys)) == 2
    assert run.state is not None
    assert run.state.under_way == {("call", 0, 1)}
    run.conclude("call", [ok(1, {"b": 2}), ok(0, [1])])
    assert run.output == items({"body": [1], "seen": True}, {"b": 2, "seen": True})
    assert run.of(NodeCompleted)[1].attempts == 1
    assert run.of(AttemptConcluded) == []


def test_the_node_timeout_bounds_the_effect() -> None:
    run = Run(calling(timeout_seconds=2)).start([{"n": 1}])
    assert run.attempt("call").effects[0].timeout_seconds == 2
    assert run.of(NodeAttempted)[0].unknown_after == NOW + 5_000 + 2_000 + 5_000


def test_branches_run_side_by_side() -> None:
    call = {"method": "GET", "url": "http://x/"}
    run = Run(
        workflow(
            [node("start", "manual"), node("a", "http", call), node("b", "http", call), node("m", "merge")],
            "start -> a",
            "start -> b",
            "a -> m.input1",
            "b -> m.input2",
        )
    ).start()
    assert run.state is not None
    assert run.state.under_way == {("a", 0, 1), ("b", 0, 1)}
    run.conclude("b", [ok(0, {"b": 1})])
    assert run.status == "running"
    run.conclude("a", [ok(0, {"a": 1})])
    assert run.output == items({"a": 1}, {"b": 1})


def test_keys_come_from_execution_node_run_and_item_not_from_the_attempt() -> None:
    run = Run(calling("PUT", retry={"attempts": 2})).start([{"n": 1}, {"n": 2}])
    first = run.attempt("call")
    run.conclude("call", [ok(0), failed(1)]).pass_time(1_000)
    second = run.attempt("call")
    assert second.indexes == [1]
    assert second.keys == [first.keys[1]]


def test_a_status_of_400_or_more_fails_the_item() -> None:
    run = Run(calling()).start([{"n": 1}]).conclude("call", [ok(0, {"why": "no stock"}, status=404)])
    assert run.status == "failed"
    assert run.error.code == "http_status"
    assert "404" in run.error.message
    assert "no stock" in run.error.message
    assert run.error.node_id == "call"


def test_only_failed_items_are_tried_again_and_attempts_count_all_tries() -> None:
    document = calling(retry={"attempts": 3, "delay_seconds": 1, "backoff": "exponential"})
    run = Run(document).start([{"n": 1}, {"n": 2}])
    run.conclude("call", [ok(0, {"a": 1}), ok(1, status=503)])
    scheduled = run.of(RetryScheduled)[0]
    assert (scheduled.indexes, scheduled.due) == ([1], NOW + 1_000)
    assert run.status == "running"
    run.pass_time(999)
    assert len(run.of(NodeAttempted)) == 1
    run.pass_time(1).conclude("call", [failed(1)])
    assert run.of(RetryScheduled)[1].due == run.now + 2_000
    run.pass_time(2_000).conclude("call", [ok(1, status=500)])
    assert run.status == "failed"
    assert run.of(NodeFailed)[0].attempts == 3


def test_a_retry_that_succeeds_completes_the_run_in_item_order() -> None:
    run = Run(calling(retry={"attempts": 2})).start([{"n": 1}, {"n": 2}, {"n": 3}])
    run.conclude("call", [failed(0), ok(1, {"i": 1}), failed(2)]).pass_time(1_000)
    run.conclude("call", [ok(2, {"i": 2}), ok(0, {"i": 0})])
    assert [item["json"]["i"] for item in run.output] == [0, 1, 2]


def test_retry_after_is_respected() -> None:
    run = Run(calling(retry={"attempts": 2, "delay_seconds": 1})).start([{"n": 1}])
    run.conclude("call", [ok(0, status=429, headers={"Retry-After": "30"})])
    assert run.of(RetryScheduled)[0].due == NOW + 30_000


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_what_cannot_get_better_is_not_tried_again(status: int) -> None:
    run = Run(calling(retry={"attempts": 5})).start([{"n": 1}]).conclude("call", [ok(0, status=status)])
    assert run.status == "failed"
    assert run.of(RetryScheduled) == []


def test_a_final_failure_ends_the_run_while_others_could_be_tried_again() -> None:
    run = Run(calling(retry={"attempts": 5})).start([{"n": 1}, {"n": 2}])
    run.conclude("call", [ok(0, status=503), ok(1, status=404)])
    assert run.status == "failed"


def test_continue_puts_errors_in_their_places() -> None:
    run = Run(calling(on_error="continue")).start([{"n": 1}, {"n": 2}, {"n": 3}])
    run.conclude("call", [ok(0, {"i": 0}), ok(1, status=404), ok(2, {"i": 2})])
    output = run.output
    assert [list(item["json"]) for item in output] == [["i", "seen"], ["error", "seen"], ["i", "seen"]]
    assert output[1]["json"]["error"]["code"] == "http_status"


def test_error_output_sends_failed_items_their_own_way() -> None:
    run = Run(calling(on_error="error_output")).start([{"n": 1}, {"n": 2}])
    run.conclude("call", [ok(0, status=404), ok(1, {"i": 1})])
    assert run.nodes["end"] == [{"main": items({"i": 1, "seen": True})}]
    assert run.nodes["bad"][0]["main"][0]["json"]["n"] == 1


def test_an_item_whose_expression_fails_gets_no_effect() -> None:
    document = calling(parameters={"url": "http://x/{{ $json.a.b }}"}, on_error="continue")
    run = Run(document).start([{"n": 1}, {"a": {"b": 2}}])
    assert run.attempt("call").indexes == [1]
    run.conclude("call", [ok(1, {"fine": True})])
    assert [list(item["json"]) for item in run.output] == [["error", "seen"], ["fine", "seen"]]


def test_no_effect_starts_if_an_item_fails_the_execution_before() -> None:
    run = Run(calling(parameters={"url": "http://x/{{ $json.a.b }}"})).start([{"a": {"b": 1}}, {"n": 1}])
    assert run.status == "failed"
    assert run.of(NodeAttempted) == []
    assert run.open == []


def test_if_no_item_can_be_sent_the_run_ends_without_an_attempt() -> None:
    document = calling(parameters={"url": "{{ $json.url }}"}, on_error="continue")
    run = Run(document).start([{"url": "ftp://x"}, {"url": 5}])
    assert run.status == "completed"
    assert [item["json"]["error"]["code"] for item in run.output] == ["bad_parameter", "bad_parameter"]


def test_a_failure_cancels_what_runs_beside_it_and_its_result_is_recorded_late() -> None:
    run = Run(
        workflow(
            [
                node("start", "manual"),
                node("a", "http", {"url": "http://x/"}),
                node("b", "http", {"url": "http://x/", "method": "POST"}),
                node("end", "noop"),
            ],
            "start -> a",
            "start -> b",
            "b -> end",
        )
    ).start()
    run.conclude("a", [ok(0, status=404)])
    assert run.status == "failed"
    assert [event.node for event in run.of(NodeCancelled)] == ["b"]
    assert isinstance(run.events[-1], ExecutionFailed)
    assert run.state is not None
    assert not run.state.forgettable
    assert run.state.under_way == {("b", 0, 1)}
    state = run.conclude("b", [ok(0, {"b": 1})]).state
    late = run.of(AttemptConcluded)[-1]
    assert (late.node, late.late, late.results[0].value["body"]) == ("b", True, {"b": 1})
    assert state is not None
    assert state.forgettable
    assert state.next_due is None
    assert "end" not in run.nodes


def test_a_result_that_never_comes_after_the_end_is_forgotten_in_time() -> None:
    run = Run(calling("POST")).start([{"n": 1}]).do(CancelExecution())
    assert run.status == "cancelled"
    assert run.state is not None
    assert run.state.next_due == NOW + 40_000
    run.pass_time(40_000)
    assert run.state.forgettable
    refused = ConcludeAttempt(node="call", run=0, attempt=1, results=[ok(0)])
    assert run.do(refused).last is not None
    assert run.last is not None
    assert (run.last.outcome.kind, run.last.outcome.code) == ("rejected", "not_under_way")


# a new owner, attempts that never started


@pytest.mark.parametrize(("method", "effect_class"), [("GET", "read"), ("PUT", "idempotent"), ("DELETE", "idempotent")])
def test_a_new_owner_repeats_what_may_be_repeated(method: str, effect_class: str) -> None:
    run = Run(calling(method)).start([{"n": 1}])
    keys = run.attempt("call").keys
    run.restart()
    again = run.attempt("call")
    assert (again.attempt, again.effect_class, again.keys) == (2, effect_class, keys)
    run.conclude("call", [ok(0, {"done": 1})])
    assert run.output == items({"done": 1, "seen": True})


def test_a_repetition_after_a_crash_does_not_use_up_a_try() -> None:
    run = Run(calling(retry={"attempts": 2})).start([{"n": 1}]).restart().restart()
    run.conclude("call", [failed(0)]).pass_time(1_000)
    assert run.attempt("call").attempt == 4


def test_an_old_attempt_that_reports_anyway_changes_nothing() -> None:
    run = Run(calling()).start([{"n": 1}]).do(Resume())
    run.do(ConcludeAttempt(node="call", run=0, attempt=1, results=[ok(0, {"old": 1})]))
    assert run.of(AttemptConcluded)[0].late
    assert run.status == "running"
    run.conclude("call", [ok(0, {"new": 1})])
    assert run.output == items({"new": 1, "seen": True})


def test_a_result_of_a_run_that_never_was_is_refused() -> None:
    run = Run(calling()).start([{"n": 1}])
    for command in (
        ConcludeAttempt(node="call", run=7, attempt=1, results=[]),
        ConcludeAttempt(node="end", run=0, attempt=1, results=[]),
        ConcludeAttempt(node="nobody", run=0, attempt=1, results=[]),
        AttemptNotStarted(node="call", run=0, attempt=9),
    ):
        run.do(command)
        assert run.last is not None
        assert run.last.outcome.code == "not_under_way"
        assert run.last.events == []


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_attempt_that_did_not_start_is_made_anew_in_every_class(method: str) -> None:
    run = Run(calling(method)).start([{"n": 1}]).do(AttemptNotStarted(node="call", run=0, attempt=1))
    assert run.attempt("call").attempt == 2
    run.conclude("call", [ok(0)])
    assert run.status == "completed"


def test_a_read_whose_result_never_comes_is_a_failure_that_may_be_tried_again() -> None:
    run = Run(calling(retry={"attempts": 2})).start([{"n": 1}])
    run.pass_time(39_999)
    assert run.of(RetryScheduled) == []
    run.pass_time(1)
    assert len(run.of(RetryScheduled)) == 1
    run.pass_time(1_000).pass_time(40_000)
    assert run.status == "failed"
    assert run.error.code == "timeout"


# outcomes that nobody knows


def test_an_unsafe_attempt_of_an_owner_that_is_gone_is_not_repeated() -> None:
    run = Run(calling("POST", retry={"attempts": 5})).start([{"n": 1}]).restart()
    assert run.open == []
    assert run.status == "running"
    run.pass_time(39_999)
    assert run.of(NodeOutcomeUnknown) == []
    run.pass_time(1)
    unknown = run.of(NodeOutcomeUnknown)[0]
    assert (unknown.node, unknown.attempt, unknown.indexes, unknown.asked) == ("call", 1, [0], False)
    assert run.status == "failed"
    assert run.error.code == "outcome_unknown"


def test_a_header_by_the_user_makes_a_post_idempotent() -> None:
    document = calling("POST", {"headers": {"Idempotency-Key": "{{ $json.n }}"}})
    run = Run(document).start([{"n": 1}]).restart()
    assert run.attempt("call").effect_class == "idempotent"
    assert run.attempt("call").effects[0].headers == {"Idempotency-Key": "1"}


def test_an_unknown_result_counts_at_once_for_its_items_only() -> None:
    run = Run(calling("POST", on_error="continue")).start([{"n": 1}, {"n": 2}])
    run.conclude("call", [failed(0, unknown=True), ok(1, {"i": 1})])
    assert run.of(NodeOutcomeUnknown)[0].indexes == [0]
    assert run.output[0]["json"]["error"]["code"] == "outcome_unknown"
    assert run.output[1]["json"] == {"i": 1, "seen": True}


def test_an_unknown_result_of_a_read_is_a_plain_failure() -> None:
    run = Run(calling("GET", retry={"attempts": 2})).start([{"n": 1}]).conclude("call", [failed(0, unknown=True)])
    assert run.of(NodeOutcomeUnknown) == []
    assert len(run.of(RetryScheduled)) == 1


def test_on_unknown_outcome_retry_tries_again_but_not_for_ever() -> None:
    run = Run(calling("POST", on_unknown_outcome="retry")).start([{"n": 1}])
    tries = 0
    while run.status == "running":
        tries += 1
        run.conclude("call", [failed(0, unknown=True)])
        if run.status == "running":
            run.pass_time(1_000)
    assert tries == 10
    assert run.error.code == "outcome_unknown"


def asked(results: list[ItemResult] | None = None) -> Run:
    run = Run(calling("POST", on_unknown_outcome="ask")).start([{"n": 1}, {"n": 2}])
    return run.conclude("call", results or [ok(0, {"i": 0}), failed(1, unknown=True)])


def test_on_unknown_outcome_ask_parks_until_a_verdict() -> None:
    run = asked()
    assert run.of(NodeOutcomeUnknown)[0].asked
    assert run.status == "waiting"
    assert run.state is not None
    assert run.state.next_due is None
    run.pass_time(10_000_000)
    assert run.status == "waiting"
    run.restart().do(GiveVerdict(node="call", run=0, verdict="happened", result={"i": 1}))
    assert run.output == items({"i": 0, "seen": True}, {"i": 1, "seen": True})


def test_verdict_run_again() -> None:
    run = asked().do(GiveVerdict(node="call", run=0, verdict="run_again"))
    assert run.status == "running"
    assert run.attempt("call").indexes == [1]
    run.conclude("call", [ok(1, {"i": 1})])
    assert [item["json"]["i"] for item in run.output] == [0, 1]


def test_verdict_fail() -> None:
    run = asked().do(GiveVerdict(node="call", run=0, verdict="fail"))
    assert run.status == "failed"
    assert run.error.code == "outcome_unknown"


def test_a_verdict_that_nobody_waits_for_is_refused() -> None:
    run = asked().do(GiveVerdict(node="call", run=0, verdict="fail"))
    run.do(GiveVerdict(node="call", run=0, verdict="happened"))
    assert run.last is not None
    assert run.last.outcome.code == "nothing_asked"


def test_a_result_that_comes_while_a_person_is_asked_is_the_answer() -> None:
    run = asked().do(ConcludeAttempt(node="call", run=0, attempt=1, results=[ok(1, {"i": 1})]))
    assert [item["json"]["i"] for item in run.output] == [0, 1]


def test_the_id_of_the_execution_is_in_what_is_asked_for() -> None:
    assert Run(calling()).start([{"n": 1}]).attempt("call").execution_id == EXECUTION


def test_a_verdict_while_other_items_are_still_to_be_tried() -> None:
    document = calling("POST", on_unknown_outcome="ask", retry={"attempts": 2, "delay_seconds": 60})
    run = Run(document).start([{"n": 1}, {"n": 2}]).conclude("call", [failed(0, unknown=True), failed(1)])
    assert run.status == "running"
    run.do(GiveVerdict(node="call", run=0, verdict="happened", result={"i": 0}))
    assert run.status == "running"
    run.do(GiveVerdict(node="call", run=0, verdict="happened", result={"i": 9}))
    assert run.last is not None
    assert run.last.outcome.code == "nothing_asked"
    run.pass_time(60_000)
    assert run.attempt("call").indexes == [1]
    run.conclude("call", [ok(1, {"i": 1})])
    assert [item["json"]["i"] for item in run.output] == [0, 1]


def test_run_again_while_another_attempt_is_under_way_waits_for_it() -> None:
    document = calling("POST", on_unknown_outcome="ask", retry={"attempts": 2, "delay_seconds": 60})
    run = Run(document).start([{"n": 1}, {"n": 2}]).conclude("call", [failed(0, unknown=True), failed(1)])
    run.pass_time(60_000)
    assert run.attempt("call").indexes == [1]
    run.do(GiveVerdict(node="call", run=0, verdict="run_again"))
    assert run.attempt("call").indexes == [1]
    run.conclude("call", [ok(1, {"i": 1})]).pass_time()
    assert run.attempt("call").indexes == [0]
    run.conclude("call", [ok(0, {"i": 0})])
    assert [item["json"]["i"] for item in run.output] == [0, 1]


def test_what_is_run_again_is_not_asked_any_more() -> None:
    run = asked().do(GiveVerdict(node="call", run=0, verdict="run_again"))
    run.do(GiveVerdict(node="call", run=0, verdict="fail"))
    assert run.last is not None
    assert run.last.outcome.code == "nothing_asked"


def test_tries_are_counted_over_a_change_of_owner() -> None:
    run = Run(calling(retry={"attempts": 2})).start([{"n": 1}]).conclude("call", [failed(0)])
    run.restart().pass_time(1_000).conclude("call", [failed(0)])
    assert run.status == "failed"


# verdicts item by item


def told(run: Run, verdict: Any, result: Any = None, **fields: Any) -> Run:
    return run.do(GiveVerdict(node="call", run=0, verdict=verdict, result=result, **fields))


def test_a_verdict_may_hold_for_some_items_only() -> None:
    run = asked([failed(0, unknown=True), failed(1, unknown=True)])
    assert run.of(NodeOutcomeUnknown)[0].waiting_for == [0, 1]
    told(run, "happened", {"id": 7}, items=[1])
    given = run.of(VerdictGiven)[0]
    assert (given.verdict, given.indexes, given.left) == ("happened", [1], [0])
    assert run.status == "waiting"
    told(run, "run_again", items=[0])
    assert run.attempt("call").indexes == [0]
    run.conclude("call", [ok(0, {"id": 3})])
    assert [item["json"]["id"] for item in run.output] == [3, 7]


def test_every_verdict_on_one_item_each() -> None:
    document = calling("POST", on_unknown_outcome="ask", on_error="continue")
    run = Run(document).start([{"n": 1}, {"n": 2}, {"n": 3}])
    run.conclude("call", [failed(index, unknown=True) for index in range(3)])
    told(told(told(run, "fail", items=[2]), "run_again", items=[1]), "happened", {"id": 0}, items=[0])
    assert run.attempt("call").indexes == [1]
    run.conclude("call", [ok(1, {"id": 1})])
    first, second, third = run.output
    assert (first["json"]["id"], second["json"]["id"]) == (0, 1)
    assert third["json"]["error"]["code"] == "outcome_unknown"


@pytest.mark.parametrize("indexes", [[], [0], [1, 2], [-1], [7]])
def test_a_verdict_on_items_that_nobody_asked_about(indexes: list[int]) -> None:
    run = told(asked(), "fail", items=indexes)
    assert run.last is not None
    assert (run.last.outcome.kind, run.last.outcome.code, run.last.events) == ("rejected", "nothing_asked", [])
    assert run.status == "waiting"


def test_a_verdict_counts_once() -> None:
    run = told(asked(), "happened", {"id": 1})
    assert run.status == "completed"
    for again in ("happened", "run_again", "fail"):
        told(run, again)
        assert run.last is not None
        assert (run.last.outcome.code, run.last.events) == ("nothing_asked", [])


def test_what_comes_late_after_a_verdict_to_run_again_is_recorded() -> None:
    run = told(asked(), "run_again")
    run.do(ConcludeAttempt(node="call", run=0, attempt=1, results=[ok(1, {"late": 1})]))
    assert run.of(AttemptConcluded)[-1].late
    run.conclude("call", [ok(1, {"i": 1})])
    assert run.output[1]["json"] == {"i": 1, "seen": True}
