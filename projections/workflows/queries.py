"""Reads of workflows."""

from datetime import datetime

import msgspec

from projections.connection import Connection, Row, as_uuid
from projections.sql import load_queries

_SQL = load_queries(__package__)


class WorkflowRow(msgspec.Struct, frozen=True):
    """`status`: draft, active, inactive, archived; `version`: the newest; `fingerprint`: of what created it."""

    id: str
    workspace_id: str
    name: str
    status: str
    version: int
    active_version: int | None
    created_at: datetime
    updated_at: datetime
    fingerprint: str
    stream_version: int


async def get_workflow(connection: Connection, workspace_id: str, workflow_id: str) -> WorkflowRow | None:
    workspace, workflow = as_uuid(workspace_id), as_uuid(workflow_id)
    if workspace is None or workflow is None:
        return None
    row = await connection.fetchrow(_SQL["get_workflow"], workspace, workflow)
    return None if row is None else _workflow(row)


async def list_workflows(
    connection: Connection,
    workspace_id: str,
    *,
    status: str | None = None,
    limit: int = 50,
    before: tuple[datetime, str] | None = None,
) -> list[WorkflowRow]:
    """Newest first. Without `status` all but archived ones. `before`: (created_at, id) of the last one of the page."""
    workspace = as_uuid(workspace_id)
    created_at, last = (None, None) if before is None else (before[0], as_uuid(before[1]))
    if workspace is None or (before is not None and last is None):
        return []
    rows = await connection.fetch(_SQL["list_workflows"], workspace, status, created_at, last, limit)
    return [_workflow(row) for row in rows]


def _workflow(row: Row) -> WorkflowRow:
    return WorkflowRow(
        id=row["id"],
        workspace_id=row["workspace_id"],
        name=row["name"],
        status=row["status"],
        version=row["version"],
        active_version=row["active_version"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        fingerprint=row["fingerprint"],
        stream_version=row["stream_version"],
    )
