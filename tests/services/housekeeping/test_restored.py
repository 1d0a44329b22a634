"""A backup of the database beside a log that retention has cut since: it is said what is missing, and a way on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from domain.schedule.zones import moment_of
from infra.log.port import Topic
from infra.postgres.checkpoints import PostgresCheckpoints
from infra.postgres.pool import Pool, open_pool
from projections.catalog import PROJECTIONS
from projections.retention import load_cuts
from services.housekeeping.log_cut import cut_log
from services.housekeeping.retention import apply_retention
from services.projector import projector
from services.projector import restored as restoring
from services.projector.projector import Projector
from services.projector.rebuild import RebuildRefused, rebuild
from services.projector.restored import RestoreRefused, adopt, look
from services.projector.verify import VerifyRefused, verify
from tests.projections.given import SPACE, T0, World, some_id
from tests.services.housekeeping.conftest import DAY, Project, checkpoint, end_of, projected
from tests.services.housekeeping.test_retention import agrees, at, executions, rows
from tests.services.projector.conftest import caught_up
from tests.support.backup import back_up, restore

KEPT = {some_id(f"{kind}-{number}") for kind, count in (("open", 4), ("new", 6)) for number in range(count)}


async def age(world: World, pool: Pool, days: float) -> None:
    await apply_retention(at(days, world, pool))
    await cut_log(at(days, world, pool))


def end_open(world: World, days: float) -> None:
    """Those that were open, and held the log, end."""
    moment = T0 + int(days * DAY)
    for number in range(4):
        stream = f"execution-{some_id(f'open-{number}')}"
        world.commit(stream, end_of(moment), queued_at=T0 + DAY, time=moment)


@asynccontextmanager
async def brought_back(url: str, file: Path) -> AsyncIterator[Pool]:
    await restore(url, file)
    pool = await open_pool(url, min_size=1, max_size=6)
    try:
        yield pool
    finally:
        await pool.close()


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    return tmp_path / "backup"


async def test_what_was_cut_since_the_backup_is_said_and_adopted(
    old_and_new: World, pool: Pool, postgres_url: str, backup: Path
) -> None:
    await back_up(postgres_url, backup)
    await age(old_and_new, pool, 45)
    usage = await rows(pool, "usage_hours")
    firsts = [await old_and_new.log.first_offset(Topic.EXECUTIONS, number) for number in range(2)]
    async with brought_back(postgres_url, backup) as restored:
        report = await verify(old_and_new.log, restored)
        assert report.found == {"missing_history": 2}
        assert "linkflow restored" in report.differences[0].what
        with pytest.raises(RebuildRefused, match="linkflow restored"):
            await rebuild(old_and_new.log, restored, "all")

        before = await rows(restored)
        missing = await look(old_and_new.log, restored)
        assert missing.partitions == {number: (0, first) for number, first in enumerate(firsts)}
        assert missing.executions > 0
        assert await rows(restored) == before
        assert await adopt(old_and_new.log, restored) == missing
        assert await executions(restored) >= KEPT
        assert len(await executions(restored)) == len(KEPT) + 22 - missing.executions
        assert await rows(restored, "usage_hours") == usage
        assert (await look(old_and_new.log, restored)).partitions == {}
        report = await verify(old_and_new.log, restored)
        assert report.ok, report.differences
        await age(old_and_new, restored, 46)
        assert await executions(restored) == KEPT
        await agrees(old_and_new, restored)


async def test_a_backup_that_knows_of_earlier_cuts_in_another_epoch(
    old_and_new: World, pool: Pool, postgres_url: str, backup: Path, project: Project
) -> None:
    await age(old_and_new, pool, 30.7)
    for partition in range(2):
        old_and_new.owner(Topic.EXECUTIONS, partition).take_over(f"second-{partition}")
    end_open(old_and_new, 5)
    for number in range(6):
        old_and_new.run_at_once(f"late-{number}", at=T0 + 41 * DAY)
    await project(old_and_new)
    await back_up(postgres_url, backup)
    await age(old_and_new, pool, 71.5)
    usage = await rows(pool, "usage_hours")
    async with brought_back(postgres_url, backup) as restored:
        missing = await look(old_and_new.log, restored)
        assert missing.partitions
        assert any(begin > 0 for begin, _ in missing.partitions.values())
        await adopt(old_and_new.log, restored)
        assert await rows(restored, "usage_hours") == usage
        report = await verify(old_and_new.log, restored)
        assert report.ok, report.differences
        await age(old_and_new, restored, 80)
        await agrees(old_and_new, restored)
        assert await executions(restored) == set()


async def test_an_owner_whose_checkpoint_lies_before_the_log_goes_on_behind_the_cut(
    pool: Pool, postgres_url: str, backup: Path, project: Project
) -> None:
    world = World()
    world.configure()
    for number in range(12):
        world.run_at_once(f"old-{number}")
    for number in range(6):
        world.run_at_once(f"new-{number}", at=T0 + 40 * DAY)
    await project(world)
    for partition in range(2):
        await checkpoint(pool, "executions", partition, 0, answered=0)
    await pool.execute("DELETE FROM partition_checkpoints WHERE lane = 'executions' AND partition = 1")
    await pool.execute(
        "INSERT INTO stream_states VALUES ('executions', 0, 'execution-gone', $1, 1, NULL, true, '')", SPACE
    )
    await back_up(postgres_url, backup)
    await project(world)
    await age(world, pool, 45)
    cuts = await load_cuts(pool)
    async with brought_back(postgres_url, backup) as restored:
        missing = await adopt(world.log, restored)
        assert set(missing.partitions) == {0, 1}
        for partition in range(2):
            found = await PostgresCheckpoints(restored).load("executions", partition)
            cut = cuts[Topic.EXECUTIONS, partition]
            assert (found.fence.next_offset, found.fence.epoch, found.fence.next_n) == (
                cut.next_offset,
                cut.epoch,
                cut.next_n,
            )
            assert (found.answered, found.states) == (cut.answered, [])
        report = await verify(world.log, restored)
        assert report.ok, report.differences


AN_OLDER_VERSION = """
ALTER TABLE read.usage_hours DROP COLUMN deliveries;
ALTER TABLE read.usage_before_cuts DROP COLUMN deliveries;
ALTER TABLE read.executions DROP COLUMN variables;
UPDATE read.projections SET version = version - 1 WHERE name IN ('usage', 'executions');
"""


async def test_a_backup_of_an_older_version(
    old_and_new: World, pool: Pool, postgres_url: str, backup: Path, project: Project
) -> None:
    await age(old_and_new, pool, 30.7)
    end_open(old_and_new, 5)
    await project(old_and_new)
    await back_up(postgres_url, backup)
    await age(old_and_new, pool, 45)
    usage = await rows(pool, "usage_hours")
    async with brought_back(postgres_url, backup) as restored:
        assert await restored.fetchval("SELECT count(*) FROM usage_before_cuts") > 0
        await restored.execute(AN_OLDER_VERSION)
        with pytest.raises(VerifyRefused, match=r"executions, usage are of another version.*linkflow restored"):
            await verify(old_and_new.log, restored)
        missing = await look(old_and_new.log, restored)
        assert missing.executions > 0
        assert await adopt(old_and_new.log, restored) == missing
        await rebuild(old_and_new.log, restored, "all")
        assert await rows(restored, "usage_hours") == usage
        assert await executions(restored) >= {some_id(f"new-{number}") for number in range(6)}
        report = await verify(old_and_new.log, restored)
        assert report.ok, report.differences


async def test_a_backup_of_a_version_without_retention(
    old_and_new: World, pool: Pool, postgres_url: str, backup: Path
) -> None:
    await back_up(postgres_url, backup)
    await age(old_and_new, pool, 45)
    async with brought_back(postgres_url, backup) as restored:
        await restored.execute("DROP TABLE read.log_cuts, read.horizons, read.usage_before_cuts")
        await adopt(old_and_new.log, restored)
        await rebuild(old_and_new.log, restored, "all")
        report = await verify(old_and_new.log, restored)
        assert report.ok, report.differences


@pytest.mark.parametrize(("name", "table"), [("usage", "usage_hours"), ("executions", "executions")])
async def test_a_backup_from_the_middle_of_an_upgrade(
    old_and_new: World, pool: Pool, postgres_url: str, backup: Path, project: Project, name: str, table: str
) -> None:
    """What is of another version stands still until it is rebuilt; the others go on."""
    await pool.execute(
        f"CREATE TABLE outdated_rows AS TABLE read.{table};"
        f" CREATE TABLE outdated_positions AS SELECT * FROM read.positions WHERE projection = '{name}'"
    )
    for number in range(6):
        old_and_new.run_at_once(f"late-{number}", at=T0 + 41 * DAY)
    await project(old_and_new)
    await back_up(postgres_url, backup)
    await age(old_and_new, pool, 45)
    usage = await rows(pool, "usage_hours")
    async with brought_back(postgres_url, backup) as restored:
        await restored.execute(
            f"UPDATE read.projections SET version = 1 WHERE name = '{name}'; TRUNCATE read.{table};"
            f" INSERT INTO read.{table} TABLE outdated_rows; DELETE FROM read.positions WHERE projection = '{name}';"
            " INSERT INTO read.positions TABLE outdated_positions"
        )
        missing = await adopt(old_and_new.log, restored)
        assert missing.executions > 0
        await rebuild(old_and_new.log, restored, "all")
        assert await rows(restored, "usage_hours") == usage
        assert await executions(restored) >= KEPT | {some_id(f"late-{number}") for number in range(6)}
        report = await verify(old_and_new.log, restored)
        assert report.ok, report.differences


async def test_a_backup_whose_outdated_rows_end_before_the_log_begins_is_refused(
    old_and_new: World, pool: Pool, postgres_url: str, backup: Path
) -> None:
    await back_up(postgres_url, backup)
    await age(old_and_new, pool, 45)
    async with brought_back(postgres_url, backup) as restored:
        await restored.execute(
            "UPDATE read.positions SET next_offset = 1 WHERE projection = 'usage' AND topic = 'linkflow.executions'"
        )
        with pytest.raises(RestoreRefused, match="Restore a newer backup"):
            await adopt(old_and_new.log, restored)


async def test_a_backup_of_some_tables_is_refused(
    old_and_new: World, pool: Pool, postgres_url: str, backup: Path
) -> None:
    await back_up(postgres_url, backup)
    await age(old_and_new, pool, 45)
    async with brought_back(postgres_url, backup) as restored:
        for name in ("executions", "usage"):
            await restored.execute("UPDATE read.positions SET next_n = next_n + $1 WHERE projection = $2", 1, name)
            with pytest.raises(RestoreRefused, match="do not stand where this log leads"):
                await adopt(old_and_new.log, restored)
            await restored.execute("UPDATE read.positions SET next_n = next_n + $1 WHERE projection = $2", -1, name)
        await restored.execute("DELETE FROM read.positions WHERE projection = 'usage'")
        with pytest.raises(RestoreRefused, match="restore a whole backup"):
            await adopt(old_and_new.log, restored)


async def test_a_log_that_somebody_else_cut_is_not_adopted(old_and_new: World, pool: Pool) -> None:
    end = await old_and_new.log.end_offset(Topic.EXECUTIONS, 0)
    await old_and_new.log.delete_before(Topic.EXECUTIONS, 0, end - 1)
    before = await rows(pool)
    for each in (look, adopt):
        with pytest.raises(RestoreRefused, match="is open, and the log has its beginning no more"):
            await each(old_and_new.log, pool)
    assert await rows(pool) == before


async def test_a_backup_that_is_too_old_for_the_log_is_refused(
    old_and_new: World, pool: Pool, postgres_url: str, backup: Path, project: Project
) -> None:
    await back_up(postgres_url, backup)
    end_open(old_and_new, 41)
    for number in range(6):
        old_and_new.run_at_once(f"after-{number}", at=T0 + 42 * DAY)
    await project(old_and_new)
    await age(old_and_new, pool, 100)
    async with brought_back(postgres_url, backup) as restored:
        with pytest.raises(RestoreRefused, match="Restore a newer backup"):
            await look(old_and_new.log, restored)


async def test_a_rebuild_that_has_to_wait_stops_no_projector(
    old_and_new: World, pool: Pool, postgres_url: str, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projector, "REBUILD_AGAIN_SECONDS", 0.1)
    await back_up(postgres_url, backup)
    await age(old_and_new, pool, 45)
    async with brought_back(postgres_url, backup) as restored:
        await restored.execute("UPDATE read.projections SET version = 0 WHERE name = 'node_executions'")
        old_and_new.run_at_once("newest", at=T0 + 45 * DAY)
        async with projecting(old_and_new, postgres_url) as running, asyncio.timeout(60):
            while some_id("newest") not in await executions(restored):
                assert not running.done(), running.result()
                await asyncio.sleep(0.05)
            before = await rows(restored)
            assert (await look(old_and_new.log, restored)).executions > 0
            with pytest.raises(RestoreRefused, match="a projector is at work on this database: stop everything first"):
                await adopt(old_and_new.log, restored)
            assert await rows(restored) == before
        await adopt(old_and_new.log, restored)
        async with projecting(old_and_new, postgres_url) as running, asyncio.timeout(60):
            while await restored.fetchval("SELECT count(*) FROM projections WHERE version > 0") != len(PROJECTIONS):
                assert not running.done(), running.result()
                await asyncio.sleep(0.05)
            await caught_up(old_and_new.log, postgres_url, restored, running)
        report = await verify(old_and_new.log, restored)
        assert report.ok, report.differences


async def test_what_is_projected_while_it_is_adopted_stays(
    old_and_new: World, pool: Pool, postgres_url: str, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last batch of a projector that does not lead any more may come late."""
    await back_up(postgres_url, backup)
    await age(old_and_new, pool, 45)
    find_rows, young = restoring._find_rows, {some_id(f"young-{number}") for number in range(4)}

    async def find_rows_late(*given: Any) -> None:
        for number in range(4):
            old_and_new.run_at_once(f"young-{number}", at=T0 + 50 * DAY)
        await projected(old_and_new, postgres_url, restored)
        await find_rows(*given)

    monkeypatch.setattr(restoring, "_find_rows", find_rows_late)
    monkeypatch.setattr(projector, "LEADING", projector.LEADING + 1)
    async with brought_back(postgres_url, backup) as restored:
        await adopt(old_and_new.log, restored)
        assert await executions(restored) >= KEPT | young
        assert await restored.fetchval("SELECT max(ended_before) FROM horizons") < moment_of(T0 + 40 * DAY)
        report = await verify(old_and_new.log, restored)
        assert report.ok, report.differences


async def test_others_that_change_what_is_adopted_are_seen(
    old_and_new: World, pool: Pool, postgres_url: str, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await back_up(postgres_url, backup)
    await age(old_and_new, pool, 45)
    record = restoring._record

    async def record_late(*given: Any) -> None:
        await restored.execute("INSERT INTO log_cuts VALUES ('linkflow.executions', 0, 1, NULL, NULL, 0, 0)")
        await record(*given)

    monkeypatch.setattr(restoring, "_record", record_late)
    async with brought_back(postgres_url, backup) as restored:
        before = await rows(restored)
        with pytest.raises(RestoreRefused, match="somebody is at work on this database: stop everything first"):
            await adopt(old_and_new.log, restored)
        assert await rows(restored) == before


@asynccontextmanager
async def projecting(world: World, url: str) -> AsyncIterator["asyncio.Task[None]"]:
    stop = asyncio.Event()
    running = asyncio.create_task(Projector(world.log, url, now=lambda: T0).run(stop))
    try:
        yield running
    finally:
        stop.set()
        await running
