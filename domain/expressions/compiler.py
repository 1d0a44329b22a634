"""The syntax tree to Python closures `run(scope, frame)`.

A frame holds the parameters and constants of one call of an arrow function: a list whose first element is the frame
of the function around it. The top level has none.
"""

from collections.abc import Callable
from typing import Any, Final

from domain.expressions import calls, functions, literals
from domain.expressions.conversions import to_number, truthy, type_of
from domain.expressions.errors import FORBIDDEN, LIMIT, REFERENCE, SYNTAX, UNSUPPORTED, ExpressionError, excerpt
from domain.expressions.fast import Run, binary, path
from domain.expressions.javascript import (
    FORBIDDEN_GLOBALS,
    FORBIDDEN_MEMBERS,
    UNSUPPORTED_GLOBALS,
    UNSUPPORTED_MEMBERS,
)
from domain.expressions.library import CONSTANTS, VARIABLES
from domain.expressions.limits import MAX_TREE, Budget
from domain.expressions.locals import Locals
from domain.expressions.members import index, member
from domain.expressions.numbers import to_int32
from domain.expressions.operators import BINARY, negate
from domain.expressions.regexps import RegExp, program_of
from domain.expressions.scope import Scope
from domain.expressions.syntax import (
    ArrayLiteral,
    Arrow,
    Binary,
    Call,
    Chain,
    Conditional,
    Index,
    Literal,
    Logical,
    Member,
    Name,
    Node,
    ObjectLiteral,
    RegularExpression,
    Spread,
    Template,
    Unary,
)  # fmt: skip
from domain.expressions.values import UNDEFINED, Function, Namespace, Value, forbidden, is_forbidden


class Compiler:
    """Compiles the expressions of one source string and keeps what they refer to."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.references: set[str] = set()
        self.names: set[str] = set()
        self.locals: Locals | None = None
        self.size = 0
        self.constants: dict[Run, Value] = {}
        self._depth = 0

    def fail(self, code: str, message: str, position: int) -> ExpressionError:
        shown = excerpt(self.source, position)
        return ExpressionError(code, f"{message} at position {position}: {shown}", position)

    def text(self, node: Node) -> str:
        """The source of a node, shortened, for messages."""
        shown = " ".join(self.source[node.start : min(node.end, node.start + 120)].split())
        return shown if len(shown) <= 60 else f"{shown[:59]}…"

    def compile(self, node: Node) -> Run:
        """The closure of a node. Raises ExpressionError for unknown or forbidden names and too large trees."""
        self._depth += 1
        self.size += 1
        if self._depth > MAX_TREE:
            raise self.fail(LIMIT, "the expression is too long or nested too deeply", node.start)
        run = _COMPILE[type(node)](self, node)
        self._depth -= 1
        return run

    def constant(self, value: Value) -> Run:
        """A closure that always gives the same value."""

        def run(_scope: Scope, _frame: Any = None) -> Value:
            return value

        self.constants[run] = value
        return run


def _literal(compiler: Compiler, node: Literal) -> Run:
    return compiler.constant(node.value)


def _regular_expression(_: Compiler, node: RegularExpression) -> Run:
    """Compiled once; each evaluation has its own position in it."""
    try:
        program = program_of(node.source, node.flags)
    except ExpressionError as error:
        raise ExpressionError(error.code, f"{error.message} at position {node.start}", node.start) from None

    def run(_scope: Scope, _frame: Any = None) -> Value:
        return RegExp(program)

    return run


def _name(compiler: Compiler, node: Name) -> Run:
    place = compiler.locals.find(node.name) if compiler.locals else None
    if place is not None:
        return _local(*place)
    compiler.names.add(node.name)
    if node.name in CONSTANTS:
        return compiler.constant(CONSTANTS[node.name])
    variable = VARIABLES.get(node.name)
    if variable is None:
        raise _no_such_name(compiler, node)
    return _variable(variable)


def _no_such_name(compiler: Compiler, node: Name) -> ExpressionError:
    if node.name in FORBIDDEN_GLOBALS:
        return compiler.fail(FORBIDDEN, f"{node.name!r} leads out of the data", node.start)
    if node.name in UNSUPPORTED_GLOBALS:
        return compiler.fail(UNSUPPORTED, f"{node.name!r} is not available in expressions", node.start)
    return compiler.fail(REFERENCE, _unknown(node.name), node.start)


def _variable(read: Callable[[Scope], Value]) -> Run:
    def run(scope: Scope, _frame: Any = None) -> Value:
        return read(scope)

    return run


def _unknown(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name[:60], [*VARIABLES, *CONSTANTS], n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"unknown name {name[:60]!r}{hint}"


def _local(hops: int, slot: int) -> Run:
    if hops == 0:
        return lambda _scope, frame: frame[slot]
    if hops == 1:
        return lambda _scope, frame: frame[0][slot]

    def run(_scope: Scope, frame: Any) -> Value:
        for _ in range(hops):
            frame = frame[0]
        return frame[slot]

    return run


def _template(compiler: Compiler, node: Template) -> Run:
    return literals.template(compiler, node)


def static_name(compiler: Compiler, node: Node) -> str | None:
    """The name that a member, or an index by a literal string, reads."""
    if isinstance(node, Member):
        return node.name
    if isinstance(node, Index) and isinstance(node.index, Literal) and type(node.index.value) is str:
        if is_forbidden(node.index.value):
            raise forbidden(node.index.value, node.index.start)
        return node.index.value
    return None


def _member(compiler: Compiler, node: Node) -> Run:
    """Members by static names in a row become one closure."""
    steps: list[tuple[str, str]] = []
    root: Node = node
    while isinstance(root, Member | Index) and (name := static_name(compiler, root)) is not None:
        steps.append((name, compiler.text(root.object)))
        root = root.object
    if not steps:
        assert isinstance(root, Index)
        return _index(compiler, root)
    steps.reverse()
    folded = _fold_member(compiler, root, steps)
    if folded is not None:
        return folded
    is_json = (
        isinstance(root, Name) and root.name == "$json" and not (compiler.locals and compiler.locals.find("$json"))
    )
    if is_json:
        compiler.names.add("$json")

    def otherwise(scope: Scope, _frame: Any, value: Value) -> Value:
        for name, text in steps:
            value = member(scope, value, name, text)
        return value

    return path(None if is_json else compiler.compile(root), [name for name, _ in steps], otherwise)


def _fold_member(compiler: Compiler, root: Node, steps: list[tuple[str, str]]) -> Run | None:
    """Members of fixed names, such as Math.PI and Object.keys, are known now."""
    if not isinstance(root, Name) or (compiler.locals and compiler.locals.find(root.name)) or len(steps) != 1:
        return None
    value = CONSTANTS.get(root.name)
    if type(value) is not Namespace and type(value) is not Function:
        return None
    compiler.names.add(root.name)
    name = steps[0][0]
    if name not in value.members:
        _refuse_known_member(compiler, f"{root.name}.{name}", root.start)
    return compiler.constant(value.members.get(name, UNDEFINED))


def _refuse_known_member(compiler: Compiler, name: str, position: int) -> None:
    if name in FORBIDDEN_MEMBERS:
        raise compiler.fail(FORBIDDEN, f"{name} reaches inside of objects", position)
    if name in UNSUPPORTED_MEMBERS:
        raise compiler.fail(UNSUPPORTED, f"{name} is not available in expressions", position)


def _index(compiler: Compiler, node: Index) -> Run:
    owner, key, text = compiler.compile(node.object), compiler.compile(node.index), compiler.text(node.object)

    def run(scope: Scope, frame: Any = None) -> Value:
        value, place = owner(scope, frame), key(scope, frame)
        if type(value) is list and type(place) is int and 0 <= place < len(value):
            return value[place]
        return index(scope, value, place, text)

    return run


def _call(compiler: Compiler, node: Call) -> Run:
    return calls.call(compiler, node)


def _chain(compiler: Compiler, node: Chain) -> Run:
    return calls.chain(compiler, node)


def _spread(compiler: Compiler, node: Spread) -> Run:
    raise compiler.fail(SYNTAX, "'...' is not possible here", node.start)


def _array(compiler: Compiler, node: ArrayLiteral) -> Run:
    return literals.array(compiler, node)


def _object(compiler: Compiler, node: ObjectLiteral) -> Run:
    return literals.object_literal(compiler, node)


def _arrow(compiler: Compiler, node: Arrow) -> Run:
    return functions.arrow(compiler, node)


_UNARY: Final[dict[str, Callable[[Value, Budget], Value]]] = {
    "!": lambda value, _: not truthy(value),
    "-": negate,
    "+": to_number,
    "~": lambda value, budget: ~to_int32(to_number(value, budget)),
    "typeof": lambda value, _: type_of(value),
    "void": lambda _value, _budget: UNDEFINED,
}


def _unary(compiler: Compiler, node: Unary) -> Run:
    operand, operator = compiler.compile(node.operand), _UNARY[node.operator]
    if operand in compiler.constants:
        return compiler.constant(operator(compiler.constants[operand], Budget()))

    def run(scope: Scope, frame: Any = None) -> Value:
        return operator(operand(scope, frame), scope)

    return run


def _binary(compiler: Compiler, node: Binary) -> Run:
    left, right = compiler.compile(node.left), compiler.compile(node.right)
    if left in compiler.constants and right in compiler.constants:
        try:
            folded = BINARY[node.operator](Budget(), compiler.constants[left], compiler.constants[right])
            return compiler.constant(folded)
        except ExpressionError:
            pass  # it fails when it is evaluated, if it ever is
    return binary(node.operator, left, right)


def _logical(compiler: Compiler, node: Logical) -> Run:
    left, right = compiler.compile(node.left), compiler.compile(node.right)

    def run_and(scope: Scope, frame: Any = None) -> Value:
        value = left(scope, frame)
        return right(scope, frame) if value is True or truthy(value) else value

    def run_or(scope: Scope, frame: Any = None) -> Value:
        value = left(scope, frame)
        return value if value is True or truthy(value) else right(scope, frame)

    def run_nullish(scope: Scope, frame: Any = None) -> Value:
        value = left(scope, frame)
        return right(scope, frame) if value is None or value is UNDEFINED else value

    return {"&&": run_and, "||": run_or, "??": run_nullish}[node.operator]


def _conditional(compiler: Compiler, node: Conditional) -> Run:
    return conditional(compiler.compile(node.test), compiler.compile(node.then), compiler.compile(node.otherwise))


def conditional(test: Run, then: Run, otherwise: Run) -> Run:
    """`test ? then : otherwise`."""

    def run(scope: Scope, frame: Any = None) -> Value:
        decided = test(scope, frame)
        if decided is True or (decided is not False and truthy(decided)):
            return then(scope, frame)
        return otherwise(scope, frame)

    return run


_COMPILE: Final[dict[type[Node], Callable[[Compiler, Any], Run]]] = {
    Literal: _literal,
    Name: _name,
    Template: _template,
    Member: _member,
    Index: _member,
    Call: _call,
    Chain: _chain,
    Spread: _spread,
    ArrayLiteral: _array,
    ObjectLiteral: _object,
    Arrow: _arrow,
    Unary: _unary,
    Binary: _binary,
    Logical: _logical,
    Conditional: _conditional,
    RegularExpression: _regular_expression,
}
