"""Convenience functions of strings: checks, and what can be found in them."""

from typing import Final

from domain.expressions import regexp_methods as regexps
from domain.expressions.conveniences.registry import offer, text_of
from domain.expressions.conveniences.words import is_numeric, words_of
from domain.expressions.errors import ExpressionError
from domain.expressions.json_text import parse_json
from domain.expressions.numbers import WHITE_SPACE, parse_number
from domain.expressions.regexps import RegExp, program_of
from domain.expressions.scope import Scope
from domain.expressions.values import UNDEFINED, Value

_DOMAIN: Final = r"(?:[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9\-]{0,61}[a-z0-9]"
_EMAIL: Final = r"[a-z0-9_.+%'\-]+@" + _DOMAIN
_URL: Final = r"https?:\/\/[^\s\/?#<>\"']+(?:\/[^\s?#<>\"']*)?(?:\?[^\s#<>\"']*)?(?:#[^\s<>\"']*)?"


def _first(scope: Scope, text: str, pattern: str) -> Value:
    found = regexps.match(scope, text, RegExp(program_of(pattern, "i")))
    return UNDEFINED if found is None else found[0]


def _all(scope: Scope, text: str, pattern: str) -> list[Value]:
    found: list[Value] | None = regexps.match(scope, text, RegExp(program_of(pattern, "gi")))
    return found or []


def _is(scope: Scope, text: str, pattern: str) -> bool:
    return regexps.search(scope, text, RegExp(program_of(f"^(?:{pattern})$", "i"))) == 0


# -- checks


@offer("string", "isEmpty()", "Whether there is nothing in it.", ("''.isEmpty()", True), ("' '.isEmpty()", False))
def _is_empty(_: Scope, text: str, *__: Value) -> bool:
    return not text


@offer("string", "isNotEmpty()", "Whether there is something in it.", ("'a'.isNotEmpty()", True))
def _is_not_empty(_: Scope, text: str, *__: Value) -> bool:
    return bool(text)


@offer("string", "isBlank()", "Whether there is nothing but white space in it.", ("' \\n'.isBlank()", True))
def _is_blank(scope: Scope, text: str, *_: Value) -> bool:
    scope.charge_scan(len(text))
    return not text.strip(WHITE_SPACE)


@offer(
    "string",
    "isNumeric()",
    "Whether it is a number as JavaScript writes it.",
    ("'1.5e3'.isNumeric()", True),
    ("'12a'.isNumeric()", False),
)
def _is_numeric(scope: Scope, text: str, *_: Value) -> bool:
    return is_numeric(scope, text)


@offer(
    "string",
    "isEmail()",
    "Whether it is an e-mail address.",
    ("'ada@example.com'.isEmail()", True),
    ("'ada@'.isEmail()", False),
)
def _is_email(scope: Scope, text: str, *_: Value) -> bool:
    return len(text) <= 320 and _is(scope, text, _EMAIL)


@offer(
    "string",
    "isUrl()",
    "Whether it is a web address with http or https.",
    ("'https://example.com/a?b=1'.isUrl()", True),
    ("'example.com'.isUrl()", False),
)
def _is_url(scope: Scope, text: str, *_: Value) -> bool:
    return _is(scope, text, _URL)


@offer(
    "string",
    "isDomain()",
    "Whether it is a domain name.",
    ("'mail.example.com'.isDomain()", True),
    ("'-a.com'.isDomain()", False),
)
def _is_domain(scope: Scope, text: str, *_: Value) -> bool:
    return len(text) <= 253 and _is(scope, text, _DOMAIN)


@offer(
    "string",
    "isJson()",
    "Whether it can be parsed as JSON.",
    ("'{\"a\": 1}'.isJson()", True),
    ("'{a}'.isJson()", False),
)
def _is_json(scope: Scope, text: str, *_: Value) -> bool:
    try:
        parse_json(text, scope)
    except ExpressionError as error:
        if error.code == "expression_limit":
            raise
        return False
    return True


# -- what is in it


@offer(
    "string",
    "extractEmail()",
    "The first e-mail address, undefined if there is none.",
    ("'Ada <ada@example.com>'.extractEmail()", "ada@example.com"),
)
def _email(scope: Scope, text: str, *_: Value) -> Value:
    return _first(scope, text, _EMAIL)


@offer(
    "string", "extractEmails()", "Every e-mail address.", ("'a@x.org, b@y.org'.extractEmails()", ["a@x.org", "b@y.org"])
)
def _emails(scope: Scope, text: str, *_: Value) -> list[Value]:
    return _all(scope, text, _EMAIL)


@offer(
    "string",
    "extractUrl()",
    "The first web address, undefined if there is none.",
    ("'see https://example.com/a?b=1 now'.extractUrl()", "https://example.com/a?b=1"),
)
def _url(scope: Scope, text: str, *_: Value) -> Value:
    return _first(scope, text, _URL)


@offer(
    "string",
    "extractUrls()",
    "Every web address.",
    ("'http://a.org and https://b.org/x'.extractUrls()", ["http://a.org", "https://b.org/x"]),
)
def _urls(scope: Scope, text: str, *_: Value) -> list[Value]:
    return _all(scope, text, _URL)


@offer(
    "string",
    "extractDomain()",
    "The domain of an e-mail or web address.",
    ("'ada@mail.example.com'.extractDomain()", "mail.example.com"),
    ("'https://example.com:8080/a'.extractDomain()", "example.com"),
)
def _domain(scope: Scope, text: str, *_: Value) -> Value:
    return _first(scope, text, _DOMAIN)


@offer(
    "string",
    "extractUrlPath()",
    "The path of a web address.",
    ("'https://example.com/a/b?c=1'.extractUrlPath()", "/a/b"),
)
def _url_path(scope: Scope, text: str, *_: Value) -> Value:
    found = regexps.match(scope, text, RegExp(program_of(r"https?:\/\/[^\s\/?#]+(\/[^\s?#]*)?", "i")))
    return UNDEFINED if found is None else "/" if found[1] is UNDEFINED else found[1]


@offer("string", "extractNumbers()", "Every number in it.", ("'3 of 12.5, -1'.extractNumbers()", [3, 12.5, -1]))
def _numbers(scope: Scope, text: str, *_: Value) -> list[Value]:
    return [parse_number(found) for found in _all(scope, text, r"(?<![\d.])-?\d+(?:\.\d+)?")]


@offer(
    "string",
    "words()",
    "Its words, also where the case changes.",
    ("'orderId: no 2'.words()", ["order", "Id", "no", "2"]),
)
def _all_words(scope: Scope, text: str, *_: Value) -> list[Value]:
    words = words_of(scope, text)
    scope.charge_elements(len(words))
    return list(words)


@offer("string", "lines()", "Its lines without their ends.", ("'a\\r\\nb\\n'.lines()", ["a", "b"]))
def _lines(scope: Scope, text: str, *_: Value) -> list[Value]:
    scope.charge_elements(text.count("\n") + text.count("\r") + 1)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return list(lines[:-1] if lines[-1] == "" else lines)


@offer("string", "countOf(text)", "How often a text is in it.", ("'banana'.countOf('an')", 2))
def _count_of(scope: Scope, text: str, wanted: Value = UNDEFINED, *_: Value) -> int:
    scope.charge_scan(len(text))
    part = text_of(scope, wanted)
    return text.count(part) if part else 0


@offer(
    "string",
    "before(text)",
    "What stands before the first occurrence; all of it if there is none.",
    ("'a=b=c'.before('=')", "a"),
)
def _before(scope: Scope, text: str, mark: Value = UNDEFINED, *_: Value) -> str:
    scope.charge_scan(len(text))
    return text.partition(text_of(scope, mark) or "\0")[0]


@offer(
    "string",
    "after(text)",
    "What stands behind the first occurrence; nothing if there is none.",
    ("'a=b=c'.after('=')", "b=c"),
)
def _after(scope: Scope, text: str, mark: Value = UNDEFINED, *_: Value) -> str:
    scope.charge_scan(len(text))
    return text.partition(text_of(scope, mark) or "\0")[2]


@offer(
    "string",
    "between(start, end)",
    "What stands between two texts; nothing if they are not there.",
    ("'<b>bold</b>'.between('<b>', '</b>')", "bold"),
)
def _between(scope: Scope, text: str, start: Value = UNDEFINED, end: Value = UNDEFINED, *_: Value) -> str:
    inside, found, _rest = _after(scope, text, start).partition(text_of(scope, end) or "\0")
    return inside if found else ""
