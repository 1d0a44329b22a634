"""Runs the jobs when they are due by the log's time, in the leading scheduler; each run is claimed and recorded.

Jobs run beside the ticks and beside each other (MOST_AT_ONCE), never twice for one due time: a run belongs to who has
the job's lock and the row (job, due). Where nobody led at a due time, the newest one missed is made up for.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from domain.schedule.timing import following, newest
from domain.schedule.zones import instant_of, moment_of
from infra.postgres.job_runs import JobLock, JobRow, JobRuns
from infra.postgres.waiting import waited_out
from infra.telemetry import metrics
from infra.telemetry.logs import get_logger
from services.housekeeping.jobs import Job, Work, timing_text

MOST_AT_ONCE: Final = 3
FIRST_AFTER_SECONDS: Final = 5.0
"""A new leader leaves the machine to others at first: everything starts then."""
CONFIRM_SECONDS: Final = 5.0
LOOK_BACK_MS: Final = 3 * 86_400_000
_END_SECONDS: Final = 3.0
_MAX_ERROR: Final = 500

MakeWork = Callable[[int], Work]
"""What a run works with, at a time of the log."""

log = get_logger(__name__)


class Housekeeper:
    """`runner`: the name of this process. `tell` it each tick's time; `run` it as long as this process leads."""

    def __init__(self, url: str, jobs: Sequence[Job], runs: JobRuns, make_work: MakeWork, *, runner: str) -> None:
        self._url = url
        self._jobs = {job.name: job for job in jobs}
        self._runs = runs
        self._make_work = make_work
        self._runner = runner
        self._now = 0
        self._ticked = asyncio.Event()
        self._finished: dict[str, int] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._places = asyncio.Semaphore(MOST_AT_ONCE)

    @property
    def under_way(self) -> list[str]:
        return sorted(self._running)

    def tell(self, now: int) -> None:
        """The time of the newest tick, ms since 1970."""
        self._now = now
        self._ticked.set()

    async def run(self, first_after: float = FIRST_AFTER_SECONDS) -> None:
        """Until cancelled: then the runs under way are cut off and recorded as interrupted. Nothing is begun for
        `first_after` seconds."""
        try:
            first = time.monotonic() + first_after
            begun = False
            while True:
                await self._ticked.wait()
                self._ticked.clear()
                with waited_out(log, "housekeeping waits for the database"):
                    if not begun:
                        await self._begin()
                        begun = True
                    if time.monotonic() >= first:
                        await self._look()
        finally:
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _begin(self) -> None:
        finished, announced = await self._runs.finished(), await self._runs.announced()
        for job in self._jobs.values():
            if job.name in finished:
                self._finished[job.name] = instant_of(finished[job.name])
            elif job.waits:  # not before it was said to be due: who starts or upgrades has time to settle things
                due = announced.get(job.name)
                self._finished[job.name] = self._now if due is None else instant_of(due) - 1
            await self._announce(job)

    async def _announce(self, job: Job) -> None:
        due = following(job.timing, self._now).occurrence
        if due is not None:
            row = JobRow(job.name, job.meaning, timing_text(job.timing), job.seconds, moment_of(due.due))
            await self._runs.announce(row)

    async def _look(self) -> None:
        """Begin what is due or asked for."""
        for name, asked in await self._runs.asked():
            if name in self._jobs and name not in self._running:
                self._start(self._jobs[name], asked, asked=True)
        for job in self._jobs.values():
            if job.name in self._running:
                continue
            since = max(self._finished.get(job.name, 0), self._now - LOOK_BACK_MS)
            for due in newest(job.timing, since, self._now, 1):
                self._start(job, moment_of(due.due), asked=False)

    def _start(self, job: Job, due: datetime, *, asked: bool) -> None:
        task = asyncio.create_task(self._take(job, due, asked=asked), name=f"job {job.name}")
        self._running[job.name] = task
        task.add_done_callback(lambda _: self._running.pop(job.name, None))

    async def _take(self, job: Job, due: datetime, *, asked: bool) -> None:
        """One run, if it is ours to do."""
        with waited_out(log, "a job waits for the database", job=job.name):
            async with self._places:
                lock = await JobLock.take(self._url, job.name)
                if lock is None:
                    return  # asked again at the next tick
                try:
                    if await self._runs.claim(job.name, due, self._runner):
                        await self._do(job, due, lock)
                    if not asked:
                        self._finished[job.name] = instant_of(due)
                        await self._announce(job)
                finally:
                    lock.release()

    async def _do(self, job: Job, due: datetime, lock: JobLock) -> None:
        work = self._make_work(self._now)
        began = time.monotonic()
        result, error = "interrupted", "the leader stopped"
        try:
            result, error = await _bounded(job, work, lock)
        finally:
            seconds = time.monotonic() - began
            metrics.JOB_SECONDS.labels(job.name, result).observe(seconds)
            say = log.info if result == "done" else log.warning
            say("job", job=job.name, result=result, seconds=round(seconds, 2), error=error, **work.figures)
            ending = self._runs.end(job.name, due, self._runner, result, work.figures, error or None)
            with waited_out(log, "the end of a run cannot be recorded", job=job.name):
                await asyncio.wait_for(asyncio.shield(asyncio.ensure_future(ending)), _END_SECONDS)


async def _bounded(job: Job, work: Work, lock: JobLock) -> tuple[str, str]:
    """Run `job` until it ends, its time is over or its lock is lost: (result, error)."""
    running = asyncio.ensure_future(job.run(work))
    holding = asyncio.create_task(_hold(lock))
    try:
        done, _ = await asyncio.wait({running, holding}, timeout=job.seconds, return_when=asyncio.FIRST_COMPLETED)
        if running in done:
            running.result()
            return "done", ""
        if holding in done:
            return "interrupted", "the job's lock was lost"
        return "timed_out", f"it was cut off after {job.seconds} s"
    except asyncio.CancelledError:
        raise
    except Exception as error:  # noqa: BLE001 — whatever fails in a job is recorded, and the others go on
        return "failed", f"{type(error).__name__}: {error}"[:_MAX_ERROR]
    finally:
        for task in (running, holding):
            task.cancel()
        await asyncio.wait({running, holding}, timeout=_END_SECONDS)


async def _hold(lock: JobLock) -> None:
    """Return when the lock is lost."""
    with waited_out(log, "the lock of a job is lost"):
        while True:
            await asyncio.sleep(CONFIRM_SECONDS)
            await lock.confirm()
