"""Reads of schedules, their firings and backfills. Times are aware datetimes, durations milliseconds."""

from datetime import datetime
from typing import TypeVar

import msgspec

from projections.connection import Connection, Row, as_uuid
from projections.sql import load_queries

_SQL = load_queries(__package__)
_Kind = TypeVar("_Kind", bound=msgspec.Struct)


class ScheduleRow(msgspec.Struct, frozen=True):
    """`status`: active, paused, ended, deleted; `definition`: JSON of a domain.schedule.definition.Definition."""

    id: str
    workspace_id: str
    workflow_id: str
    node: str
    of_workflow: bool
    name: str
    status: str
    reason: str
    definition: str
    next_run_at: datetime | None
    last_run_at: datetime | None
    last_execution_id: str | None
    run_count: int
    created_at: datetime
    updated_at: datetime
    fingerprint: str


class FiringRow(msgspec.Struct, frozen=True):
    """`outcome`: fired, late, waiting, skipped, suppressed; `dst`: gap, overlap or ""."""

    id: str
    due_at: datetime
    last_due_at: datetime
    local_time: str
    last_local_time: str
    outcome: str
    reason: str
    dst: str
    count: int
    more: bool
    late_by: int
    jitter: int
    execution_id: str | None
    execution_status: str
    message: str
    backfill_id: str | None
    at: datetime


class BackfillRow(msgspec.Struct, frozen=True):
    """`status`: running, completed, cancelled."""

    id: str
    since: datetime
    until: datetime
    total: int
    fired: int
    per_minute: int
    status: str
    started_at: datetime
    ended_at: datetime | None
    fingerprint: str


Before = tuple[datetime, str] | None
"""(time, id) of the last one of the page before."""


async def get_schedule(connection: Connection, workspace_id: str, schedule_id: str) -> ScheduleRow | None:
    """Deleted ones too."""
    workspace, schedule = as_uuid(workspace_id), as_uuid(schedule_id)
    if workspace is None or schedule is None:
        return None
    row = await connection.fetchrow(_SQL["get_schedule"], workspace, schedule)
    return None if row is None else _of(row, ScheduleRow)


async def list_schedules(
    connection: Connection,
    workspace_id: str,
    *,
    workflow_id: str | None = None,
    status: str | None = None,
    limit: int = 50,
    before: Before = None,
) -> list[ScheduleRow]:
    """Newest first. Without `status` all but deleted ones."""
    workspace, workflow = as_uuid(workspace_id), None if workflow_id is None else as_uuid(workflow_id)
    if workspace is None or (workflow_id is not None and workflow is None):
        return []
    rows = await connection.fetch(_SQL["list_schedules"], workspace, workflow, status, *_place(before), limit)
    return [_of(row, ScheduleRow) for row in rows]


async def list_firings(
    connection: Connection,
    workspace_id: str,
    schedule_id: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    outcome: str | None = None,
    backfill_id: str | None = None,
    limit: int = 50,
    before: Before = None,
) -> list[FiringRow]:
    """Newest due time first; those that touch [since, until)."""
    workspace, schedule = as_uuid(workspace_id), as_uuid(schedule_id)
    backfill = None if backfill_id is None else as_uuid(backfill_id)
    if workspace is None or schedule is None or (backfill_id is not None and backfill is None):
        return []
    rows = await connection.fetch(
        _SQL["list_firings"], workspace, schedule, since, until, outcome, backfill, *_place(before), limit
    )
    return [_of(row, FiringRow) for row in rows]


async def list_backfills(
    connection: Connection, workspace_id: str, schedule_id: str, *, limit: int = 50, before: Before = None
) -> list[BackfillRow]:
    workspace, schedule = as_uuid(workspace_id), as_uuid(schedule_id)
    if workspace is None or schedule is None:
        return []
    rows = await connection.fetch(_SQL["list_backfills"], workspace, schedule, *_place(before), limit)
    return [_of(row, BackfillRow) for row in rows]


async def get_backfill(
    connection: Connection, workspace_id: str, schedule_id: str, backfill_id: str
) -> BackfillRow | None:
    workspace, schedule, backfill = as_uuid(workspace_id), as_uuid(schedule_id), as_uuid(backfill_id)
    if workspace is None or schedule is None or backfill is None:
        return None
    row = await connection.fetchrow(_SQL["get_backfill"], workspace, schedule, backfill)
    return None if row is None else _of(row, BackfillRow)


def _place(before: Before) -> tuple[datetime | None, object]:
    return (None, None) if before is None else (before[0], as_uuid(before[1]))


def _of(row: Row, kind: type[_Kind]) -> _Kind:
    return kind(**{name: row[name] for name in kind.__struct_fields__})
