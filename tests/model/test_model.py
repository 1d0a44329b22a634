"""With all rules on nothing goes wrong in any state; with one off the checker finds the trace that it is there for."""

from typing import Any

import pytest

from tests.model.catalogue import ELSEWHERE, SIZES, TRACES, Size, Trace
from tests.model.checker import PROGRESS, Rules, TooLarge, check


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_all_rules_on_nothing_goes_wrong(size: Size) -> None:
    result = check(size.make(**size.bounds))
    print(f"{size}: {result.states:,} states, {result.transitions:,} steps, {result.seconds:.1f} s")
    assert result.violation is None, f"\n{result.violation}"
    assert result.complete
    assert result.states == size.states, "the model was changed: look at what it covers now, then note the count"


@pytest.mark.parametrize("trace", TRACES, ids=str)
def test_a_rule_off_the_trace_is_found(trace: Trace) -> None:
    result = check(trace.model(), only=trace.broken, max_states=400_000)
    assert result.violation is not None
    assert result.violation.broken == trace.broken
    print(f"trace {trace.number}, {result.states:,} states\n{result.violation}")


def test_the_printed_steps_lead_to_what_is_broken() -> None:
    """Followed by their names from the initial state, they end in a state in which the property fails."""
    trace = next(each for each in TRACES if each.number == 2)
    model, found = trace.model(), check(trace.model(), only=trace.broken).violation
    assert found is not None
    state = model.initial()
    for step in found.steps:
        assert trace.broken not in {broken for broken, _ in model.wrong(state)}
        state = next(after for label, after in model.steps(state) if label == step)
    assert trace.broken in {broken for broken, _ in model.wrong(state)}


def test_every_trace_is_somewhere_and_every_rule_has_one() -> None:
    assert {trace.number for trace in TRACES} | set(ELSEWHERE) == set(range(1, 20))
    switched_off = {(trace.make, rule) for trace in TRACES for rule in trace.off}
    for size in SIZES:
        for rule in size.make.names:  # type: ignore[attr-defined]
            assert (size.make, rule) in switched_off, f"nothing goes wrong without {rule!r}"


class _Counter(Rules):
    """Counts to 3; at 2 it may take a way on which it never gets there."""

    def __init__(self, *, trap: bool) -> None:
        super().__init__()
        self.trap = trap

    def initial(self) -> int:
        return 0

    def steps(self, state: int) -> Any:
        if 0 <= state < 3:
            yield "count", state + 1
        if state == 2 and self.trap:
            yield "fall", -1
        if state < 0:
            yield "turn", -1 if state == -2 else -2

    def wrong(self, state: int) -> Any:
        return ()

    def finished(self, state: int) -> bool:
        return state == 3


def test_the_checker_finds_where_nothing_can_finish_any_more() -> None:
    assert check(_Counter(trap=False)).violation is None
    found = check(_Counter(trap=True)).violation
    assert found is not None
    assert (found.broken, found.steps) == (PROGRESS, ["count", "count", "fall"])


def test_a_check_that_is_not_complete_does_not_pass() -> None:
    with pytest.raises(TooLarge):
        check(_Counter(trap=True), max_states=3)


def test_a_rule_that_does_not_exist_cannot_be_off() -> None:
    with pytest.raises(ValueError, match="no rule"):
        SIZES[0].make(["15 nothing"])
