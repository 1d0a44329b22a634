"""Dotted names such as `customer.address.city` in JSON objects. Nothing is changed in place: items are shared."""

from collections.abc import Sequence
from typing import Any

from domain.expressions import UNDEFINED
from domain.nodes.failures import BAD_PARAMETER, NodeFailure


def split_path(name: str) -> tuple[str, ...]:
    return tuple(name.split("."))


def read_path(json: Any, path: Sequence[str]) -> Any:
    """The value at a path, UNDEFINED if there is none."""
    for part in path:
        if not isinstance(json, dict) or part not in json:
            return UNDEFINED
        json = json[part]
    return json


def reaches_inside(path: Sequence[str]) -> bool:
    """Whether a name in it is one that leads into the inside of objects where others read this JSON (S17)."""
    return any(part.startswith("__") and part.endswith("__") for part in path)


def put_path(json: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Set a nested field of an object that is the caller's own; the objects on the way are replaced by copies.

    Raises NodeFailure for names such as `__proto__`.
    """
    if reaches_inside(path):
        raise NodeFailure(BAD_PARAMETER, f"a field named {'.'.join(path)[:100]!r} cannot be set")
    for part in path[:-1]:
        below = json.get(part)
        below = dict(below) if isinstance(below, dict) else {}
        json[part] = below
        json = below
    json[path[-1]] = value


def without_path(json: dict[str, Any], path: Sequence[str]) -> dict[str, Any]:
    """A copy of the object that lacks the nested field."""
    copy = dict(json)
    at = copy
    for part in path[:-1]:
        below = at.get(part)
        if not isinstance(below, dict):
            return copy
        at[part] = dict(below)
        at = at[part]
    at.pop(path[-1], None)
    return copy
