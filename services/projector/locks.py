"""Advisory locks of a session, which others have for a moment: they are waited for."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from infra.postgres.pool import PooledConnection

LOCK_SECONDS = 5.0


@asynccontextmanager
async def lock_held(connection: PooledConnection, key: int) -> AsyncIterator[bool]:
    """Whether `connection` has got the advisory lock `key` within LOCK_SECONDS; it is given back at the end."""
    held = await _lock(connection, key)
    try:
        yield held
    finally:
        if held and not connection.is_closed():
            await connection.execute("SELECT pg_advisory_unlock($1)", key)


async def _lock(connection: PooledConnection, key: int) -> bool:
    deadline = time.monotonic() + LOCK_SECONDS
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", key):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True
