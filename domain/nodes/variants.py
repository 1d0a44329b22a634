"""Node types that do one of several things: which parameters a node has, and what JSON Schema says about it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from domain.nodes.node_type import NodeType, Variant
from domain.nodes.parameters import Parameter, schema_of


def parameters_of(node_type: NodeType, values: Mapping[str, Any]) -> tuple[Parameter, ...]:
    """The parameters that a node with these values may have.

    Where the choosing values fit no variant, what is wrong with them is the only problem worth telling: then every
    parameter of every variant is known and none is required.
    """
    if not node_type.variants:
        return node_type.parameters
    fitting, choosing = _chosen(node_type, values)
    if len(fitting) == 1:
        return (*choosing, *fitting[0].parameters)
    known = {each.name: _unchecked(each) for variant in node_type.variants for each in variant.parameters}
    return (*choosing, *known.values())


def variant_of(node_type: NodeType, values: Mapping[str, Any]) -> Variant:
    """The variant that these values choose, the first one if they choose none."""
    fitting, _ = _chosen(node_type, values)
    return fitting[0] if fitting else node_type.variants[0]


def _chosen(node_type: NodeType, values: Mapping[str, Any]) -> tuple[list[Variant], list[Parameter]]:
    """The variants that fit, and the choosing parameters, each with the choices that those before it leave."""
    fitting = list(node_type.variants)
    choosing: list[Parameter] = []
    for parameter in node_type.parameters:
        name = parameter.name
        choices = tuple(dict.fromkeys(variant.selects[name] for variant in fitting))
        choosing.append(dataclasses.replace(parameter, choices=choices or parameter.choices))
        value = values.get(name)
        value = parameter.default if value is None else value
        fitting = [variant for variant in fitting if variant.selects[name] == value]
    return fitting, choosing


def _unchecked(parameter: Parameter) -> Parameter:
    return Parameter(parameter.name, "any", parameter.docs)


def schema_of_type(node_type: NodeType) -> dict[str, Any]:
    """JSON Schema of a type's parameters: for a type with variants `oneOf` has a branch for each, with its title."""
    schema = schema_of(node_type.parameters)
    if not node_type.variants:
        return schema
    del schema["additionalProperties"]
    schema["oneOf"] = [_branch(node_type, variant) for variant in node_type.variants]
    return schema


def _branch(node_type: NodeType, variant: Variant) -> dict[str, Any]:
    branch = schema_of(variant.parameters)
    chosen = {
        parameter.name: {"const": variant.selects[parameter.name], "description": parameter.docs}
        for parameter in node_type.parameters
    }
    return {
        "title": variant.title,
        "description": variant.docs,
        **branch,
        "properties": {**chosen, **branch["properties"]},
    }
