"""No clock that is wrong for a while takes away what is young: witnesses must agree on how much time passed (R09)."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.inbox.events import DeliveryRefused
from domain.inbox.gates import Delivery
from domain.schedule.zones import instant_of, moment_of
from infra.log.port import NewRecord, Topic
from infra.postgres.job_runs import JobRun, JobRuns
from infra.postgres.pool import Pool
from infra.postgres.retention_clock import Kind, Reading, RetentionClock
from infra.telemetry import metrics
from services.housekeeping.catalogue import all_jobs
from services.housekeeping.clocks import (
    MARGIN,
    PROBATION,
    ClocksDisagree,
    believable,
    believed_now,
    difference,
    suspicion,
)
from services.housekeeping.housekeeper import Housekeeper
from services.housekeeping.jobs import Work
from services.housekeeping.retention import apply_retention
from services.projector.verify import verify
from tests.projections.given import FLOW, World, queued, some_id
from tests.services.housekeeping.conftest import DAY, HOUR, projected
from tests.services.housekeeping.test_retention import executions

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
YEARS = timedelta(days=3_650)


def later(
    before: Reading, *, log: timedelta = timedelta(), database: timedelta = timedelta(), ticked: timedelta = timedelta()
) -> Reading:
    return Reading(before.log_time + log, before.database + database, before.ticks + int(ticked.total_seconds()))


START = Reading(NOON, NOON, 1_000)
day = timedelta(days=1)


@pytest.mark.parametrize(
    ("log", "database", "ticked", "agree"),
    [
        (day, day, day, True),
        (day, day, 2 * day, True),  # two believed that they lead
        (timedelta(hours=8), timedelta(hours=8), timedelta(hours=1), True),  # off for some hours
        (day + YEARS, day, day, False),  # the ticks leapt
        (day, day + YEARS, day, False),  # the database's clock leapt
        (day, day - YEARS, day, False),
        (day + YEARS, day + YEARS, day, False),  # both are of one host, and its clock leapt
        (3 * day, 3 * day, timedelta(), False),  # or it was off
        (0.9 * 30 * day, 30 * day, 30 * day, False),  # ticks that run slow, as behind a host that is years back
    ],
)
def test_the_witnesses_agree_on_how_much_time_has_passed(
    log: timedelta, database: timedelta, ticked: timedelta, agree: bool
) -> None:
    assert (difference(START, later(START, log=log, database=database, ticked=ticked)) <= MARGIN) == agree


hours = st.integers(-30, 30).map(lambda number: timedelta(hours=number))


@settings(deadline=None)
@given(log=hours, database=hours, lived=st.integers(0, 100_000).map(lambda number: timedelta(hours=number)))
def test_who_is_believed_is_ahead_of_no_witness_by_more_than_the_margin(
    log: timedelta, database: timedelta, lived: timedelta
) -> None:
    """So that `believed_now`, which is the margin behind, is never ahead of the time that was lived through."""
    reading = later(START, log=lived + log, database=lived + database, ticked=lived)
    if difference(START, reading) <= MARGIN:
        assert min(reading.log_time, reading.database) - MARGIN <= NOON + lived


def test_clocks_that_leapt_are_believed_after_they_went_on_together_for_a_while() -> None:
    leapt = later(START, log=YEARS, database=YEARS)
    known: dict[Kind, Reading] = {"believed": START, "suspected": leapt, "seen": leapt}
    week = {"log": PROBATION, "database": PROBATION, "ticked": PROBATION}
    assert believable(known, later(leapt, **week))
    assert not believable(known, later(leapt, **(week | {"ticked": PROBATION - timedelta(hours=1)})))
    assert not believable(known, later(leapt, **(week | {"database": PROBATION + 2 * day})))
    assert not believable({"believed": START}, leapt)
    # Both clocks of a host, once more, at the end of the week.
    seen = later(leapt, log=PROBATION - day, database=PROBATION - day, ticked=PROBATION - day)
    assert not believable(known | {"seen": seen}, later(leapt, log=YEARS, database=YEARS, ticked=PROBATION))


class Judge:
    """What retention's clock comes to know, run after run."""

    def __init__(self) -> None:
        self.now = START
        self.known: dict[Kind, Reading] = {"believed": START}

    def run(self, **passed: timedelta) -> bool:
        """Whether the clocks are believed after so much more time."""
        self.now = later(self.now, **passed)
        if not believable(self.known, self.now):
            self.known |= suspicion(self.known, self.now)
            return False
        self.known = {"believed": self.now}
        return True


@pytest.mark.parametrize("on", [24, 22, 20, 12, 2])
@pytest.mark.parametrize("off", [3 * day, 30 * day])
def test_an_installation_that_is_off_for_hours_each_day_outlives_a_longer_gap(on: int, off: timedelta) -> None:
    judge = Judge()
    ticked = timedelta(hours=on)
    assert all(judge.run(log=day, database=day, ticked=ticked) for _ in range(30))
    assert not judge.run(log=off, database=off)
    runs = [judge.run(log=day, database=day, ticked=ticked) for _ in range(120)]
    first = runs.index(True) + 1
    assert first == math.ceil(PROBATION / ticked)
    assert all(runs[first - 1 :])


def test_who_is_off_for_a_day_again_begins_anew() -> None:
    judge = Judge()
    half = timedelta(hours=12)
    judge.run(log=3 * day, database=3 * day)
    runs = [judge.run(log=day, database=day, ticked=half) for _ in range(10)]
    runs += [judge.run(log=2 * day, database=2 * day)]
    assert not any(runs)
    assert [judge.run(log=day, database=day, ticked=half) for _ in range(14)] == [False] * 13 + [True]


lived_hours = st.integers(1, 24).map(lambda number: timedelta(hours=number))
leaps = st.sampled_from([timedelta()] * 12 + [YEARS, -YEARS, 2 * day])


@settings(deadline=None)
@given(st.lists(st.tuples(lived_hours, st.integers(0, 12), leaps, leaps | st.none()), max_size=60))
def test_no_leap_is_believed_before_it_has_been_lived_with(
    runs: list[tuple[timedelta, int, timedelta, timedelta | None]],
) -> None:
    """Clocks of one host leap together (None); the hours that it is off pass on both."""
    judge = Judge()
    since_leap = since_believed = timedelta()
    for lived, hours_off, log, alone in runs:
        passed = lived + timedelta(hours=hours_off)
        database = log if alone is None else alone
        since_leap = timedelta() if log or database else since_leap + lived
        since_believed += passed
        before = judge.known["believed"]
        if judge.run(log=passed + log, database=passed + database, ticked=lived):
            told = min(judge.now.log_time - before.log_time, judge.now.database - before.database)
            assert told - MARGIN <= since_believed or since_leap >= PROBATION
            since_believed = timedelta()


def test_a_leap_that_is_taken_back_after_a_gap_does_not_last() -> None:
    judge = Judge()
    assert not judge.run(log=3 * day + YEARS, database=3 * day + YEARS)
    assert not judge.run(log=-YEARS, database=-YEARS)
    assert [judge.run(log=day, database=day, ticked=day) for _ in range(7)] == [False] * 6 + [True]


class Installation:
    """Executions that ended just now by the real clock, and ticks that a leader has written."""

    def __init__(self, world: World, pool: Pool) -> None:
        self.world = world
        self.pool = pool
        self.now = time.time_ns() // 1_000_000

    def work(self, *, ahead: timedelta = timedelta()) -> Work:
        return Work(self.pool, self.world.log, self.now + int(ahead.total_seconds() * 1_000))

    def tick(self, count: int) -> None:
        self.world.log.append(Topic.TICKS, 0, [NewRecord(b"")] * count)


@pytest.fixture
async def installation(postgres_url: str, pool: Pool) -> Installation:
    world = World()
    made = Installation(world, pool)
    world.configure()
    for number in range(4):
        world.run_at_once(f"young-{number}", at=made.now - HOUR)
    world.run_at_once("old", at=made.now - 40 * DAY)
    await projected(world, postgres_url, pool)
    return made


YOUNG = {some_id(f"young-{number}") for number in range(4)}

Keep = Callable[[Work], Awaitable[JobRun]]


@pytest.fixture
def keep(postgres_url: str, pool: Pool) -> Keep:
    """Ask for a run of `retention`, as an operator does, of a leader whose newest tick says `work.now`."""
    jobs = [each for each in all_jobs("03:00", "UTC") if each.name == "retention"]

    async def run(work: Work) -> JobRun:
        runs = JobRuns(pool)
        keeper = Housekeeper(postgres_url, jobs, runs, lambda _: work, runner="test")
        async with leading(keeper, work.now):
            asked = None
            while asked is None:
                asked = await runs.ask("retention", "test")
            while True:
                keeper.tell(work.now)
                found = await runs.runs("retention", limit=10) or []
                (mine,) = [each for each in found if each.due == asked.due]
                if mine.result not in ("asked", "running"):
                    return mine
                await asyncio.sleep(0.02)

    return run


@asynccontextmanager
async def leading(keeper: Housekeeper, now: int) -> AsyncIterator[None]:
    running = asyncio.create_task(keeper.run(first_after=0))
    keeper.tell(now)
    try:
        async with asyncio.timeout(30):
            yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_leap_of_ticks_of_ten_years_takes_nothing(installation: Installation, pool: Pool, keep: Keep) -> None:
    ran = await keep(installation.work())
    assert (ran.result, ran.figures["executions"]) == ("done", 1)
    assert await executions(pool) == YOUNG
    horizons = await pool.fetch("SELECT * FROM horizons")

    installation.tick(1)
    ran = await keep(installation.work(ahead=YEARS))
    assert ran.result == "failed"
    assert ran.error is not None
    assert ran.error.startswith("ClocksDisagree: clocks disagree: since ")
    assert "87600.0 h went by as the log says" in ran.error
    assert "trust-clocks" in ran.error
    assert metrics.CLOCKS_DIFFER._value.get() == pytest.approx(YEARS.total_seconds(), rel=0.001)
    for job in all_jobs("03:00", "UTC"):
        if job.name in ("blobs", "log"):
            with pytest.raises(ClocksDisagree):
                await job.run(installation.work(ahead=YEARS))
    assert await pool.fetch("SELECT * FROM horizons") == horizons
    assert await executions(pool) == YOUNG

    # Also where an operator says that it is right: of two clocks the one that takes less counts.
    await RetentionClock(pool).trust("key:1")
    ran = await keep(installation.work(ahead=YEARS))
    assert ran.result == "done"
    assert await executions(pool) == YOUNG
    assert (await keep(installation.work(ahead=YEARS))).result == "done"
    assert metrics.CLOCKS_DIFFER._value.get() == 0


async def test_a_leap_that_is_taken_back_is_forgotten(installation: Installation, pool: Pool, keep: Keep) -> None:
    await keep(installation.work())
    assert (await keep(installation.work(ahead=timedelta(days=3)))).result == "failed"
    assert (await keep(installation.work())).result == "done"
    assert set(await RetentionClock(pool).load()) == {"believed"}


async def test_the_first_run_of_all_compares_what_time_it_is(installation: Installation, keep: Keep) -> None:
    ran = await keep(installation.work(ahead=YEARS))
    assert ran.result == "failed"
    assert ran.error is not None
    assert "it is 2036-" in ran.error


async def test_a_leap_of_all_clocks_of_one_host_is_seen_by_the_ticks_that_are_missing(
    installation: Installation, pool: Pool
) -> None:
    """The database's clock cannot be set here: it was believed as long ago as it would have leapt."""
    work = installation.work()
    past = Reading(moment_of(work.now) - YEARS, datetime.now(UTC) - YEARS, 0)
    await RetentionClock(pool).store("believed", past)
    installation.tick(3_600)
    with pytest.raises(ClocksDisagree, match=r"and 1\.0 h as the number of ticks says"):
        await believed_now(work)
    # Seven days later, as far as anybody can know: still running, no other leap.
    week = int(PROBATION.total_seconds())
    began = (await RetentionClock(pool).load())["suspected"]
    installation.tick(60)
    with pytest.raises(ClocksDisagree):
        await believed_now(work)
    known = await RetentionClock(pool).load()
    assert known["believed"] == past
    assert known["suspected"] == began
    assert known["seen"].ticks == began.ticks + 60
    moved = Reading(began.log_time - PROBATION, began.database - PROBATION, began.ticks - week)
    await RetentionClock(pool).store("suspected", moved)
    assert await believed_now(work) == pytest.approx(work.now - DAY, abs=120_000)


@pytest.mark.parametrize("years", [-10, 10])
async def test_a_worker_whose_clock_is_ten_years_off_dates_nothing(pool: Pool, postgres_url: str, years: int) -> None:
    world = World()
    world.configure()
    now = time.time_ns() // 1_000_000
    for name, at in (("young", now - HOUR), ("old", now - 40 * DAY)):
        world.run_at_once(name, at=at, wall=at + years * 365 * DAY)
    opened = f"execution-{some_id('failing')}"
    world.commit(opened, [queued(now)], queued_at=now, time=now + years * 365 * DAY)
    await projected(world, postgres_url, pool)
    row = await pool.fetchrow("SELECT started_at, completed_at FROM executions WHERE id = $1", some_id("young"))
    assert row is not None
    assert abs(instant_of(row["completed_at"]) - (now - HOUR)) < 1_000
    assert row["started_at"] <= row["completed_at"]
    await apply_retention(Work(pool, world.log, now))
    assert await executions(pool) == {some_id("young"), some_id("failing")}
    report = await verify(world.log, pool)
    assert report.ok, report.differences


async def test_deliveries_age_by_the_logs_time_too(pool: Pool, postgres_url: str) -> None:
    """`received_at` is the clock of the api's host."""
    world = World()
    world.configure()
    now = time.time_ns() // 1_000_000
    for name, received_at, at in (("young", now - 3_650 * DAY, now - HOUR), ("old", now, now - 40 * DAY)):
        delivery = Delivery(some_id(name), "endpoint-1", FLOW, 1, "start", received_at)
        world.commit(f"inbox-{some_id('inbox')}", [DeliveryRefused(delivery, "throttled", "no", at)])
    await projected(world, postgres_url, pool)
    await apply_retention(Work(pool, world.log, now))
    left = {str(row["id"]) for row in await pool.fetch("SELECT id FROM webhook_deliveries")}
    assert left & {some_id("young"), some_id("old")} == {some_id("young")}
    report = await verify(world.log, pool)
    assert report.ok, report.differences
