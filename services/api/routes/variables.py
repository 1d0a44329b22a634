"""Variables: named values that all workflows of a workspace read as `$vars`. No secrets; credentials are for those."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Header, Path, Query, Request, Response

from domain.variable.commands import CreateVariable, DeleteVariable, SetVariable
from domain.variable.decider import field_problems, name_problem, stream_of
from infra.log.port import Topic
from projections.variables import queries
from projections.variables.queries import VariableRow
from schemas.envelope import CommitRecord
from services.api.bodies import parse_object, read_body
from services.api.commands import now_ms
from services.api.configuration import decide
from services.api.executions_view import raw, time_text
from services.api.idempotency import Identity, check_fingerprint, identify
from services.api.paging import DEFAULT_LIMIT, MAX_LIMIT, page
from services.api.parts import Parts
from services.api.principal import Principal
from services.api.problems import Problem, not_found
from services.api.routes import variable_models as models
from services.api.routes.common import Asker, MinPosition, json_answer, reach
from services.api.routes.workflows import expected_version

VariableName = Annotated[str, Path(examples=["region"])]
IfMatch = Annotated[
    str | None,
    Header(description="The version that this one is based on (409 if there is a newer one), or *: any; 404 if none."),
]


def make_router(parts: Parts) -> APIRouter:
    """The routes under /variables."""
    router = APIRouter(prefix="/variables", tags=["variables"])
    _add_reads(router, parts)
    _add_changes(router, parts)
    return router


def _add_reads(router: APIRouter, parts: Parts) -> None:
    @router.get("", response_model=models.VariablePage, summary="List variables by name")
    async def list_(
        principal: Asker,
        limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
        cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None,
        min_position: MinPosition = None,
    ) -> Response:
        await reach(parts, min_position)
        if cursor is not None and name_problem(cursor) is not None:
            raise Problem(
                422,
                "invalid_cursor",
                "This cursor is not one that a list of this API gave.",
                [("cursor", "is not valid")],
            )
        rows = await queries.list_variables(
            parts.reads.pool, principal.workspace_id, limit=limit + 1, after=cursor or ""
        )
        shown = rows[:limit]
        return json_answer(page([_view(row) for row in shown], shown[-1].name if len(rows) > limit else None))

    @router.get("/{name}", response_model=models.Variable, summary="A variable")
    async def get(name: VariableName, principal: Asker, min_position: MinPosition = None) -> Response:
        await reach(parts, min_position)
        return _shown(await _row(parts, principal, name))


def _add_changes(router: APIRouter, parts: Parts) -> None:
    @router.post(
        "",
        status_code=201,
        response_model=models.Variable,
        openapi_extra=models.create_body(),
        summary="Create a variable",
    )
    async def create(request: Request, principal: Asker) -> Response:
        body = await read_body(request.receive, request.scope["headers"])
        identity = identify("variable", principal.workspace_id, request.scope["headers"], request.url.path, body)
        return await _create(parts, principal, identity, parse_object(body))

    @router.put(
        "/{name}",
        response_model=models.Variable,
        openapi_extra=models.set_body(),
        responses={201: {"model": models.Variable, "description": "There was none of this name: it was created."}},
        summary="Give a variable its value, whether it is there or not",
    )
    async def put(request: Request, name: VariableName, principal: Asker, if_match: IfMatch = None) -> Response:
        body = parse_object(await read_body(request.receive, request.scope["headers"]))
        _, value, description = _read(body, name)
        must_exist = if_match is not None
        command = SetVariable(name, value, now_ms(), description, expected_version(if_match), must_exist)
        commit = await _configure(parts, principal, command)
        created = any(event.type == "variable.created" for event in commit.events)
        return _shown(await _row(parts, principal, name), 201 if created else 200)

    @router.delete("/{name}", status_code=204, summary="Delete a variable; workflows find nothing there from then on")
    async def delete(name: VariableName, principal: Asker, if_match: IfMatch = None) -> Response:
        await _configure(parts, principal, DeleteVariable(name, now_ms(), expected_version(if_match)))
        return Response(status_code=204)


def _read(body: Mapping[str, Any], name: str | None = None) -> tuple[str, Any, str]:
    """Name (from the body, unless it is given), value and description. Raises Problem 422 that names the fields: what
    is refused here never gets into the log."""
    known = ("name", "value", "description") if name is None else ("value", "description")
    problems = [(each[:100], f"is not known; known are {', '.join(known)}") for each in body if each not in known]
    wanted: Any = body.get("name") if name is None else name
    if not isinstance(wanted, str):
        problems.append(("name", "must be text" if "name" in body else "is missing"))
    if "value" not in body:
        problems.append(("value", "is missing; it may be any JSON, null too"))
    description = body.get("description", "")
    if not isinstance(description, str):
        problems.append(("description", "must be text"))
    if not problems:
        problems = field_problems(wanted, body["value"], description)
    if problems:
        raise Problem(422, "invalid_variable", "The variable is not valid.", problems)
    return wanted, body["value"], description


async def _create(parts: Parts, principal: Principal, identity: Identity, body: dict[str, Any]) -> Response:
    made = now_ms()
    pool, workspace = parts.reads.pool, principal.workspace_id
    existing = await queries.find_requested(pool, workspace, identity.id) if identity.keyed else None
    if existing is None:
        name, value, description = _read(body)
        request_id = identity.id if identity.keyed else ""
        command = CreateVariable(name, value, made, description, request_id, identity.fingerprint)
        await _configure(parts, principal, command, made=made)
        existing = await _row(parts, principal, name)
    else:
        check_fingerprint(existing.fingerprint, identity)
    return _shown(existing, 201)


async def _configure(parts: Parts, principal: Principal, command: Any, *, made: int | None = None) -> CommitRecord:
    """Decide a command and wait until its row is there: what starts behind the answer sees the change."""
    commit, position = await decide(
        parts, principal, Topic.COMMANDS, stream_of(principal.workspace_id), command, made=made
    )
    await parts.positions.require(position)
    return commit


async def _row(parts: Parts, principal: Principal, name: str) -> VariableRow:
    row = await queries.get_variable(parts.reads.pool, principal.workspace_id, name)
    if row is None:
        raise not_found("variable")
    return row


def _view(row: VariableRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "value": raw(row.value),
        "description": row.description,
        "version": row.version,
        "created_at": time_text(row.created_at),
        "updated_at": time_text(row.updated_at),
    }


def _shown(row: VariableRow, status: int = 200) -> Response:
    headers = {"etag": f'"{row.version}"'}
    if status == 201:
        headers["location"] = f"/api/v1/variables/{row.name}"
    return json_answer(msgspec.json.encode(_view(row)), status, headers)
