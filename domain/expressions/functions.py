"""Closures of arrow functions: parameters, destructuring and blocks."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from domain.expressions.conversions import iterate, kind_of, own_entries, to_key, truthy
from domain.expressions.errors import SYNTAX, TYPE, ExpressionError
from domain.expressions.fast import Run
from domain.expressions.limits import CALL_DEPTH, too_deep, too_many_steps
from domain.expressions.locals import Locals
from domain.expressions.members import index
from domain.expressions.scope import Scope
from domain.expressions.syntax import (
    ArrayPattern,
    Arrow,
    Condition,
    Declaration,
    DefaultPattern,
    Evaluation,
    NamePattern,
    ObjectPattern,
    Pattern,
    Return,
    Statement,
)  # fmt: skip
from domain.expressions.values import UNDEFINED, Function, Value

if TYPE_CHECKING:
    from domain.expressions.compiler import Compiler

Bind = Callable[[Scope, Any, Value], None]
_GO_ON: Final = object()  # a statement that did not return


def arrow(compiler: "Compiler", node: Arrow) -> Run:
    outer, before = compiler.locals, compiler.size
    names = compiler.locals = Locals(outer)
    simple = node.rest is None and all(isinstance(one, NamePattern) for one in node.parameters)
    binders = [_binder(compiler, one) for one in node.parameters]
    rest = None if node.rest is None else _binder(compiler, node.rest)
    body = _block_body(compiler, node.body) if isinstance(node.body, list) else compiler.compile(node.body)
    compiler.locals = outer
    weight = 1 + ((compiler.size - before) >> 4)
    extra = names.size - 1
    if simple and len(binders) <= 2:
        return _small(len(binders), body, weight, extra - len(binders))
    return _general(binders, rest, body, weight, extra)


def _enter(scope: Scope, weight: int) -> None:
    scope.steps -= weight
    if scope.steps < 0:
        raise too_many_steps()
    if scope.depth >= CALL_DEPTH:
        raise too_deep()
    scope.depth += 1


def _small(count: int, body: Run, weight: int, extra: int) -> Run:
    """Up to two plain parameters, and room for `extra` constants of a block."""
    room = [UNDEFINED] * extra

    def make_none(_scope: Scope, frame: Any = None) -> Function:
        def call(scope: Scope, *_: Value) -> Value:
            _enter(scope, weight)
            result = body(scope, [frame, *room])
            scope.depth -= 1
            return result

        return Function("", call)

    def make_one(_scope: Scope, frame: Any = None) -> Function:
        def call(scope: Scope, first: Value = UNDEFINED, *_: Value) -> Value:
            _enter(scope, weight)
            result = body(scope, [frame, first, *room])
            scope.depth -= 1
            return result

        return Function("", call)

    def make_two(_scope: Scope, frame: Any = None) -> Function:
        def call(scope: Scope, first: Value = UNDEFINED, second: Value = UNDEFINED, *_: Value) -> Value:
            _enter(scope, weight)
            result = body(scope, [frame, first, second, *room])
            scope.depth -= 1
            return result

        return Function("", call)

    return (make_none, make_one, make_two)[count]


def _general(binders: list[Bind], rest: Bind | None, body: Run, weight: int, extra: int) -> Run:
    count = len(binders)

    def make(_scope: Scope, frame: Any = None) -> Function:
        def call(scope: Scope, *arguments: Value) -> Value:
            _enter(scope, weight)
            inner: list[Any] = [frame] + [UNDEFINED] * extra
            for place, bind in enumerate(binders):
                bind(scope, inner, arguments[place] if place < len(arguments) else UNDEFINED)
            if rest is not None:
                scope.charge_elements(len(arguments))
                rest(scope, inner, list(arguments[count:]))
            result = body(scope, inner)
            scope.depth -= 1
            return result

        return Function("", call)

    return make


# -- destructuring


def _binder(compiler: "Compiler", pattern: Pattern) -> Bind:
    """What puts a value into the slots that a pattern names."""
    match pattern:
        case NamePattern():
            return _name_binder(_declare(compiler, pattern))
        case DefaultPattern():
            default = compiler.compile(pattern.default)
            return _default_binder(default, _binder(compiler, pattern.target))
        case ArrayPattern():
            return _array_binder(compiler, pattern)
        case ObjectPattern():
            return _object_binder(compiler, pattern)


def _declare(compiler: "Compiler", pattern: NamePattern) -> int:
    assert compiler.locals is not None
    slot = compiler.locals.declare(pattern.name)
    if slot is None:
        raise compiler.fail(SYNTAX, f"the name {pattern.name!r} is declared twice", pattern.start)
    return slot


def _name_binder(slot: int) -> Bind:
    def bind(_scope: Scope, frame: Any, value: Value) -> None:
        frame[slot] = value

    return bind


def _default_binder(default: Run, target: Bind) -> Bind:
    def bind(scope: Scope, frame: Any, value: Value) -> None:
        target(scope, frame, default(scope, frame) if value is UNDEFINED else value)

    return bind


def _array_binder(compiler: "Compiler", pattern: ArrayPattern) -> Bind:
    elements = [None if one is None else _binder(compiler, one) for one in pattern.elements]
    rest = None if pattern.rest is None else _binder(compiler, pattern.rest)

    def bind(scope: Scope, frame: Any, value: Value) -> None:
        items = iterate(value, scope, "what [ ] takes apart")
        for place, element in enumerate(elements):
            if element is not None:
                element(scope, frame, items[place] if place < len(items) else UNDEFINED)
        if rest is not None:
            rest(scope, frame, items[len(elements) :])

    return bind


def _object_binder(compiler: "Compiler", pattern: ObjectPattern) -> Bind:
    entries = [(compiler.compile(key), _binder(compiler, target)) for key, target in pattern.entries]
    rest = None if pattern.rest is None else _binder(compiler, pattern.rest)

    def bind(scope: Scope, frame: Any, value: Value) -> None:
        if value is None or value is UNDEFINED:
            raise ExpressionError(TYPE, f"cannot take {kind_of(value)} apart with {{ }}")
        taken: set[str] = set()
        for key, target in entries:
            name = key(scope, frame)
            taken.add(to_key(name, scope))
            target(scope, frame, index(scope, value, name, "the argument"))
        if rest is not None:
            rest(scope, frame, {key: item for key, item in own_entries(value, scope) if key not in taken})

    return bind


# -- blocks


def _block_body(compiler: "Compiler", statements: list[Statement]) -> Run:
    block = _block(compiler, statements)

    def run(scope: Scope, frame: Any = None) -> Value:
        result = block(scope, frame)
        return UNDEFINED if result is _GO_ON else result

    return run


def _block(compiler: "Compiler", statements: list[Statement]) -> Run:
    runs = [_statement(compiler, one) for one in statements]

    def run(scope: Scope, frame: Any = None) -> Value:
        for statement in runs:
            result = statement(scope, frame)
            if result is not _GO_ON:
                return result
        return _GO_ON

    return run


def _inner_block(compiler: "Compiler", statements: list[Statement]) -> Run:
    assert compiler.locals is not None
    compiler.locals.blocks.append({})
    block = _block(compiler, statements)
    compiler.locals.blocks.pop()
    return block


def _statement(compiler: "Compiler", statement: Statement) -> Run:
    match statement:
        case Return():
            return compiler.constant(UNDEFINED) if statement.value is None else compiler.compile(statement.value)
        case Declaration():
            return _declaration(compiler, statement)
        case Evaluation():
            return _evaluation(compiler.compile(statement.value))
        case Condition():
            return _condition(compiler, statement)


def _declaration(compiler: "Compiler", statement: Declaration) -> Run:
    if isinstance(statement.value, Arrow):
        # A function may call itself: its name is known inside it.
        bind = _binder(compiler, statement.target)
        value = compiler.compile(statement.value)
    else:
        value = compiler.compile(statement.value)
        bind = _binder(compiler, statement.target)

    def run(scope: Scope, frame: Any = None) -> Value:
        bind(scope, frame, value(scope, frame))
        return _GO_ON

    return run


def _evaluation(value: Run) -> Run:
    def run(scope: Scope, frame: Any = None) -> Value:
        value(scope, frame)
        return _GO_ON

    return run


def _condition(compiler: "Compiler", statement: Condition) -> Run:
    test = compiler.compile(statement.test)
    then, otherwise = _inner_block(compiler, statement.then), _inner_block(compiler, statement.otherwise)

    def run(scope: Scope, frame: Any = None) -> Value:
        return then(scope, frame) if truthy(test(scope, frame)) else otherwise(scope, frame)

    return run
