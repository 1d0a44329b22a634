"""The parser's part for arrow functions: parameters, destructuring, and blocks of simple statements."""

from typing import TYPE_CHECKING, Final

from domain.expressions.errors import UNSUPPORTED
from domain.expressions.syntax import (
    ArrayPattern,
    Arrow,
    Condition,
    Declaration,
    DefaultPattern,
    Evaluation,
    Literal,
    NamePattern,
    Node,
    ObjectPattern,
    Pattern,
    Return,
    Statement,
)  # fmt: skip

if TYPE_CHECKING:
    from domain.expressions.parser import Parser


_STATEMENTS: Final = frozenset(
    {"for", "while", "do", "try", "throw", "switch", "var", "function", "class", "debugger", "break", "continue"}
)


def parse_arrow(parser: "Parser") -> Arrow:
    """An arrow function; the parser stands at its first token."""
    start = parser.peek().start
    parameters: list[Pattern] = []
    rest: Pattern | None = None
    if parser.peek().kind == "name":
        parameters.append(_name(parser))
    else:
        parser.expect("(")
        parameters, rest = _parameters(parser)
    parser.expect("=>")
    if parser.peek().kind == "{":
        body: Node | list[Statement] = _block(parser)
    else:
        body = parser.expression()
    return Arrow(start, parser.end, parameters, rest, body)


def _parameters(parser: "Parser") -> tuple[list[Pattern], Pattern | None]:
    parameters: list[Pattern] = []
    while not parser.accept(")"):
        if parser.accept("..."):
            rest = _target(parser)
            parser.expect(")")
            return parameters, rest
        parameters.append(_with_default(parser))
        if parser.peek().kind != ")":
            parser.expect(",")
    return parameters, None


def _name(parser: "Parser") -> NamePattern:
    token = parser.peek()
    if token.kind != "name":
        parser.unexpected(token, "a name expected")
    parser.advance()
    parser.check_binding(token)
    return NamePattern(token.value, token.start)


def _target(parser: "Parser") -> Pattern:
    parser.enter()
    match parser.peek().kind:
        case "{":
            pattern: Pattern = _object_pattern(parser)
        case "[":
            pattern = _array_pattern(parser)
        case _:
            pattern = _name(parser)
    parser.leave()
    return pattern


def _with_default(parser: "Parser") -> Pattern:
    target = _target(parser)
    return DefaultPattern(target, parser.expression()) if parser.accept("=") else target


def _array_pattern(parser: "Parser") -> Pattern:
    parser.expect("[")
    elements: list[Pattern | None] = []
    while not parser.accept("]"):
        if parser.accept(","):
            elements.append(None)
            continue
        if parser.accept("..."):
            rest = _target(parser)
            parser.expect("]")
            return ArrayPattern(elements, rest)
        elements.append(_with_default(parser))
        if parser.peek().kind != "]":
            parser.expect(",")
    return ArrayPattern(elements, None)


def _object_pattern(parser: "Parser") -> Pattern:
    parser.expect("{")
    entries: list[tuple[Node, Pattern]] = []
    while not parser.accept("}"):
        if parser.accept("..."):
            rest = _name(parser)
            parser.expect("}")
            return ObjectPattern(entries, rest)
        entries.append(_object_entry(parser))
        if parser.peek().kind != "}":
            parser.expect(",")
    return ObjectPattern(entries, None)


def _object_entry(parser: "Parser") -> tuple[Node, Pattern]:
    token = parser.peek()
    if token.kind == "name" and parser.peek(1).kind != ":":
        name = _name(parser)
        key = Literal(token.start, token.end, token.value)
        return key, DefaultPattern(name, parser.expression()) if parser.accept("=") else name
    key_node = parser.property_key()
    parser.expect(":")
    return key_node, _with_default(parser)


def _block(parser: "Parser") -> list[Statement]:
    parser.enter()
    parser.expect("{")
    statements: list[Statement] = []
    while not parser.accept("}"):
        if not parser.accept(";"):
            statements.extend(_statement(parser))
    parser.leave()
    return statements


def _statement(parser: "Parser") -> list[Statement]:
    token = parser.peek()
    word = token.value if token.kind == "name" else ""
    if word in {"const", "let"}:
        parser.advance()
        return _declarations(parser)
    if word == "return":
        parser.advance()
        value = None if parser.peek().kind in {";", "}"} else parser.expression()
        _end_of_statement(parser)
        return [Return(value)]
    if word == "if":
        parser.advance()
        return [_condition(parser)]
    if word in _STATEMENTS or (word and parser.peek(1).kind == ":" and word not in {"true", "false", "null"}):
        parser.fail(f"{word!r} is not supported in expressions; use a code node", token.start, UNSUPPORTED)
    if token.kind == "{":
        block = _block(parser)
        return [Condition(Literal(token.start, token.start, True), block, [])]
    value = parser.expression()
    _end_of_statement(parser)
    return [Evaluation(value)]


def _declarations(parser: "Parser") -> list[Statement]:
    declarations: list[Statement] = []
    while True:
        target = _target(parser)
        if isinstance(target, NamePattern) and parser.peek().kind in {";", ",", "}"}:
            parser.fail("a variable without a value is not supported", target.start, UNSUPPORTED)
        parser.expect("=")
        declarations.append(Declaration(target, parser.expression()))
        if not parser.accept(","):
            _end_of_statement(parser)
            return declarations


def _condition(parser: "Parser") -> Condition:
    parser.expect("(")
    test = parser.expression()
    parser.expect(")")
    then = _branch(parser)
    otherwise = _branch(parser) if parser.accept_word("else") else []
    return Condition(test, then, otherwise)


def _branch(parser: "Parser") -> list[Statement]:
    if parser.peek().kind == "{":
        return _block(parser)
    parser.enter()
    statements = _statement(parser)
    parser.leave()
    return statements


def _end_of_statement(parser: "Parser") -> None:
    """A semicolon, a closing brace or a new line."""
    token = parser.peek()
    if token.kind not in {";", "}"} and "\n" not in parser.source[parser.end : token.start]:
        parser.unexpected(token, "';' expected")
    parser.accept(";")
