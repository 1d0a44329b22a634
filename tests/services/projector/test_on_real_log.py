"""Projector, rebuild and verify on the log in PostgreSQL, through the process's own entry."""

import asyncio
import os
import signal
import sys
import time

from infra.log import open_admin, open_log
from infra.log.port import NewRecord, Topic
from infra.postgres.pool import Pool
from infra.settings import Settings
from services.projector.main import serve
from services.projector.rebuild import rebuild
from services.projector.verify import verify
from tests.projections.given import World, assert_same
from tests.services.projector.conftest import at_end, caught_up


async def test_the_same_rows_as_from_memory(world: World, postgres_url: str, pool: Pool) -> None:
    world.configure()
    for index in range(150):
        world.run_at_once(index)
        world.run_in_steps(f"steps-{index}")
    await copy_to_postgres(world, postgres_url)
    settings = Settings(database_url=postgres_url, partitions=world.log.partitions)
    stop = asyncio.Event()
    running = asyncio.create_task(serve(settings, stop))
    try:
        await caught_up(world.log, postgres_url, pool, running)
        log = await open_log("postgres", database_url=postgres_url)
        try:
            assert (await rebuild(log, pool, "all")).records > 600
            assert (await verify(log, pool)).ok
        finally:
            await log.close()
    finally:
        stop.set()
        await running
    await assert_same(pool, world.fold())


async def test_a_killed_process_loses_and_doubles_nothing(world: World, postgres_url: str, pool: Pool) -> None:
    for index in range(3_000):
        world.run_at_once(index)
    await copy_to_postgres(world, postgres_url)
    first = await start_process(postgres_url, world.log.partitions)
    async with asyncio.timeout(20):
        while not await moved(pool):
            await asyncio.sleep(0.005)
    first.kill()
    await first.wait()
    second = await start_process(postgres_url, world.log.partitions)
    try:
        async with asyncio.timeout(20):
            while not await at_end(world.log, pool):
                await asyncio.sleep(0.02)
    finally:
        second.terminate()
        assert await second.wait() == 0
    await assert_same(pool, world.fold())


async def test_a_stopped_leader_is_followed_and_comes_back_to_stand_by(
    world: World, postgres_url: str, pool: Pool
) -> None:
    for index in range(3_000):
        world.run_at_once(index)
    await copy_to_postgres(world, postgres_url)
    processes = [await start_process(postgres_url, world.log.partitions)]
    try:
        async with asyncio.timeout(40):
            while not await moved(pool):
                await asyncio.sleep(0.005)
        processes[0].send_signal(signal.SIGSTOP)
        processes.append(await start_process(postgres_url, world.log.partitions))
        began = time.monotonic()
        async with asyncio.timeout(40):
            while not await at_end(world.log, pool):
                await asyncio.sleep(0.02)
        print(f"all was projected {time.monotonic() - began:.1f} s after the leader was stopped")
        processes[0].send_signal(signal.SIGCONT)
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        assert [await process.wait() for process in processes] == [0] * len(processes)
    await assert_same(pool, world.fold())


async def start_process(url: str, partitions: int) -> asyncio.subprocess.Process:
    names = {"LINKFLOW_DATABASE_URL": url, "LINKFLOW_PARTITIONS": str(partitions)}
    code = "import sys; from linkflow.main import main; sys.argv[1:] = ['projector']; main()"
    return await asyncio.create_subprocess_exec(sys.executable, "-c", code, env={**os.environ, **names})


async def moved(pool: Pool) -> bool:
    if not await pool.fetchval("SELECT to_regclass('read.positions') IS NOT NULL"):
        return False
    return bool(await pool.fetchval("SELECT max(next_offset) > 0 FROM read.positions"))


async def copy_to_postgres(world: World, url: str) -> None:
    admin = await open_admin("postgres", database_url=url)
    await admin.create_topics(world.log.partitions)
    await admin.close()
    log = await open_log("postgres", database_url=url)
    writer = await log.writer()
    for topic in (Topic.EVENTS, Topic.EXECUTIONS):
        for partition in range(world.log.partitions):
            records = [NewRecord(r.value, r.headers, r.key) for r in world.log.records(topic, partition)]
            for start in range(0, len(records), 100):
                await writer.append(topic, partition, records[start : start + 100])
    await writer.close()
    await log.close()
