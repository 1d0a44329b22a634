"""A schedule as users write it, in the parameters of a node or in the body of a request → timing and policies.

{"cron": "0 9 * * 1-5" | "every": {"minutes": 15, "anchor": "2026-01-01T00:00:00Z"} | "at": "2026-12-24T18:00:00",
 "timezone": "Europe/Berlin", "missed_runs": {"policy": "all", "limit": 10, "grace_seconds": 60},
 "overlap": "queue", "queue_limit": 10, "jitter_seconds": 30}
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple, cast, get_args

from domain.schedule.definition import (
    MAX_INTERVAL_SECONDS,
    Missed,
    Overlap,
    Policies,
    problems_of_policies,
    problems_of_timing,
)
from domain.schedule.timing import ByCron, ByInterval, Once, Timing
from domain.schedule.zones import UnknownZone, instant_of, place, zone_of

Problems = list[tuple[str, str]]
UNITS: Final = {"seconds": 1, "minutes": 60, "hours": 3_600, "days": 86_400}
FIELDS: Final = ("cron", "every", "at", "timezone", "missed_runs", "overlap", "queue_limit", "jitter_seconds")


class Read(NamedTuple):
    """`timing` is None where it could not be read; `problems` name the fields."""

    timing: Timing | None
    policies: Policies
    problems: Problems


def read_schedule(given: Mapping[str, Any], default_zone: str, cron: str = "cron") -> Read:
    """Of the fields in FIELDS; other ones are the caller's. `cron`: what problems call that field."""
    problems: Problems = []
    zone = given.get("timezone")
    if zone is not None and not isinstance(zone, str):
        problems.append(("timezone", "must be text, an IANA name such as Europe/Berlin"))
        zone = None
    timing = _timing(given, default_zone if zone is None else zone, problems, cron)
    policies = _policies(given, problems)
    if timing is not None and not problems:
        problems += problems_of_timing(timing)
        problems += problems_of_policies(policies, timing)
    named = [(cron if field == "cron_expression" else field, text) for field, text in problems]
    return Read(timing, policies, named)


def _timing(given: Mapping[str, Any], zone: str, problems: Problems, cron: str) -> Timing | None:
    chosen = [name for name in ("cron", "every", "at") if given.get(name) is not None]
    if len(chosen) != 1:
        found = "none is given" if not chosen else f"{' and '.join(chosen)} are given"
        problems.append((cron, f"give exactly one of {cron}, every, at; {found}"))
        return None
    value = given[chosen[0]]
    match chosen[0]:
        case "cron" if isinstance(value, str):
            return ByCron(value.strip(), zone)
        case "every" if isinstance(value, dict):
            return _interval(value, zone, problems)
        case "at" if isinstance(value, str):
            at = _instant(value, zone, "at", problems)
            return None if at is None else Once(at, zone)
    wanted = {"cron": "text", "every": 'an object such as {"minutes": 15}', "at": "text, an ISO date and time"}
    problems.append((cron if chosen[0] == "cron" else chosen[0], f"must be {wanted[chosen[0]]}"))
    return None


def _interval(value: Mapping[str, Any], zone: str, problems: Problems) -> ByInterval | None:
    seconds = 0
    before = len(problems)
    for name, amount in value.items():
        if name == "anchor":
            continue
        if name not in UNITS:
            problems.append((f"every.{name[:50]}", f"is not known; an interval has {', '.join(UNITS)} and anchor"))
        elif type(amount) is not int or not 0 <= amount <= MAX_INTERVAL_SECONDS:
            problems.append((f"every.{name}", "must be a whole number"))
        else:
            seconds += amount * UNITS[name]
    anchor = 0
    if value.get("anchor") is not None:
        anchor = _instant(value["anchor"], zone, "every.anchor", problems) or 0
    if not seconds and len(problems) == before:
        problems.append(("every", f"needs one of {', '.join(UNITS)}"))
    return ByInterval(seconds, anchor, zone) if len(problems) == before else None


def _instant(value: Any, zone: str, field: str, problems: Problems) -> int | None:
    """A moment of ISO 8601; without an offset it is local time of the zone (in a gap: the first instant after it)."""
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            return instant_of(moment)
        return place(zone_of(zone), moment.replace(microsecond=0, fold=0)).first
    except (TypeError, ValueError, OverflowError) as error:
        if not isinstance(error, UnknownZone):
            problems.append((field, "must be an ISO date and time such as 2026-12-24T18:00:00+01:00"))
        else:
            problems.append(("timezone", str(error)))
        return None


def _policies(given: Mapping[str, Any], problems: Problems) -> Policies:
    default = Policies()
    missed = given.get("missed_runs") or {}
    if isinstance(missed, str):
        missed = {"policy": missed}
    if not isinstance(missed, dict):
        problems.append(("missed_runs", "must be none, last or all, or an object with policy, limit, grace_seconds"))
        missed = {}
    problems += [
        (f"missed_runs.{str(name)[:50]}", "is not known; it has policy, limit, grace_seconds")
        for name in missed
        if name not in {"policy", "limit", "grace_seconds"}
    ]
    return Policies(
        missed=cast(Missed, _choice(missed, "policy", default.missed, get_args(Missed), "missed_runs.", problems)),
        missed_limit=_whole(missed, "limit", default.missed_limit, "missed_runs.", problems),
        grace_seconds=_whole(missed, "grace_seconds", default.grace_seconds, "missed_runs.", problems),
        overlap=cast(Overlap, _choice(given, "overlap", default.overlap, get_args(Overlap), "", problems)),
        queue_limit=_whole(given, "queue_limit", default.queue_limit, "", problems),
        jitter_seconds=_whole(given, "jitter_seconds", default.jitter_seconds, "", problems),
    )


def _choice(
    given: Mapping[str, Any], name: str, default: str, choices: tuple[str, ...], path: str, problems: Problems
) -> str:
    value = given.get(name)
    if value is None:
        return default
    if value in choices:
        return str(value)
    problems.append((f"{path}{name}", f"must be one of {', '.join(choices)}"))
    return default


def _whole(given: Mapping[str, Any], name: str, default: int, path: str, problems: Problems) -> int:
    value = given.get(name)
    if value is None:
        return default
    if type(value) is int or (type(value) is float and value.is_integer()):
        return int(value)
    problems.append((f"{path}{name}", "must be a whole number"))
    return default
