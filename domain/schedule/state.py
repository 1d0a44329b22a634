"""What a schedule's decider has to remember: small, thousands of them stay in memory."""

from typing import Literal

import msgspec

from domain.errors import ImpossibleHistory
from domain.schedule.definition import Definition
from domain.schedule.events import (
    BackfillEnded,
    BackfillStarted,
    ExecutionNoted,
    FiringDeferred,
    FiringsSkipped,
    FiringSuppressed,
    ScheduleArmed,
    ScheduleChanged,
    ScheduleCreated,
    ScheduleDeleted,
    ScheduleEnded,
    ScheduleEvent,
    ScheduleFired,
    SchedulePaused,
    ScheduleResumed,
)
from domain.schedule.firing_ids import jitter_of
from domain.schedule.timing import Occurrence
from domain.snapshots import Snapshots

ScheduleStatus = Literal["active", "paused", "ended", "deleted"]
SNAPSHOT_FORMAT = 1


class Backfill(msgspec.Struct, frozen=True, array_like=True):
    """`after`: instants up to it have been fired; `resume_at`: when the next one may."""

    id: str
    after: int
    until: int
    interval: int
    resume_at: int
    fired: int = 0


class Schedule(msgspec.Struct, frozen=True, array_like=True):
    """`after`: everything due up to it was dealt with; `next`: what comes then.

    `open`: executions of this schedule that have not ended, unless they may overlap; `waiting`: firings that wait for
    them. `revision`: of the workflow whose node this is. `used_backfills`: ids of the last ones, with fingerprint.
    """

    status: ScheduleStatus
    definition: Definition
    fingerprint: str
    revision: int
    after: int
    next: Occurrence | None
    count: int = 0
    open: tuple[str, ...] = ()
    waiting: tuple[Occurrence, ...] = ()
    backfills: tuple[Backfill, ...] = ()
    used_backfills: tuple[tuple[str, str], ...] = ()
    seed: int = 0

    def fires_at(self, due: int) -> int:
        """When what is due at `due` fires: then, or its share of the jitter later."""
        return due + jitter_of(self.seed, due, self.definition.policies.jitter_seconds)


KEPT_BACKFILL_IDS = 20


def next_due(state: Schedule) -> int | None:
    """When the schedule wants to know the time: owner's time, ms. None: not by itself."""
    times = [each.resume_at for each in state.backfills] if not blocked(state) else []
    if state.status == "active" and state.next is not None:
        times.append(state.fires_at(state.next.due))
    return min(times, default=None)


def blocked(state: Schedule) -> bool:
    """Whether an open execution keeps others from starting."""
    return state.definition.policies.overlap != "allow" and bool(state.open)


def evolve(state: Schedule | None, event: ScheduleEvent) -> Schedule:
    """The state after `event`. Raises ImpossibleHistory."""
    if state is None:
        if not isinstance(event, ScheduleCreated):
            raise ImpossibleHistory(f"{type(event).__name__} before ScheduleCreated")
        return Schedule("active", event.definition, event.fingerprint, event.revision, event.at, None, seed=event.seed)
    replace = msgspec.structs.replace
    match event:
        case ScheduleCreated():
            raise ImpossibleHistory("ScheduleCreated for a schedule that exists")
        case ScheduleChanged():
            status: ScheduleStatus = "active" if event.again else state.status
            tracked = () if event.definition.policies.overlap == "allow" else state.open
            revision = max(state.revision, event.revision)
            return replace(state, definition=event.definition, status=status, open=tracked, revision=revision)
        case SchedulePaused():
            return replace(state, status="paused", next=None)
        case ScheduleResumed():
            return replace(state, status="active")
        case ScheduleEnded():
            revision = max(state.revision, event.revision)
            return replace(state, status="ended", next=None, revision=revision)
        case ScheduleDeleted():
            return replace(state, status="deleted", next=None, waiting=(), open=(), backfills=())
        case ScheduleArmed(after=after, due=due):
            following = None if due is None else Occurrence(due, event.local, event.rule)
            return replace(state, after=after, next=following)
        case FiringDeferred():
            return replace(state, waiting=(*state.waiting, Occurrence(event.due, event.local, event.rule)))
        case ScheduleFired():
            return _fired(state, event)
        case ExecutionNoted():
            return replace(state, open=without(state.open, event.execution_id))
        case BackfillStarted():
            return _backfill_started(state, event)
        case BackfillEnded():
            return replace(state, backfills=tuple(each for each in state.backfills if each.id != event.backfill_id))
        case FiringsSkipped(first_due=first, last_due=last):
            return replace(state, waiting=tuple(each for each in state.waiting if not first <= each.due <= last))
        case FiringSuppressed():
            return state


def without(ids: tuple[str, ...], gone: str) -> tuple[str, ...]:
    return tuple(each for each in ids if each != gone)


def _fired(state: Schedule, event: ScheduleFired) -> Schedule:
    tracked = state.open if state.definition.policies.overlap == "allow" else (*state.open, event.execution_id)
    if event.backfill:
        backfills = tuple(_advanced(each, event) if each.id == event.backfill else each for each in state.backfills)
        return msgspec.structs.replace(state, open=tracked, backfills=backfills)
    waiting = tuple(each for each in state.waiting if each.due != event.due)
    return msgspec.structs.replace(state, open=tracked, waiting=waiting, count=event.number)


def _advanced(backfill: Backfill, event: ScheduleFired) -> Backfill:
    resume_at = max(backfill.resume_at, event.at - 1_000) + backfill.interval  # a tick's worth may go out at once
    return msgspec.structs.replace(backfill, after=event.due, resume_at=resume_at, fired=event.number)


def _backfill_started(state: Schedule, event: BackfillStarted) -> Schedule:
    interval = 60_000 // event.per_minute
    begun = Backfill(event.backfill_id, event.since - 1, event.until, interval, event.at)
    closed = (*state.used_backfills, (event.backfill_id, event.fingerprint))[-KEPT_BACKFILL_IDS:]
    return msgspec.structs.replace(state, backfills=(*state.backfills, begun), used_backfills=closed)


_snapshots = Snapshots(Schedule, SNAPSHOT_FORMAT)
snapshot = _snapshots.snapshot
restore = _snapshots.restore
