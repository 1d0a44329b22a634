"""`merge`: brings deliveries of several inputs together."""

from collections.abc import Mapping, Sequence
from typing import Any

from domain.execution.events import Item, Items
from domain.nodes.failures import NodeFailure
from domain.nodes.keys import key_of
from domain.nodes.node_type import MAIN, Merge, NodeType, Operation, Output, Run
from domain.nodes.origins import ORIGIN, inherit
from domain.nodes.parameters import Parameter, Parameters
from domain.nodes.paths import split_path

MODES = ("append", "combine_by_position", "combine_by_fields", "combine_all", "multiplex", "choose")
MAX_PAIRS = 100_000

Inputs = Mapping[str, Items]


def _bind(parameters: Parameters) -> Operation:
    mode = parameters.plain("mode")
    if mode == "combine_by_fields":
        return _by_fields(parameters)
    if mode == "combine_by_position":
        longest = parameters.plain("include_unpaired")
        return Merge(lambda run: Output({MAIN: _by_position(run.inputs, longest)}), _all_items)
    if mode in {"combine_all", "multiplex"}:
        return Merge(_combine_all, _combinations)
    if mode == "choose":
        chosen = parameters.plain("input")
        return Merge(lambda run: Output({MAIN: run.inputs.get(chosen, [])}), _all_items, chosen_input=chosen)
    return Merge(lambda run: Output({MAIN: _append(run.inputs)}), _all_items)


def _all_items(inputs: Inputs) -> int:
    return sum(map(len, inputs.values()))


def _append(inputs: Inputs) -> Items:
    return [item for items in inputs.values() for item in items]


def _spread(items: Sequence[Item]) -> Item:
    """The items' jsons (and binaries) spread over each other, later ones win."""
    json: dict[str, Any] = {}
    binary: dict[str, Any] = {}
    for item in items:
        json.update(item["json"])
        if "binary" in item:
            binary.update(item["binary"])
    made: Item = {"json": json, "binary": binary} if binary else {"json": json}
    return inherit(made, *items) if any(ORIGIN in item for item in items) else made


def _by_position(inputs: Inputs, longest: bool) -> Items:
    lists = list(inputs.values())
    count = (max if longest else min)(map(len, lists))
    return [_spread([items[index] for items in lists if index < len(items)]) for index in range(count)]


def _combinations(inputs: Inputs) -> int:
    count = 1
    for items in inputs.values():
        count *= len(items)
    return count


def _combine_all(run: Run) -> Output:
    combined: list[tuple[Item, ...]] = [()]
    for items in run.inputs.values():
        combined = [(*before, item) for before in combined for item in items]
    return Output({MAIN: [_spread(items) for items in combined]})


def _by_fields(parameters: Parameters) -> Operation:
    names = parameters.plain("fields") or []
    if not names or not all(isinstance(name, str) and name for name in names):
        parameters.refuse("fields", 'name the fields that must be equal, such as ["id"]')
    paths = [split_path(str(name)) for name in names]
    join = parameters.plain("join")

    def run(run: Run) -> Output:
        left, right = run.inputs.get("input1", []), run.inputs.get("input2", [])
        return Output({MAIN: _joined(left, right, paths, join)})

    return Merge(run, _all_items, known_inputs=("input1", "input2"))


def _joined(left: Items, right: Items, paths: list[tuple[str, ...]], join: str) -> Items:
    places: dict[Any, list[int]] = {}
    for index, item in enumerate(right):
        key = key_of(item["json"], paths)
        if key is not None:
            places.setdefault(key, []).append(index)
    made: Items = []
    paired: set[int] = set()
    for item in left:
        key = key_of(item["json"], paths)
        matches = places.get(key, ()) if key is not None else ()
        if len(made) + len(matches) > MAX_PAIRS:
            raise NodeFailure("too_many_items", f"more than {MAX_PAIRS} pairs of items match")
        made.extend(_spread((item, right[index])) for index in matches)
        if matches:
            paired.update(matches)
        elif join != "inner":
            made.append(item)
    if join == "outer":
        made.extend(item for index, item in enumerate(right) if index not in paired)
    return made


MERGE = NodeType(
    "merge",
    "Merge",
    "Waits for a delivery of each connected input (input1, input2, …), or until none can come, and combines them.",
    _bind,
    (
        Parameter(
            "mode",
            "text",
            "How items are combined; multiplex is another name for combine_all.",
            default="append",
            expression=False,
            choices=MODES,
        ),
        Parameter(
            "include_unpaired", "boolean", "As many items as the longest input has.", default=False, expression=False
        ),
        Parameter("fields", "list", "combine_by_fields: the fields that must be equal.", expression=False),
        Parameter(
            "join",
            "text",
            "combine_by_fields: inner, left or outer.",
            default="inner",
            expression=False,
            choices=("inner", "left", "outer"),
        ),
        Parameter("input", "text", "choose: the input that is handed on.", default="input1", expression=False),
    ),
    can_be_disabled=False,
)
