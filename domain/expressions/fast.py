"""Closures for common operators and paths: the usual operand types first, the rest by operators.py."""

from collections.abc import Callable
from typing import Any, Final

from domain.expressions.operators import BINARY, Operator
from domain.expressions.scope import Scope
from domain.expressions.values import MAX_SAFE, Value

Run = Callable[[Scope, Any], Value]
Builder = Callable[[Run, Run], Run]

_ADD, _SUBTRACT, _MULTIPLY, _DIVIDE, _REMAINDER = (BINARY[name] for name in ("+", "-", "*", "/", "%"))


def _add(left: Run, right: Run) -> Run:
    def run(scope: Scope, frame: Any = None) -> Value:
        a, b = left(scope, frame), right(scope, frame)
        kind = type(a)
        if kind is type(b):
            if kind is int:
                total = a + b
                if -MAX_SAFE <= total <= MAX_SAFE:
                    return total
            elif kind is str:
                joined = a + b
                if len(joined) < 1024 and joined.isascii():
                    return joined
            elif kind is float:
                return a + b
        return _ADD(scope, a, b)

    return run


def _subtract(left: Run, right: Run) -> Run:
    def run(scope: Scope, frame: Any = None) -> Value:
        a, b = left(scope, frame), right(scope, frame)
        if type(a) is int and type(b) is int:
            difference = a - b
            if -MAX_SAFE <= difference <= MAX_SAFE:
                return difference
        return _SUBTRACT(scope, a, b)

    return run


def _multiply(left: Run, right: Run) -> Run:
    def run(scope: Scope, frame: Any = None) -> Value:
        a, b = left(scope, frame), right(scope, frame)
        kind, other = type(a), type(b)
        if kind is int and other is int:
            product = a * b
            if product and -MAX_SAFE <= product <= MAX_SAFE:
                return product
        elif kind is float and (other is float or (other is int and -MAX_SAFE <= b <= MAX_SAFE)):
            return a * b
        return _MULTIPLY(scope, a, b)

    return run


def _divide(left: Run, right: Run) -> Run:
    def run(scope: Scope, frame: Any = None) -> Value:
        a, b = left(scope, frame), right(scope, frame)
        if type(a) is int and type(b) is int and b and -MAX_SAFE <= a <= MAX_SAFE and -MAX_SAFE <= b <= MAX_SAFE:
            return a / b if a else (0 if b > 0 else -0.0)
        return _DIVIDE(scope, a, b)

    return run


def _remainder(left: Run, right: Run) -> Run:
    def run(scope: Scope, frame: Any = None) -> Value:
        a, b = left(scope, frame), right(scope, frame)
        if type(a) is int and type(b) is int and 0 <= a <= MAX_SAFE and 0 < b <= MAX_SAFE:
            return a % b
        return _REMAINDER(scope, a, b)

    return run


def _ordered(name: str, compare: Callable[[Any, Any], bool]) -> Builder:
    general = BINARY[name]

    def build(left: Run, right: Run) -> Run:
        def run(scope: Scope, frame: Any = None) -> Value:
            a, b = left(scope, frame), right(scope, frame)
            kind, other = type(a), type(b)
            if (kind is int or kind is float) and (other is int or other is float):
                return compare(a, b)
            return general(scope, a, b)

        return run

    return build


def _less(left: Run, right: Run) -> Run:
    general = BINARY["<"]

    def run(scope: Scope, frame: Any = None) -> Value:
        a, b = left(scope, frame), right(scope, frame)
        kind, other = type(a), type(b)
        if (kind is int or kind is float) and (other is int or other is float):
            return a < b
        return general(scope, a, b)

    return run


def _greater(left: Run, right: Run) -> Run:
    general = BINARY[">"]

    def run(scope: Scope, frame: Any = None) -> Value:
        a, b = left(scope, frame), right(scope, frame)
        kind, other = type(a), type(b)
        if (kind is int or kind is float) and (other is int or other is float):
            return a > b
        return general(scope, a, b)

    return run


def _equal(left: Run, right: Run) -> Run:
    general = BINARY["==="]

    def run(scope: Scope, frame: Any = None) -> Value:
        a, b = left(scope, frame), right(scope, frame)
        kind = type(a)
        if kind is type(b) and (kind is int or (kind is str and len(a) < 1024)):
            return a == b
        return general(scope, a, b)

    return run


_SPECIAL: Final[dict[str, Builder]] = {
    "+": _add,
    "-": _subtract,
    "*": _multiply,
    "/": _divide,
    "%": _remainder,
    "<": _less,
    ">": _greater,
    "<=": _ordered("<=", lambda a, b: bool(a <= b)),
    ">=": _ordered(">=", lambda a, b: bool(a >= b)),
    "===": _equal,
}


def binary(name: str, left: Run, right: Run) -> Run:
    """The closure of a binary operator."""
    special = _SPECIAL.get(name)
    if special is not None:
        return special(left, right)
    return _general(BINARY[name], left, right)


def _general(operator: Operator, left: Run, right: Run) -> Run:
    def run(scope: Scope, frame: Any = None) -> Value:
        return operator(scope, left(scope, frame), right(scope, frame))

    return run


def path(root: Run | None, names: list[str], otherwise: Callable[[Scope, Any, Value], Value]) -> Run:
    """Static members of a root (None: `$json`). What is no plain object with that key goes to `otherwise`."""
    if root is None:
        return _json_path(names, otherwise)
    first, *more = names

    def run_one(scope: Scope, frame: Any = None) -> Value:
        value = root(scope, frame)
        try:
            return value[first]
        except (KeyError, TypeError):
            return otherwise(scope, frame, value)

    def run(scope: Scope, frame: Any = None) -> Value:
        start = root(scope, frame)
        try:
            value = start[first]
            for name in more:
                value = value[name]
            return value
        except (KeyError, TypeError):
            return otherwise(scope, frame, start)

    return run if more else run_one


def _json_path(names: list[str], otherwise: Callable[[Scope, Any, Value], Value]) -> Run:
    a, b, c = (*names, "", "")[:3]

    def run_one(scope: Scope, frame: Any = None) -> Value:
        try:
            return scope.json[a]
        except (KeyError, TypeError):
            return otherwise(scope, frame, scope.json)

    def run_two(scope: Scope, frame: Any = None) -> Value:
        try:
            return scope.json[a][b]
        except (KeyError, TypeError):
            return otherwise(scope, frame, scope.json)

    def run_three(scope: Scope, frame: Any = None) -> Value:
        try:
            return scope.json[a][b][c]
        except (KeyError, TypeError):
            return otherwise(scope, frame, scope.json)

    def run_more(scope: Scope, frame: Any = None) -> Value:
        value = scope.json
        try:
            for name in names:
                value = value[name]
            return value
        except (KeyError, TypeError):
            return otherwise(scope, frame, scope.json)

    return {1: run_one, 2: run_two, 3: run_three}.get(len(names), run_more)
