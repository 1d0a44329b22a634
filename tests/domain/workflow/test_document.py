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


def test_a_node_says_when_it_is_tried_again() -> None:
    retry = {
        "attempts": 4, "delay_seconds": 2, "backoff": "exponential", "max_delay_seconds": 10, "jitter": 0.5,
        "on": ["timeout", 429, "500-599"],
    }  # fmt: skip
    parsed = parse_document(with_node(retry=retry)).nodes[0].retry
    assert parsed == RetryPolicy(4, 2, "exponential", 10, 0.5, ("timeout", "429", "500-599"))
    assert parse_document(with_node(retry={"attempts": 2, "on": "all"})).nodes[0].retry.on == ("all",)


@pytest.mark.parametrize(
    ("field", "value"),
    [("on", "Every Error"), ("on", [True]), ("on", ["600"]), ("on", ["599-500"]), ("on", [{}]), ("jitter", 2),
     ("max_delay_seconds", -1), ("max_delay_seconds", 86_401), ("backoff", "linear")],
)  # fmt: skip
def test_a_retry_that_cannot_be_meant(field: str, value: Any) -> None:
    assert f"nodes[0].retry.{field}" in problems(with_node(retry={field: value}))


def test_whole_executions_are_repeated_only_where_the_settings_say_so() -> None:
    def retries(value: Any) -> RetryPolicy:
        return parse_document({**MINIMAL, "settings": {"retries": value}}).settings.retries

    assert parse_document(MINIMAL).settings.retries.attempts == 1
    assert retries(0).attempts == 1
    assert retries(3) == RetryPolicy(4, 1.0, "exponential", on=("all",))
    assert retries({"count": 2, "delay_seconds": 60, "backoff": "fixed", "on": ["timeout"]}) == RetryPolicy(
        3, 60, "fixed", on=("timeout",)
    )
    assert "settings.retries" in problems({**MINIMAL, "settings": {"retries": "often"}})
    assert "settings.retries.attempts" in problems({**MINIMAL, "settings": {"retries": {"attempts": 2}}})


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
