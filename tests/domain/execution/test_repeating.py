"""`settings.retries`: the commit that ends an execution starts the one that repeats it."""

from typing import Any

import pytest

from domain.decision import OutgoingCommand
from domain.execution.commands import Begin, CancelExecution, GrantSlot, StartExecution
from domain.execution.decider import decide
from domain.execution.events import Origin
from tests.support.executions import CLOCK, EXECUTION, NOW, Run, failed, items, node, ok, workflow


def repeated(retries: Any = 2, method: str = "GET") -> dict[str, Any]:
    call = node("call", "http", {"method": method, "url": "http://x/"})
    return workflow([node("start", "manual"), call], "start -> call", retries=retries, timeout_seconds=30)


def sent(run: Run) -> list[OutgoingCommand]:
    assert run.last is not None
    return list(run.last.commands)


def next_of(run: Run, document: dict[str, Any]) -> Run:
    """The execution that a failed one started."""
    [outgoing] = sent(run)
    command: StartExecution = outgoing.command
    assert outgoing.stream == f"execution-{command.execution_id}"
    following = Run(document, now=run.now)
    following.do(command)
    assert following.state is not None
    following.state.id = command.execution_id
    return following


def test_a_failed_execution_is_repeated_later_with_the_same_input() -> None:
    document = repeated({"count": 2, "delay_seconds": 10})
    first = Run(document).start([{"n": 1}]).conclude("call", [failed(0)])
    assert first.status == "failed"
    second = next_of(first, document)
    assert second.state is not None
    assert (second.status, second.state.next_due) == ("queued", NOW + 10_000)
    queued = second.events[0]
    assert (queued.retry_of, queued.retry_count, queued.first) == (EXECUTION, 1, EXECUTION)  # type: ignore[union-attr]
    second.do(Begin())
    assert second.status == "queued", "its time has not come, whatever room there is"
    second.restart().pass_time(9_999)
    assert second.status == "queued"
    second.pass_time(1).conclude("call", [failed(0)])
    third = next_of(second, document)
    assert third.state is not None
    assert third.state.next_due == second.now + 20_000
    third.pass_time(20_000).conclude("call", [failed(0)])
    assert third.status == "failed"
    assert sent(third) == [], "two repeats were asked for"


def test_whoever_sends_the_start_twice_starts_one() -> None:
    document = repeated()
    first, again = (Run(document).start([{"n": 1}]).conclude("call", [failed(0)]) for _ in range(2))
    assert sent(first) == sent(again)
    second = next_of(first, document)
    [outgoing] = sent(again)
    decision = decide(
        outgoing.command, second.state, second.graph, execution_id=outgoing.command.execution_id, now=NOW, clock=CLOCK
    )
    assert (decision.outcome.kind, decision.events) == ("duplicate", [])


def test_a_repeat_that_succeeds_is_the_last() -> None:
    document = repeated()
    second = next_of(Run(document).start([{"n": 1}]).conclude("call", [failed(0)]), document)
    second.pass_time(1_000).conclude("call", [ok(0, {"done": 1})])
    assert second.output == items({"done": 1})
    assert sent(second) == []


def test_cancelled_and_completed_executions_are_not_repeated() -> None:
    run = Run(repeated()).start([{}]).do(CancelExecution())
    assert (run.status, sent(run)) == ("cancelled", [])
    waiting = next_of(Run(repeated()).start([{}]).conclude("call", [failed(0)]), repeated())
    waiting.do(CancelExecution())
    assert (waiting.status, sent(waiting)) == ("cancelled", [])
    waiting.pass_time(100_000)
    assert waiting.status == "cancelled"


def test_a_time_out_is_repeated() -> None:
    run = Run(repeated()).start([{}]).pass_time(30_000)
    assert run.status == "timeout"
    assert len(sent(run)) == 1


@pytest.mark.parametrize(
    ("on", "code", "again"),
    [(["all"], "connect", True), (["connect"], "connect", True), (["timeout"], "connect", False),
     (["retriable"], "connect", True)],
)  # fmt: skip
def test_on_which_failures(on: list[str], code: str, again: bool) -> None:
    run = Run(repeated({"count": 1, "on": on})).start([{}]).conclude("call", [failed(0, code)])
    assert bool(sent(run)) is again


def test_an_unknown_outcome_is_repeated_only_where_it_is_named() -> None:
    for on, again in ((["all"], False), (["all", "outcome_unknown"], True)):
        run = Run(repeated({"count": 1, "on": on}, "POST")).start([{}]).conclude("call", [failed(0, unknown=True)])
        assert run.error.code == "outcome_unknown"
        assert bool(sent(run)) is again


def test_none_are_kept_or_sent_without_being_asked_for() -> None:
    run = Run(repeated(0)).start([{"n": 1}])
    assert run.state is not None
    assert run.state.items is None
    assert sent(run.conclude("call", [failed(0)])) == []


def test_only_the_last_tells_who_asked_for_it_by_the_id_that_is_known_there() -> None:
    document = repeated(1)
    origin = Origin(kind="schedule", stream="schedule-1", ref="r")
    first = Run(document).start([{}], origin=origin).conclude("call", [failed(0)])
    [start] = sent(first)
    assert (start.command.origin, start.command.first) == (origin, EXECUTION)


def test_what_a_parent_waits_for_is_not_repeated_behind_its_back() -> None:
    origin = Origin(kind="parent", stream="execution-p", node="sub")
    run = Run(repeated(1)).start([{}], origin=origin).conclude("call", [failed(0)])
    assert [type(each.command).__name__ for each in sent(run)] == ["ConcludeChild"]


def test_an_execution_that_is_repeated_gives_its_places_back() -> None:
    document = repeated(1)
    document["settings"]["concurrency"] = {"limit": 1}
    run = Run(document).start([{}])
    [asked] = sent(run)
    run.do(GrantSlot(stream=asked.stream, key="")).conclude("call", [failed(0)])
    start, back = sent(run)
    assert start.command.retry_of == EXECUTION
    assert (type(back.command).__name__, back.stream) == ("ReleaseSlot", asked.stream)
    second = Run(document, now=run.now).do(start.command)
    assert sent(second) == [], "it asks for a place when its time has come"
    second.pass_time(1_000)
    assert [each.stream for each in sent(second)] == [asked.stream]
