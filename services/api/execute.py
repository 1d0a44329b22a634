"""`POST /api/v1/workflows/{id}/execute`: plain ASGI beside FastAPI, described in the same OpenAPI."""

import re
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from infra.telemetry.metrics import ACCEPTED
from infra.telemetry.tracing import start_span
from services.api.asgi import Header, Receive, Scope, Send, header_of, respond
from services.api.bindings import Bindings
from services.api.bodies import parse_json, read_body
from services.api.executions_view import ExecutionsView
from services.api.idempotency import identify
from services.api.principal import Principal
from services.api.problems import Problem, method_not_allowed, not_found
from services.api.results import Results
from services.api.starts import Start, Started, Starter, as_items

PATH = re.compile(r"/api/v1/workflows/([^/]+)/execute")
MAX_WAIT_SECONDS = 300


class ExecuteRequest(msgspec.Struct, forbid_unknown_fields=True):
    """`input`: one item or a list of them; `version`: the newest unless named; `wait`: seconds to wait for the end."""

    input: dict[str, Any] | list[dict[str, Any]] = {}
    version: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] | None = None
    wait: Annotated[float, msgspec.Meta(ge=0, le=MAX_WAIT_SECONDS)] | None = None


_decode_request = msgspec.json.Decoder(ExecuteRequest).decode
_PLACE = re.compile(r" - at `\$\.?([^`]*)`$")


class ExecuteRoute:
    def __init__(self, bindings: Bindings, starter: Starter, results: Results, view: ExecutionsView) -> None:
        self._bindings = bindings
        self._starter = starter
        self._results = results
        self._view = view
        self._accepted = ACCEPTED.labels("execute")

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, request_id: str, principal: Principal, workflow_id: str
    ) -> int:
        """Answer one request; returns the status. Raises Problem."""
        if scope["method"] != "POST":
            raise method_not_allowed("POST")
        headers: Sequence[Header] = scope["headers"]
        fresh = self._starter.admit_unread(principal.workspace_id, headers)
        body = await read_body(receive, headers)
        request = parse_execute(body)
        start = await self._start_of(principal, workflow_id, request)
        identity = fresh or identify("execution", principal.workspace_id, headers, scope["path"], body)
        with start_span("execute", header_of(headers, b"traceparent"), workflow_id=workflow_id) as trace:
            if not request.wait:
                started = await self._starter.start(principal, start, identity, "none", trace)
                self._accepted.inc()
                return await _accept(send, started, request_id)
            with self._results.watch(identity.id) as watch:
                started = await self._starter.start(principal, start, identity, "result", trace)
                self._accepted.inc()
                row = await watch.ended(principal, started, request.wait)
        if row is None:
            return await _accept(send, started, request_id)
        await respond(send, 200, await self._view.detail(row), request_id)
        return 200

    async def _start_of(self, principal: Principal, workflow_id: str, request: ExecuteRequest) -> Start:
        workspace = principal.workspace_id
        workflow = await self._bindings.workflow(workspace, workflow_id)
        if workflow is None:
            raise not_found("workflow")
        if workflow.status == "archived":
            raise Problem(409, "workflow_archived", "This workflow is archived: nothing of it starts any more.")
        version = workflow.version if request.version is None else request.version
        facts = await self._bindings.version(workspace, workflow_id, version)
        if facts is None:
            raise not_found("version of this workflow")
        entry = facts.entry()
        if entry is None:
            raise Problem(409, "no_trigger", "This version has no trigger node to start from.")
        return Start(workflow_id, version, *entry, as_items(request.input), facts.priority)


def parse_execute(body: bytes) -> ExecuteRequest:
    """Raises Problem 400 for malformed JSON, 422 for wrong types and unknown fields, with their path."""
    if not body:
        return ExecuteRequest()
    try:
        request: ExecuteRequest = parse_json(body, _checked)
    except _WrongType as wrong:
        raise wrong.problem from None
    return request


class _WrongType(Exception):
    def __init__(self, message: str) -> None:
        place = _PLACE.search(message)
        path, reason = place.group(1) if place else "", _PLACE.sub("", message)
        self.problem = Problem(422, "wrong_type", f"{path or 'The body'}: {reason}.", [(path, reason)])
        super().__init__(message)


def _checked(body: bytes) -> ExecuteRequest:
    try:
        request: ExecuteRequest = _decode_request(body)
    except msgspec.ValidationError as error:
        raise _WrongType(str(error)) from None
    return request


async def _accept(send: Send, started: Started, request_id: str) -> int:
    position = None if started.position is None else started.position.json()
    await respond(
        send, 202, msgspec.json.encode({"execution_id": started.execution_id, "position": position}), request_id
    )
    return 202
