"""Convenience functions of arrays of objects, and what makes something else of an array."""

from itertools import zip_longest
from typing import Final

from domain.expressions.array_methods import ARRAY_METHODS
from domain.expressions.conveniences.arrays import pay, total_of
from domain.expressions.conveniences.registry import (
    array_of,
    at_path,
    content_key,
    function_of,
    names_of,
    object_of,
    offer,
    path_of,
    selector,
    text_of,
)
from domain.expressions.conversions import join, to_key, to_text
from domain.expressions.json_text import stringify
from domain.expressions.scope import Scope
from domain.expressions.values import UNDEFINED, Function, Value

Items = list[Value]
NOTHING: Final[dict[str, Value]] = {}


@offer(
    "array",
    "pluck(field, …)",
    "The values of a field; of several fields: objects with just them.",
    ("[{a: 1, b: 2}, {a: 3}].pluck('a')", [1, 3]),
    ("[{a: 1, b: 2, c: 3}].pluck('a', 'c')", [{"a": 1, "c": 3}]),
)
def _pluck(scope: Scope, items: Items, *fields: Value) -> Items:
    paths = [path_of(scope, name) for name in names_of(scope, fields)]
    pay(scope, items)
    if len(paths) == 1:
        return [value for item in items if (value := at_path(item, paths[0])) is not UNDEFINED]
    scope.charge(len(items) * len(paths) >> 2)
    return [{path[-1]: value for path in paths if (value := at_path(item, path)) is not UNDEFINED} for item in items]


@offer(
    "array",
    "renameKeys(from, to, …)",
    "The objects in it with fields renamed, by pairs of names or an object.",
    ("[{a: 1}].renameKeys('a', 'b')", [{"b": 1}]),
    ("[{a: 1}].renameKeys({a: 'c'})", [{"c": 1}]),
)
def _rename_keys(scope: Scope, items: Items, *names: Value) -> Items:
    new = renames(scope, names)
    pay(scope, items)
    return [renamed(scope, item, new) if type(item) is dict else item for item in items]


def renames(scope: Scope, names: tuple[Value, ...]) -> dict[str, str]:
    """New names by old ones, from pairs of arguments or one object."""
    if len(names) == 1 and type(names[0]) is dict:
        pairs = [(key, to_key(value, scope)) for key, value in names[0].items()]
    else:
        texts = [to_key(name, scope) for name in names]
        pairs = list(zip(texts[::2], texts[1::2], strict=False))
    for _, new in pairs:
        path_of(scope, new)
    return dict(pairs)


def renamed(scope: Scope, value: dict[str, Value], new: dict[str, str]) -> dict[str, Value]:
    scope.charge(1 + (len(value) >> 3))
    return {new.get(key, key): item for key, item in value.items()}


@offer(
    "array",
    "merge(other?)",
    "The objects in it (and in the other array, by position) as one object each.",
    ("[{a: 1}, {b: 2}].merge()", {"a": 1, "b": 2}),
    ("[{a: 1}].merge([{b: 2}])", [{"a": 1, "b": 2}]),
)
def _merge(scope: Scope, items: Items, other: Value = UNDEFINED, *_: Value) -> Value:
    pay(scope, items)
    if other is UNDEFINED:
        made: dict[str, Value] = {}
        for item in items:
            made.update(object_of(item, "merge"))
            scope.charge_elements(len(made) & 7)
        return made
    others = array_of(other, "merge")
    size = max(len(items), len(others))
    scope.charge_elements(size)
    return [
        {**object_of(one, "merge"), **object_of(two, "merge")}
        for one, two in zip_longest(items, others, fillvalue=NOTHING)
    ]


@offer(
    "array",
    "smartJoin(key, value)",
    "An object: the names in one field, the values in another.",
    ("[{k: 'a', v: 1}, {k: 'b', v: 2}].smartJoin('k', 'v')", {"a": 1, "b": 2}),
)
def _smart_join(scope: Scope, items: Items, key: Value = UNDEFINED, value: Value = UNDEFINED, *_: Value) -> Value:
    key_of, value_of = selector(scope, key), selector(scope, value)
    return {to_key(key_of(item), scope): value_of(item) for item in pay(scope, items)}


@offer(
    "array",
    "toSentence(last = ' and ')",
    "Its texts as people list them.",
    ("['a', 'b', 'c'].toSentence()", "a, b and c"),
)
def _to_sentence(scope: Scope, items: Items, last: Value = UNDEFINED, *_: Value) -> str:
    if len(items) < 2:
        return join(items, "", scope)
    return join(items[:-1], ", ", scope) + text_of(scope, last, " and ") + to_text(items[-1], scope)


@offer("array", "toJsonString()", "Its JSON.", ("[1, {a: null}].toJsonString()", '[1,{"a":null}]'))
def _to_json_string(scope: Scope, items: Items, *_: Value) -> Value:
    return stringify(items, "", scope)


@offer(
    "array",
    "sumBy(function)",
    "The sum of what a function gives for the elements.",
    ("[{n: 2, p: 3}].sumBy(x => x.n * x.p)", 6),
)
def _sum_by(scope: Scope, items: Items, function: Value = UNDEFINED, *_: Value) -> int | float:
    function_of(function, "sumBy")
    return total_of(scope, items, function)


@offer(
    "array",
    "countOf(value)",
    "How many elements are equal to a value by content, or pass a test.",
    ("[1, 2, 1].countOf(1)", 2),
    ("[1, 2, 3].countOf(x => x > 1)", 2),
)
def _count_of(scope: Scope, items: Items, wanted: Value = UNDEFINED, *_: Value) -> int:
    if type(wanted) is Function:
        return len(ARRAY_METHODS["filter"](scope, items, wanted))
    key = content_key(scope, wanted)
    return sum(content_key(scope, item) == key for item in pay(scope, items))
