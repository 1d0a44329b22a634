"""Takes away executions that ended long ago, and the payloads of those that ended some time ago.

First the horizons are stored, then whole months are dropped where nothing of them is kept, then rows go in small
batches. What is open is never touched, however old it is. A rebuild stops it: what is left goes the next time.
"""
# ruff: noqa: S608 - names of our own

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg

from domain.schedule.zones import moment_of
from infra.postgres.pool import PooledConnection
from projections.retention import (
    AGED_PAYLOADS,
    AGED_TABLES,
    REBUILDING,
    aged_payloads,
    fade,
    faded,
    has_payloads,
)
from services.housekeeping.jobs import Work

BATCH: Final = 1_000
"""Executions of one transaction."""
_KEYS: Final = {"node_executions": "execution_id", "executions": "id"}
"""The tables of executions, the rows of the nodes first; the column with the execution's id."""
_LOCK_TIMEOUT: Final = "500ms"
_WORTH_A_VACUUM: Final = 1_000

_KEPT_OF_MONTH: Final = (
    'FROM read."executions_{month}" e LEFT JOIN read.horizons h ON h.workspace_id = e.workspace_id'
    " WHERE (e.completed_at < h.ended_before AND e.queued_at < h.ended_before) IS NOT TRUE"
)
_GONE: Final = "unnest($1::timestamptz[], $2::uuid[]) AS gone(queued_at, id)"
"""The keys of executions."""


class RebuildUnderWay(Exception):
    """Rows are being rebuilt: nothing may be taken away now."""

    code = "rebuild_under_way"


@asynccontextmanager
async def batch(work: Work) -> AsyncIterator[PooledConnection]:
    """A transaction in which no rebuild goes on. Raises RebuildUnderWay."""
    async with work.pool.acquire() as connection, connection.transaction():
        if not await connection.fetchval("SELECT pg_try_advisory_xact_lock_shared($1)", REBUILDING):
            raise RebuildUnderWay("a rebuild is under way; what is left goes the next time")
        yield connection


async def apply_retention(work: Work) -> None:
    """Figures: months (dropped), executions, payloads (of executions and deliveries), uses (of large values), and rows
    of the other tables that age."""
    work.figures.update(months=0, executions=0, payloads=0, uses=0, **dict.fromkeys(AGED_TABLES, 0))
    await _store_horizons(work)
    touched = set[str]()
    await _drop_months(work)
    for row in await work.pool.fetch("SELECT workspace_id, ended_before, payloads_before FROM horizons"):
        touched |= await _take_executions(work, row["workspace_id"], row["ended_before"])
        touched |= await _take_payloads(work, row["workspace_id"], row["payloads_before"])
        await _take_aged(work, row["workspace_id"], row["ended_before"])
        await _take_aged_payloads(work, row["workspace_id"], row["payloads_before"])
    await forget_uses(work)
    if work.figures["executions"] + work.figures["payloads"] >= _WORTH_A_VACUUM:
        for month in sorted(touched):
            for table in _KEYS:
                await work.pool.execute(f'VACUUM (ANALYZE) read."{table}_{month}"')


async def _store_horizons(work: Work) -> None:
    """They never go back: what is gone is gone, also where somebody wants to keep things longer from now on."""
    now = moment_of(work.now)
    horizons = []
    for row in await work.pool.fetch("SELECT id, retention_days, payload_retention_days FROM workspaces"):
        days = row["retention_days"] or work.retention_days
        payload_days = min(row["payload_retention_days"] or work.payload_retention_days or days, days)
        horizons.append((row["id"], now - timedelta(days=days), now - timedelta(days=payload_days)))
    async with batch(work) as connection:
        await connection.executemany(
            "INSERT INTO horizons AS h (workspace_id, ended_before, payloads_before) VALUES ($1, $2, $3)"
            " ON CONFLICT (workspace_id) DO UPDATE SET ended_before = greatest(h.ended_before, excluded.ended_before),"
            " payloads_before = greatest(h.payloads_before, excluded.payloads_before)",
            horizons,
        )


async def _drop_months(work: Work) -> None:
    """Drop the partitions of months of which nothing is kept: cheap, however many rows they have."""
    oldest_kept = await work.pool.fetchval("SELECT max(ended_before) FROM horizons")
    names = await work.pool.fetch(
        "SELECT substr(tablename, 12) AS month FROM pg_tables WHERE schemaname = 'read'"
        " AND tablename ~ '^executions_[0-9]{4}_[0-9]{2}$' ORDER BY 1"
    )
    for month in (row["month"] for row in names):
        if month < f"{oldest_kept:%Y_%m}" and not await _is_kept(work.pool, month):
            work.count("months", await _drop_month(work, month))


async def _is_kept(connection: Any, month: str) -> bool:
    """Whether the month has an execution that is open or ended lately enough. The first one ends the search."""
    return bool(await connection.fetchval(f"SELECT EXISTS (SELECT {_KEPT_OF_MONTH.format(month=month)})"))


async def _drop_month(work: Work, month: str) -> int:
    """Its rows are looked at once more while nobody can write to it; everybody else waits for the drop alone, for half
    a second at most. If somebody does not let it through, the next run does it."""
    try:
        async with batch(work) as connection:
            await connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
            await connection.execute(f'LOCK TABLE read."executions_{month}" IN SHARE MODE')
            if await _is_kept(connection, month):
                return 0
            counted = await connection.fetchval(f'SELECT count(*) FROM read."executions_{month}"')
            await connection.execute("LOCK TABLE ONLY read.executions, read.node_executions IN ACCESS EXCLUSIVE MODE")
            for table in _KEYS:
                await connection.execute(f'DROP TABLE IF EXISTS read."{table}_{month}"')
    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
        return 0
    work.count("executions", counted)
    return 1


async def _take_executions(work: Work, workspace: UUID, before: datetime) -> set[str]:
    """Delete what ended before; the months that had some of it."""
    statements = [
        f"DELETE FROM {table} x USING {_GONE} WHERE x.{key} = gone.id AND x.queued_at = gone.queued_at"
        for table, key in _KEYS.items()
    ]
    return await _in_batches(work, "executions", workspace, before, "true", statements)


async def _take_payloads(work: Work, workspace: UUID, before: datetime) -> set[str]:
    """Take the inputs and outputs of what ended before; the months that had some of it."""
    statements = [
        f"UPDATE {table} x SET {fade(table)} FROM {_GONE} WHERE x.{key} = gone.id AND x.queued_at = gone.queued_at"
        for table, key in _KEYS.items()
    ]
    left = has_payloads("executions", "executions")
    return await _in_batches(work, "payloads", workspace, before, left, statements)


async def _take_aged(work: Work, workspace: UUID, before: datetime) -> None:
    for table in AGED_TABLES:
        await _in_aged_batches(work, table, take_aged(table), workspace, before)


async def _take_aged_payloads(work: Work, workspace: UUID, before: datetime) -> None:
    for table, (empty, _) in AGED_PAYLOADS.items():
        statement = _on_aged(f"UPDATE {table} SET {empty}", table, aged_payloads(table))
        await _in_aged_batches(work, "payloads", statement, workspace, before)


async def _in_aged_batches(work: Work, figure: str, statement: str, workspace: UUID, before: datetime) -> None:
    while True:
        async with batch(work) as connection:
            done = await connection.execute(statement, workspace, before, BATCH)
        count = int(done.rpartition(" ")[2])
        work.count(figure, count)
        if count < BATCH:
            break


def take_aged(table: str) -> str:
    """Deletes rows of $1 (workspace) from before $2, $3 at most."""
    return _on_aged(f"DELETE FROM {table}", table, AGED_TABLES[table][1])


def _on_aged(change: str, table: str, condition: str) -> str:
    at = AGED_TABLES[table][0]
    return (
        f"{change} WHERE id IN (SELECT x.id FROM {table} x"
        f" WHERE x.workspace_id = $1 AND x.{at} < $2 AND {condition} LIMIT $3)"
    )


async def _in_batches(
    work: Work, figure: str, workspace: UUID, before: datetime, condition: str, statements: Sequence[str]
) -> set[str]:
    """Run `statements` for the executions of `workspace` that ended `before` and fulfil `condition`, oldest first."""
    months = set[str]()
    place: tuple[datetime, UUID] = (moment_of(0), UUID(int=0))
    while True:
        began = time.monotonic()
        async with batch(work) as connection:
            rows = await connection.fetch(
                f"SELECT queued_at, id FROM executions WHERE workspace_id = $1 AND queued_at < $2 AND completed_at < $2"
                f" AND (queued_at, id) > ($3, $4) AND {condition} ORDER BY queued_at, id LIMIT $5",
                workspace,
                before,
                *place,
                BATCH,
            )
            keys = [row["queued_at"] for row in rows], [row["id"] for row in rows]
            for statement in statements if rows else ():
                await connection.execute(statement, *keys)
        if not rows:
            return months
        place = (rows[-1]["queued_at"], rows[-1]["id"])
        months |= {f"{row['queued_at']:%Y_%m}" for row in rows}
        work.count(figure, len(rows))
        await asyncio.sleep(time.monotonic() - began)  # others have half of the time


async def forget_uses(work: Work) -> None:
    """Executions that are gone, or without their payloads, name no large values any more."""
    gone = (
        "u.queued_at < (SELECT max(ended_before) FROM horizons) AND NOT EXISTS"
        " (SELECT FROM executions e WHERE e.id = u.execution_id AND e.queued_at = u.queued_at)"
    )
    payloads_gone = (
        f"EXISTS (SELECT FROM executions e WHERE e.id = u.execution_id AND e.queued_at = u.queued_at AND {faded('e')})"
    )
    for condition in (gone, payloads_gone):
        async with batch(work) as connection:
            done = await connection.execute(f"DELETE FROM blob_uses u WHERE {condition}")
        work.count("uses", int(done.rpartition(" ")[2]))
