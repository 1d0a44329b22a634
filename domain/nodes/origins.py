"""Where items come from: `"origin": {node id: [run, port, index]}` of items, for `$('node').item` (ADR 0010).

Only workflows in which some expression uses `.item` of a node have it, and only for the nodes that it names. None in
place of a list: the item was made of several items of that node. An item that is handed on unchanged keeps its origin
by itself; a node that makes a new item of one or a few names them (`inherit`); for all others `carry` says what is
sure.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from domain.execution.events import Item, Items

ORIGIN: Final = "origin"
EXACT: Final = frozenset({"set", "split_out", "merge"})
"""Node types that name the sources of every item they make."""

Origins = dict[str, list[Any] | None]


def united(sources: Iterable[Item]) -> Origins:
    """The origins of what is made of all of these: None where they differ."""
    found: Origins = {}
    for source in sources:
        for node, place in source.get(ORIGIN, {}).items():
            found[node] = place if node not in found or found[node] == place else None
    return found


def inherit(made: Item, *sources: Item) -> Item:
    """An item that was made of these; changes `made`, which must be new."""
    if any(made is source for source in sources):
        return made
    origins = united(sources)
    if origins:
        made[ORIGIN] = origins
    return made


def carry(ports: Mapping[str, Items], sources: Sequence[Item]) -> dict[str, Items]:
    """The outputs of a node that does not say what its new items were made of: of one of its input, or of all of it."""
    origins = united(sources)
    if not origins:
        return dict(ports)
    known = set(map(id, sources))
    return {
        port: [item if ORIGIN in item or id(item) in known else {**item, ORIGIN: origins} for item in items]
        for port, items in ports.items()
    }


def stamped(node: str, run: int, outputs: Mapping[str, Items]) -> dict[str, Items]:
    """What a followed node put out, each item with its own place."""
    return {
        port: [{**item, ORIGIN: {**item.get(ORIGIN, {}), node: [run, port, index]}} for index, item in enumerate(items)]
        for port, items in outputs.items()
    }


def unmarked(items: Items) -> Items:
    """What an execution starts with: origins of another one (its caller's) mean nothing here."""
    if not any(ORIGIN in item for item in items):
        return items
    return [{key: value for key, value in item.items() if key != ORIGIN} for item in items]
