"""Schedules, why each of their firings did or did not happen, and their backfills."""

import msgspec

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
    ScheduleFired,
    SchedulePaused,
    ScheduleResumed,
)
from projections.facts import Commit, text
from projections.operations import Insert, Operation, Table, Update, Upsert, Values

VERSION = 2
LATE_MS = 5_000
"""A firing that is further behind is called late; ticks come every second."""

SCHEDULES = Table(
    name="schedules",
    key=("id",),
    columns={
        "id": "uuid",
        "workspace_id": "uuid",
        "workflow_id": "uuid",
        "node": "text",
        "of_workflow": "boolean",
        "name": "text",
        "status": "text",
        "reason": "text",
        "definition": "json",
        "next_run_at": "time",
        "last_run_at": "time",
        "last_execution_id": "uuid",
        "run_count": "bigint",
        "created_at": "time",
        "updated_at": "time",
        "fingerprint": "text",
        "stream_version": "bigint",
    },
)
FIRINGS = Table(
    name="schedule_firings",
    key=("id",),
    columns={
        "id": "uuid",
        "schedule_id": "uuid",
        "workspace_id": "uuid",
        "due_at": "time",
        "last_due_at": "time",
        "local_time": "text",
        "last_local_time": "text",
        "outcome": "text",
        "reason": "text",
        "dst": "text",
        "count": "bigint",
        "more": "boolean",
        "late_by": "bigint",
        "jitter": "bigint",
        "execution_id": "uuid",
        "execution_status": "text",
        "message": "text",
        "backfill_id": "uuid",
        "at": "time",
    },
)
BACKFILLS = Table(
    name="schedule_backfills",
    key=("id",),
    columns={
        "id": "uuid",
        "schedule_id": "uuid",
        "workspace_id": "uuid",
        "since": "time",
        "until": "time",
        "total": "bigint",
        "fired": "bigint",
        "per_minute": "integer",
        "status": "text",
        "started_at": "time",
        "ended_at": "time",
        "fingerprint": "text",
    },
)
TABLES = (SCHEDULES, FIRINGS, BACKFILLS)


def project(commit: Commit) -> list[Operation]:
    """All changes of the schedule's own row as one, and one operation for each firing and backfill."""
    operations: list[Operation] = []
    changes: Values = {}
    for event, _, _ in commit.facts:
        if isinstance(event, ScheduleCreated):
            operations.append(Insert("schedules", (commit.id,), _created(commit, event)))
            continue
        changes.update(_changes(event))
        operations.extend(_beside(commit, event))
    if commit.facts:
        operations.append(Update("schedules", (commit.id,), {**changes, "stream_version": commit.version}))
    return operations


def _created(commit: Commit, event: ScheduleCreated) -> Values:
    return {
        "workspace_id": commit.workspace,
        **_defined(event.definition),
        "status": "active",
        "reason": "",
        "next_run_at": None,
        "last_run_at": None,
        "last_execution_id": None,
        "run_count": 0,
        "created_at": event.at,
        "updated_at": event.at,
        "fingerprint": text(event.fingerprint),
        "stream_version": commit.version,
    }


def _defined(definition: Definition) -> Values:
    return {
        "workflow_id": definition.workflow_id,
        "node": text(definition.node),
        "of_workflow": definition.of_workflow,
        "name": text(definition.name),
        "definition": msgspec.json.encode(definition).decode(),
    }


def _changes(event: object) -> Values:
    """What an event changes of the schedule's row."""
    match event:
        case ScheduleChanged():
            return {**_defined(event.definition), "updated_at": event.at, **_runs_again(event)}
        case SchedulePaused():
            return {"status": "paused", "reason": text(event.reason), "next_run_at": None, "updated_at": event.at}
        case ScheduleResumed():
            return {"status": "active", "reason": "", "updated_at": event.at}
        case ScheduleEnded():
            return {"status": "ended", "reason": text(event.reason), "next_run_at": None, "updated_at": event.at}
        case ScheduleDeleted():
            return {"status": "deleted", "reason": "", "next_run_at": None, "updated_at": event.at}
        case ScheduleArmed():
            return {"next_run_at": event.due}
        case ScheduleFired():
            run = {"last_run_at": event.at, "last_execution_id": event.execution_id}
            return run if event.backfill else {**run, "run_count": event.number}
    return {}


def _runs_again(event: ScheduleChanged) -> Values:
    return {"status": "active", "reason": ""} if event.again else {}


def _beside(commit: Commit, event: object) -> list[Operation]:
    """The rows of firings and backfills."""
    match event:
        case ScheduleFired():
            fired = [_firing(commit, event.firing_id, event.due, event.local, event.at, _fired(event))]
            return [*fired, *_advanced(event)]
        case FiringDeferred():
            waits = {"outcome": "waiting", "reason": "overlap", "dst": event.rule, "execution_id": event.execution_id}
            return [_firing(commit, event.firing_id, event.due, event.local, event.at, waits)]
        case FiringsSkipped():
            return [_firing(commit, event.firing_id, event.first_due, event.first_local, event.at, _skipped(event))]
        case FiringSuppressed():
            return [_firing(commit, event.firing_id, event.due, event.first_local, event.at, _suppressed(event))]
        case ExecutionNoted():
            values: Values = {"execution_status": text(event.status), "message": text(event.message)}
            return [Update("schedule_firings", (event.firing_id,), values)]
        case BackfillStarted():
            return [Insert("schedule_backfills", (event.backfill_id,), _backfill(commit, event))]
        case BackfillEnded():
            ended = {"status": event.status, "ended_at": event.at}
            return [Update("schedule_backfills", (event.backfill_id,), ended)]
    return []


def _firing(commit: Commit, firing_id: str, due: int, local: str, at: int, values: Values) -> Operation:
    """Everything said anew: a firing that waited becomes one that fired."""
    whole = {
        "schedule_id": commit.id,
        "workspace_id": commit.workspace,
        "due_at": due,
        "last_due_at": due,
        "local_time": local,
        "last_local_time": local,
        "outcome": "",
        "reason": "",
        "dst": "",
        "count": 1,
        "more": False,
        "late_by": 0,
        "jitter": 0,
        "execution_id": None,
        "execution_status": "",
        "message": "",
        "backfill_id": None,
        "at": at,
    }
    return Upsert("schedule_firings", (firing_id,), {**whole, **values})


def _fired(event: ScheduleFired) -> Values:
    return {
        "outcome": "late" if event.late_by > LATE_MS else "fired",
        "dst": event.rule,
        "late_by": event.late_by,
        "jitter": event.jitter,
        "execution_id": event.execution_id,
        "backfill_id": event.backfill or None,
    }


def _skipped(event: FiringsSkipped) -> Values:
    return {
        "last_due_at": event.last_due,
        "last_local_time": event.last_local,
        "outcome": "skipped",
        "reason": event.reason,
        "dst": event.rule,
        "count": event.count,
        "more": event.more,
        "execution_id": event.execution_id or None,
    }


def _suppressed(event: FiringSuppressed) -> Values:
    return {
        "last_local_time": event.last_local,
        "outcome": "suppressed",
        "reason": "dst",
        "dst": event.rule,
        "count": event.count,
    }


def _advanced(event: ScheduleFired) -> list[Operation]:
    return [Update("schedule_backfills", (event.backfill,), {"fired": event.number})] if event.backfill else []


def _backfill(commit: Commit, event: BackfillStarted) -> Values:
    return {
        "schedule_id": commit.id,
        "workspace_id": commit.workspace,
        "since": event.since,
        "until": event.until,
        "total": event.total,
        "fired": 0,
        "per_minute": event.per_minute,
        "status": "running",
        "started_at": event.at,
        "ended_at": None,
        "fingerprint": text(event.fingerprint),
    }
