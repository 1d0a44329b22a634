"""Reads of executions."""

from datetime import datetime
from typing import Any

import msgspec

from domain.subscription.deliveries import TRIGGER as DELIVERY
from projections.connection import Connection, Row, as_uuid
from projections.sql import Conditions, load_queries

_SQL = load_queries(__package__)


class ExecutionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a list. `delivery_id`: the webhook delivery that it comes from. `error`: JSON text {code, message,
    node_id?} or None."""

    id: str
    workspace_id: str
    workflow_id: str
    workflow_version: int
    status: str
    trigger_type: str
    trigger_node: str
    priority: str
    retry_of: str | None
    retry_count: int
    parent_id: str | None
    delivery_id: str | None
    recoveries: int
    error: str | None
    queued_at: datetime
    started_at: datetime | None
    completed_at: datetime | None


class ExecutionRow(ExecutionSummary, frozen=True, kw_only=True):
    """`input`, `output`: JSON text, a list of items, or `{"$blob": id}` where it is stored outside; None: not yet.
    `variables`: JSON text, those that it saw, or where they are stored; None: none.

    `response`: JSON text {status, headers, body} of what a respond node answered (`body_blob`: stored outside).
    """

    fingerprint: str
    variables: str | None
    input: str | None
    output: str | None
    response: str | None
    stream_version: int


async def get_execution(connection: Connection, workspace_id: str, execution_id: str) -> ExecutionRow | None:
    workspace, execution = as_uuid(workspace_id), as_uuid(execution_id)
    if workspace is None or execution is None:
        return None
    row = await connection.fetchrow(_SQL["get_execution"], execution, workspace)
    if row is None:
        return None
    return ExecutionRow(
        **_shared(row),
        fingerprint=row["fingerprint"],
        variables=row["variables"],
        input=row["input"],
        output=row["output"],
        response=row["response"],
        stream_version=row["stream_version"],
    )


async def find_fingerprint(connection: Connection, workspace_id: str, execution_id: str) -> str | None:
    """The fingerprint of the request that made this execution; None: the read model does not know it."""
    workspace, execution = as_uuid(workspace_id), as_uuid(execution_id)
    if workspace is None or execution is None:
        return None
    found: str | None = await connection.fetchval(_SQL["find_fingerprint"], execution, workspace)
    return found


async def list_repeats(connection: Connection, workspace_id: str, execution_id: str) -> list[str]:
    """The executions that repeat this one or go on with it, oldest first, at most a hundred."""
    workspace, execution = as_uuid(workspace_id), as_uuid(execution_id)
    if workspace is None or execution is None:
        return []
    return [row["id"] for row in await connection.fetch(_SQL["list_repeats"], execution, workspace)]


async def list_of_delivery(connection: Connection, workspace_id: str, delivery_id: str) -> list[str]:
    """The executions that an inbox or a person began from this delivery, oldest first, at most a hundred."""
    workspace, delivery = as_uuid(workspace_id), as_uuid(delivery_id)
    if workspace is None or delivery is None:
        return []
    return [row["id"] for row in await connection.fetch(_SQL["list_of_delivery"], delivery, workspace)]


async def list_executions(
    connection: Connection,
    workspace_id: str,
    *,
    workflow_id: str | None = None,
    status: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 50,
    before: tuple[datetime, str] | None = None,
) -> list[ExecutionSummary]:
    """Newest first by (queued_at, id); `since` ≤ queued_at < `until`; `before`: (queued_at, id) of the last one.

    Deliveries of subscriptions are there only if their workflow is asked for."""
    conditions = Conditions()
    where = conditions.add
    ids = [as_uuid(text) for text in (workspace_id, workflow_id, before and before[1]) if text is not None]
    if None in ids:
        return []
    where("workspace_id = {}", as_uuid(workspace_id))
    if workflow_id is not None:
        where("workflow_id = {}", as_uuid(workflow_id))
    else:
        where("trigger_type <> {}", DELIVERY)
    if status is not None:
        where("status = {}" if status == "completed" else "status = {} AND status <> 'completed'", status)
    if since is not None:
        where("queued_at >= {}", since)
    if until is not None:
        where("queued_at < {}", until)
    if before is not None:
        where("(queued_at, id) < ({}, {})", before[0], as_uuid(before[1]))
        # Said twice, because only this one lets the planner leave later months out.
        where("queued_at <= {}", before[0])
    query = _SQL["list_executions"].format(filters=conditions.text, limit=conditions.next)
    return [ExecutionSummary(**_shared(row)) for row in await connection.fetch(query, *conditions.arguments, limit)]


def _shared(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in ExecutionSummary.__struct_fields__}
