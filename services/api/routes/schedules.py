"""Schedules: workflows that start by themselves, and why they did or did not."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response

from domain.schedule.commands import (
    CancelBackfill,
    CreateSchedule,
    DeleteSchedule,
    PauseSchedule,
    ResumeSchedule,
    StartBackfill,
    UpdateSchedule,
)
from domain.schedule.definition import Definition
from infra.log.port import Topic
from projections.schedules import queries
from projections.schedules.queries import ScheduleRow
from services.api.bodies import parse_object, read_body
from services.api.commands import now_ms
from services.api.configuration import decide
from services.api.idempotency import Identity, check_fingerprint, identify
from services.api.paging import DEFAULT_LIMIT, MAX_LIMIT, decode_cursor, encode_cursor, page
from services.api.parts import Parts
from services.api.principal import Principal
from services.api.problems import not_found
from services.api.routes import schedule_examples as examples
from services.api.routes.common import Asker, MinPosition, as_utc, json_answer, reach
from services.api.routes.executions import decode_body
from services.api.routes.schedule_models import (
    Backfill,
    BackfillPage,
    FiringPage,
    Preview,
    Schedule,
    SchedulePage,
)
from services.api.schedules_view import (
    backfill_view,
    firing_view,
    instant_from,
    invalid,
    next_runs,
    read_definition,
    read_timing,
    schedule_view,
)

ScheduleId = Annotated[str, Path(examples=[examples.SCHEDULE_ID])]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]
ListCursor = Annotated[str | None, Query(description="`next_cursor` of the page before.")]
Status = Literal["active", "paused", "ended", "deleted"]
Outcome = Literal["fired", "late", "waiting", "skipped", "suppressed"]
MOST_PREVIEWED = 100


class Reason(msgspec.Struct, forbid_unknown_fields=True):
    reason: str = ""


class BackfillBody(msgspec.Struct, forbid_unknown_fields=True, rename={"since": "from", "until": "to"}):
    since: str
    until: str
    per_minute: int = 60


def make_router(parts: Parts) -> APIRouter:
    """The routes under /schedules."""
    router = APIRouter(prefix="/schedules", tags=["schedules"])
    _add_preview(router)
    _add_definitions(router, parts)
    _add_state(router, parts)
    _add_firings(router, parts)
    _add_backfills(router, parts)
    return router


def _add_preview(router: APIRouter) -> None:
    @router.post(
        "/preview",
        response_model=Preview,
        openapi_extra=examples.preview_body(),
        summary="When would it run? The next runs, with what changes of the clocks do to them",
    )
    async def preview(request: Request, _principal: Asker) -> Response:
        body = parse_object(await read_body(request.receive, request.scope["headers"]))
        timing = read_timing(body, frozenset({"from", "count"}))
        count = body.get("count", 10)
        if type(count) is not int or not 1 <= count <= MOST_PREVIEWED:
            raise invalid([("count", f"takes 1 to {MOST_PREVIEWED}")])
        begin = instant_from(body.get("from"), "from")
        runs, suppressed = next_runs(timing, now_ms() if begin is None else begin - 1, count)
        return json_answer(msgspec.json.encode({"runs": runs, "suppressed": suppressed}))


def _add_definitions(router: APIRouter, parts: Parts) -> None:
    @router.post(
        "",
        status_code=201,
        response_model=Schedule,
        openapi_extra=examples.schedule_body(),
        summary="Create a schedule",
    )
    async def create(request: Request, principal: Asker) -> Response:
        body = await read_body(request.receive, request.scope["headers"])
        identity = identify("schedule", principal.workspace_id, request.scope["headers"], request.url.path, body)
        return await _create(parts, principal, identity, parse_object(body))

    @router.get("", response_model=SchedulePage, summary="List schedules, newest first")
    async def list_(
        principal: Asker,
        workflow_id: Annotated[str | None, Query()] = None,
        status: Annotated[Status | None, Query()] = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: ListCursor = None,
        min_position: MinPosition = None,
    ) -> Response:
        await reach(parts, min_position)
        rows = await queries.list_schedules(
            parts.reads.pool,
            principal.workspace_id,
            workflow_id=workflow_id,
            status=status,
            limit=limit + 1,
            before=decode_cursor(cursor),
        )
        shown = rows[:limit]
        more = encode_cursor(shown[-1].created_at, shown[-1].id) if len(rows) > limit else None
        return json_answer(page([schedule_view(row, runs=False) for row in shown], more))

    @router.get("/{schedule_id}", response_model=Schedule, summary="A schedule with its next ten runs")
    async def get(schedule_id: ScheduleId, principal: Asker, min_position: MinPosition = None) -> Response:
        await reach(parts, min_position)
        return _shown(await _row(parts, principal, schedule_id))

    @router.put(
        "/{schedule_id}", response_model=Schedule, openapi_extra=examples.schedule_body(), summary="Define it anew"
    )
    async def put(request: Request, schedule_id: ScheduleId, principal: Asker) -> Response:
        definition = read_definition(parse_object(await read_body(request.receive, request.scope["headers"])))
        await _row(parts, principal, schedule_id)
        await _check_workflow(parts, principal, definition)
        await _configure(parts, principal, schedule_id, UpdateSchedule(definition, now_ms()))
        return _shown(await _row(parts, principal, schedule_id))

    @router.delete("/{schedule_id}", status_code=204, summary="Delete a schedule")
    async def delete(schedule_id: ScheduleId, principal: Asker) -> Response:
        await _row(parts, principal, schedule_id)
        await _configure(parts, principal, schedule_id, DeleteSchedule(now_ms()))
        return Response(status_code=204)


def _add_state(router: APIRouter, parts: Parts) -> None:
    @router.post("/{schedule_id}/pause", response_model=Schedule, summary="Let it fall silent")
    async def pause(request: Request, schedule_id: ScheduleId, principal: Asker) -> Response:
        body = await read_body(request.receive, request.scope["headers"])
        reason = decode_body(body, Reason) if body else Reason()
        await _row(parts, principal, schedule_id)
        await _configure(parts, principal, schedule_id, PauseSchedule(now_ms(), reason.reason))
        return _shown(await _row(parts, principal, schedule_id))

    @router.post("/{schedule_id}/resume", response_model=Schedule, summary="Let it run again, from now on")
    async def resume(schedule_id: ScheduleId, principal: Asker) -> Response:
        await _row(parts, principal, schedule_id)
        await _configure(parts, principal, schedule_id, ResumeSchedule(now_ms()))
        return _shown(await _row(parts, principal, schedule_id))


def _add_firings(router: APIRouter, parts: Parts) -> None:
    @router.get(
        "/{schedule_id}/firings",
        response_model=FiringPage,
        summary="Why did it (not) run? Every run that was due, newest first, with what became of it",
    )
    async def firings(
        schedule_id: ScheduleId,
        principal: Asker,
        since: Annotated[datetime | None, Query(alias="from", description="Due at or after this time.")] = None,
        until: Annotated[datetime | None, Query(alias="to", description="Due before this time.")] = None,
        outcome: Annotated[Outcome | None, Query()] = None,
        backfill_id: Annotated[str | None, Query()] = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: ListCursor = None,
        min_position: MinPosition = None,
    ) -> Response:
        await reach(parts, min_position)
        await _row(parts, principal, schedule_id)
        rows = await queries.list_firings(
            parts.reads.pool,
            principal.workspace_id,
            schedule_id,
            since=as_utc(since),
            until=as_utc(until),
            outcome=outcome,
            backfill_id=backfill_id,
            limit=limit + 1,
            before=decode_cursor(cursor),
        )
        shown = rows[:limit]
        more = encode_cursor(shown[-1].due_at, shown[-1].id) if len(rows) > limit else None
        return json_answer(page([firing_view(row) for row in shown], more))


def _add_backfills(router: APIRouter, parts: Parts) -> None:
    @router.post(
        "/{schedule_id}/backfill",
        status_code=202,
        response_model=Backfill,
        openapi_extra=examples.backfill_body(),
        summary="Run what was due in a range of the past, at a pace",
    )
    async def backfill(request: Request, schedule_id: ScheduleId, principal: Asker) -> Response:
        body = await read_body(request.receive, request.scope["headers"])
        room = f"backfill:{schedule_id}"
        identity = identify(room, principal.workspace_id, request.scope["headers"], request.url.path, body)
        given = decode_body(body, BackfillBody)
        since, until = instant_from(given.since, "from"), instant_from(given.until, "to")
        assert since is not None
        assert until is not None
        await _row(parts, principal, schedule_id)
        existing = await queries.get_backfill(parts.reads.pool, principal.workspace_id, schedule_id, identity.id)
        if existing is not None:
            check_fingerprint(existing.fingerprint, identity)
        else:
            command = StartBackfill(identity.id, since, until, now_ms(), given.per_minute, identity.fingerprint)
            await _configure(parts, principal, schedule_id, command)
        return await _backfill(parts, principal, schedule_id, identity.id, 202)

    @router.get("/{schedule_id}/backfills", response_model=BackfillPage, summary="Its backfills, newest first")
    async def backfills(
        schedule_id: ScheduleId, principal: Asker, limit: Limit = DEFAULT_LIMIT, cursor: ListCursor = None
    ) -> Response:
        await _row(parts, principal, schedule_id)
        rows = await queries.list_backfills(
            parts.reads.pool, principal.workspace_id, schedule_id, limit=limit + 1, before=decode_cursor(cursor)
        )
        shown = rows[:limit]
        more = encode_cursor(shown[-1].started_at, shown[-1].id) if len(rows) > limit else None
        return json_answer(page([backfill_view(row) for row in shown], more))

    @router.get("/{schedule_id}/backfills/{backfill_id}", response_model=Backfill, summary="How far a backfill is")
    async def progress(schedule_id: ScheduleId, backfill_id: str, principal: Asker) -> Response:
        await _row(parts, principal, schedule_id)
        return await _backfill(parts, principal, schedule_id, backfill_id)

    @router.post("/{schedule_id}/backfills/{backfill_id}/cancel", response_model=Backfill, summary="Stop a backfill")
    async def cancel(schedule_id: ScheduleId, backfill_id: str, principal: Asker) -> Response:
        await _row(parts, principal, schedule_id)
        await _backfill(parts, principal, schedule_id, backfill_id)
        await _configure(parts, principal, schedule_id, CancelBackfill(backfill_id, now_ms()))
        return await _backfill(parts, principal, schedule_id, backfill_id)


async def _create(parts: Parts, principal: Principal, identity: Identity, body: dict[str, Any]) -> Response:
    made = now_ms()
    pool, workspace = parts.reads.pool, principal.workspace_id
    existing = await queries.get_schedule(pool, workspace, identity.id) if identity.keyed else None
    if existing is not None:
        check_fingerprint(existing.fingerprint, identity)
    else:
        definition = read_definition(body)
        await _check_workflow(parts, principal, definition)
        command = CreateSchedule(identity.id, definition, made, identity.fingerprint)
        await _configure(parts, principal, identity.id, command, made=made)
        existing = await _row(parts, principal, identity.id)
    return _shown(existing, 201)


async def _check_workflow(parts: Parts, principal: Principal, definition: Definition) -> None:
    row = await parts.reads.workflow(principal.workspace_id, definition.workflow_id)
    if row is None or row.status == "archived":
        raise invalid([("workflow_id", "there is no such workflow in this workspace, or it is archived")])


async def _configure(
    parts: Parts, principal: Principal, schedule_id: str, command: Any, *, made: int | None = None
) -> None:
    """Decide a schedule's command and wait until its rows are there, so that the caller reads its own write."""
    _, position = await decide(parts, principal, Topic.COMMANDS, f"schedule-{schedule_id}", command, made=made)
    await parts.positions.require(position)


async def _row(parts: Parts, principal: Principal, schedule_id: str) -> ScheduleRow:
    row = await queries.get_schedule(parts.reads.pool, principal.workspace_id, schedule_id)
    if row is None or row.status == "deleted":
        raise not_found("schedule")
    return row


async def _backfill(
    parts: Parts, principal: Principal, schedule_id: str, backfill_id: str, status: int = 200
) -> Response:
    row = await queries.get_backfill(parts.reads.pool, principal.workspace_id, schedule_id, backfill_id)
    if row is None:
        raise not_found("backfill of this schedule")
    return json_answer(msgspec.json.encode(backfill_view(row)), status)


def _shown(row: ScheduleRow, status: int = 200) -> Response:
    headers = {"location": f"/api/v1/schedules/{row.id}"} if status == 201 else None
    return json_answer(msgspec.json.encode(schedule_view(row, runs=True)), status, headers)
