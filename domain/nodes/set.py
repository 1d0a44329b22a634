"""`set`: sets fields of each item."""

from collections.abc import Callable
from typing import Any

from domain.execution.events import Item, Items
from domain.expressions import UNDEFINED, ExpressionError, compile_value
from domain.nodes.failures import BAD_PARAMETER, NodeFailure
from domain.nodes.node_type import MAIN, Failure, NodeType, Operation, Output, Pure, Run, failure_of
from domain.nodes.origins import ORIGIN, inherit
from domain.nodes.parameters import Parameter, Parameters
from domain.nodes.paths import put_path, reaches_inside, split_path

Assignment = tuple[str, tuple[str, ...] | None, Any, Callable[[Any], Any] | None]
"""A field's name, its path if it is dotted, its constant value, or what evaluates it."""


def _bind(parameters: Parameters) -> Operation:
    fields = parameters.source("fields")
    keep = parameters.plain("keep")
    if isinstance(fields, str):
        return Pure(_dynamic(parameters, keep), weight=4)
    assignments = [_assignment(name, value) for name, value in (fields or {}).items()]
    for name, path, _, _ in assignments:
        if not name or (path and not all(path)):
            parameters.refuse(f"fields.{name[:100]}", "is no field name: it has an empty part")
        if reaches_inside(path or (name,)):
            parameters.refuse(f"fields.{name[:100]}", "cannot be set: such names lead into the inside of objects")
    return Pure(_assigning(assignments, keep), weight=1 + sum(1 for entry in assignments if entry[3]))


def _assignment(name: str, value: Any) -> Assignment:
    path = split_path(name) if "." in name else None
    try:
        compiled = compile_value(value)
    except ExpressionError:  # noted with its place when the parameters were read
        return name, path, None, None
    return (name, path, value, None) if compiled.constant else (name, path, None, compiled.evaluate_json)


def _assigning(assignments: list[Assignment], keep: bool) -> Callable[[Run], Output]:
    def run(run: Run) -> Output:
        scope = run.scope
        made: Items = []
        failures: list[Failure] = []
        for index, item in enumerate(run.items):
            json = scope.json = item["json"]
            scope.item_index = index
            fields = dict(json) if keep else {}
            try:
                for name, path, constant, evaluate in assignments:
                    if evaluate is None:
                        value = constant
                    else:
                        value = evaluate(scope)
                        if value is UNDEFINED:
                            continue
                    if path is None:
                        fields[name] = value
                    else:
                        put_path(fields, path, value)
            except ExpressionError as error:
                failures.append(failure_of(error, index, len(made)))
                continue
            made.append(_item(fields, item))
        return Output({MAIN: made}, failures)

    return run


def _dynamic(parameters: Parameters, keep: bool) -> Callable[[Run], Output]:
    """`fields` is one expression that gives an object."""
    evaluate = parameters.evaluator("fields")

    def run(run: Run) -> Output:
        scope = run.scope
        made: Items = []
        failures: list[Failure] = []
        for index, item in enumerate(run.items):
            json = scope.json = item["json"]
            scope.item_index = index
            try:
                given = evaluate(scope)
                if not isinstance(given, dict):
                    raise NodeFailure(BAD_PARAMETER, "parameter 'fields' must be an object")
            except (ExpressionError, NodeFailure) as error:
                failures.append(failure_of(error, index, len(made)))
                continue
            fields = dict(json) if keep else {}
            try:
                for name, value in given.items():
                    put_path(fields, split_path(name), value)
            except NodeFailure as error:
                failures.append(failure_of(error, index, len(made)))
                continue
            made.append(_item(fields, item))
        return Output({MAIN: made}, failures)

    return run


def _item(json: dict[str, Any], source: Item) -> Item:
    made: Item = {"json": json, "binary": source["binary"]} if "binary" in source else {"json": json}
    return inherit(made, source) if ORIGIN in source else made


SET = NodeType(
    "set",
    "Set fields",
    "Sets fields of each item. Fields see the incoming item, not each other; a dotted name sets a nested field.",
    _bind,
    (
        Parameter("fields", "object", 'Names and values, such as {"total": "{{ $json.price * 2 }}"}.', required=True),
        Parameter("keep", "boolean", "Keep the other fields of the item.", default=True, expression=False),
    ),
)
