"""Convenience functions of strings: letter case, changes, conversions."""

import unicodedata
from collections.abc import Callable
from html import escape, unescape

from domain.expressions import regexp_methods as regexps
from domain.expressions import utf16
from domain.expressions.conveniences.registry import offer, text_of
from domain.expressions.conveniences.words import is_numeric, words_of
from domain.expressions.conversions import to_number
from domain.expressions.errors import RANGE, ExpressionError
from domain.expressions.json_text import parse_json
from domain.expressions.numbers import clamp_integer, parse_number
from domain.expressions.regexps import RegExp, program_of
from domain.expressions.scope import Scope
from domain.expressions.values import UNDEFINED, Value


def _without(scope: Scope, text: str, pattern: str, new: str, flags: str = "g") -> str:
    return regexps.replace(scope, text, RegExp(program_of(pattern, flags)), new, everywhere=True)


# -- letter case


def _cased(join: str, change: Callable[[str], str], first: Callable[[str], str] | None = None) -> Callable[..., Value]:
    def method(scope: Scope, text: str, *_: Value) -> str:
        words = words_of(scope, text)
        made = [change(word) for word in words]
        if first is not None and words:
            made[0] = first(words[0])
        return join.join(made)

    return method


offer(
    "string",
    "toCamelCase()",
    "Words run together, each but the first with a capital.",
    ("'order id-NO'.toCamelCase()", "orderIdNo"),
)(_cased("", str.capitalize, str.lower))
offer("string", "toPascalCase()", "Words run together, each with a capital.", ("'order id'.toPascalCase()", "OrderId"))(
    _cased("", str.capitalize)
)
offer(
    "string",
    "toSnakeCase()",
    "Words in small letters joined by `_`.",
    ("'Order ID'.toSnakeCase()", "order_id"),
    ("'orderId'.toSnakeCase()", "order_id"),
)(_cased("_", str.lower))
offer("string", "toKebabCase()", "Words in small letters joined by `-`.", ("'orderId'.toKebabCase()", "order-id"))(
    _cased("-", str.lower)
)


@offer(
    "string",
    "toTitleCase()",
    "Each word begins with a capital.",
    ("'hello BIG world'.toTitleCase()", "Hello Big World"),
    ("'it\\'s on'.toTitleCase()", "It's On"),
)
def _title(scope: Scope, text: str, *_: Value) -> str:
    scope.charge(1 + (len(text) >> 3))
    made, inside = [], False
    for char in text:
        made.append(char.lower() if inside else char.upper())
        inside = char.isalnum() or (inside and char == "'")
    return utf16.narrow("".join(made))


@offer(
    "string",
    "toSentenceCase()",
    "The first letter of each sentence is a capital, the others are small.",
    ("'HELLO. how are you?'.toSentenceCase()", "Hello. How are you?"),
)
def _sentence(scope: Scope, text: str, *_: Value) -> str:
    scope.charge(1 + (len(text) >> 3))
    made, begins = [], True
    for char in text:
        made.append(char.upper() if begins else char.lower())
        begins = char in ".!?" or (begins and not char.isalnum())
    return utf16.narrow("".join(made))


@offer(
    "string",
    "capitalize()",
    "The first letter is a capital, the rest stays.",
    ("'ada Lovelace'.capitalize()", "Ada Lovelace"),
)
def _capitalize(scope: Scope, text: str, *_: Value) -> str:
    scope.charge_text(len(text))
    return text[:1].upper() + text[1:]


@offer(
    "string", "removeAccents()", "Letters without their accents.", ("'Crème Brûlée'.removeAccents()", "Creme Brulee")
)
def _accents(scope: Scope, text: str, *_: Value) -> str:
    scope.charge(1 + (len(text) >> 3))
    apart = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", "".join(char for char in apart if not unicodedata.combining(char)))


@offer(
    "string",
    "toSlug()",
    "Fit for an address: small ASCII letters, digits and `-`.",
    ("'Größe & Preis: 5 €'.toSlug()", "grosse-preis-5"),
)
def _slug(scope: Scope, text: str, *_: Value) -> str:
    plain = _accents(scope, text.replace("ß", "ss")).lower()
    return "-".join("".join(char if char.isascii() and char.isalnum() else " " for char in plain).split())


# -- changes


@offer(
    "string", "removePrefix(text)", "Without a text at its beginning.", ("'re: hello'.removePrefix('re: ')", "hello")
)
def _remove_prefix(scope: Scope, text: str, prefix: Value = UNDEFINED, *_: Value) -> str:
    return text.removeprefix(text_of(scope, prefix))


@offer("string", "removeSuffix(text)", "Without a text at its end.", ("'report.pdf'.removeSuffix('.pdf')", "report"))
def _remove_suffix(scope: Scope, text: str, suffix: Value = UNDEFINED, *_: Value) -> str:
    return text.removesuffix(text_of(scope, suffix))


@offer(
    "string",
    "collapseSpaces()",
    "White space becomes single spaces, none at the ends.",
    ("'  a \\n b '.collapseSpaces()", "a b"),
)
def _collapse(scope: Scope, text: str, *_: Value) -> str:
    scope.charge_text(len(text))
    return " ".join(text.split())


@offer(
    "string",
    "truncate(length, end = '…')",
    "At most so many characters, with the mark at its end if something is missing.",
    ("'Hello world'.truncate(8)", "Hello w…"),
    ("'Hello'.truncate(8)", "Hello"),
)
def _truncate(scope: Scope, text: str, length: Value = UNDEFINED, end: Value = UNDEFINED, *_: Value) -> str:
    most, mark = clamp_integer(to_number(length, scope), 0, len(text)), text_of(scope, end, "…")
    return text if len(text) <= most else text[: max(0, most - len(mark))] + mark[:most]


@offer("string", "reverse()", "Back to front.", ("'abc'.reverse()", "cba"))
def _reverse(scope: Scope, text: str, *_: Value) -> str:
    scope.charge_text(len(text))
    return utf16.narrow(text[::-1])


@offer(
    "string",
    "quote(mark = '\"')",
    "Between quotation marks, those inside escaped.",
    ("'say \"hi\"'.quote()", '"say \\"hi\\""'),
)
def _quote(scope: Scope, text: str, mark: Value = UNDEFINED, *_: Value) -> str:
    sign = text_of(scope, mark, '"') or '"'
    scope.charge_text(3 * len(text))
    return sign + text.replace("\\", "\\\\").replace(sign, "\\" + sign) + sign


@offer("string", "removeTags()", "Without HTML tags.", ("'<p>Hello <b>you</b></p>'.removeTags()", "Hello you"))
def _remove_tags(scope: Scope, text: str, *_: Value) -> str:
    return _without(scope, text, r"<!--[^]*?-->|<[\/!?]?[a-zA-Z][^<>]*>", "")


@offer(
    "string",
    "removeMarkdown()",
    "Without the marks of Markdown.",
    ("'# Title\\n**bold** [link](http://x.org) `code`'.removeMarkdown()", "Title\nbold link code"),
)
def _remove_markdown(scope: Scope, text: str, *_: Value) -> str:
    for pattern, new in (
        (r"!?\[([^\[\]]*)\]\([^()\s]*\)", "$1"),
        (r"^[ \t]*(?:#{1,6}|>+|[-*+]|\d+\.)[ \t]+", ""),
        (r"^[ \t]*(?:```|~~~)[^\n]*\n?", ""),
        (r"\*\*|__|~~|`", ""),
        (r"(^|[^\w*])[*_]([^*_\n]+)[*_](?![\w*])", "$1$2"),
    ):
        text = _without(scope, text, pattern, new, "gm")
    return text


@offer(
    "string",
    "escapeHtml()",
    "`&`, `<`, `>` and quotation marks as HTML writes them.",
    ("'a < \"b\"'.escapeHtml()", "a &lt; &quot;b&quot;"),
)
def _escape_html(scope: Scope, text: str, *_: Value) -> str:
    scope.charge_text(6 * len(text))
    return escape(text)


@offer(
    "string",
    "unescapeHtml()",
    "HTML's character references become characters.",
    ("'a &lt; b &amp; c'.unescapeHtml()", "a < b & c"),
)
def _unescape_html(scope: Scope, text: str, *_: Value) -> str:
    scope.charge(1 + (len(text) >> 5))
    return utf16.narrow(unescape(text))


@offer("string", "parseJson()", "The value that its JSON stands for.", ("'{\"a\": [1]}'.parseJson().a[0]", 1))
def _parse(scope: Scope, text: str, *_: Value) -> Value:
    return parse_json(text, scope)


@offer("string", "toNumber()", "The number it stands for; an error if it is none.", ("'1.5'.toNumber()", 1.5))
def _to_number(scope: Scope, text: str, *_: Value) -> int | float:
    if not is_numeric(scope, text):
        raise ExpressionError(RANGE, f"{text[:40]!r} is not a number")
    return parse_number(text)


@offer("string", "toInt()", "The whole number it stands for; an error if it is none.", ("'12.7'.toInt()", 12))
def _to_int(scope: Scope, text: str, *_: Value) -> int:
    number = _to_number(scope, text)
    return clamp_integer(number, -(2**53), 2**53)


@offer(
    "string",
    "toBoolean()",
    "false for `false`, `0`, `no`, `off` and nothing, else true.",
    ("'No'.toBoolean()", False),
    ("'1'.toBoolean()", True),
)
def _to_boolean(_: Scope, text: str, *__: Value) -> bool:
    return text[:20].strip().lower() not in {"", "false", "0", "no", "off"} if len(text) < 20 else True
