"""Merges, loops, and the promise that an execution never hangs, beyond the golden vectors."""

from typing import Any

import pytest

from domain.effects import Compute, WakeAt
from domain.execution import course
from domain.execution.commands import ConcludeCompute, Resume
from domain.execution.decider import compute_job
from domain.execution.events import ExecutionFailed
from tests.support.executions import Run, items, node, ok, workflow


def passing(id_: str) -> dict[str, Any]:
    return node(id_, "set", {"fields": {id_: True}})


def test_a_merge_waits_for_an_effect_that_can_still_deliver() -> None:
    run = Run(
        workflow(
            [node("start", "manual"), node("call", "http", {"url": "http://x/"}), passing("quick"), node("m", "merge")],
            "start -> call",
            "start -> quick",
            "call -> m.input1",
            "quick -> m.input2",
        )
    ).start([{}])
    assert "m" not in run.nodes
    run.conclude("call", [ok(0, {"slow": True})])
    assert run.output == items({"slow": True}, {"quick": True})


def test_a_merge_waits_for_a_parked_wait() -> None:
    run = Run(
        workflow(
            [node("start", "manual"), node("w", "wait", {"seconds": 60}), node("m", "merge")],
            "start -> w",
            "start -> m.input1",
            "w -> m.input2",
        )
    ).start([{}])
    assert run.status == "waiting"
    run.pass_time(60_000)
    assert run.output == items({}, {})


def test_several_connections_into_one_input_are_rounds() -> None:
    run = Run(
        workflow(
            [node("start", "manual"), passing("a"), passing("b"), passing("c"), node("m", "merge")],
            "start -> a",
            "start -> b",
            "start -> c",
            "a -> m.input1",
            "b -> m.input1",
            "c -> m.input2",
        )
    ).start([{}])
    assert [run_["main"] for run_ in run.nodes["m"]] == [items({"a": True}, {"c": True}), items({"b": True})]


def test_a_merge_in_a_body_does_not_wait_for_its_loop() -> None:
    run = Run(
        workflow(
            [
                node("start", "manual"),
                node("l", "loop", {"batch_size": 1}),
                node("odd", "if", {"condition": "{{ $json.n % 2 }}"}),
                passing("a"),
                passing("b"),
                node("m", "merge"),
                node("end", "noop"),
            ],
            "start -> l",
            "l.loop -> odd",
            "odd.true -> a",
            "odd.false -> b",
            "a -> m.input1",
            "b -> m.input2",
            "m -> l",
            "l.done -> end",
        )
    ).start([{"n": 1}, {"n": 2}, {"n": 3}])
    assert run.output == items({"n": 1, "a": True}, {"n": 2, "b": True}, {"n": 3, "a": True})
    assert len(run.nodes["m"]) == 3


def test_a_loop_goes_on_while_something_unrelated_is_under_way() -> None:
    """The body's merge waits neither for its own loop nor for a call that cannot reach it."""
    run = Run(
        workflow(
            [
                node("start", "manual"),
                node("call", "http", {"url": "http://x/"}),
                node("l", "loop", {"batch_size": 1}),
                node("odd", "if", {"condition": "{{ $json.n % 2 }}"}),
                node("m", "merge"),
                passing("end"),
            ],
            "start -> call",
            "start -> l",
            "l.loop -> odd",
            "odd.true -> m.input1",
            "odd.false -> m.input2",
            "m -> l",
            "l.done -> end",
        )
    ).start([{"n": 1}, {"n": 2}])
    assert run.status == "running"
    assert len(run.nodes["m"]) == 2
    assert run.nodes["end"] == [{"main": items({"n": 1, "end": True}, {"n": 2, "end": True})}]


def test_merges_that_wait_only_for_each_other_do_not_hang() -> None:
    """They stand in the body of a loop that nothing enters: the first in document order runs with what it has."""
    run = Run(
        workflow(
            [node("start", "manual"), node("m1", "merge"), node("m2", "merge"), node("l", "loop"), passing("end")],
            "start -> m1.input1",
            "start -> m2.input1",
            "m1 -> m2.input2",
            "m2 -> l",
            "l.loop -> m1.input2",
            "l.done -> end",
        )
    ).start([{"n": 1}])
    assert run.nodes["m1"] == [{"main": items({"n": 1})}]
    assert run.nodes["m2"] == [{"main": items({"n": 1}, {"n": 1})}]
    assert run.nodes["l"] == [{"done": items({"n": 1}, {"n": 1})}]
    assert run.output == items({"n": 1, "end": True}, {"n": 1, "end": True})


def test_a_loop_with_an_effect_in_its_body() -> None:
    run = Run(
        workflow(
            [
                node("start", "manual"),
                node("l", "loop", {"batch_size": 2}),
                node("call", "http", {"url": "http://x/{{ $json.n }}"}),
                node("end", "aggregate"),
            ],
            "start -> l",
            "l.loop -> call",
            "call -> l",
            "l.done -> end",
        )
    ).start([{"n": 1}, {"n": 2}, {"n": 3}])
    assert run.attempt("call").indexes == [0, 1]
    run.conclude("call", [ok(0, {"r": 1}), ok(1, {"r": 2})])
    assert run.attempt("call").run == 1
    run.restart().conclude("call", [ok(0, {"r": 3})])
    assert run.output == items({"items": [{"r": 1}, {"r": 2}, {"r": 3}]})


def test_a_loop_connected_to_itself() -> None:
    run = Run(
        workflow(
            [node("start", "manual"), node("l", "loop", {"batch_size": 2}), node("end", "noop")],
            "start -> l",
            "l.loop -> l",
            "l.done -> end",
        )
    ).start([{"n": 1}, {"n": 2}, {"n": 3}])
    assert run.output == items({"n": 1}, {"n": 2}, {"n": 3})
    assert len(run.nodes["l"]) == 3


def test_a_loop_without_a_way_back_puts_out_nothing_at_the_end() -> None:
    run = Run(
        workflow(
            [node("start", "manual"), node("l", "loop"), passing("body"), passing("end")],
            "start -> l",
            "l.loop -> body",
            "l.done -> end",
        )
    ).start([{"n": 1}, {"n": 2}])
    assert len(run.nodes["body"]) == 2
    assert "end" not in run.nodes


def test_a_long_loop_lets_others_go_on_and_comes_back() -> None:
    run = Run(
        workflow(
            [node("start", "manual"), node("l", "loop"), passing("body"), node("end", "aggregate")],
            "start -> l",
            "l.loop -> body",
            "body -> l",
            "l.done -> end",
        )
    ).start([{"n": n} for n in range(1_000)])
    assert run.status == "running"
    assert isinstance(run.open[-1], WakeAt)
    assert run.state is not None
    assert run.state.next_due == 0
    decisions = 1
    while run.status == "running":
        decisions += 1
        run.pass_time()
    assert 5 <= decisions <= 20
    assert [entry["n"] for entry in run.output[0]["json"]["items"]] == list(range(1_000))


def test_an_endless_loop_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(course, "MAX_RUNS", 1_000)
    run = Run(
        workflow(
            [node("start", "manual"), node("l", "loop"), passing("body")],
            "start -> l",
            "l.loop -> body",
            "body -> l",
            "l.done -> body",
        )
    ).start([{"n": 1}])
    while run.status == "running":
        run.pass_time()
    assert isinstance(run.end, ExecutionFailed)
    assert run.error.code == "too_many_runs"


def heavy(count: int) -> Run:
    document = workflow(
        [
            node("start", "manual"),
            node("big", "set", {"fields": {"twice": "{{ $json.n * 2 + $('start').all().length }}"}}),
            node("small", "set", {"fields": {"small": "{{ $('small_first').all().length }}"}}),
            node("small_first", "limit", {"count": 1}),
            node("call", "http", {"url": "http://x/"}),
        ],
        "start -> big",
        "start -> small_first",
        "small_first -> small",
        "start -> call",
    )
    return Run(document).start([{"n": n} for n in range(count)])


def test_a_heavy_run_is_computed_elsewhere_and_keeps_its_place() -> None:
    run = heavy(600)
    assert [type(effect) for effect in run.open if isinstance(effect, Compute)] == [Compute]
    assert "small_first" not in run.nodes
    assert run.attempt("call").attempt == 1
    run.pass_time(10)
    assert len([effect for effect in run.open if isinstance(effect, Compute)]) == 1
    run.compute()
    assert run.nodes["big"][0]["main"][3] == {"json": {"n": 3, "twice": 606}}
    assert list(run.nodes) == ["start", "big", "small_first", "small"]


def test_a_new_owner_asks_for_the_computation_again() -> None:
    run = heavy(600).restart()
    run.compute()
    assert "small" in run.nodes
    same = heavy(600).do(Resume())
    assert len([effect for effect in same.open if isinstance(effect, Compute)]) == 2
    same.compute()
    assert same.state is not None
    assert compute_job(same.state, "big", 0, same.graph) is None
    assert same.do(ConcludeCompute(node="big", run=0, result=b"")).last is not None
    assert same.last is not None
    assert same.last.outcome.code == "not_under_way"
    assert len(same.nodes["big"]) == 1


def test_an_expression_that_needs_many_steps_is_computed_elsewhere() -> None:
    expression = "{{ Array.from({length: 200}, (_, i) => i).map(i => [1,2,3].map(x => x * i).length).length }}"
    document = workflow(
        [node("start", "manual"), node("x", "set", {"fields": {"n": expression.replace("200", "4000")}})], "start -> x"
    )
    run = Run(document).start([{}])
    assert isinstance(run.open[0], Compute)
    run.compute()
    assert run.output == items({"n": 4000})


def test_a_failure_in_the_pool_is_the_nodes_failure() -> None:
    document = workflow(
        [node("start", "manual"), node("x", "set", {"fields": {"a": "{{ $json.n.x.y }}"}})], "start -> x"
    )
    run = Run(document).start([{"n": n} for n in range(600)])
    run.compute()
    assert run.status == "failed"
    assert run.error.node_id == "x"
