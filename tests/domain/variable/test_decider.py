"""Variables of a workspace, given-when-then, and as a plain dictionary would have them."""

from random import Random
from typing import Any

import msgspec
import pytest

from domain.decision import Decision
from domain.errors import ImpossibleHistory
from domain.variable import decider as variables
from domain.variable.commands import CreateVariable, DeleteVariable, SetVariable, VariableCommand
from domain.variable.decider import KEPT_REQUESTS, MAX_TOTAL, MAX_VALUE, MAX_VARIABLES, Variables
from domain.variable.events import VariableChanged, VariableCreated, VariableDeleted
from schemas.registry import decode_event, encode_event


class Given:
    """The variables of a workspace that is asked; every state goes through its snapshot and its events."""

    def __init__(self) -> None:
        self.state: Variables | None = None

    def do(self, command: VariableCommand) -> Decision:
        decision = variables.decide(command, self.state, workspace="w", stream_id="variables-w")
        folded = self.state
        for event in decision.events:
            folded = variables.evolve(folded, decode_event(encode_event(event)))
        assert (folded or Variables()) == decision.state
        self.state = variables.restore(variables.snapshot(decision.state))
        assert self.state == decision.state
        return decision

    def refused(self, command: VariableCommand) -> str:
        decision = self.do(command)
        assert decision.events == ()
        return decision.outcome.code or decision.outcome.kind


def test_a_variable_is_made_changed_and_deleted() -> None:
    given = Given()
    assert given.do(CreateVariable("region", "eu1", 5, "where")).events == [
        VariableCreated("region", "eu1", 1, 5, "where")
    ]
    assert given.do(SetVariable("region", ["eu2"], 6)).events == [VariableChanged("region", ["eu2"], 2, 6)]
    assert given.do(SetVariable("rate", None, 7)).events == [VariableCreated("rate", None, 3, 7)]
    assert given.do(DeleteVariable("region", 8)).events == [VariableDeleted("region", 4, 8)]
    assert given.do(CreateVariable("region", 1, 9)).events == [VariableCreated("region", 1, 5, 9)]


def test_the_same_again_is_nothing_new() -> None:
    given = Given()
    given.do(SetVariable("a", {"x": 1, "y": 2}, 1, "d"))
    assert given.refused(SetVariable("a", {"y": 2, "x": 1}, 2, "d")) == "duplicate"
    assert given.do(SetVariable("a", {"x": 1, "y": 2}, 2, "other")).events


def test_who_bases_a_change_on_an_old_version_is_told() -> None:
    given = Given()
    assert given.refused(SetVariable("a", 1, 1, expected_version=1)) == "variable_not_found"
    assert given.refused(SetVariable("a", 1, 1, must_exist=True)) == "variable_not_found"
    given.do(SetVariable("a", 1, 1))
    given.do(SetVariable("a", 2, 2, expected_version=1))
    assert given.refused(SetVariable("a", 3, 3, expected_version=1)) == "version_conflict"
    assert given.refused(DeleteVariable("a", 3, expected_version=1)) == "version_conflict"
    given.do(DeleteVariable("a", 3, expected_version=2))
    assert given.refused(DeleteVariable("a", 4)) == "variable_not_found"
    given.do(SetVariable("a", 1, 5))
    assert given.refused(SetVariable("a", 9, 6, expected_version=1)) == "version_conflict", "another of that name"


def test_the_same_request_makes_one() -> None:
    given = Given()
    asked = CreateVariable("a", 1, 1, request_id="r", fingerprint="f")
    given.do(asked)
    assert given.refused(asked) == "duplicate"
    given.do(SetVariable("a", 2, 2))
    assert given.refused(asked) == "duplicate"
    assert given.refused(CreateVariable("b", 1, 1, request_id="r", fingerprint="other")) == "idempotency_mismatch"
    assert given.refused(CreateVariable("a", 1, 1, request_id="s", fingerprint="f")) == "variable_exists"
    given.do(DeleteVariable("a", 3))
    assert given.refused(asked) == "variable_deleted"
    for number in range(KEPT_REQUESTS):
        given.do(CreateVariable("b", 1, 1, request_id=f"r{number}"))
        given.do(DeleteVariable("b", 1))
    assert given.do(asked).events, "so many requests later it is not known any more"


@pytest.mark.parametrize(
    "name", ["", "1a", "a-b", "a b", "größe", "a.b", "a" * 101, "constructor", "__proto__", "prototype", "a\n"]
)
def test_a_name_is_one_that_expressions_can_read(name: str) -> None:
    for command in (CreateVariable(name, 1, 1), SetVariable(name, 1, 1)):
        decision = Given().do(command)
        assert (decision.outcome.code, decision.outcome.problems[0][0]) == ("invalid_variable", "name")


def test_values_and_descriptions_are_bounded() -> None:
    given = Given()
    most = "x" * (MAX_VALUE - 2)
    given.do(SetVariable("a", most, 1))
    assert given.refused(SetVariable("a", most + "x", 1)) == "invalid_variable"
    assert given.refused(SetVariable("a", 1, 1, "d" * 2_001)) == "invalid_variable"
    for number in range(1, MAX_TOTAL // MAX_VALUE):
        given.do(SetVariable(f"a{number}", most, 1))
    assert given.refused(SetVariable("b", 1, 1)) == "too_many_variables"
    assert given.do(SetVariable("a", "y" * (MAX_VALUE - 2), 1)).events, "in the place of one there is room"


def test_a_workspace_has_so_many_at_most() -> None:
    given = Given()
    for number in range(MAX_VARIABLES):
        given.do(SetVariable(f"v{number}", number, 1))
    assert given.refused(CreateVariable("more", 1, 1)) == "too_many_variables"
    assert given.do(SetVariable("v3", "other", 1)).events
    given.do(DeleteVariable("v3", 1))
    assert given.do(CreateVariable("more", 1, 1)).events


def test_nobody_asks_for_the_variables_of_others() -> None:
    decision = variables.decide(SetVariable("a", 1, 1), None, workspace="w", stream_id="variables-other")
    assert decision.outcome.code == "wrong_stream"


@pytest.mark.parametrize("event", [VariableChanged("a", 1, 1, 1), VariableDeleted("a", 1, 1)])
def test_what_cannot_have_happened_is_no_state(event: Any) -> None:
    with pytest.raises(ImpossibleHistory):
        variables.evolve(None, event)
    created = variables.evolve(None, VariableCreated("a", 1, 1, 1))
    with pytest.raises(ImpossibleHistory):
        variables.evolve(created, VariableCreated("a", 1, 2, 1))


@pytest.mark.parametrize("seed", range(20))
def test_they_are_as_a_dictionary_would_have_them(seed: int) -> None:
    """Whatever is asked in whatever order: names, values and versions; versions only grow."""
    dice, given = Random(seed), Given()
    known: dict[str, tuple[Any, int]] = {}
    newest = 0
    for _ in range(200):
        name, value = dice.choice("abcd"), dice.choice([1, "1", None, [1], {"a": 1}])
        expected = dice.choice([None, known.get(name, (None, 0))[1], newest])
        match dice.randrange(3):
            case 0:
                events, allowed = given.do(CreateVariable(name, value, 1)).events, name not in known
            case 1:
                events = given.do(SetVariable(name, value, 1, expected_version=expected)).events
                fits = expected is None or (name in known and known[name][1] == expected)
                allowed = fits and not (name in known and known[name][0] == value)
            case _:
                events = given.do(DeleteVariable(name, 1, expected_version=expected)).events
                allowed = name in known and expected in (None, known[name][1])
        assert bool(events) == allowed
        for event in events:
            assert event.version == newest + 1
            newest = event.version
            if isinstance(event, VariableDeleted):
                del known[name]
            else:
                known[name] = (event.value, event.version)
        assert given.state is not None
        assert {each: variable.version for each, variable in given.state.variables.items()} == {
            each: version for each, (_, version) in known.items()
        }
        sizes = {each: len(msgspec.json.encode(value)) for each, (value, _) in known.items()}
        assert {each: variable.size for each, variable in given.state.variables.items()} == sizes
