"""For the operator: the jobs of housekeeping and their runs, and the processes of the installation."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from infra.postgres.heartbeats import Heartbeat, PostgresHeartbeats
from infra.postgres.job_runs import JobRow, JobRun, JobRuns
from infra.postgres.retention_clock import RetentionClock
from services.api.executions_view import time_text
from services.api.operator import require_operator
from services.api.parts import Parts
from services.api.problems import not_found
from services.api.routes.common import Asker, json_answer

JobName = Annotated[str, Path(examples=["stale_work"], max_length=100)]
MOST_RUNS = 200


class Run(BaseModel):
    """`due`: by the log's time. `figures`: what the run has to say."""

    job: str
    due: str
    result: Literal["asked", "running", "done", "failed", "timed_out", "interrupted"]
    attempts: int
    asked_by: str | None
    runner: str | None
    started_at: str | None
    ended_at: str | None
    seconds: float | None
    figures: dict[str, Any]
    error: str | None


class Job(BaseModel):
    name: str
    meaning: str
    timing: str
    max_seconds: int = Field(description="A run that takes longer is cut off.")
    next_due: str
    last_run: Run | None


class Jobs(BaseModel):
    items: list[Job]


class Runs(BaseModel):
    items: list[Run]


class Trusted(BaseModel):
    trusted_by: str


class ProcessState(BaseModel):
    """`holds`: what it says of itself: partitions of a worker, leadership of projector and scheduler."""

    member: str
    role: str
    state: Literal["alive", "restarting", "silent"]
    process: str = Field(description="Host and process id.")
    version: str
    seconds_since_start: float | None
    seconds_since_seen: float
    holds: dict[str, Any]


class Processes(BaseModel):
    items: list[ProcessState]


def make_router(parts: Parts) -> APIRouter:
    """The routes under /admin: 403 `operator_only` for all but the operator."""
    router = APIRouter(prefix="/admin", tags=["admin"])
    runs = JobRuns(parts.reads.pool)

    @router.get("/jobs", response_model=Jobs, summary="The jobs of housekeeping, each with its last run")
    async def list_jobs(principal: Asker) -> Response:
        require_operator(principal)
        return _items([_job(job, last) for job, last in await runs.jobs()])

    @router.get("/jobs/{name}/runs", response_model=Runs, summary="The runs of a job, newest first")
    async def list_runs(
        name: JobName, principal: Asker, limit: Annotated[int, Query(ge=1, le=MOST_RUNS)] = 50
    ) -> Response:
        require_operator(principal)
        found = await runs.runs(_plain(name), limit=limit)
        if found is None:
            raise not_found("job")
        return _items([_run(run) for run in found])

    @router.post("/jobs/{name}/run", status_code=202, response_model=Run, summary="Run a job now")
    async def run_now(name: JobName, principal: Asker) -> Response:
        require_operator(principal)
        asked = await runs.ask(_plain(name), principal.actor)
        if asked is None:
            raise not_found("job")
        return json_answer(msgspec.json.encode(_run(asked)), 202)

    @router.post(
        "/clocks/trust", status_code=202, response_model=Trusted, summary="Say that clocks that disagree are right"
    )
    async def trust_clocks(principal: Asker) -> Response:
        """Retention stands still where a clock leapt or the installation was off for more than a day. The next run of
        `retention` goes by the earlier of the log's time and the database's: what is old by that is gone for good."""
        require_operator(principal)
        await RetentionClock(parts.reads.pool).trust(principal.actor)
        return json_answer(msgspec.json.encode({"trusted_by": principal.actor}), 202)

    @router.get("/processes", response_model=Processes, summary="The processes that were heard of in the last hour")
    async def list_processes(principal: Asker) -> Response:
        require_operator(principal)
        return _items([_process(each) for each in await PostgresHeartbeats(parts.reads.pool).all()])

    return router


def _items(items: list[dict[str, Any]]) -> Response:
    return json_answer(msgspec.json.encode({"items": items}))


def _plain(name: str) -> str:
    """PostgreSQL takes no NUL."""
    return name.replace("\0", "\ufffd")


def _job(job: JobRow, last: JobRun | None) -> dict[str, Any]:
    return {
        "name": job.name,
        "meaning": job.meaning,
        "timing": job.timing,
        "max_seconds": job.seconds,
        "next_due": time_text(job.next_due),
        "last_run": None if last is None else _run(last),
    }


def _run(run: JobRun) -> dict[str, Any]:
    return {
        "job": run.job,
        "due": time_text(run.due),
        "result": run.result,
        "attempts": run.attempts,
        "asked_by": run.asked_by,
        "runner": run.runner,
        "started_at": time_text(run.started_at),
        "ended_at": time_text(run.ended_at),
        "seconds": _seconds(run.started_at, run.ended_at),
        "figures": run.figures,
        "error": run.error,
    }


def _seconds(started: datetime | None, ended: datetime | None) -> float | None:
    return None if started is None or ended is None else round((ended - started).total_seconds(), 3)


def _process(each: Heartbeat) -> dict[str, Any]:
    return {
        "member": each.member,
        "role": each.role,
        "state": each.state,
        "process": each.process,
        "version": each.version,
        "seconds_since_start": round(each.starts[-1], 1) if each.starts else None,
        "seconds_since_seen": round(each.age, 1),
        "holds": each.facts,
    }
