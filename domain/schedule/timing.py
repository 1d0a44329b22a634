"""When a schedule fires: by cron, at an interval, or once; and the zone rules, which are ours.

* A fixed time of day fires once a local day. In a gap (clocks set forward) it fires at the first instant after it; in
  an overlap (clocks set back) the first time only, the second is suppressed. Several times of day in one gap are one.
* What recurs within the day (`*` or `*/n` in seconds, minutes or hours) fires at every real instant whose local time
  matches: in both passes of an overlap, never in a gap.
* An interval takes no notice of zones: it fires every so many real seconds, counted from its anchor.

`following` is the whole rule: everything else of scheduling asks it.
"""

from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

import msgspec

from domain.schedule.cron import Cron, parse_cron
from domain.schedule.zones import Place, overlap_start, place, read, zone_of

Rule: TypeAlias = Literal["", "gap", "overlap"]
LAST_INSTANT: Final = 7_258_118_400_000
"""The year 2200."""
_SECOND = timedelta(seconds=1)


class ByCron(msgspec.Struct, frozen=True, tag="cron", tag_field="by"):
    expression: str
    timezone: str = "UTC"


class ByInterval(msgspec.Struct, frozen=True, tag="interval", tag_field="by", omit_defaults=True):
    """Every `seconds`, at `anchor` plus a whole number of them (ms since 1970; 0: full minutes are full minutes)."""

    seconds: int
    anchor: int = 0
    timezone: str = "UTC"


class Once(msgspec.Struct, frozen=True, tag="once", tag_field="by", omit_defaults=True):
    """At `at`, ms since 1970."""

    at: int
    timezone: str = "UTC"


Timing: TypeAlias = ByCron | ByInterval | Once


class Occurrence(NamedTuple):
    """An instant at which a schedule is due. `local`: the local time that was asked for, `2026-03-08T02:30:00`.

    `rule`: gap (that local time does not exist), overlap (it comes twice), or nothing special.
    """

    due: int
    local: str
    rule: Rule = ""


class Suppression(NamedTuple):
    """Local times that bring no firing because of a change of the clocks. `due`: when the first of them would be."""

    due: int
    first_local: str
    last_local: str
    times: int
    rule: Rule


class Following(NamedTuple):
    """What comes next (None: nothing ever), and what is suppressed until then."""

    occurrence: Occurrence | None
    suppressed: tuple[Suppression, ...] = ()


NOTHING: Final = Following(None)


def following(timing: Timing, after: int) -> Following:
    """The first occurrence strictly after the instant `after`."""
    if after >= LAST_INSTANT:
        return NOTHING
    zone = zone_of(timing.timezone)
    match timing:
        case ByCron(expression=expression):
            cron = parse_cron(expression)
            return _recurring(cron, zone, after) if cron.recurs else _fixed(cron, zone, after)
        case ByInterval(seconds=seconds, anchor=anchor):
            period = seconds * 1_000
            return Following(_shown(zone, anchor + ((after - anchor) // period + 1) * period))
        case Once(at=at):
            return Following(_shown(zone, at)) if at > after else NOTHING


def newest(timing: Timing, after: int, until: int, most: int) -> list[Occurrence]:
    """The last `most` occurrences in (after, until], oldest first. Looks back as far as it has to and no further."""
    if most <= 0:
        return []
    span = 60_000
    while True:
        begin = max(after, until - span)
        found = between(timing, begin, until)
        if len(found) >= most or begin == after:
            return found[-most:]
        span *= 4


def between(timing: Timing, after: int, until: int, most: int = 1_000_000) -> list[Occurrence]:
    """The first `most` occurrences in (after, until]."""
    found: list[Occurrence] = []
    while len(found) < most:
        occurrence = following(timing, after).occurrence
        if occurrence is None or occurrence.due > until:
            break
        found.append(occurrence)
        after = occurrence.due
    return found


def _shown(zone: ZoneInfo, due: int) -> Occurrence:
    return Occurrence(due, read(zone, due).local.isoformat())


def _fixed(cron: Cron, zone: ZoneInfo, after: int) -> Following:
    """Times of day: the first local time whose place is after `after`."""
    local, again = read(zone, after)
    here = place(zone, local)
    suppressed: tuple[Suppression, ...] = ()
    if here.kind == "overlap":
        suppressed = _second_pass(cron, zone, local, after)
        if again:  # all of this overlap had its turn
            local = _end_of_overlap(zone, local) - _SECOND
    wanted = cron.after(local)
    while wanted is not None:
        lies = place(zone, wanted)
        if lies.first > after:
            return Following(_occurrence(wanted, lies), suppressed)
        wanted = cron.after(wanted)
    return Following(None, suppressed)


def _second_pass(cron: Cron, zone: ZoneInfo, local: datetime, after: int) -> tuple[Suppression, ...]:
    """The times of day that come a second time after `after`, once no first one is left."""
    end = _end_of_overlap(zone, local)
    begin = read(zone, overlap_start(zone, local)).local
    wanted = cron.after(begin - _SECOND)
    times: list[tuple[int, datetime]] = []
    while wanted is not None and wanted < end:
        lies = place(zone, wanted)
        if lies.first > after:
            return ()
        if lies.second > after:
            times.append((lies.second, wanted))
        wanted = cron.after(wanted)
    return (_suppression(times, "overlap"),) if times else ()


def _recurring(cron: Cron, zone: ZoneInfo, after: int) -> Following:
    """Every instant whose local time matches."""
    local, again = read(zone, after)
    passed: list[Suppression] = []
    wanted = cron.after(local)
    here = place(zone, local)
    if here.kind == "overlap" and not again:
        end = _end_of_overlap(zone, local)
        if wanted is None or wanted >= end:  # nothing left in the first pass: the second begins
            again = True
            wanted = cron.after(read(zone, overlap_start(zone, local)).local - _SECOND)
    while wanted is not None:
        lies = place(zone, wanted)
        if lies.kind != "gap":
            second = again and lies.kind == "overlap" and lies.first <= after
            return Following(_occurrence(wanted, lies, second=second), tuple(passed))
        first_after = read(zone, lies.first).local
        missing, wanted = _until(cron, wanted, first_after)
        passed.append(_suppression([(lies.first, each) for each in missing], "gap"))
    return Following(None, tuple(passed))


def _until(cron: Cron, wanted: datetime, end: datetime) -> tuple[list[datetime], datetime | None]:
    """The matching times from `wanted` on that are before `end`, and the first one that is not."""
    times = [wanted]
    following_time = cron.after(wanted)
    while following_time is not None and following_time < end:
        times.append(following_time)
        following_time = cron.after(following_time)
    return times, following_time


def _end_of_overlap(zone: ZoneInfo, local: datetime) -> datetime:
    """The first local time after the overlap in which `local` lies."""
    lies = place(zone, local)
    change = overlap_start(zone, local)
    return read(zone, change).local + timedelta(milliseconds=lies.second - lies.first)


def _occurrence(wanted: datetime, lies: Place, *, second: bool = False) -> Occurrence:
    due = lies.second if second else lies.first
    return Occurrence(due, wanted.isoformat(), "" if lies.kind == "once" else lies.kind)


def _suppression(times: list[tuple[int, datetime]], rule: Rule) -> Suppression:
    return Suppression(times[0][0], times[0][1].isoformat(), times[-1][1].isoformat(), len(times), rule)
