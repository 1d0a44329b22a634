"""Jobs on a real PostgreSQL: each due time once, whoever leads; every run recorded, however it ends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.schedule.timing import ByCron, ByInterval
from domain.schedule.zones import instant_of, moment_of
from infra.log.memory import MemoryLog
from infra.postgres.job_runs import KEPT_RUNS, MOST_ATTEMPTS, JobLock, JobRow, JobRun, JobRuns
from infra.postgres.pool import Pool
from services.housekeeping import housekeeper
from services.housekeeping.catalogue import all_jobs
from services.housekeeping.housekeeper import Housekeeper
from services.housekeeping.jobs import Job, Work

T0 = 1_800_000_000_000
MINUTE = 60_000


class Counted:
    """A job's function that counts, and does what the test says."""

    def __init__(self, then: Callable[[Work], Awaitable[Any]] | None = None) -> None:
        self.runs = 0
        self._then = then

    async def __call__(self, work: Work) -> None:
        self.runs += 1
        work.count("done", 3)
        if self._then is not None:
            await self._then(work)


def job(run: Callable[[Work], Awaitable[None]], *, seconds: int = 20, name: str = "tidy") -> Job:
    return Job(name, "Tidies.", ByInterval(60), seconds, run)


class Leader:
    """A leader that ticks: again and again, and quickly, the time that the test says."""

    def __init__(self, keeper: Housekeeper, now: int) -> None:
        self._keeper = keeper
        self._now = now

    def tell(self, now: int) -> None:
        self._now = now

    async def tick(self) -> None:
        while True:
            self._keeper.tell(self._now)
            await asyncio.sleep(0.02)


@asynccontextmanager
async def keeping(url: str, pool: Pool, *jobs: Job, runner: str = "a", now: int = T0) -> AsyncIterator[Leader]:
    keeper = Housekeeper(url, jobs, JobRuns(pool), lambda at: Work(pool, MemoryLog(2), at), runner=runner)
    leader = Leader(keeper, now)
    tasks = [asyncio.create_task(keeper.run(first_after=0)), asyncio.create_task(leader.tick())]
    try:
        yield leader
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def ended(pool: Pool, count: int, *, name: str = "tidy") -> list[JobRun]:
    """Wait until so many runs have ended; all runs, newest first."""
    async with asyncio.timeout(20):
        while True:
            found = await JobRuns(pool).runs(name, limit=200) or []
            if sum(run.result not in ("asked", "running") for run in found) >= count:
                return found
            await asyncio.sleep(0.02)


async def test_a_job_runs_once_for_each_due_time_by_the_logs_time(postgres_url: str, pool: Pool) -> None:
    tidy = Counted()
    async with keeping(postgres_url, pool, job(tidy)) as keeper:
        (run,) = await ended(pool, 1)
        assert (run.result, run.figures, run.runner, run.attempts) == ("done", {"done": 3}, "a", 1)
        assert instant_of(run.due) == T0 // MINUTE * MINUTE
        keeper.tell(T0 + 1_000)  # the same minute
        keeper.tell(T0 + MINUTE)
        runs = await ended(pool, 2)
        async with asyncio.timeout(20):  # the next one is announced behind the end of this one
            while True:
                ((row, last),) = await JobRuns(pool).jobs()
                if instant_of(row.next_due) != T0 + MINUTE:
                    break
                await asyncio.sleep(0.02)
    assert tidy.runs == 2
    assert [instant_of(run.due) for run in runs] == [T0 + MINUTE, T0]
    assert (row.timing, instant_of(row.next_due)) == ("every 60 s", T0 + 2 * MINUTE)
    assert last is not None
    assert last.due == runs[0].due


async def test_of_many_due_times_missed_the_newest_is_made_up_for(postgres_url: str, pool: Pool) -> None:
    tidy = Counted()
    async with keeping(postgres_url, pool, job(tidy)) as keeper:
        await ended(pool, 1)
        keeper.tell(T0 + 60 * MINUTE)
        await ended(pool, 2)
    async with keeping(postgres_url, pool, job(tidy), runner="b", now=T0 + 60 * MINUTE + 30_000) as keeper:
        keeper.tell(T0 + 61 * MINUTE)
        runs = await ended(pool, 3)
    assert tidy.runs == 3
    assert [(instant_of(run.due) - T0) // MINUTE for run in runs] == [61, 60, 0]


async def test_a_daily_job_waits_for_its_first_time_and_is_made_up_for_then(postgres_url: str, pool: Pool) -> None:
    heavy = Counted()
    daily = Job("heavy", "Is heavy.", ByCron("0 3 * * *", "Europe/Berlin"), 20, heavy, waits=True)
    evening = instant_of(datetime(2027, 3, 27, 18, tzinfo=UTC))
    async with keeping(postgres_url, pool, daily, job(Counted()), now=evening):
        await ended(pool, 1)
    assert heavy.runs == 0
    # Nobody led at 3 o'clock (the night in which the clocks are set forward).
    async with keeping(postgres_url, pool, daily, now=evening + 20 * 60 * MINUTE):
        (run,) = await ended(pool, 1, name="heavy")
    assert (run.result, run.due) == ("done", datetime(2027, 3, 28, 1, tzinfo=UTC))
    async with keeping(postgres_url, pool, daily, job(Counted()), now=evening + 21 * 60 * MINUTE):
        await ended(pool, 2)
    assert heavy.runs == 1


async def test_two_leaders_at_once_do_nothing_twice(postgres_url: str, pool: Pool) -> None:
    going = asyncio.Event()
    slow = Counted(lambda _: going.wait())
    async with (
        keeping(postgres_url, pool, job(slow), runner="a") as first,
        keeping(postgres_url, pool, job(slow), runner="b") as second,
    ):
        while slow.runs == 0:
            await asyncio.sleep(0.02)
        for step in range(20):
            first.tell(T0 + step)
            second.tell(T0 + step)
            await asyncio.sleep(0.02)
        going.set()
        await ended(pool, 1)
        for leader in (first, second):
            leader.tell(T0 + MINUTE)
        runs = await ended(pool, 2)
    assert slow.runs == 2
    assert [(run.result, run.attempts) for run in runs] == [("done", 1), ("done", 1)]


async def test_a_run_whose_leader_dies_is_begun_anew_by_the_next_and_counted_once(
    postgres_url: str, pool: Pool
) -> None:
    runs = JobRuns(pool)
    due = moment_of(T0)
    lock = await JobLock.take(postgres_url, "tidy")
    assert lock is not None
    assert await JobLock.take(postgres_url, "tidy") is None
    assert await runs.claim("tidy", due, "dead")
    lock.release()  # as the server does when a process is killed
    tidy = Counted()
    async with keeping(postgres_url, pool, job(tidy), runner="b"):
        (run,) = await ended(pool, 1)
    assert (run.result, run.runner, run.attempts) == ("done", "b", 2)
    await runs.end("tidy", due, "dead", "failed", {}, "it comes back and says so")
    (run,) = await ended(pool, 1)
    assert run.result == "done"
    assert tidy.runs == 1


async def test_a_leader_that_stops_leaves_its_run_to_the_next(postgres_url: str, pool: Pool) -> None:
    begun = asyncio.Event()

    async def hang(_: Work) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with keeping(postgres_url, pool, job(hang)):
        await begun.wait()
    (run,) = await ended(pool, 1)
    assert (run.result, run.error) == ("interrupted", "the leader stopped")
    async with keeping(postgres_url, pool, job(Counted()), runner="b"):
        async with asyncio.timeout(10):
            while (await ended(pool, 1))[0].result != "done":
                await asyncio.sleep(0.02)
    (run,) = await ended(pool, 1)
    assert (run.result, run.attempts, run.runner) == ("done", 2, "b")


async def test_a_run_that_hangs_is_cut_off_and_the_others_go_on(postgres_url: str, pool: Pool) -> None:
    hanging, tidy = Counted(lambda _: asyncio.Event().wait()), Counted()
    jobs = (job(hanging, seconds=1, name="hangs"), job(tidy))
    async with keeping(postgres_url, pool, *jobs):
        (good,) = await ended(pool, 1)
        (cut,) = await ended(pool, 1, name="hangs")
    assert (good.result, cut.result) == ("done", "timed_out")
    assert (cut.error, cut.figures) == ("it was cut off after 1 s", {"done": 3})


async def test_a_run_that_fails_is_recorded_with_its_error(postgres_url: str, pool: Pool) -> None:
    async def fail(_: Work) -> None:
        raise RuntimeError("no such luck")

    async with keeping(postgres_url, pool, job(Counted(fail))):
        (run,) = await ended(pool, 1)
    assert (run.result, run.error) == ("failed", "RuntimeError: no such luck")


async def test_a_run_whose_lock_is_lost_is_cut_off(
    postgres_url: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeper, "CONFIRM_SECONDS", 0.1)
    begun, cut = asyncio.Event(), asyncio.Event()

    async def hang(_: Work) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cut.set()

    async with keeping(postgres_url, pool, job(hang)):
        await begun.wait()
        await pool.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE application_name = 'linkflow job tidy' AND datname = current_database()"
        )
        (run,) = await ended(pool, 1)
        assert cut.is_set()
    assert (run.result, run.error) == ("interrupted", "the job's lock was lost")


async def test_what_is_asked_for_runs_now_and_once(postgres_url: str, pool: Pool) -> None:
    tidy, runs = Counted(), JobRuns(pool)
    assert await runs.ask("tidy", "key:1") is None
    async with keeping(postgres_url, pool, job(tidy)) as keeper:
        await ended(pool, 1)
        asked = await runs.ask("tidy", "key:1")
        assert asked is not None
        again = await runs.ask("tidy", "key:2")
        assert again is not None
        assert (asked.result, again.due) == ("asked", asked.due)
        keeper.tell(T0 + 1_000)
        found = await ended(pool, 2)
    assert tidy.runs == 2
    assert {run.asked_by: run.result for run in found} == {None: "done", "key:1": "done"}


async def test_what_was_asked_for_is_begun_again_after_a_crash(postgres_url: str, pool: Pool) -> None:
    tidy, runs = Counted(), JobRuns(pool)
    later = Job("tidy", "Tidies.", ByCron("0 3 * * *", "UTC"), 20, tidy, waits=True)
    await runs.announce(JobRow("tidy", "Tidies.", "", 20, moment_of(T0 + 60 * MINUTE)))
    asked = await runs.ask("tidy", "key:1")
    assert asked is not None
    assert await runs.claim("tidy", asked.due, "dead")  # its lock is free: its process was killed
    async with keeping(postgres_url, pool, later, runner="b"):
        (run,) = await ended(pool, 1)
    assert (run.result, run.attempts, run.runner, run.asked_by) == ("done", 2, "b", "key:1")
    assert tidy.runs == 1


async def test_what_was_asked_for_is_given_up_after_three_crashes(postgres_url: str, pool: Pool) -> None:
    tidy, runs = Counted(), JobRuns(pool)
    later = Job("tidy", "Tidies.", ByCron("0 3 * * *", "UTC"), 20, tidy, waits=True)
    await runs.announce(JobRow("tidy", "Tidies.", "", 20, moment_of(T0 + 60 * MINUTE)))
    asked = await runs.ask("tidy", "key:1")
    assert asked is not None
    for number in range(MOST_ATTEMPTS):
        assert await runs.asked() == [("tidy", asked.due)]
        assert await runs.claim("tidy", asked.due, f"dead-{number}")
    async with keeping(postgres_url, pool, later, runner="b"):
        (run,) = await ended(pool, 1)
    assert (run.result, run.attempts) == ("interrupted", 3)
    assert run.error == "its process ended; begun 3 times, it is given up"
    assert await runs.asked() == []
    assert tidy.runs == 0


async def test_what_was_asked_for_and_interrupted_is_not_begun_again_once_it_was_done(pool: Pool) -> None:
    runs = JobRuns(pool)
    await runs.announce(JobRow("tidy", "Tidies.", "", 20, moment_of(T0)))
    asked = await runs.ask("tidy", "key:1")
    assert asked is not None
    assert await runs.claim("tidy", asked.due, "a")
    await runs.end("tidy", asked.due, "a", "interrupted", {}, "the leader stopped")
    assert await runs.asked() == [("tidy", asked.due)]
    assert await runs.claim("tidy", moment_of(T0), "b")
    await runs.end("tidy", moment_of(T0), "b", "done", {}, None)
    assert await runs.asked() == []


async def test_a_look_that_postgresql_refuses_is_told_and_the_next_one_goes_on(
    postgres_url: str, pool: Pool, capsys: pytest.CaptureFixture[str]
) -> None:
    tidy = Counted()
    await pool.execute("ALTER TABLE job_runs RENAME COLUMN result TO outcome")
    async with keeping(postgres_url, pool, job(tidy)):
        async with asyncio.timeout(20):
            told = ""
            while "UndefinedColumnError" not in told:
                told += capsys.readouterr().out
                await asyncio.sleep(0.02)
        assert "housekeeping waits for the database" in told
        assert "error" in told
        await pool.execute("ALTER TABLE job_runs RENAME COLUMN outcome TO result")
        await ended(pool, 1)
    assert tidy.runs == 1


async def test_history_is_bounded(pool: Pool) -> None:
    runs = JobRuns(pool)
    await pool.execute(
        "INSERT INTO job_runs (job, due, result) SELECT 'tidy', to_timestamp($1) + make_interval(mins => n), 'done'"
        " FROM generate_series(1, 500) AS n",
        T0 / 1_000,
    )
    due = moment_of(T0) + timedelta(days=3)
    assert await runs.claim("tidy", due, "a")
    await runs.end("tidy", due, "a", "done", {}, None)
    assert await pool.fetchval("SELECT count(*) FROM job_runs") == KEPT_RUNS
    assert await pool.fetchval("SELECT max(due) FROM job_runs") == due


def test_the_heavy_jobs_follow_the_operators_zone() -> None:
    daily = [each.timing for each in all_jobs("23:50", "Europe/Berlin") if isinstance(each.timing, ByCron)]
    assert all(timing.timezone == "Europe/Berlin" for timing in daily)
    assert len({each.name for each in all_jobs("03:00", "UTC")}) == len(all_jobs("03:00", "UTC"))
