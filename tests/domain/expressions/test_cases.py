"""Hundreds of worked expressions (cases.json): their values and errors were recorded from Node.js."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.domain.expressions.test_against_node import NODE, by_node, by_us

CASES: list[tuple[str, Any]] = [
    (source, expected) for source, expected in json.loads((Path(__file__).parent / "cases.json").read_text("utf-8"))
]


def is_error(result: Any) -> bool:
    return isinstance(result, dict) and "error" in result


@pytest.mark.parametrize(("source", "expected"), CASES, ids=[source for source, _ in CASES])
def test_a_case_gives_what_was_recorded(source: str, expected: Any) -> None:
    ours = by_us(source)
    if is_error(expected):
        assert is_error(ours)
    else:
        assert ours == expected


@pytest.mark.skipif(NODE is None, reason="Node.js is not on this machine: the recorded results are not checked")
def test_the_recorded_results_are_those_of_node() -> None:
    for (source, expected), theirs in zip(CASES, by_node([source for source, _ in CASES]), strict=True):
        if is_error(theirs):
            assert expected == {"error": theirs["error"]}, source
        else:
            assert theirs == expected, source


def test_an_error_says_what_is_wrong_and_where() -> None:
    for source, code, words in [
        ("1 +", "expression_syntax", "an expression expected at position 7"),
        ("$jsn.a", "expression_reference", "unknown name '$jsn' (did you mean $json?)"),
        ("$json.missing.x", "expression_type", "cannot read 'x' of undefined ($json.missing)"),
        ("$json.s.zork()", "expression_type", "$json.s.zork is not a function"),
        ("$json.n = 1", "expression_unsupported", "cannot assign"),
        ("/x+(/", "expression_syntax", "regular expression /x+(/: a group has no end at position 3"),
        ("/x/v", "expression_unsupported", "the flag v"),
        ("$json.xs.push(4)", "expression_unsupported", "use [...array, value]"),
        ("Math.random()", "expression_unsupported", "Math.random is not available"),
        ("[...$json.n]", "expression_type", "$json.n is a number, an array is needed"),
        ("JSON.parse('{')", "expression_syntax", "the text is not JSON"),
        ("'x'.repeat(-1)", "expression_range", "repeat takes a count"),
        ("new Date()", "expression_unsupported", "'new' is not supported"),
        ("[1].map(1)", "expression_type", "map takes a function, not a number"),
    ]:
        ours = by_us(source)
        assert is_error(ours), source
        assert ours["error"] == code, source
        assert words in ours["message"], source


def test_holes_of_arrays_are_undefined() -> None:
    assert by_us("[1, , 3].map(x => typeof x)") == ["number", "undefined", "number"]


def test_nothing_changes_the_data() -> None:
    from tests.domain.expressions.generator import DATA

    before = json.dumps(DATA)
    for source in ["$json.xs.sort()", "$json.xs.reverse()", "$json.xs.fill(0)", "Object.assign($json.o, {a: 9})"]:
        by_us(source)
    assert json.dumps(DATA) == before
    assert by_us("Object.assign($json.o, {a: 9}).a") == {"number": "9"}
