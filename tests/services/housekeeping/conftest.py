from collections.abc import AsyncIterator

import pytest

from infra.log.memory import MemoryLog
from infra.postgres.migrate import migrate
from infra.postgres.pool import Pool, open_pool
from services.housekeeping.jobs import Work


@pytest.fixture
async def pool(postgres_url: str) -> AsyncIterator[Pool]:
    """Connections to a database that has the operational tables."""
    await migrate(postgres_url)
    pool = await open_pool(postgres_url, min_size=1, max_size=6)
    yield pool
    await pool.close()


@pytest.fixture
def work(pool: Pool) -> Work:
    return Work(pool, MemoryLog(2), 0)
