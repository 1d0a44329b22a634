import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from domain.execution.events import ExecutionCompleted, ExecutionStarted, NodeCompleted
from infra.log.memory import MemoryLog
from infra.log.port import Topic
from infra.postgres.migrate import migrate
from infra.postgres.pool import Pool, open_pool
from services.housekeeping.jobs import Work
from services.projector.projector import Projector
from tests.projections.given import T0, World, queued, some_id
from tests.services.projector.conftest import caught_up

DAY = 86_400_000
HOUR = 3_600_000
Project = Callable[[World], Awaitable[None]]


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


async def checkpoint(pool: Pool, lane: str, partition: int, offset: int, answered: int = 1_000_000) -> None:
    await pool.execute(
        "INSERT INTO partition_checkpoints (lane, partition, owner_offset, owner_nonce, next_offset, answered)"
        " VALUES ($1, $2, 0, 'x', $3, $4) ON CONFLICT (lane, partition) DO UPDATE SET next_offset = $3, answered = $4",
        lane,
        partition,
        offset,
        answered,
    )


@pytest.fixture
def project(postgres_url: str, pool: Pool) -> Project:
    """Project all of the log, and say that the owners have checkpointed all of it."""

    async def run(world: World) -> None:
        await projected(world, postgres_url, pool)
        for lane, topic in (("executions", Topic.EXECUTIONS), ("aggregates", Topic.EVENTS)):
            for partition in range(world.log.partitions):
                await checkpoint(pool, lane, partition, await world.log.end_offset(topic, partition))

    return run


def opened(world: World, name: object, at: int = T0) -> str:
    execution = some_id(name)
    world.commit(f"execution-{execution}", [queued(at)], queued_at=at, time=at)
    return execution


def end_of(moment: int) -> list[Any]:
    return [
        ExecutionStarted(started_at=moment + 10),
        NodeCompleted(node="n0", run=0, outputs={"main": [{"json": {}}]}),
        ExecutionCompleted(output=[], at=moment + 20),
    ]


@pytest.fixture
async def old_and_new(project: Project) -> World:
    """Executions of 45 days: old ones, some open since then with old ones astride and behind them, new ones."""
    world = World()
    world.configure()
    for number in range(12):
        world.run_at_once(f"old-{number}", at=T0 + number * HOUR)
    for number in range(4):
        opened(world, f"astride-{number}", at=T0 + DAY)
    for number in range(4):
        opened(world, f"open-{number}", at=T0 + DAY)
    for number in range(4):  # they end behind the first commit of the open ones
        at_ = T0 + DAY
        stream = f"execution-{some_id(f'astride-{number}')}"
        world.commit(stream, end_of(at_), queued_at=at_, time=at_ + 20)
    for number in range(6):
        world.run_in_steps(f"behind-{number}", at=T0 + 2 * DAY, fails=number % 2 == 0)
    for number in range(6):
        world.run_in_steps(f"new-{number}", at=T0 + 40 * DAY, fails=number % 2 == 0)
    await project(world)
    return world
