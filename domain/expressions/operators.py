"""Operators with JavaScript's semantics. Each takes the budget first, for operands that are turned into text."""

import math
from collections.abc import Callable
from typing import Final

from domain.expressions import utf16
from domain.expressions.conversions import (
    kind_of,
    less_than,
    loose_equals,
    pay_to_compare,
    strict_equals,
    to_key,
    to_number,
    to_primitive,
    to_text,
)
from domain.expressions.errors import TYPE, ExpressionError
from domain.expressions.limits import Budget
from domain.expressions.numbers import to_double, to_int32
from domain.expressions.values import INFINITY, MAX_SAFE, NAN, Function, Namespace, Value, forbidden, is_forbidden

Operator = Callable[[Budget, Value, Value], Value]


def add(budget: Budget, left: Value, right: Value) -> Value:
    if type(left) is int and type(right) is int:
        total = left + right
        return total if -MAX_SAFE <= total <= MAX_SAFE else to_double(left) + to_double(right)
    left, right = to_primitive(left, budget), to_primitive(right, budget)
    if type(left) is str or type(right) is str:
        joined = utf16.concatenate(to_text(left), to_text(right))
        if len(joined) > 1024:
            budget.charge_text(len(joined))
        return joined
    return plain(to_number(left, budget) + to_number(right, budget))


def plain(number: int | float) -> int | float:
    """An int only where a double holds it exactly."""
    if type(number) is int and not -MAX_SAFE <= number <= MAX_SAFE:
        return to_double(number)
    return number


def subtract(budget: Budget, left: Value, right: Value) -> Value:
    return plain(to_number(left, budget) - to_number(right, budget))


def multiply(budget: Budget, left: Value, right: Value) -> Value:
    a, b = to_number(left, budget), to_number(right, budget)
    product = a * b
    if product or type(product) is float:
        return plain(product)
    return -0.0 if (a < 0) != (b < 0) else 0


def divide(budget: Budget, left: Value, right: Value) -> Value:
    a, b = to_number(left, budget), to_number(right, budget)
    if b:
        return a / b
    if not a or a != a:  # noqa: PLR0124 - NaN
        return NAN
    return math.copysign(INFINITY, a) * math.copysign(1.0, b)


def remainder(budget: Budget, left: Value, right: Value) -> Value:
    a, b = to_number(left, budget), to_number(right, budget)
    if not b or math.isinf(a):
        return NAN
    if type(a) is int and type(b) is int and a >= 0:
        return a % abs(b)
    return math.fmod(a, b)


def power(budget: Budget, left: Value, right: Value) -> Value:
    return raise_to(to_number(left, budget), to_number(right, budget))


def raise_to(base: int | float, exponent: int | float) -> int | float:
    if exponent == 0:
        return 1
    if exponent != exponent or (abs(base) == 1 and math.isinf(exponent)):  # noqa: PLR0124 - NaN
        return NAN
    if type(base) is int and type(exponent) is int and 0 < exponent <= 64:
        return plain(base**exponent)
    odd = exponent == exponent // 1 and exponent % 2 == 1 and math.isfinite(exponent)
    negative = odd and math.copysign(1.0, base) < 0
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return -INFINITY if negative else INFINITY
    except ValueError:
        if base == 0:
            return -INFINITY if negative else INFINITY
        return NAN


def _int32(operation: Callable[[int, int], int]) -> Operator:
    def apply(budget: Budget, left: Value, right: Value) -> Value:
        return to_int32(operation(to_int32(to_number(left, budget)), to_int32(to_number(right, budget))))

    return apply


def shift_right_unsigned(budget: Budget, left: Value, right: Value) -> Value:
    return (to_int32(to_number(left, budget)) & 0xFFFFFFFF) >> (to_int32(to_number(right, budget)) & 31)


def contains(budget: Budget, left: Value, right: Value) -> Value:
    """The operator `in`."""
    key = to_key(left, budget)
    if is_forbidden(key):
        raise forbidden(key)
    if type(right) is dict:
        return key in right
    if type(right) is list:
        return key == "length" or (
            key.isascii() and key.isdigit() and len(key) < 11 and str(int(key)) == key and int(key) < len(right)
        )
    if type(right) is Namespace or type(right) is Function:
        return key in right.members
    raise ExpressionError(TYPE, f"'in' needs an object on its right, not {kind_of(right)}")


def _identical(budget: Budget, left: Value, right: Value) -> bool:
    pay_to_compare(left, 1, budget)
    return strict_equals(left, right)


def _equal(budget: Budget, left: Value, right: Value) -> bool:
    pay_to_compare(left, 1, budget)
    return loose_equals(left, right, budget)


def _less(budget: Budget, left: Value, right: Value) -> Value:
    return less_than(left, right, budget) is True


def _greater(budget: Budget, left: Value, right: Value) -> Value:
    return less_than(right, left, budget) is True


def _at_most(budget: Budget, left: Value, right: Value) -> Value:
    return less_than(right, left, budget) is False


def _at_least(budget: Budget, left: Value, right: Value) -> Value:
    return less_than(left, right, budget) is False


BINARY: Final[dict[str, Operator]] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "%": remainder,
    "**": power,
    "<": _less,
    ">": _greater,
    "<=": _at_most,
    ">=": _at_least,
    "===": _identical,
    "!==": lambda budget, left, right: not _identical(budget, left, right),
    "==": _equal,
    "!=": lambda budget, left, right: not _equal(budget, left, right),
    "&": _int32(lambda a, b: a & b),
    "|": _int32(lambda a, b: a | b),
    "^": _int32(lambda a, b: a ^ b),
    "<<": _int32(lambda a, b: a << (b & 31)),
    ">>": _int32(lambda a, b: a >> (b & 31)),
    ">>>": shift_right_unsigned,
    "in": contains,
}


def negate(value: Value, budget: Budget) -> Value:
    number = to_number(value, budget)
    return -number if number else -0.0 if type(number) is int else -number
