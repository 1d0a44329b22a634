"""Random workflows that call each other, with commands late, twice and out of step: all end, once, and agree."""

from random import Random
from typing import Any
from unittest.mock import patch

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from domain.execution import course
from domain.execution.commands import CancelExecution
from domain.execution.endings import EXECUTION_STREAM, end_of
from domain.execution.events import TERMINAL, ChildConcluded, ExecutionQueued
from tests.domain.execution.test_random_workflows import random_workflow, same_again, step
from tests.support.executions import Run
from tests.support.family import CHILD, OTHER, PARENT, Family

MOST_RUNS = 200
"""Families that multiply beyond this are left out: they end, but nobody waits for that."""


def called(document: dict[str, Any]) -> dict[str, Any]:
    """The same workflow, for others to call."""
    first, *others = document["nodes"]
    return {**document, "nodes": [{**first, "type": "execute_workflow_trigger"}, *others]}


def family(random: Random) -> Family:
    parent, child, other = (random_workflow(random) for _ in range(3))
    parent["settings"]["error_workflow"] = CHILD
    all_ = Family({PARENT: parent, CHILD: called(child), OTHER: called(other)})
    all_.start(PARENT, [{"n": number} for number in range(random.randint(1, 3))])
    return all_


def deliver_one(random: Random, all_: Family, delivered: list[Any]) -> None:
    """The oldest command to some stream, or one that arrived before, once more."""
    if delivered and random.random() < 0.2:
        all_.deliver(random.choice(delivered))
        return
    stream = random.choice(all_.waiting).stream
    command = next(each for each in all_.waiting if each.stream == stream)
    all_.waiting.remove(command)
    delivered.append(command)
    all_.deliver(command)


def drive(seed: int) -> Family:
    random = Random(seed)
    all_ = family(random)
    delivered: list[Any] = []
    for _ in range(8_000):
        assume(len(all_.runs) <= MOST_RUNS)
        busy = [run for run in all_.runs.values() if run.state and not run.state.closed and not run.state.dormant]
        if all_.waiting and (not busy or random.random() < 0.5):
            deliver_one(random, all_, delivered)
        elif busy:
            run = random.choice(busy)
            run.now = all_.now
            if random.random() < 0.002:
                run.do(CancelExecution())
            else:
                step(random, run, alone=False)
            same_again(run)
            all_.now = max(all_.now, run.now)
            all_.collect(run)
        elif all(run.state is not None and run.state.closed for run in all_.runs.values()):
            return all_
    raise AssertionError(f"seed {seed}: they do not end")


def check(run: Run, all_: Family) -> None:
    """It ended once, and what it was told of its children is what became of them."""
    assert len([event for event in run.events if isinstance(event, TERMINAL)]) == 1
    assert len([event for event in run.events if isinstance(event, ExecutionQueued)]) == 1
    for event in run.of(ChildConcluded):
        child = all_.runs.get(event.child)
        if event.status == "refused":
            assert child is None
        elif event.status != "timeout":  # the node's own time-out may be faster than the child's end
            assert child is not None
            end = end_of(event.child, child.end)  # type: ignore[arg-type]
            assert (end.status, end.output) == (event.status, event.output)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(min_value=0, max_value=2**32))
def test_families_end_and_agree(seed: int) -> None:
    with patch.object(course, "MAX_RUNS", 30):
        all_ = drive(seed)
    for run in all_.runs.values():
        check(run, all_)
    started = [command.stream.removeprefix(EXECUTION_STREAM) for command in all_.sent if command.id]
    assert set(all_.runs) <= {*started, next(iter(all_.runs))}
