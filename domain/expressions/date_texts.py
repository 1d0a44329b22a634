"""Dates from texts: ISO 8601, RFC 2822, and patterns such as `dd.MM.yyyy`."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Final, NoReturn

from domain.expressions.datetimes import MONTHS, WEEKDAYS, DateTime
from domain.expressions.errors import RANGE, ExpressionError

_MAX_TEXT: Final = 200
_TIME: Final = r"(\d\d)(?::?(\d\d)(?::?(\d\d)(?:[.,](\d{1,9}))?)?)?"
_OFFSET: Final = r"\s?(Z|[+-]\d\d(?::?\d\d)?)?"
_ISO = re.compile(rf"(\d{{4}})(?:-?(\d\d)(?:-?(\d\d))?)?(?:[Tt ]{_TIME}{_OFFSET})?", re.ASCII)
_ISO_WEEK = re.compile(rf"(\d{{4}})-?W(\d\d)(?:-?([1-7]))?(?:[Tt ]{_TIME}{_OFFSET})?", re.ASCII)
_ISO_ORDINAL = re.compile(rf"(\d{{4}})-?(\d{{3}})(?:[Tt ]{_TIME}{_OFFSET})?", re.ASCII)
_RFC_2822 = re.compile(
    r"(?:[A-Za-z]{3},\s?)?(\d{1,2})[ -]([A-Za-z]{3})[ -](\d{4}) (\d\d):(\d\d)(?::(\d\d))? ?([+-]\d{4}|GMT|UTC?|Z)?",
    re.ASCII,
)
_TOKEN = re.compile(
    r"'([^']*)'|(yyyy|yy|MMMM|MMM|MM|M|dd|d|HH|H|hh|h|mm|m|ss|s|SSS|S|EEEE|EEE|a|ZZZ|ZZ|Z|X|x|ooo|o|z)|(.)", re.DOTALL
)
_PIECES: Final[dict[str, str]] = {
    "yyyy": r"(\d{4})", "yy": r"(\d{2})", "MM": r"(\d{2})", "M": r"(\d{1,2})", "dd": r"(\d{2})", "d": r"(\d{1,2})",
    "HH": r"(\d{2})", "H": r"(\d{1,2})", "hh": r"(\d{2})", "h": r"(\d{1,2})", "mm": r"(\d{2})", "m": r"(\d{1,2})",
    "ss": r"(\d{2})", "s": r"(\d{1,2})", "SSS": r"(\d{3})", "S": r"(\d{1,3})", "a": r"([AaPp][Mm])",
    "MMM": "(" + "|".join(month[:3] for month in MONTHS) + ")", "MMMM": "(" + "|".join(MONTHS) + ")",
    "EEE": "(" + "|".join(day[:3] for day in WEEKDAYS) + ")", "EEEE": "(" + "|".join(WEEKDAYS) + ")",
    "Z": r"(Z|[+-]\d{1,2}(?::?\d\d)?)", "ZZ": r"(Z|[+-]\d\d:?\d\d)", "ZZZ": r"(Z|[+-]\d{4})",
    "X": r"(-?\d{1,12})", "x": r"(-?\d{1,15})", "ooo": r"(\d{3})", "o": r"(\d{1,3})", "z": r"([A-Za-z]+(?:/[\w+\-]+)*)",
}  # fmt: skip


def _fail(text: str, wanted: str) -> NoReturn:
    raise ExpressionError(RANGE, f"{text[:60]!r} is not a date {wanted}")


def _offset(shown: str) -> timezone:
    if shown[0].isalpha():
        return UTC
    digits = shown[1:].replace(":", "")
    hours, minutes = (digits[:-2], digits[-2:]) if len(digits) > 2 else (digits, "0")
    return timezone((-1 if shown[0] == "-" else 1) * timedelta(hours=int(hours), minutes=int(minutes)))


def _instant(local: datetime, offset: str | None, zone: str) -> DateTime:
    return DateTime.of_local(local if offset is None else local.replace(tzinfo=_offset(offset)), zone)


def _clock(parts: tuple[str | None, ...]) -> timedelta:
    hours, minutes, seconds = (int(part or 0) for part in parts[:3])
    if hours > 24 or minutes > 59 or seconds > 59 or (hours == 24 and (minutes or seconds)):
        raise ValueError(parts)
    return timedelta(hours=hours, minutes=minutes, seconds=seconds, milliseconds=int(((parts[3] or "") + "000")[:3]))


def parse_iso(text: str, zone: str) -> DateTime:
    """An ISO 8601 date and time, seen in the zone; without an offset it is the zone's wall time."""
    shown = text[: _MAX_TEXT + 1].strip()
    try:
        if match := _ISO.fullmatch(shown):
            day = datetime(int(match[1]), int(match[2] or 1), int(match[3] or 1))  # noqa: DTZ001 - wall time
        elif match := _ISO_WEEK.fullmatch(shown):
            monday_based = date.fromisocalendar(int(match[1]), int(match[2]), int(match[3] or 1))
            day = datetime.combine(monday_based, datetime.min.time())
        elif match := _ISO_ORDINAL.fullmatch(shown):
            day = datetime(int(match[1]), 1, 1) + timedelta(days=int(match[2]) - 1)  # noqa: DTZ001 - wall time
        else:
            _fail(text, "by ISO 8601")
        groups = match.groups()
        return _instant(day + _clock(groups[-5:-1]), groups[-1], zone)
    except (ValueError, OverflowError):
        _fail(text, "by ISO 8601")


def parse_rfc(text: str, zone: str) -> DateTime:
    """A date as e-mail and HTTP write it, such as `Sun, 23 Nov 2025 18:46:00 GMT`."""
    match = _RFC_2822.fullmatch(text[: _MAX_TEXT + 1].strip())
    months = [month[:3].lower() for month in MONTHS]
    if match is None or match[2].lower() not in months:
        _fail(text, "by RFC 2822")
    try:
        day = datetime(int(match[3]), months.index(match[2].lower()) + 1, int(match[1]))  # noqa: DTZ001 - wall time
        return _instant(day + _clock((match[4], match[5], match[6], None)), match[7] or "Z", zone)
    except (ValueError, OverflowError):
        _fail(text, "by RFC 2822")


def parse_any(text: str, zone: str) -> DateTime:
    """ISO 8601, RFC 2822, or digits: seconds (up to 10 of them) or milliseconds since 1970."""
    shown = text.strip()
    if shown.isascii() and shown.lstrip("-").isdigit() and 8 < len(shown.lstrip("-")) <= 15 and len(shown) != 8:
        return DateTime(int(shown) * (1000 if len(shown.lstrip("-")) <= 10 else 1), zone)
    try:
        return parse_rfc(shown, zone)
    except ExpressionError:
        return parse_iso(text, zone)


def parse_format(text: str, pattern: str, zone: str) -> DateTime:
    """A date by a pattern of the same tokens as `format`; what it does not name is the smallest."""
    if len(pattern) > _MAX_TEXT or len(text) > _MAX_TEXT:
        _fail(text, f"of the form {pattern[:60]!r}")
    tokens: list[str] = []
    pieces: list[str] = []
    for quoted, token, other in _TOKEN.findall(pattern):
        pieces.append(_PIECES[token] if token else re.escape(other or quoted))
        tokens += [token] if token else []
    match = re.fullmatch("".join(pieces), text, re.ASCII | re.IGNORECASE)
    if match is None:
        _fail(text, f"of the form {pattern[:60]!r}")
    try:
        return _from_parts(dict(zip(tokens, match.groups(), strict=True)), zone)
    except (ValueError, OverflowError):
        _fail(text, f"of the form {pattern[:60]!r}")


_HOURS: Final[dict[str, Callable[[int, bool], int]]] = {
    "H": lambda hour, _late: hour,
    "h": lambda hour, late: hour % 12 + 12 * late,
}


def _from_parts(parts: dict[str, str], zone: str) -> DateTime:
    zone = parts.get("z", zone)
    if "x" in parts or "X" in parts:
        return DateTime(int(parts["x"]) if "x" in parts else int(parts["X"]) * 1000, zone)
    year = int(parts["yyyy"]) if "yyyy" in parts else int(parts.get("yy", "70"))
    if "yyyy" not in parts:
        year += 2000 if year < 60 else 1900
    month = int(parts.get("MM") or parts.get("M") or 1)
    for token in ("MMM", "MMMM"):
        if token in parts:
            month = [name[:3].lower() for name in MONTHS].index(parts[token][:3].lower()) + 1
    day = datetime(year, month, int(parts.get("dd") or parts.get("d") or 1))  # noqa: DTZ001 - wall time
    if ordinal := parts.get("ooo") or parts.get("o"):
        day = datetime(year, 1, 1) + timedelta(days=int(ordinal) - 1)  # noqa: DTZ001 - wall time
    late = parts.get("a", "").lower() == "pm"
    hours = [of(int(parts[token]), late) for sign, of in _HOURS.items() for token in (sign * 2, sign) if token in parts]
    hour = hours[0] if hours else 0
    minute, second = parts.get("mm") or parts.get("m"), parts.get("ss") or parts.get("s")
    clock = _clock((str(hour), minute, second, parts.get("SSS") or (parts["S"].zfill(3) if "S" in parts else None)))
    return _instant(day + clock, parts.get("Z") or parts.get("ZZ") or parts.get("ZZZ"), zone)
