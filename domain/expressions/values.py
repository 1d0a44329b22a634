"""The values of the expression language and where they live in Python.

undefined is UNDEFINED, null is None, booleans are bool, numbers are int (at most 2^53 from zero) or float, strings
are str (a surrogate pair is always one character, only a lone surrogate is a surrogate), arrays are list, objects
are dict. Beside these JSON-like values there are only the closed classes Function, Namespace and DateTime, and what
`$input` and `$('id')` give. No other Python object can appear, and none of their Python attributes can be reached:
members come from tables (members.py).
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, final

from domain.expressions.errors import FORBIDDEN, ExpressionError

JsonValue: TypeAlias = Any
Value: TypeAlias = Any

MAX_SAFE: Final = 2**53
NAN: Final = float("nan")
INFINITY: Final = float("inf")


@final
class Undefined:
    """The type of UNDEFINED."""

    __slots__ = ()
    _only: "Undefined | None" = None

    def __new__(cls) -> "Undefined":
        if cls._only is None:
            cls._only = super().__new__(cls)
        return cls._only

    def __repr__(self) -> str:
        return "undefined"

    def __bool__(self) -> bool:
        return False

    def __reduce__(self) -> str:
        return "UNDEFINED"


UNDEFINED: Final = Undefined()


@final
class Function:
    """A function of the language: `call(scope, *arguments)`. Missing arguments are UNDEFINED, more are ignored.

    `members` are what stands behind a name such as `Number.isInteger`.
    """

    __slots__ = ("call", "members", "name")

    def __init__(self, name: str, call: Callable[..., Value], members: Mapping[str, Value] | None = None) -> None:
        self.name = name
        self.call = call
        self.members: Mapping[str, Value] = members or {}


@final
class Namespace:
    """A fixed set of names, such as Math."""

    __slots__ = ("members", "name")

    def __init__(self, name: str, members: Mapping[str, Value]) -> None:
        self.name = name
        self.members = members


FORBIDDEN_NAMES: Final = frozenset({"constructor", "prototype", "eval", "Function"})


def is_forbidden(name: str) -> bool:
    """Names that reach an object's inside in JavaScript or Python; data under such a name cannot be read."""
    return name in FORBIDDEN_NAMES or name.startswith("__")


def forbidden(name: str, position: int | None = None) -> ExpressionError:
    return ExpressionError(FORBIDDEN, f"the name {name[:60]!r} cannot be used in expressions", position)
