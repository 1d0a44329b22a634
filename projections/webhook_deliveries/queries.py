"""Reads of webhook deliveries: the rows of inboxes, together with the executions that were deliveries themselves."""

from datetime import datetime
from uuid import UUID

import msgspec

from projections.connection import Connection, Row, as_uuid
from projections.sql import Conditions, load_queries

_SQL = load_queries(__package__)
ACCEPTED = "accepted"


class DeliveryRow(msgspec.Struct, frozen=True):
    """`status`: accepted, held, duplicate, superseded, refused. `payload`: JSON text of the items, not in lists; None
    where it is the input of `execution_id`, or, if it `repeats`, what was in `duplicate_of`. `more`: so many others
    were refused like it and not kept. `fingerprint`: hash of what was asked with its Idempotency-Key, not in lists."""

    id: str
    workspace_id: str
    workflow_id: str
    workflow_version: int
    node: str
    endpoint_id: str
    status: str
    code: str
    reason: str
    duplicate_of: str | None
    repeats: bool
    superseded_by: str | None
    execution_id: str | None
    due_at: datetime | None
    more: int
    excerpt: str
    payload: str | None
    received_at: datetime
    fingerprint: str


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """None: whatever it is. `since` ≤ received_at < `until`."""

    status: str | None = None
    node: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def get_delivery(connection: Connection, workspace_id: str, delivery_id: str) -> DeliveryRow | None:
    workspace, delivery = as_uuid(workspace_id), as_uuid(delivery_id)
    if workspace is None or delivery is None:
        return None
    row = await connection.fetchrow(_SQL["get_delivery"], delivery, workspace)
    row = row or await connection.fetchrow(_SQL["get_direct"], delivery, workspace)
    return None if row is None else _row(row)


async def has_delivery_with_key(
    connection: Connection, workspace_id: str, endpoint_id: str, dedup_key: str, since: datetime
) -> bool:
    """Whether one that was taken since has this dedup key (a hash)."""
    return bool(
        await connection.fetchval(_SQL["has_delivery_with_key"], endpoint_id, dedup_key, since, as_uuid(workspace_id))
    )


async def list_deliveries(
    connection: Connection,
    workspace_id: str,
    workflow_id: str,
    wanted: Filter,
    *,
    limit: int,
    before: tuple[datetime, str] | None = None,
) -> list[DeliveryRow]:
    """Newest first by (received_at, id); `before`: those of the last one."""
    workspace, workflow = as_uuid(workspace_id), as_uuid(workflow_id)
    if workspace is None or workflow is None or (before is not None and as_uuid(before[1]) is None):
        return []
    kept = _conditions("workspace_id, workflow_id, node, received_at, id", workspace, workflow, wanted, before)
    direct = _conditions(
        "e.workspace_id, e.workflow_id, e.trigger_node, e.queued_at, e.id", workspace, workflow, wanted, before
    )
    # The same values stand at the same places in both; only the first one has the status.
    direct.add("e.delivery_id = e.id" if wanted.status in (None, ACCEPTED) else "false")
    if wanted.status is not None:
        kept.add("status = {}", wanted.status)
    query = _SQL["list_deliveries"].format(filters=kept.text, direct=direct.text, limit=kept.next)
    return [_row(row) for row in await connection.fetch(query, *kept.arguments, limit)]


def _conditions(
    columns: str, workspace: UUID, workflow: UUID, wanted: Filter, before: tuple[datetime, str] | None
) -> Conditions:
    space, flow, node, moment, key = columns.split(", ")
    conditions = Conditions()
    conditions.add(f"{space} = {{}}", workspace)
    conditions.add(f"{flow} = {{}}", workflow)
    if wanted.node is not None:
        conditions.add(f"{node} = {{}}", wanted.node)
    if wanted.since is not None:
        conditions.add(f"{moment} >= {{}}", wanted.since)
    if wanted.until is not None:
        conditions.add(f"{moment} < {{}}", wanted.until)
    if before is not None:
        conditions.add(f"({moment}, {key}) < ({{}}, {{}})", before[0], as_uuid(before[1]))
        conditions.add(f"{moment} <= {{}}", before[0])  # only this one lets the planner leave later months out
    return conditions


def _row(row: Row) -> DeliveryRow:
    return DeliveryRow(**{name: row[name] for name in DeliveryRow.__struct_fields__})
