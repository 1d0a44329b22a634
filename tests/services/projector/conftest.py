import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from infra.log.memory import MemoryLog
from infra.log.port import Topic
from infra.postgres.pool import Pool, open_connection, open_pool
from projections.positions import load_places
from services.projector.projector import CHANNEL, Projector
from tests.projections.given import T0, World

CatchUp = Callable[[MemoryLog], Awaitable[None]]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def pool(postgres_url: str) -> AsyncIterator[Pool]:
    pool = await open_pool(postgres_url, min_size=1, max_size=4)
    yield pool
    await pool.close()


@pytest.fixture
def project(postgres_url: str, pool: Pool) -> CatchUp:
    """Run a projector until the read models have all of the log."""

    async def run(log: MemoryLog) -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(Projector(log, postgres_url, now=lambda: T0).run(stop))
        try:
            await caught_up(log, postgres_url, pool, running)
        finally:
            stop.set()
            await running

    return run


async def caught_up(log: MemoryLog, url: str, pool: Pool, running: "asyncio.Task[None]") -> None:
    """Wait for notifications until the positions stand at the log's end; raises what ends the projector."""
    told = asyncio.Event()
    connection = await open_connection(url)
    try:
        await connection.add_listener(CHANNEL, lambda *_: told.set())
        async with asyncio.timeout(20):
            while not await at_end(log, pool):
                told.clear()
                waiting = asyncio.create_task(told.wait())
                # The first start makes tables without a word if there is nothing to project: look now and then.
                await asyncio.wait([waiting, running], timeout=0.2, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                if running.done():
                    running.result()
    finally:
        await connection.close()


async def at_end(log: MemoryLog, pool: Pool) -> bool:
    if not await pool.fetchval("SELECT to_regclass('read.positions') IS NOT NULL"):
        return False
    places = await load_places(pool)
    wanted = {
        (topic.value, partition): await log.end_offset(topic, partition)
        for topic in (Topic.EVENTS, Topic.EXECUTIONS)
        for partition in range(log.partitions)
    }
    return {key: place.next_offset for key, place in places.items()} == wanted
