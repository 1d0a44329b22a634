"""What happens when time passes: firings, the ones that were missed, backfills."""

from typing import Final

from domain.schedule.course import Course
from domain.schedule.events import BackfillEnded, FiringDeferred
from domain.schedule.firing_ids import execution_of, firing_of
from domain.schedule.state import blocked
from domain.schedule.timing import Occurrence, following, newest

MOST_AT_ONCE: Final = 20
"""So many firings stand in one commit; more follow in the next."""


def pass_time(course: Course) -> None:
    """Do what is due. Notes something whenever the schedule's `next_due` has come."""
    state = course.state
    if state.status == "active" and state.next is not None and state.fires_at(state.next.due) <= course.now:
        _fire_due(course, _skip_missed(course))
    for backfill in course.state.backfills:
        advance(course, backfill.id)


def fire_waiting(course: Course) -> None:
    """The way is free: the firing that waits longest goes."""
    state = course.state
    if state.waiting and not blocked(state):
        course.start(state.waiting[0], number=state.count + 1)


def _skip_missed(course: Course) -> int:
    """Let the missed ones go that the policy does not want; returns up to when everything is dealt with then."""
    state, policies = course.state, course.state.definition.policies
    missed_until = course.now - 1_000 * (policies.grace_seconds + policies.jitter_seconds)
    if state.next is None or state.next.due > missed_until:
        return state.after
    timing = state.definition.timing
    keep = {"none": 0, "last": 1, "all": policies.missed_limit}[policies.missed]
    if policies.missed == "last":
        timely = following(timing, missed_until).occurrence
        if timely is not None and state.fires_at(timely.due) <= course.now:
            keep = 0
    kept = newest(timing, state.after, missed_until, keep)
    until = kept[0].due - 1 if kept else missed_until
    course.skip_range(until, "missed")
    return max(until, state.after)


def _fire_due(course: Course, after: int) -> None:
    timing = course.state.definition.timing
    coming = following(timing, after)
    for _ in range(MOST_AT_ONCE):
        occurrence = coming.occurrence
        if occurrence is None or course.state.fires_at(occurrence.due) > course.now:
            break
        _fire(course, occurrence)
        after = occurrence.due
        coming = following(timing, after)
        course.suppress(coming)
    course.arm(after, coming.occurrence)


def _fire(course: Course, occurrence: Occurrence) -> None:
    state = course.state
    policies = state.definition.policies
    if policies.overlap == "skip" and state.open:
        course.skip(occurrence, "overlap", state.open[-1])
    elif policies.overlap == "queue" and (state.open or state.waiting):
        if len(state.waiting) >= policies.queue_limit:
            course.skip(occurrence, "queue_full", state.open[-1] if state.open else "")
        else:
            _defer(course, occurrence)
    else:
        course.start(occurrence, number=state.count + 1)


def _defer(course: Course, occurrence: Occurrence) -> None:
    firing_id = firing_of(course.schedule_id, occurrence.due)
    execution_id = execution_of(firing_id)
    course.note(FiringDeferred(firing_id, occurrence.due, occurrence.local, course.now, execution_id, occurrence.rule))


def advance(course: Course, backfill_id: str) -> None:
    """Let a backfill fire what its pace and the open executions allow; note its end when it is through."""
    timing = course.state.definition.timing
    for _ in range(MOST_AT_ONCE):
        backfill = next((each for each in course.state.backfills if each.id == backfill_id), None)
        if backfill is None or backfill.resume_at > course.now or blocked(course.state):
            return
        occurrence = following(timing, backfill.after).occurrence
        if occurrence is None or occurrence.due > backfill.until:
            course.note(BackfillEnded(backfill_id, "completed", course.now))
            return
        course.start(occurrence, backfill=backfill_id, number=backfill.fired + 1)
