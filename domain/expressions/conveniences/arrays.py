"""Convenience functions of arrays. None changes its array."""

from typing import Any

from domain.expressions import utf16
from domain.expressions.conveniences.registry import (
    array_of,
    content_key,
    function_of,
    is_empty,
    offer,
    selector,
    text_of,
)
from domain.expressions.conversions import to_key, to_number, truthy
from domain.expressions.errors import RANGE, ExpressionError
from domain.expressions.numbers import as_number, clamp_integer
from domain.expressions.scope import Scope
from domain.expressions.values import NAN, UNDEFINED, Value

Items = list[Value]


def pay(scope: Scope, items: Items) -> Items:
    """Pay for looking at each element."""
    scope.charge(1 + (len(items) >> 2))
    return items


# -- looking


@offer("array", "isEmpty()", "Whether there is nothing in it.", ("[].isEmpty()", True))
def _is_empty(_: Scope, items: Items, *__: Value) -> bool:
    return not items


@offer("array", "isNotEmpty()", "Whether there is something in it.", ("[0].isNotEmpty()", True))
def _is_not_empty(_: Scope, items: Items, *__: Value) -> bool:
    return bool(items)


@offer(
    "array",
    "first(count?)",
    "The first element, or an array of the first so many.",
    ("[3, 1, 2].first()", 3),
    ("[3, 1, 2].first(2)", [3, 1]),
)
def _first(scope: Scope, items: Items, count: Value = UNDEFINED, *_: Value) -> Value:
    if count is UNDEFINED:
        return items[0] if items else UNDEFINED
    return pay(scope, items[: clamp_integer(to_number(count, scope), 0, len(items))])


@offer(
    "array",
    "last(count?)",
    "The last element, or an array of the last so many.",
    ("[3, 1, 2].last()", 2),
    ("[3, 1, 2].last(2)", [1, 2]),
)
def _last(scope: Scope, items: Items, count: Value = UNDEFINED, *_: Value) -> Value:
    if count is UNDEFINED:
        return items[-1] if items else UNDEFINED
    return pay(scope, items[len(items) - clamp_integer(to_number(count, scope), 0, len(items)) :])


@offer("array", "take(count)", "The first so many elements.", ("[1, 2, 3].take(2)", [1, 2]))
def _take(scope: Scope, items: Items, count: Value = 1, *_: Value) -> Value:
    return _first(scope, items, count)


@offer("array", "skip(count)", "All but the first so many elements.", ("[1, 2, 3].skip(1)", [2, 3]))
def _skip(scope: Scope, items: Items, count: Value = 1, *_: Value) -> Items:
    return pay(scope, items[clamp_integer(to_number(count, scope), 0, len(items)) :])


# -- numbers


def _numbers(scope: Scope, items: Items, field: Value) -> list[int | float]:
    """The elements' numbers, or those of a field; what is null or undefined is left out."""
    values = pay(scope, items)
    if field is not UNDEFINED:
        pick = selector(scope, field)
        values = [pick(item) for item in values]
    return [to_number(value, scope) for value in values if value is not None and value is not UNDEFINED]


def _added(numbers: list[int | float]) -> int | float:
    total: int | float = 0
    for number in numbers:
        total = as_number(total + number)
    return total


@offer(
    "array",
    "sum(field?)",
    "The sum of its numbers, or of a field of its elements.",
    ("[1, 2.5].sum()", 3.5),
    ("[{n: 1}, {n: 2}, {}].sum('n')", 3),
)
def total_of(scope: Scope, items: Items, field: Value = UNDEFINED, *_: Value) -> int | float:
    """`sum`."""
    return _added(_numbers(scope, items, field))


@offer("array", "average(field?)", "The mean of its numbers; NaN without any.", ("[1, 2, 6].average()", 3))
def _average(scope: Scope, items: Items, field: Value = UNDEFINED, *_: Value) -> int | float:
    numbers = _numbers(scope, items, field)
    return _added(numbers) / len(numbers) if numbers else NAN


@offer(
    "array",
    "median(field?)",
    "The number in the middle of its order.",
    ("[5, 1, 3].median()", 3),
    ("[1, 2].median()", 1.5),
)
def _median(scope: Scope, items: Items, field: Value = UNDEFINED, *_: Value) -> int | float:
    numbers = sorted(_numbers(scope, items, field))
    middle = len(numbers) // 2
    if not numbers:
        return NAN
    return numbers[middle] if len(numbers) % 2 else (numbers[middle - 1] + numbers[middle]) / 2


@offer("array", "min(field?)", "The smallest of its numbers, undefined without any.", ("[3, 1, 2].min()", 1))
def _min(scope: Scope, items: Items, field: Value = UNDEFINED, *_: Value) -> Value:
    return min(_numbers(scope, items, field), default=UNDEFINED)


@offer("array", "max(field?)", "The largest of its numbers, undefined without any.", ("[{n: 3}, {n: 7}].max('n')", 7))
def _max(scope: Scope, items: Items, field: Value = UNDEFINED, *_: Value) -> Value:
    return max(_numbers(scope, items, field), default=UNDEFINED)


# -- order and groups


@offer(
    "array",
    "sortBy(field, order = 'asc')",
    "Ordered by a field or a function: numbers before texts before others, missing ones last.",
    ("[{n: 2}, {n: 10}, {n: 1}].sortBy('n').pluck('n')", [1, 2, 10]),
    ("['bb', 'a'].sortBy(x => x.length, 'desc')", ["bb", "a"]),
)
def _sort_by(scope: Scope, items: Items, field: Value = UNDEFINED, order: Value = UNDEFINED, *_: Value) -> Items:
    pick = selector(scope, field)
    keyed: list[tuple[tuple[int, Any], Value]] = []
    missing: Items = []
    scope.charge(1 + len(items))
    for item in items:
        value = pick(item)
        if value is None or value is UNDEFINED:
            missing.append(item)
        else:
            keyed.append((_rank(scope, value), item))
    keyed.sort(key=lambda pair: pair[0], reverse=text_of(scope, order, "asc") == "desc")
    return [item for _, item in keyed] + missing


def _rank(scope: Scope, value: Value) -> tuple[int, Any]:
    if type(value) is int or type(value) is float:
        return 0, value
    if type(value) is str:
        scope.charge_scan(len(value))
        return 1, utf16.sort_key(value)
    return (2, value) if type(value) is bool else (3, 0)


@offer(
    "array",
    "groupBy(field)",
    "An object of arrays: the elements by a field or a function.",
    ("[{t: 'a', n: 1}, {t: 'b', n: 2}, {t: 'a', n: 3}].groupBy('t').a.pluck('n')", [1, 3]),
)
def _group_by(scope: Scope, items: Items, field: Value = UNDEFINED, *_: Value) -> dict[str, Value]:
    pick = selector(scope, field)
    groups: dict[str, Value] = {}
    for item in pay(scope, items):
        groups.setdefault(to_key(pick(item), scope), []).append(item)
    return groups


@offer(
    "array",
    "keyBy(field)",
    "An object of the elements by a field or a function; the last one wins.",
    ("[{id: 7, n: 'x'}].keyBy('id')['7'].n", "x"),
)
def _key_by(scope: Scope, items: Items, field: Value = UNDEFINED, *_: Value) -> dict[str, Value]:
    pick = selector(scope, field)
    return {to_key(pick(item), scope): item for item in pay(scope, items)}


@offer(
    "array",
    "countBy(field)",
    "How many elements there are of each, by a field or a function.",
    ("['a', 'bb', 'c'].countBy(x => x.length)", {"1": 2, "2": 1}),
)
def _count_by(scope: Scope, items: Items, field: Value = UNDEFINED, *_: Value) -> dict[str, Value]:
    pick = selector(scope, field)
    counts: dict[str, Value] = {}
    for item in pay(scope, items):
        key = to_key(pick(item), scope)
        counts[key] = counts.get(key, 0) + 1
    return counts


@offer(
    "array",
    "partition(test)",
    "Two arrays: the elements that pass the test and the others.",
    ("[1, 2, 3].partition(x => x > 1)", [[2, 3], [1]]),
)
def _partition(scope: Scope, items: Items, test: Value = UNDEFINED, *_: Value) -> Items:
    call = function_of(test, "partition")
    parts: tuple[Items, Items] = ([], [])
    for item in pay(scope, items):
        parts[0 if truthy(call(scope, item)) else 1].append(item)
    return list(parts)


@offer("array", "chunk(size)", "Arrays of so many elements each.", ("[1, 2, 3].chunk(2)", [[1, 2], [3]]))
def _chunk(scope: Scope, items: Items, size: Value = UNDEFINED, *_: Value) -> Items:
    length = clamp_integer(to_number(size, scope), 0, max(1, len(items)))
    if length < 1:
        raise ExpressionError(RANGE, "chunk takes a size from 1 on")
    pay(scope, items)
    return [items[start : start + length] for start in range(0, len(items), length)]


# -- sets


@offer(
    "array",
    "unique(field?)",
    "Each content once, or the first element of each value of a field.",
    ("[1, 2, 1, '1'].unique()", [1, 2, "1"]),
    ("[{a: 1, b: 1}, {a: 1, b: 2}].unique('a').length", 1),
)
def _unique(scope: Scope, items: Items, field: Value = UNDEFINED, *_: Value) -> Items:
    pick = None if field is UNDEFINED else selector(scope, field)
    seen: dict[Any, Value] = {}
    for item in pay(scope, items):
        seen.setdefault(content_key(scope, item if pick is None else pick(item)), item)
    return list(seen.values())


@offer("array", "removeDuplicates(field?)", "The same as unique.", ("[{a: 1}, {a: 1}].removeDuplicates()", [{"a": 1}]))
def _remove_duplicates(scope: Scope, items: Items, field: Value = UNDEFINED, *_: Value) -> Items:
    return _unique(scope, items, field)


def _keys(scope: Scope, items: Items) -> set[Any]:
    return {content_key(scope, item) for item in pay(scope, items)}


@offer(
    "array", "difference(other)", "What is not in the other array, by content.", ("[1, 2, 3].difference([2])", [1, 3])
)
def _difference(scope: Scope, items: Items, other: Value = UNDEFINED, *_: Value) -> Items:
    known = _keys(scope, array_of(other, "difference"))
    return [item for item in pay(scope, items) if content_key(scope, item) not in known]


@offer(
    "array",
    "intersection(other)",
    "What is in the other array as well, each once.",
    ("[1, 2, 2, 3].intersection([2, 3, 4])", [2, 3]),
)
def _intersection(scope: Scope, items: Items, other: Value = UNDEFINED, *_: Value) -> Items:
    known = _keys(scope, array_of(other, "intersection"))
    return _unique(scope, [item for item in pay(scope, items) if content_key(scope, item) in known])


@offer("array", "union(other)", "What is in one of both arrays, each once.", ("[1, 2].union([2, 3])", [1, 2, 3]))
def _union(scope: Scope, items: Items, other: Value = UNDEFINED, *_: Value) -> Items:
    others = array_of(other, "union")
    scope.charge_elements(len(items) + len(others))
    return _unique(scope, items + others)


@offer(
    "array", "compact()", "Without null, undefined and what is empty.", ("[0, '', null, [], 'a'].compact()", [0, "a"])
)
def _compact(scope: Scope, items: Items, *_: Value) -> Items:
    return [item for item in pay(scope, items) if not is_empty(item)]


@offer(
    "array",
    "zip(other)",
    "Pairs of elements of both arrays, as long as the shorter one.",
    ("['a', 'b'].zip([1, 2])", [["a", 1], ["b", 2]]),
)
def _zip(scope: Scope, items: Items, other: Value = UNDEFINED, *_: Value) -> Items:
    others = array_of(other, "zip")
    pay(scope, items)
    return [[one, two] for one, two in zip(items, others, strict=False)]
