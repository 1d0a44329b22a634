"""The names that every expression sees: JavaScript's closed built-ins, and what LinkFlow adds."""

import math
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote

from domain.expressions import utf16
from domain.expressions.conveniences import date_library
from domain.expressions.conveniences.registry import table
from domain.expressions.conversions import iterate, kind_of, to_number, to_text, truthy
from domain.expressions.datetimes import DateTime
from domain.expressions.errors import RANGE, TYPE, UNSUPPORTED, ExpressionError
from domain.expressions.json_text import parse_json, stringify
from domain.expressions.mathematics import MATH_FUNCTIONS
from domain.expressions.numbers import clamp_integer, parse_float_prefix, parse_int_prefix, to_int32
from domain.expressions.object_methods import OBJECT_FUNCTIONS
from domain.expressions.regexp_methods import regexp
from domain.expressions.scope import Scope, input_items, node_items
from domain.expressions.values import INFINITY, MAX_SAFE, NAN, UNDEFINED, Function, Namespace, Value

__all__ = ["CONSTANTS", "VARIABLES", "date_library"]  # importing it fills the registry

_UNRESERVED: Final = "-_.!~*'()"
_RESERVED: Final = ";/?:@&=+$,#"


def _string(scope: Scope, *arguments: Value) -> str:
    return to_text(arguments[0], scope) if arguments else ""


def _number(scope: Scope, *arguments: Value) -> int | float:
    return to_number(arguments[0], scope) if arguments else 0


def _boolean(_: Scope, value: Value = UNDEFINED, *__: Value) -> bool:
    return truthy(value)


def _parse_int(scope: Scope, value: Value = UNDEFINED, radix: Value = UNDEFINED, *_: Value) -> int | float:
    text = to_text(value, scope)
    scope.charge(len(text) >> 4)
    return parse_int_prefix(text, to_int32(to_number(radix, scope)))


def _parse_float(scope: Scope, value: Value = UNDEFINED, *_: Value) -> int | float:
    text = to_text(value, scope)
    scope.charge(len(text) >> 6)
    return parse_float_prefix(text)


def _is_nan(scope: Scope, value: Value = UNDEFINED, *_: Value) -> bool:
    return math.isnan(to_number(value, scope))


def _is_finite(scope: Scope, value: Value = UNDEFINED, *_: Value) -> bool:
    return math.isfinite(to_number(value, scope))


def _is_number(value: Value) -> bool:
    return type(value) is int or type(value) is float


def _is_integer(_: Scope, value: Value = UNDEFINED, *__: Value) -> bool:
    return _is_number(value) and math.isfinite(value) and value == value // 1


def _is_safe_integer(scope: Scope, value: Value = UNDEFINED, *_: Value) -> bool:
    return _is_integer(scope, value) and abs(value) < MAX_SAFE


def _from_codes(scope: Scope, *codes: Value) -> str:
    units = "".join(chr(to_int32(to_number(code, scope)) & 0xFFFF) for code in codes)
    return utf16.narrow(units)


def _from_points(scope: Scope, *points: Value) -> str:
    numbers = [to_number(point, scope) for point in points]
    if not all(0 <= number <= 0x10FFFF and number == number // 1 for number in numbers):
        raise ExpressionError(RANGE, "String.fromCodePoint takes code points from 0 to 0x10FFFF")
    return utf16.narrow("".join(chr(int(number)) for number in numbers))


def _array_from(scope: Scope, source: Value = UNDEFINED, function: Value = UNDEFINED, *_: Value) -> list[Value]:
    items = _array_like(scope, source)
    scope.charge_elements(len(items))
    if function is UNDEFINED:
        return list(items)
    if type(function) is not Function:
        raise ExpressionError(TYPE, f"Array.from takes a function, not {kind_of(function)}")
    return [function.call(scope, item, place) for place, item in enumerate(items)]


def _array_like(scope: Scope, source: Value) -> list[Value]:
    if type(source) is dict:
        length = clamp_integer(to_number(source.get("length", 0), scope), 0, MAX_SAFE)
        scope.charge_elements(length)
        return [source.get(str(place), UNDEFINED) for place in range(length)]
    if type(source) is list or type(source) is str:
        return iterate(source, scope)
    if source is None or source is UNDEFINED:
        raise ExpressionError(TYPE, f"Array.from cannot make an array of {kind_of(source)}")
    return []


def _array_of(scope: Scope, *items: Value) -> list[Value]:
    scope.charge_elements(len(items))
    return list(items)


def _array(scope: Scope, *items: Value) -> list[Value]:
    if len(items) != 1 or not _is_number(items[0]):
        return _array_of(scope, *items)
    length = items[0]
    if not 0 <= length < 2**32 or length != length // 1:
        raise ExpressionError(RANGE, "the length of an array is a whole number from 0 on")
    scope.charge_elements(int(length))
    return [UNDEFINED] * int(length)


def _object(_: Scope, value: Value = UNDEFINED, *__: Value) -> Value:
    return {} if value is None or value is UNDEFINED else value


def _json_parse(scope: Scope, text: Value = UNDEFINED, reviver: Value = UNDEFINED, *_: Value) -> Value:
    if type(reviver) is Function:
        raise ExpressionError(UNSUPPORTED, "JSON.parse takes no function here; use map on its result")
    return parse_json(to_text(text, scope), scope)


def _indent(indent: Value) -> str:
    if _is_number(indent):
        return " " * clamp_integer(indent, 0, 10)
    return indent[:10] if type(indent) is str else ""


def _json_stringify(
    scope: Scope, value: Value = UNDEFINED, replacer: Value = UNDEFINED, indent: Value = UNDEFINED, *_: Value
) -> Value:
    if replacer is not UNDEFINED and replacer is not None:
        raise ExpressionError(UNSUPPORTED, "JSON.stringify takes no replacer here")
    text = stringify(value, _indent(indent), scope)
    return UNDEFINED if text is None else text


def _encoder(safe: str) -> Callable[..., Value]:
    def encode(scope: Scope, value: Value = UNDEFINED, *_: Value) -> str:
        text = to_text(value, scope)
        scope.charge_text(3 * len(text))
        try:
            return quote(text, safe=safe)
        except UnicodeEncodeError:
            raise ExpressionError(RANGE, "the text has half of a surrogate pair") from None

    return encode


def _decoder(kept: str) -> Callable[..., Value]:
    def decode(scope: Scope, value: Value = UNDEFINED, *_: Value) -> str:
        head, *rest = to_text(value, scope).split("%")
        scope.charge(1 + (len(rest) >> 3))
        parts, run = [head], bytearray()
        try:
            for piece in rest:
                run += _byte(piece)
                if len(piece) > 2:
                    parts += (_decoded(run, kept), piece[2:])
                    run.clear()
            parts.append(_decoded(run, kept))
        except ValueError:
            raise ExpressionError(RANGE, "the text is not well percent-encoded") from None
        return "".join(parts)

    return decode


def _byte(piece: str) -> bytes:
    if len(piece) < 2 or not all(char in "0123456789abcdefABCDEF" for char in piece[:2]):
        raise ValueError(piece)
    return bytes((int(piece[:2], 16),))


def _decoded(run: bytearray, kept: str) -> str:
    text = run.decode("utf-8")
    if not any(char in kept for char in text):
        return text
    return "".join(f"%{ord(char):02X}" if char in kept else char for char in text)


def _if(_: Scope, test: Value = UNDEFINED, then: Value = UNDEFINED, otherwise: Value = UNDEFINED, *__: Value) -> Value:
    return then if truthy(test) else otherwise


def _if_empty(_: Scope, value: Value = UNDEFINED, default: Value = UNDEFINED, *__: Value) -> Value:
    empty = value is None or value is UNDEFINED or (type(value) in {str, list, dict} and not value)
    return default if empty else value


def _node(scope: Scope, node: Value = UNDEFINED, *_: Value) -> Value:
    return node_items(scope, to_text(node, scope))


def _functions(table: Mapping[str, Callable[..., Value]]) -> dict[str, Value]:
    return {name: Function(name, call) for name, call in table.items()}


def _random(_: Scope, *__: Value) -> Value:
    raise ExpressionError(UNSUPPORTED, "Math.random is not available: an expression gives the same result every time")


_CONSTANTS: Final = {
    "MAX_SAFE_INTEGER": MAX_SAFE - 1,
    "MIN_SAFE_INTEGER": 1 - MAX_SAFE,
    "MAX_VALUE": 1.7976931348623157e308,
    "MIN_VALUE": 5e-324,
    "EPSILON": 2.0**-52,
    "POSITIVE_INFINITY": INFINITY,
    "NEGATIVE_INFINITY": -INFINITY,
    "NaN": NAN,
}
_NUMBER: Final[Mapping[str, Callable[..., Value]]] = {
    "isInteger": _is_integer,
    "isSafeInteger": _is_safe_integer,
    "isFinite": lambda _scope, value=UNDEFINED, *_: _is_number(value) and math.isfinite(value),
    "isNaN": lambda _scope, value=UNDEFINED, *_: type(value) is float and math.isnan(value),
    "parseFloat": _parse_float,
    "parseInt": _parse_int,
}
_ARRAY: Final[Mapping[str, Callable[..., Value]]] = {
    "isArray": lambda _scope, value=UNDEFINED, *_: type(value) is list,
    "from": _array_from,
    "of": _array_of,
}
_MATH: Final = {
    "PI": math.pi, "E": math.e, "LN2": math.log(2), "LN10": math.log(10), "LOG2E": math.log2(math.e),
    "LOG10E": math.log10(math.e), "SQRT2": math.sqrt(2), "SQRT1_2": math.sqrt(0.5),
}  # fmt: skip

# What does not depend on the scope, by name.
CONSTANTS: Final[Mapping[str, Value]] = {
    "Math": Namespace("Math", {**_functions({**MATH_FUNCTIONS, "random": _random}), **_MATH}),
    "JSON": Namespace("JSON", _functions({"parse": _json_parse, "stringify": _json_stringify})),
    "Date": Namespace("Date", _functions({"now": lambda scope, *_: scope.now})),
    "DateTime": Namespace("DateTime", _functions(table("DateTime"))),
    "Object": Function("Object", _object, _functions(OBJECT_FUNCTIONS)),
    "Array": Function("Array", _array, _functions(_ARRAY)),
    "String": Function("String", _string, _functions({"fromCharCode": _from_codes, "fromCodePoint": _from_points})),
    "Number": Function("Number", _number, {**_functions(_NUMBER), **_CONSTANTS}),
    **_functions(
        {
            "Boolean": _boolean,
            "RegExp": regexp,
            "parseInt": _parse_int,
            "parseFloat": _parse_float,
            "isNaN": _is_nan,
            "isFinite": _is_finite,
            "encodeURIComponent": _encoder(_UNRESERVED),
            "encodeURI": _encoder(_UNRESERVED + _RESERVED),
            "decodeURIComponent": _decoder(""),
            "decodeURI": _decoder(_RESERVED),
            "$if": _if,
            "$ifEmpty": _if_empty,
            "$": _node,
        }
    ),
}

# What comes from the scope, by name.
VARIABLES: Final[Mapping[str, Callable[[Scope], Value]]] = {
    "$json": lambda scope: scope.json,
    "$input": input_items,
    "$itemIndex": lambda scope: scope.item_index,
    "$runIndex": lambda scope: scope.run_index,
    "$now": lambda scope: DateTime(scope.now, scope.timezone),
    "$today": lambda scope: DateTime(scope.now, scope.timezone).start_of("day"),
    "$workflow": lambda scope: scope.workflow,
    "$execution": lambda scope: scope.execution,
    "$vars": lambda scope: scope.variables,
}
