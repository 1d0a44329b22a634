"""The methods of objects, and what stands behind `Object`."""

import math
from collections.abc import Callable, Mapping
from typing import Final

from domain.expressions.conversions import iterate, kind_of, own_entries, strict_equals, to_key
from domain.expressions.errors import TYPE, ExpressionError
from domain.expressions.limits import Budget
from domain.expressions.scope import Scope
from domain.expressions.values import UNDEFINED, Function, Value


def _has_own(budget: Budget, value: Value, key: Value = UNDEFINED, *_: Value) -> bool:
    name = to_key(key, budget)
    if type(value) is dict:
        return name in value
    return any(found == name for found, _item in own_entries(value, budget))


OBJECT_METHODS: Final[Mapping[str, Callable[..., Value]]] = {
    "hasOwnProperty": _has_own,
    "toString": lambda _budget, _value, *_: "[object Object]",
    "valueOf": lambda _budget, value, *_: value,
}


def _keys(scope: Scope, value: Value = UNDEFINED, *_: Value) -> list[Value]:
    return [key for key, _item in own_entries(value, scope)]


def _values(scope: Scope, value: Value = UNDEFINED, *_: Value) -> list[Value]:
    return [item for _key, item in own_entries(value, scope)]


def _entries(scope: Scope, value: Value = UNDEFINED, *_: Value) -> list[Value]:
    entries = own_entries(value, scope)
    scope.charge_elements(len(entries))
    return [[key, item] for key, item in entries]


def _from_entries(scope: Scope, entries: Value = UNDEFINED, *_: Value) -> dict[str, Value]:
    result: dict[str, Value] = {}
    for entry in iterate(entries, scope, "what Object.fromEntries gets"):
        if type(entry) is list:
            key, item = (*entry[:2], UNDEFINED, UNDEFINED)[:2]
            result[to_key(key, scope)] = item
        else:
            raise ExpressionError(TYPE, f"Object.fromEntries takes [key, value] pairs, not {kind_of(entry)}")
    scope.charge_elements(len(result))
    return result


def _assign(scope: Scope, target: Value = UNDEFINED, *sources: Value) -> dict[str, Value]:
    """Always a fresh object: the workflow's data does not change."""
    result = dict(own_entries(target, scope))
    for source in sources:
        if source is not None and source is not UNDEFINED:
            result.update(own_entries(source, scope))
    scope.charge_elements(len(result))
    return result


def _is(_: Scope, left: Value = UNDEFINED, right: Value = UNDEFINED, *__: Value) -> bool:
    if type(left) in {int, float} and type(right) in {int, float}:
        if left != left or right != right:  # noqa: PLR0124 - NaN
            return bool(left != left and right != right)  # noqa: PLR0124
        return bool(left == right) and math.copysign(1.0, left) == math.copysign(1.0, right)
    return strict_equals(left, right)


def _group_by(scope: Scope, items: Value = UNDEFINED, function: Value = UNDEFINED, *_: Value) -> dict[str, Value]:
    if type(function) is not Function:
        raise ExpressionError(TYPE, f"Object.groupBy takes a function, not {kind_of(function)}")
    groups: dict[str, list[Value]] = {}
    for place, item in enumerate(iterate(items, scope, "what Object.groupBy gets")):
        groups.setdefault(to_key(function.call(scope, item, place), scope), []).append(item)
    return groups


OBJECT_FUNCTIONS: Final[Mapping[str, Callable[..., Value]]] = {
    "keys": _keys,
    "values": _values,
    "entries": _entries,
    "fromEntries": _from_entries,
    "assign": _assign,
    "hasOwn": _has_own,
    "is": _is,
    "groupBy": _group_by,
}
