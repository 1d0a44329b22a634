"""Shapes of what is said about schedules, for the OpenAPI document."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from services.api.routes import schedule_examples as examples

Dst = Literal["gap", "overlap"]


class MissedRuns(BaseModel):
    policy: Literal["none", "last", "all"]
    limit: int
    grace_seconds: int = Field(description="A run is missed once so much time has passed after it.")


class Run(BaseModel):
    at: str
    local_time: str = Field(description="As asked for; in a gap it does not exist.")
    dst: Dst | None
    note: str | None


class ScheduleSummary(BaseModel):
    id: str = Field(examples=[examples.SCHEDULE_ID])
    workflow_id: str
    node_id: str | None
    of_workflow: bool = Field(description="It belongs to a schedule node and comes and goes with the workflow.")
    name: str
    description: str
    cron_expression: str | None
    every: dict[str, Any] | None
    at: str | None
    timezone: str
    missed_runs: MissedRuns
    overlap: Literal["allow", "skip", "queue"]
    queue_limit: int
    jitter_seconds: int
    input_data: dict[str, Any] | None
    status: Literal["active", "paused", "ended", "deleted"]
    is_active: bool
    reason: str | None
    next_run_at: str | None
    last_run_at: str | None
    last_execution_id: str | None
    run_count: int
    created_at: str
    updated_at: str


class Schedule(ScheduleSummary):
    next_runs: list[Run] = Field(description="The next ten.")


class SchedulePage(BaseModel):
    items: list[ScheduleSummary]
    next_cursor: str | None


class Firing(BaseModel):
    id: str
    due_at: str
    last_due_at: str
    local_time: str
    last_local_time: str
    count: int = Field(description="How many runs this is about; `more`: at least so many.")
    more: bool
    outcome: Literal["fired", "late", "waiting", "skipped", "suppressed"]
    reason: str | None
    explanation: str
    dst: Dst | None
    late_by_seconds: float
    jitter_seconds: float
    execution_id: str | None
    execution_status: str | None
    message: str | None
    backfill_id: str | None
    at: str


class FiringPage(BaseModel):
    items: list[Firing]
    next_cursor: str | None


class Backfill(BaseModel):
    id: str
    from_: str = Field(alias="from")
    to: str
    per_minute: int
    status: Literal["running", "completed", "cancelled"]
    total: int
    fired: int
    started_at: str
    ended_at: str | None


class BackfillPage(BaseModel):
    items: list[Backfill]
    next_cursor: str | None


class Suppressed(BaseModel):
    at: str
    local_time: str
    last_local_time: str
    count: int
    dst: Dst
    note: str


class Preview(BaseModel):
    runs: list[Run]
    suppressed: list[Suppressed] = Field(description="Local times in between that bring no run.")
