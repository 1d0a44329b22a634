"""The methods of strings. Positions count UTF-16 code units, as in JavaScript."""

import unicodedata
from collections.abc import Callable, Mapping
from typing import Final

from domain.expressions import regexp_methods as regexps
from domain.expressions import utf16
from domain.expressions.conversions import to_number, to_text
from domain.expressions.conversions import units as units_of
from domain.expressions.errors import RANGE, TYPE, ExpressionError
from domain.expressions.limits import MAX_TEXT, Budget
from domain.expressions.numbers import WHITE_SPACE, clamp_integer, to_integer
from domain.expressions.regexps import RegExp
from domain.expressions.scope import Scope
from domain.expressions.values import INFINITY, NAN, UNDEFINED, Function, Value


def position(budget: Budget, value: Value, length: int, default: int) -> int:
    """A position between 0 and `length`; negative ones are 0."""
    return default if value is UNDEFINED else clamp_integer(to_number(value, budget), 0, length)


def relative(budget: Budget, value: Value, length: int, default: int) -> int:
    """A position between 0 and `length`; negative ones count from the end."""
    if value is UNDEFINED:
        return default
    place = clamp_integer(to_number(value, budget), -length, length)
    return place + length if place < 0 else place


def _text_argument(budget: Budget, value: Value) -> str:
    """Raises ExpressionError for a regular expression: where one is possible it is looked at before."""
    if type(value) is RegExp:
        raise ExpressionError(TYPE, "this method takes a text, not a regular expression")
    return units_of(to_text(value, budget), budget)


def _at(budget: Budget, text: str, index: Value = UNDEFINED, *_: Value) -> Value:
    units = units_of(text, budget)
    place = clamp_integer(to_number(0 if index is UNDEFINED else index, budget), -len(units) - 1, len(units))
    place += len(units) if place < 0 else 0
    return units[place] if 0 <= place < len(units) else UNDEFINED


def _char_at(budget: Budget, text: str, index: Value = 0, *_: Value) -> str:
    units = units_of(text, budget)
    place = clamp_integer(to_number(0 if index is UNDEFINED else index, budget), -1, len(units))
    return units[place] if 0 <= place < len(units) else ""


def _char_code_at(budget: Budget, text: str, index: Value = 0, *_: Value) -> int | float:
    unit = _char_at(budget, text, index)
    return ord(unit) if unit else NAN


def _code_point_at(budget: Budget, text: str, index: Value = 0, *_: Value) -> Value:
    units = units_of(text, budget)
    place = clamp_integer(to_number(0 if index is UNDEFINED else index, budget), -1, len(units))
    if not 0 <= place < len(units):
        return UNDEFINED
    return ord(utf16.narrow(units[place : place + 2])[0])


def _concat(budget: Budget, text: str, *others: Value) -> str:
    for other in others:
        text = utf16.concatenate(text, to_text(other, budget))
        budget.charge_text(len(text))
    return text


def _includes(budget: Budget, text: str, search: Value = UNDEFINED, start: Value = UNDEFINED, *_: Value) -> bool:
    return _index_of(budget, text, search, start) >= 0


def _index_of(budget: Budget, text: str, search: Value = UNDEFINED, start: Value = UNDEFINED, *_: Value) -> int:
    _scan(budget, text)
    units, wanted = units_of(text, budget), _text_argument(budget, search)
    return units.find(wanted, position(budget, start, len(units), 0))


def _last_index_of(budget: Budget, text: str, search: Value = UNDEFINED, start: Value = UNDEFINED, *_: Value) -> int:
    _scan(budget, text)
    units, wanted = units_of(text, budget), _text_argument(budget, search)
    number = NAN if start is UNDEFINED else to_number(start, budget)
    place = len(units) if number != number else clamp_integer(number, 0, len(units))  # noqa: PLR0124
    return units.rfind(wanted, 0, place + len(wanted))


def _starts_with(budget: Budget, text: str, search: Value = UNDEFINED, start: Value = UNDEFINED, *_: Value) -> bool:
    units, wanted = units_of(text, budget), _text_argument(budget, search)
    return units.startswith(wanted, position(budget, start, len(units), 0))


def _ends_with(budget: Budget, text: str, search: Value = UNDEFINED, end: Value = UNDEFINED, *_: Value) -> bool:
    units, wanted = units_of(text, budget), _text_argument(budget, search)
    return units[: position(budget, end, len(units), len(units))].endswith(wanted)


def _scan(budget: Budget, text: str) -> None:
    """Pay for looking at all of a long text."""
    if len(text) > 1024:
        budget.charge(len(text) >> 10)


def _pad(budget: Budget, text: str, length: Value, fill: Value) -> tuple[str, str]:
    """The text and what fills it up to the length."""
    units = units_of(text, budget)
    wanted = clamp_integer(to_number(length, budget), 0, 2 * MAX_TEXT)
    filler = " " if fill is UNDEFINED else _text_argument(budget, fill)
    missing = wanted - len(units)
    if missing <= 0 or not filler:
        return units, ""
    budget.charge_text(wanted)
    return units, (filler * (missing // len(filler) + 1))[:missing]


def _pad_start(budget: Budget, text: str, length: Value = UNDEFINED, fill: Value = UNDEFINED, *_: Value) -> str:
    units, filler = _pad(budget, text, length, fill)
    return utf16.narrow(filler + units)


def _pad_end(budget: Budget, text: str, length: Value = UNDEFINED, fill: Value = UNDEFINED, *_: Value) -> str:
    units, filler = _pad(budget, text, length, fill)
    return utf16.narrow(units + filler)


def _repeat(budget: Budget, text: str, count: Value = UNDEFINED, *_: Value) -> str:
    number = to_number(0 if count is UNDEFINED else count, budget)
    if number < 0 and number > -1:
        number = 0
    if number < 0 or number == INFINITY:
        raise ExpressionError(RANGE, "repeat takes a count from 0 on")
    times = clamp_integer(number, 0, 2 * MAX_TEXT) if text else 0
    budget.charge_text(len(text) * times)
    return utf16.narrow(text * times)


def _replace(scope: Scope, text: str, search: Value = UNDEFINED, new: Value = UNDEFINED, *_: Value) -> str:
    if type(search) is RegExp:
        return regexps.replace(scope, text, search, new, everywhere=False)
    return _replaced(scope, text, search, new, 1)


def _replace_all(scope: Scope, text: str, search: Value = UNDEFINED, new: Value = UNDEFINED, *_: Value) -> str:
    if type(search) is RegExp:
        return regexps.replace(scope, text, search, new, everywhere=True)
    return _replaced(scope, text, search, new, -1)


def _replaced(scope: Scope, text: str, search: Value, new: Value, limit: int) -> str:
    units, wanted = units_of(text, scope), _text_argument(scope, search)
    _scan(scope, text)
    template = "" if type(new) is Function else _text_argument(scope, new)
    parts: list[str] = []
    done, place, length = 0, units.find(wanted), 0
    while place >= 0 and limit != 0:
        if type(new) is Function:
            made = utf16.widen(to_text(new.call(scope, search, place, text), scope))
        else:
            made = _expand(template, units, place, wanted) if "$" in template else template
        parts += (units[done:place], made)
        length += place - done + len(made)
        scope.charge(1)
        if length > MAX_TEXT:
            scope.charge_text(length)
        done = place + len(wanted)
        place = units.find(wanted, done if wanted else done + 1) if done < len(units) or wanted else -1
        limit -= 1
    parts.append(units[done:])
    scope.charge_text(length + len(units) - done)
    return utf16.narrow("".join(parts))


def _expand(template: str, units: str, place: int, matched: str) -> str:
    """`$$`, `$&`, `` $` `` and `$'` in a replacement."""
    head, *rest = template.split("$")
    parts = [head]
    skip = False
    for number, piece in enumerate(rest):
        if skip:
            skip = False
            parts.append(piece)
            continue
        match piece[:1]:
            case "&":
                parts += (matched, piece[1:])
            case "`":
                parts += (units[:place], piece[1:])
            case "'":
                parts += (units[place + len(matched) :], piece[1:])
            case "" if number + 1 < len(rest):
                parts.append("$")
                skip = True
            case _:
                parts.append("$" + piece)
    return "".join(parts)


def _slice(budget: Budget, text: str, start: Value = UNDEFINED, end: Value = UNDEFINED, *_: Value) -> str:
    units = units_of(text, budget)
    size = len(units)
    return _cut(budget, units, relative(budget, start, size, 0), relative(budget, end, size, size))


def _substring(budget: Budget, text: str, start: Value = UNDEFINED, end: Value = UNDEFINED, *_: Value) -> str:
    units = units_of(text, budget)
    first, last = position(budget, start, len(units), 0), position(budget, end, len(units), len(units))
    return _cut(budget, units, min(first, last), max(first, last))


def _substr(budget: Budget, text: str, start: Value = UNDEFINED, length: Value = UNDEFINED, *_: Value) -> str:
    units = units_of(text, budget)
    first = relative(budget, start, len(units), 0)
    return _cut(budget, units, first, first + position(budget, length, len(units), len(units)))


def _cut(budget: Budget, units: str, start: int, end: int) -> str:
    made = units[start:end]
    _scan(budget, made)
    return utf16.narrow(made)


def _split(budget: Scope, text: str, separator: Value = UNDEFINED, limit: Value = UNDEFINED, *_: Value) -> list[Value]:
    most = 2**32 - 1 if limit is UNDEFINED else to_integer(to_number(limit, budget)) & 0xFFFFFFFF
    if most == 0:
        return []
    if separator is UNDEFINED:
        return [text]
    if type(separator) is RegExp:
        return regexps.split(budget, text, separator, most)
    _scan(budget, text)
    units, wanted = units_of(text, budget), _text_argument(budget, separator)
    if not wanted:
        budget.charge_elements(min(len(units), most))
        return list(units[:most])
    budget.charge_elements(min(units.count(wanted) + 1, most))
    parts = units.split(wanted)[:most]
    return [utf16.narrow(part) for part in parts] if units is not text else list(parts)


def _changed(change: Callable[[str], str]) -> Callable[..., Value]:
    def method(budget: Budget, text: str, *_: Value) -> str:
        _scan(budget, text)
        return change(text)

    return method


def _locale_compare(budget: Budget, text: str, other: Value = UNDEFINED, *_: Value) -> int:
    """By code units of the composed texts: the same everywhere, whatever the locale."""
    against = to_text(other, budget)
    budget.charge((len(text) + len(against)) >> 7)
    left, right = unicodedata.normalize("NFC", text), unicodedata.normalize("NFC", against)
    return 0 if left == right else -1 if utf16.less_than(left, right) else 1


def _normalize(budget: Budget, text: str, form: Value = UNDEFINED, *_: Value) -> str:
    name = "NFC" if form is UNDEFINED else to_text(form, budget)
    budget.charge(len(text) >> 7)
    match name:
        case "NFC" | "NFD" | "NFKC" | "NFKD":
            made = unicodedata.normalize(name, text)
        case _:
            raise ExpressionError(RANGE, "normalize takes NFC, NFD, NFKC or NFKD")
    budget.charge_text(len(made))
    return made


STRING_METHODS: Final[Mapping[str, Callable[..., Value]]] = {
    "at": _at,
    "charAt": _char_at,
    "charCodeAt": _char_code_at,
    "codePointAt": _code_point_at,
    "concat": _concat,
    "endsWith": _ends_with,
    "includes": _includes,
    "indexOf": _index_of,
    "lastIndexOf": _last_index_of,
    "localeCompare": _locale_compare,
    "match": regexps.match,
    "matchAll": regexps.match_all,
    "normalize": _normalize,
    "padEnd": _pad_end,
    "padStart": _pad_start,
    "repeat": _repeat,
    "replace": _replace,
    "replaceAll": _replace_all,
    "search": regexps.search,
    "slice": _slice,
    "split": _split,
    "startsWith": _starts_with,
    "substr": _substr,
    "substring": _substring,
    "toLowerCase": _changed(str.lower),
    "toLocaleLowerCase": _changed(str.lower),
    "toString": _changed(lambda text: text),
    "toUpperCase": _changed(str.upper),
    "toLocaleUpperCase": _changed(str.upper),
    "trim": _changed(lambda text: text.strip(WHITE_SPACE)),
    "trimEnd": _changed(lambda text: text.rstrip(WHITE_SPACE)),
    "trimStart": _changed(lambda text: text.lstrip(WHITE_SPACE)),
    "valueOf": _changed(lambda text: text),
}
