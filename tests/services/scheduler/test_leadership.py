import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from infra.log import open_admin, open_log
from infra.log.port import Record, Topic
from infra.settings import Settings
from schemas.envelope import decode_tick
from services.scheduler.leadership import Leadership
from services.scheduler.main import serve


@asynccontextmanager
async def _running(settings: Settings) -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    task = asyncio.create_task(serve(settings, stop))
    try:
        yield stop
    finally:
        stop.set()
        await task


async def test_one_leads_and_another_follows_when_it_goes(postgres_url: str) -> None:
    first = await Leadership.open(postgres_url)
    second = await Leadership.open(postgres_url)
    other_installation = await Leadership.open(postgres_url, "other.")
    try:
        assert await first.try_win()
        assert not await second.try_win()
        assert await other_installation.try_win()
        await first.confirm()
        await first.close()
        assert await second.try_win()
    finally:
        await second.close()
        await other_installation.close()


async def _settings(postgres_url: str, tmp_path: Path) -> Settings:
    admin = await open_admin("postgres", database_url=postgres_url)
    await admin.create_topics(2)
    return Settings(database_url=postgres_url, partitions=2, data=tmp_path)


async def _ticks_until(postgres_url: str, leader: str) -> list[Record]:
    """All ticks of partition 0 up to two by `leader`."""
    log = await open_log("postgres", database_url=postgres_url)
    reader = await log.reader()
    reader.seek(Topic.TICKS, 0, 0)
    records: list[Record] = []
    try:
        async with asyncio.timeout(15):
            while sum(decode_tick(record.value).leader == leader for record in records) < 2:
                records += await reader.read()
    finally:
        await reader.close()
        await log.close()
    return records


async def test_two_schedulers_one_ticks_and_the_other_takes_over(postgres_url: str, tmp_path: Path) -> None:
    settings = await _settings(postgres_url, tmp_path)
    a, b = (dataclasses.replace(settings, member=member) for member in ("a", "b"))
    async with _running(a):
        await _ticks_until(postgres_url, "a")
        async with _running(b) as _:
            pass
    async with _running(b):
        records = await _ticks_until(postgres_url, "b")
    ticks = [decode_tick(record.value) for record in records]
    assert [tick.time for tick in ticks] == sorted(tick.time for tick in ticks)
    assert [tick.leader for tick in ticks] == sorted(tick.leader for tick in ticks)


async def test_a_leader_whose_session_is_ended_comes_back_and_goes_on(postgres_url: str, tmp_path: Path) -> None:
    settings = dataclasses.replace(await _settings(postgres_url, tmp_path), member="a")
    async with _running(settings):
        before = await _ticks_until(postgres_url, "a")
        connection = await asyncpg.connect(postgres_url)
        ended = await connection.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE application_name = 'linkflow scheduler' AND datname = current_database()"
        )
        await connection.close()
        assert ended == 1
        settled = before[-1].offset
        log = await open_log("postgres", database_url=postgres_url)
        reader = await log.reader()
        reader.seek(Topic.TICKS, 0, settled + 1)
        try:
            async with asyncio.timeout(10):
                newer = []
                while len(newer) < 3:
                    newer += await reader.read()
        finally:
            await reader.close()
            await log.close()
    times = [decode_tick(record.value).time for record in before + newer]
    assert times == sorted(times)
