"""Runs of many items: attempts have 200 items each; a round of tries ends before the next one begins."""

from domain.effects import ItemResult
from domain.execution.commands import Resume
from domain.execution.events import NodeAttempted, NodeOutcomeUnknown, RetryScheduled
from tests.domain.execution.test_attempts import calling
from tests.support.executions import Run, failed, ok

MANY = [{"n": number} for number in range(450)]


def answers(run: Run, bad: set[int]) -> list[ItemResult]:
    return [failed(index) if index in bad else ok(index, {"i": index}) for index in run.attempt("call").indexes]


def test_items_go_in_attempts_one_after_the_other() -> None:
    run = Run(calling()).start(MANY)
    for _ in range(3):
        run.conclude("call", answers(run, set()))
    assert [len(event.indexes) for event in run.of(NodeAttempted)] == [200, 200, 50]
    assert [event.attempt for event in run.of(NodeAttempted)] == [1, 2, 3]
    assert [item["json"]["i"] for item in run.output] == list(range(450))


def test_every_item_has_all_its_tries_whichever_attempt_it_is_in() -> None:
    bad = {0, 250, 449}
    run = Run(calling(retry={"attempts": 2, "delay_seconds": 1})).start(MANY)
    for _ in range(3):
        run.conclude("call", answers(run, bad))
    assert [event.indexes for event in run.of(RetryScheduled)] == [sorted(bad)]
    run.pass_time(1_000).conclude("call", answers(run, set()))
    assert [item["json"]["i"] for item in run.output] == list(range(450))


def test_many_items_are_tried_again_in_attempts_too() -> None:
    run = Run(calling(retry={"attempts": 2, "delay_seconds": 1})).start(MANY)
    for _ in range(3):
        run.conclude("call", answers(run, set(range(450))))
    run.pass_time(1_000)
    for _ in range(3):
        run.conclude("call", answers(run, set()))
    assert [len(event.indexes) for event in run.of(NodeAttempted)] == [200, 200, 50] * 2
    assert run.status == "completed"


def test_a_crash_repeats_only_the_attempt_that_was_under_way() -> None:
    run = Run(calling()).start(MANY)
    run.conclude("call", answers(run, set())).restart().do(Resume())
    assert run.attempt("call").indexes == list(range(200, 400))
    for _ in range(2):
        run.conclude("call", answers(run, set()))
    assert run.status == "completed"


def test_what_nobody_knows_in_one_attempt_lets_the_others_go_on_where_errors_continue() -> None:
    run = Run(calling("POST", on_error="continue")).start(MANY)
    run.conclude("call", [failed(index, unknown=index == 7) for index in run.attempt("call").indexes])
    for _ in range(2):
        run.conclude("call", answers(run, set()))
    assert [event.indexes for event in run.of(NodeOutcomeUnknown)] == [[7]]
    assert run.output[7]["json"]["error"]["code"] == "outcome_unknown"
    assert run.status == "completed"


def test_an_item_that_cannot_be_described_in_a_later_attempt_fails_the_run() -> None:
    jsons = [{"n": {"deep": number}} if number != 300 else {} for number in range(450)]
    document = calling(parameters={"url": "http://x/{{ $json.n.deep }}"})
    run = Run(document).start(jsons).conclude("call", [ok(index) for index in range(200)])
    assert run.status == "failed"
    assert len(run.of(NodeAttempted)) == 1
