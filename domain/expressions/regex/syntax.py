"""The syntax tree of a regular expression."""

from dataclasses import dataclass
from typing import TypeAlias

from domain.expressions.regex.classes import CharSet


@dataclass(frozen=True, slots=True)
class Char:
    char: str


@dataclass(frozen=True, slots=True)
class AnyOf:
    chars: CharSet


@dataclass(frozen=True, slots=True)
class Sequence:
    parts: list["Part"]


@dataclass(frozen=True, slots=True)
class Choice:
    options: list["Part"]


@dataclass(frozen=True, slots=True)
class Group:
    """`index` from 1 for a capturing group."""

    index: int
    body: "Part"


@dataclass(frozen=True, slots=True)
class Repeat:
    """`most` is None without an upper bound; groups `first` to `last` (exclusive) are inside."""

    body: "Part"
    least: int
    most: int | None
    greedy: bool
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Assertion:
    """`^`, `$`, `b` (word boundary) or `B` (none)."""

    kind: str


@dataclass(frozen=True, slots=True)
class Look:
    body: "Part"
    ahead: bool
    negative: bool


@dataclass(frozen=True, slots=True)
class BackReference:
    index: int


Part: TypeAlias = Char | AnyOf | Sequence | Choice | Group | Repeat | Assertion | Look | BackReference


def nullable(part: Part) -> bool:
    """Whether it may match without consuming anything."""
    match part:
        case Char() | AnyOf():
            return False
        case Sequence():
            return all(map(nullable, part.parts))
        case Choice():
            return any(map(nullable, part.options))
        case Group():
            return nullable(part.body)
        case Repeat():
            return part.least == 0 or nullable(part.body)
        case Assertion() | Look() | BackReference():
            return True
