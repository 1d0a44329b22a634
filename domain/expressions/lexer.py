"""Source text to tokens, on demand: what follows the closing braces of `{{ }}` is never looked at."""

import re
from typing import Final, NamedTuple, NoReturn

from domain.expressions import utf16
from domain.expressions.errors import LIMIT, SYNTAX, UNSUPPORTED, ExpressionError, excerpt
from domain.expressions.limits import MAX_NESTING
from domain.expressions.values import Value

_SPACE = re.compile(r"(?:[\s\ufeff]+|/\*.*?\*/|//[^\n\r\u2028\u2029]*)*", re.DOTALL)
_NAME = re.compile(r"(?:[^\W\d]|\$)[\w$\u200c\u200d]*")
_NUMBER = re.compile(
    r"0[xX][\da-fA-F](?:_?[\da-fA-F])*|0[oO][0-7](?:_?[0-7])*|0[bB][01](?:_?[01])*"
    r"|(?:\d(?:_?\d)*\.?(?:\d(?:_?\d)*)?|\.\d(?:_?\d)*)(?:[eE][+-]?\d(?:_?\d)*)?",
    re.ASCII,
)
_PUNCTUATOR = re.compile(
    r">>>=|\.\.\.|===|!==|\*\*=|<<=|>>=|>>>|&&=|\|\|=|\?\?=|=>|==|!=|<=|>=|&&|\|\||\?\?|\?\.(?!\d)|\*\*|<<|>>|\+\+|--"
    r"|\+=|-=|\*=|/=|%=|&=|\|=|\^=|[-{}()\[\].;,<>+*/%&|^!~?:=#@]"
)
_PATTERN = re.compile(
    r"/((?:[^\\/\[\n\r\u2028\u2029]|\\[^\n\r\u2028\u2029]|\[(?:[^\\\]\n\r\u2028\u2029]|\\[^\n\r\u2028\u2029])*+\])++)/([\w$]*)"
)
_ENDS_OF_VALUES: Final = frozenset({"number", "string", "name", "template", "pattern", ")", "]", "}"})
_BEFORE_VALUES: Final = frozenset(
    {"typeof", "void", "in", "return", "else", "instanceof", "delete", "case", "do", "throw"}
)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v"}
_LINE_ENDS: Final = "\n\r\u2028\u2029"
_ESCAPE = re.compile(r"x([\da-fA-F]{2})|u([\da-fA-F]{4})|u\{([\da-fA-F]{1,8})\}", re.ASCII)


class Token(NamedTuple):
    """`kind` is `number`, `string`, `name`, `template`, `pattern`, `end` or the punctuator itself."""

    kind: str
    value: Value
    start: int
    end: int


class TemplateParts(NamedTuple):
    strings: list[str]
    expressions: list[list[Token]]


class Lexer:
    """Reads tokens from `position` on."""

    __slots__ = ("_before", "_depth", "position", "source")

    def __init__(self, source: str, position: int = 0) -> None:
        self.source = source
        self.position = position
        self._depth = 0
        self._before = ""  # the kind of the last token, or the word itself where a value must follow

    def fail(self, message: str, position: int, code: str = SYNTAX) -> NoReturn:
        raise ExpressionError(code, f"{message} at position {position}: {excerpt(self.source, position)}", position)

    def token(self) -> Token:
        """The next token. Raises ExpressionError for text that is none."""
        source = self.source
        space = _SPACE.match(source, self.position)
        start = space.end() if space else self.position
        if start >= len(source):
            return Token("end", None, start, start)
        first = source[start]
        if first.isdecimal() or (first == "." and source[start + 1 : start + 2].isdecimal()):
            return self._number(start)
        if first in "\"'":
            return self._string(start)
        if first == "`":
            return self._template(start)
        if first == "/" and self._before not in _ENDS_OF_VALUES and source[start + 1 : start + 2] not in {"*", ""}:
            return self._pattern(start)
        if match := _NAME.match(source, start):
            return self._take("name", match.group(), start, match.end())
        match = _PUNCTUATOR.match(source, start)
        if source.startswith("/*", start):
            self.fail("the comment has no end", start)
        if match is None:
            self.fail(f"unexpected character {first!r}", start)
        return self._take(match.group(), None, start, match.end())

    def _take(self, kind: str, value: Value, start: int, end: int) -> Token:
        self.position = end
        self._before = value if kind == "name" and value in _BEFORE_VALUES else kind
        return Token(kind, value, start, end)

    def _number(self, start: int) -> Token:
        match = _NUMBER.match(self.source, start)
        if match is None:
            self.fail("malformed number", start)
        shown, end = match.group(), match.end()
        following = self.source[end : end + 1]
        if following == "n":
            self.fail("BigInt literals are not supported", start, UNSUPPORTED)
        if following and (following.isalnum() or following in "_$"):
            self.fail("malformed number", start)
        if len(shown) > 1 and shown[0] == "0" and (shown[1].isdecimal() or shown[1] == "_"):
            self.fail("numbers do not begin with 0 (octal is written 0o17)", start)
        return self._take("number", _number_value(shown.replace("_", "")), start, end)

    def _string(self, start: int) -> Token:
        source, quote = self.source, self.source[start]
        parts: list[str] = []
        position = start + 1
        while True:
            if position >= len(source) or source[position] in "\n\r":
                self.fail("the string has no end", start)
            char = source[position]
            if char == quote:
                return self._take("string", utf16.narrow("".join(parts)), start, position + 1)
            if char == "\\":
                char, position = self._escape(position + 1)
            else:
                position += 1
            parts.append(char)

    def _escape(self, position: int) -> tuple[str, int]:
        """The character of the escape behind a backslash, and where it ends."""
        source = self.source
        char = source[position : position + 1]
        if char in _ESCAPES and char:
            return _ESCAPES[char], position + 1
        if char in {"x", "u"}:
            match = _ESCAPE.match(source, position)
            code = int(match[1] or match[2] or match[3], 16) if match else -1
            if match is None or code > 0x10FFFF:
                self.fail("malformed escape", position - 1)
            return chr(code), match.end()
        if char == "0" and not source[position + 1 : position + 2].isdecimal():
            return "\0", position + 1
        if char.isdecimal() and char:
            self.fail("octal escapes are not allowed", position - 1)
        if char and char in _LINE_ENDS:
            return "", position + (2 if source.startswith("\r\n", position) else 1)
        return char, position + 1

    def _pattern(self, start: int) -> Token:
        """A regular expression: its source and flags."""
        match = _PATTERN.match(self.source, start)
        if match is None:
            self.fail("the regular expression has no end", start)
        return self._take("pattern", (match[1], match[2]), start, match.end())

    def _template(self, start: int) -> Token:
        source = self.source
        strings: list[str] = []
        expressions: list[list[Token]] = []
        parts: list[str] = []
        position = start + 1
        while position < len(source):
            char = source[position]
            if char == "`":
                strings.append(utf16.narrow("".join(parts)))
                return self._take("template", TemplateParts(strings, expressions), start, position + 1)
            if char == "\\":
                char, position = self._escape(position + 1)
            elif source.startswith("${", position):
                strings.append(utf16.narrow("".join(parts)))
                parts = []
                expressions.append(self._embedded(position + 2))
                position = self.position
                continue
            elif char == "\r":
                char, position = "\n", position + (2 if source.startswith("\r\n", position) else 1)
            else:
                position += 1
            parts.append(char)
        return self.fail("the template literal has no end", start)

    def _embedded(self, position: int) -> list[Token]:
        """The tokens up to the brace that closes a `${`, ended by an `end` token; the lexer stands behind it."""
        self._depth += 1
        if self._depth > MAX_NESTING:
            self.fail("template literals are nested too deeply", position, LIMIT)
        self.position = position
        self._before = ""
        tokens: list[Token] = []
        braces = 0
        while True:
            token = self.token()
            if token.kind == "end":
                self.fail("the template literal has no end", position)
            if token.kind == "}" and braces == 0:
                tokens.append(Token("end", None, token.start, token.start))
                self._depth -= 1
                return tokens
            braces += (token.kind == "{") - (token.kind == "}")
            tokens.append(token)


def _number_value(shown: str) -> int | float:
    prefix = {"x": 16, "o": 8, "b": 2}.get(shown[1:2].lower())
    if prefix is not None:
        return _exact(int(shown[2:], prefix))
    if shown.isdecimal() and len(shown) < 16:
        return int(shown)
    return float(shown)


def _exact(number: int) -> int | float:
    if number <= 2**53:
        return number
    return float(number) if number.bit_length() <= 1024 else float("inf")
