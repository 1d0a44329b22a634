"""Parameter values: texts with `{{ }}` in them, nested values, and what an expression sees."""

# ruff: noqa: E501 - tables

from typing import Any

import pytest

from domain.expressions import UNDEFINED, ExpressionError, NodeOutputs, Scope, compile_value

NOW = 1_763_923_560_000  # 2025-11-23T18:46:00Z


def item(**json: Any) -> dict[str, Any]:
    return {"json": json}


OUTPUTS = {
    "a": NodeOutputs({"main": [item(v=1), item(v=2), item(v=3)]}, "main"),
    "route": NodeOutputs({"false": [item(v="f")], "true": []}, "false"),
    "silent": NodeOutputs({}, None),
}


def scope(**changes: Any) -> Scope:
    settings: dict[str, Any] = {
        "json": {"n": 5, "s": "text", "o": {"k": [1]}, "nil": None, "f": 0.5},
        "item_index": 1,
        "run_index": 2,
        "items": [item(y=1), item(y=2)],
        "node": OUTPUTS.get,
        "now": NOW,
        "timezone": "Europe/Berlin",
        "workflow": {"id": "w1", "name": "Intake"},
        "execution": {"id": "e1"},
        "variables": {"region": "eu"},
    }
    return Scope(**{**settings, **changes})


def evaluate(value: Any, **changes: Any) -> Any:
    return compile_value(value).evaluate_json(scope(**changes))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "plain"),
        ("", ""),
        (5, 5),
        (None, None),
        ("{{ $json.n }}", 5),
        ("{{$json.n}}", 5),
        (" {{ $json.n }}", " 5"),
        ("{{ $json.n }} ", "5 "),
        ("n={{ $json.n }}, s={{ $json.s }}", "n=5, s=text"),
        ("{{ $json.n }}{{ $json.s }}", "5text"),
        ("{{ $json.zzz }}|{{ null }}|{{ [1,'b'] }}|{{ 1.50 }}|{{ true }}", '||[1,"b"]|1.5|true'),
        ("a {{ $json.o }} b", 'a {"k":[1]} b'),
        ("{{ NaN }} {{ 1/0 }} {{ -0 }} {{ 1e21 }}", "NaN Infinity 0 1e+21"),
        ("x{{ x => x }}", "x"),
        ("{{ {a: {b: 1}}}}", {"a": {"b": 1}}),
        ("{{ {a: {b: {}}} }}", {"a": {"b": {}}}),
        ("{{ '}}' }}", "}}"),
        ("{{ `}}${ {a: '}}'}.a }` }}", "}}}}"),
        ("a {{ '{{' }} b", "a {{ b"),
        ("{{ 1 /* }} */ }}", 1),
        ("{{ unclosed", "{{ unclosed"),
        ("a }} b", "a }} b"),
        ("{ { 1 } }", "{ { 1 } }"),
        ("{{ $json.n\n}}", 5),
        (
            {"a": "{{ $json.n }}", "b": [1, "{{ $json.s }}!", {"c": "{{ $json.nil }}"}], "d": "x"},
            {"a": 5, "b": [1, "text!", {"c": None}], "d": "x"},
        ),
        ({"{{ $json.n }}": 1}, {"{{ $json.n }}": 1}),
        ({"gone": "{{ $json.zzz }}", "kept": 1}, {"kept": 1}),
        (["{{ $json.zzz }}"], [None]),
        ("{{ 6 / 2 }}", 3),
        ("{{ 0.1 + 0.2 }}", 0.30000000000000004),
        ("{{ [NaN, 1/0, -0, x => x, undefined] }}", [None, None, 0, None, None]),
        ("{{ $input.all().map(i => i.json.y) }}", [1, 2]),
        ("{{ $input.first().json.y + $input.last().json.y }}", 3),
        ("{{ $input.item.json }}", {"y": 2}),
        ("{{ $itemIndex + $runIndex }}", 3),
        ("{{ $workflow.name + $execution.id + $vars.region }}", "Intakee1eu"),
        ("{{ $('a').all().length }}", 3),
        ("{{ $('a').first().json.v }}", 1),
        ("{{ $('a').last().json.v }}", 3),
        ("{{ $('a').item.json.v }}", 2),
        ("{{ $('route').all().length }}", 1),
        ("{{ $('route').item.json.v }}", "f"),
        ("{{ $('route').all('true') }}", []),
        ("{{ $('route').first('true') ?? 'none' }}", "none"),
        ("{{ $('silent').all() }}", []),
        ("{{ $('silent').item ?? 'none' }}", "none"),
        ("{{ $if($json.n > 3, 'big', 'small') }}", "big"),
        ("{{ $if(false, $json.zzz.boom) ?? 'lazy' }}", "lazy"),
        ("{{ $ifEmpty($json.zzz, 'd') + $ifEmpty('', 'e') + $ifEmpty(0, 'f') }}", "de0"),
        ("{{ $now.toMillis() }}", NOW),
        ("{{ Date.now() }}", NOW),
    ],
)
def test_a_value_evaluates(value: Any, expected: Any) -> None:
    result = evaluate(value)
    assert result == expected
    assert type(result) is type(expected)


def test_the_forgotten_branch_of_a_reference_index_is_the_first_item() -> None:
    assert evaluate("{{ $('a').item.json.v }}", item_index=7) == 1


def test_undefined_stays_undefined_at_the_top() -> None:
    assert evaluate("{{ $json.zzz }}") is UNDEFINED
    assert evaluate("{{ $json.zzz ?? undefined }}") is UNDEFINED
    assert evaluate("{{ x => x }}") is UNDEFINED
    assert evaluate("{{ $json.s.trim }}") is UNDEFINED


def test_a_node_that_has_not_run_is_named() -> None:
    with pytest.raises(ExpressionError) as error:
        evaluate("{{ $('later').first() }}")
    assert error.value.code == "expression_reference"
    assert "'later' has not run" in error.value.message


@pytest.mark.parametrize(
    ("value", "constant", "references", "names"),
    [
        ("text", True, set(), set()),
        ({"a": [1, "b"]}, True, set(), set()),
        ("{{ 1 }}", False, set(), set()),
        ("{{ $json.a + $itemIndex }}", False, set(), {"$json", "$itemIndex"}),
        (
            {"a": "{{ $('x').first() }}", "b": ["{{ $('y').all().map(i => $('z').item) }}"]},
            False,
            {"x", "y", "z"},
            {"$"},
        ),
        ("{{ (($json) => $json)(1) }}", False, set(), set()),
        ("{{ $(`x`) }}", False, set(), {"$"}),
    ],
)
def test_what_is_known_before(value: Any, constant: bool, references: set[str], names: set[str]) -> None:
    compiled = compile_value(value)
    assert compiled.constant is constant
    assert compiled.references == references
    assert compiled.names == names
    assert compiled.source is value


@pytest.mark.parametrize(
    "value", ["{{ }}", "{{}}", "a {{ 1 + }} b", "{{ 1 } }}", "{{ 1 }} {{ ( }}", {"a": ["{{ . }}"]}]
)
def test_what_does_not_parse_is_refused_with_its_place(value: Any) -> None:
    with pytest.raises(ExpressionError) as error:
        compile_value(value)
    assert error.value.code == "expression_syntax"
    assert error.value.position is not None


def test_data_is_never_an_expression() -> None:
    assert evaluate("{{ $json.s }}", json={"s": "{{ 7 * 7 }}"}) == "{{ 7 * 7 }}"
    assert evaluate("x {{ $json.s }}", json={"s": "{{ 7 * 7 }}"}) == "x {{ 7 * 7 }}"


def test_one_scope_serves_item_after_item() -> None:
    compiled, one = compile_value("{{ $json.n * 2 + $itemIndex }}"), scope()
    results = []
    for index, number in enumerate([1, 2, 3]):
        one.json, one.item_index = {"n": number}, index
        results.append(compiled.evaluate(one))
    assert results == [2, 5, 8]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("$now", "2025-11-23T19:46:00.000+01:00"),
        ("$today", "2025-11-23T00:00:00.000+01:00"),
        ("'at ' + $now", "at 2025-11-23T19:46:00.000+01:00"),
        ("$now.toUTC()", "2025-11-23T18:46:00.000Z"),
        ("$now.setZone('Asia/Kolkata').toISO()", "2025-11-24T00:16:00.000+05:30"),
        ("$now.plus({days: 1, hours: -1}).toISO()", "2025-11-24T18:46:00.000+01:00"),
        ("$now.minus({months: 9}).toISODate()", "2025-02-23"),
        ("$today.plus({months: 3, days: 8}).minus(1, 'day').toISO()", "2026-03-02T00:00:00.000+01:00"),
        ("$now.plus({months: 6}).toISO()", "2026-05-23T19:46:00.000+02:00"),
        ("$now.plus(90000).second", 30),
        ("$now.year * 10000 + $now.month * 100 + $now.day", 20251123),
        ("[$now.hour, $now.minute, $now.weekday, $now.weekNumber, $now.ordinal, $now.zoneName]", [19, 46, 7, 47, 327, "Europe/Berlin"]),
        ("$now.format('yyyy-MM-dd HH:mm:ss.SSS ZZ')", "2025-11-23 19:46:00.000 +01:00"),
        ("$now.toFormat(\"EEEE, d. MMMM yy 'um' h:mm a\")", "Sunday, 23. November 25 um 7:46 PM"),
        ("$now.startOf('month').toISODate() + $now.endOf('week').toISODate()", "2025-11-012025-11-23"),
        ("$now > $today && $today < $now", True),
        ("($now - $today) / 3600000", 19 + 46 / 60),
        ("{at: $now, list: [$today]}", {"at": "2025-11-23T19:46:00.000+01:00", "list": ["2025-11-23T00:00:00.000+01:00"]}),
        ("JSON.stringify({at: $now.toUTC()})", '{"at":"2025-11-23T18:46:00.000Z"}'),
        ("typeof $now + $now.zork", "objectundefined"),
    ],
)  # fmt: skip
def test_dates(source: str, expected: Any) -> None:
    assert evaluate("{{ " + source + " }}") == expected


@pytest.mark.parametrize(
    "source",
    [
        "$now.plus({eons: 1})",
        "$now.plus('x')",
        "$now.plus({years: 1e9})",
        "$now.setZone('Mars/One')",
        "$now.startOf('x')",
    ],
)
def test_bad_dates_are_errors(source: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate("{{ " + source + " }}")
