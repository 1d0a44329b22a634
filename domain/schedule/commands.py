"""What can be asked of a schedule. Times: milliseconds since 1970.

A schedule reckons with its owner's time (ticks); `at` of a command says when its sender made it, for people.
"""

from typing import Literal

import msgspec

from domain.schedule.definition import Definition


class CreateSchedule(msgspec.Struct, frozen=True, omit_defaults=True):
    """`fingerprint`: hash of what was asked, so that the same id with another body is refused."""

    schedule_id: str
    definition: Definition
    at: int
    fingerprint: str = ""


class UpdateSchedule(msgspec.Struct, frozen=True, omit_defaults=True):
    """The whole definition anew. Instants before now are not made up for."""

    definition: Definition
    at: int


class PauseSchedule(msgspec.Struct, frozen=True, omit_defaults=True):
    at: int
    reason: str = ""


class ResumeSchedule(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came due in the pause is recorded as skipped."""

    at: int


class DeleteSchedule(msgspec.Struct, frozen=True, omit_defaults=True):
    at: int


class EnsureSchedule(msgspec.Struct, frozen=True, omit_defaults=True):
    """A workflow was activated that has this schedule in a node: it shall be as defined, and run.

    `revision` counts the workflow's activations and ends: an older one than the last seen changes nothing. Whoever
    paused the schedule resumes it: it stays paused.
    """

    definition: Definition
    revision: int
    at: int


class EndSchedule(msgspec.Struct, frozen=True, omit_defaults=True):
    """The workflow whose node this schedule is does not want it any more (deactivated, archived, changed)."""

    revision: int
    at: int
    reason: str = ""


class NoteExecutionEnded(msgspec.Struct, frozen=True, omit_defaults=True):
    """An execution that this schedule started has ended, or its start was refused. `ref`: the firing's id."""

    execution_id: str
    ref: str
    status: Literal["completed", "failed", "cancelled", "timeout", "refused"]
    at: int
    message: str = ""


class StartBackfill(msgspec.Struct, frozen=True, omit_defaults=True):
    """Fire what was due in [since, until], `per_minute` a minute."""

    backfill_id: str
    since: int
    until: int
    at: int
    per_minute: int = 60
    fingerprint: str = ""


class CancelBackfill(msgspec.Struct, frozen=True, omit_defaults=True):
    backfill_id: str
    at: int


ScheduleCommand = (
    CreateSchedule
    | UpdateSchedule
    | PauseSchedule
    | ResumeSchedule
    | DeleteSchedule
    | EnsureSchedule
    | EndSchedule
    | NoteExecutionEnded
    | StartBackfill
    | CancelBackfill
)
