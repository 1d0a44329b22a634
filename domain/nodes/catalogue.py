"""What the API and the documentation say about node types: enough to draw a form and to connect ports."""

from typing import Any, Final

from domain.nodes.node_type import MAIN, Effects, Loop, Merge, NodeType, Operation, SubWorkflow, Trigger, Variant, Wait
from domain.nodes.parameters import Parameters
from domain.nodes.registry import NODE_TYPES, PACKAGES
from domain.nodes.variants import parameters_of, schema_of_type

ANY_INPUTS: Final = ("input1", "input2", "…")
"""The inputs of a node that takes any number of them."""


def describe(node_type: NodeType) -> dict[str, Any]:
    """One type, as JSON. `kind`: trigger, pure, effect, wait, merge, loop or sub_workflow.

    `inputs` and `outputs`: port names."""
    operation = _operation(node_type)
    return {
        "type": node_type.type,
        "version": node_type.version,
        "package": PACKAGES.get(node_type.type, ""),
        "title": node_type.title,
        "docs": node_type.docs,
        "kind": _kind(operation),
        "effects": list(node_type.effects),
        "inputs": list(_inputs(operation)),
        "outputs": list(operation.outputs),
        "outputs_vary": node_type.outputs_vary,
        "can_be_disabled": node_type.can_be_disabled,
        "credential_types": list(node_type.credential_types),
        "credential_required": node_type.credential_required,
        "parameters": schema_of_type(node_type),
        "operations": [_operation_entry(variant) for variant in node_type.variants],
        "examples": [_example(node_type, number) for number in range(len(node_type.examples))],
    }


def catalogue() -> list[dict[str, Any]]:
    """All types, by name."""
    return [describe(NODE_TYPES[name]) for name in sorted(NODE_TYPES)]


def _operation(node_type: NodeType) -> Operation:
    """The operation of a node with the first example's parameters, or with none."""
    values = node_type.examples[0].parameters if node_type.examples else {}
    return node_type.bind(Parameters(parameters_of(node_type, values), values, lambda _path, _message: None))


def _kind(operation: Operation) -> str:
    match operation:
        case Trigger():
            return "trigger"
        case Effects():
            return "effect"
        case Wait():
            return "wait"
        case Merge():
            return "merge"
        case Loop():
            return "loop"
        case SubWorkflow():
            return "sub_workflow"
        case _:
            return "pure"


def _operation_entry(variant: Variant) -> dict[str, Any]:
    """What a node of the type can do; its parameters are the branch of the type's schema with the same title."""
    return {
        "selects": dict(variant.selects),
        "title": variant.title,
        "docs": variant.docs,
        "effect": variant.effect,
        "source": variant.source,
    }


def _inputs(operation: Operation) -> tuple[str, ...]:
    if isinstance(operation, Trigger):
        return ()
    if isinstance(operation, Merge):
        return operation.known_inputs or ANY_INPUTS
    return (MAIN,)


def _example(node_type: NodeType, number: int) -> dict[str, Any]:
    example = node_type.examples[number]
    return {
        "says": example.says,
        "parameters": example.parameters,
        "items": example.items if isinstance(example.items, dict) else {MAIN: example.items},
        "outputs": example.outputs,
    }
