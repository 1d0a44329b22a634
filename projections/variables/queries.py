"""Reads of variables."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

import msgspec

from projections.connection import Connection, Row, as_uuid
from projections.sql import load_queries

_SQL = load_queries(__package__)


class VariableRow(msgspec.Struct, frozen=True):
    """`value`: JSON text."""

    workspace_id: str
    name: str
    value: str
    description: str
    version: int
    fingerprint: str
    created_at: datetime
    updated_at: datetime


async def get_variable(connection: Connection, workspace_id: str, name: str) -> VariableRow | None:
    workspace = as_uuid(workspace_id)
    if workspace is None or "\x00" in name:
        return None
    row = await connection.fetchrow(_SQL["get_variable"], workspace, name)
    return None if row is None else _variable(row)


async def find_requested(connection: Connection, workspace_id: str, request_id: str) -> VariableRow | None:
    """The variable that a request with an Idempotency-Key created."""
    workspace, request = as_uuid(workspace_id), as_uuid(request_id)
    if workspace is None or request is None:
        return None
    row = await connection.fetchrow(_SQL["find_requested"], workspace, request)
    return None if row is None else _variable(row)


async def list_variables(
    connection: Connection, workspace_id: str, *, limit: int = 50, after: str = ""
) -> list[VariableRow]:
    """By name, those behind `after`."""
    workspace = as_uuid(workspace_id)
    rows = [] if workspace is None else await connection.fetch(_SQL["list_variables"], workspace, after, limit)
    return [_variable(row) for row in rows]


async def load_values(
    connection: Connection, wanted: Collection[tuple[str, frozenset[str] | None]]
) -> dict[str, dict[str, Any]]:
    """Workspace → name → value, of the names that are wanted of each (None: all)."""
    pairs = [
        (workspace, name)
        for text, names in wanted
        if (workspace := as_uuid(text)) is not None
        for name in ([None] if names is None else names)
    ]
    found: dict[str, dict[str, Any]] = {}
    if pairs:
        columns = [list(column) for column in zip(*pairs, strict=True)]
        for row in await connection.fetch(_SQL["load_values"], *columns):
            found.setdefault(row["workspace_id"], {})[row["name"]] = msgspec.json.decode(row["value"])
    return found


def _variable(row: Row) -> VariableRow:
    return VariableRow(**{name: row[name] for name in VariableRow.__struct_fields__})
