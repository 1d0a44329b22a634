"""What dead processes left behind."""

from infra.postgres.heartbeats import PostgresHeartbeats
from projections.retention import REBUILDING
from services.housekeeping.jobs import Work


async def clear_leftovers(work: Work) -> None:
    """Figures: heartbeats (rows of processes gone for an hour), rebuilds (tables of one that did not end)."""
    work.count("heartbeats", await PostgresHeartbeats(work.pool).forget_silent())
    work.count("rebuilds", await _drop_half_built(work))


async def _drop_half_built(work: Work) -> int:
    there = "SELECT to_regnamespace('read_next') IS NOT NULL"
    if not await work.pool.fetchval(there):
        return 0  # without the lock: retention, which may begin in the same moment, would take it for a rebuild
    async with work.pool.acquire() as connection, connection.transaction():
        if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", REBUILDING):
            return 0
        if not await connection.fetchval(there):
            return 0
        await connection.execute("DROP SCHEMA read_next CASCADE")
        return 1
