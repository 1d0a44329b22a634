"""The functions of Math."""

import math
import struct
from collections.abc import Callable, Mapping
from typing import Final

from domain.expressions.conversions import to_number
from domain.expressions.limits import Budget
from domain.expressions.numbers import to_double, to_int32
from domain.expressions.operators import raise_to
from domain.expressions.values import INFINITY, NAN, UNDEFINED, Value


def _real(function: Callable[[float], float], overflow: float = INFINITY) -> Callable[..., Value]:
    """A function of one double: outside its domain NaN."""

    def method(budget: Budget, value: Value = UNDEFINED, *_: Value) -> float:
        number = to_double(to_number(value, budget))
        try:
            return function(number)
        except OverflowError:
            return overflow
        except ValueError:
            return NAN

    return method


def _rounded(function: Callable[[float], int | float]) -> Callable[..., Value]:
    def method(budget: Budget, value: Value = UNDEFINED, *_: Value) -> int | float:
        number = to_number(value, budget)
        if type(number) is int or not math.isfinite(number) or number == 0:
            return number
        result = function(number)
        return math.copysign(0.0, number) if result == 0 else to_double(result)

    return method


def _round(number: float) -> int | float:
    """Halves go up, also below zero."""
    below = math.floor(number)
    return below + 1 if number - below >= 0.5 else below


def _abs(budget: Budget, value: Value = UNDEFINED, *_: Value) -> int | float:
    return abs(to_number(value, budget))


def _sign(budget: Budget, value: Value = UNDEFINED, *_: Value) -> int | float:
    number = to_number(value, budget)
    return 1 if number > 0 else -1 if number < 0 else number


def _best(start: float, better: Callable[[float, float], bool]) -> Callable[..., Value]:
    def method(budget: Budget, *values: Value) -> int | float:
        budget.charge(len(values) >> 3)
        best: int | float = start
        for value in values:
            number = to_number(value, budget)
            if number != number:  # noqa: PLR0124 - NaN
                best = NAN
            elif better(number, best) or (
                number == best == 0 and better(math.copysign(1, number), math.copysign(1, best))
            ):
                best = number
        return best

    return method


def _sqrt(number: float) -> float:
    return number if number == 0 else math.sqrt(number)


def _cbrt(number: float) -> float:
    if number == 0 or not math.isfinite(number):
        return number
    root = math.copysign(abs(number) ** (1 / 3), number)
    near = round(root)
    return float(near) if near**3 == number else root


def _log(function: Callable[[float], float]) -> Callable[[float], float]:
    return lambda number: -INFINITY if number == 0 else function(number)


def _log1p(number: float) -> float:
    return -INFINITY if number == -1 else math.log1p(number)


def _pow(budget: Budget, base: Value = UNDEFINED, exponent: Value = UNDEFINED, *_: Value) -> int | float:
    return raise_to(to_number(base, budget), to_number(exponent, budget))


def _atan2(budget: Budget, y: Value = UNDEFINED, x: Value = UNDEFINED, *_: Value) -> float:
    return math.atan2(to_number(y, budget), to_number(x, budget))


def _hypot(budget: Budget, *values: Value) -> float:
    budget.charge(len(values) >> 3)
    return math.hypot(*(to_double(to_number(value, budget)) for value in values))


def _fround(number: float) -> float:
    try:
        return float(struct.unpack("f", struct.pack("f", number))[0])
    except OverflowError:
        return math.copysign(INFINITY, number)


def _atanh(number: float) -> float:
    return math.copysign(INFINITY, number) if abs(number) == 1 else math.atanh(number)


def _sinh(number: float) -> float:
    try:
        return math.sinh(number)
    except OverflowError:
        return math.copysign(INFINITY, number)


def _imul(budget: Budget, left: Value = UNDEFINED, right: Value = UNDEFINED, *_: Value) -> int:
    return to_int32(to_int32(to_number(left, budget)) * to_int32(to_number(right, budget)))


def _clz32(budget: Budget, value: Value = UNDEFINED, *_: Value) -> int:
    return 32 - (to_int32(to_number(value, budget)) & 0xFFFFFFFF).bit_length()


MATH_FUNCTIONS: Final[Mapping[str, Callable[..., Value]]] = {
    "abs": _abs,
    "sign": _sign,
    "ceil": _rounded(math.ceil),
    "floor": _rounded(math.floor),
    "round": _rounded(_round),
    "trunc": _rounded(math.trunc),
    "max": _best(-INFINITY, lambda new, best: new > best),
    "min": _best(INFINITY, lambda new, best: new < best),
    "pow": _pow,
    "sqrt": _real(_sqrt),
    "cbrt": _real(_cbrt),
    "exp": _real(math.exp),
    "expm1": _real(math.expm1),
    "log": _real(_log(math.log)),
    "log2": _real(_log(math.log2)),
    "log10": _real(_log(math.log10)),
    "log1p": _real(_log1p),
    "sin": _real(math.sin),
    "cos": _real(math.cos),
    "tan": _real(math.tan),
    "asin": _real(math.asin),
    "acos": _real(math.acos),
    "atan": _real(math.atan),
    "atan2": _atan2,
    "sinh": _real(_sinh),
    "cosh": _real(math.cosh),
    "tanh": _real(math.tanh),
    "asinh": _real(math.asinh),
    "acosh": _real(math.acosh),
    "atanh": _real(_atanh),
    "hypot": _hypot,
    "fround": _real(_fround),
    "imul": _imul,
    "clz32": _clz32,
}
