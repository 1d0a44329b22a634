"""`POST /executions/retry`: run everything again that failed for one reason, page by page.

A page is bounded, and its answer says where the next one begins: the caller sets the pace, and goes on after a break
with the cursor, or without: what was run again already is not found any more. The ids of the new executions are
derived from the old ones, so that a page that is asked for twice starts nothing twice. What fails again meanwhile is
left alone: a repair that mends nothing ends, too.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID, uuid5

import msgspec
from fastapi import APIRouter, Request, Response

from infra.telemetry.metrics import ACCEPTED
from projections.executions.failures import FailureFilter
from services.api.bodies import read_body
from services.api.idempotency import Identity
from services.api.paging import decode_cursor, decode_number, encode_cursor, encode_number
from services.api.parts import Parts
from services.api.principal import Principal
from services.api.problems import Problem, not_found
from services.api.retrying import RetryRequest, plan_retry
from services.api.routes.common import Asker, as_utc, json_answer
from services.api.routes.executions import decode_body
from services.api.routes.models import Repair

COUNTED = 10_000
_repaired = ACCEPTED.labels("repair")

_Positive = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class RepairRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Which of the executions that failed and were not run again yet, and how. `dry_run` (the default) only counts."""

    workflow_id: str | None = None
    workflow_version: _Positive | None = None
    status: Literal["failed", "timeout"] | None = None
    error_code: str | None = None
    node_id: str | None = None
    queued_from: datetime | None = None
    queued_to: datetime | None = None
    origin: Literal["start", "failed_node"] = msgspec.field(name="from", default="failed_node")
    version: Literal["same", "newest"] | _Positive = "newest"
    dry_run: bool = True
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 50
    cursor: str | None = None

    def filter(self) -> FailureFilter:
        return FailureFilter(
            statuses=("failed", "timeout") if self.status is None else (self.status,),
            workflow_id=self.workflow_id,
            workflow_version=self.workflow_version,
            error_code=self.error_code,
            node_id=self.node_id,
            since=as_utc(self.queued_from),
            until=as_utc(self.queued_to),
        )


def make_router(parts: Parts) -> APIRouter:
    """The route that repairs many."""
    router = APIRouter(prefix="/executions", tags=["executions"])

    @router.post(
        "/retry",
        response_model=Repair,
        openapi_extra=_body(),
        summary="Run again what failed for one reason: count it, then page by page",
    )
    async def repair(request: Request, principal: Asker) -> Response:
        body = await read_body(request.receive, request.scope["headers"])
        asked = decode_body(body, RepairRequest) if body else RepairRequest()
        return json_answer(msgspec.json.encode(await _repair(parts, principal, asked)))

    return router


async def _repair(parts: Parts, principal: Principal, asked: RepairRequest) -> dict[str, Any]:
    limit = COUNTED if asked.dry_run else asked.limit
    after, began = _place(asked.cursor)
    wanted = asked.filter()
    until = began if wanted.until is None else min(began, wanted.until)
    found = await parts.reads.failures(
        principal.workspace_id, msgspec.structs.replace(wanted, until=until), limit=limit + 1, after=after
    )
    more = len(found) > limit
    answer: dict[str, Any] = {"dry_run": asked.dry_run, "found": len(found[:limit]), "more": more, "items": []}
    answer["next_cursor"] = None
    if asked.dry_run:
        return answer
    how = RetryRequest(asked.origin, asked.version)
    answer["items"] = [await _again(parts, principal, execution, how) for _, execution in found[:limit]]
    if more:
        answer["next_cursor"] = f"{encode_cursor(*found[limit - 1])}.{encode_number(_milliseconds(began))}"
    return answer


def _place(cursor: str | None) -> tuple[tuple[datetime, str] | None, datetime]:
    """Where the page begins, and when the first one was asked for: what fails again since then is not taken up."""
    if cursor is None:
        return None, datetime.now(UTC)
    place, _, began = cursor.partition(".")
    return decode_cursor(place), datetime.fromtimestamp(decode_number(began) / 1_000, UTC)


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000)


async def _again(parts: Parts, principal: Principal, execution: str, how: RetryRequest) -> dict[str, Any]:
    """One of them; what cannot be run again is told, and holds the others up no more than it must."""
    identity = Identity(str(uuid5(UUID(execution), "repair")), True, f"repair:{execution}")
    try:
        row = await parts.reads.execution(principal.workspace_id, execution)
        if row is None:
            raise not_found("execution")
        started = await parts.starter.start(principal, await plan_retry(parts, row, how), identity, "none")
    except Problem as problem:
        if problem.status in {429, 503}:
            raise
        return {"execution_id": execution, "retried_as": None, "code": problem.code, "detail": problem.detail}
    _repaired.inc()
    return {"execution_id": execution, "retried_as": started.execution_id, "code": None, "detail": None}


def _body() -> dict[str, Any]:
    text, number = {"type": "string"}, {"type": "integer", "minimum": 1}
    properties = {
        "workflow_id": text,
        "workflow_version": number,
        "status": {"enum": ["failed", "timeout"]},
        "error_code": text,
        "node_id": text,
        "queued_from": {"type": "string", "format": "date-time"},
        "queued_to": {"type": "string", "format": "date-time"},
        "from": {"enum": ["start", "failed_node"], "default": "failed_node"},
        "version": {"anyOf": [{"enum": ["same", "newest"]}, number], "default": "newest"},
        "dry_run": {"type": "boolean", "default": True},
        "limit": {**number, "maximum": 100, "default": 50},
        "cursor": text,
    }
    schema = {"type": "object", "properties": properties}
    example = {"error_code": "http_status", "dry_run": True}
    return {"requestBody": {"required": False, "content": {"application/json": {"schema": schema, "example": example}}}}
