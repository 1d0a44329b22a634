import asyncio
from collections.abc import AsyncIterator

import pytest

from infra.log.memory import MemoryLog
from infra.postgres.migrate import migrate
from infra.postgres.pool import Pool, open_pool
from services.housekeeping.jobs import Work
from services.projector.projector import Projector
from tests.projections.given import T0, World
from tests.services.projector.conftest import caught_up


@pytest.fixture
async def pool(postgres_url: str) -> AsyncIterator[Pool]:
    """Connections to a database that has the operational tables."""
    await migrate(postgres_url)
    pool = await open_pool(postgres_url, min_size=1, max_size=6)
    yield pool
    await pool.close()


async def projected(world: World, url: str, pool: Pool) -> None:
    """Run a projector until the rows have all of the log."""
    stop = asyncio.Event()
    running = asyncio.create_task(Projector(world.log, url, now=lambda: T0).run(stop))
    try:
        await caught_up(world.log, url, pool, running)
    finally:
        stop.set()
        await running


@pytest.fixture
def work(pool: Pool) -> Work:
    return Work(pool, MemoryLog(2), 0)
