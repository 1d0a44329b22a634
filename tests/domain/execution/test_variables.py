"""`$vars` of an execution: fixed by its first event, whatever becomes of the workspace's variables after that."""

from itertools import pairwise
from typing import Any

from domain.effects import HttpRequest
from domain.execution.commands import Begin, StartExecution, TakenRun
from domain.execution.events import ExecutionQueued
from tests.support.executions import Run, failed, items, node, ok, workflow

CALL = node("call", "http", {"method": "GET", "url": "http://{{ $vars.host }}/"})
SHOW = node("show", "set", {"fields": {"host": "{{ $vars.host }}", "other": "{{ $vars.other }}"}, "keep": False})
ALL = {"host": "one.example", "other": 2, "secretive": "never asked for"}


def run_of(variables: dict[str, Any], *nodes: dict[str, Any], **settings: Any) -> Run:
    chain = [node("start", "manual"), *nodes]
    links = [f"{one['id']} -> {other['id']}" for one, other in pairwise(chain)]
    run = Run(workflow(chain, *links, **settings))
    run.variables = variables
    return run


def recorded(run: Run) -> dict[str, Any]:
    queued = run.events[0]
    assert isinstance(queued, ExecutionQueued)
    return queued.variables


def test_what_it_may_ask_for_is_recorded_and_nothing_else() -> None:
    assert recorded(run_of(ALL, SHOW).start()) == {"host": "one.example", "other": 2}
    assert recorded(run_of(ALL, CALL).start()) == {"host": "one.example"}
    assert recorded(run_of(ALL, node("x", "set", {"fields": {"a": 1}})).start()) == {}
    assert recorded(run_of({}, SHOW).start()) == {}


def test_what_was_recorded_holds_to_the_end() -> None:
    run = run_of(ALL, CALL, SHOW).start()
    run.variables = {"host": "two.example", "other": 3}
    run.restart()
    [request] = run.attempt("call").effects
    assert isinstance(request, HttpRequest)
    assert request.url == "http://one.example/"
    run.conclude("call", [ok(0)])
    assert run.output == [{"json": {"host": "one.example", "other": 2}}]


def test_one_that_waits_its_turn_begins_with_what_was_recorded() -> None:
    run = run_of(ALL, SHOW).start(begin=False)
    run.variables = {"host": "two.example"}
    run.restart()
    assert run.do(Begin()).output == [{"json": {"host": "one.example", "other": 2}}]


def test_a_heavy_run_sees_them_in_the_compute_pool() -> None:
    run = run_of(ALL, SHOW).start([{}] * 2_000)
    assert run.nodes.get("show") is None, "it was to be computed elsewhere"
    assert run.settle().output[1_999] == {"json": {"host": "one.example", "other": 2}}


def test_the_key_of_a_limit_may_name_them() -> None:
    run = run_of({"place": "north"}, concurrency={"limit": 1, "key": "{{ $vars.place }}"}).start()
    queued = run.events[0]
    assert isinstance(queued, ExecutionQueued)
    assert [slot.key for slot in queued.slots] == ["north"]
    assert queued.variables == {"place": "north"}


def test_a_repeat_sees_what_the_first_one_saw() -> None:
    run = run_of(ALL, CALL, retries=1).start().conclude("call", [failed(0)])
    [outgoing] = [each for each in run.commands if isinstance(each.command, StartExecution)]
    again = run_of({"host": "two.example"}, CALL, retries=1).do(outgoing.command)
    assert recorded(again) == {"host": "one.example"}


def test_a_repeat_does_not_see_what_the_first_one_did_not() -> None:
    run = run_of({"host": "one.example"}, SHOW, CALL, retries=1).start().conclude("call", [failed(0)])
    [outgoing] = [each for each in run.commands if isinstance(each.command, StartExecution)]
    again = run_of({"host": "two.example", "other": "new"}, SHOW, CALL, retries=1).do(outgoing.command)
    assert recorded(again) == {"host": "one.example"}


def test_one_that_goes_on_sees_what_was_seen_before_and_now_what_was_not_there() -> None:
    taken = [TakenRun("start", 0, {"main": items({})})]
    run = run_of({"host": "two.example", "other": 3}, SHOW)
    run.start(taken_runs=taken, variables={"host": "one.example", "gone": 1})
    assert recorded(run) == {"host": "one.example", "other": 3}
    assert run.output == [{"json": {"host": "one.example", "other": 3}}]


def test_a_start_that_was_recorded_before_there_were_variables_is_read() -> None:
    queued = ExecutionQueued(
        workflow_id="w", workflow_version=1, trigger_node="start", trigger_type="manual", items=[], queued_at=1
    )
    assert queued.variables == {}
