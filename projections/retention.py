"""What retention has taken away: from the rows (horizons) and from the log (cuts).

Both are recorded before anything is deleted. Rows are then still a fold of the log: of what is left of it, behind the
cuts, on top of the usage that was counted before them, without the executions that ended before the horizons. So a
rebuild gives the same rows, and verify knows what may be missing. Rules: docs/retention.md.
"""
# ruff: noqa: S608 - names of our own

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from projections.connection import Connection
from projections.positions import Place
from projections.usage.projection import COUNTED
from schemas.envelope import Epoch

REBUILDING: Final = 0x4C4B464C52454255
"""The advisory lock of who rebuilds read models: retention stands still meanwhile, and has it, shared, for a batch."""

TABLES: Final = f"""
CREATE TABLE IF NOT EXISTS log_cuts (
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    epoch_offset bigint,
    epoch_nonce text,
    next_n bigint NOT NULL,
    answered bigint NOT NULL,
    PRIMARY KEY (topic, partition)
);
CREATE TABLE IF NOT EXISTS horizons (
    workspace_id uuid PRIMARY KEY,
    ended_before timestamptz NOT NULL,
    payloads_before timestamptz NOT NULL
);
CREATE TABLE IF NOT EXISTS usage_before_cuts (
    workspace_id uuid NOT NULL,
    hour timestamptz NOT NULL,
    {", ".join(f"{name} bigint NOT NULL" for name in COUNTED)},
    PRIMARY KEY (workspace_id, hour)
);
DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = 'usage_before_cuts'::regclass AND attname = 'deliveries' AND NOT attisdropped
    ) THEN
        ALTER TABLE usage_before_cuts ADD COLUMN deliveries bigint NOT NULL DEFAULT 0;
    END IF;
END $$;
"""
"""In the schema of the live read models; a rebuild leaves them alone. An ALTER TABLE waits for all who read, even where
it has nothing to do: it is done where the column is missing."""

_HORIZON = "(SELECT h.{column} FROM read.horizons h WHERE h.workspace_id = {row}.workspace_id)"
"""Null, so that nothing lies before it, for a workspace that nobody knows."""

FADED_COLUMNS: Final = {
    "executions": ("variables", "input", "output", "response"),
    "node_executions": ("output", "logs"),
}
"""What goes with the payloads: users' data. What happened, when, and errors stay."""

AGED_TABLES: Final = {
    "schedule_firings": ("at", "true"),
    "webhook_deliveries": ("updated_at", "x.status <> 'held'"),
    "event_deliveries": ("ended_at", "x.ended_at IS NOT NULL"),
    "event_redeliveries": ("at", "true"),
    "schedule_backfills": ("ended_at", "x.ended_at IS NOT NULL"),
    "dead_letters": ("updated_at", "x.status <> 'open'"),
}
"""Rows of other tables that go with the executions of their time: the column that says when, and which may go. Each has
an index on workspace and that column, of those that may go."""

AGED_PAYLOADS: Final = {
    "webhook_deliveries": ("payload = NULL, excerpt = ''", "(x.payload IS NOT NULL OR x.excerpt <> '')"),
    "event_deliveries": ("notice = NULL", "x.notice IS NOT NULL"),
}
"""What goes from such a row with the payloads of its time, and what says that there is something of it."""


class Horizon(msgspec.Struct, frozen=True):
    """Executions that ended before these times may be gone; may be without their payloads."""

    ended_before: datetime
    payloads_before: datetime


class HistoryMissing(Exception):
    """The log begins later than retention has recorded: somebody else cut it, and what was there is lost."""

    code = "history_missing"


async def load_cuts(connection: Connection) -> dict[tuple[str, int], Place]:
    """(commit topic, partition) → where its history begins; those that were never cut are left out."""
    rows = await connection.fetch(
        "SELECT topic, partition, next_offset, epoch_offset, epoch_nonce, next_n, answered FROM read.log_cuts"
    )
    return {
        (row["topic"], row["partition"]): Place(
            row["next_offset"],
            None if row["epoch_nonce"] is None else Epoch(row["epoch_offset"], row["epoch_nonce"]),
            row["next_n"],
            row["answered"],
        )
        for row in rows
    }


async def load_horizons(connection: Connection) -> dict[str, Horizon]:
    """Workspace → its horizon; nothing is taken from one that has none."""
    rows = await connection.fetch("SELECT workspace_id::text, ended_before, payloads_before FROM read.horizons")
    return {row["workspace_id"]: Horizon(row["ended_before"], row["payloads_before"]) for row in rows}


def begin_of_history(key: tuple[str, int], first_offset: int, cuts: dict[tuple[str, int], Place]) -> Place:
    """Where a fold of a partition begins. `first_offset`: of the oldest record that the log has. Raises HistoryMissing:
    records are gone that nobody has summed up."""
    place = cuts.get(key, Place())
    if first_offset > place.next_offset:
        topic, partition = key
        raise HistoryMissing(
            f"{topic}/{partition} begins at offset {first_offset}, but retention has cut it at {place.next_offset}"
            " only: history is missing"
        )
    return place


def ended(row: str) -> str:
    """Condition: execution `row` (an alias) ended before its workspace's horizon."""
    return _lies_before(row, "ended_before")


def faded(row: str) -> str:
    """Condition: execution `row` ended before the horizon of the payloads."""
    return _lies_before(row, "payloads_before")


def _lies_before(row: str, column: str) -> str:
    """It was also asked for before the horizon: another clock, and the one that the tables are in order of."""
    horizon = _HORIZON.format(column=column, row=row)
    return f"{row}.completed_at < {horizon} AND {row}.queued_at < {horizon}"


def fade(table: str) -> str:
    """What an UPDATE sets to take the payloads of a row away."""
    return ", ".join(f"{name} = NULL" for name in FADED_COLUMNS[table])


def has_payloads(table: str, row: str) -> str:
    return "(" + " OR ".join(f"{row}.{name} IS NOT NULL" for name in FADED_COLUMNS[table]) + ")"


def expire(executions: str, others: Sequence[str], schema: str) -> list[str]:
    """Statements that take from freshly folded tables in `schema` what retention has taken from the live ones.

    `executions`: the qualified table that says which executions are kept; `others`: the names of the folded tables.
    """
    kept = f"SELECT FROM {executions} e WHERE e.id = x.execution_id AND e.queued_at = x.queued_at"
    # An execution that was taken away was queued before it ended.
    old = "x.queued_at < (SELECT max(ended_before) FROM read.horizons)"
    statements = []
    if "executions" in others:
        own = f"{schema}.executions"
        statements += [
            f"DELETE FROM {own} x WHERE {ended('x')}",
            f"UPDATE {own} x SET {fade('executions')} WHERE {faded('x')} AND {has_payloads('executions', 'x')}",
        ]
    if "node_executions" in others:
        own = f"{schema}.node_executions"
        left = has_payloads("node_executions", "x")
        statements += [
            f"DELETE FROM {own} x WHERE {old} AND NOT EXISTS ({kept})",
            f"UPDATE {own} x SET {fade('node_executions')} WHERE {left} AND EXISTS ({kept} AND {faded('e')})",
        ]
    if "blob_uses" in others:
        own = f"{schema}.blob_uses"
        statements.append(f"DELETE FROM {own} x WHERE {old} AND NOT EXISTS ({kept} AND ({faded('e')}) IS NOT TRUE)")
    before = _HORIZON.format(column="ended_before", row="x")
    statements += [
        f"DELETE FROM {schema}.{table} x WHERE {condition} AND x.{at} < {before}"
        for table, (at, condition) in AGED_TABLES.items()
        if table in others
    ]
    statements += [
        f"UPDATE {schema}.{table} x SET {empty} WHERE {aged_payloads(table)}"
        f" AND x.{AGED_TABLES[table][0]} < {_HORIZON.format(column='payloads_before', row='x')}"
        for table, (empty, _) in AGED_PAYLOADS.items()
        if table in others
    ]
    return statements


def aged_payloads(table: str) -> str:
    """Condition: row `x` of such a table is over, and has its payload."""
    return f"{AGED_TABLES[table][1]} AND {AGED_PAYLOADS[table][1]}"
