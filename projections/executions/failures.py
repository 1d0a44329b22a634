"""Finding executions that failed and were not run again: what a repair is for."""

from datetime import datetime

import msgspec

from domain.subscription.deliveries import TRIGGER as DELIVERY
from projections.connection import Connection, as_uuid
from projections.sql import Conditions, load_queries

_SQL = load_queries(__package__)


class FailureFilter(msgspec.Struct, frozen=True, kw_only=True):
    """None: whatever it is. `since` ≤ queued_at < `until`."""

    statuses: tuple[str, ...] = ("failed", "timeout")
    workflow_id: str | None = None
    workflow_version: int | None = None
    error_code: str | None = None
    node_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def find_failures(
    connection: Connection,
    workspace_id: str,
    wanted: FailureFilter,
    *,
    limit: int,
    after: tuple[datetime, str] | None = None,
) -> list[tuple[datetime, str]]:
    """(queued_at, id), oldest first, behind `after`."""
    conditions = Conditions()
    where = conditions.add
    where("workspace_id = {} AND status <> 'completed' AND status = ANY({})", as_uuid(workspace_id), [*wanted.statuses])
    where("trigger_type <> {}", DELIVERY)  # a subscription's deliveries are sent again by itself
    for condition, value in (
        ("workflow_id = {}", wanted.workflow_id and as_uuid(wanted.workflow_id)),
        ("workflow_version = {}", wanted.workflow_version),
        ("error->>'code' = {}", wanted.error_code),
        ("error->>'node_id' = {}", wanted.node_id),
        ("queued_at >= {}", wanted.since),
        ("queued_at < {}", wanted.until),
    ):
        if value is not None:
            where(condition, value)
    if wanted.workflow_id is not None and as_uuid(wanted.workflow_id) is None:
        return []
    if after is not None:
        where("(queued_at, id) > ({}, {})", after[0], as_uuid(after[1]))
    query = _SQL["find_failures"].format(filters=conditions.text, limit=conditions.next)
    return [(row["queued_at"], row["id"]) for row in await connection.fetch(query, *conditions.arguments, limit)]
