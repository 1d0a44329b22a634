"""JavaScript that the closed evaluator does not cover: found at compile time, evaluated by the sandbox before the run.

    foreign = read_foreign(text, start, why) # from behind `{{` to before `}}`
    foreign.source                           # what the sandbox evaluates, keys guarded
    foreign.run(scope)                       # its value for the scope's item, from what the sandbox answered

The text is looked at token by token, not parsed. Whatever leads out of the data is refused here, wherever it stands; a
key that is computed goes through `__key`, which refuses the same names when the expression runs.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from domain.expressions.datetime_methods import DATE_METHODS
from domain.expressions.errors import FORBIDDEN, SYNTAX, UNSUPPORTED, ExpressionError, excerpt
from domain.expressions.javascript import FORBIDDEN_GLOBALS, FORBIDDEN_MEMBERS
from domain.expressions.limits import MAX_TEXT
from domain.expressions.methods import REGISTRY
from domain.expressions.scope import Scope
from domain.expressions.values import UNDEFINED, Value, is_forbidden

GUARD: Final = "__key"
_WORD = re.compile(r"(?:[\w$#\u200c\u200d]|\\u(?:\{[0-9a-fA-F]*\}|[0-9a-fA-F]{0,4})|\\)+")
_NUMBER = re.compile(r"(?:0[xXbBoO][\w]+|(?:\d[\d_]*)?\.?\d[\d_]*(?:[eE][+-]?\d+)?)n?\.?")
_STRING = re.compile(r"'(?:[^'\\\n]|\\[\s\S])*'|\"(?:[^\"\\\n]|\\[\s\S])*\"")
_REGEX = re.compile(r"/(?![*/])(?:[^\\/\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/\w*")
_COMMENT = re.compile(r"//[^\n]*|/\*[\s\S]*?\*/")
_SPACE = re.compile(r"[\s\ufeff]+")
_OPERATOR = re.compile(r"\?\.(?!\d)|=>|\.\.\.|[-+*/%&|^!=<>?~:;,.@]")
_CLOSING: Final = {"(": ")", "[": "]", "{": "}"}
_BEFORE_REGEX: Final = frozenset({
    "return", "typeof", "instanceof", "in", "of", "new", "delete", "void", "throw", "case", "do", "else", "yield",
    "await",
})  # fmt: skip
_TRUTHY_NUMBERS: Final[Mapping[str, float]] = {
    "NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf"), "-0": -0.0,
}  # fmt: skip


_JAVASCRIPT_TOO: Final = frozenset({
    "abs", "ceil", "difference", "entries", "floor", "getTime", "groupBy", "intersection", "isInteger", "keys", "max",
    "min", "now", "toISOString", "reverse", "round", "set", "take", "toISO", "toISODate", "toMillis", "toSeconds",
    "toJSDate",
    "toUnixInteger", "toString", "toJSON", "valueOf", "union", "values", "first", "last",
})  # fmt: skip
_OWN_METHODS: Final = frozenset({entry.name for entry in REGISTRY} | set(DATE_METHODS)) - _JAVASCRIPT_TOO
"""Methods of the expression language that neither JavaScript nor the sandbox's `$now` has."""


class Token(NamedTuple):
    """`kind`: name, number, string, template, regex or the sign itself. `inner`: tokens of a template's `${}`."""

    kind: str
    text: str
    start: int
    inner: tuple["Token", ...] = ()


@dataclass(frozen=True, slots=True)
class Foreign:
    """`end`: behind the closing braces. `references`, `names`: as of a compiled expression; `why` it is foreign."""

    source: str
    end: int
    references: frozenset[str]
    names: frozenset[str]
    why: str

    def run(self, scope: Scope, _frame: Any = None) -> Value:
        """The value for the scope's item. Raises ExpressionError."""
        answers = None if scope.foreign is None else scope.foreign.get(self.source)
        if answers is None or scope.item_index >= len(answers):
            raise ExpressionError(UNSUPPORTED, f"{self.why}; beyond that there is only the sandbox, and none is here")
        return read_answer(answers[scope.item_index])


def read_answer(answer: Any) -> Value:
    """The value in an answer of the sandbox, which is not trusted."""
    match answer:
        case ["v", value]:
            return value
        case ["u"]:
            return UNDEFINED
        case ["n", str(name)] if name in _TRUTHY_NUMBERS:
            return _TRUTHY_NUMBERS[name]
        case ["e", str(code), str(message)]:
            raise ExpressionError(code, message[:MAX_TEXT])
    raise ExpressionError(UNSUPPORTED, "the sandbox gave no answer that can be used")


def read_foreign(text: str, start: int, why: str) -> Foreign:
    """The expression that begins at `start` and ends before `}}`. Raises ExpressionError for names that lead out of
    the data (expression_forbidden), and where its end cannot be found."""
    scanner = _Scanner(text)
    tokens, end = scanner.until_closed(start)
    for token, place, among in _each(tokens):
        if token.kind == "name" and _leads_out(among, place):
            raise _forbidden(token.text, token.start)
        if token.kind == "name":
            _refuse_own_words(among, place, why)
    rewritten = _guarded(text, tokens, start, end)
    names = frozenset(token.text for token, _, _ in _each(tokens) if token.kind == "name" and token.text[:1] == "$")
    return Foreign(rewritten.strip(), end + 2, frozenset(_references(tokens)), names, why)


def _forbidden(name: str, position: int) -> ExpressionError:
    return ExpressionError(FORBIDDEN, f"the name {name[:60]!r} cannot be used in expressions", position)


def _each(tokens: tuple[Token, ...]) -> Iterator[tuple[Token, int, tuple[Token, ...]]]:
    """Every token with its place among its neighbours, those in templates too."""
    for place, token in enumerate(tokens):
        yield token, place, tokens
        yield from _each(token.inner)


def _leads_out(tokens: tuple[Token, ...], place: int) -> bool:
    name = tokens[place].text
    if "\\" in name or is_forbidden(name):
        return True
    if place < 1 or tokens[place - 1].kind not in {".", "?."}:
        return name in FORBIDDEN_GLOBALS
    return place > 1 and f"{tokens[place - 2].text}.{name}" in FORBIDDEN_MEMBERS


def _refuse_own_words(tokens: tuple[Token, ...], place: int, why: str) -> None:
    """What only the expression language knows is not there where plain JavaScript runs."""
    name = tokens[place].text
    member = _follows_dot(tokens, place)
    called = place + 1 < len(tokens) and tokens[place + 1].kind == "("
    if (member and called and name in _OWN_METHODS) or (not member and name == "DateTime"):
        raise ExpressionError(
            UNSUPPORTED,
            f"{why}; the sandbox could run it, but not with {name!r}, which is no JavaScript: do without one of them",
            tokens[place].start,
        )


def _references(tokens: tuple[Token, ...]) -> Iterator[str]:
    """Ids of nodes in `$('id')`."""
    for token, place, among in _each(tokens):
        if token.kind == "name" and token.text == "$" and [each.kind for each in among[place + 1 : place + 4]] == [
            "(", "string", ")",
        ]:  # fmt: skip
            yield among[place + 2].text[1:-1]


# -- computed keys


def _guarded(text: str, tokens: tuple[Token, ...], start: int, end: int) -> str:
    """The source with every computed key in a call of the guard."""
    parts: list[str] = []
    at = start
    for position, inserted in sorted(_insertions(tokens)):
        parts += (text[at:position], inserted)
        at = position
    return "".join(parts) + text[at:end]


def _insertions(tokens: tuple[Token, ...]) -> Iterator[tuple[int, str]]:
    closing = dict(_pairs(tokens))
    open_brackets: list[str] = []
    for place, token in enumerate(tokens):
        if token.kind in _CLOSING:
            if token.kind == "[" and place in closing and _is_key(tokens, place, closing[place], open_brackets):
                last = tokens[closing[place]]
                if not _plain_key(tokens, place, closing[place]):
                    yield token.start + 1, f"{GUARD}("
                    yield last.start, ")"
            open_brackets.append(token.kind)
        elif token.kind in ")]}" and open_brackets:
            open_brackets.pop()
        yield from _insertions(token.inner)


def _pairs(tokens: tuple[Token, ...]) -> Iterator[tuple[int, int]]:
    """(place of an opening bracket, place of the one that closes it)"""
    opened: list[int] = []
    for place, token in enumerate(tokens):
        if token.kind in _CLOSING:
            opened.append(place)
        elif token.kind in {")", "]", "}"} and opened:
            yield opened.pop(), place


def _is_key(tokens: tuple[Token, ...], place: int, closed: int, around: list[str]) -> bool:
    """Whether this bracket holds a key: behind a value, or in the place of a property's name."""
    if place == 0:
        return False
    before = tokens[place - 1]
    if before.kind == "name":
        return before.text not in _BEFORE_REGEX or _follows_dot(tokens, place - 1)
    if before.kind in {")", "]", "}", "string", "template", "regex", "?."}:
        return True
    after = tokens[closed + 1].kind if closed + 1 < len(tokens) else ""
    return before.kind in {"{", ",", "*", ";"} and around[-1:] == ["{"] and after in {":", "(", "="}


def _follows_dot(tokens: tuple[Token, ...], place: int) -> bool:
    return place > 0 and tokens[place - 1].kind in {".", "?."}


def _plain_key(tokens: tuple[Token, ...], place: int, closed: int) -> bool:
    """A single number or text as a key needs no guard; a forbidden text is refused at once."""
    if closed != place + 2 or tokens[place + 1].kind not in {"number", "string"}:
        return False
    key = tokens[place + 1]
    if key.kind == "string" and "\\" in key.text:
        return False
    if key.kind == "string" and is_forbidden(key.text[1:-1]):
        raise _forbidden(key.text[1:-1], key.start)
    return True


# -- tokens


class _Scanner:
    """Tokens of JavaScript, forgiving: what it cannot make out becomes a sign of its own."""

    def __init__(self, text: str) -> None:
        self._text = text

    def until_closed(self, start: int, closing: str = "}}") -> tuple[tuple[Token, ...], int]:
        """The tokens from `start` to where `closing` stands outside all brackets, and that place."""
        text, at = self._text, start
        tokens: list[Token] = []
        brackets: list[str] = []
        while at < len(text):
            if not brackets and text.startswith(closing, at):
                return tuple(tokens), at
            skipped = _SPACE.match(text, at) or _COMMENT.match(text, at)
            if skipped:
                at = skipped.end()
                continue
            token, at = self._token(at, tokens)
            if token.kind in _CLOSING:
                brackets.append(_CLOSING[token.kind])
            elif brackets and token.kind == brackets[-1]:
                brackets.pop()
            elif token.kind in {")", "]", "}"}:
                break
            tokens.append(token)
        raise ExpressionError(SYNTAX, f"'}}}}' expected at the end of: {excerpt(text, start)}", start)

    def _token(self, at: int, before: list[Token]) -> tuple[Token, int]:
        text, sign = self._text, self._text[at]
        if sign == "`":
            return self._template(at)
        for kind, pattern in (("name", _WORD), ("number", _NUMBER), ("string", _STRING), ("regex", _REGEX)):
            if (kind == "name" and sign.isdigit()) or (kind == "regex" and not _regex_may_follow(before)):
                continue
            found = pattern.match(text, at)
            if found and found.end() > at:
                return Token(kind, found[0], at), found.end()
        operator = _OPERATOR.match(text, at)
        shown = operator[0] if operator else sign
        return Token(shown, shown, at), at + len(shown)

    def _template(self, start: int) -> tuple[Token, int]:
        text, at = self._text, start + 1
        inner: list[Token] = []
        while at < len(text) and text[at] != "`":
            if text[at] == "\\":
                at += 2
            elif text.startswith("${", at):
                tokens, at = self.until_closed(at + 2, "}")
                inner.extend((*tokens, Token(";", ";", at)))
                at += 1
            else:
                at += 1
        if at >= len(text):
            raise ExpressionError(SYNTAX, f"a template literal does not end: {excerpt(text, start)}", start)
        return Token("template", text[start : at + 1], start, tuple(inner)), at + 1


def _regex_may_follow(before: list[Token]) -> bool:
    """Whether a slash begins a regular expression here, rather than a division."""
    if not before:
        return True
    last = before[-1]
    if last.kind == "name":
        return last.text in _BEFORE_REGEX and not _follows_dot(tuple(before), len(before) - 1)
    return last.kind not in {"number", "string", "template", "regex", ")", "]", "}"}
