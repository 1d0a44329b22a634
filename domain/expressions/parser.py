"""Tokens to a syntax tree: a Pratt parser of JavaScript's expressions."""

from typing import Final, NoReturn

from domain.expressions.errors import FORBIDDEN, LIMIT, SYNTAX, UNSUPPORTED, ExpressionError, excerpt
from domain.expressions.lexer import Lexer, Token
from domain.expressions.limits import MAX_CHAIN, MAX_NESTING
from domain.expressions.patterns import parse_arrow
from domain.expressions.syntax import (
    ArrayLiteral,
    Arrow,
    Binary,
    Call,
    Chain,
    Conditional,
    Entry,
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
from domain.expressions.values import INFINITY, NAN, UNDEFINED, is_forbidden

_POWERS: Final = {
    "??": 1, "||": 2, "&&": 3, "|": 4, "^": 5, "&": 6,
    "==": 7, "!=": 7, "===": 7, "!==": 7,
    "<": 8, ">": 8, "<=": 8, ">=": 8, "in": 8, "instanceof": 8,
    "<<": 9, ">>": 9, ">>>": 9, "+": 10, "-": 10, "*": 11, "/": 11, "%": 11, "**": 12,
}  # fmt: skip
_LOGICAL: Final = frozenset({"??", "||", "&&"})
_UNARY: Final = frozenset({"!", "-", "+", "~"})
_ASSIGNMENTS: Final = frozenset(
    {"=", "+=", "-=", "*=", "/=", "%=", "**=", "<<=", ">>=", ">>>=", "&=", "|=", "^=", "&&=", "||=", "??=", "++", "--"}
)
_CONSTANTS: Final = {
    "true": True, "false": False, "null": None, "undefined": UNDEFINED, "NaN": NAN, "Infinity": INFINITY,
}  # fmt: skip
_RESERVED: Final = frozenset(
    [
        "await",
        "break",
        "case",
        "catch",
        "class",
        "const",
        "continue",
        "debugger",
        "default",
        "delete",
        "do",
        "else",
        "enum",
        "export",
        "extends",
        "finally",
        "for",
        "function",
        "if",
        "implements",
        "import",
        "in",
        "instanceof",
        "interface",
        "let",
        "new",
        "package",
        "private",
        "protected",
        "public",
        "return",
        "static",
        "super",
        "switch",
        "throw",
        "try",
        "typeof",
        "var",
        "void",
        "while",
        "with",
        "yield",
    ]
)


class Parser:
    """Parses one expression out of a source string, from `position` on or from tokens at hand."""

    def __init__(self, source: str, position: int = 0, *, tokens: list[Token] | None = None, depth: int = 0) -> None:
        self.source = source
        self._lexer = Lexer(source, position)
        self._tokens: list[Token] = tokens or []
        self._next = 0
        self._depth = depth

    # -- tokens

    def peek(self, ahead: int = 0) -> Token:
        index = self._next + ahead
        while index >= len(self._tokens):
            if self._tokens and self._tokens[-1].kind == "end":
                return self._tokens[-1]
            self._tokens.append(self._lexer.token())
        return self._tokens[index]

    def advance(self) -> Token:
        token = self.peek()
        self._next += 1
        return token

    def accept(self, kind: str) -> bool:
        if self.peek().kind != kind:
            return False
        self._next += 1
        return True

    def expect(self, kind: str) -> Token:
        token = self.peek()
        if token.kind != kind:
            self.unexpected(token, f"{kind!r} expected")
        return self.advance()

    def accept_word(self, word: str) -> bool:
        token = self.peek()
        if token.kind != "name" or token.value != word:
            return False
        self._next += 1
        return True

    @property
    def end(self) -> int:
        """Where the last token taken ends."""
        return self._tokens[self._next - 1].end

    def fail(self, message: str, position: int, code: str = SYNTAX) -> NoReturn:
        raise ExpressionError(code, f"{message} at position {position}: {excerpt(self.source, position)}", position)

    def unexpected(self, token: Token, wanted: str) -> NoReturn:
        if token.kind in _ASSIGNMENTS:
            self.fail("an expression cannot assign (compare with ===)", token.start, UNSUPPORTED)
        if token.kind == "end":
            self.fail(f"the expression ends too early, {wanted}", token.start)
        shown = self.source[token.start : token.end]
        self.fail(f"unexpected {shown[:30]!r}, {wanted}", token.start)

    def enter(self) -> None:
        self._depth += 1
        if self._depth > MAX_NESTING:
            self.fail(f"the expression is nested more than {MAX_NESTING} deep", self.peek().start, LIMIT)

    def leave(self) -> None:
        self._depth -= 1

    # -- expressions

    def expression(self) -> Node:
        """An arrow function, a conditional, or anything that binds closer."""
        self.enter()
        node = self._arrow() if self._at_arrow() else self._conditional()
        self.leave()
        return node

    def _conditional(self) -> Node:
        test = self._binary(1)
        if not self.accept("?"):
            return test
        then = self.expression()
        self.expect(":")
        otherwise = self.expression()
        return Conditional(test.start, otherwise.end, test, then, otherwise)

    def _operator(self) -> str:
        token = self.peek()
        if token.kind == "name":
            return token.value if token.value in {"in", "instanceof"} else ""
        return token.kind

    def _binary(self, minimum: int) -> Node:
        start = self._next
        left = self._unary()
        while (power := _POWERS.get(operator := self._operator(), 0)) >= minimum:
            token = self.advance()
            if operator == "instanceof":
                self.fail("instanceof is not supported; use typeof or Array.isArray", token.start, UNSUPPORTED)
            if operator == "**" and isinstance(left, Unary) and self._tokens[start].kind != "(":
                self.fail("a sign before ** needs parentheses", token.start)
            first_right = self._next
            if operator == "**":
                self.enter()
                right = self._binary(power)
                self.leave()
            else:
                right = self._binary(power + 1)
            if operator in _LOGICAL:
                self._check_mixing(operator, left, right, start, first_right)
                left = Logical(left.start, right.end, operator, left, right)
            else:
                left = Binary(left.start, right.end, operator, left, right)
        return left

    def _check_mixing(self, operator: str, left: Node, right: Node, first_left: int, first_right: int) -> None:
        """JavaScript refuses ?? beside || or && without parentheses."""
        for side, first in ((left, first_left), (right, first_right)):
            if (
                isinstance(side, Logical)
                and (side.operator == "??") != (operator == "??")
                and side.start == self._tokens[first].start
            ):
                self.fail("?? beside || or && needs parentheses", side.end)

    def _unary(self) -> Node:
        token = self.peek()
        if token.kind in _UNARY or (token.kind == "name" and token.value in {"typeof", "void"}):
            self.advance()
            self.enter()
            operand = self._unary()
            self.leave()
            operator = token.kind if token.kind != "name" else token.value
            return Unary(token.start, operand.end, operator, operand)
        return self._postfix(self._primary())

    def _postfix(self, node: Node) -> Node:
        """Members, indices and calls behind a primary expression."""
        chained = False
        for _ in range(MAX_CHAIN):
            token = self.peek()
            optional = token.kind == "?."
            chained = chained or optional
            if token.kind == "." or (optional and self.peek(1).kind not in {"(", "["}):
                self.advance()
                node = self._member(node, optional)
            elif token.kind == "[" or (optional and self.peek(1).kind == "["):
                self._next += 1 + optional
                index = self.expression()
                node = Index(node.start, self.expect("]").end, node, index, optional)
            elif token.kind == "(" or optional:
                self._next += 1 + optional
                arguments = self._list(")")
                node = Call(node.start, self.end, node, arguments, optional)
            elif token.kind == "template":
                self.fail("tagged template literals are not supported", token.start, UNSUPPORTED)
            elif token.kind in {"++", "--"}:
                self.unexpected(token, "")
            else:
                return Chain(node.start, node.end, node) if chained else node
        return self.fail("the expression is too long", node.start, LIMIT)

    def _member(self, node: Node, optional: bool) -> Node:
        name = self.peek()
        if name.kind != "name":
            self.unexpected(name, "the name of a property expected")
        self.advance()
        self._check_name(name)
        return Member(node.start, name.end, node, name.value, optional)

    def _check_name(self, token: Token) -> None:
        if is_forbidden(token.value):
            self.fail(f"the name {token.value[:60]!r} cannot be used in expressions", token.start, FORBIDDEN)

    def _list(self, close: str) -> list[Node]:
        """The elements of a call or an array up to `close`; holes of arrays are undefined."""
        items: list[Node] = []
        while not self.accept(close):
            token = self.peek()
            if close == "]" and self.accept(","):
                items.append(Literal(token.start, token.start, UNDEFINED))
                continue
            items.append(self._element())
            if self.peek().kind != close:
                self.expect(",")
        return items

    def _element(self) -> Node:
        token = self.peek()
        if not self.accept("..."):
            return self.expression()
        value = self.expression()
        return Spread(token.start, value.end, value)

    def _primary(self) -> Node:
        token = self.advance()
        match token.kind:
            case "number" | "string":
                return Literal(token.start, token.end, token.value)
            case "name":
                return self._name(token)
            case "template":
                return self._template(token)
            case "(":
                node = self.expression()
                if self.peek().kind == ",":
                    self.fail("the comma operator is not supported", self.peek().start, UNSUPPORTED)
                self.expect(")")
                return node
            case "[":
                items = self._list("]")
                return ArrayLiteral(token.start, self.end, items)
            case "{":
                return self._object(token)
            case "pattern":
                return RegularExpression(token.start, token.end, *token.value)
            case _:
                self._next -= 1
                return self.unexpected(token, "an expression expected")

    def _name(self, token: Token) -> Node:
        name = token.value
        if name in _CONSTANTS:
            return Literal(token.start, token.end, _CONSTANTS[name])
        self._check_name(token)
        self._check_reserved(token)
        if name == "async" and self._at_async_function():
            self.fail("async functions are not supported", token.start, UNSUPPORTED)
        if name == "this":
            self.fail("'this' has no meaning in an expression", token.start, FORBIDDEN)
        return Name(token.start, token.end, name)

    def _at_async_function(self) -> bool:
        """Behind `async`: a parameter and `=>`, a list of them and `=>`, or `function`."""
        token = self.peek()
        if token.kind == "name" and token.value not in {"in", "instanceof"}:
            return True
        if token.kind != "(":
            return False
        closing = self._closing_parenthesis()
        return closing > 0 and self.peek(closing + 1).kind == "=>"

    def _check_reserved(self, token: Token) -> None:
        if token.value in _RESERVED:
            if token.value == "import":
                self.fail("'import' leads out of the data", token.start, FORBIDDEN)
            known = token.value in {"new", "function", "await", "class", "delete"}
            self.fail(f"{token.value!r} is not supported in expressions", token.start, UNSUPPORTED if known else SYNTAX)

    def check_binding(self, token: Token) -> None:
        """Refuse names that cannot be given to a parameter or constant."""
        self._check_name(token)
        self._check_reserved(token)
        if token.value in _CONSTANTS or token.value == "this":
            self.fail(f"{token.value!r} cannot be the name of a parameter", token.start)

    def _template(self, token: Token) -> Node:
        nodes: list[Node] = []
        for tokens in token.value.expressions:
            inner = Parser(self.source, tokens=tokens, depth=self._depth)
            nodes.append(inner.expression())
            inner.expect("end")
        return Template(token.start, token.end, token.value.strings, nodes)

    def _object(self, opening: Token) -> Node:
        entries: list[Entry] = []
        while not self.accept("}"):
            if self.accept("..."):
                entries.append(Entry(None, self.expression()))
            else:
                entries.append(self._entry())
            if self.peek().kind != "}":
                self.expect(",")
        return ObjectLiteral(opening.start, self.end, entries)

    def _entry(self) -> Entry:
        token = self.peek()
        modified = token.kind == "name" and token.value in {"get", "set", "async"}
        if token.kind == "*" or (modified and self.peek(1).kind in {"name", "string", "number", "[", "*"}):
            self.fail("methods in object literals are not supported", token.start, UNSUPPORTED)
        key = self.property_key()
        if self.accept(":"):
            return Entry(key, self.expression())
        if self.peek().kind == "(":
            self.fail("methods in object literals are not supported; write name: () => …", token.start, UNSUPPORTED)
        if token.kind != "name":
            self.unexpected(self.peek(), "':' expected")
        return Entry(key, self._name(token))

    def property_key(self) -> Node:
        """The key of an object literal or pattern."""
        token = self.advance()
        match token.kind:
            case "name" | "string":
                self._check_name(token)
                return Literal(token.start, token.end, token.value)
            case "number":
                return Literal(token.start, token.end, token.value)
            case "[":
                key = self.expression()
                self.expect("]")
                return key
            case _:
                self._next -= 1
                return self.unexpected(token, "the name of a property expected")

    # -- arrow functions

    def _at_arrow(self) -> bool:
        token = self.peek()
        if token.kind == "name":
            return self.peek(1).kind == "=>"
        if token.kind != "(":
            return False
        closing = self._closing_parenthesis()
        return closing > 0 and self.peek(closing + 1).kind == "=>"

    def _closing_parenthesis(self) -> int:
        """How far ahead the parenthesis at hand closes, 0 if it does not."""
        depth, ahead = 0, 0
        try:
            while True:
                kind = self.peek(ahead).kind
                depth += (kind in "([{") - (kind in ")]}") if len(kind) == 1 else 0
                if depth == 0:
                    return ahead
                if kind == "end" or depth > MAX_NESTING:
                    return 0
                ahead += 1
        except ExpressionError as error:
            if error.code == LIMIT:
                raise
            return 0  # the same text fails again, with a better message, when it is parsed

    def _arrow(self) -> Arrow:
        return parse_arrow(self)
