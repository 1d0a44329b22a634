"""`compare`: what two lists of items have in common and what not."""

from collections import deque
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final

from domain.execution.events import Item, Items
from domain.nodes.keys import content_of, key_of
from domain.nodes.node_type import Example, Merge, NodeType, Operation, Output, Run
from domain.nodes.parameters import Parameter, Parameters
from domain.nodes.paths import split_path, without_path

INPUTS: Final = ("input1", "input2")
OUTPUTS: Final = ("in_a_only", "same", "different", "in_b_only")


def _bind(parameters: Parameters) -> Operation:
    names = _names(parameters, "fields")
    if not names and parameters.given("fields"):
        parameters.refuse("fields", 'name the fields by which items belong together, such as ["id"]')
    paths = [split_path(name) for name in names]
    ignored = [split_path(name) for name in _names(parameters, "ignore")]
    shown = parameters.plain("different")

    def run(run: Run) -> Output:
        ports: dict[str, Items] = {port: [] for port in OUTPUTS}
        others = run.inputs.get("input2", [])
        waiting = _places(others, paths)
        paired: set[int] = set()
        for item in run.inputs.get("input1", []):
            key = key_of(item["json"], paths)
            partners = waiting.get(key) if key is not None else None
            if not partners:
                ports["in_a_only"].append(item)
                continue
            place = partners.popleft()
            paired.add(place)
            partner = others[place]
            changed = _changed(_without(item["json"], ignored), _without(partner["json"], ignored))
            if changed:
                ports["different"].append(_shown(item, partner, changed, names, paths, shown))
            else:
                ports["same"].append(item)
        ports["in_b_only"] = [item for place, item in enumerate(others) if place not in paired]
        return Output(ports)

    return Merge(run, _cost, known_inputs=INPUTS, outputs=OUTPUTS)


def _names(parameters: Parameters, name: str) -> list[str]:
    names = parameters.plain(name) or []
    if all(isinstance(entry, str) and all(entry.split(".")) for entry in names):
        return list(names)
    parameters.refuse(name, 'takes names of fields, such as ["id"]')
    return []


def _cost(inputs: Mapping[str, Items]) -> int:
    return 3 * sum(map(len, inputs.values()))


def _places(items: Items, paths: Sequence[Sequence[str]]) -> dict[Hashable, deque[int]]:
    """The places of the items with each key, in order."""
    places: dict[Hashable, deque[int]] = {}
    for place, item in enumerate(items):
        key = key_of(item["json"], paths)
        if key is not None:
            places.setdefault(key, deque()).append(place)
    return places


def _without(json: dict[str, Any], ignored: Sequence[Sequence[str]]) -> dict[str, Any]:
    for path in ignored:
        json = without_path(json, path)
    return json


def _changed(left: dict[str, Any], right: dict[str, Any]) -> list[str]:
    """The names of the fields at the top in which they differ; those of `left` first."""
    names = [*left, *(name for name in right if name not in left)]
    return [
        name
        for name in names
        if name not in left or name not in right or content_of(left[name]) != content_of(right[name])
    ]


def _shown(
    left: Item, right: Item, changed: list[str], names: list[str], paths: Sequence[Sequence[str]], shown: str
) -> Item:
    if shown == "input1":
        return left
    if shown == "input2":
        return right
    keys: dict[str, Any] = {}
    for name, path in zip(names, paths, strict=True):
        value: Any = left["json"]
        for part in path:
            value = value[part]
        keys[name] = value
    return {
        "json": {
            "keys": keys,
            "different": {
                name: {
                    side: item["json"][name]
                    for side, item in (("input1", left), ("input2", right))
                    if name in item["json"]
                }
                for name in changed
            },
        }
    }


COMPARE = NodeType(
    "compare",
    "Compare",
    "Waits for both inputs, as merge does, and puts items together that agree in the key fields (the first of input1 "
    "with the first of input2, the second with the second, …). Pairs go to same or to different, the others to "
    "in_a_only (input1) or in_b_only (input2); an item without the key fields has no partner.",
    _bind,
    (
        Parameter("fields", "list", "The key fields.", required=True, expression=False),
        Parameter("ignore", "list", "Fields in which a pair may differ.", default=[], expression=False),
        Parameter(
            "different",
            "text",
            "What is put out of a pair that differs: changes is {keys, different: {field: {input1, input2}}}.",
            default="changes",
            expression=False,
            choices=("changes", "input1", "input2"),
        ),
    ),
    routes=True,
    can_be_disabled=False,
    examples=(
        Example(
            "What is new, changed and gone since last time.",
            {"fields": ["id"]},
            {
                "input1": [{"id": 1, "price": 5}, {"id": 2, "price": 6}, {"id": 3, "price": 7}],
                "input2": [{"id": 2, "price": 6}, {"id": 3, "price": 8}, {"id": 4, "price": 9}],
            },
            {
                "in_a_only": [{"id": 1, "price": 5}],
                "same": [{"id": 2, "price": 6}],
                "different": [{"keys": {"id": 3}, "different": {"price": {"input1": 7, "input2": 8}}}],
                "in_b_only": [{"id": 4, "price": 9}],
            },
        ),
    ),
)
