"""Reads of workspaces and API keys."""

from datetime import datetime

import msgspec

from projections.connection import Connection, Row, as_uuid
from projections.sql import load_queries

_SQL = load_queries(__package__)


class WorkspaceRow(msgspec.Struct, frozen=True):
    id: str
    name: str
    created_at: datetime
    weight: float = 1.0
    concurrent: int | None = None
    retention_days: int | None = None
    payload_retention_days: int | None = None


class ApiKeyRow(msgspec.Struct, frozen=True):
    key_hash: str
    key_id: str
    workspace_id: str
    prefix: str
    name: str
    created_at: datetime
    revoked_at: datetime | None


async def get_workspace(connection: Connection, workspace_id: str) -> WorkspaceRow | None:
    key = as_uuid(workspace_id)
    row = None if key is None else await connection.fetchrow(_SQL["get_workspace"], key)
    return None if row is None else _workspace(row)


async def find_workspaces_by_name(connection: Connection, name: str) -> list[WorkspaceRow]:
    """For the operator's command line only: names are not unique. Oldest first, at most 100."""
    return [_workspace(row) for row in await connection.fetch(_SQL["find_workspaces_by_name"], name)]


async def list_workspaces(connection: Connection, after: str | None = None, limit: int = 100) -> list[WorkspaceRow]:
    """For the operator's command line only. By id."""
    key = as_uuid(after or "00000000-0000-0000-0000-000000000000")
    return [_workspace(row) for row in await connection.fetch(_SQL["list_workspaces"], key, limit)]


async def load_shares(connection: Connection) -> dict[str, tuple[float, int | None]]:
    """(weight, executions side by side) of the workspaces whose share was set."""
    rows = await connection.fetch(_SQL["load_shares"])
    return {row["id"]: (row["weight"], row["concurrent"]) for row in rows}


async def find_api_key(connection: Connection, key_hash: str) -> ApiKeyRow | None:
    """The key that is not revoked, whatever its workspace: this is where a principal's workspace comes from."""
    row = await connection.fetchrow(_SQL["find_api_key"], key_hash)
    return None if row is None else _api_key(row)


async def list_api_keys(connection: Connection, workspace_id: str) -> list[ApiKeyRow]:
    """Oldest first, revoked ones too, at most 1000."""
    key = as_uuid(workspace_id)
    rows = [] if key is None else await connection.fetch(_SQL["list_api_keys"], key)
    return [_api_key(row) for row in rows]


def _workspace(row: Row) -> WorkspaceRow:
    return WorkspaceRow(
        id=row["id"],
        name=row["name"],
        created_at=row["created_at"],
        weight=row["weight"],
        concurrent=row["concurrent"],
        retention_days=row["retention_days"],
        payload_retention_days=row["payload_retention_days"],
    )


def _api_key(row: Row) -> ApiKeyRow:
    return ApiKeyRow(
        key_hash=row["key_hash"],
        key_id=row["key_id"],
        workspace_id=row["workspace_id"],
        prefix=row["prefix"],
        name=row["name"],
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
    )
