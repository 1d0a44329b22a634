"""Dead letters: what could not be decoded or decided; look at it, send it again, discard it."""

import asyncio
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from domain.dead_letter.commands import DiscardLetter, RedriveLetter
from infra.log.port import Topic
from projections.dead_letters.queries import DeadLetterRow, Filter
from services.api.bodies import parse_object, read_body
from services.api.commands import now_ms
from services.api.configuration import decide
from services.api.executions_view import time_text
from services.api.operator import is_operator
from services.api.paging import DEFAULT_LIMIT, MAX_LIMIT, decode_cursor, encode_cursor, page
from services.api.parts import Parts
from services.api.principal import Principal
from services.api.problems import Problem, not_found
from services.api.routes.common import Asker, MinPosition, json_answer, reach

Status = Literal["open", "redriven", "discarded"]
LetterId = Annotated[str, Path(examples=["5a0f3c5e-8e0f-49f4-b7b0-1d2f9f2b6c41"])]
Code = Annotated[str | None, Query(max_length=100, description="Why it was put aside, like malformed_record.")]
Command = Annotated[str | None, Query(max_length=100, description="The type of what is in it, like execution.start.")]
Since = Annotated[datetime | None, Query(alias="from")]
Until = Annotated[datetime | None, Query(alias="to")]
MOST_AT_ONCE = 1_000
PAUSE_SECONDS = 0.02
"""Between two letters that are sent again together: a flood of old work must not hold up new work."""


class DeadLetter(BaseModel):
    """`command`: the type of what could not be decided, empty if nothing could be read; `payload`: its data."""

    model_config = ConfigDict(extra="allow")
    id: str
    code: str
    reason: str
    command: str
    stream: str
    status: Status
    attempts: int = Field(description="How often it was sent again.")
    created_at: str


class DeadLetterPage(BaseModel):
    items: list[DeadLetter]
    next_cursor: str | None


class Redriven(BaseModel):
    """`matched`: how many fit the filter; `redriven`: how many were sent again now."""

    matched: int
    redriven: int
    dry_run: bool


def make_router(parts: Parts) -> APIRouter:
    """The routes under /dead-letters."""
    router = APIRouter(prefix="/dead-letters", tags=["dead letters"])
    _add_reads(router, parts)
    _add_changes(router, parts)
    return router


def _add_reads(router: APIRouter, parts: Parts) -> None:
    @router.get("", response_model=DeadLetterPage, summary="List dead letters, newest first")
    async def list_(
        principal: Asker,
        status: Annotated[Status | None, Query()] = None,
        code: Code = None,
        command: Command = None,
        since: Since = None,
        until: Until = None,
        limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
        cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None,
        min_position: MinPosition = None,
    ) -> Response:
        await reach(parts, min_position)
        wanted = Filter(is_operator(principal), status, _plain(code), _plain(command), since, until)
        before = decode_cursor(cursor)
        rows = await parts.reads.dead_letters(principal.workspace_id, wanted, limit=limit + 1, before=before)
        shown = rows[:limit]
        following = encode_cursor(shown[-1].created_at, shown[-1].id) if len(rows) > limit else None
        return json_answer(page([_summary(row) for row in shown], following))

    @router.get("/{letter_id}", response_model=DeadLetter, summary="One dead letter, with what was in it")
    async def get(letter_id: LetterId, principal: Asker) -> Response:
        row = await _row(parts, principal, letter_id)
        body = await parts.reads.dead_letter_body(row)
        payload = msgspec.Raw(body.encode()) if body is not None else None
        return json_answer(msgspec.json.encode(_summary(row) | {"payload": payload, "excerpt": row.excerpt}))


def _add_changes(router: APIRouter, parts: Parts) -> None:
    @router.post("/redrive", response_model=Redriven, summary="Send all open ones that fit a filter again, paced")
    async def redrive_all(
        principal: Asker,
        code: Code = None,
        command: Command = None,
        since: Since = None,
        until: Until = None,
        limit: Annotated[int, Query(ge=1, le=MOST_AT_ONCE)] = 100,
        dry_run: Annotated[bool, Query(description="Only count.")] = False,
    ) -> Response:
        wanted = Filter(is_operator(principal), "open", _plain(code), _plain(command), since, until)
        matched = await parts.reads.count_dead_letters(principal.workspace_id, wanted)
        redriven = 0 if dry_run else await _redrive_all(parts, principal, wanted, limit)
        return json_answer(msgspec.json.encode({"matched": matched, "redriven": redriven, "dry_run": dry_run}))

    @router.post("/{letter_id}/redrive", status_code=202, response_model=DeadLetter, summary="Send it once more")
    async def redrive(letter_id: LetterId, principal: Asker) -> Response:
        row = await _row(parts, principal, letter_id)
        await _tell(parts, principal, row, RedriveLetter(now_ms(), principal.actor))
        return json_answer(msgspec.json.encode(_summary(await _row(parts, principal, letter_id))), 202)

    @router.post("/{letter_id}/discard", response_model=DeadLetter, summary="It is not wanted any more")
    async def discard(request: Request, letter_id: LetterId, principal: Asker) -> Response:
        body = await read_body(request.receive, request.scope["headers"])
        reason = _reason(parse_object(body)) if body else ""
        row = await _row(parts, principal, letter_id)
        await _tell(parts, principal, row, DiscardLetter(now_ms(), principal.actor, reason))
        return json_answer(msgspec.json.encode(_summary(await _row(parts, principal, letter_id))))


async def _redrive_all(parts: Parts, principal: Principal, wanted: Filter, limit: int) -> int:
    redriven = 0
    for row in await parts.reads.dead_letters(principal.workspace_id, wanted, limit=limit):
        if not row.command:
            continue  # nothing of it could be read
        try:
            await _tell(parts, principal, row, RedriveLetter(now_ms(), principal.actor))
        except Problem as problem:
            if problem.status >= 500:
                raise
            continue  # somebody was faster
        redriven += 1
        await asyncio.sleep(PAUSE_SECONDS)
    return redriven


async def _tell(parts: Parts, principal: Principal, row: DeadLetterRow, command: Any) -> None:
    """Decide a command in the letter's workspace and wait until its row is there."""
    owner = Principal(row.workspace_id or "", principal.actor)
    _, position = await decide(parts, owner, Topic.COMMANDS, f"letter-{row.id}", command)
    await parts.positions.require(position)


async def _row(parts: Parts, principal: Principal, letter_id: str) -> DeadLetterRow:
    row = await parts.reads.dead_letter(principal.workspace_id, letter_id, operator=is_operator(principal))
    if row is None:
        raise not_found("dead letter")
    return row


def _plain(text: str | None) -> str | None:
    """No row holds a NUL, and PostgreSQL takes none."""
    return text.replace("\0", "\ufffd") if text is not None else None


def _reason(body: dict[str, Any]) -> str:
    unknown = set(body) - {"reason"}
    reason = body.get("reason", "")
    if unknown:
        raise Problem(422, "unknown_field", "Only 'reason' may be given.", [(name, "is unknown") for name in unknown])
    if not isinstance(reason, str) or len(reason) > 2_000:
        raise Problem(422, "wrong_type", "'reason' is text of at most 2,000 characters.", [("reason", "is not text")])
    return reason


def _summary(row: DeadLetterRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "code": row.code,
        "reason": row.reason,
        "command": row.command,
        "stream": row.stream,
        "position": {"topic": row.topic, "partition": row.partition, "offset": row.position},
        "status": row.status,
        "attempts": row.attempts,
        "sent_to": row.last_stream,
        "by": row.last_by,
        "discard_reason": row.discard_reason,
        "reviewed_at": time_text(row.reviewed_at),
        "created_at": time_text(row.created_at),
        "updated_at": time_text(row.updated_at),
    }
