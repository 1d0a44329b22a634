"""The registry of convenience functions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from domain.expressions.conversions import kind_of, own_entries, to_text
from domain.expressions.errors import TYPE, ExpressionError
from domain.expressions.scope import Scope
from domain.expressions.values import UNDEFINED, Function, Value, forbidden, is_forbidden

KINDS: Final = ("string", "number", "boolean", "array", "object", "date", "DateTime")
EXAMPLES_NOW: Final = 1_763_923_560_000  # 2025-11-23T18:46:00Z: what $now is in the examples, in Europe/Berlin
EXAMPLES_ZONE: Final = "Europe/Berlin"

Example = tuple[str, Any]
_Call = TypeVar("_Call", bound=Callable[..., Value])


@dataclass(frozen=True, slots=True)
class Entry:
    """One function: `signature` such as `first()`, `examples`: expressions and their results as JSON."""

    kind: str
    name: str
    signature: str
    docs: str
    examples: tuple[Example, ...]
    call: Callable[..., Value]


REGISTRY: Final[list[Entry]] = []


def offer(kind: str, signature: str, docs: str, *examples: Example) -> Callable[[_Call], _Call]:
    """Put a function `call(scope, value, *arguments)` into the registry (of DateTime: without `value`)."""

    def register(call: _Call) -> _Call:
        REGISTRY.append(Entry(kind, signature.partition("(")[0], signature, docs, examples, call))
        return call

    return register


def table(kind: str) -> dict[str, Callable[..., Value]]:
    """The functions of one kind of value by name."""
    return {entry.name: entry.call for entry in REGISTRY if entry.kind == kind}


# -- what arguments mean


def text_of(scope: Scope, value: Value, default: str | None = None) -> str:
    """A text argument."""
    return default if value is UNDEFINED and default is not None else to_text(value, scope)


def path_of(scope: Scope, value: Value) -> tuple[str, ...]:
    """A field's name; dots reach nested ones. Raises ExpressionError for forbidden names."""
    names = tuple(to_text(value, scope).split("."))
    for name in names:
        if is_forbidden(name):
            raise forbidden(name)
    return names


def at_path(value: Value, path: tuple[str, ...]) -> Value:
    """What stands at a path of objects (and indices of arrays), undefined if there is nothing."""
    for name in path:
        if type(value) is dict:
            value = value.get(name, UNDEFINED)
        elif type(value) is list and name.isascii() and name.isdigit() and len(name) < 10 and int(name) < len(value):
            value = value[int(name)]
        else:
            return UNDEFINED
    return value


def selector(scope: Scope, field: Value) -> Callable[[Value], Value]:
    """What a field's name or a function gives for an element."""
    if type(field) is Function:
        call = field.call
        return lambda item: call(scope, item)
    path = path_of(scope, field)
    if len(path) == 1:
        only = path[0]
        return lambda item: item.get(only, UNDEFINED) if type(item) is dict else UNDEFINED
    return lambda item: at_path(item, path)


def names_of(scope: Scope, arguments: tuple[Value, ...]) -> list[str]:
    """Names given one by one or as an array."""
    given = arguments[0] if len(arguments) == 1 and type(arguments[0]) is list else list(arguments)
    scope.charge(1 + (len(given) >> 2))
    return [to_text(name, scope) for name in given]


def array_of(value: Value, name: str) -> list[Value]:
    """An argument that must be an array."""
    if type(value) is not list:
        raise ExpressionError(TYPE, f"{name} takes an array, not {kind_of(value)}")
    return value


def object_of(value: Value, name: str) -> dict[str, Value]:
    """An argument that must be an object."""
    if type(value) is not dict:
        raise ExpressionError(TYPE, f"{name} takes an object, not {kind_of(value)}")
    return value


def function_of(value: Value, name: str) -> Callable[..., Value]:
    """An argument that must be a function."""
    if type(value) is not Function:
        raise ExpressionError(TYPE, f"{name} takes a function, not {kind_of(value)}")
    return value.call


def content_key(scope: Scope, value: Value) -> Any:
    """A hashable stand-in that is the same for equal content."""
    if type(value) is list:
        scope.charge(1 + (len(value) >> 2))
        return "list", tuple(content_key(scope, item) for item in value)
    if type(value) is dict:
        return "object", frozenset((key, content_key(scope, item)) for key, item in own_entries(value, scope))
    if type(value) is str:
        scope.charge_scan(len(value))
    return ("boolean", value) if type(value) is bool else value


def is_empty(value: Value) -> bool:
    """null, undefined, and a string, array or object without anything in it."""
    return value is None or value is UNDEFINED or (type(value) in {str, list, dict} and not value)
