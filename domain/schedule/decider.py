"""Decides what may happen to a schedule: active ⇄ paused, ended when nothing more is due, deleted for good.

Outcome codes: invalid_schedule, idempotency_mismatch, schedule_not_found, schedule_of_workflow, schedule_ended,
backfill_not_found, invalid_backfill, too_many_backfills, wrong_stream.
"""

from typing import Final, assert_never

from domain.decision import DUPLICATE, Decision, rejected
from domain.schedule.commands import (
    CancelBackfill,
    CreateSchedule,
    DeleteSchedule,
    EndSchedule,
    EnsureSchedule,
    NoteExecutionEnded,
    PauseSchedule,
    ResumeSchedule,
    ScheduleCommand,
    StartBackfill,
    UpdateSchedule,
)
from domain.schedule.course import Course
from domain.schedule.definition import Definition, problems_of
from domain.schedule.events import (
    BackfillEnded,
    BackfillStarted,
    ExecutionNoted,
    ScheduleChanged,
    ScheduleCreated,
    ScheduleDeleted,
    ScheduleEnded,
    SchedulePaused,
    ScheduleResumed,
    SkipReason,
)
from domain.schedule.firing import advance, fire_waiting, pass_time
from domain.schedule.firing_ids import seed_of
from domain.schedule.state import Schedule, evolve, next_due, restore, snapshot
from domain.schedule.timing import Once, between, following
from domain.ticking import PassTime

__all__ = ["Schedule", "decide", "evolve", "next_due", "restore", "snapshot"]

STREAM: Final = "schedule-"
MAX_BACKFILL: Final = 10_000
"""Firings in one backfill."""
MOST_PER_MINUTE: Final = 600
MAX_BACKFILLS: Final = 5
"""Backfills of one schedule at the same time."""
MAX_REASON: Final = 500


def decide(
    command: ScheduleCommand | PassTime, state: Schedule | None, *, workspace: str, stream_id: str, now: int
) -> Decision:
    """Answer a command to the schedule of `stream_id` (`schedule-<id>`) at `now`, owner's time.

    Refusals are outcomes, never exceptions.
    """
    schedule_id = stream_id.removeprefix(STREAM)
    match command:
        case CreateSchedule():
            return _create(command, state, schedule_id, now)
        case EnsureSchedule() if state is None:
            return _begun(schedule_id, ScheduleCreated(command.definition, now, "", command.revision), now)
        case _:
            pass
    if state is None or state.status == "deleted":
        return _refused(state, "schedule_not_found", "there is no such schedule")
    return _decide(command, Course(schedule_id, state, now))


def _decide(command: ScheduleCommand | PassTime, course: Course) -> Decision:
    state, now = course.state, course.now
    match command:
        case PassTime():
            pass_time(course)
        case NoteExecutionEnded():
            return _note_execution(command, course)
        case PauseSchedule(reason=reason):
            return _pause(course, reason[:MAX_REASON])
        case ResumeSchedule():
            return _resume(course)
        case EnsureSchedule():
            if command.revision > state.revision:
                _change(course, command.definition, command.revision)
        case EndSchedule():
            if command.revision > state.revision:
                _drop_waiting(course, "ended")
                course.note(ScheduleEnded(now, command.reason[:MAX_REASON], command.revision))
                _cancel_backfills(course)
        case StartBackfill():
            return _start_backfill(command, course)
        case CancelBackfill(backfill_id=backfill_id):
            return _cancel_backfill(backfill_id, course)
        case UpdateSchedule() | DeleteSchedule() if state.definition.of_workflow:
            message = "the schedule belongs to a node: change, disable or remove the node and activate the workflow"
            return _refused(state, "schedule_of_workflow", message)
        case UpdateSchedule():
            return _update(command, course)
        case DeleteSchedule():
            _drop_waiting(course, "ended")
            _cancel_backfills(course)
            course.note(ScheduleDeleted(now))
        case CreateSchedule():
            raise AssertionError("unreachable")
        case _:
            assert_never(command)
    return course.decision()


def _create(command: CreateSchedule, state: Schedule | None, schedule_id: str, now: int) -> Decision:
    if command.schedule_id != schedule_id:
        return _refused(state, "wrong_stream", f"schedule {command.schedule_id} does not live here")
    if state is not None:
        if state.fingerprint == command.fingerprint:
            return Decision((), state, DUPLICATE)
        return _refused(state, "idempotency_mismatch", "the same id was used for another schedule")
    problems = _problems(command.definition, now)
    if problems:
        return _refused(state, "invalid_schedule", "the schedule is not valid", problems)
    return _begun(schedule_id, ScheduleCreated(command.definition, now, command.fingerprint), now)


def _begun(schedule_id: str, created: ScheduleCreated, now: int) -> Decision:
    created = ScheduleCreated(
        created.definition, created.at, created.fingerprint, created.revision, seed_of(schedule_id)
    )
    course = Course(schedule_id, evolve(None, created), now)
    course.events.append(created)
    course.begin(now)
    return course.decision()


def _problems(definition: Definition, now: int) -> list[tuple[str, str]]:
    problems = problems_of(definition)
    if not problems and following(definition.timing, now).occurrence is None:
        field = "at" if isinstance(definition.timing, Once) else "cron_expression"
        problems.append((field, "lies in the past: it would never fire"))
    return problems


def _update(command: UpdateSchedule, course: Course) -> Decision:
    problems = problems_of(command.definition)
    if not problems and command.definition.timing != course.state.definition.timing:
        problems = _problems(command.definition, course.now)
    if problems:
        return _refused(course.state, "invalid_schedule", "the schedule is not valid", problems)
    _change(course, command.definition, course.state.revision)
    return course.decision()


def _change(course: Course, definition: Definition, revision: int) -> None:
    """Define anew. What is due by the old definition fires first; nothing before now is made up for by the new one."""
    before = course.state
    other_times = definition.timing != before.definition.timing
    if other_times and before.status == "active":
        pass_time(course)
        course.skip_range(course.now, "changed")
    again = course.state.status == "ended"  # a one-off may just have fired
    course.note(ScheduleChanged(definition, course.now, revision, again))
    if (again or other_times) and course.state.status == "active":
        course.begin(course.now)
    if definition.policies.overlap == "allow":
        while course.state.waiting:
            fire_waiting(course)


def _pause(course: Course, reason: str) -> Decision:
    if course.state.status == "paused":
        return Decision((), course.state, DUPLICATE)
    if course.state.status == "ended":
        return _refused(course.state, "schedule_ended", "nothing is due any more: there is nothing to pause")
    pass_time(course)
    if course.state.status == "active":
        _drop_waiting(course, "paused")
        course.note(SchedulePaused(course.now, reason))
    return course.decision()


def _resume(course: Course) -> Decision:
    match course.state.status:
        case "active":
            return Decision((), course.state, DUPLICATE)
        case "ended":
            return _refused(course.state, "schedule_ended", "nothing is due any more: define it anew to run it again")
    course.skip_range(course.now, "paused")
    course.note(ScheduleResumed(course.now))
    course.begin(course.now)
    return course.decision()


def _drop_waiting(course: Course, reason: SkipReason) -> None:
    for each in course.state.waiting:
        course.skip(each, reason)


def _note_execution(command: NoteExecutionEnded, course: Course) -> Decision:
    state = course.state
    tracked = state.definition.policies.overlap != "allow"
    if tracked and command.execution_id not in state.open:
        return Decision((), state, DUPLICATE)
    message = command.message[:MAX_REASON]
    course.note(ExecutionNoted(command.ref, command.execution_id, command.status, course.now, message))
    fire_waiting(course)
    return course.decision()


def _start_backfill(command: StartBackfill, course: Course) -> Decision:
    state = course.state
    used = dict(state.used_backfills).get(command.backfill_id)
    if used is not None:
        if used == command.fingerprint:
            return Decision((), state, DUPLICATE)
        return _refused(state, "idempotency_mismatch", "the same id was used for another backfill")
    if len(state.backfills) >= MAX_BACKFILLS:
        return _refused(state, "too_many_backfills", f"{MAX_BACKFILLS} backfills are under way: wait or cancel one")
    timing = state.definition.timing
    due = between(timing, command.since - 1, command.until, MAX_BACKFILL + 1)
    problems = [
        field_and_text for applies, field_and_text in _backfill_checks(command, course.now, len(due)) if applies
    ]
    if problems:
        return _refused(state, "invalid_backfill", "the backfill is not possible", problems)
    course.note(
        BackfillStarted(
            command.backfill_id,
            command.since,
            command.until,
            len(due),
            command.per_minute,
            course.now,
            command.fingerprint,
        )
    )
    advance(course, command.backfill_id)
    return course.decision()


def _backfill_checks(command: StartBackfill, now: int, count: int) -> list[tuple[bool, tuple[str, str]]]:
    return [
        (command.since > command.until, ("from", "must not be after to")),
        (command.until > now, ("to", "must not lie in the future: the schedule fires that by itself")),
        (not 1 <= command.per_minute <= MOST_PER_MINUTE, ("per_minute", f"takes 1 to {MOST_PER_MINUTE}")),
        (count > MAX_BACKFILL, ("from", f"more than {MAX_BACKFILL} firings lie in the range: take a part of it")),
    ]


def _cancel_backfill(backfill_id: str, course: Course) -> Decision:
    if all(each.id != backfill_id for each in course.state.backfills):
        if backfill_id in dict(course.state.used_backfills):
            return Decision((), course.state, DUPLICATE)
        return _refused(course.state, "backfill_not_found", "this schedule has no such backfill")
    course.note(BackfillEnded(backfill_id, "cancelled", course.now))
    return course.decision()


def _cancel_backfills(course: Course) -> None:
    for each in course.state.backfills:
        course.note(BackfillEnded(each.id, "cancelled", course.now))


def _refused(
    state: Schedule | None, code: str, message: str, problems: list[tuple[str, str]] | None = None
) -> Decision:
    return Decision((), state, rejected(code, message, problems or ()))
