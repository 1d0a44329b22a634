"""Reading answers: a place in decoded JSON, and the items found there."""

from collections.abc import Sequence
from typing import Any

from domain.execution.events import Items


def at(value: Any, place: str) -> Any:
    """What stands at a dotted place (`error.code`, `errors.0.title`); None if there is nothing. Empty: the value."""
    if not place:
        return value
    for name in place.split("."):
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value


def put_at(json: Any, place: str, value: Any) -> Any:
    """A copy of `json` with `value` at a dotted place (`files.0.title`); what is not there yet is made."""
    name, _, rest = place.partition(".")
    if name.isdecimal():
        entries: Any = list(json) if isinstance(json, list) else []
        key: Any = int(name)
        entries += [None] * (key + 1 - len(entries))
        there = entries[key]
    else:
        entries = dict(json) if isinstance(json, dict) else {}
        key, there = name, entries.get(name)
    entries[key] = put_at(there, rest, value) if rest else value
    return entries


def found_at(answer: Any, place: str) -> list[Any]:
    """What an operation's `items` means: `user` the object there, `channels[]` the entries of the list there."""
    if not place.endswith("[]"):
        found = at(answer, place)
        return [] if found is None else [found]
    entries = at(answer, place.removesuffix("[]"))
    return entries if isinstance(entries, list) else []


def as_items(found: Sequence[Any]) -> Items:
    """One item each; what is no object becomes its `value`."""
    return [{"json": entry if isinstance(entry, dict) else {"value": entry}} for entry in found]
