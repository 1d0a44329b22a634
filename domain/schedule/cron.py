"""Cron expressions on naive local times: what they mean is read here, the days are found by croniter.

Five fields (minute, hour, day of month, month, day of week) or six with seconds first. A field takes `*`, numbers,
names (JAN, MON), ranges, lists and steps; the day of month also `L` (the last one), the day of week `5#2` (the second
Friday) and `5L` (the last one). `?` is `*` in both. If both days are restricted, either one will do; a day field that
begins with `*` restricts nothing (`*/2` on top of a weekday narrows it). Aliases: @hourly, @daily, @midnight, @weekly,
@monthly, @yearly, @annually.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Final

from croniter import CroniterBadCronError, CroniterBadDateError, croniter

LAST_YEAR: Final = 2200
"""Nothing is looked for beyond it."""
MAX_LENGTH: Final = 300

ALIASES: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_PART = re.compile(r"(?P<from>\*|[a-z]+|\d{1,4})(?:-(?P<to>[a-z]+|\d{1,4}))?(?:/(?P<step>\d{1,4}))?", re.ASCII)
_NTH = re.compile(r"(?P<day>[a-z]+|\d)#(?P<nth>\d+)", re.ASCII)
_LAST = re.compile(r"l(?P<after>[a-z]{3}|\d)|(?P<before>[a-z]{3}|\d)l", re.ASCII)


class InvalidCron(ValueError):
    """An expression that means nothing. The message names the field and says what to do."""

    code = "invalid_cron"


@dataclass(frozen=True, slots=True)
class _Field:
    title: str
    least: int
    most: int
    names: tuple[str, ...] = ()


_SECOND = _Field("second", 0, 59)
_MINUTE = _Field("minute", 0, 59)
_HOUR = _Field("hour", 0, 23)
_DAY = _Field("day of month", 1, 31)
_MONTH = _Field("month", 1, 12, _MONTHS)
_WEEKDAY = _Field("day of week", 0, 7, _WEEKDAYS)


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed expression. `days`: for croniter, midnight of the days that match. Of two either will do; (): every day.

    `recurs`: seconds, minutes or hours begin with `*`, so that it
    repeats within the day (every n minutes or hours) instead of naming times of day.
    """

    hours: tuple[int, ...]
    minutes: tuple[int, ...]
    seconds: tuple[int, ...]
    days: tuple[str, ...]
    recurs: bool

    def after(self, moment: datetime) -> datetime | None:
        """The first local time after `moment` (naive, whole seconds count) that matches; None: never again."""
        day = self._day_from(moment.date())
        if day is None:
            return None
        if day == moment.date():
            following = self._time_after(moment.hour, moment.minute, moment.second)
            if following is not None:
                return datetime.combine(day, following)
            day = self._day_from(day + timedelta(days=1))
        return None if day is None else datetime.combine(day, self._first_time())

    def _first_time(self) -> time:
        return time(self.hours[0], self.minutes[0], self.seconds[0])

    def _time_after(self, hour: int, minute: int, second: int) -> time | None:
        if hour in self.hours:
            if minute in self.minutes and (later := _next_of(self.seconds, second)) is not None:
                return time(hour, minute, later)
            if (later := _next_of(self.minutes, minute)) is not None:
                return time(hour, later, self.seconds[0])
        later = _next_of(self.hours, hour)
        return None if later is None else time(later, self.minutes[0], self.seconds[0])

    def _day_from(self, day: date) -> date | None:
        if day.year > LAST_YEAR:
            return None
        if not self.days:
            return day
        return min((found for each in self.days if (found := _matching_day(each, day)) is not None), default=None)


def _next_of(values: tuple[int, ...], value: int) -> int | None:
    place = bisect_right(values, value)
    return values[place] if place < len(values) else None


@lru_cache(maxsize=8_192)
def _matching_day(days: str, day: date) -> date | None:
    """The first matching day from `day` on."""
    before = datetime.combine(day, time()) - timedelta(seconds=1)
    try:
        found = croniter(days, before, day_or=False, max_years_between_matches=30).get_next(datetime)
    except CroniterBadDateError:
        return None
    assert isinstance(found, datetime)
    return found.date() if found.year <= LAST_YEAR else None


@lru_cache(maxsize=4_096)
def parse_cron(text: str) -> Cron:
    """Raises InvalidCron."""
    given = text.strip().lower()
    if len(given) > MAX_LENGTH:
        raise InvalidCron(f"the expression has more than {MAX_LENGTH} characters")
    if given.startswith("@"):
        given = _alias(given)
    fields = given.split()
    if len(fields) not in {5, 6}:
        raise InvalidCron(
            f"a cron expression has 5 fields (minute, hour, day of month, month, day of week), or 6 with seconds "
            f"first; this one has {len(fields)}"
        )
    seconds = fields.pop(0) if len(fields) == 6 else "0"
    minutes, hours, day, month, weekday = fields
    cron = Cron(
        hours=_values(_HOUR, hours),
        minutes=_values(_MINUTE, minutes),
        seconds=_values(_SECOND, seconds),
        days=_days(day, month, weekday),
        recurs=any(part.startswith("*") for part in (seconds, minutes, hours)),
    )
    _check_that_it_comes(cron, day, month)
    return cron


def _alias(given: str) -> str:
    known = ALIASES.get(given)
    if known is None:
        hint = "; for every n minutes use an interval" if given.startswith("@every") else ""
        raise InvalidCron(f"{given!r} is no alias; known are {', '.join(ALIASES)}{hint}")
    return known


def _days(day: str, month: str, weekday: str) -> tuple[str, ...]:
    """The three day fields in croniter's words."""
    days, months, weekdays = _day_field(day), _list_or_star(_MONTH, month), _weekday_field(weekday)
    if not day.startswith(("*", "?")) and not weekday.startswith(("*", "?")):
        return f"0 0 {days} {months} *", f"0 0 * {months} {weekdays}"
    return () if days == months == weekdays == "*" else (f"0 0 {days} {months} {weekdays}",)


def _check_that_it_comes(cron: Cron, day: str, month: str) -> None:
    try:
        comes = cron.after(datetime(2000, 1, 1)) is not None  # noqa: DTZ001 — local times have no zone here
    except CroniterBadCronError as error:
        raise InvalidCron(f"day of month, month or day of week: {error}") from error
    if not comes:
        raise InvalidCron(f"day of month {day!r} never comes in month {month!r}: the schedule would never fire")


def _day_field(text: str) -> str:
    if text == "?":
        return "*"
    parts = text.split(",")
    if "l" not in parts:
        if "l" in text and text.strip("*0123456789,-/") == "l":
            raise InvalidCron(f"day of month: {text!r} is not known; L stands alone or in a list, as in 15,L")
        return _list_or_star(_DAY, text)
    numbers = [str(value) for value in _values(_DAY, ",".join(part for part in parts if part != "l") or "31")]
    return ",".join([*numbers, "l"]) if len(parts) > parts.count("l") else "l"


def _weekday_field(text: str) -> str:
    if text == "?":
        return "*"
    parts = text.split(",")
    special = [_special_weekday(part) for part in parts if "#" in part or _LAST.fullmatch(part)]
    if not special:
        return _list_or_star(_WEEKDAY, text)
    if len(special) < len(parts):
        raise InvalidCron(f"day of week: {text!r} mixes plain days with # or L; make two schedules of it")
    return ",".join(special)


def _special_weekday(part: str) -> str:
    if (nth := _NTH.fullmatch(part)) is not None:
        if not 1 <= int(nth["nth"]) <= 5:
            raise InvalidCron(f"day of week: {part!r} asks for a number outside 1 to 5 (5#2 is the second Friday)")
        return f"{_value(_WEEKDAY, nth['day'], part) % 7}#{nth['nth']}"
    last = _LAST.fullmatch(part)
    if last is None:
        raise InvalidCron(f"day of week: {part!r} is not known (5#2 is the second Friday, 5L the last one)")
    return f"l{_value(_WEEKDAY, last['after'] or last['before'], part) % 7}"


def _list_or_star(field: _Field, text: str) -> str:
    values = _values(field, text)
    everything = len(values) == (7 if field is _WEEKDAY else field.most - field.least + 1)
    return "*" if everything else ",".join(str(value) for value in values)


def _values(field: _Field, text: str) -> tuple[int, ...]:
    """All values that a field lists, ascending, each once."""
    values: set[int] = set()
    for part in text.split(","):
        values.update(_part(field, part))
    return tuple(sorted({value % 7 for value in values} if field is _WEEKDAY else values))


def _part(field: _Field, part: str) -> range:
    match = _PART.fullmatch(part)
    if match is None or (match["from"] == "*" and match["to"]):
        raise InvalidCron(
            f"{field.title}: {part!r} is not understood; it takes *, numbers, ranges like 1-5, */n, lists"
        )
    most = 6 if field is _WEEKDAY and match["from"] == "*" else field.most
    if match["from"] == "*":
        least = field.least
    else:
        least = _value(field, match["from"], part)
        if match["to"]:
            most = _value(field, match["to"], part)
            most = 7 if field is _WEEKDAY and most == 0 < least else most
        elif not match["step"]:
            most = least
    if most < least:
        raise InvalidCron(f"{field.title}: the range {part!r} runs backwards; write it as two, from and to the ends")
    step = int(match["step"] or 1)
    if step == 0:
        raise InvalidCron(f"{field.title}: {part!r} steps by 0")
    if step > max(field.most - field.least, 1):
        raise InvalidCron(
            f"{field.title}: {part!r} steps over the whole field and would match once; an interval does what you mean"
        )
    return range(least, most + 1, step)


def _value(field: _Field, text: str, part: str) -> int:
    if text.isdigit():
        value = int(text)
        if field.least <= value <= field.most:
            return value
        raise InvalidCron(f"{field.title}: {text} in {part!r} is not between {field.least} and {field.most}")
    if text[:3] in field.names and len(text) == 3:
        return field.names.index(text) + (1 if field is _MONTH else 0)
    known = f"; names are {', '.join(field.names)}" if field.names else ", which takes numbers"
    raise InvalidCron(f"{field.title}: {text!r} in {part!r} is no value of this field{known}")
