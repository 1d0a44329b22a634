from dataclasses import replace

import pytest

from infra.postgres.heartbeats import ALIVE_SECONDS, FORGOTTEN_SECONDS, Heartbeat, PostgresHeartbeats
from infra.postgres.pool import Pool
from projections.retention import REBUILDING
from services.api.health import judge_workers
from services.housekeeping.jobs import Work
from services.housekeeping.leftovers import clear_leftovers

STEADY = Heartbeat("worker-0", "worker", 0.5, {}, starts=(3_000.0, 500.0))
LOOPING = Heartbeat("worker-1", "worker", 0.5, {}, starts=(50.0, 20.0, 2.0))
SILENT = Heartbeat("worker-2", "worker", 34.0, {}, starts=(900.0,))


async def test_a_process_keeps_its_row_and_each_new_one_of_its_name_is_a_start(pool: Pool) -> None:
    first = PostgresHeartbeats(pool)
    for _ in range(3):
        await first.beat("worker-0", "worker", {"partitions": 4})
    await first.beat("worker-0", "scheduler", {"leads": True})
    by_role = {each.role: each for each in await first.all()}
    worker = by_role["worker"]
    assert (worker.facts, len(worker.starts), worker.state) == ({"partitions": 4}, 1, "alive")
    assert by_role["scheduler"].facts == {"leads": True}
    for number in range(2, 9):
        await PostgresHeartbeats(pool).beat("worker-0", "worker", {})
        (worker,) = [each for each in await first.all() if each.role == "worker"]
        assert len(worker.starts) == min(number, 5)
        assert list(worker.starts) == sorted(worker.starts, reverse=True)
    assert worker.state == "restarting"


async def test_who_leaves_takes_its_own_row_along_and_no_other(pool: Pool) -> None:
    old, new = PostgresHeartbeats(pool), PostgresHeartbeats(pool)
    await old.beat("worker-0", "worker", {})
    await new.beat("worker-0", "worker", {})
    await old.leave("worker-0", "worker")
    assert len(await new.all()) == 1
    await new.leave("worker-0", "worker")
    assert await new.all() == []


async def test_rows_of_processes_that_are_long_gone_are_removed(pool: Pool, work: Work) -> None:
    hearts = PostgresHeartbeats(pool)
    for member in ("old", "new"):
        await hearts.beat(member, "api", {})
    await pool.execute(
        "UPDATE heartbeats SET at = now() - make_interval(secs => $1) WHERE member = 'old'", FORGOTTEN_SECONDS + 1
    )
    await pool.execute("CREATE SCHEMA read_next; CREATE TABLE read_next.half (id int)")
    await clear_leftovers(work)
    assert work.figures == {"heartbeats": 1, "rebuilds": 1}
    assert await pool.fetchval("SELECT array_agg(member) FROM heartbeats") == ["new"]


async def test_tables_of_a_rebuild_that_is_under_way_stay(pool: Pool, work: Work) -> None:
    await pool.execute("CREATE SCHEMA read_next")
    async with pool.acquire() as rebuilding:
        await rebuilding.execute("SELECT pg_advisory_lock($1)", REBUILDING)
        await clear_leftovers(work)
        await rebuilding.execute("SELECT pg_advisory_unlock($1)", REBUILDING)
    assert work.figures["rebuilds"] == 0
    assert await pool.fetchval("SELECT to_regnamespace('read_next') IS NOT NULL")


@pytest.mark.parametrize(
    ("workers", "ok", "troubled"),
    [
        ((), True, None),
        ((STEADY,), True, None),
        ((STEADY, LOOPING), True, ["worker-1"]),
        ((STEADY, SILENT), True, ["worker-2"]),
        ((LOOPING,), False, ["worker-1"]),
        ((LOOPING, SILENT), False, ["worker-1", "worker-2"]),
        ((replace(LOOPING, starts=(50.0, 30.0, 12.0)),), True, None),  # it has calmed down
        ((replace(STEADY, age=ALIVE_SECONDS),), False, ["worker-0"]),
        ((replace(SILENT, age=1_000.0), STEADY), True, None),  # that was taken away long ago
        ((replace(LOOPING, role="api"), STEADY), True, None),
    ],
)
def test_workers_that_are_silent_or_crash_again_and_again_are_told(
    workers: tuple[Heartbeat, ...], ok: bool, troubled: list[str] | None
) -> None:
    said = judge_workers(workers, ok=True)
    assert said.get("ok", True) is ok
    assert said.get("troubled") == troubled
    assert judge_workers(workers, ok=False).get("ok", False) is False
