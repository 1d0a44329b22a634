"""The fields and methods of dates (`$now`, `$today`), named as Luxon names them."""

from collections.abc import Callable, Mapping
from typing import Final

from domain.expressions.conversions import kind_of, own_entries, to_number, to_text
from domain.expressions.datetimes import DateTime
from domain.expressions.errors import RANGE, TYPE, ExpressionError
from domain.expressions.limits import Budget
from domain.expressions.numbers import to_double
from domain.expressions.values import UNDEFINED, Value

_UNITS: Final = ("years", "quarters", "months", "weeks", "days", "hours", "minutes", "seconds", "milliseconds")


def unit_of(name: str) -> str:
    unit = name if name.endswith("s") else f"{name}s"
    if unit not in _UNITS:
        raise ExpressionError(RANGE, f"unknown unit of time {name[:30]!r}")
    return unit


def _amounts(budget: Budget, duration: Value, unit: Value) -> dict[str, float]:
    if type(duration) is dict:
        amounts = {
            unit_of(name): to_double(to_number(amount, budget)) for name, amount in own_entries(duration, budget)
        }
    elif type(duration) in {int, float}:
        amounts = {"milliseconds" if unit is UNDEFINED else unit_of(to_text(unit)): to_double(duration)}
    else:
        raise ExpressionError(TYPE, f"plus and minus take an amount such as {{days: 1}}, not {kind_of(duration)}")
    if not all(abs(amount) < 1e15 for amount in amounts.values()):
        raise ExpressionError(RANGE, "an amount of time is too large")
    return amounts


def _plus(budget: Budget, date: DateTime, duration: Value = UNDEFINED, unit: Value = UNDEFINED, *_: Value) -> DateTime:
    return date.shifted(_amounts(budget, duration, unit), 1)


def _minus(budget: Budget, date: DateTime, duration: Value = UNDEFINED, unit: Value = UNDEFINED, *_: Value) -> DateTime:
    return date.shifted(_amounts(budget, duration, unit), -1)


def _format(budget: Budget, date: DateTime, pattern: Value = "yyyy-MM-dd", *_: Value) -> str:
    text = to_text(pattern, budget)
    budget.charge(1 + (len(text) >> 3))
    return date.format(text)


def _set_zone(_: Budget, date: DateTime, zone: Value = "UTC", *__: Value) -> DateTime:
    return DateTime(date.millis, "UTC" if (name := to_text(zone)) in {"utc", "Z"} else name)


def _start_of(_: Budget, date: DateTime, unit: Value = UNDEFINED, *__: Value) -> DateTime:
    return date.start_of(to_text(unit))


def _end_of(_: Budget, date: DateTime, unit: Value = UNDEFINED, *__: Value) -> DateTime:
    start = date.start_of(to_text(unit))
    return start.shifted({unit_of(to_text(unit)): 1}, 1).shifted({"milliseconds": 1}, -1)


def _millis(_: Budget, date: DateTime, *__: Value) -> int:
    return date.millis


def _iso(_: Budget, date: DateTime, *__: Value) -> str:
    return date.iso()


DATE_METHODS: Final[Mapping[str, Callable[..., Value]]] = {
    "toISO": _iso,
    "toISOString": lambda _budget, date, *_: DateTime(date.millis, "UTC").iso(),
    "toISODate": lambda _budget, date, *_: date.format("yyyy-MM-dd"),
    "toISOTime": lambda _budget, date, *_: date.iso()[11:],
    "toString": _iso,
    "toJSON": _iso,
    "toMillis": _millis,
    "valueOf": _millis,
    "getTime": _millis,
    "toSeconds": lambda _budget, date, *_: date.millis / 1000,
    "toUTC": lambda _budget, date, *_: DateTime(date.millis, "UTC"),
    "setZone": _set_zone,
    "plus": _plus,
    "minus": _minus,
    "startOf": _start_of,
    "endOf": _end_of,
    "format": _format,
    "toFormat": _format,
}

DATE_FIELDS: Final[Mapping[str, Callable[[DateTime], Value]]] = {
    "year": lambda date: date.local.year,
    "quarter": lambda date: (date.local.month - 1) // 3 + 1,
    "month": lambda date: date.local.month,
    "day": lambda date: date.local.day,
    "hour": lambda date: date.local.hour,
    "minute": lambda date: date.local.minute,
    "second": lambda date: date.local.second,
    "millisecond": lambda date: date.local.microsecond // 1000,
    "weekday": lambda date: date.local.isoweekday(),
    "weekNumber": lambda date: date.local.isocalendar().week,
    "ordinal": lambda date: date.local.timetuple().tm_yday,
    "zoneName": lambda date: date.zone,
    "ts": lambda date: date.millis,
}
