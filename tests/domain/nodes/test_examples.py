"""The examples in the node types' own definitions put out what they say."""

from typing import Any

import pytest

from domain.effects import ItemResult
from domain.nodes.node_type import Example
from domain.nodes.registry import NODE_TYPES
from tests.support.executions import Run, node, workflow

EXAMPLES = [
    pytest.param(type_, example, id=f"{type_}-{number}")
    for type_, node_type in NODE_TYPES.items()
    for number, example in enumerate(node_type.examples)
]


def run_example(type_: str, example: Example) -> Run:
    """A workflow around the node: each input's items are split out of the start's only item."""
    inputs = example.items if isinstance(example.items, dict) else {"main": example.items}
    node_type = NODE_TYPES[type_]
    own = {"credentials": "credential-1"} if node_type.credential_required else {}
    nodes = [node("start", "manual"), node("x", type_, dict(example.parameters), **own)]
    links = []
    for port in inputs:
        nodes.append(node(port, "split_out", {"field": port}))
        links += [f"start -> {port}", f"{port} -> x.{port}"]
    run = Run(workflow(nodes, *links)).start([{port: list(given) for port, given in inputs.items()}]).settle()
    if example.answer is not None:
        run.conclude("x", [ItemResult(index=index, value=example.answer) for index in run.attempt("x").indexes])
    return run


@pytest.mark.parametrize(("type_", "example"), EXAMPLES)
def test_example(type_: str, example: Example) -> None:
    run = run_example(type_, example)
    assert run.status == "completed", run.error
    found: dict[str, Any] = {port: [item["json"] for item in made] for port, made in run.nodes["x"][0].items()}
    assert found == example.outputs
