"""Comparing JSON values by what they are: === for scalars, by content for lists and objects."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from domain.expressions import UNDEFINED
from domain.nodes.paths import read_path

_MISSING = ("missing",)


def content_of(value: Any) -> Hashable:
    """A hashable stand-in, equal for equal values. It depends on nothing but the value."""
    if isinstance(value, list):
        return "list", tuple(map(content_of, value))
    if isinstance(value, dict):
        return "object", frozenset((name, content_of(entry)) for name, entry in value.items())
    if value is UNDEFINED:
        return _MISSING
    return ("boolean", value) if isinstance(value, bool) else value


def key_of(json: Mapping[str, Any], paths: Sequence[Sequence[str]]) -> tuple[Hashable, ...] | None:
    """What is equal where the named fields are; None if one is missing."""
    key = contents_at(json, paths)
    return None if _MISSING in key else key


def contents_at(json: Mapping[str, Any], paths: Sequence[Sequence[str]]) -> tuple[Hashable, ...]:
    """What is equal where the named fields are; missing ones are equal to each other and to nothing else."""
    return tuple(content_of(read_path(json, path)) for path in paths)
