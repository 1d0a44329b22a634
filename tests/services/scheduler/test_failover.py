"""Two schedulers as processes on a real PostgreSQL: the leader is killed, or stopped and continued. Ten seconds at
most, and nothing twice."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from infra.log import open_admin, open_log
from infra.log.port import Log, Reader, Topic
from infra.postgres.heartbeats import PostgresHeartbeats
from infra.postgres.job_runs import JobRuns
from infra.postgres.migrate import migrate
from infra.postgres.pool import Pool, open_pool
from schemas.envelope import decode_tick
from tests.support.processes import LINKFLOW, Process, environment

FAILOVER_SECONDS = 10.0
Tick = tuple[str, int, int]
"""Leader, time, and when the log took it (ms)."""

pytestmark = [pytest.mark.system, pytest.mark.slow]


class Ticks:
    """The ticks of partition 0 so far."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.seen: list[Tick] = []

    async def until(self, enough: Callable[[list[Tick]], bool], within: float = 40.0) -> None:
        async with asyncio.timeout(within):
            while not enough(self.seen):
                for record in await self._reader.read(timeout=1.0):
                    tick = decode_tick(record.value)
                    self.seen.append((tick.leader, tick.time, record.appended_at))

    def of(self, leader: str) -> list[Tick]:
        return [tick for tick in self.seen if tick[0] == leader]


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[tuple[Log, Ticks, Pool]]:
    await migrate(url)
    admin = await open_admin("postgres", database_url=url)
    await admin.create_topics(2)
    log, pool = await open_log("postgres", database_url=url), await open_pool(url)
    reader = await log.reader()
    reader.seek(Topic.TICKS, 0, 0)
    try:
        yield log, Ticks(reader), pool
    finally:
        await reader.close()
        await log.close()
        await pool.close()
        await admin.close()


def scheduler(name: str, url: str, home: Path) -> Process:
    env = environment({"LINKFLOW_DATABASE_URL": url, "LINKFLOW_MEMBER": name, "LINKFLOW_PARTITIONS": "2"})
    return Process(name, [*LINKFLOW, "scheduler"], env, home / f"{name}.log")


async def jobs_done(pool: Pool) -> None:
    """Until every job has run that does not wait for the night."""
    async with asyncio.timeout(40):
        while True:
            found = [last for job, last in await JobRuns(pool).jobs() if job.timing.startswith("every")]
            if found and all(last is not None and last.ended_at is not None for last in found):
                return
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("how", ["killed", "stopped"])
async def test_the_next_leader_ticks_within_ten_seconds_and_nothing_is_done_twice(
    postgres_url: str, tmp_path: Path, how: str
) -> None:
    first, second = scheduler("a", postgres_url, tmp_path), scheduler("b", postgres_url, tmp_path)
    async with opened(postgres_url) as (_, ticks, pool):
        try:
            first.start()
            await ticks.until(lambda seen: len(seen) >= 2)
            second.start()
            await jobs_done(pool)
            if how == "killed":
                first.kill()
            else:
                first.pause()
            await ticks.until(lambda _: len(ticks.of("b")) >= 8)  # long enough for its jobs to look
            first.resume() if how == "stopped" else first.start()
            await ticks.until(lambda _: len(ticks.of("b")) >= 13)
            states = {each.member: each.facts["leads"] for each in await PostgresHeartbeats(pool).all()}
            runs = await pool.fetch("SELECT job, due, result, attempts FROM job_runs")
        finally:
            for process in (first, second):
                process.kill()
    took = (ticks.of("b")[0][2] - ticks.of("a")[-1][2]) / 1_000 if how == "killed" else _gap(ticks)
    print(f"{how}: the next tick came {took:.1f} s after the last one")
    assert took <= FAILOVER_SECONDS
    led = [leader for leader, _, _ in ticks.seen]
    late = led[led.index("b") :].count("a")  # one that was on its way when the leader was stopped: it changes nothing
    assert late <= (1 if how == "stopped" else 0)
    times = [time for leader, time, _ in ticks.seen if leader == "b"]
    assert times == sorted(times)
    # Its first tick only asks the log for the time (services/scheduler/ticker.py): it repeats one of the last.
    assert times[1] >= ticks.of("a")[-1 - late][1]
    assert states == {"a": False, "b": True}
    assert {(run["result"], run["attempts"]) for run in runs} <= {("done", 1), ("failed", 1)}
    assert len({(run["job"], run["due"]) for run in runs}) == len(runs)


def _gap(ticks: Ticks) -> float:
    """Seconds between the last tick before the second leader's first one, and that."""
    place = next(number for number, tick in enumerate(ticks.seen) if tick[0] == "b")
    return (ticks.seen[place][2] - ticks.seen[place - 1][2]) / 1_000
