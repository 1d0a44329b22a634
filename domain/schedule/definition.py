"""What a schedule is: which workflow, when, with what, and the policies for when that does not go smoothly."""

from collections.abc import Iterator
from typing import Any, Final, Literal

import msgspec

from domain.schedule.cron import InvalidCron, parse_cron
from domain.schedule.timing import LAST_INSTANT, ByCron, ByInterval, Once, Timing
from domain.schedule.zones import UnknownZone, zone_of

MAX_NAME: Final = 100
MAX_DESCRIPTION: Final = 2_000
MAX_INPUT_BYTES: Final = 32_000
"""The input stands in every start command and in the owner's memory."""
MAX_MISSED: Final = 1_000
MAX_GRACE_SECONDS: Final = 86_400
MAX_JITTER_SECONDS: Final = 3_600
MAX_QUEUED: Final = 100
MAX_INTERVAL_SECONDS: Final = 366 * 86_400

Missed = Literal["none", "last", "all"]
Overlap = Literal["allow", "skip", "queue"]


class Policies(msgspec.Struct, frozen=True, omit_defaults=True):
    """What happens when a firing cannot happen in time or meets the one before.

    An instant is *missed* once `grace_seconds` have passed after it (and its jitter) without anybody to fire it.
    none: missed ones are skipped; last: the newest one fires, unless one that is not missed fires anyway; all: the
    newest `missed_limit` fire, oldest first. `overlap`, while an execution of this schedule is open: allow starts
    another one, skip does not, queue starts it when all before have ended (at most `queue_limit` wait).
    `jitter_seconds`: each firing is put off by its own share of it, the same whoever computes it.
    """

    missed: Missed = "last"
    missed_limit: int = 10
    grace_seconds: int = 60
    overlap: Overlap = "allow"
    queue_limit: int = 10
    jitter_seconds: int = 0


class Definition(msgspec.Struct, frozen=True, omit_defaults=True):
    """`input`: added to the item of each execution. `node`: the trigger to start from; "" is the first that fits.

    `of_workflow`: the schedule is the node's: it comes and goes with the workflow's activation.
    """

    workflow_id: str
    name: str
    timing: Timing
    policies: Policies = Policies()
    input: dict[str, Any] | None = None
    description: str = ""
    node: str = ""
    of_workflow: bool = False


def problems_of(definition: Definition) -> list[tuple[str, str]]:
    """(field, what is wrong with it) of everything that cannot be accepted. Fields are named as the API names them."""
    return [
        *_problems_of_texts(definition),
        *problems_of_timing(definition.timing),
        *problems_of_policies(definition.policies, definition.timing),
    ]


def _problems_of_texts(definition: Definition) -> Iterator[tuple[str, str]]:
    if not 1 <= len(definition.name.strip()) <= MAX_NAME:
        yield "name", f"takes 1 to {MAX_NAME} characters"
    if len(definition.description) > MAX_DESCRIPTION:
        yield "description", f"takes at most {MAX_DESCRIPTION} characters"
    size = 0 if definition.input is None else len(msgspec.json.encode(definition.input))
    if size > MAX_INPUT_BYTES:
        yield "input_data", f"has {size} bytes, at most {MAX_INPUT_BYTES} are possible"


def problems_of_timing(timing: Timing) -> Iterator[tuple[str, str]]:
    try:
        zone_of(timing.timezone)
    except UnknownZone as unknown:
        yield "timezone", str(unknown)
    match timing:
        case ByCron(expression=expression):
            try:
                parse_cron(expression)
            except InvalidCron as invalid:
                yield "cron_expression", str(invalid)
        case ByInterval(seconds=seconds, anchor=anchor):
            if not 1 <= seconds <= MAX_INTERVAL_SECONDS:
                yield "every", "takes one second to 366 days"
            if not 0 <= anchor < LAST_INSTANT:
                yield "every.anchor", "takes a moment between the years 1970 and 2200"
        case Once(at=at):
            if not 0 <= at < LAST_INSTANT:
                yield "at", "takes a moment between the years 1970 and 2200"


def problems_of_policies(policies: Policies, timing: Timing) -> Iterator[tuple[str, str]]:
    bounds = (
        ("missed_runs.limit", policies.missed_limit, 1, MAX_MISSED),
        ("missed_runs.grace_seconds", policies.grace_seconds, 1, MAX_GRACE_SECONDS),
        ("queue_limit", policies.queue_limit, 1, MAX_QUEUED),
        ("jitter_seconds", policies.jitter_seconds, 0, MAX_JITTER_SECONDS),
    )
    for field, value, least, most in bounds:
        if not least <= value <= most:
            yield field, f"takes {least} to {most}"
    if isinstance(timing, ByInterval) and policies.jitter_seconds >= timing.seconds > 0:
        yield "jitter_seconds", "must be shorter than the interval"
