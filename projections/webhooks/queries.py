"""Reads of webhook endpoints."""

import msgspec

from projections.connection import Connection, Row, as_uuid
from projections.sql import load_queries

_SQL = load_queries(__package__)


class WebhookRow(msgspec.Struct, frozen=True):
    """`respond`: at_once, when_done, with_node. An endpoint that is not active answers nobody."""

    endpoint_id: str
    workspace_id: str
    workflow_id: str
    workflow_version: int
    node: str
    method: str
    respond: str
    active: bool


async def find_webhook(connection: Connection, endpoint_id: str) -> WebhookRow | None:
    """By its secret address, whatever the workspace: callers of webhooks have no principal. Inactive ones too."""
    if "\x00" in endpoint_id:
        return None
    row = await connection.fetchrow(_SQL["find_webhook"], endpoint_id)
    return None if row is None else _webhook(row)


async def list_webhooks(connection: Connection, workspace_id: str, workflow_id: str) -> list[WebhookRow]:
    """All endpoints that the workflow ever had, active ones first."""
    workspace, workflow = as_uuid(workspace_id), as_uuid(workflow_id)
    if workspace is None or workflow is None:
        return []
    return [_webhook(row) for row in await connection.fetch(_SQL["list_webhooks"], workspace, workflow)]


def _webhook(row: Row) -> WebhookRow:
    return WebhookRow(
        endpoint_id=row["endpoint_id"],
        workspace_id=row["workspace_id"],
        workflow_id=row["workflow_id"],
        workflow_version=row["workflow_version"],
        node=row["node"],
        method=row["method"],
        respond=row["respond"],
        active=row["active"],
    )
