"""Reading dates from values and by patterns, and the time between two of them."""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from domain.expressions import ExpressionError
from domain.expressions.datetimes import DateTime, zone_of
from domain.nodes.failures import BAD_PARAMETER, NodeFailure

EXACT: Final = {
    "hours": 3_600_000,
    "minutes": 60_000,
    "seconds": 1000,
    "milliseconds": 1,
}
CALENDAR: Final = {"years": 31_556_952_000, "quarters": 7_889_238_000, "months": 2_629_746_000}
"""Average lengths, in ms: only to start a search from."""
DAYS: Final = {"weeks": 604_800_000, "days": 86_400_000}
UNITS: Final = (*CALENDAR, *DAYS, *EXACT)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_MONTHS: Final = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_MONTH: Final = "|".join(_MONTHS)
_WEEKDAY: Final = "monday|tuesday|wednesday|thursday|friday|saturday|sunday"


def known_zone(name: str) -> str:
    """The name of a time zone. Raises NodeFailure if there is no such zone."""
    try:
        zone_of(name)
    except ExpressionError as error:
        raise NodeFailure(BAD_PARAMETER, f"parameter 'zone': {error.message}; it takes such as Europe/Berlin") from None
    return name


def read_date(value: Any, zone: str) -> DateTime:
    """A date and time in ISO form (without an offset: in `zone`) or in ms since 1970, seen in `zone`."""
    if type(value) is int or type(value) is float:
        if abs(value) > 1e15:
            raise _no_date(value)
        return _shown(round(value), zone)
    if isinstance(value, str) and len(value) <= 100:
        try:
            return _instant(datetime.fromisoformat(value.strip()), zone)
        except ValueError:
            pass
    raise _no_date(value)


def _no_date(value: Any) -> NodeFailure:
    return NodeFailure("bad_date", f"{str(value)[:60]!r} is no date and time such as 2030-01-31T08:00:00Z")


def _shown(millis: int, zone: str) -> DateTime:
    try:
        return DateTime(millis, zone)
    except ExpressionError as error:
        raise NodeFailure("bad_date", error.message) from None


def _instant(moment: datetime, zone: str) -> DateTime:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone_of(zone))
    return _shown((aware - _EPOCH) // _MILLISECOND, zone)


_PARTS: Final[dict[str, str]] = {
    "yyyy": r"(?P<year>\d{4})",
    "yy": r"(?P<short_year>\d{2})",
    "MMMM": rf"(?P<month_name>{_MONTH})",
    "MMM": rf"(?P<month_name>{'|'.join(name[:3] for name in _MONTHS)})",
    "MM": r"(?P<month>\d{2})",
    "M": r"(?P<month>\d{1,2})",
    "dd": r"(?P<day>\d{2})",
    "d": r"(?P<day>\d{1,2})",
    "HH": r"(?P<hour>\d{2})",
    "H": r"(?P<hour>\d{1,2})",
    "hh": r"(?P<half>\d{2})",
    "h": r"(?P<half>\d{1,2})",
    "mm": r"(?P<minute>\d{2})",
    "m": r"(?P<minute>\d{1,2})",
    "ss": r"(?P<second>\d{2})",
    "s": r"(?P<second>\d{1,2})",
    "SSS": r"(?P<milli>\d{3})",
    "a": r"(?P<meridiem>am|pm)",
    "EEEE": f"(?:{_WEEKDAY})",
    "EEE": f"(?:{'|'.join(name[:3] for name in _WEEKDAY.split('|'))})",
    "ZZZ": r"(?P<offset>Z|[+-]\d{4})",
    "ZZ": r"(?P<offset>Z|[+-]\d{2}:\d{2})",
    "Z": r"(?P<offset>Z|[+-]\d{1,2}(?::?\d{2})?)",
    "X": r"(?P<seconds>-?\d{1,13})",
    "x": r"(?P<millis>-?\d{1,16})",
}
_TOKEN: Final = re.compile(
    r"'([^']*)'|(" + "|".join(sorted(_PARTS, key=len, reverse=True)) + r")|([A-Za-z]+)|([^A-Za-z'])"
)


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """What reads texts of this pattern, such as `dd.MM.yyyy HH:mm`. Raises ValueError that says what is wrong.

    The expression has no repetition over anything but digits, at most sixteen of them: it cannot run away.
    """
    parts: list[str] = []
    place = 0
    while place < len(pattern):
        token = _TOKEN.match(pattern, place)
        if token is None:
            raise ValueError("has a quote without an end")
        quoted, known, unknown, sign = token.groups()
        if unknown is not None:
            raise ValueError(f"has {unknown[:20]!r}, which cannot be read; put text in 'quotes'")
        parts.append(_PARTS[known] if known is not None else re.escape(sign if quoted is None else quoted))
        place = token.end()
    try:
        compiled = re.compile("".join(parts), re.IGNORECASE | re.ASCII)
    except re.error:
        raise ValueError("names a part of the date twice") from None
    if not {"year", "short_year", "seconds", "millis"} & set(compiled.groupindex):
        raise ValueError("lacks the year: yyyy or yy, or X or x for the whole instant")
    return compiled


def parse_date(text: str, pattern: re.Pattern[str], shown: str, zone: str) -> DateTime:
    """The date of a text; what the pattern lacks is the beginning (month 1, day 1, 0:00). Raises NodeFailure."""
    found = pattern.fullmatch(text.strip()) if len(text) <= 200 else None
    if found is None:
        raise NodeFailure("bad_date", f"{text[:60]!r} is no date of the form {shown!r}")
    parts = {name: value for name, value in found.groupdict().items() if value is not None}
    if "millis" in parts:
        return read_date(int(parts["millis"]), zone)
    if "seconds" in parts:
        return read_date(int(parts["seconds"]) * 1000, zone)
    try:
        return _instant(_wall(parts), zone)
    except (ValueError, OverflowError):
        raise NodeFailure("bad_date", f"{text[:60]!r} is no date that exists") from None


def _wall(parts: dict[str, str]) -> datetime:
    short = int(parts.get("short_year", 0))
    year = int(parts["year"]) if "year" in parts else short + (1900 if short > 60 else 2000)
    month = int(parts.get("month", 1))
    if "month_name" in parts:
        month = [name[:3] for name in _MONTHS].index(parts["month_name"][:3].lower()) + 1
    hour = int(parts.get("hour", 0))
    if "half" in parts:
        half = int(parts["half"])
        if not 1 <= half <= 12:
            raise ValueError("an hour from 1 to 12")
        hour = half % 12 + (12 if parts.get("meridiem", "am").lower() == "pm" else 0)
    return datetime(
        year,
        month,
        int(parts.get("day", 1)),
        hour,
        int(parts.get("minute", 0)),
        int(parts.get("second", 0)),
        int(parts.get("milli", 0)) * 1000,
        tzinfo=_offset(parts["offset"]) if "offset" in parts else None,
    )


def _offset(text: str) -> timezone:
    if text.upper() == "Z":
        return UTC
    digits = text[1:].replace(":", "")
    hours, minutes = (digits[:-2], digits[-2:]) if len(digits) > 2 else (digits, "0")
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(-offset if text[0] == "-" else offset)


def difference(start: DateTime, end: DateTime, unit: str) -> int | float:
    """How many units lie between: days and more by the calendar of the start's zone, with a fraction."""
    if unit in EXACT:
        return _number((end.millis - start.millis) / EXACT[unit])
    if end.millis < start.millis:
        return -difference(DateTime(end.millis, start.zone), start, unit)
    count = max(0, int((end.millis - start.millis) // {**CALENDAR, **DAYS}[unit]) - 1)
    after = start.shifted({unit: count + 1}, 1)
    while after.millis <= end.millis:
        count += 1
        after = start.shifted({unit: count + 1}, 1)
    before = start.shifted({unit: count}, 1)
    return _number(count + (end.millis - before.millis) / (after.millis - before.millis))


def _number(value: float) -> int | float:
    return int(value) if value.is_integer() else value


def rounded(date: DateTime, unit: str, mode: str) -> DateTime:
    """The start of the unit that the date is in (`down`), of the next one (`up`), or whichever is nearer."""
    start = date.start_of(unit)
    if mode == "down" or start.millis == date.millis:
        return start
    following = start.shifted({unit: 1}, 1)
    if mode == "up":
        return following
    return start if date.millis - start.millis < following.millis - date.millis else following
