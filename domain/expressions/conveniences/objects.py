"""Convenience functions of objects. A field of the data with the same name always wins."""

from urllib.parse import quote

from domain.expressions.conveniences.records import renamed, renames
from domain.expressions.conveniences.registry import (
    at_path,
    function_of,
    is_empty,
    names_of,
    object_of,
    offer,
    path_of,
    text_of,
)
from domain.expressions.conversions import own_entries, to_text, truthy
from domain.expressions.json_text import stringify
from domain.expressions.limits import MAX_DATA_DEPTH, too_deep
from domain.expressions.scope import Scope
from domain.expressions.utf16 import well_formed
from domain.expressions.values import UNDEFINED, Value

Object = dict[str, Value]


@offer("object", "isEmpty()", "Whether there is nothing in it.", ("({}).isEmpty()", True))
def _is_empty(_: Scope, value: Object, *__: Value) -> bool:
    return not value


@offer("object", "isNotEmpty()", "Whether there is something in it.", ("({a: 1}).isNotEmpty()", True))
def _is_not_empty(_: Scope, value: Object, *__: Value) -> bool:
    return bool(value)


@offer("object", "keys()", "The names of its fields.", ("({b: 1, a: 2}).keys()", ["b", "a"]))
def _keys(scope: Scope, value: Object, *_: Value) -> list[Value]:
    return [key for key, _item in own_entries(value, scope)]


@offer("object", "values()", "The values of its fields.", ("({b: 1, a: 2}).values()", [1, 2]))
def _values(scope: Scope, value: Object, *_: Value) -> list[Value]:
    return [item for _key, item in own_entries(value, scope)]


@offer("object", "entries()", "Pairs of names and values.", ("({a: 2}).entries()", [["a", 2]]))
def _entries(scope: Scope, value: Object, *_: Value) -> list[Value]:
    return [[key, item] for key, item in own_entries(value, scope)]


@offer(
    "object",
    "hasField(name)",
    "Whether it has a field; dots reach nested ones.",
    ("({a: {b: null}}).hasField('a.b')", True),
    ("({a: 1}).hasField('b')", False),
)
def _has_field(scope: Scope, value: Object, name: Value = UNDEFINED, *_: Value) -> bool:
    return at_path(value, path_of(scope, name)) is not UNDEFINED


@offer(
    "object",
    "getField(name, default?)",
    "A field's value; dots reach nested ones; the default if there is none.",
    ("({a: {b: [7]}}).getField('a.b.0')", 7),
    ("({}).getField('x', 'none')", "none"),
)
def _get_field(scope: Scope, value: Object, name: Value = UNDEFINED, default: Value = UNDEFINED, *_: Value) -> Value:
    found = at_path(value, path_of(scope, name))
    return default if found is UNDEFINED else found


@offer("object", "removeField(name)", "Without one field.", ("({a: 1, b: 2}).removeField('a')", {"b": 2}))
def _remove_field(scope: Scope, value: Object, name: Value = UNDEFINED, *_: Value) -> Object:
    return _remove_fields(scope, value, name)


@offer(
    "object",
    "removeFields(name, …)",
    "Without these fields.",
    ("({a: 1, b: 2, c: 3}).removeFields('a', 'c')", {"b": 2}),
)
def _remove_fields(scope: Scope, value: Object, *names: Value) -> Object:
    gone = set(names_of(scope, names))
    return {key: item for key, item in own_entries(value, scope) if key not in gone}


@offer(
    "object",
    "keepFields(name, …)",
    "With these fields only.",
    ("({a: 1, b: 2, c: 3}).keepFields(['a', 'c'])", {"a": 1, "c": 3}),
)
def _keep_fields(scope: Scope, value: Object, *names: Value) -> Object:
    kept = set(names_of(scope, names))
    return {key: item for key, item in own_entries(value, scope) if key in kept}


def _contains(scope: Scope, item: Value, wanted: str) -> bool:
    if type(item) is not str:
        return False
    scope.charge_scan(len(item))
    return wanted in item


@offer(
    "object",
    "removeFieldsContaining(text)",
    "Without fields whose text value contains a text.",
    ("({a: 'x1', b: 'y'}).removeFieldsContaining('x')", {"b": "y"}),
)
def _remove_containing(scope: Scope, value: Object, text: Value = UNDEFINED, *_: Value) -> Object:
    wanted = text_of(scope, text)
    return {key: item for key, item in own_entries(value, scope) if not _contains(scope, item, wanted)}


@offer(
    "object",
    "keepFieldsContaining(text)",
    "With fields only whose text value contains a text.",
    ("({a: 'x1', b: 'y', c: 1}).keepFieldsContaining('x')", {"a": "x1"}),
)
def _keep_containing(scope: Scope, value: Object, text: Value = UNDEFINED, *_: Value) -> Object:
    wanted = text_of(scope, text)
    return {key: item for key, item in own_entries(value, scope) if _contains(scope, item, wanted)}


@offer(
    "object",
    "compact()",
    "Without fields that are null, undefined or empty.",
    ("({a: null, b: '', c: 0}).compact()", {"c": 0}),
)
def _compact(scope: Scope, value: Object, *_: Value) -> Object:
    return {key: item for key, item in own_entries(value, scope) if not is_empty(item)}


@offer(
    "object",
    "merge(other, …)",
    "With the fields of others, the last one wins.",
    ("({a: 1, b: 2}).merge({b: 3})", {"a": 1, "b": 3}),
)
def _merge(scope: Scope, value: Object, *others: Value) -> Object:
    made = dict(own_entries(value, scope))
    for other in others:
        made.update(own_entries(object_of(other, "merge"), scope))
    return made


@offer(
    "object",
    "mergeDeep(other)",
    "With the fields of another one, objects in both merged the same way.",
    ("({a: {x: 1, y: 2}}).mergeDeep({a: {y: 3}})", {"a": {"x": 1, "y": 3}}),
)
def _merge_deep(scope: Scope, value: Object, other: Value = UNDEFINED, *_: Value) -> Object:
    return _deep(scope, value, object_of(other, "mergeDeep"), 0)


def _deep(scope: Scope, left: Object, right: Object, depth: int) -> Object:
    if depth > MAX_DATA_DEPTH:
        raise too_deep()
    made = dict(own_entries(left, scope))
    for key, item in own_entries(right, scope):
        before = made.get(key)
        both = type(before) is dict and type(item) is dict
        made[key] = _deep(scope, before, item, depth + 1) if both else item  # type: ignore[arg-type]
    return made


@offer(
    "object",
    "renameKeys(from, to, …)",
    "With fields renamed, by pairs of names or an object.",
    ("({a: 1, b: 2}).renameKeys({a: 'x'})", {"x": 1, "b": 2}),
)
def _rename_keys(scope: Scope, value: Object, *names: Value) -> Object:
    return renamed(scope, value, renames(scope, names))


@offer(
    "object",
    "mapValues(function)",
    "What a function gives for each value and name.",
    ("({a: 1, b: 2}).mapValues(v => v * 10)", {"a": 10, "b": 20}),
)
def _map_values(scope: Scope, value: Object, function: Value = UNDEFINED, *_: Value) -> Object:
    call = function_of(function, "mapValues")
    return {key: call(scope, item, key) for key, item in own_entries(value, scope)}


@offer(
    "object",
    "filterFields(test)",
    "The fields whose value and name pass a test.",
    ("({a: 1, b: 2}).filterFields(v => v > 1)", {"b": 2}),
)
def _filter_fields(scope: Scope, value: Object, test: Value = UNDEFINED, *_: Value) -> Object:
    call = function_of(test, "filterFields")
    return {key: item for key, item in own_entries(value, scope) if truthy(call(scope, item, key))}


@offer(
    "object",
    "toList(key = 'key', value = 'value')",
    "An array of objects with the name and value of each field.",
    ("({a: 1}).toList('k', 'v')", [{"k": "a", "v": 1}]),
)
def _to_list(scope: Scope, value: Object, key: Value = UNDEFINED, item: Value = UNDEFINED, *_: Value) -> list[Value]:
    name, content = text_of(scope, key, "key"), text_of(scope, item, "value")
    path_of(scope, name), path_of(scope, content)
    return [{name: one, content: two} for one, two in own_entries(value, scope)]


@offer("object", "urlEncode()", "As a query: `a=1&b=x%20y`.", ("({a: 1, b: 'x y'}).urlEncode()", "a=1&b=x%20y"))
def _url_encode(scope: Scope, value: Object, *_: Value) -> str:
    parts = []
    for key, item in own_entries(value, scope):
        for one in item if type(item) is list else [item]:
            text = "" if one is None or one is UNDEFINED else to_text(one, scope)
            scope.charge_text(9 * (len(key) + len(text)))
            parts.append(f"{quote(well_formed(key), safe='')}={quote(well_formed(text), safe='')}")
    scope.charge_text(sum(map(len, parts)))
    return "&".join(parts)


@offer("object", "toJsonString(indent = 0)", "Its JSON.", ("({a: [1]}).toJsonString()", '{"a":[1]}'))
def _to_json_string(scope: Scope, value: Object, indent: Value = UNDEFINED, *_: Value) -> Value:
    width = indent if type(indent) is int and 0 <= indent <= 10 else 0
    return stringify(value, " " * width, scope)
