"""Closures of calls and of optional chains."""

from typing import TYPE_CHECKING, Any, Final

from domain.expressions.array_methods import MUTATING
from domain.expressions.conversions import to_key
from domain.expressions.errors import UNSUPPORTED
from domain.expressions.fast import Run
from domain.expressions.javascript import UNSUPPORTED_CALLS, UNSUPPORTED_METHODS
from domain.expressions.library import CONSTANTS
from domain.expressions.literals import elements
from domain.expressions.members import call as call_value
from domain.expressions.members import call_method, index, member
from domain.expressions.methods import ARRAYS, METHODS, STRINGS
from domain.expressions.scope import Scope, node_items
from domain.expressions.syntax import Call, Chain, Index, Literal, Member, Name, Node, Spread
from domain.expressions.values import UNDEFINED, Function, Namespace, Value, forbidden, is_forbidden

if TYPE_CHECKING:
    from domain.expressions.compiler import Compiler

UNCOVERED_METHODS: Final = frozenset().union(*UNSUPPORTED_METHODS.values()) - frozenset().union(*METHODS.values())
"""Methods of JavaScript that no type has here."""
_SHORT: Final = object()  # an optional chain that ended early


def call(compiler: "Compiler", node: Call) -> Run:
    callee = node.callee
    if isinstance(callee, Name) and not (compiler.locals and compiler.locals.find(callee.name)):
        special = _special(compiler, node, callee.name)
        if special is not None:
            return special
    if isinstance(callee, Member):
        known = compiler.compile(callee) if isinstance(callee.object, Name) else None
        if known is None or known not in compiler.constants:
            return _method(compiler, node, callee)
        return _known(compiler, node, compiler.constants[known])
    if isinstance(callee, Index):
        return _computed_method(compiler, node, callee)
    function = compiler.compile(callee)
    if function in compiler.constants:
        return _known(compiler, node, compiler.constants[function])
    arguments, text = elements(compiler, node.arguments), compiler.text(callee)
    return lambda scope, frame: call_value(scope, function(scope, frame), arguments(scope, frame), text)


def _special(compiler: "Compiler", node: Call, name: str) -> Run | None:
    """`$('id')` with its reference known, `$if` that evaluates only the branch it takes."""
    arguments = node.arguments
    if name == "$" and len(arguments) == 1 and isinstance(arguments[0], Literal) and type(arguments[0].value) is str:
        identifier = arguments[0].value
        compiler.references.add(identifier)
        compiler.names.add("$")
        return lambda scope, _frame: node_items(scope, identifier)
    if name == "$if" and len(arguments) in {2, 3} and not any(isinstance(one, Spread) for one in arguments):
        from domain.expressions.compiler import conditional

        compiler.names.add("$if")
        otherwise = compiler.compile(arguments[2]) if len(arguments) == 3 else compiler.constant(UNDEFINED)
        return conditional(compiler.compile(arguments[0]), compiler.compile(arguments[1]), otherwise)
    return None


def _known(compiler: "Compiler", node: Call, function: Value) -> Run:
    """A call of a built-in by its fixed name."""
    _refuse_uncovered_call(compiler, node, function)
    arguments, text = elements(compiler, node.arguments), compiler.text(node.callee)
    if type(function) is not Function:
        object_ = node.callee.object if isinstance(node.callee, Member) else None
        owner = CONSTANTS.get(object_.name) if isinstance(object_, Name) else None
        return lambda scope, frame: call_value(scope, function, arguments(scope, frame), text, owner)
    target = function.call
    if len(node.arguments) == 1 and not isinstance(node.arguments[0], Spread):
        only = compiler.compile(node.arguments[0])
        return lambda scope, frame: target(scope, only(scope, frame))
    return lambda scope, frame: target(scope, *arguments(scope, frame))


def _refuse_uncovered_call(compiler: "Compiler", node: Call, function: Value) -> None:
    """Ways to call a built-in that only JavaScript has."""
    name, given = compiler.text(node.callee), node.arguments
    if function is UNDEFINED and isinstance(node.callee, Member):
        _refuse_uncovered(compiler, node.callee)
    second = given[1] if len(given) > 1 else None
    nothing = second is None or (isinstance(second, Literal) and second.value is None)
    if name == "Math.random":
        raise compiler.fail(UNSUPPORTED, "Math.random is not available in expressions", node.start)
    if name == "JSON.parse" and not nothing:
        raise compiler.fail(UNSUPPORTED, "JSON.parse takes no function here", node.start)
    if name == "JSON.stringify" and not nothing and not (isinstance(second, Name) and second.name == "undefined"):
        raise compiler.fail(UNSUPPORTED, "JSON.stringify takes no replacer here", node.start)
    if type(function) is Namespace and function.name in UNSUPPORTED_CALLS:
        raise compiler.fail(UNSUPPORTED, f"{function.name}() is not available in expressions; use $now", node.start)


def _method(compiler: "Compiler", node: Call, callee: Member) -> Run:
    """`object.name(…)`: strings and arrays find their method without a look-up at run time."""
    _refuse_uncovered(compiler, callee)
    owner, name = compiler.compile(callee.object), callee.name
    of_text, of_list = STRINGS.get(name), ARRAYS.get(name)
    arguments, text = elements(compiler, node.arguments), compiler.text(callee.object)

    def run(scope: Scope, frame: Any = None) -> Value:
        value = owner(scope, frame)
        kind = type(value)
        if kind is list and of_list is not None:
            return of_list(scope, value, *arguments(scope, frame))
        if kind is str and of_text is not None:
            return of_text(scope, value, *arguments(scope, frame))
        if value is None or value is UNDEFINED:
            member(scope, value, name, text)
        return call_method(scope, value, name, arguments(scope, frame), text)

    return run


def _refuse_uncovered(compiler: "Compiler", callee: Member) -> None:
    """A method that only JavaScript has, whatever it is called on."""
    name = callee.name
    if name in MUTATING:
        raise compiler.fail(UNSUPPORTED, f"{name} would change an array; {MUTATING[name]}", callee.start)
    if name in UNCOVERED_METHODS:
        raise compiler.fail(UNSUPPORTED, f"the method {name} is not available in expressions", callee.start)


def _computed_method(compiler: "Compiler", node: Call, callee: Index) -> Run:
    owner, key = compiler.compile(callee.object), compiler.compile(callee.index)
    arguments, text = elements(compiler, node.arguments), compiler.text(callee.object)

    def run(scope: Scope, frame: Any = None) -> Value:
        value, place = owner(scope, frame), key(scope, frame)
        return _call_at(scope, value, place, arguments(scope, frame), text)

    return run


def _call_at(scope: Scope, value: Value, place: Value, arguments: list[Value], text: str) -> Value:
    if type(place) is not str:
        return call_value(scope, index(scope, value, place, text), arguments, f"{text}[…]")
    name = to_key(place, scope)
    if is_forbidden(name):
        raise forbidden(name)
    return call_method(scope, value, name, arguments, text)


def chain(compiler: "Compiler", node: Chain) -> Run:
    """The whole of an optional chain: undefined where it ended early."""
    inner = _link(compiler, node.expression)

    def run(scope: Scope, frame: Any = None) -> Value:
        value = inner(scope, frame)
        return UNDEFINED if value is _SHORT else value

    return run


def _link(compiler: "Compiler", node: Node) -> Run:
    """One link of a chain; it hands on that a link before it ended the chain."""
    if not _has_optional(node):
        return compiler.compile(node)
    if isinstance(node, Member):
        return _member_link(compiler, node)
    if isinstance(node, Index):
        return _index_link(compiler, node)
    assert isinstance(node, Call)
    if isinstance(node.callee, Member | Index):
        return _method_link(compiler, node, node.callee)
    return _call_link(compiler, node)


def _has_optional(node: Node) -> bool:
    while True:
        if isinstance(node, Member | Index):
            if node.optional:
                return True
            node = node.object
        elif isinstance(node, Call):
            if node.optional:
                return True
            node = node.callee
        else:
            return False


def _member_link(compiler: "Compiler", node: Member) -> Run:
    owner, name, optional = _link(compiler, node.object), node.name, node.optional
    text = compiler.text(node.object)

    def run(scope: Scope, frame: Any = None) -> Value:
        value = owner(scope, frame)
        if type(value) is dict:
            return value.get(name, UNDEFINED)
        if value is _SHORT or (optional and (value is None or value is UNDEFINED)):
            return _SHORT
        return member(scope, value, name, text)

    return run


def _index_link(compiler: "Compiler", node: Index) -> Run:
    owner, key, optional = _link(compiler, node.object), compiler.compile(node.index), node.optional
    text = compiler.text(node.object)

    def run(scope: Scope, frame: Any = None) -> Value:
        value = owner(scope, frame)
        if value is _SHORT or (optional and (value is None or value is UNDEFINED)):
            return _SHORT
        return index(scope, value, key(scope, frame), text)

    return run


def _method_link(compiler: "Compiler", node: Call, callee: Member | Index) -> Run:
    owner, arguments = _link(compiler, callee.object), elements(compiler, node.arguments)
    key = compiler.compile(callee.index) if isinstance(callee, Index) else compiler.constant(callee.name)
    text = compiler.text(callee.object)

    def run(scope: Scope, frame: Any = None) -> Value:
        value = owner(scope, frame)
        if value is _SHORT or (callee.optional and (value is None or value is UNDEFINED)):
            return _SHORT
        place = key(scope, frame)
        if node.optional:
            function = index(scope, value, place, text)
            if function is None or function is UNDEFINED:
                return _SHORT
        elif value is None or value is UNDEFINED:
            index(scope, value, place, text)
        return _call_at(scope, value, place, arguments(scope, frame), text)

    return run


def _call_link(compiler: "Compiler", node: Call) -> Run:
    function, arguments = _link(compiler, node.callee), elements(compiler, node.arguments)
    text = compiler.text(node.callee)

    def run(scope: Scope, frame: Any = None) -> Value:
        value = function(scope, frame)
        if value is _SHORT or (node.optional and (value is None or value is UNDEFINED)):
            return _SHORT
        return call_value(scope, value, arguments(scope, frame), text)

    return run
