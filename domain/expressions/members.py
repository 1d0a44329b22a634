"""What stands behind `value.name` and `value[index]`: plain tables, by type. Nothing reaches Python's attributes."""

from domain.expressions import utf16
from domain.expressions.array_methods import MUTATING
from domain.expressions.conversions import kind_of, to_key, to_text, units
from domain.expressions.datetime_methods import DATE_FIELDS
from domain.expressions.datetimes import DateTime
from domain.expressions.errors import TYPE, UNSUPPORTED, ExpressionError
from domain.expressions.javascript import UNSUPPORTED_CALLS, is_unsupported_method
from domain.expressions.limits import Budget
from domain.expressions.methods import METHODS
from domain.expressions.reference_methods import current_item
from domain.expressions.regexp_methods import REGEXP_FIELDS
from domain.expressions.regexps import RegExp
from domain.expressions.scope import ItemsReference, Scope
from domain.expressions.values import UNDEFINED, Function, Namespace, Value, forbidden, is_forbidden


def member(budget: Budget, value: Value, name: str, text: str) -> Value:
    """`value.name` for a name that is allowed; `text` is the source of `value`, for the message."""
    kind = type(value)
    if kind is dict:
        return value.get(name, UNDEFINED)
    if kind is list:
        return _list_member(budget, value, name)
    if kind is str:
        return _text_member(budget, value, name)
    if value is None or value is UNDEFINED:
        raise ExpressionError(TYPE, f"cannot read {name[:60]!r} of {kind_of(value)} ({text})")
    if kind is Namespace or kind is Function:
        return value.members.get(name, UNDEFINED)
    if kind is DateTime and name in DATE_FIELDS:
        return DATE_FIELDS[name](value)
    if kind is RegExp and name in REGEXP_FIELDS:
        return REGEXP_FIELDS[name](value)
    if kind is ItemsReference and name == "item":
        return current_item(value)
    return _bound(value, name)


def _list_member(budget: Budget, value: list[Value], name: str) -> Value:
    if name == "length":
        return len(value)
    if name.isascii() and name.isdigit() and (name == "0" or name[0] != "0"):
        return value[int(name)] if len(name) < 10 and int(name) < len(value) else UNDEFINED
    if budget.matches is not None and name in (members := budget.match_members(value)):
        return members[name]
    return _bound(value, name)


def _text_member(budget: Budget, value: str, name: str) -> Value:
    if name == "length":
        return utf16.length(value)
    if name.isascii() and name.isdigit() and (name == "0" or name[0] != "0"):
        code_units = units(value, budget)
        return code_units[int(name)] if len(name) < 10 and int(name) < len(code_units) else UNDEFINED
    return _bound(value, name)


def _bound(value: Value, name: str) -> Value:
    """A method as a value of its own keeps what it was taken from."""
    method = METHODS.get(type(value), {}).get(name)
    if method is None:
        return UNDEFINED

    def call(scope: Scope, *arguments: Value) -> Value:
        return method(scope, value, *arguments)

    return Function(name, call)


def index(budget: Budget, value: Value, key: Value, text: str) -> Value:
    """`value[key]` for a key that is only known now. Forbidden names are refused here as well."""
    kind = type(value)
    if type(key) is int and key >= 0:
        if kind is list:
            return value[key] if key < len(value) else UNDEFINED
        if kind is str:
            code_units = units(value, budget)
            return code_units[key] if key < len(code_units) else UNDEFINED
    if value is None or value is UNDEFINED:
        raise ExpressionError(TYPE, f"cannot read {to_text(key, budget)[:60]!r} of {kind_of(value)} ({text})")
    name = to_key(key, budget)
    budget.charge_scan(len(name))
    if is_forbidden(name):
        raise forbidden(name)
    return member(budget, value, name, text)


def call_method(scope: Scope, value: Value, name: str, arguments: list[Value], text: str) -> Value:
    """`value.name(…arguments)`, whatever the value is."""
    kind = type(value)
    if kind is not dict or name not in value:
        method = METHODS.get(kind, {}).get(name)
        if method is not None:
            return method(scope, value, *arguments)
    return call(scope, member(scope, value, name, text), arguments, f"{text}.{name}", value)


def call(scope: Scope, callee: Value, arguments: list[Value], text: str, owner: Value = None) -> Value:
    """`callee(…arguments)`. Raises ExpressionError for what is no function."""
    if type(callee) is Function:
        return callee.call(scope, *arguments)
    name = text.rpartition(".")[2]
    if type(owner) is list and name in MUTATING:
        raise ExpressionError(UNSUPPORTED, f"{name} would change an array; {MUTATING[name]}")
    if callee is UNDEFINED and owner is not None and is_unsupported_method(owner, name):
        raise ExpressionError(UNSUPPORTED, f"the method {name} is not available in expressions")
    if type(callee) is Namespace and callee.name in UNSUPPORTED_CALLS:
        raise ExpressionError(UNSUPPORTED, f"{callee.name}() is not available in expressions; use $now")
    raise ExpressionError(TYPE, f"{text} is not a function, it is {kind_of(callee)}")
