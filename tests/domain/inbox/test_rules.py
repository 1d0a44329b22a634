"""What a webhook node may say of its deliveries, and the keys that it makes of one."""

from typing import Any

import pytest

from domain.errors import InvalidDocument
from domain.inbox.gates import Debounce, Throttle
from domain.inbox.rules import KeyFailed, read_rules
from tests.support.executions import compiled, node, workflow

WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"dedup": {}}, "dedup.key", "is missing"),
    ({"dedup": "{{ $json.id }}"}, "dedup", "must be an object"),
    ({"dedup": {"key": "always"}}, "dedup.key", "same for every delivery"),
    ({"dedup": {"key": 7}}, "dedup.key", "must be text"),
    ({"dedup": {"key": "{{ $json. }}"}}, "dedup.key", "cannot be used"),
    ({"dedup": {"key": "{{ $('a').first().json.b }}"}}, "dedup.key", "no node has run"),
    ({"dedup": {"key": "{{ $execution.id }}"}}, "dedup.key", "$execution is not known"),
    ({"dedup": {"key": "{{ new Map([[1, $json.a]]).get(1) }}"}}, "dedup.key", "needs the sandbox"),
    ({"dedup": {"key": "{{ $json.id }}", "ttl_seconds": 0}}, "dedup.ttl_seconds", "from 1 to 604800"),
    ({"dedup": {"key": "{{ $json.id }}", "ttl": 5}}, "dedup.ttl", "unknown field"),
    ({"throttle": {"period_seconds": 1}}, "throttle.limit", "must be a whole number"),
    ({"throttle": {"limit": 1.5, "period_seconds": 1}}, "throttle.limit", "must be a whole number"),
    ({"throttle": {"limit": True, "period_seconds": 1}}, "throttle.limit", "must be a whole number"),
    ({"throttle": {"limit": 1_001, "period_seconds": 1}}, "throttle.limit", "from 1 to 1000"),
    ({"throttle": {"limit": 1, "period_seconds": "5"}}, "throttle.period_seconds", "must be a number"),
    ({"throttle": {"limit": 1, "period_seconds": 1, "excess": "drop"}}, "throttle.excess", "one of refuse, delay"),
    ({"debounce": {"seconds": 0}}, "debounce.seconds", "from 0.1 to 86400"),
    ({"debounce": {"seconds": 5, "max_wait_seconds": 4}}, "debounce.max_wait_seconds", "not be shorter"),
    (
        {"debounce": {"seconds": 5}, "throttle": {"limit": 1, "period_seconds": 1}},
        "debounce",
        "cannot stand beside throttle",
    ),
    ({"debounce": {"seconds": 5}, "respond": "when_done"}, "debounce", "nobody can wait"),
    (
        {"throttle": {"limit": 1, "period_seconds": 1, "excess": "delay"}, "respond": "with_node"},
        "throttle.excess",
        "nobody can wait",
    ),
]


@pytest.mark.parametrize(("parameters", "field", "message"), WRONG)
def test_what_is_wrong_is_named_when_the_workflow_is_saved(
    parameters: dict[str, Any], field: str, message: str
) -> None:
    with pytest.raises(InvalidDocument) as refused:
        compiled(workflow([node("hook", "webhook", parameters)]))
    (problem,) = [each for each in refused.value.problems if each.path == f"nodes[0].parameters.{field}"]
    assert message in problem.message


def test_what_is_not_given_is_no_gate() -> None:
    rules, problems = read_rules({"method": "POST", "respond": "when_done", "dedup": None})
    assert (rules.gated, problems) == (False, [])
    rules, problems = read_rules({"throttle": {"limit": 2, "period_seconds": 0.5 + 0.5}, "respond": "when_done"})
    assert (rules.gated, problems) == (True, [])
    gates = rules.gates({"body": {}}, 1)
    assert (gates.dedup, gates.throttle) == (None, Throttle("00", 2, 1_000))
    rules, _ = read_rules({"debounce": {"seconds": 1.5, "max_wait_seconds": 60}})
    assert rules.gates({}, 1).debounce == Debounce("00", 1_500, 60_000)


def keys(expression: str, *items: Any) -> list[str]:
    rules, problems = read_rules({"dedup": {"key": expression}})
    assert not problems
    return [gates.dedup.key for item in items if (gates := rules.gates(item, 1_000)).dedup is not None]


def test_keys_are_equal_for_equal_values_only() -> None:
    same = keys("{{ $json.id }}", {"id": 1}, {"id": 1.0})
    assert same[0] == same[1]
    ordered = keys("{{ $json.id }}", {"id": {"a": 1, "b": 2}}, {"id": {"b": 2, "a": 1}})
    assert ordered[0] == ordered[1]
    different = keys("{{ $json.id }}", {"id": 1}, {"id": "1"}, {"id": [1]}, {"id": True}, {"id": 2})
    assert len(set(different)) == 5
    assert keys("{{ $json.a }}-{{ $json.b }}", {"a": 1, "b": 2}) == keys("1-{{ $json.b }}", {"b": 2})


@pytest.mark.parametrize("item", [{}, {"id": None}, {"id": ""}])
def test_a_key_without_a_value_fails(item: Any) -> None:
    with pytest.raises(KeyFailed, match=r"dedup\.key: .* has no value"):
        keys("{{ $json.id }}", item)


def test_an_evaluation_is_bounded() -> None:
    endless = "{{ $json.list.map(a => $json.list.map(b => $json.list.length)).length }}"
    with pytest.raises(KeyFailed, match=r"dedup\.key"):
        keys(endless, {"list": list(range(1_000))})
    with pytest.raises(KeyFailed, match=r"dedup\.key"):
        keys("{{ $json.a.b.c }}", {"a": None})
