"""`rename_keys`: gives fields other names."""

from typing import Any, Final

from domain.execution.events import Item, Items
from domain.expressions import UNDEFINED, Scope
from domain.nodes.failures import NodeFailure
from domain.nodes.node_type import MAIN, Example, NodeType, Operation, Pure, map_items
from domain.nodes.parameters import Parameter, Parameters
from domain.nodes.paths import put_path, read_path, split_path, without_path

_KEYS: Final = 200

Pair = tuple[tuple[str, ...], tuple[str, ...]]


def _bind(parameters: Parameters) -> Operation:
    rows = parameters.rows("keys")
    if not rows and isinstance(parameters.source("keys"), list):
        parameters.refuse("keys", "needs at least one pair {from, to}")
    if len(rows) > _KEYS:
        parameters.refuse("keys", f"may have at most {_KEYS} pairs")
    pairs = [_pair(row) for row in rows]
    for side, name in ((0, "from"), (1, "to")):
        paths = [pair[side] for pair in pairs]
        for place, path in enumerate(paths):
            if path in paths[:place]:
                parameters.refuse(f"keys[{place}].{name}", f"names {'.'.join(path)!r} for the second time")
    strict = parameters.plain("missing") == "fail"

    def rename(_scope: Scope, item: Item) -> Items:
        return [{**item, "json": _renamed(item["json"], pairs, strict)}]

    return Pure(lambda run: map_items(run, rename), weight=1 + len(pairs))


def _pair(row: Parameters) -> Pair:
    sides = []
    for name in ("from", "to"):
        path = split_path(row.plain(name) or "")
        if not all(path) and row.given(name):
            row.refuse(name, "is no field name: it is empty or has an empty part")
        sides.append(path)
    return sides[0], sides[1]


def _renamed(json: dict[str, Any], pairs: list[Pair], strict: bool) -> dict[str, Any]:
    """All at once, so that two fields can change places. A field renamed at the top keeps its place."""
    found = [(old, new, read_path(json, old)) for old, new in pairs]
    if strict:
        for old, _, value in found:
            if value is UNDEFINED:
                raise NodeFailure("missing_field", f"there is no field {'.'.join(old)!r} to be renamed")
    there = [entry for entry in found if entry[2] is not UNDEFINED]
    if all(len(old) == len(new) == 1 for old, new, _ in there):
        names = {old[0]: new[0] for old, new, _ in there}
        replaced = set(names.values())
        return {names.get(name, name): value for name, value in json.items() if name in names or name not in replaced}
    made = json
    for old, _, _ in there:
        made = without_path(made, old)
    made = dict(made)
    for _, new, value in there:
        put_path(made, new, value)
    return made


RENAME_KEYS = NodeType(
    "rename_keys",
    "Rename keys",
    "Gives fields other names, all at once (two can change places). Dots reach nested fields. What had the new name "
    "before is replaced.",
    _bind,
    (
        Parameter(
            "keys",
            "rows",
            "The old and new names.",
            required=True,
            of=(
                Parameter("from", "text", "The field as it is called now.", required=True, expression=False),
                Parameter("to", "text", "Its new name.", required=True, expression=False),
            ),
        ),
        Parameter(
            "missing",
            "text",
            "What becomes of an item that lacks such a field: skip leaves it, fail fails it.",
            default="skip",
            expression=False,
            choices=("skip", "fail"),
        ),
    ),
    examples=(
        Example(
            "A flat name for a nested field.",
            {"keys": [{"from": "customer.mail", "to": "email"}, {"from": "nr", "to": "number"}]},
            [{"nr": 7, "customer": {"mail": "a@x.org", "name": "Ada"}}],
            {MAIN: [{"number": 7, "customer": {"name": "Ada"}, "email": "a@x.org"}]},
        ),
    ),
)
