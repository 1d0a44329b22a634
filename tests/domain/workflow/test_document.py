"""The workflow document: what is accepted, and that every problem is named at once."""

from typing import Any

import pytest

from domain.errors import InvalidDocument
from domain.workflow.document import RetryPolicy, Settings, parse_document

MINIMAL: dict[str, Any] = {"name": "x", "nodes": [{"id": "start", "type": "manual"}], "connections": []}


def problems(document: Any) -> dict[str, str]:
    with pytest.raises(InvalidDocument) as raised:
        parse_document(document)
    return {problem.path: problem.message for problem in raised.value.problems}


def with_node(**fields: Any) -> dict[str, Any]:
    return {**MINIMAL, "nodes": [{"id": "a", "type": "noop", **fields}]}


def test_defaults() -> None:
    document = parse_document(MINIMAL)
    node = document.nodes[0]
    assert (node.parameters, node.name, node.disabled, node.type_version) == ({}, "", False, 1)
    assert (node.retry, node.timeout_seconds, node.on_error) == (RetryPolicy(), None, "fail")
    assert node.on_unknown_outcome == "fail"
    assert document.settings == Settings("UTC", 300.0, "normal")


def test_everything_optional() -> None:
    document = parse_document(
        {
            "name": "x",
            "nodes": [
                {
                    "id": "a",
                    "type": "http",
                    "name": "A",
                    "position": [1, 2.5],
                    "notes": "why",
                    "disabled": True,
                    "credentials": {"basic": "c1"},
                    "type_version": 1,
                    "parameters": {"url": "x"},
                    "retry": {"attempts": 3, "delay_seconds": 0.5, "backoff": "exponential"},
                    "timeout_seconds": 5,
                    "on_error": "error_output",
                    "on_unknown_outcome": "ask",
                }
            ],
            "connections": [{"from": "a", "to": "a", "output": "o", "input": "i"}],
            "settings": {"timezone": "Europe/Berlin", "timeout_seconds": 60, "priority": "high", "retries": 0},
        }
    )
    node = document.nodes[0]
    assert node.retry == RetryPolicy(3, 0.5, "exponential")
    assert document.connections[0].output == "o"
    assert document.settings.timezone == "Europe/Berlin"
    assert node.position == (1, 2.5)


def test_a_position_may_be_an_object() -> None:
    assert parse_document(with_node(position={"x": 1, "y": 2})).nodes[0].position == (1, 2)


def test_all_problems_at_once() -> None:
    found = problems(
        {
            "name": "",
            "nodes": [
                {"id": "a", "type": "noop", "retry": {"attempts": 0}, "colour": "red"},
                {"id": "a", "type": 5},
                7,
            ],
            "connections": [{"from": "a"}, "a"],
            "settings": {"timezone": "Mars/Olympus"},
            "extra": 1,
        }
    )
    assert set(found) == {
        "name",
        "nodes[0].retry.attempts",
        "nodes[0].colour",
        "nodes[1].id",
        "nodes[1].type",
        "nodes[2]",
        "connections[0].to",
        "connections[1]",
        "settings.timezone",
        "extra",
    }
    assert "node 'a'" in found["nodes[0].colour"]
    assert "known are" in found["nodes[0].colour"]
    assert "unique" in found["nodes[1].id"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", ""),
        ("id", "x" * 101),
        ("id", 5),
        ("type", None),
        ("parameters", []),
        ("name", "x" * 201),
        ("position", [1]),
        ("position", [1, "2"]),
        ("position", [True, 2]),
        ("disabled", "yes"),
        ("credentials", 5),
        ("type_version", 0),
        ("type_version", 1.5),
        ("timeout_seconds", 0),
        ("timeout_seconds", float("nan")),
        ("timeout_seconds", True),
        ("on_error", "ignore"),
        ("on_error", ["fail"]),
        ("on_unknown_outcome", "hope"),
        ("retry", 3),
    ],
)
def test_a_field_of_a_node_is_wrong(field: str, value: Any) -> None:
    assert f"nodes[0].{field}" in problems(with_node(**{field: value}))


@pytest.mark.parametrize("document", [None, 5, [], "x", {}, {"name": "x"}, {"name": "x", "nodes": {}}])
def test_what_is_no_workflow(document: Any) -> None:
    assert problems(document)


def test_what_does_not_exist_yet_is_refused_and_not_ignored() -> None:
    assert "not available yet" in problems({**MINIMAL, "settings": {"retries": 1}})["settings.retries"]


def test_sizes_are_bounded() -> None:
    many = [{"id": str(number), "type": "noop"} for number in range(1_001)]
    assert "at most 1000" in problems({**MINIMAL, "nodes": many})["nodes"]
    links = [{"from": "a", "to": "b"}] * 5_001
    assert "at most 5000" in problems({**MINIMAL, "connections": links})["connections"]


def test_hostile_nesting_is_refused_without_recursion() -> None:
    deep: Any = {}
    for _ in range(100_000):
        deep = {"a": deep}
    assert "nested" in problems(with_node(parameters=deep))[""]
    while deep:  # so that Python can free it without recursion, too
        deep = deep.pop("a")
    assert "values" in problems(with_node(parameters={"a": [0] * 200_001}))[""]
