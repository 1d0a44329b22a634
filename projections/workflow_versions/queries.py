"""Reads of the immutable versions of workflows."""

from datetime import datetime

import msgspec

from projections.connection import Connection, Row, as_uuid
from projections.sql import load_queries

_SQL = load_queries(__package__)


class WorkflowVersionRow(msgspec.Struct, frozen=True):
    """`document`: JSON text as posted, or `{"$blob": id}` where it is stored outside; None in lists."""

    workflow_id: str
    version: int
    workspace_id: str
    name: str
    document: str | None
    created_at: datetime


async def get_version(
    connection: Connection, workspace_id: str, workflow_id: str, version: int
) -> WorkflowVersionRow | None:
    workspace, workflow = as_uuid(workspace_id), as_uuid(workflow_id)
    if workspace is None or workflow is None:
        return None
    row = await connection.fetchrow(_SQL["get_version"], workspace, workflow, version)
    return None if row is None else _version(row)


async def list_versions(
    connection: Connection,
    workspace_id: str,
    workflow_id: str,
    *,
    limit: int = 50,
    before_version: int | None = None,
) -> list[WorkflowVersionRow]:
    """Newest first, without documents. `before_version`: the last one of the page before."""
    workspace, workflow = as_uuid(workspace_id), as_uuid(workflow_id)
    if workspace is None or workflow is None:
        return []
    rows = await connection.fetch(_SQL["list_versions"], workspace, workflow, before_version, limit)
    return [_version(row) for row in rows]


def _version(row: Row) -> WorkflowVersionRow:
    return WorkflowVersionRow(
        workflow_id=row["workflow_id"],
        version=row["version"],
        workspace_id=row["workspace_id"],
        name=row["name"],
        document=row["document"],
        created_at=row["created_at"],
    )
