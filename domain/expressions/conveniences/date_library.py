"""The functions of `DateTime`: dates from texts, time stamps and fields."""

from collections.abc import Callable
from datetime import datetime

from domain.expressions.conveniences.dates import FIELDS, date_of, from_number, of_fields, zone_argument
from domain.expressions.conveniences.registry import object_of, offer
from domain.expressions.conversions import to_number, to_text
from domain.expressions.date_texts import parse_format, parse_iso, parse_rfc
from domain.expressions.datetimes import DateTime
from domain.expressions.errors import TYPE, ExpressionError
from domain.expressions.scope import Scope
from domain.expressions.values import UNDEFINED, Value


@offer("DateTime", "now()", "The same as $now.", ("DateTime.now().toISODate()", "2025-11-23"))
def _now(scope: Scope, *_: Value) -> DateTime:
    return DateTime(scope.now, scope.timezone)


@offer(
    "DateTime",
    "fromISO(text, {zone}?)",
    "A date by ISO 8601; without an offset it is the wall time of the zone (the workflow's by default).",
    ("DateTime.fromISO('2025-07-01T12:00').toISO()", "2025-07-01T12:00:00.000+02:00"),
    ("DateTime.fromISO('2025-07-01T12:00Z', {zone: 'Asia/Tokyo'}).hour", 21),
    ("DateTime.fromISO('2025-W47-7').toISODate()", "2025-11-23"),
)
def _from_iso(scope: Scope, text: Value = UNDEFINED, options: Value = UNDEFINED, *_: Value) -> DateTime:
    return parse_iso(to_text(text, scope), zone_argument(scope, options))


@offer(
    "DateTime",
    "fromFormat(text, pattern, {zone}?)",
    "A date by a pattern of the tokens of `format`.",
    ("DateTime.fromFormat('23.11.2025 07:05 PM', 'dd.MM.yyyy hh:mm a').toISO()", "2025-11-23T19:05:00.000+01:00"),
)
def _from_format(
    scope: Scope, text: Value = UNDEFINED, pattern: Value = UNDEFINED, options: Value = UNDEFINED, *_: Value
) -> DateTime:
    scope.charge(10)
    return parse_format(to_text(text, scope), to_text(pattern, scope), zone_argument(scope, options))


@offer(
    "DateTime",
    "fromMillis(number, {zone}?)",
    "The date of a time stamp in milliseconds since 1970.",
    ("DateTime.fromMillis(0, {zone: 'UTC'}).toISO()", "1970-01-01T00:00:00.000Z"),
)
def _from_millis(scope: Scope, number: Value = UNDEFINED, options: Value = UNDEFINED, *_: Value) -> DateTime:
    return from_number(to_number(number, scope), 1, zone_argument(scope, options))


@offer(
    "DateTime",
    "fromSeconds(number, {zone}?)",
    "The date of a time stamp in seconds since 1970.",
    ("DateTime.fromSeconds(1.5).millisecond", 500),
)
def _from_seconds(scope: Scope, number: Value = UNDEFINED, options: Value = UNDEFINED, *_: Value) -> DateTime:
    return from_number(to_number(number, scope), 1000, zone_argument(scope, options))


@offer(
    "DateTime",
    "fromRFC2822(text, {zone}?)",
    "A date as e-mail writes it.",
    ("DateTime.fromRFC2822('Sun, 23 Nov 2025 18:46:00 +0000').hour", 19),
)
def _from_rfc(scope: Scope, text: Value = UNDEFINED, options: Value = UNDEFINED, *_: Value) -> DateTime:
    return parse_rfc(to_text(text, scope), zone_argument(scope, options))


@offer(
    "DateTime",
    "fromObject(fields, {zone}?)",
    "A date of its fields.",
    ("DateTime.fromObject({year: 2025, month: 3, day: 1}).toISODate()", "2025-03-01"),
)
def _from_object(scope: Scope, fields: Value = UNDEFINED, options: Value = UNDEFINED, *_: Value) -> DateTime:
    zone = zone_argument(scope, options)
    given = object_of(fields, "DateTime.fromObject")
    now = DateTime(scope.now, zone).local.replace(tzinfo=None)
    start = datetime(now.year, 1, 1)  # noqa: DTZ001 - wall time
    return of_fields(scope, given, start, zone)


def _local(zone_of: Callable[[Scope], str]) -> Callable[..., Value]:
    def make(scope: Scope, *parts: Value) -> DateTime:
        if not parts:
            return DateTime(scope.now, zone_of(scope))
        fields = dict(zip(FIELDS, parts, strict=False))
        start = datetime(1970, 1, 1)  # noqa: DTZ001 - wall time
        return of_fields(scope, fields, start, zone_of(scope))

    return make


offer(
    "DateTime",
    "local(year, month = 1, day = 1, hour = 0, …)",
    "A wall time of the workflow's zone.",
    ("DateTime.local(2025, 7, 1, 8).toISO()", "2025-07-01T08:00:00.000+02:00"),
)(_local(lambda scope: scope.timezone))
offer(
    "DateTime",
    "utc(year, month = 1, day = 1, hour = 0, …)",
    "A time in UTC.",
    ("DateTime.utc(2025, 7, 1).toISO()", "2025-07-01T00:00:00.000Z"),
)(_local(lambda _: "UTC"))


def _extreme(name: str, pick: Callable[..., DateTime]) -> Callable[..., Value]:
    def method(scope: Scope, *dates: Value) -> Value:
        if not dates:
            raise ExpressionError(TYPE, f"DateTime.{name} takes at least one date")
        scope.charge(1 + (len(dates) >> 3))
        return pick((date_of(scope, date) for date in dates), key=lambda date: date.millis)

    return method


offer("DateTime", "min(date, …)", "The earliest.", ("DateTime.min($now, $today).hour", 0))(_extreme("min", min))
offer("DateTime", "max(date, …)", "The latest.", ("DateTime.max($now, $today).hour", 19))(_extreme("max", max))


@offer(
    "DateTime",
    "isDateTime(value)",
    "Whether it is a date.",
    ("DateTime.isDateTime($now)", True),
    ("DateTime.isDateTime('2025-01-01')", False),
)
def _is_date_time(_: Scope, value: Value = UNDEFINED, *__: Value) -> bool:
    return type(value) is DateTime
