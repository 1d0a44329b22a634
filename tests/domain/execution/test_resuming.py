"""Going on where another execution failed: recorded runs are taken over, what is left runs anew."""

from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.execution import course
from domain.execution.commands import TakenRun
from domain.execution.events import TERMINAL, NodeCompleted
from domain.execution.resuming import DoesNotFit, check_fit
from tests.domain.execution.test_random_workflows import drive, random_workflow, step
from tests.support.executions import EXECUTION, Run, compiled, items, node, ok, workflow


def taken_from(run: Run) -> list[TakenRun]:
    """What the read model has of an ended execution: its completed runs in the order of their ends."""
    return [
        TakenRun(node=e.node, run=e.run, outputs=e.outputs, sources=e.sources, attempts=e.attempts)
        for e in run.of(NodeCompleted)
    ]


def chain(**fields: Any) -> dict[str, Any]:
    first = node("first", "http", {"method": "POST", "url": "http://x/"})
    second = node("second", "http", {"url": "http://y/{{ $('first').first().json.id }}"}, **fields)
    return workflow([node("start", "manual"), first, second], "start -> first", "first -> second")


def failed_chain() -> Run:
    run = Run(chain()).start([{"n": 1}]).conclude("first", [ok(0, {"id": 7})])
    return run.conclude("second", [ok(0, status=404)])


def test_the_effects_before_the_failed_node_do_not_happen_again() -> None:
    old = failed_chain()
    assert old.status == "failed"
    run = Run(chain()).start([{"n": 1}], taken_runs=taken_from(old), retry_of=EXECUTION)
    assert [effect.node for effect in run.open if hasattr(effect, "effects")] == ["second"]
    assert run.attempt("second").effects[0].url == "http://y/7"
    assert [event.taken for event in run.of(NodeCompleted)] == [True, True]
    run.conclude("second", [ok(0, {"fine": True})])
    assert run.output == items({"fine": True})
    assert not run.of(NodeCompleted)[-1].taken


def test_another_version_goes_on_with_its_own_nodes() -> None:
    mended = chain(on_error="continue")
    mended["nodes"][2]["parameters"]["url"] = "http://z/"
    mended["nodes"].append(node("more", "set", {"fields": {"more": True}}))
    mended["connections"].append({"from": "second", "to": "more"})
    run = Run(mended).start([{"n": 1}], taken_runs=taken_from(failed_chain()))
    assert run.attempt("second").effects[0].url == "http://z/"
    run.conclude("second", [ok(0, {"fine": True})])
    assert run.output == items({"fine": True, "more": True})


def test_a_version_that_it_does_not_fit_is_refused() -> None:
    taken = taken_from(failed_chain())
    renamed = chain()
    renamed["nodes"][1]["id"] = "erst"
    renamed["nodes"][2]["parameters"]["url"] = "http://y/"
    renamed["connections"] = [{"from": "start", "to": "erst"}, {"from": "erst", "to": "second"}]
    with pytest.raises(DoesNotFit) as missing:
        check_fit(EXECUTION, compiled(renamed), "start", taken)
    assert missing.value.node == "first"
    longer = chain()
    longer["nodes"].append(node("new", "noop"))
    longer["connections"] = [
        {"from": "start", "to": "new"}, {"from": "new", "to": "first"}, {"from": "first", "to": "second"}
    ]  # fmt: skip
    run = Run(longer).start([{}], taken_runs=taken)
    assert run.state is None
    assert run.last is not None
    assert (run.last.outcome.kind, run.last.outcome.code) == ("rejected", "version_does_not_fit")


def test_it_begins_at_once_under_pressure_too() -> None:
    run = Run(chain()).start([{"n": 1}], taken_runs=taken_from(failed_chain()), begin=False)
    assert run.status == "running"


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(min_value=0, max_value=2**32))
def test_every_failed_execution_can_go_on_and_ends_once(seed: int) -> None:
    """Whatever loops, merges and parallel branches stood when a random workflow failed."""
    from random import Random

    with patch.object(course, "MAX_RUNS", 100):
        old = drive(seed)
        taken = taken_from(old)
        random = Random(seed)
        run = Run(random_workflow(random))
        run.start([{"n": number} for number in range(random.randint(0, 4))], taken_runs=taken)
        assert [(e.node, e.run) for e in run.of(NodeCompleted)][: len(taken)] == [(t.node, t.run) for t in taken]
        for _ in range(5_000):
            assert run.state is not None
            if run.state.closed:
                break
            step(random, run)
    assert sum(isinstance(event, TERMINAL) for event in run.events) == 1
    done = [(event.node, event.run) for event in run.of(NodeCompleted)]
    assert len(done) == len(set(done)), "a run that was taken over was done again"
