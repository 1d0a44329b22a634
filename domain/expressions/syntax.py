"""The syntax tree. `start` and `end` are offsets in the source string."""

from dataclasses import dataclass
from typing import TypeAlias

from domain.expressions.values import Value


@dataclass(frozen=True, slots=True)
class Node:
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Literal(Node):
    value: Value


@dataclass(frozen=True, slots=True)
class RegularExpression(Node):
    """A regular expression."""

    source: str
    flags: str


@dataclass(frozen=True, slots=True)
class Name(Node):
    name: str


@dataclass(frozen=True, slots=True)
class Template(Node):
    """`strings` has one element more than `expressions`."""

    strings: list[str]
    expressions: list[Node]


@dataclass(frozen=True, slots=True)
class Member(Node):
    object: Node
    name: str
    optional: bool


@dataclass(frozen=True, slots=True)
class Index(Node):
    object: Node
    index: Node
    optional: bool


@dataclass(frozen=True, slots=True)
class Call(Node):
    callee: Node
    arguments: list[Node]
    optional: bool


@dataclass(frozen=True, slots=True)
class Chain(Node):
    """The extent of optional chaining: a `?.` inside that meets null or undefined makes all of it undefined."""

    expression: Node


@dataclass(frozen=True, slots=True)
class Spread(Node):
    value: Node


@dataclass(frozen=True, slots=True)
class ArrayLiteral(Node):
    items: list[Node]


@dataclass(frozen=True, slots=True)
class Entry:
    """`key: value` of an object literal; a key of None is a spread."""

    key: Node | None
    value: Node


@dataclass(frozen=True, slots=True)
class ObjectLiteral(Node):
    entries: list[Entry]


@dataclass(frozen=True, slots=True)
class Unary(Node):
    operator: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Binary(Node):
    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Logical(Node):
    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Conditional(Node):
    test: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True, slots=True)
class NamePattern:
    name: str
    start: int


@dataclass(frozen=True, slots=True)
class DefaultPattern:
    target: "Pattern"
    default: Node


@dataclass(frozen=True, slots=True)
class ArrayPattern:
    """An element of None skips a value."""

    elements: list["Pattern | None"]
    rest: "Pattern | None"


@dataclass(frozen=True, slots=True)
class ObjectPattern:
    entries: list[tuple[Node, "Pattern"]]
    rest: "Pattern | None"


Pattern: TypeAlias = NamePattern | DefaultPattern | ArrayPattern | ObjectPattern


@dataclass(frozen=True, slots=True)
class Declaration:
    target: Pattern
    value: Node


@dataclass(frozen=True, slots=True)
class Return:
    value: Node | None


@dataclass(frozen=True, slots=True)
class Condition:
    test: Node
    then: list["Statement"]
    otherwise: list["Statement"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    value: Node


Statement: TypeAlias = Declaration | Return | Condition | Evaluation


@dataclass(frozen=True, slots=True)
class Arrow(Node):
    """A body that is a list is a block of statements."""

    parameters: list[Pattern]
    rest: Pattern | None
    body: "Node | list[Statement]"
