"""Convenience functions of dates, what makes dates of other values, and the functions of `DateTime`."""

import math
from calendar import isleap, monthrange
from datetime import datetime
from typing import Final

from domain.expressions.conveniences.registry import object_of, offer, text_of
from domain.expressions.conversions import kind_of, to_number, to_text
from domain.expressions.date_texts import parse_any
from domain.expressions.datetime_methods import DATE_FIELDS, unit_of
from domain.expressions.datetimes import DateTime
from domain.expressions.errors import RANGE, TYPE, ExpressionError
from domain.expressions.scope import Scope
from domain.expressions.values import UNDEFINED, Value

_UNITS: Final = ("years", "quarters", "months", "weeks", "days", "hours", "minutes", "seconds", "milliseconds")
FIELDS: Final = ("year", "month", "day", "hour", "minute", "second", "millisecond")
_NAMED: Final = ("years", "months", "days", "hours", "minutes", "seconds")


def date_of(scope: Scope, value: Value) -> DateTime:
    """A date, an ISO text or milliseconds as a date."""
    if type(value) is DateTime:
        return value
    if type(value) is str:
        return parse_any(value, scope.timezone)
    if type(value) is int or type(value) is float:
        return from_number(value, 1, scope.timezone)
    raise ExpressionError(TYPE, f"a date is needed, not {kind_of(value)}")


def from_number(number: int | float, factor: float, zone: str) -> DateTime:
    """The date of a time stamp, `factor` milliseconds a unit."""
    if not math.isfinite(number) or abs(number * factor) > 1e15:
        raise ExpressionError(RANGE, "a date is outside the years 1 to 9999")
    return DateTime(math.floor(number * factor), zone)


def zone_argument(scope: Scope, options: Value) -> str:
    """`{zone: 'Europe/Berlin'}`, else the workflow's."""
    zone = options.get("zone", UNDEFINED) if type(options) is dict else UNDEFINED
    return scope.timezone if zone is UNDEFINED else zone_name(text_of(scope, zone))


def zone_name(zone: str) -> str:
    """IANA's name for what people write."""
    return "UTC" if zone in {"utc", "Z"} else zone


# -- from other values


@offer(
    "string",
    "toDateTime()",
    "The date that an ISO 8601 or e-mail date, or a time stamp, stands for; without an offset in the workflow's zone.",
    ("'2025-11-23T18:46:00Z'.toDateTime().hour", 19),
    ("'Sun, 23 Nov 2025 18:46:00 GMT'.toDateTime().toISO()", "2025-11-23T19:46:00.000+01:00"),
    ("'1763923560000'.toDateTime().toISODate()", "2025-11-23"),
)
def _text_to_date(scope: Scope, text: str, *_: Value) -> DateTime:
    return parse_any(text, scope.timezone)


@offer(
    "number",
    "toDateTime(unit = 'ms')",
    "The date of a time stamp in `ms` or `s` since 1970.",
    ("(1763923560).toDateTime('s').toISO()", "2025-11-23T19:46:00.000+01:00"),
)
def _number_to_date(scope: Scope, number: int | float, unit: Value = UNDEFINED, *_: Value) -> DateTime:
    factor = {"ms": 1, "s": 1000}.get(text_of(scope, unit, "ms"))
    if factor is None:
        raise ExpressionError(RANGE, "toDateTime takes the unit ms or s")
    return from_number(number, factor, scope.timezone)


# -- looking


@offer("date", "isBefore(other)", "Whether it is earlier.", ("$today.isBefore($now)", True))
def _is_before(scope: Scope, date: DateTime, other: Value = UNDEFINED, *_: Value) -> bool:
    return date.millis < date_of(scope, other).millis


@offer("date", "isAfter(other)", "Whether it is later.", ("$today.isAfter('2025-01-01')", True))
def _is_after(scope: Scope, date: DateTime, other: Value = UNDEFINED, *_: Value) -> bool:
    return date.millis > date_of(scope, other).millis


@offer(
    "date",
    "isBetween(start, end)",
    "Whether it is neither before the one nor after the other.",
    ("$now.isBetween('2025-11-01', '2025-12-01')", True),
)
def _is_between(scope: Scope, date: DateTime, start: Value = UNDEFINED, end: Value = UNDEFINED, *_: Value) -> bool:
    return date_of(scope, start).millis <= date.millis <= date_of(scope, end).millis


@offer("date", "equals(other)", "Whether it is the same instant.", ("$now.equals($now.toUTC())", True))
def _equals(scope: Scope, date: DateTime, other: Value = UNDEFINED, *_: Value) -> bool:
    return date.millis == date_of(scope, other).millis


@offer(
    "date",
    "hasSame(other, unit)",
    "Whether both are in the same year, month, week, day, …",
    ("$now.hasSame('2025-11-23T03:00', 'day')", True),
)
def _has_same(scope: Scope, date: DateTime, other: Value = UNDEFINED, unit: Value = UNDEFINED, *_: Value) -> bool:
    name, there = to_text(unit), DateTime(date_of(scope, other).millis, date.zone)
    return date.start_of(name).millis == there.start_of(name).millis


@offer("date", "isWeekend()", "Whether it is a Saturday or Sunday.", ("$now.isWeekend()", True))
def _is_weekend(_: Scope, date: DateTime, *__: Value) -> bool:
    return date.local.isoweekday() > 5


@offer("date", "isLeapYear()", "Whether its year has 366 days.", ("$now.isLeapYear()", False))
def _is_leap_year(_: Scope, date: DateTime, *__: Value) -> bool:
    return isleap(date.local.year)


@offer(
    "date",
    "isInDst()",
    "Whether its zone has daylight saving time then.",
    ("$now.isInDst()", False),
    ("$now.plus({months: 6}).isInDst()", True),
)
def _is_in_dst(_: Scope, date: DateTime, *__: Value) -> bool:
    return bool(date.local.dst())


@offer("date", "daysInMonth()", "How many days its month has.", ("$now.daysInMonth()", 30))
def _days_in_month(_: Scope, date: DateTime, *__: Value) -> int:
    return monthrange(date.local.year, date.local.month)[1]


@offer(
    "date",
    "extract(unit)",
    "One of its fields: year, quarter, month, week, day, weekday, hour, …",
    ("$now.extract('month')", 11),
    ("$now.extract('week')", 47),
)
def _extract(scope: Scope, date: DateTime, unit: Value = UNDEFINED, *_: Value) -> Value:
    name = text_of(scope, unit, "week")
    field = DATE_FIELDS.get({"week": "weekNumber", "dayOfYear": "ordinal"}.get(name, name))
    if field is None:
        raise ExpressionError(RANGE, f"a date has no field {name[:30]!r}")
    return field(date)


@offer("date", "toObject()", "Its fields.", ("$now.toObject().day", 23))
def _to_object(_: Scope, date: DateTime, *__: Value) -> dict[str, Value]:
    return {name: DATE_FIELDS[name](date) for name in FIELDS}


@offer("date", "toUnixInteger()", "Whole seconds since 1970.", ("$now.toUnixInteger()", 1763923560))
def _to_unix(_: Scope, date: DateTime, *__: Value) -> int:
    return date.millis // 1000


@offer("date", "toISOWeekDate()", "As ISO 8601 writes weeks.", ("$now.toISOWeekDate()", "2025-W47-7"))
def _to_iso_week(_: Scope, date: DateTime, *__: Value) -> str:
    year, week, day = date.local.isocalendar()
    return f"{year:04d}-W{week:02d}-{day}"


@offer("date", "toHTTP()", "As HTTP writes dates.", ("$now.toHTTP()", "Sun, 23 Nov 2025 18:46:00 GMT"))
def _to_http(_: Scope, date: DateTime, *__: Value) -> str:
    return DateTime(date.millis, "UTC").format("EEE, dd MMM yyyy HH:mm:ss 'GMT'")


@offer("date", "toRFC2822()", "As e-mail writes dates.", ("$now.toRFC2822()", "Sun, 23 Nov 2025 19:46:00 +0100"))
def _to_rfc(_: Scope, date: DateTime, *__: Value) -> str:
    return date.format("EEE, dd MMM yyyy HH:mm:ss ZZZ")


# -- other dates


@offer(
    "date",
    "set(fields)",
    "With other fields, such as {hour: 8, minute: 0}.",
    ("$now.set({hour: 8, minute: 0}).toISO()", "2025-11-23T08:00:00.000+01:00"),
)
def _set(scope: Scope, date: DateTime, fields: Value = UNDEFINED, *_: Value) -> DateTime:
    local = date.local.replace(tzinfo=None)
    return of_fields(scope, object_of(fields, "set"), local, date.zone)


def of_fields(scope: Scope, fields: dict[str, Value], local: datetime, zone: str) -> DateTime:
    """A wall time with some of its fields set. Raises ExpressionError for one that there is not."""
    changes: dict[str, int] = {}
    for name, value in fields.items():
        number, field = to_number(value, scope), name.removesuffix("s")
        if field not in FIELDS or not math.isfinite(number):
            raise ExpressionError(RANGE, f"a date has no field {name[:30]!r} that can be set to that")
        changes[field] = int(number)
    if "millisecond" in changes:
        changes["microsecond"] = changes.pop("millisecond") * 1000
    try:
        year, month = changes.get("year", local.year), changes.get("month", local.month)
        last = monthrange(year, month)[1] if 0 < year < 10000 else 28
        changes["day"] = min(changes.get("day", local.day), last) if "day" not in changes else changes["day"]
        return DateTime.of_local(local.replace(**changes), zone)  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        raise ExpressionError(RANGE, "there is no such date") from None


@offer("date", "inZone(name)", "The same instant in another zone.", ("$now.inZone('America/New_York').hour", 13))
def _in_zone(scope: Scope, date: DateTime, zone: Value = UNDEFINED, *_: Value) -> DateTime:
    return DateTime(date.millis, zone_name(text_of(scope, zone, "UTC")))


@offer(
    "date",
    "nextWeekday(day)",
    "The next Monday (1) to Sunday (7) after its day, at the same time.",
    ("$now.nextWeekday(1).toISODate()", "2025-11-24"),
)
def _next_weekday(scope: Scope, date: DateTime, day: Value = UNDEFINED, *_: Value) -> DateTime:
    number = to_number(day, scope)
    if number not in {1, 2, 3, 4, 5, 6, 7}:
        raise ExpressionError(RANGE, "nextWeekday takes a day from 1 (Monday) to 7 (Sunday)")
    return date.shifted({"days": (int(number) - date.local.isoweekday() - 1) % 7 + 1}, 1)


@offer(
    "date",
    "plusWorkdays(count)",
    "So many days later, Saturdays and Sundays not counted.",
    ("$now.plusWorkdays(6).toISODate()", "2025-12-01"),
)
def _plus_workdays(scope: Scope, date: DateTime, count: Value = UNDEFINED, *_: Value) -> DateTime:
    number = to_number(count, scope)
    if not abs(number) <= 3650:
        raise ExpressionError(RANGE, "plusWorkdays takes up to 3650 days")
    scope.charge(1 + int(abs(number)) // 8)
    sign, left, days, weekday = (1 if number > 0 else -1), int(abs(number)), 0, date.local.isoweekday()
    while left:
        days += sign
        left -= (weekday + days - 1) % 7 < 5
    return date.shifted({"days": days}, 1)


# -- differences


def difference(start: DateTime, end: DateTime, units: list[str]) -> dict[str, Value]:
    """How much later `end` is, in these units, the largest first; the smallest one has the fraction."""
    if end.millis < start.millis:
        return {unit: -amount for unit, amount in difference(end, start, units).items()}
    result: dict[str, Value] = {}
    cursor = start
    ordered = [unit for unit in _UNITS if unit in units]
    for unit in ordered:
        count = _whole_units(cursor, end, unit)
        cursor = cursor.shifted({unit: count}, 1)
        result[unit] = count
    span = cursor.shifted({ordered[-1]: 1}, 1).millis - cursor.millis
    if rest := end.millis - cursor.millis:
        result[ordered[-1]] += rest / span
    return result


def _whole_units(start: DateTime, end: DateTime, unit: str) -> int:
    length = (start.shifted({unit: 1}, 1).millis - start.millis) or 1
    count = (end.millis - start.millis) // length
    while count and start.shifted({unit: count}, 1).millis > end.millis:
        count -= 1
    while start.shifted({unit: count + 1}, 1).millis <= end.millis:
        count += 1
    return count


def _units(scope: Scope, given: Value, default: str) -> list[str]:
    names = given if type(given) is list else [default if given is UNDEFINED else given]
    return [unit_of(to_text(name, scope)) for name in names] or [default]


@offer(
    "date",
    "diff(other, unit = 'milliseconds')",
    "How much later it is than the other, as an object of amounts; `unit` may be an array.",
    ("$now.diff($today, ['hours', 'minutes'])", {"hours": 19, "minutes": 46}),
)
def _diff(scope: Scope, date: DateTime, other: Value = UNDEFINED, unit: Value = UNDEFINED, *_: Value) -> Value:
    start = DateTime(date_of(scope, other).millis, date.zone)
    return difference(start, date, _units(scope, unit, "milliseconds"))


@offer(
    "date",
    "diffTo(other, unit = 'days')",
    "How long it is from this date to the other: a number, or an object for an array of units.",
    ("$today.diffTo('2025-12-24')", 31),
    ("$now.diffTo($now.plus({hours: 36}), 'days')", 1.5),
    ("'2025-01-31'.toDateTime().diffTo('2025-03-01', ['months', 'days'])", {"months": 1, "days": 1}),
)
def _diff_to(scope: Scope, date: DateTime, other: Value = UNDEFINED, unit: Value = UNDEFINED, *_: Value) -> Value:
    amounts = difference(date, DateTime(date_of(scope, other).millis, date.zone), _units(scope, unit, "days"))
    return amounts if type(unit) is list else next(iter(amounts.values()))


@offer(
    "date",
    "diffToNow(unit = 'days')",
    "How long it is from now to this date.",
    ("$now.minus({days: 2}).diffToNow()", -2),
)
def _diff_to_now(scope: Scope, date: DateTime, unit: Value = UNDEFINED, *_: Value) -> Value:
    return _diff_to(scope, DateTime(scope.now, date.zone), date, unit)


@offer(
    "date",
    "toRelative()",
    "How far from now, in English.",
    ("$now.plus({hours: 3}).toRelative()", "in 3 hours"),
    ("$now.minus({days: 1}).toRelative()", "1 day ago"),
)
def _to_relative(scope: Scope, date: DateTime, *_: Value) -> str:
    now = DateTime(scope.now, date.zone)
    amount, unit = 0, "seconds"
    for unit in _NAMED:
        amount = math.trunc(difference(now, date, [unit])[unit])
        if amount:
            break
    name = unit.removesuffix("s") if abs(amount) == 1 else unit
    return f"{-amount} {name} ago" if date.millis < now.millis else f"in {amount} {name}"
