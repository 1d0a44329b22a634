"""Executions: what ran, how it went, and what a person can do about it."""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response

from domain.execution.commands import CancelExecution, GiveVerdict
from domain.execution.events import Verdict as VerdictWord
from infra.log.port import Topic
from infra.telemetry.metrics import ACCEPTED
from projections.executions.queries import ExecutionRow
from services.api.bodies import parse_json, read_body
from services.api.commands import now_ms
from services.api.configuration import decide
from services.api.executions_view import log_lines, summary
from services.api.idempotency import identify
from services.api.paging import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    decode_cursor,
    decode_number,
    encode_cursor,
    encode_number,
    page,
)
from services.api.parts import Parts
from services.api.principal import Principal
from services.api.problems import Problem, not_found
from services.api.results import CLOSED
from services.api.retrying import RetryRequest, plan_retry, retry_body
from services.api.routes import examples
from services.api.routes.common import Asker, MinPosition, as_utc, json_answer, reach
from services.api.routes.models import Accepted, Execution, ExecutionPage, LogPage

ExecutionId = Annotated[str, Path(examples=[examples.EXECUTION_ID])]
Status = Literal["queued", "running", "waiting", "completed", "failed", "cancelled", "timeout"]
VISIBLE_SECONDS = 1.0
_retried = ACCEPTED.labels("retry")


class Verdict(msgspec.Struct, forbid_unknown_fields=True):
    """What became of an attempt whose outcome is unknown. `result`: with `happened`, what the node puts out; `items`:
    the numbers of the items that it holds for, of those that `asked` names (all of them unless given)."""

    verdict: VerdictWord
    run: int = 0
    result: Any = None
    items: list[int] | None = None


class Reason(msgspec.Struct, forbid_unknown_fields=True):
    reason: str = ""


Body = TypeVar("Body", bound=msgspec.Struct)


def make_router(parts: Parts) -> APIRouter:
    """The routes under /executions."""
    router = APIRouter(prefix="/executions", tags=["executions"])

    @router.get("", response_model=ExecutionPage, summary="List executions, newest first")
    async def list_(
        principal: Asker,
        workflow_id: Annotated[str | None, Query()] = None,
        status: Annotated[Status | None, Query()] = None,
        since: Annotated[datetime | None, Query(alias="from", description="Queued at or after this time.")] = None,
        until: Annotated[datetime | None, Query(alias="to", description="Queued before this time.")] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
        cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None,
        min_position: MinPosition = None,
    ) -> Response:
        await reach(parts, min_position)
        rows = await parts.reads.executions(
            principal.workspace_id,
            workflow_id=workflow_id,
            status=status,
            since=as_utc(since),
            until=as_utc(until),
            limit=limit + 1,
            before=decode_cursor(cursor),
        )
        shown = rows[:limit]
        following = encode_cursor(shown[-1].queued_at, shown[-1].id) if len(rows) > limit else None
        return json_answer(page([summary(row) for row in shown], following))

    @router.get("/{execution_id}", response_model=Execution, summary="An execution with its node runs")
    async def get(execution_id: ExecutionId, principal: Asker, min_position: MinPosition = None) -> Response:
        await reach(parts, min_position)
        return json_answer(await parts.view.detail(await _row(parts, principal, execution_id)))

    @router.get("/{execution_id}/logs", response_model=LogPage, summary="What its nodes' code logged, in order")
    async def logs(
        execution_id: ExecutionId,
        principal: Asker,
        limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="At most the lines of so many node runs.")] = 50,
        cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None,
        min_position: MinPosition = None,
    ) -> Response:
        await reach(parts, min_position)
        row = await _row(parts, principal, execution_id)
        after = decode_number(cursor)
        runs = await parts.reads.node_logs(principal.workspace_id, row, after=after, limit=limit + 1)
        shown = runs[:limit]
        following = encode_number(shown[-1].seq) if len(runs) > limit else None
        return json_answer(page([line for run in shown for line in log_lines(run)], following))

    @router.post("/{execution_id}/cancel", status_code=202, response_model=Accepted, summary="Cancel an execution")
    async def cancel(request: Request, execution_id: ExecutionId, principal: Asker) -> Response:
        body = await read_body(request.receive, request.scope["headers"])
        reason = decode_body(body, Reason) if body else Reason()
        row = await _row(parts, principal, execution_id)
        return await _command(parts, principal, row, CancelExecution(reason=reason.reason))

    @router.post(
        "/{execution_id}/retry",
        status_code=202,
        response_model=Accepted,
        openapi_extra=retry_body(),
        summary="Run it again: from its start, or from where it failed, on the same or another version",
    )
    async def retry(request: Request, execution_id: ExecutionId, principal: Asker) -> Response:
        body = await read_body(request.receive, request.scope["headers"])
        identity = identify("execution", principal.workspace_id, request.scope["headers"], request.url.path, body)
        row = await _row(parts, principal, execution_id)
        start = await plan_retry(parts, row, decode_body(body, RetryRequest) if body else RetryRequest())
        started = await parts.starter.start(principal, start, identity, "none")
        _retried.inc()
        position = None if started.position is None else started.position.json()
        return json_answer(msgspec.json.encode({"execution_id": started.execution_id, "position": position}), 202)

    @router.post(
        "/{execution_id}/nodes/{node_id:path}/verdict",
        status_code=202,
        response_model=Accepted,
        openapi_extra=examples.verdict_body(),
        summary="Say what became of an attempt whose outcome is unknown",
    )
    async def verdict(
        request: Request,
        execution_id: ExecutionId,
        node_id: Annotated[str, Path(max_length=100)],
        principal: Asker,
    ) -> Response:
        given = decode_body(await read_body(request.receive, request.scope["headers"]), Verdict)
        row = await _row(parts, principal, execution_id)
        command = GiveVerdict(
            node=node_id, run=given.run, verdict=given.verdict, result=given.result, items=given.items
        )
        return await _command(parts, principal, row, command)

    return router


def decode_body(body: bytes, kind: type[Body]) -> Body:
    """The body as `kind`; Problem 400 for malformed JSON, 422 `wrong_type` with the path."""
    try:
        return msgspec.convert(parse_json(body), kind, strict=True)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        path = place.rstrip("`").lstrip(".")
        raise Problem(422, "wrong_type", f"{path or 'The body'}: {message}.", [(path, message)]) from None


async def _row(parts: Parts, principal: Principal, execution_id: str) -> ExecutionRow:
    """An id that was accepted but is not visible yet is waited for."""
    row = await parts.results.row_when(principal.workspace_id, execution_id, VISIBLE_SECONDS)
    if row is None:
        raise not_found("execution")
    return row


async def _command(parts: Parts, principal: Principal, row: ExecutionRow, command: Any) -> Response:
    if row.status in CLOSED:
        raise Problem(409, "execution_closed", f"This execution has ended: {row.status}.")
    _, position = await decide(
        parts, principal, Topic.EXECUTION_COMMANDS, f"execution-{row.id}", command, made=now_ms()
    )
    return json_answer(msgspec.json.encode({"execution_id": row.id, "position": position.json()}), 202)
