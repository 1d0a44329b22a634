"""Local time and instants. Instants are milliseconds since 1970, local times naive `datetime`s of whole seconds."""

from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Kind = Literal["once", "gap", "overlap"]


class UnknownZone(ValueError):
    """Not a name of the IANA time zone database."""

    code = "unknown_timezone"


class Reading(NamedTuple):
    """What a clock on the wall shows at an instant. `again`: it shows it the second time (overlap)."""

    local: datetime
    again: bool


class Place(NamedTuple):
    """Where a local time lies.

    once: at `first`, which is `second`. overlap: at `first` and again at `second`. gap: nowhere; both are the first
    instant after it.
    """

    kind: Kind
    first: int
    second: int


def zone_of(name: str) -> ZoneInfo:
    """Raises UnknownZone."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise UnknownZone(f"{name!r} is no time zone; use an IANA name such as Europe/Berlin") from None


def moment_of(instant: int) -> datetime:
    """The instant in UTC."""
    return _EPOCH + timedelta(milliseconds=instant)


def instant_of(moment: datetime) -> int:
    """Of a moment with a time zone."""
    since = moment - _EPOCH
    return since.days * 86_400_000 + since.seconds * 1_000 + since.microseconds // 1_000


def read(zone: ZoneInfo, instant: int) -> Reading:
    """Fractions of a second are dropped."""
    moment = moment_of(instant).astimezone(zone)
    return Reading(moment.replace(tzinfo=None, microsecond=0, fold=0), bool(moment.fold))


def place(zone: ZoneInfo, local: datetime) -> Place:
    """Where the local time lies on the line of instants."""
    earlier, later = (instant_of(local.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    if earlier == later:
        return Place("once", earlier, earlier)
    if earlier < later:
        return Place("overlap", earlier, later)
    # In a gap fold=0 counts with the offset before it and so lies behind the change, fold=1 before it.
    change = _change_between(zone, later, earlier)
    return Place("gap", change, change)


def overlap_start(zone: ZoneInfo, local: datetime) -> int:
    """When the clocks are set back to repeat the time in which `local` lies, an overlap."""
    first = place(zone, local)
    return _change_between(zone, first.first, first.second)


def _change_between(zone: ZoneInfo, before: int, after: int) -> int:
    """The first instant (a whole second) of the offset that holds at `after` and not at `before`."""
    low, high = before // 1_000, after // 1_000
    offset = moment_of(high * 1_000).astimezone(zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if moment_of(middle * 1_000).astimezone(zone).utcoffset() == offset:
            high = middle
        else:
            low = middle
    return high * 1_000
