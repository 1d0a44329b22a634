"""The methods of arrays. None changes the array it is called on: `sort`, `reverse` and `fill` give a changed copy."""

from collections.abc import Callable, Iterable, Mapping
from functools import cmp_to_key
from typing import Final

from domain.expressions import utf16
from domain.expressions.conversions import (
    join,
    kind_of,
    pay_to_compare,
    same_value_zero,
    strict_equals,
    to_number,
    to_text,
    truthy,
)
from domain.expressions.errors import RANGE, TYPE, ExpressionError
from domain.expressions.limits import Budget
from domain.expressions.numbers import clamp_integer
from domain.expressions.scope import Scope
from domain.expressions.string_methods import relative
from domain.expressions.values import UNDEFINED, Function, Value

Items = list[Value]

_COPY: Final = "use [...array, value], concat, slice or toSpliced"
MUTATING: Final[Mapping[str, str]] = {
    "push": "use [...array, value] or concat",
    "unshift": "use [value, ...array]",
    "pop": "use slice(0, -1), or at(-1) for the last element",
    "shift": "use slice(1), or at(0) for the first element",
    "splice": "use toSpliced",
    "copyWithin": _COPY,
}


def _calls(scope: Scope, items: Items, function: Value, name: str) -> Callable[..., Value]:
    """The function to call for each element, paid for."""
    if type(function) is not Function:
        raise ExpressionError(TYPE, f"{name} takes a function, not {kind_of(function)}")
    scope.charge(1 + (len(items) >> 2))
    return function.call


def _copied(budget: Budget, items: Iterable[Value], count: int) -> Items:
    budget.charge_elements(count)
    return list(items)


def _at(budget: Budget, items: Items, index: Value = UNDEFINED, *_: Value) -> Value:
    place = clamp_integer(to_number(0 if index is UNDEFINED else index, budget), -len(items) - 1, len(items))
    place += len(items) if place < 0 else 0
    return items[place] if 0 <= place < len(items) else UNDEFINED


def _concat(budget: Budget, items: Items, *others: Value) -> Items:
    result = _copied(budget, items, len(items))
    for other in others:
        if type(other) is list:
            budget.charge_elements(len(result) + len(other))
            result.extend(other)
        else:
            result.append(other)
    return result


def _every(scope: Scope, items: Items, function: Value = UNDEFINED, *_: Value) -> bool:
    call = _calls(scope, items, function, "every")
    return all(truthy(call(scope, item, place, items)) for place, item in enumerate(items))


def _some(scope: Scope, items: Items, function: Value = UNDEFINED, *_: Value) -> bool:
    call = _calls(scope, items, function, "some")
    return any(truthy(call(scope, item, place, items)) for place, item in enumerate(items))


def _filter(scope: Scope, items: Items, function: Value = UNDEFINED, *_: Value) -> Items:
    call = _calls(scope, items, function, "filter")
    return [item for place, item in enumerate(items) if truthy(call(scope, item, place, items))]


def _map(scope: Scope, items: Items, function: Value = UNDEFINED, *_: Value) -> Items:
    call = _calls(scope, items, function, "map")
    return [call(scope, item, place, items) for place, item in enumerate(items)]


def _for_each(scope: Scope, items: Items, function: Value = UNDEFINED, *_: Value) -> Value:
    call = _calls(scope, items, function, "forEach")
    for place, item in enumerate(items):
        call(scope, item, place, items)
    return UNDEFINED


def _search(name: str, *, backwards: bool) -> Callable[[Scope, Items, Value], int]:
    def search(scope: Scope, items: Items, function: Value) -> int:
        call = _calls(scope, items, function, name)
        places = range(len(items) - 1, -1, -1) if backwards else range(len(items))
        return next((place for place in places if truthy(call(scope, items[place], place, items))), -1)

    return search


def _finder(name: str, *, backwards: bool, position: bool) -> Callable[..., Value]:
    search = _search(name, backwards=backwards)

    def find(scope: Scope, items: Items, function: Value = UNDEFINED, *_: Value) -> Value:
        place = search(scope, items, function)
        if position:
            return place
        return items[place] if place >= 0 else UNDEFINED

    return find


def _flat(budget: Budget, items: Items, depth: Value = UNDEFINED, *_: Value) -> Items:
    levels = 1 if depth is UNDEFINED else clamp_integer(to_number(depth, budget), 0, 10_000)
    result: Items = []
    _flatten(budget, items, levels, result)
    return result


def _flatten(budget: Budget, items: Items, levels: int, result: Items) -> None:
    budget.charge_elements(len(items) + len(result))
    for item in items:
        if type(item) is list and levels > 0:
            _flatten(budget, item, levels - 1, result)
        else:
            result.append(item)


def _flat_map(scope: Scope, items: Items, function: Value = UNDEFINED, *_: Value) -> Items:
    return _flat(scope, _map(scope, items, function))


def _includes(budget: Budget, items: Items, wanted: Value = UNDEFINED, start: Value = UNDEFINED, *_: Value) -> bool:
    budget.charge(1 + (len(items) >> 2))
    pay_to_compare(wanted, len(items), budget)
    first = relative(budget, start, len(items), 0)
    return any(same_value_zero(item, wanted) for item in items[first:])


def _index_of(budget: Budget, items: Items, wanted: Value = UNDEFINED, start: Value = UNDEFINED, *_: Value) -> int:
    budget.charge(1 + (len(items) >> 2))
    pay_to_compare(wanted, len(items), budget)
    first = relative(budget, start, len(items), 0)
    return next((place for place in range(first, len(items)) if strict_equals(items[place], wanted)), -1)


def _last_index_of(budget: Budget, items: Items, wanted: Value = UNDEFINED, *start: Value) -> int:
    budget.charge(1 + (len(items) >> 2))
    pay_to_compare(wanted, len(items), budget)
    last = len(items) - 1
    if start:
        number = to_number(start[0], budget)
        last = clamp_integer(number, -len(items) - 1, last)
        last += len(items) if number < 0 else 0
    return next((place for place in range(last, -1, -1) if strict_equals(items[place], wanted)), -1)


def _join(budget: Budget, items: Items, separator: Value = UNDEFINED, *_: Value) -> str:
    return join(items, "," if separator is UNDEFINED else to_text(separator, budget), budget)


def _entries(budget: Budget, items: Items, *_: Value) -> Items:
    budget.charge_elements(2 * len(items))
    return [[place, item] for place, item in enumerate(items)]


def _reducer(name: str, *, backwards: bool) -> Callable[..., Value]:
    def reduce(scope: Scope, items: Items, function: Value = UNDEFINED, *initial: Value) -> Value:
        call = _calls(scope, items, function, name)
        places = list(range(len(items) - 1, -1, -1) if backwards else range(len(items)))
        if initial:
            result = initial[0]
        elif places:
            result = items[places.pop(0)]
        else:
            raise ExpressionError(TYPE, f"{name} of an empty array needs a value to start with")
        for place in places:
            result = call(scope, result, items[place], place, items)
        return result

    return reduce


def _reverse(budget: Budget, items: Items, *_: Value) -> Items:
    return _copied(budget, reversed(items), len(items))


def _slice(budget: Budget, items: Items, start: Value = UNDEFINED, end: Value = UNDEFINED, *_: Value) -> Items:
    size = len(items)
    part = items[relative(budget, start, size, 0) : relative(budget, end, size, size)]
    budget.charge(1 + (len(part) >> 3))
    return part


def _sort(scope: Scope, items: Items, function: Value = UNDEFINED, *_: Value) -> Items:
    """Stable; undefined last; without a function by the elements' texts."""
    scope.charge_elements(len(items))
    defined = [item for item in items if item is not UNDEFINED]
    if function is UNDEFINED:
        scope.charge(len(defined))
        defined.sort(key=lambda item: _text_key(item, scope))
    else:
        call = _calls(scope, items, function, "sort")

        def compare(left: Value, right: Value) -> int:
            order = to_number(call(scope, left, right), scope)
            return -1 if order < 0 else 1 if order > 0 else 0

        defined.sort(key=cmp_to_key(compare))
    return defined + [UNDEFINED] * (len(items) - len(defined))


def _text_key(item: Value, scope: Scope) -> bytes:
    text = to_text(item, scope)
    scope.charge_scan(len(text))
    return utf16.sort_key(text)


def _spliced(budget: Budget, items: Items, *arguments: Value) -> Items:
    size = len(items)
    start = relative(budget, arguments[0], size, 0) if arguments else 0
    most = size - start
    skipped = (
        0 if not arguments else most if len(arguments) == 1 else clamp_integer(to_number(arguments[1], budget), 0, most)
    )
    new = arguments[2:]
    return _copied(budget, [*items[:start], *new, *items[start + skipped :]], size + len(new))


def _with(budget: Budget, items: Items, index: Value = UNDEFINED, value: Value = UNDEFINED, *_: Value) -> Items:
    number = to_number(index, budget)
    place = clamp_integer(number, -len(items) - 1, len(items))
    place += len(items) if place < 0 else 0
    if not 0 <= place < len(items):
        raise ExpressionError(RANGE, "with: the index is outside the array")
    result = _copied(budget, items, len(items))
    result[place] = value
    return result


def _fill(
    budget: Budget, items: Items, value: Value = UNDEFINED, start: Value = UNDEFINED, end: Value = UNDEFINED, *_: Value
) -> Items:
    result = _copied(budget, items, len(items))
    first, last = relative(budget, start, len(items), 0), relative(budget, end, len(items), len(items))
    if first < last:
        result[first:last] = [value] * (last - first)
    return result


ARRAY_METHODS: Final[Mapping[str, Callable[..., Value]]] = {
    "at": _at,
    "concat": _concat,
    "entries": _entries,
    "every": _every,
    "fill": _fill,
    "filter": _filter,
    "find": _finder("find", backwards=False, position=False),
    "findIndex": _finder("findIndex", backwards=False, position=True),
    "findLast": _finder("findLast", backwards=True, position=False),
    "findLastIndex": _finder("findLastIndex", backwards=True, position=True),
    "flat": _flat,
    "flatMap": _flat_map,
    "forEach": _for_each,
    "includes": _includes,
    "indexOf": _index_of,
    "join": _join,
    "keys": lambda budget, items, *_: _copied(budget, range(len(items)), len(items)),
    "lastIndexOf": _last_index_of,
    "map": _map,
    "reduce": _reducer("reduce", backwards=False),
    "reduceRight": _reducer("reduceRight", backwards=True),
    "reverse": _reverse,
    "slice": _slice,
    "some": _some,
    "sort": _sort,
    "toReversed": _reverse,
    "toSorted": _sort,
    "toSpliced": _spliced,
    "toString": lambda budget, items, *_: join(items, ",", budget),
    "values": lambda budget, items, *_: _copied(budget, items, len(items)),
    "valueOf": lambda _budget, items, *_: items,
    "with": _with,
}
