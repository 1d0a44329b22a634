"""Values to JSON, and JSON text."""

import json
from json.encoder import encode_basestring
from typing import NoReturn

from domain.expressions import utf16
from domain.expressions.conversions import own_keys, to_text
from domain.expressions.datetimes import DateTime
from domain.expressions.errors import LIMIT, SYNTAX, ExpressionError
from domain.expressions.limits import MAX_DATA_DEPTH, MAX_TEXT, Budget, too_deep
from domain.expressions.numbers import as_number, format_number
from domain.expressions.values import MAX_SAFE, UNDEFINED, Function, JsonValue, Value

_OUTPUT_NODES = 1_000_000


class _Meter:
    """What one result may weigh: shared parts count each time that they are written."""

    __slots__ = ("nodes", "text")

    def __init__(self) -> None:
        self.nodes = _OUTPUT_NODES
        self.text = 2 * MAX_TEXT

    def weigh(self, nodes: int, text: int) -> None:
        self.nodes -= nodes
        self.text -= text
        if self.nodes < 0 or self.text < 0:
            raise ExpressionError(LIMIT, "the result of the expression is too large")


def to_json(value: Value) -> JsonValue:
    """A result as plain JSON for storing.

    undefined and functions are dropped in objects and null in arrays and at the top (ask for `is UNDEFINED` before).
    NaN and infinities become null, whole floats up to 2^53 int, -0 becomes 0, dates ISO strings, lone surrogates
    U+FFFD. Raises ExpressionError (expression_limit) for too much or too deeply nested data.
    """
    kind = type(value)
    if kind is str:
        return value if value.isascii() else utf16.well_formed(value)
    if kind is int or kind is bool or value is None:
        return value
    return _to_json(value, _Meter(), MAX_DATA_DEPTH)


def _to_json(value: Value, meter: _Meter, depth: int) -> JsonValue:
    kind = type(value)
    if kind is str:
        meter.weigh(1, len(value))
        return value if value.isascii() else utf16.well_formed(value)
    if kind is int or kind is bool or value is None:
        return value
    if kind is float:
        return _finite(value)
    if kind is list or kind is dict:
        if depth == 0:
            raise too_deep()
        meter.weigh(1 + len(value), 0)
        if kind is list:
            return [_to_json(item, meter, depth - 1) for item in value]
        return _object(value, meter, depth - 1)
    if kind is DateTime:
        return value.iso()
    return None if value is UNDEFINED or kind is Function else {}


def _object(value: dict[str, Value], meter: _Meter, depth: int) -> dict[str, JsonValue]:
    return {
        key if key.isascii() else utf16.well_formed(key): _to_json(item, meter, depth)
        for key, item in value.items()
        if item is not UNDEFINED and type(item) is not Function
    }


def _finite(value: float) -> int | float | None:
    if -MAX_SAFE <= value <= MAX_SAFE:
        whole = int(value)
        return whole if whole == value else value
    return value if value - value == 0 else None


def stringify(value: Value, indent: str, budget: Budget) -> str | None:
    """JavaScript's JSON.stringify; None where it gives undefined."""
    parts: list[str] = []
    try:
        _Writer(parts, indent, budget).write(value, "\n")
    except RecursionError:
        raise too_deep() from None
    text = "".join(parts)
    budget.charge_text(len(text))
    return text or None


class _Writer:
    __slots__ = ("budget", "indent", "length", "parts")

    def __init__(self, parts: list[str], indent: str, budget: Budget) -> None:
        self.parts = parts
        self.indent = indent
        self.budget = budget
        self.length = 0

    def write(self, value: Value, margin: str) -> None:
        """Append the value's text, nothing for undefined and functions."""
        kind = type(value)
        if kind is dict:
            self._write_object(value, margin)
        elif kind is list:
            self._write_array(value, margin)
        elif value is not UNDEFINED and kind is not Function:
            self.put(_scalar(value))

    def put(self, text: str) -> None:
        self.length += len(text)
        if self.length > MAX_TEXT:
            self.budget.charge_text(self.length)
        self.parts.append(text)

    def _write_object(self, value: dict[str, Value], margin: str) -> None:
        self.budget.charge(1 + (len(value) >> 2))
        inner = margin + self.indent
        start = len(self.parts)
        for key in own_keys(value):
            item = value[key]
            if item is UNDEFINED or type(item) is Function:
                continue
            self.put("," if len(self.parts) > start else "{")
            self.put(f"{inner if self.indent else ''}{_quote(key)}{': ' if self.indent else ':'}")
            self.write(item, inner)
        self.put("{}" if len(self.parts) == start else f"{margin if self.indent else ''}}}")

    def _write_array(self, value: list[Value], margin: str) -> None:
        self.budget.charge(1 + (len(value) >> 2))
        inner = margin + self.indent
        for index, item in enumerate(value):
            self.put(("," if index else "[") + (inner if self.indent else ""))
            self.write(None if item is UNDEFINED or type(item) is Function else item, inner)
        self.put(f"{margin if self.indent else ''}]" if value else "[]")


def _scalar(value: Value) -> str:
    if type(value) is str:
        return _quote(value)
    if value is None:
        return "null"
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int or type(value) is float:
        return format_number(value) if value - value == 0 else "null"
    return _quote(value.iso()) if type(value) is DateTime else "{}"


def _quote(text: str) -> str:
    quoted = encode_basestring(text)
    if quoted.isascii():
        return quoted
    return "".join(f"\\u{ord(c):04x}" if "\ud800" <= c <= "\udfff" else c for c in quoted)


def parse_json(text: str, budget: Budget) -> JsonValue:
    """JavaScript's JSON.parse."""
    budget.charge(1 + (len(text) >> 6))
    try:
        return json.loads(text, parse_int=_integer, parse_constant=_refuse)
    except ValueError as error:
        raise ExpressionError(SYNTAX, f"JSON.parse: the text is not JSON ({error})") from None
    except RecursionError:
        raise too_deep() from None


def _integer(digits: str) -> int | float:
    if digits == "-0":
        return -0.0
    return int(digits) if len(digits) < 16 else as_number(int(digits)) if len(digits) < 400 else float(digits)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def text_in_template(value: Value, budget: Budget) -> str:
    """A value in mixed text: undefined and null are empty, objects and arrays are JSON."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return]
    if value is None or value is UNDEFINED or kind is Function:
        return ""
    if kind is dict or kind is list:
        return stringify(value, "", budget) or ""
    return to_text(value, budget)
