"""Facts recorded for one schedule. Times are owner's time (ticks), ms since 1970; `local`s are as users read them.

`due` is the instant at which a firing was due, before jitter. Every firing has a derived id (`uuid5` of schedule and
due time), and so has the execution that it starts.
"""

from typing import Literal

import msgspec

from domain.schedule.definition import Definition
from domain.schedule.timing import Rule

SkipReason = Literal["missed", "paused", "overlap", "queue_full", "changed", "ended"]
BackfillEnd = Literal["completed", "cancelled"]


class ScheduleCreated(msgspec.Struct, frozen=True, omit_defaults=True):
    """`seed`: of its jitter, so that schedules due at the same time do not fire at the same time."""

    definition: Definition
    at: int
    fingerprint: str = ""
    revision: int = 0
    seed: int = 0


class ScheduleChanged(msgspec.Struct, frozen=True, omit_defaults=True):
    """Defined anew. `again`: it had ended and is active again."""

    definition: Definition
    at: int
    revision: int = 0
    again: bool = False


class SchedulePaused(msgspec.Struct, frozen=True, omit_defaults=True):
    at: int
    reason: str = ""


class ScheduleResumed(msgspec.Struct, frozen=True, omit_defaults=True):
    at: int


class ScheduleEnded(msgspec.Struct, frozen=True, omit_defaults=True):
    """Nothing is due any more: `no_more` (a one-off that has fired), or the workflow wants it no more."""

    at: int
    reason: str = ""
    revision: int = 0


class ScheduleDeleted(msgspec.Struct, frozen=True, omit_defaults=True):
    at: int


class ScheduleArmed(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything due up to `after` has been dealt with; `due` comes next (None: nothing)."""

    after: int
    due: int | None = None
    local: str = ""
    rule: Rule = ""


class ScheduleFired(msgspec.Struct, frozen=True, omit_defaults=True):
    """An execution was asked for. `late_by`: ms behind due time and jitter. `number`: firings of the schedule so far.

    `backfill`: the id of the backfill that fired it, `number` then counts that one's firings.
    """

    firing_id: str
    due: int
    local: str
    at: int
    late_by: int
    execution_id: str
    number: int
    rule: Rule = ""
    jitter: int = 0
    backfill: str = ""


class FiringDeferred(msgspec.Struct, frozen=True, omit_defaults=True):
    """It waits for the executions before it to end (overlap policy queue)."""

    firing_id: str
    due: int
    local: str
    at: int
    execution_id: str
    rule: Rule = ""


class FiringsSkipped(msgspec.Struct, frozen=True, omit_defaults=True):
    """`count` firings from `first_due` to `last_due` do not happen. `more`: there were more than could be counted.

    `execution_id`: for overlap, the execution that was in the way.
    """

    firing_id: str
    first_due: int
    last_due: int
    first_local: str
    last_local: str
    count: int
    reason: SkipReason
    at: int
    more: bool = False
    execution_id: str = ""
    rule: Rule = ""


class FiringSuppressed(msgspec.Struct, frozen=True, omit_defaults=True):
    """Local times that bring no firing because the clocks change: gap or overlap. Said as soon as it is known."""

    firing_id: str
    due: int
    first_local: str
    last_local: str
    count: int
    rule: Rule
    at: int


class ExecutionNoted(msgspec.Struct, frozen=True, omit_defaults=True):
    """The execution of a firing has ended."""

    firing_id: str
    execution_id: str
    status: str
    at: int
    message: str = ""


class BackfillStarted(msgspec.Struct, frozen=True, omit_defaults=True):
    """`total`: firings that lie in [since, until]."""

    backfill_id: str
    since: int
    until: int
    total: int
    per_minute: int
    at: int
    fingerprint: str = ""


class BackfillEnded(msgspec.Struct, frozen=True, omit_defaults=True):
    backfill_id: str
    status: BackfillEnd
    at: int


ScheduleEvent = (
    ScheduleCreated
    | ScheduleChanged
    | SchedulePaused
    | ScheduleResumed
    | ScheduleEnded
    | ScheduleDeleted
    | ScheduleArmed
    | ScheduleFired
    | FiringDeferred
    | FiringsSkipped
    | FiringSuppressed
    | ExecutionNoted
    | BackfillStarted
    | BackfillEnded
)
