"""Convenience functions of numbers and booleans."""

import math
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Final

from domain.expressions.conveniences.registry import offer, text_of
from domain.expressions.conversions import to_number
from domain.expressions.errors import RANGE, ExpressionError
from domain.expressions.mathematics import MATH_FUNCTIONS
from domain.expressions.numbers import as_number, clamp_integer, format_number, to_double, to_fixed
from domain.expressions.scope import Scope
from domain.expressions.values import MAX_SAFE, UNDEFINED, Value

Number = int | float
_EXACT: Final = Context(prec=60)
_SYMBOLS: Final = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥", "INR": "₹", "CHF": "CHF ", "CNY": "CN¥", "KRW": "₩"}
_NO_CENTS: Final = frozenset({"JPY", "KRW"})
_SIZES: Final = ("B", "kB", "MB", "GB", "TB", "PB")


def _digits(scope: Scope, value: Value, default: int) -> int:
    return default if value is UNDEFINED else clamp_integer(to_number(value, scope), 0, 100)


def _whole(number: Number) -> bool:
    return math.isfinite(number) and number == number // 1


@offer(
    "number",
    "round(decimals = 0)",
    "Rounded as people do on paper: halves away from zero.",
    ("(2.345).round(2)", 2.35),
    ("(1.005).round(2)", 1.01),
    ("(2.5).round()", 3),
)
def _round(scope: Scope, number: Number, decimals: Value = UNDEFINED, *_: Value) -> Number:
    places = _digits(scope, decimals, 0)
    if not abs(number) < MAX_SAFE or places >= 20:
        return number  # NaN, infinite, whole already, or as exact as it is
    rounded = Decimal(format_number(number)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, _EXACT)
    return as_number(int(rounded)) if places == 0 else float(rounded)


@offer("number", "floor()", "The next whole number below.", ("(-1.5).floor()", -2))
def _floor(scope: Scope, number: Number, *_: Value) -> Value:
    return MATH_FUNCTIONS["floor"](scope, number)


@offer("number", "ceil()", "The next whole number above.", ("(1.2).ceil()", 2))
def _ceil(scope: Scope, number: Number, *_: Value) -> Value:
    return MATH_FUNCTIONS["ceil"](scope, number)


@offer("number", "abs()", "Without its sign.", ("(-3).abs()", 3))
def _abs(scope: Scope, number: Number, *_: Value) -> Value:
    return MATH_FUNCTIONS["abs"](scope, number)


@offer("number", "clamp(least, most)", "Not below `least` and not above `most`.", ("(15).clamp(0, 10)", 10))
def _clamp(scope: Scope, number: Number, least: Value = UNDEFINED, most: Value = UNDEFINED, *_: Value) -> Number:
    return min(max(number, to_number(least, scope)), to_number(most, scope))


@offer("number", "isEven()", "Whether it is an even whole number.", ("(4).isEven()", True))
def _is_even(_: Scope, number: Number, *__: Value) -> bool:
    return _whole(number) and number % 2 == 0


@offer("number", "isOdd()", "Whether it is an odd whole number.", ("(4).isOdd()", False))
def _is_odd(_: Scope, number: Number, *__: Value) -> bool:
    return _whole(number) and number % 2 == 1


@offer("number", "isInteger()", "Whether it is a whole number.", ("(1.5).isInteger()", False))
def _is_integer(_: Scope, number: Number, *__: Value) -> bool:
    return _whole(number)


@offer("number", "isPositive()", "Whether it is above zero.", ("(0).isPositive()", False))
def _is_positive(_: Scope, number: Number, *__: Value) -> bool:
    return number > 0


@offer("number", "isBetween(least, most)", "Whether it is neither below nor above.", ("(5).isBetween(5, 9)", True))
def _is_between(scope: Scope, number: Number, least: Value = UNDEFINED, most: Value = UNDEFINED, *_: Value) -> bool:
    return to_number(least, scope) <= number <= to_number(most, scope)


@offer(
    "number",
    "format(decimals = 0, group = ',', point = '.')",
    "With so many decimals and marks between thousands.",
    ("(1234567.891).format(2)", "1,234,567.89"),
    ("(1234.5).format(2, '.', ',')", "1.234,50"),
)
def _format(
    scope: Scope,
    number: Number,
    decimals: Value = UNDEFINED,
    group: Value = UNDEFINED,
    point: Value = UNDEFINED,
    *_: Value,
) -> str:
    if not math.isfinite(number) or abs(number) >= 1e21:
        return format_number(number)
    places = _digits(scope, decimals, 0)
    shown = to_fixed(_round(scope, number, places) if places < 20 else number, places)
    whole, _dot, fraction = shown.lstrip("-").partition(".")
    marked = f"{int(whole):,}".replace(",", text_of(scope, group, ","))
    sign = "-" if shown.startswith("-") else ""
    return sign + marked + (text_of(scope, point, ".") + fraction if fraction else "")


@offer(
    "number",
    "toCurrency(code)",
    "An amount of money, such as €1,234.50.",
    ("(1234.5).toCurrency('EUR')", "€1,234.50"),
    ("(-3).toCurrency('JPY')", "-¥3"),
)
def _to_currency(scope: Scope, number: Number, code: Value = UNDEFINED, *_: Value) -> str:
    name = text_of(scope, code).upper()
    if len(name) != 3 or not name.isascii() or not name.isalpha():
        raise ExpressionError(RANGE, "toCurrency takes a code of three letters, such as EUR")
    shown = _format(scope, abs(number), 0 if name in _NO_CENTS else 2)
    return ("-" if number < 0 else "") + _SYMBOLS.get(name, f"{name} ") + shown


@offer("number", "toPercent(decimals = 0)", "As a percentage: 0.5 is 50%.", ("(0.1234).toPercent(1)", "12.3%"))
def _to_percent(scope: Scope, number: Number, decimals: Value = UNDEFINED, *_: Value) -> str:
    if math.isfinite(number):
        number = float(Decimal(format_number(number)).scaleb(2))  # exact: 0.07 is 7%, not 7.000000000000001%
    return _format(scope, number, decimals) + "%"


@offer("number", "toOrdinal()", "As 1st, 2nd, 3rd, …", ("(22).toOrdinal()", "22nd"), ("(11).toOrdinal()", "11th"))
def _to_ordinal(_: Scope, number: Number, *__: Value) -> str:
    last = int(abs(number)) % 100 if math.isfinite(number) else 0
    ending = "th" if 10 < last < 14 else {1: "st", 2: "nd", 3: "rd"}.get(last % 10, "th")
    return format_number(number) + ending


@offer(
    "number",
    "toFileSize(decimals = 1)",
    "Bytes with a unit of 1000.",
    ("(1536000).toFileSize()", "1.5 MB"),
    ("(12).toFileSize()", "12 B"),
)
def _to_file_size(scope: Scope, number: Number, decimals: Value = UNDEFINED, *_: Value) -> str:
    size, unit = to_double(number), 0
    while abs(size) >= 1000 and unit < len(_SIZES) - 1 and math.isfinite(size):
        size, unit = size / 1000, unit + 1
    return f"{_format(scope, size, _digits(scope, decimals, 1) if unit else 0)} {_SIZES[unit]}"


@offer("number", "toBoolean()", "false for 0 and NaN, else true.", ("(0).toBoolean()", False))
def _to_boolean(_: Scope, number: Number, *__: Value) -> bool:
    return number != 0 and number == number  # noqa: PLR0124 - NaN


@offer("boolean", "toInt()", "1 for true, 0 for false.", ("true.toInt()", 1))
def _to_int(_: Scope, value: bool, *__: Value) -> int:
    return int(value)
