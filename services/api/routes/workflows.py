"""Workflows: documents in immutable versions, and whether they answer."""

from secrets import token_urlsafe
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Header, Path, Query, Request, Response

from domain.errors import InvalidDocument
from domain.workflow.commands import (
    ActivateWorkflow,
    ArchiveWorkflow,
    CreateWorkflow,
    DeactivateWorkflow,
    UpdateWorkflow,
    WorkflowCommand,
)
from domain.workflow.document import WorkflowDocument, parse_document
from domain.workflow.graph import compile_workflow
from infra.telemetry.metrics import ACCEPTED
from projections.workflows.queries import WorkflowRow
from services.api.bindings import version_facts
from services.api.bodies import parse_object, read_body
from services.api.commands import now_ms
from services.api.configuration import configure
from services.api.credential_uses import check_credentials
from services.api.executions_view import raw, time_text
from services.api.idempotency import Identity, check_fingerprint, identify
from services.api.paging import DEFAULT_LIMIT, MAX_LIMIT, decode_cursor, encode_cursor, page
from services.api.parts import Parts
from services.api.principal import Principal
from services.api.problems import Problem, not_found
from services.api.routes import examples
from services.api.routes.common import Asker, MinPosition, json_answer, reach
from services.api.routes.models import Activation, VersionPage, Workflow, WorkflowPage, WorkflowVersion
from services.api.webhooks import describe

WorkflowId = Annotated[str, Path(examples=[examples.WORKFLOW_ID])]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]
ListCursor = Annotated[str | None, Query(description="`next_cursor` of the page before.")]
_created = ACCEPTED.labels("workflow")


def make_router(parts: Parts) -> APIRouter:
    """The routes under /workflows."""
    router = APIRouter(prefix="/workflows", tags=["workflows"])
    _add_documents(router, parts)
    _add_versions(router, parts)
    _add_activation(router, parts)
    return router


def _add_documents(router: APIRouter, parts: Parts) -> None:
    @router.post(
        "",
        status_code=201,
        response_model=Workflow,
        openapi_extra=examples.document_body(),
        summary="Create a workflow",
    )
    async def create(request: Request, principal: Asker) -> Response:
        body = await read_body(request.receive, request.scope["headers"])
        identity = identify("workflow", principal.workspace_id, request.scope["headers"], request.url.path, body)
        return await _create(parts, principal, identity, parse_object(body))

    @router.get("", response_model=WorkflowPage, summary="List workflows, newest first")
    async def list_(
        principal: Asker,
        status: Annotated[Literal["draft", "active", "inactive", "archived"] | None, Query()] = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: ListCursor = None,
        min_position: MinPosition = None,
    ) -> Response:
        await reach(parts, min_position)
        rows = await parts.reads.workflows(
            principal.workspace_id, status=status, limit=limit + 1, before=decode_cursor(cursor)
        )
        more = len(rows) > limit
        shown = rows[:limit]
        following = encode_cursor(shown[-1].created_at, shown[-1].id) if more else None
        return json_answer(page([_summary(row) for row in shown], following))

    @router.get("/{workflow_id}", response_model=Workflow, summary="A workflow with its newest document")
    async def get(workflow_id: WorkflowId, principal: Asker, min_position: MinPosition = None) -> Response:
        await reach(parts, min_position)
        return await _shown(parts, await _row(parts, principal, workflow_id))

    @router.put(
        "/{workflow_id}", response_model=Workflow, openapi_extra=examples.document_body(), summary="Add a version"
    )
    async def put(
        request: Request,
        workflow_id: WorkflowId,
        principal: Asker,
        if_match: Annotated[
            str | None, Header(description="The version that this one is based on; 409 if there is a newer one.")
        ] = None,
    ) -> Response:
        document = parse_object(await read_body(request.receive, request.scope["headers"]))
        expected = expected_version(if_match)
        checked = check_document(document)
        await _row(parts, principal, workflow_id)
        await check_credentials(parts.reads, principal.workspace_id, checked)
        await configure(parts, principal, workflow_id, UpdateWorkflow(document, now_ms(), expected))
        return await _shown(parts, await _row(parts, principal, workflow_id))

    @router.delete("/{workflow_id}", status_code=204, summary="Archive a workflow; its history stays")
    async def archive(workflow_id: WorkflowId, principal: Asker) -> Response:
        row = await _row(parts, principal, workflow_id)
        if row.status != "archived":
            await configure(parts, principal, workflow_id, ArchiveWorkflow(now_ms()))
        return Response(status_code=204)


def _add_versions(router: APIRouter, parts: Parts) -> None:
    @router.get("/{workflow_id}/versions", response_model=VersionPage, summary="Its versions, newest first")
    async def versions(
        workflow_id: WorkflowId, principal: Asker, limit: Limit = DEFAULT_LIMIT, cursor: ListCursor = None
    ) -> Response:
        await _row(parts, principal, workflow_id)
        rows = await parts.reads.versions(
            principal.workspace_id, workflow_id, limit=limit + 1, before_version=_version_cursor(cursor)
        )
        shown = rows[:limit]
        items = [{"version": row.version, "name": row.name, "created_at": time_text(row.created_at)} for row in shown]
        return json_answer(page(items, str(shown[-1].version) if len(rows) > limit else None))

    @router.get("/{workflow_id}/versions/{version}", response_model=WorkflowVersion, summary="One version")
    async def version(
        workflow_id: WorkflowId, version: Annotated[int, Path(ge=1, le=2**31 - 1)], principal: Asker
    ) -> Response:
        row = await parts.reads.version(principal.workspace_id, workflow_id, version)
        if row is None:
            raise not_found("version of a workflow")
        (document,) = await parts.reads.whole(principal.workspace_id, [row.document])
        shown = {
            "workflow_id": row.workflow_id,
            "version": row.version,
            "name": row.name,
            "created_at": time_text(row.created_at),
            "document": raw(document),
        }
        return json_answer(msgspec.json.encode(shown))

    @router.post(
        "/{workflow_id}/clone",
        status_code=201,
        response_model=Workflow,
        summary="A new workflow with the same document",
    )
    async def clone(request: Request, workflow_id: WorkflowId, principal: Asker) -> Response:
        body = await read_body(request.receive, request.scope["headers"])
        identity = identify("workflow", principal.workspace_id, request.scope["headers"], request.url.path, body)
        row = await _row(parts, principal, workflow_id)
        document = await parts.reads.document(principal.workspace_id, workflow_id, row.version)
        copied = msgspec.json.decode(document or b"{}")
        copied["name"] = f"{copied.get('name', row.name)} (copy)"[:200]
        return await _create(parts, principal, identity, copied)


def _add_activation(router: APIRouter, parts: Parts) -> None:
    @router.post("/{workflow_id}/activate", response_model=Activation, summary="Let its triggers answer")
    async def activate(
        workflow_id: WorkflowId,
        principal: Asker,
        version: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="The newest unless named.")] = None,
    ) -> Response:
        row = await _row(parts, principal, workflow_id)
        wanted = row.version if version is None else version
        document = await parts.reads.document(principal.workspace_id, workflow_id, wanted)
        if document is None:
            raise not_found("version of this workflow")
        # what was right when it was saved may be gone by now: better to hear of it before it runs
        await check_credentials(parts.reads, principal.workspace_id, check_document(msgspec.json.decode(document)))
        hooks = [node for node, kind in version_facts(document).triggers if kind == "webhook"]
        command = ActivateWorkflow(now_ms(), {node: token_urlsafe(24) for node in hooks}, wanted)
        await configure(parts, principal, workflow_id, command)
        return await _activation(parts, await _row(parts, principal, workflow_id))

    @router.post("/{workflow_id}/deactivate", response_model=Activation, summary="Let its triggers fall silent")
    async def deactivate(workflow_id: WorkflowId, principal: Asker) -> Response:
        await _row(parts, principal, workflow_id)
        await configure(parts, principal, workflow_id, DeactivateWorkflow(now_ms()))
        return await _activation(parts, await _row(parts, principal, workflow_id))


def check_document(document: dict[str, Any]) -> WorkflowDocument:
    """The document, typed. Raises Problem 422 `invalid_workflow` that names node and field."""
    try:
        parsed = parse_document(document)
        compile_workflow(parsed)
        return parsed
    except InvalidDocument as invalid:
        problems = [(problem.path, problem.message) for problem in invalid.problems]
        raise Problem(422, invalid.code, "The workflow is not valid.", problems) from None


async def _row(parts: Parts, principal: Principal, workflow_id: str) -> WorkflowRow:
    row = await parts.reads.workflow(principal.workspace_id, workflow_id)
    if row is None:
        raise not_found("workflow")
    return row


async def _create(parts: Parts, principal: Principal, identity: Identity, document: dict[str, Any]) -> Response:
    made = now_ms()
    existing = await parts.reads.workflow(principal.workspace_id, identity.id) if identity.keyed else None
    if existing is not None:
        check_fingerprint(existing.fingerprint, identity)
    else:
        await check_credentials(parts.reads, principal.workspace_id, check_document(document))
        command: WorkflowCommand = CreateWorkflow(identity.id, document, made, identity.fingerprint)
        await configure(parts, principal, identity.id, command, made=made)
        _created.inc()
        existing = await _row(parts, principal, identity.id)
    return await _shown(parts, existing, 201)


def _summary(row: WorkflowRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "status": row.status,
        "version": row.version,
        "active_version": row.active_version,
        "created_at": time_text(row.created_at),
        "updated_at": time_text(row.updated_at),
    }


async def _shown(parts: Parts, row: WorkflowRow, status: int = 200) -> Response:
    document = await parts.reads.document(row.workspace_id, row.id, row.version)
    webhooks = [describe(hook, parts.own_url) for hook in await parts.reads.webhooks(row.workspace_id, row.id)]
    shown = {
        **_summary(row),
        "webhooks": webhooks,
        "document": None if document is None else msgspec.Raw(document),
    }
    headers = {"etag": f'"{row.version}"'}
    if status == 201:
        headers["location"] = f"/api/v1/workflows/{row.id}"
    return json_answer(msgspec.json.encode(shown), status, headers)


async def _activation(parts: Parts, row: WorkflowRow) -> Response:
    webhooks = [describe(hook, parts.own_url) for hook in await parts.reads.webhooks(row.workspace_id, row.id)]
    return json_answer(msgspec.json.encode({**_summary(row), "webhooks": webhooks}))


def expected_version(if_match: str | None) -> int | None:
    """The version that If-Match names; None for any. Raises Problem 400 `invalid_if_match`."""
    if if_match is None or if_match.strip() == "*":
        return None
    text = if_match.strip().removeprefix("W/").strip('"')
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Problem(400, "invalid_if_match", 'If-Match takes the version, like "3", or *.')
    return int(text)


def _version_cursor(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 10):
        raise Problem(
            422, "invalid_cursor", "This cursor is not one that a list of this API gave.", [("cursor", "is not valid")]
        )
    return int(cursor)
