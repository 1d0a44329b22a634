"""Webhook deliveries: what reached an endpoint, what became of it, and sending it again."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from infra.telemetry.metrics import ACCEPTED
from projections.webhook_deliveries.queries import DeliveryRow, Filter
from services.api.bodies import read_body
from services.api.idempotency import identify
from services.api.paging import DEFAULT_LIMIT, MAX_LIMIT, decode_cursor, encode_cursor, page
from services.api.parts import Parts
from services.api.principal import Principal
from services.api.problems import not_found
from services.api.redelivering import RedeliverRequest, detail, plan_redelivery, summary
from services.api.routes import examples
from services.api.routes.common import Asker, MinPosition, as_utc, json_answer, reach
from services.api.routes.executions import VISIBLE_SECONDS, decode_body
from services.api.routes.models import Accepted

Status = Literal["accepted", "held", "duplicate", "superseded", "refused"]
WorkflowId = Annotated[str, Path(examples=[examples.WORKFLOW_ID])]
DeliveryId = Annotated[str, Path(examples=["5a0f3c5e-8e0f-49f4-b7b0-1d2f9f2b6c41"])]
_redelivered = ACCEPTED.labels("redelivery")


class Delivery(BaseModel):
    id: str
    workflow_id: str
    workflow_version: int = Field(description="The version that was active when it came.")
    node_id: str
    endpoint_id: str
    status: Status
    code: str | None = Field(description="Why it was refused, like malformed_json or throttled.")
    reason: str | None
    duplicate_of: str | None = Field(description="The delivery that came first with the same key.")
    superseded_by: str | None = Field(description="The delivery that took its place in a debounce.")
    execution_id: str | None = Field(description="The execution that it started.")
    due_at: str | None = Field(description="When what is held begins, or what was refused may come again, if known.")
    more: int = Field(description="So many others were refused like it and are not kept.")
    received_at: str


class WholeDelivery(Delivery):
    payload: list[dict[str, Any]] = Field(description="Its items; headers with credentials or signatures are hidden.")
    excerpt: str | None = Field(description="The beginning of a body that could not be read.")
    executions: list[str] = Field(description="The execution that it started, and its redeliveries.")


class DeliveryPage(BaseModel):
    items: list[Delivery]
    next_cursor: str | None


def make_router(parts: Parts) -> APIRouter:
    """The routes of deliveries."""
    router = APIRouter(tags=["webhook deliveries"])

    @router.get(
        "/workflows/{workflow_id}/deliveries",
        response_model=DeliveryPage,
        summary="List what reached the workflow's webhooks, newest first",
    )
    async def list_(
        workflow_id: WorkflowId,
        principal: Asker,
        status: Annotated[Status | None, Query()] = None,
        node: Annotated[str | None, Query(max_length=100, description="Only those for this webhook node.")] = None,
        since: Annotated[datetime | None, Query(alias="from", description="Received at or after this time.")] = None,
        until: Annotated[datetime | None, Query(alias="to", description="Received before this time.")] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
        cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None,
        min_position: MinPosition = None,
    ) -> Response:
        await reach(parts, min_position)
        before = decode_cursor(cursor)
        if await parts.bindings.workflow(principal.workspace_id, workflow_id) is None:
            raise not_found("workflow")
        named = node.replace("\0", "\ufffd") if node is not None else None
        wanted = Filter(status=status, node=named, since=as_utc(since), until=as_utc(until))
        rows = await parts.reads.deliveries(principal.workspace_id, workflow_id, wanted, limit=limit + 1, before=before)
        shown = rows[:limit]
        following = encode_cursor(shown[-1].received_at, shown[-1].id) if len(rows) > limit else None
        return json_answer(page([summary(row) for row in shown], following))

    @router.get("/deliveries/{delivery_id}", response_model=WholeDelivery, summary="One delivery, with its payload")
    async def get(delivery_id: DeliveryId, principal: Asker, min_position: MinPosition = None) -> Response:
        await reach(parts, min_position)
        row = await _row(parts, principal, delivery_id)
        return json_answer(msgspec.json.encode(await detail(parts, row)))

    @router.post(
        "/deliveries/{delivery_id}/redeliver",
        status_code=202,
        response_model=Accepted,
        openapi_extra=_body(),
        summary="Send it again, to the active, the newest or another version: a new execution",
    )
    async def redeliver(request: Request, delivery_id: DeliveryId, principal: Asker) -> Response:
        body = await read_body(request.receive, request.scope["headers"])
        identity = identify("execution", principal.workspace_id, request.scope["headers"], request.url.path, body)
        row = await _row(parts, principal, delivery_id)
        asked = decode_body(body, RedeliverRequest) if body else RedeliverRequest()
        started = await parts.starter.start(principal, await plan_redelivery(parts, row, asked), identity, "none")
        _redelivered.inc()
        position = None if started.position is None else started.position.json()
        return json_answer(msgspec.json.encode({"execution_id": started.execution_id, "position": position}), 202)

    return router


async def _row(parts: Parts, principal: Principal, delivery_id: str) -> DeliveryRow:
    """One that was taken but is not visible yet is waited for."""
    row = await parts.positions.looked_up(
        lambda: parts.reads.delivery(principal.workspace_id, delivery_id), lambda row: row is not None, VISIBLE_SECONDS
    )
    if row is None:
        raise not_found("delivery")
    return row


def _body() -> dict[str, Any]:
    version = {"anyOf": [{"enum": ["active", "newest"]}, {"type": "integer", "minimum": 1}], "default": "active"}
    schema = {"type": "object", "properties": {"version": version}}
    content = {"application/json": {"schema": schema, "example": {"version": "newest"}}}
    return {"requestBody": {"required": False, "content": content}}
