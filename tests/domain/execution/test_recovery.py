"""An execution can change hands after every decision, and its state is nothing but the fold of its events."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from domain.effects import PerformAttempt
from domain.errors import ImpossibleHistory
from domain.execution.decider import evolve, fold, restore, snapshot
from domain.execution.events import ExecutionEvent, NodeCompleted
from tests.domain.execution.test_vectors import VECTORS, check, load
from tests.support.executions import EXECUTION, Run, compiled, failed, node, ok, view, workflow


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_every_prefix_of_a_history_gives_the_same_state_in_every_way(path: Path) -> None:
    vector = load(path)
    run = Run(vector["workflow"]).start(vector["input"]).settle()
    check(vector, run)
    graph = run.graph
    state = None
    for count, event in enumerate(run.events, start=1):
        decoded = msgspec.json.decode(msgspec.json.encode(event), type=type(event))
        state = evolve(state, decoded, graph, execution_id=EXECUTION)
        state = restore(snapshot(state), graph)
        from_scratch = fold(None, run.events[:count], graph, execution_id=EXECUTION)
        assert view(state) == view(from_scratch)
    assert run.state is not None
    assert view(state) == view(run.state)  # type: ignore[arg-type]


CALLS = workflow(
    [
        node("start", "manual"),
        node("l", "loop", {"batch_size": 2}),
        node("a", "http", {"url": "http://x/{{ $json.n }}"}, retry={"attempts": 3}),
        node("b", "http", {"url": "http://x/", "method": "PUT"}, on_error="continue"),
        node("w", "wait", {"seconds": 20}),
        node("m", "merge", {"mode": "combine_by_position"}),
        node("end", "set", {"fields": {"all": "{{ $('a').all().length }}"}}),
    ],
    "start -> l",
    "l.loop -> a",
    "l.loop -> b",
    "l.loop -> w",
    "a -> m.input1",
    "b -> m.input2",
    "w -> m.input3",
    "m -> l",
    "l.done -> end",
)


def drive(run: Run, *, restart_at: int | None) -> Run:
    """Answer every attempt in the same way; a new owner takes over after decision number `restart_at`."""
    run.start([{"n": 0}, {"n": 1}, {"n": 2}])
    answered = 0
    failed_before: set[int] = set()
    while run.status in {"running", "waiting"}:
        if answered == restart_at:
            run.restart()
        answered += 1
        attempts = sorted({(e.node, e.run) for e in run.open if isinstance(e, PerformAttempt)})
        if not attempts:
            assert run.state is not None
            assert run.state.next_due is not None
            run.now = max(run.now, run.state.next_due)
            run.pass_time()
            continue
        name, number = attempts[0]
        attempt = run.attempt(name)
        if name == "a" and number not in failed_before:
            failed_before.add(number)
            run.conclude(name, [failed(index) for index in attempt.indexes])
        else:
            run.conclude(name, [ok(index, {name: number, "i": index}) for index in attempt.indexes])
    return run


def outputs(run: Run) -> dict[str, Any]:
    return {name: runs for name, runs in run.nodes.items() if name != "start"}


def test_a_new_owner_after_any_decision_comes_to_the_same_end() -> None:
    undisturbed = drive(Run(CALLS), restart_at=None)
    assert undisturbed.status == "completed"
    assert [item["json"] for item in undisturbed.output] == [
        {"a": 0, "i": 0, "b": 0, "n": 0, "all": 1},
        {"a": 0, "i": 1, "b": 0, "n": 1, "all": 1},
        {"a": 1, "i": 0, "b": 1, "n": 2, "all": 1},
    ]
    for place in range(12):
        again = drive(Run(CALLS), restart_at=place)
        assert again.status == "completed"
        assert outputs(again) == outputs(undisturbed)
        assert again.output == undisturbed.output


def test_a_parked_execution_is_small() -> None:
    document = workflow(
        [node("start", "webhook"), node("w", "wait", {"seconds": 60}), node("end", "set", {"fields": {"x": 1}})],
        "start -> w",
        "w -> end",
    )
    body = {"body": {"n": 21, "name": "user21"}, "query": {}, "method": "POST", "params": {}}
    headers = {f"header-{number}": "a value of some length" for number in range(8)}
    run = Run(document).start([{**body, "headers": headers}], fingerprint="f" * 64)
    assert run.status == "waiting"
    assert run.state is not None
    assert len(snapshot(run.state)) <= 1_500


def test_numbers_beyond_64_bits_survive() -> None:
    document = workflow([node("start", "manual"), node("w", "wait", {"seconds": 60})], "start -> w")
    run = Run(document).start([{"n": 10**30, "x": 1.0}]).restart().pass_time(60_000)
    assert run.output == [{"json": {"n": 10**30, "x": 1.0}}]
    assert type(run.output[0]["json"]["x"]) is float


def test_a_closed_execution_holds_nothing() -> None:
    run = Run(workflow([node("start", "manual"), node("e", "noop")], "start -> e")).start([{"x": "y" * 10_000}])
    assert run.state is not None
    assert len(snapshot(run.state)) < 300


def test_outputs_are_kept_only_for_nodes_that_expressions_name() -> None:
    nodes = [
        node("start", "manual"),
        node("a", "noop"),
        node("b", "noop"),
        node("w", "wait", {"seconds": 60}),
    ]
    end = node("end", "set", {"fields": {"n": "{{ $('a').first().json.n }}"}})
    links = ["start -> a", "a -> b", "b -> w", "w -> end"]
    run = Run(workflow([*nodes, end], *links)).start([{"n": 5}])
    assert run.state is not None
    assert list(run.state.outputs) == [1]
    assert run.restart().pass_time(60_000).output[0]["json"]["n"] == 5
    computed = node("end", "set", {"fields": {"n": "{{ $('a' + '').first().json.n }}"}})
    run = Run(workflow([*nodes, computed], *links)).start([{"n": 5}])
    assert run.state is not None
    assert list(run.state.outputs) == [0, 1, 2]


def test_an_impossible_history_is_named() -> None:
    graph = compiled(workflow([node("start", "manual"), node("e", "noop")], "start -> e"))
    events: list[ExecutionEvent] = [NodeCompleted(node="nobody", run=0, outputs={})]
    with pytest.raises(ImpossibleHistory, match="nobody"):
        fold(None, events, graph, execution_id=EXECUTION)
    with pytest.raises(ImpossibleHistory):
        fold(None, [NodeCompleted(node="e", run=3, outputs={})], graph, execution_id=EXECUTION)
    with pytest.raises(ImpossibleHistory):
        restore(b"[1, 2, 3]", graph)
