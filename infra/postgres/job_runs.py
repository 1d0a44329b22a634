"""The jobs of housekeeping and their runs (migration 0004): claimed by one, recorded for all to see."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zlib import crc32

import msgspec

from infra.postgres.pool import Connection, Pool, open_connection

KEPT_RUNS = 200
"""Of each job."""

MOST_ATTEMPTS = 3
"""A run that was interrupted is begun anew so often."""

_LOCK_SPACE = 0x4C4B_4A42  # "LKJB"
_SESSION = {
    # A process that is stopped asks nothing: the server ends its session, and another may have the lock.
    "idle_session_timeout": "15s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}

_RUN = "job, due, result, attempts, asked_by, runner, started_at, ended_at, figures::text AS figures, error"


@dataclass(frozen=True, slots=True)
class JobRow:
    name: str
    meaning: str
    timing: str
    seconds: int
    next_due: datetime


@dataclass(frozen=True, slots=True)
class JobRun:
    """`due`: by the log's time; `started_at`, `ended_at`: by PostgreSQL's clock. `result`: asked, running, done,
    failed, timed_out, interrupted. `attempts`: how often it was begun."""

    job: str
    due: datetime
    result: str
    attempts: int
    asked_by: str | None
    runner: str | None
    started_at: datetime | None
    ended_at: datetime | None
    figures: dict[str, Any]
    error: str | None


class JobLock:
    """Held by who runs a job, on a connection of its own: it ends with its holder."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @staticmethod
    async def take(url: str, job: str) -> "JobLock | None":
        """None: somebody else runs the job. Raises what CONNECTION_LOST lists."""
        connection = await open_connection(url, application_name=f"linkflow job {job}", settings=_SESSION)
        try:
            if await connection.fetchval("SELECT pg_try_advisory_lock($1, $2)", _LOCK_SPACE, _lock_of(job)):
                return JobLock(connection)
        except BaseException:
            connection.terminate()
            raise
        await connection.close()
        return None

    async def confirm(self) -> None:
        """Return if the lock is still held; raises as `take` does. To be asked every few seconds."""
        await self._connection.fetchval("SELECT 1", timeout=3.0)

    def release(self) -> None:
        self._connection.terminate()


def _lock_of(job: str) -> int:
    return crc32(job.encode()) - 2**31


class JobRuns:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def announce(self, row: JobRow) -> None:
        """What this job is, and when it is due next."""
        await self._pool.execute(
            "INSERT INTO jobs (name, meaning, timing, seconds, next_due) VALUES ($1, $2, $3, $4, $5)"
            " ON CONFLICT (name) DO UPDATE SET meaning = excluded.meaning, timing = excluded.timing,"
            " seconds = excluded.seconds, next_due = excluded.next_due",
            row.name,
            row.meaning,
            row.timing,
            row.seconds,
            row.next_due,
        )

    async def announced(self) -> dict[str, datetime]:
        """Job → when it was said to be due next."""
        return {row["name"]: row["next_due"] for row in await self._pool.fetch("SELECT name, next_due FROM jobs")}

    async def finished(self) -> dict[str, datetime]:
        """Job → the newest due time that needs no run any more."""
        rows = await self._pool.fetch(
            "SELECT job, max(due) AS due FROM job_runs"
            " WHERE result IN ('done', 'failed', 'timed_out') OR result = 'interrupted' AND attempts >= $1"
            " GROUP BY job",
            MOST_ATTEMPTS,
        )
        return {row["job"]: row["due"] for row in rows}

    async def asked(self) -> list[tuple[str, datetime]]:
        """What waits to begin because somebody asked for it; also what was begun and did not come to an end (where
        another process runs it still, that has the job's lock), unless it was done since."""
        rows = await self._pool.fetch(
            "SELECT job, due FROM job_runs r WHERE result = 'asked' OR asked_by IS NOT NULL"
            " AND (result = 'running' OR result = 'interrupted' AND attempts < $1) AND NOT EXISTS"
            " (SELECT FROM job_runs n WHERE n.job = r.job AND n.result = 'done' AND n.started_at > r.started_at)"
            " ORDER BY due LIMIT 100",
            MOST_ATTEMPTS,
        )
        return [(row["job"], row["due"]) for row in rows]

    async def ask(self, job: str, by: str) -> JobRun | None:
        """Want a run now; None if there is no such job. While one waits to begin, that is the one."""
        row = await self._pool.fetchrow(
            f"WITH waiting AS (SELECT {_RUN} FROM job_runs WHERE job = $1 AND result = 'asked' LIMIT 1),"  # noqa: S608
            " made AS (INSERT INTO job_runs (job, due, result, asked_by)"
            " SELECT name, date_trunc('milliseconds', clock_timestamp()), 'asked', $2 FROM jobs"
            f" WHERE name = $1 AND NOT EXISTS (SELECT FROM waiting) RETURNING {_RUN})"
            " SELECT * FROM waiting UNION ALL SELECT * FROM made",
            job,
            by,
        )
        return None if row is None else _run(row)

    async def claim(self, job: str, due: datetime, runner: str) -> bool:
        """Begin the run; False if it was done. Only with the job's lock: what still counts as running is not."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "UPDATE job_runs SET result = 'interrupted', ended_at = now(), error = 'its process ended'"
                " || CASE WHEN attempts >= $2 THEN '; begun ' || attempts || ' times, it is given up' ELSE '' END"
                " WHERE job = $1 AND result = 'running'",
                job,
                MOST_ATTEMPTS,
            )
            claimed = await connection.fetchval(
                "INSERT INTO job_runs AS r (job, due, result, attempts, runner, started_at)"
                " VALUES ($1, $2, 'running', 1, $3, now())"
                " ON CONFLICT (job, due) DO UPDATE SET result = 'running', attempts = r.attempts + 1,"
                " runner = excluded.runner, started_at = now(), ended_at = NULL, error = NULL"
                " WHERE r.result IN ('asked', 'interrupted') AND r.attempts < $4 RETURNING true",
                job,
                due,
                runner,
                MOST_ATTEMPTS,
            )
        return bool(claimed)

    async def end(
        self, job: str, due: datetime, runner: str, result: str, figures: dict[str, Any], error: str | None
    ) -> None:
        """Record how the run ended, unless another has it by now; forget the oldest ones."""
        await self._pool.execute(
            "UPDATE job_runs SET result = $4, ended_at = now(), figures = $5::text::jsonb, error = $6"
            " WHERE job = $1 AND due = $2 AND runner = $3 AND result = 'running'",
            job,
            due,
            runner,
            result,
            msgspec.json.encode(figures).decode(),
            error,
        )
        await self._pool.execute(
            "DELETE FROM job_runs WHERE job = $1 AND result <> 'asked' AND due <"
            " (SELECT due FROM job_runs WHERE job = $1 ORDER BY due DESC OFFSET $2 LIMIT 1)",
            job,
            KEPT_RUNS - 1,
        )

    async def jobs(self) -> list[tuple[JobRow, JobRun | None]]:
        """All jobs with their last run that has begun."""
        rows = await self._pool.fetch("SELECT name, meaning, timing, seconds, next_due FROM jobs ORDER BY name")
        last = {
            row["job"]: _run(row)
            for row in await self._pool.fetch(
                f"SELECT DISTINCT ON (job) {_RUN} FROM job_runs WHERE result <> 'asked'"  # noqa: S608
                " ORDER BY job, started_at DESC"
            )
        }
        return [(JobRow(*row), last.get(row["name"])) for row in rows]

    async def runs(self, job: str, *, limit: int) -> list[JobRun] | None:
        """The newest first; None if there is no such job."""
        if not await self._pool.fetchval("SELECT true FROM jobs WHERE name = $1", job):
            return None
        rows = await self._pool.fetch(
            f"SELECT {_RUN} FROM job_runs WHERE job = $1 ORDER BY due DESC LIMIT $2",  # noqa: S608
            job,
            limit,
        )
        return [_run(row) for row in rows]


def _run(row: Any) -> JobRun:
    values = {name: row[name] for name in JobRun.__dataclass_fields__}
    return JobRun(**{**values, "figures": msgspec.json.decode(row["figures"])})
