"""Rebuilt rows equal live rows; verify finds what was planted."""

import asyncio
from typing import Any

import msgspec
import pytest

from infra.log.port import Topic
from infra.postgres.pool import Pool
from projections.executions.queries import list_executions
from projections.positions import load_positions
from schemas.envelope import EventRecord
from services.projector.projector import Projector
from services.projector.rebuild import RebuildRefused, rebuild
from services.projector.schema import NewerReadModels
from services.projector.verify import VerifyRefused, VerifyReport, verify
from tests.projections.given import SPACE, T0, World, assert_same, some_id
from tests.services.projector.conftest import CatchUp, caught_up


@pytest.fixture
async def filled(world: World, project: CatchUp) -> World:
    world.configure()
    for index in range(30):
        world.run_at_once(index, at=T0 + index * 86_400_000)
        world.run_in_steps(f"steps-{index}", at=T0 + index, fails=index % 3 == 0)
    await project(world.log)
    return world


async def test_a_clean_log_verifies(filled: World, pool: Pool) -> None:
    seen: list[tuple[int, int]] = []
    report = await verify(filled.log, pool, lambda done, total: seen.append((done, total)))
    assert report.differences == []
    assert report.ok
    assert report.executions == 60
    assert report.statuses == {"completed": 50, "failed": 10}
    assert report.rows["node_executions"] == 30 * 3 + 30 * 2
    assert report.events > 0
    assert seen[-1][0] == seen[-1][1]


DOUBLE = """
INSERT INTO read.executions
SELECT queued_at + interval '1 s', id, workspace_id, workflow_id, workflow_version, status, trigger_type, trigger_node,
       priority, fingerprint, retry_of, retry_count, parent_id, delivery_id, recoveries, variables, input, output,
       error, response, started_at, completed_at, stream_version
FROM read.executions WHERE id = $1
"""
PLANTED = {
    "wrong status": ("UPDATE read.executions SET status = 'failed' WHERE id = $1", "wrong_row", "status is 'failed'"),
    "wrong output": ("UPDATE read.executions SET output = '[]' WHERE id = $1", "wrong_row", "output differs"),
    "wrong time": (
        "UPDATE read.executions SET started_at = started_at + interval '1 ms' WHERE id = $1",
        "wrong_row",
        "started_at",
    ),
    "missing": ("DELETE FROM read.executions WHERE id = $1", "missing_row", "should be there"),
    "missing run": ("DELETE FROM read.node_executions WHERE execution_id = $1 AND node_id = 'n1'", "missing_row", ""),
    "doubled": (
        DOUBLE,
        "surplus_row",
        "twice",
    ),
    "wrong run": ("UPDATE read.node_executions SET attempts = 7 WHERE execution_id = $1", "wrong_row", "attempts is 7"),
}


@pytest.mark.parametrize("name", PLANTED)
async def test_what_was_planted_is_found(filled: World, pool: Pool, name: str) -> None:
    statement, kind, what = PLANTED[name]
    await pool.execute(statement, some_id(3))
    report = await verify(filled.log, pool)
    assert not report.ok
    assert set(report.found) == {kind}
    assert what in report.differences[0].what
    assert some_id(3) in report.differences[0].where


async def test_secrets_that_were_changed_in_the_rows_are_found(filled: World, pool: Pool) -> None:
    await pool.execute("UPDATE read.credentials SET sealed = '{}' WHERE name LIKE 'Post%'")
    await pool.execute("UPDATE read.credentials SET access_token = 'x' WHERE name = 'Over'")
    report = await verify(filled.log, pool)
    assert report.found == {"wrong_row": 2}
    assert {each.what for each in report.differences} == {"sealed differs", "access_token is 'x', should be None"}


async def test_variables_that_were_changed_in_the_rows_are_found(filled: World, pool: Pool) -> None:
    await pool.execute("UPDATE read.variables SET value = 'true' WHERE name = 'Nothing'")
    await pool.execute("DELETE FROM read.variables WHERE name = 'region'")
    await pool.execute("UPDATE read.executions SET variables = NULL WHERE id = $1", some_id("steps-1"))
    report = await verify(filled.log, pool)
    assert report.found == {"wrong_row": 2, "missing_row": 1}
    assert {"value differs", "variables differs"} <= {each.what for each in report.differences}


async def test_a_wrong_position_is_found(filled: World, pool: Pool) -> None:
    await pool.execute(
        "UPDATE read.positions SET next_n = next_n + 1 WHERE projection = 'executions' AND partition = 0"
    )
    assert set((await verify(filled.log, pool)).found) == {"position"}


async def broken(world: World, project: CatchUp, pool: Pool, *events: Any) -> VerifyReport:
    world.commit(f"execution-{some_id(0)}", events, queued_at=T0)
    await project(world.log)
    return await verify(world.log, pool)


async def test_two_ends_are_found(filled: World, pool: Pool, project: CatchUp) -> None:
    cancelled = EventRecord("execution.cancelled", msgspec.Raw(b'{"at":1}'))
    report = await broken(filled, project, pool, cancelled)
    assert report.found["terminal"] == 1
    assert report.found["transition"] == 1


async def test_a_missing_version_is_found(filled: World, pool: Pool, project: CatchUp) -> None:
    filled.versions[f"execution-{some_id(0)}"] += 1
    late = EventRecord(
        "execution.attempt_concluded", msgspec.Raw(b'{"node":"n1","run":0,"attempt":1,"results":[],"late":true}')
    )
    report = await broken(filled, project, pool, late)
    assert set(report.found) == {"version"}


async def test_verify_without_read_models_says_so(world: World, pool: Pool) -> None:
    with pytest.raises(VerifyRefused):
        await verify(world.log, pool)


@pytest.mark.parametrize("name", ["all", "executions", "webhooks"])
async def test_a_rebuild_equals_the_live_rows(filled: World, pool: Pool, name: str) -> None:
    before = await load_positions(pool)
    await pool.execute("DELETE FROM read.webhooks")
    await pool.execute("UPDATE read.executions SET status = 'lost'")
    seen: list[tuple[int, int]] = []
    report = await rebuild(filled.log, pool, name, lambda done, total: seen.append((done, total)))
    assert seen
    assert seen[-1][0] == seen[-1][1] == report.records
    assert sorted(await load_positions(pool), key=str) == sorted(before, key=str)
    if name == "all":
        await assert_same(pool, filled.fold())
    wrong = (await verify(filled.log, pool)).found
    assert set(wrong) == {"all": set(), "executions": {"missing_row"}, "webhooks": {"wrong_row"}}[name]
    assert not await pool.fetchval("SELECT to_regnamespace('read_next') IS NOT NULL")


async def test_a_rebuild_while_the_system_serves(
    filled: World, postgres_url: str, pool: Pool, project: CatchUp
) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(Projector(filled.log, postgres_url, now=lambda: T0).run(stop))
    over = asyncio.Event()

    async def serve() -> int:
        count = 0
        while not over.is_set():
            filled.run_in_steps(f"meanwhile-{count}", at=T0 + count)
            assert await list_executions(pool, SPACE, limit=5)
            count += 1
        return count

    serving = asyncio.create_task(serve())
    try:
        await rebuild(filled.log, pool, "all")
        await rebuild(filled.log, pool, "executions")
        over.set()
        assert await serving > 0
        await caught_up(filled.log, postgres_url, pool, running)
    finally:
        over.set()
        stop.set()
        await asyncio.gather(running, serving)
    await assert_same(pool, filled.fold())
    assert (await verify(filled.log, pool)).ok


async def test_another_version_is_rebuilt_at_the_start(filled: World, pool: Pool, postgres_url: str) -> None:
    await pool.execute("UPDATE read.projections SET version = 0 WHERE name = 'node_executions'")
    await pool.execute("TRUNCATE read.node_executions")
    filled.run_at_once("later")
    stop = asyncio.Event()
    running = asyncio.create_task(Projector(filled.log, postgres_url, now=lambda: T0).run(stop))
    try:
        async with asyncio.timeout(20):
            count = 0
            while await pool.fetchval("SELECT version FROM read.projections WHERE name = 'node_executions'") == 0:
                filled.run_in_steps(f"meanwhile-{count}")
                count += 1
        for number in range(20):  # what the others take while the rebuilt one waits for its place among them
            filled.run_in_steps(f"just-after-{number}")
            await asyncio.sleep(0)
        await caught_up(filled.log, postgres_url, pool, running)
    finally:
        stop.set()
        await running
    assert (await verify(filled.log, pool)).ok
    await assert_same(pool, filled.fold())


async def test_one_that_is_behind_catches_up_alone(filled: World, pool: Pool, project: CatchUp) -> None:
    await pool.execute(
        "UPDATE read.positions SET next_offset = 0, epoch_offset = NULL, epoch_nonce = NULL, next_n = 0, answered = 0 "
        "WHERE projection = 'executions'"
    )
    await pool.execute("DELETE FROM read.executions")
    await project(filled.log)
    assert (await verify(filled.log, pool)).ok
    await assert_same(pool, filled.fold())


async def test_an_older_program_does_not_take_the_rows_back(filled: World, pool: Pool, postgres_url: str) -> None:
    await pool.execute("UPDATE read.projections SET version = 99 WHERE name = 'webhooks'")
    with pytest.raises(NewerReadModels, match="webhooks"):
        await Projector(filled.log, postgres_url).run(asyncio.Event())


async def test_a_rebuild_of_nothing_known_is_refused(filled: World, pool: Pool) -> None:
    with pytest.raises(RebuildRefused, match="no projection nonsense"):
        await rebuild(filled.log, pool, "nonsense")


async def test_a_rebuild_from_a_cut_log_is_refused(filled: World, pool: Pool) -> None:
    await filled.log.delete_before(Topic.EXECUTIONS, 0, 3)
    with pytest.raises(RebuildRefused, match="cut"):
        await rebuild(filled.log, pool, "all")
    assert (await verify(filled.log, pool)).found == {"missing_history": 1}
