"""The methods of numbers and booleans."""

from collections.abc import Callable, Mapping
from typing import Final

from domain.expressions.conversions import to_number, to_text
from domain.expressions.limits import Budget
from domain.expressions.numbers import format_number, to_exponential, to_fixed, to_integer, to_precision, to_radix
from domain.expressions.values import UNDEFINED, Value


def _to_string(budget: Budget, number: int | float, radix: Value = UNDEFINED, *_: Value) -> str:
    return format_number(number) if radix is UNDEFINED else to_radix(number, to_integer(to_number(radix, budget)))


def _to_fixed(budget: Budget, number: int | float, digits: Value = 0, *_: Value) -> str:
    return to_fixed(number, 0 if digits is UNDEFINED else to_integer(to_number(digits, budget)))


def _to_precision(budget: Budget, number: int | float, digits: Value = UNDEFINED, *_: Value) -> str:
    if digits is UNDEFINED:
        return format_number(number)
    return to_precision(number, to_integer(to_number(digits, budget)))


def _to_exponential(budget: Budget, number: int | float, digits: Value = UNDEFINED, *_: Value) -> str:
    return to_exponential(number, None if digits is UNDEFINED else to_integer(to_number(digits, budget)))


def _value(_: Budget, value: Value, *__: Value) -> Value:
    return value


NUMBER_METHODS: Final[Mapping[str, Callable[..., Value]]] = {
    "toString": _to_string,
    "toFixed": _to_fixed,
    "toPrecision": _to_precision,
    "toExponential": _to_exponential,
    "valueOf": _value,
}

BOOLEAN_METHODS: Final[Mapping[str, Callable[..., Value]]] = {
    "toString": lambda _, value, *__: to_text(value),
    "valueOf": _value,
}
