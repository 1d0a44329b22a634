"""Which variables a workflow version can see: found in its texts, a name too many rather than one too few."""

from typing import Any

import pytest

from domain.workflow.variables import VariableNames, both, names_in, seen
from tests.support.executions import compiled, node, workflow


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("{{ $json.vars }} and $variables", set()),
        ("{{ $vars.region }}", {"region"}),
        ("{{ $vars . region + $vars?.b.c(1) }}", {"region", "b"}),
        ("{{ $vars['a'] + $vars?.[\"b_2\"] }}", {"a", "b_2"}),
        ("{{ `${$vars.a}` }}", {"a"}),
        ("{{ $vars }}", None),
        ("{{ $vars[$json.name] }}", None),
        ("{{ {...$vars} }}", None),
        ("{{ $vars.keys() }}", None),
        ("{{ $vars.keys ?. () }}", None),
        ("$vars.keys/**/()", None),
        ("$vars/**/.a", None),
        ("$vars['a' + 'b']", None),
        ("my$vars.a + $vars2.b", set()),
        (r"$v\u0061rs.a", None),
        (r"$vars.a + \u{24}v\u{0061}rs.b", None),
        (r"$vars.a\u0062", None),
        (r"$vars.a + '\u00e9\ud800\u{ffffff}é'", {"a"}),
        (r"/\u0061/.test('$v')", set()),
    ],
)
def test_names_are_found_in_the_text(text: str, names: set[str] | None) -> None:
    assert names_in([text]) == (None if names is None else frozenset(names))


def test_all_and_some_are_all() -> None:
    some: VariableNames = frozenset({"a"})
    assert both(some, frozenset({"b"})) == {"a", "b"}
    assert both(some, None) is None
    assert names_in(["$vars.a", "$vars"]) is None


def test_only_what_may_be_asked_for_is_seen_in_the_order_of_names() -> None:
    variables = {"b": 1, "a": {"x": None}, "c": 3}
    assert list(seen(variables, frozenset({"b", "a", "no"})).items()) == [("a", {"x": None}), ("b", 1)]
    assert list(seen(variables, None)) == ["a", "b", "c"]


def variables_of(*nodes: dict[str, Any], **settings: Any) -> VariableNames:
    return compiled(workflow([node("start", "manual"), *nodes], **settings)).variables


def test_a_version_sees_what_its_nodes_and_its_concurrency_key_name() -> None:
    fields = {"a": "{{ $vars.one }}", "b": {"c": ["text {{ $vars.two }} {{ new Map([[1, $vars.three]]).get(1) }}"]}}
    assert variables_of(node("x", "set", {"fields": fields})) == {"one", "two", "three"}
    assert variables_of(node("x", "set", {"fields": {"a": "$vars.one"}})) == frozenset(), "it is no expression"
    assert variables_of(concurrency={"limit": 1, "key": "{{ $vars.place }}"}) == {"place"}
    rules = [{"condition": "{{ $vars.on }}", "output": "a"}]
    assert variables_of(node("x", "switch", {"rules": rules})) == {"on"}


@pytest.mark.parametrize(
    ("language", "source", "names"),
    [
        ("javascript", "return [{a: $vars.a, b: $vars['b']}]", {"a", "b"}),
        ("javascript", "const {a} = $vars; return [{a}]", None),
        ("javascript", "return items", set()),
        ("python", "return {'a': _vars.a, 'b': _vars['b']}", {"a", "b"}),
        ("python", "return {'a': _vars.get('a')}", None),
        ("python", "my_vars = 1\nreturn []", set()),
        ("python", "return {'a': _ｖars.b, 'c': _vars.a}", None),
        ("python", "return {'a': _vars.aｂ}", None),
        ("python", "return {'ｂé': _vars.a}", {"a"}),
        ("javascript", r"return [{a: $v\u0061rs.a}]", None),
    ],
)
def test_code_is_looked_at_too(language: str, source: str, names: set[str] | None) -> None:
    found = variables_of(node("x", "code", {"language": language, "source": source}))
    assert found == (None if names is None else frozenset(names))
