"""The functions beyond JavaScript: their documented examples, any arguments, large data, dates in zones."""

# ruff: noqa: E501 - tables

import random
import time
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest

from domain.expressions import UNDEFINED, ExpressionError, Scope, compile_value
from domain.expressions.conveniences.registry import EXAMPLES_NOW, EXAMPLES_ZONE, KINDS
from domain.expressions.methods import REGISTRY
from linkflow import expression_docs
from tests.domain.expressions.test_closed import is_json

OWNERS = {
    "string": ["''", "'Hello World'", "'ada@example.com'", "'2025-02-30'", "'😀é\ud800'", "'<<<[[['"],
    "number": ["(0)", "(-1.5)", "(1e300)", "NaN", "(-Infinity)", "(9007199254740993)"],
    "boolean": ["true"],
    "array": ["[]", "[3, 'a', null, {a: 1, b: {c: 2}}, [1], undefined, NaN, true, $now]", "[{a: 1}, {a: 2}]"],
    "object": ["({})", "({a: 1, b: {c: [2]}, 'd e': null, f: 'text', 3: $now})"],
    "date": ["$now", "$today", "DateTime.utc(9999, 12, 31)", "DateTime.utc(1)"],
    "DateTime": ["DateTime"],
}
ARGUMENTS = ["", "undefined", "null", "0", "-1", "2.5", "1e308", "NaN", "'a'", "'b.c'", "'day'", "'2025-01-01'", "[]", "[1, 'a']", "['days', 'hours']", "{}", "{a: 'b', zone: 'UTC'}", "{hour: 99}", "x => x", "(a, b) => b", "true", "$now", "/a/g", "'__class__'", "Infinity", "'{{'", "Math", "$input"]  # fmt: skip


def evaluate(source: str, json: Any = None, **settings: Any) -> Any:
    scope = Scope(json or {}, **{"now": EXAMPLES_NOW, "timezone": EXAMPLES_ZONE, **settings})
    return compile_value("{{ " + source + " }}").evaluate_json(scope)


@pytest.mark.parametrize(
    ("source", "expected"), [pytest.param(*example, id=example[0]) for entry in REGISTRY for example in entry.examples]
)
def test_an_example_gives_what_the_documentation_says(source: str, expected: Any) -> None:
    result = evaluate(source)
    assert result == expected
    assert type(result) is type(expected)


def test_every_function_is_documented_once() -> None:
    assert len(REGISTRY) >= 80
    assert all(entry.docs.endswith((".", "…")) and entry.examples and entry.kind in KINDS for entry in REGISTRY)
    assert [key for key, count in Counter((entry.kind, entry.name) for entry in REGISTRY).items() if count > 1] == []


def test_the_page_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert expression_docs.main(["--check"]) == 0, "run python -m linkflow.expression_docs"


def test_an_old_page_is_found_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(expression_docs, "TARGET", tmp_path / "expressions.md")
    assert expression_docs.main(["--check"]) == 1
    assert expression_docs.main([]) == 0
    assert expression_docs.main(["--check"]) == 0


@pytest.mark.parametrize("entry", REGISTRY, ids=lambda entry: f"{entry.kind}.{entry.name}")
def test_any_arguments_give_json_or_an_error(entry: Any) -> None:
    chance = random.Random(entry.name)
    for owner in OWNERS[entry.kind]:
        for argument in ARGUMENTS:
            more = f", {chance.choice(ARGUMENTS[1:])}" if argument and chance.random() < 0.5 else ""
            source = f"{owner}.{entry.name}({argument}{more})"
            with suppress(ExpressionError):
                result = evaluate(source)
                assert result is UNDEFINED or is_json(result), source


@pytest.mark.parametrize(
    "entry", [entry for entry in REGISTRY if entry.kind in {"string", "array", "object"}], ids=lambda entry: f"{entry.kind}.{entry.name}"
)  # fmt: skip
def test_large_data_ends_soon(entry: Any) -> None:
    owners = {
        "string": ["'a1 @.<[*_'.repeat(1e5)", "'a'.repeat(2e6)"],
        "array": ["Array(90000).fill({a: 'x'})", "Array(90000).fill('y'.repeat(1e5))"],
        "object": ["Object.fromEntries(Array(9000).fill(0).map((x, i) => ['k' + i, 'v'.repeat(9e4)]))"],
    }[entry.kind]
    for owner in owners:
        for argument in ["'a'"] if entry.kind == "string" else ["'a'", "x => x"]:
            started = time.process_time()
            with suppress(ExpressionError):
                evaluate(f"({owner}).{entry.name}({argument})")
            assert time.process_time() - started < 3, (owner, argument)


@pytest.mark.parametrize("name", ["pluck('__proto__')", "groupBy('constructor')", "sortBy('a.__class__')", "renameKeys('a', '__proto__')", "keyBy('prototype')"])  # fmt: skip
def test_forbidden_names_are_refused_as_fields(name: str) -> None:
    with pytest.raises(ExpressionError) as error:
        evaluate(f"[{{a: 1}}].{name}")
    assert error.value.code == "expression_forbidden"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        # A gap: 02:30 does not exist on 30 March 2025 in Berlin; a repeated hour means the first one.
        ("DateTime.fromISO('2025-03-30T02:30').toISO()", "2025-03-30T03:30:00.000+02:00"),
        ("DateTime.fromISO('2025-10-26T02:30').toISO()", "2025-10-26T02:30:00.000+02:00"),
        ("DateTime.fromISO('2025-10-26T02:30+01:00').toISO()", "2025-10-26T02:30:00.000+01:00"),
        ("DateTime.local(2025, 3, 29, 12).plus({days: 1}).diff(DateTime.local(2025, 3, 29, 12), 'hours').hours", 23),
        ("DateTime.local(2025, 3, 29, 12).diffTo(DateTime.local(2025, 3, 30, 12))", 1),
        ("DateTime.fromISO('2025-11-23T19:46', {zone: 'Asia/Kolkata'}).toUTC().toISO()", "2025-11-23T14:16:00.000Z"),
        ("DateTime.fromISO('20251123T194600Z').toMillis()", 1763927160000),
        ("DateTime.fromISO('2025-327').toISODate()", "2025-11-23"),
        ("DateTime.fromISO('2025-02').toISODate()", "2025-02-01"),
        ("DateTime.fromISO('2025-01-01T24:00').toISODate()", "2025-01-02"),
        ("DateTime.fromFormat('1. March 25', 'd. MMMM yy').toISODate()", "2025-03-01"),
        ("DateTime.fromFormat('2025-11-23 18:46 +00:00', 'yyyy-MM-dd HH:mm ZZ').toISO()", "2025-11-23T19:46:00.000+01:00"),
        ("DateTime.fromFormat('12:05 AM', 'hh:mm a').hour", 0),
        ("$now.diffTo('2024-02-29', ['years', 'months', 'days']).years", -1),
        ("$now.set({month: 2}).toISODate()", "2025-02-23"),
        ("DateTime.local(2025, 1, 31).set({month: 2}).toISODate()", "2025-02-28"),
        ("$now.plusWorkdays(-1).toISODate()", "2025-11-21"),
        ("[$now.toRelative(), $now.plus({years: 2}).toRelative(), $now.minus({minutes: 5}).toRelative()]", ["in 0 seconds", "in 2 years", "5 minutes ago"]),
    ],
)  # fmt: skip
def test_dates_in_zones(source: str, expected: Any) -> None:
    assert evaluate(source) == expected


def test_dates_are_of_the_workflow_s_zone() -> None:
    source = "['2025-07-01T12:00'.toDateTime().toISO(), DateTime.local(2025).toISO(), $today.toISO()]"
    assert evaluate(source, timezone="America/New_York") == [
        "2025-07-01T12:00:00.000-04:00", "2025-01-01T00:00:00.000-05:00", "2025-11-23T00:00:00.000-05:00",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "source",
    [
        "DateTime.fromISO('2025-02-30')", "DateTime.fromISO('x')", "DateTime.fromISO('2025-01-01T25:00')", "DateTime.fromISO('2025-01-01', {zone: 'Mars/One'})",
        "DateTime.fromFormat('1', 'dd')", "DateTime.fromMillis(NaN)", "DateTime.fromObject({eon: 1})", "$now.set({month: 13})", "'tomorrow'.toDateTime()", "DateTime.local(2025, 2, 30)",
    ],
)  # fmt: skip
def test_what_is_no_date_is_an_error(source: str) -> None:
    with pytest.raises(ExpressionError) as error:
        evaluate(source)
    assert error.value.code == "expression_range"
