"""Reads of usage. `by`: hour or day (of UTC); only hours and days in which something happened have a row."""

from datetime import datetime
from typing import Literal

import msgspec

from projections.connection import Connection, Row, as_uuid
from projections.sql import load_queries
from projections.usage.projection import COUNTED

_SQL = load_queries(__package__)

By = Literal["hour", "day"]


class UsageRow(msgspec.Struct, frozen=True):
    """`since`: the beginning of the hour or day; `counts`: by the names of COUNTED."""

    since: datetime
    counts: dict[str, int]
    workspace_id: str | None = None


async def usage_of_workspace(
    connection: Connection, workspace: str, by: By, since: datetime, until: datetime, *, limit: int
) -> list[UsageRow]:
    """Oldest first, of the hours that begin in [since, until)."""
    key = as_uuid(workspace)
    if key is None:
        return []
    rows = await connection.fetch(_SQL["usage_of_workspace"], key, by, since, until, limit)
    return [UsageRow(row["since"], _counts(row)) for row in rows]


async def usage_of_all(
    connection: Connection, by: By, since: datetime, until: datetime, *, limit: int
) -> list[UsageRow]:
    """For the operator: of all workspaces, oldest first."""
    rows = await connection.fetch(_SQL["usage_of_all"], by, since, until, limit)
    return [UsageRow(row["since"], _counts(row), row["workspace_id"]) for row in rows]


def _counts(row: Row) -> dict[str, int]:
    return {name: row[name] for name in COUNTED}
