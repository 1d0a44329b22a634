"""Compiling workflows: ports, references, cycles, and who can reach whom."""

from itertools import pairwise
from typing import Any

import pytest

from domain.errors import InvalidDocument
from domain.workflow.graph import WebhookNode
from domain.workflow.reachability import LOOP_PORT
from tests.support.executions import compiled, node, workflow

START = node("start", "manual")


def problems(nodes: list[dict[str, Any]], *links: str) -> dict[str, str]:
    with pytest.raises(InvalidDocument) as raised:
        compiled(workflow(nodes, *links))
    return {problem.path: problem.message for problem in raised.value.problems}


def test_all_problems_of_the_graph_at_once() -> None:
    found = problems(
        [
            node("a", "set", {"fields": {"x": "{{ 1 + }}", "deep": [{"y": "{{ nobody }}"}]}, "colour": 1}),
            node("b", "nope"),
            node("c", "if"),
            node("l", "loop", disabled=True),
            node("v", "noop", type_version=2),
        ],
        "a -> c",
        "c -> a",
        "a -> ghost",
    )
    assert set(found) == {
        "nodes[0].parameters.fields.x",
        "nodes[0].parameters.fields.deep[0].y",
        "nodes[0].parameters.colour",
        "nodes[1].type",
        "nodes[2].parameters.condition",
        "nodes[3].disabled",
        "nodes[4].type_version",
        "nodes",
        "connections[1].output",
        "connections[2].to",
    }
    assert "node 'a'" in found["nodes[0].parameters.fields.x"]
    assert "'fields.x'" in found["nodes[0].parameters.fields.x"]
    assert "true, false" in found["connections[1].output"]


@pytest.mark.parametrize(
    ("nodes", "links", "path"),
    [
        ([node("a", "noop")], ["a.other -> a"], "connections[0].output"),
        ([node("a", "noop")], ["start -> a.input1"], "connections[0].input"),
        ([node("a", "noop")], ["a -> start"], "connections[0].to"),
        ([node("a", "noop")], ["start -> a", "start -> a"], "connections[1]"),
        ([node("m", "merge")], ["start -> m"], "connections[0].input"),
        ([node("m", "merge")], ["start -> m.input0"], "connections[0].input"),
        (
            [node("m", "merge", {"mode": "combine_by_fields", "fields": ["id"]})],
            ["start -> m.input3"],
            "connections[0].input",
        ),
        (
            [node("m", "merge", {"mode": "choose", "input": "input2"})],
            ["start -> m.input1"],
            "nodes[1].parameters.input",
        ),
        ([node("m", "merge", {"mode": "combine_by_fields"})], [], "nodes[1].parameters.fields"),
        ([node("m", "merge", {"mode": "zip"})], [], "nodes[1].parameters.mode"),
        ([node("a", "set", {"fields": {"": 1}})], [], "nodes[1].parameters.fields."),
        ([node("a", "set", {"fields": 5})], [], "nodes[1].parameters.fields"),
        ([node("a", "set")], [], "nodes[1].parameters.fields"),
        ([node("a", "http", {"url": 5})], [], "nodes[1].parameters.url"),
        ([node("a", "http", {"url": ["{{ 1 }}"]})], [], "nodes[1].parameters.url"),
        ([node("a", "http", {"url": "x", "method": "{{ 'GET' }}"})], [], "nodes[1].parameters.method"),
        ([node("a", "http", {"url": "x", "accept_status": ["4xx"]})], [], "nodes[1].parameters.accept_status"),
        ([node("a", "switch", {"rules": []})], [], "nodes[1].parameters.rules"),
        ([node("a", "switch", {"rules": [{"output": "x"}]})], [], "nodes[1].parameters.rules[0].condition"),
        ([node("a", "limit", {"count": -1})], [], "nodes[1].parameters.count"),
        ([node("a", "limit", {"count": 1.5})], [], "nodes[1].parameters.count"),
        ([node("a", "loop", {"batch_size": 0})], [], "nodes[1].parameters.batch_size"),
        ([node("a", "sort", {"fields": []})], [], "nodes[1].parameters.fields"),
        ([node("a", "sort", {"fields": [{"name": "x", "order": "up"}]})], [], "nodes[1].parameters.fields[0].order"),
        ([node("a", "wait")], [], "nodes[1].parameters.seconds"),
        ([node("a", "wait", {"seconds": 1, "until": 5})], [], "nodes[1].parameters.seconds"),
        ([node("a", "wait", {"webhook": True, "seconds": 1})], [], "nodes[1].parameters.seconds"),
        ([node("a", "webhook", {"respond": "later"})], [], "nodes[1].parameters.respond"),
        ([node("a", "stop_and_error")], [], "nodes[1].parameters.message"),
        ([node("m", "merge", disabled=True)], [], "nodes[1].disabled"),
    ],
)
def test_what_is_refused(nodes: list[dict[str, Any]], links: list[str], path: str) -> None:
    assert path in problems([START, *nodes], *links)


def test_a_cycle_is_refused_with_its_nodes() -> None:
    nodes = [START, *(node(name, "noop") for name in "abc")]
    found = problems(nodes, "start -> a", "a -> b", "b -> c", "c -> a")
    assert "'a' → 'b' → 'c' → 'a'" in found["connections"]


def test_a_cycle_over_done_is_refused() -> None:
    nodes = [START, node("l", "loop"), node("a", "noop")]
    assert "connections" in problems(nodes, "start -> l", "l.done -> a", "a -> l")


def test_cycles_lead_back_to_loops() -> None:
    graph = compiled(
        workflow(
            [START, node("l", "loop"), node("a", "noop"), node("b", "noop"), node("e", "noop")],
            "start -> l",
            "l.loop -> a",
            "a -> b",
            "b -> l",
            "l.done -> e",
        )
    )
    assert [[link.back for link in entry.links] for entry in graph.nodes] == [[False], [False] * 2, [False], [True], []]
    assert graph.reachability.enclosing == [0, 0, 1 << 1, 1 << 1, 0]
    assert graph.reachability.reaching(1, LOOP_PORT, 0) == 0b01100


def test_a_deep_graph_compiles() -> None:
    nodes = [START, *(node(str(number), "noop") for number in range(999))]
    names = ["start", *(str(number) for number in range(999))]
    graph = compiled(workflow(nodes, *(f"{one} -> {two}" for one, two in pairwise(names))))
    assert len(graph.nodes) == 1_000


def test_extra_outputs_come_with_the_failure_policy() -> None:
    graph = compiled(
        workflow(
            [
                START,
                node("i", "if", {"condition": True}, on_error="continue"),
                node("j", "if", {"condition": True}, on_error="error_output"),
                node("s", "noop", on_error="error_output"),
                node("e", "noop"),
            ],
            "i.main -> s",
            "j.error -> s",
            "s.error -> e",
        )
    )
    assert [entry.outputs for entry in graph.nodes] == [
        ("main",),
        ("true", "false", "main"),
        ("true", "false", "error"),
        ("main", "error"),
        ("main",),
    ]


def test_references() -> None:
    def referenced(expression: str) -> set[str]:
        nodes = [START, node("a", "noop"), node("b", "set", {"fields": {"x": expression}})]
        return {entry.id for entry in compiled(workflow(nodes)).nodes if entry.referenced}

    assert referenced("{{ $json.x }} $ 5") == set()
    assert referenced("{{ $('a').first() }}") == {"a"}
    assert referenced('costs $5 {{ $("a").first() }} and {{ $json.b }}') == {"a"}
    assert referenced("{{ $('a' + '').first() }}") == {"start", "a", "b"}
    assert referenced("{{ [$].map(f => f('a')) }}") == {"start", "a", "b"}


def test_triggers() -> None:
    graph = compiled(
        workflow(
            [
                node("hook", "webhook", {"method": "ANY", "respond": "with_node"}),
                node("plain", "webhook"),
                node("off", "webhook", disabled=True),
                node("hand", "manual"),
                node("e", "noop"),
            ]
        )
    )
    assert graph.webhooks == (
        WebhookNode("hook", "ANY", "with_node"),
        WebhookNode("plain", "POST", "at_once"),
    )
    assert graph.trigger("off") is None
    assert graph.trigger("e") is None
    assert graph.trigger("nobody") is None
    assert graph.default_trigger() is graph.trigger("hand")
