"""Usage by hour or day: of one's own workspace; of all, for the operator."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from projections.usage.queries import UsageRow
from services.api.commands import now_ms
from services.api.executions_view import time_text
from services.api.operator import require_operator
from services.api.parts import Parts
from services.api.problems import Problem
from services.api.routes.common import Asker, MinPosition, as_utc, json_answer, reach

MOST_ROWS = 10_000
_DEFAULT = {"hour": timedelta(days=1), "day": timedelta(days=30)}

By = Annotated[Literal["hour", "day"], Query(description="Hours, or days of UTC.")]
From = Annotated[datetime | None, Query(alias="from", description="A day ago by hour, 30 days ago by day.")]
To = Annotated[datetime | None, Query(alias="to", description="Exclusive; now unless given.")]


class Usage(BaseModel):
    """Executions by what happened to them in that time; node runs that ended; attempts of effects. What an execution
    does counts in the hour in which it does it, so that its start and its end may count in different ones."""

    since: str = Field(description="The beginning of the hour or day.")
    queued: int
    started: int
    completed: int
    failed: int
    timed_out: int
    cancelled: int
    node_runs: int
    attempts: int
    deliveries: int = Field(
        description="To subscriptions that began, tests included; nothing of them counts anywhere else."
    )


class WorkspaceUsage(Usage):
    workspace_id: str


class UsageList(BaseModel):
    """Only hours or days in which something happened."""

    items: list[Usage]


class AllUsage(BaseModel):
    items: list[WorkspaceUsage]


def make_router(parts: Parts) -> APIRouter:
    router = APIRouter()

    @router.get("/usage", tags=["usage"], response_model=UsageList, summary="Usage of this workspace, oldest first")
    async def usage(
        principal: Asker, by: By = "hour", since: From = None, until: To = None, min_position: MinPosition = None
    ) -> Response:
        await reach(parts, min_position)
        begin, end = _range(by, since, until)
        return _answer(await parts.reads.usage(principal.workspace_id, by, begin, end, limit=MOST_ROWS + 1))

    @router.get("/admin/usage", tags=["admin"], response_model=AllUsage, summary="Usage of all workspaces")
    async def usage_of_all(
        principal: Asker, by: By = "day", since: From = None, until: To = None, min_position: MinPosition = None
    ) -> Response:
        require_operator(principal)
        await reach(parts, min_position)
        begin, end = _range(by, since, until)
        return _answer(await parts.reads.usage_of_all(by, begin, end, limit=MOST_ROWS + 1))

    return router


def _range(by: str, since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
    end = as_utc(until) if until is not None else datetime.fromtimestamp(now_ms() / 1_000, UTC) + timedelta(hours=1)
    begin = as_utc(since) if since is not None else end - min(_DEFAULT[by], end - datetime.min.replace(tzinfo=UTC))
    if begin >= end:
        raise Problem(422, "invalid_range", "'from' must lie before 'to'.", [("from", "must lie before 'to'")])
    return begin, end


def _answer(rows: list[UsageRow]) -> Response:
    if len(rows) > MOST_ROWS:
        detail = f"More than {MOST_ROWS} rows: ask for a shorter time, or by=day."
        raise Problem(422, "range_too_large", detail, [("from", "is too long ago")])
    return json_answer(msgspec.json.encode({"items": [_shown(row) for row in rows]}))


def _shown(row: UsageRow) -> dict[str, Any]:
    whose = {} if row.workspace_id is None else {"workspace_id": row.workspace_id}
    return {**whose, "since": time_text(row.since), **row.counts}
