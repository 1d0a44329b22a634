"""`remove_duplicates`: of items that are equal, the first or the last one stays."""

from collections.abc import Hashable

from domain.execution.events import Item
from domain.nodes.keys import content_of, contents_at
from domain.nodes.node_type import MAIN, Example, NodeType, Operation, Output, Pure, Run
from domain.nodes.parameters import Parameter, Parameters
from domain.nodes.paths import split_path, without_path


def _bind(parameters: Parameters) -> Operation:
    fields, ignored = _paths(parameters, "fields"), _paths(parameters, "ignore")
    if fields and ignored:
        parameters.refuse("ignore", "cannot be given beside fields: name either those that count or those that do not")
    last = parameters.plain("keep") == "last"

    def key(item: Item) -> Hashable:
        json = item["json"]
        if fields:
            return contents_at(json, fields)
        for path in ignored:
            json = without_path(json, path)
        return content_of(json)

    def run(run: Run) -> Output:
        kept: dict[Hashable, int] = {}
        for index, item in enumerate(run.items):
            if last:
                kept[key(item)] = index
            else:
                kept.setdefault(key(item), index)
        return Output({MAIN: [run.items[index] for index in sorted(kept.values())]})

    return Pure(run, weight=2 + len(fields) + len(ignored))


def _paths(parameters: Parameters, name: str) -> list[tuple[str, ...]]:
    names = parameters.plain(name)
    if not all(isinstance(entry, str) and all(entry.split(".")) for entry in names):
        parameters.refuse(name, 'takes names of fields, such as ["customer.email"]')
        return []
    return [split_path(entry) for entry in names]


REMOVE_DUPLICATES = NodeType(
    "remove_duplicates",
    "Remove duplicates",
    "Keeps one of the items that are equal: in all their fields, or in chosen ones. The order stays. 1 and '1' differ; "
    "a missing field is equal to a missing field only.",
    _bind,
    (
        Parameter("fields", "list", "The fields that are compared; none: all.", default=[], expression=False),
        Parameter("ignore", "list", "Without fields: those that are not compared.", default=[], expression=False),
        Parameter("keep", "text", "Which one stays.", default="first", expression=False, choices=("first", "last")),
    ),
    examples=(
        Example(
            "One item a customer.",
            {"fields": ["email"]},
            [{"email": "a@x.org", "n": 1}, {"email": "b@x.org", "n": 2}, {"email": "a@x.org", "n": 3}],
            {MAIN: [{"email": "a@x.org", "n": 1}, {"email": "b@x.org", "n": 2}]},
        ),
    ),
)
