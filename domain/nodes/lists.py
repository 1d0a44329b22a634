"""`split_out`, `aggregate`, `limit`, `sort`: nodes that work on lists."""

from typing import Any

from domain.execution.events import Item, Items
from domain.expressions import UNDEFINED, Scope
from domain.nodes.failures import NodeFailure
from domain.nodes.node_type import MAIN, NodeType, Operation, Output, Pure, Run, at_first, map_items
from domain.nodes.parameters import Parameter, Parameters
from domain.nodes.paths import put_path, read_path, split_path, without_path


def _bind_split_out(parameters: Parameters) -> Operation:
    name = parameters.plain("field") or ""
    path = split_path(name)
    keep = parameters.plain("keep")

    def split(_scope: Scope, item: Item) -> Items:
        json = item["json"]
        elements = read_path(json, path)
        if not isinstance(elements, list):
            raise NodeFailure("not_a_list", f"field {name!r} is not a list, so it cannot be split")
        others = without_path(json, path) if keep else {}
        return [
            {"json": {**others, **(element if isinstance(element, dict) else {path[-1]: element})}}
            for element in elements
        ]

    def elements(items: Items) -> int:
        lists = (read_path(item["json"], path) for item in items)
        return sum(len(each) for each in lists if isinstance(each, list))

    return Pure(lambda run: map_items(run, split), weight=4, within=elements)


def _bind_aggregate(parameters: Parameters) -> Operation:
    into = split_path(parameters.plain("into"))
    field = parameters.plain("field")
    path = split_path(field) if field else None

    def run(run: Run) -> Output:
        values: list[Any] = [item["json"] for item in run.items]
        if path is not None:
            values = [value for json in values if (value := read_path(json, path)) is not UNDEFINED]
        json: dict[str, Any] = {}
        put_path(json, into, values)
        return Output({MAIN: [{"json": json}]})

    return Pure(run)


def _bind_limit(parameters: Parameters) -> Operation:
    count_of = parameters.evaluator("count")
    from_end = parameters.plain("from") == "end"

    def run(run: Run) -> Output:
        count = int(count_of(at_first(run)))
        items = run.items
        return Output({MAIN: items[max(0, len(items) - count) :] if from_end else items[:count]})

    return Pure(run)


def _bind_sort(parameters: Parameters) -> Operation:
    fields = [(split_path(row.plain("name") or ""), row.plain("order") == "desc") for row in parameters.rows("fields")]
    if not fields:
        parameters.refuse("fields", "needs at least one field {name, order}")

    def run(run: Run) -> Output:
        items = run.items
        for path, descending in reversed(fields):
            items = _sorted(items, path, descending)
        return Output({MAIN: items})

    return Pure(run, weight=1 + len(fields))


def _sorted(items: Items, path: tuple[str, ...], descending: bool) -> Items:
    """Stable in both directions: numbers, strings by code point, others; missing and null last."""
    keyed: list[tuple[tuple[int, Any], Item]] = []
    missing: Items = []
    for item in items:
        value = read_path(item["json"], path)
        if value is None or value is UNDEFINED:
            missing.append(item)
        else:
            keyed.append((_rank(value), item))
    keyed.sort(key=lambda entry: entry[0], reverse=descending)
    return [item for _, item in keyed] + missing


def _rank(value: Any) -> tuple[int, Any]:
    if isinstance(value, bool):
        return 2, 0
    if isinstance(value, int | float):
        return 0, value
    if isinstance(value, str):
        return 1, value
    return 2, 0


SPLIT_OUT = NodeType(
    "split_out",
    "Split out",
    "Makes one item of each element of a list. An object becomes the item, another value gets the field's last name.",
    _bind_split_out,
    (
        Parameter("field", "text", "The field that holds the list; dots reach nested ones.", True, expression=False),
        Parameter("keep", "boolean", "Keep the other fields of the item.", default=False, expression=False),
    ),
)
AGGREGATE = NodeType(
    "aggregate",
    "Aggregate",
    "Makes one item that holds a list of all items, or of the values of one field.",
    _bind_aggregate,
    (
        Parameter("into", "text", "The field that gets the list.", default="items", expression=False),
        Parameter(
            "field", "text", "Collect the values of this field; items without it are left out.", expression=False
        ),
    ),
)
LIMIT = NodeType(
    "limit",
    "Limit",
    "Keeps the first items, or the last.",
    _bind_limit,
    (
        Parameter("count", "integer", "How many items to keep.", required=True, minimum=0),
        Parameter("from", "text", "start or end.", default="start", expression=False, choices=("start", "end")),
    ),
)
SORT = NodeType(
    "sort",
    "Sort",
    "Sorts items by fields: numbers, then strings, then others; missing and null last; ties keep their order.",
    _bind_sort,
    (
        Parameter(
            "fields",
            "rows",
            "The fields, most important first.",
            required=True,
            of=(
                Parameter("name", "text", "The field; dots reach nested ones.", required=True, expression=False),
                Parameter("order", "text", "asc or desc.", default="asc", expression=False, choices=("asc", "desc")),
            ),
        ),
    ),
)
