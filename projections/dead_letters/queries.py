"""Reads of dead letters. Those that belong to no workspace (nothing of them could be read) are the operator's."""

from datetime import datetime

import msgspec

from projections.connection import Connection, Row, as_uuid
from projections.sql import load_queries

_SQL = load_queries(__package__)


class DeadLetterRow(msgspec.Struct, frozen=True):
    """`status`: open, redriven, discarded; `body`: JSON text of the command's data, not in lists."""

    id: str
    workspace_id: str | None
    topic: str
    partition: int
    position: int
    code: str
    reason: str
    command: str
    stream: str
    excerpt: str
    body: str | None
    status: str
    attempts: int
    last_stream: str | None
    last_by: str | None
    discard_reason: str | None
    reviewed_at: datetime | None
    created_at: datetime
    updated_at: datetime


class Filter(msgspec.Struct, frozen=True):
    """Of a list. `operator`: those of no workspace, too."""

    operator: bool = False
    status: str | None = None
    code: str | None = None
    command: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def get_dead_letter(
    connection: Connection, workspace: str, letter_id: str, *, operator: bool = False
) -> DeadLetterRow | None:
    key, space = as_uuid(letter_id), as_uuid(workspace)
    if key is None or space is None:
        return None
    row = await connection.fetchrow(_SQL["get_dead_letter"], key, space, operator)
    return None if row is None else _row(row)


async def list_dead_letters(
    connection: Connection, workspace: str, wanted: Filter, *, limit: int, before: tuple[datetime, str] | None = None
) -> list[DeadLetterRow]:
    """Newest first."""
    space = as_uuid(workspace)
    if space is None:
        return []
    moment, last = before if before is not None else (None, None)
    rows = await connection.fetch(
        _SQL["list_dead_letters"], space, *_conditions(wanted), moment, as_uuid(last) if last else None, limit
    )
    return [_row(row) for row in rows]


async def count_dead_letters(connection: Connection, workspace: str, wanted: Filter) -> int:
    space = as_uuid(workspace)
    if space is None:
        return 0
    return int(await connection.fetchval(_SQL["count_dead_letters"], space, *_conditions(wanted)))


def _conditions(wanted: Filter) -> tuple[object, ...]:
    return (wanted.operator, wanted.status, wanted.code, wanted.command, wanted.since, wanted.until)


def _row(row: Row) -> DeadLetterRow:
    return DeadLetterRow(**{name: row[name] for name in DeadLetterRow.__struct_fields__})
