"""DateTime: the one value of the language that is not JSON. An instant in milliseconds, seen in a time zone."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, final
from zoneinfo import ZoneInfo

from domain.expressions.errors import RANGE, ExpressionError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EXACT_UNITS: Final = {
    "weeks": 604_800_000,
    "days": 86_400_000,
    "hours": 3_600_000,
    "minutes": 60_000,
    "seconds": 1000,
    "milliseconds": 1,
}
MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_TOKEN = re.compile(
    r"'([^']*)'|(yyyy|yy|y|M{1,4}|d{1,2}|H{1,2}|h{1,2}|m{1,2}|s{1,2}|S{1,3}|E{1,4}|c|a|Z{1,3}|z|o{1,3}|W{1,2}|X|x|q)"
)


@lru_cache(maxsize=512)
def zone_of(name: str) -> ZoneInfo:
    """The time zone of an IANA name. Raises ExpressionError for an unknown one."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ExpressionError(RANGE, f"unknown time zone {name[:60]!r}") from None


@final
class DateTime:
    """An instant: `millis` since 1970 (UTC), shown in the zone `zone` (an IANA name)."""

    __slots__ = ("_local", "millis", "zone")

    def __init__(self, millis: int, zone: str) -> None:
        self.millis = millis
        self.zone = zone
        try:
            self._local = (_EPOCH + timedelta(milliseconds=millis)).astimezone(zone_of(zone))
        except OverflowError:
            raise ExpressionError(RANGE, "a date is outside the years 1 to 9999") from None

    @property
    def local(self) -> datetime:
        return self._local

    def iso(self) -> str:
        """Like 2026-11-23T18:46:00.000+01:00, with Z in UTC."""
        shown = self._local.isoformat(timespec="milliseconds")
        return f"{shown[:-6]}Z" if self.zone == "UTC" else shown

    def shifted(self, amounts: dict[str, float], sign: int) -> "DateTime":
        """Later (sign 1) or earlier (-1): years to days by the local calendar, smaller units by real time."""
        months = round(amounts.get("years", 0) * 12 + amounts.get("quarters", 0) * 3 + amounts.get("months", 0)) * sign
        days = (amounts.get("weeks", 0) * 7 + amounts.get("days", 0)) * sign
        rest = sum(
            amounts.get(unit, 0) * _EXACT_UNITS[unit] for unit in ("hours", "minutes", "seconds", "milliseconds")
        )
        try:
            local = _add_months(self._local.replace(tzinfo=None), months) + timedelta(days=days)
            moved = self._at(local) if months or days else self
            return DateTime(moved.millis + round(rest * sign), self.zone)
        except (OverflowError, ValueError):
            raise ExpressionError(RANGE, "a date is outside the years 1 to 9999") from None

    def start_of(self, unit: str) -> "DateTime":
        """The first instant of the year, quarter, month, week, day, hour, minute or second."""
        local = self._local.replace(tzinfo=None)
        day = local.replace(hour=0, minute=0, second=0, microsecond=0)
        starts: dict[str, Callable[[], datetime]] = {
            "year": lambda: day.replace(month=1, day=1),
            "quarter": lambda: day.replace(month=(local.month - 1) // 3 * 3 + 1, day=1),
            "month": lambda: day.replace(day=1),
            "week": lambda: day - timedelta(days=local.weekday()),
            "day": lambda: day,
            "hour": lambda: local.replace(minute=0, second=0, microsecond=0),
            "minute": lambda: local.replace(second=0, microsecond=0),
            "second": lambda: local.replace(microsecond=0),
        }
        start = starts.get(unit.removesuffix("s"))
        if start is None:
            raise ExpressionError(RANGE, f"unknown unit of time {unit[:30]!r}")
        return self._at(start())

    def _at(self, local: datetime) -> "DateTime":
        return DateTime.of_local(local, self.zone)

    @staticmethod
    def of_local(local: datetime, zone: str) -> "DateTime":
        """A local wall time of the zone as an instant (the first one where a clock change repeats it); one with an
        offset of its own is only shown in the zone."""
        aware = local if local.tzinfo is not None else local.replace(tzinfo=zone_of(zone))
        return DateTime((aware - _EPOCH) // timedelta(milliseconds=1), zone)

    def format(self, pattern: str) -> str:
        """The date by a pattern such as `yyyy-MM-dd HH:mm`; text in single quotes stays."""
        return _TOKEN.sub(lambda match: match[1] if match[2] is None else self._token(match[2]), pattern)

    def _token(self, token: str) -> str:
        make = _TOKENS.get(token)
        return make(self) if make else token


def _add_months(local: datetime, months: int) -> datetime:
    if not months:
        return local
    year, month = divmod(local.year * 12 + local.month - 1 + months, 12)
    following = datetime(year + (month == 11), (month + 1) % 12 + 1, 1)  # noqa: DTZ001 - wall time
    last = (following - timedelta(days=1)).day
    return local.replace(year=year, month=month + 1, day=min(local.day, last))


def _offset(value: DateTime, style: str) -> str:
    minutes = int((value.local.utcoffset() or timedelta()).total_seconds()) // 60
    sign, (hours, rest) = ("-" if minutes < 0 else "+"), divmod(abs(minutes), 60)
    if style == "Z":
        return f"{sign}{hours}" + (f":{rest:02d}" if rest else "")
    return f"{sign}{hours:02d}{':' if style == 'ZZ' else ''}{rest:02d}"


_TOKENS: Final[dict[str, Callable[[DateTime], str]]] = {
    "yyyy": lambda d: f"{d.local.year:04d}",
    "yy": lambda d: f"{d.local.year % 100:02d}",
    "y": lambda d: str(d.local.year),
    "M": lambda d: str(d.local.month),
    "MM": lambda d: f"{d.local.month:02d}",
    "MMM": lambda d: MONTHS[d.local.month - 1][:3],
    "MMMM": lambda d: MONTHS[d.local.month - 1],
    "d": lambda d: str(d.local.day),
    "dd": lambda d: f"{d.local.day:02d}",
    "H": lambda d: str(d.local.hour),
    "HH": lambda d: f"{d.local.hour:02d}",
    "h": lambda d: str(d.local.hour % 12 or 12),
    "hh": lambda d: f"{d.local.hour % 12 or 12:02d}",
    "m": lambda d: str(d.local.minute),
    "mm": lambda d: f"{d.local.minute:02d}",
    "s": lambda d: str(d.local.second),
    "ss": lambda d: f"{d.local.second:02d}",
    "S": lambda d: str(d.local.microsecond // 1000),
    "SSS": lambda d: f"{d.local.microsecond // 1000:03d}",
    "E": lambda d: str(d.local.isoweekday()),
    "c": lambda d: str(d.local.isoweekday()),
    "EEE": lambda d: WEEKDAYS[d.local.weekday()][:3],
    "EEEE": lambda d: WEEKDAYS[d.local.weekday()],
    "a": lambda d: "AM" if d.local.hour < 12 else "PM",
    "Z": lambda d: _offset(d, "Z"),
    "ZZ": lambda d: _offset(d, "ZZ"),
    "ZZZ": lambda d: _offset(d, "ZZZ"),
    "z": lambda d: d.zone,
    "o": lambda d: str(d.local.timetuple().tm_yday),
    "ooo": lambda d: f"{d.local.timetuple().tm_yday:03d}",
    "W": lambda d: str(d.local.isocalendar().week),
    "WW": lambda d: f"{d.local.isocalendar().week:02d}",
    "q": lambda d: str((d.local.month - 1) // 3 + 1),
    "X": lambda d: str(d.millis // 1000),
    "x": lambda d: str(d.millis),
}
