"""`/webhooks/{endpoint_id}`: plain ASGI, because every request of every user's systems passes here."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from domain.execution.events import Items, Reply
from domain.inbox.decider import execution_of
from infra.telemetry.metrics import ACCEPTED
from infra.telemetry.tracing import start_span
from projections.webhooks.queries import WebhookRow
from services.api.asgi import Header, Receive, Scope, Send, header_of, respond
from services.api.bodies import MAX_BODY_BYTES, fold_pairs, read_body
from services.api.idempotency import Identity, identify
from services.api.inboxes import KEPT_BYTES, Counted, Inboxes, Kept, Received, Refusals, Refused
from services.api.parts import Parts
from services.api.payloads import decode_payload
from services.api.principal import WEBHOOKS_PREFIX, Principal
from services.api.problems import Problem, method_not_allowed
from services.api.results import Answer
from services.api.starts import Start, Started

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")
_NEVER_IN_ITEMS = frozenset((b"authorization", b"cookie", b"proxy-authorization", b"x-api-key"))
_REPLIES: dict[str, Reply] = {"at_once": "none", "when_done": "when_done", "with_node": "with_node"}
_MAX_QUERY_FIELDS = 1_000
_MEANING = (b"content-type", b"content-encoding")
"""Headers that say how a body is read."""


class _Request:
    """A request to an endpoint, as far as it has been read."""

    __slots__ = ("_receive", "body", "headers", "items", "method", "query")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self.method: str = scope["method"]
        self.query: bytes = scope["query_string"]
        self.headers: Sequence[Header] = scope["headers"]
        self.body: bytes | None = None
        self.items: Items = []

    async def read(self, limit: int = MAX_BODY_BYTES) -> bytes:
        self.body = await read_body(self._receive, self.headers, limit)
        return self.body

    def parse(self, body: bytes) -> Items:
        self.items = items_of_request(self.method, self.query, self.headers, body)
        return self.items


class WebhookRoute:
    """Turns a request into a start; the answer is as the trigger's `respond` says."""

    def __init__(self, parts: Parts) -> None:
        self._bindings = parts.bindings
        self._starter = parts.starter
        self._results = parts.results
        self._inboxes = Inboxes(parts)
        self._refusals = Refusals(parts)
        self._accepted = ACCEPTED.labels("webhook")

    async def __call__(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> int:
        """Answer one request; returns the status. Raises Problem."""
        binding = await self._bindings.endpoint(scope["path"][len(WEBHOOKS_PREFIX) :])
        if binding is None:
            raise _unknown()
        request = _Request(scope, receive)
        try:
            return await self._serve(binding, request, scope["path"], send, request_id)
        except Problem as problem:
            if problem.status < 500 and not isinstance(problem, Kept) and problem.code != "workspace_overloaded":
                await self._keep(binding, request, problem)
            raise

    async def _serve(self, binding: WebhookRow, request: _Request, path: str, send: Send, request_id: str) -> int:
        if not binding.active:
            raise _unknown()
        method, headers = request.method, request.headers
        if not _answers(binding.method, method):
            raise method_not_allowed(", ".join(METHODS) if binding.method == "ANY" else binding.method)
        workspace = binding.workspace_id
        facts = await self._bindings.version(workspace, binding.workflow_id, binding.workflow_version)
        if facts is None:
            raise _unknown()
        rules = facts.inboxes.get(binding.node) if facts.inboxes else None
        fresh = self._starter.admit_unread(workspace, headers) if rules is None else None
        body = await request.read()
        items = request.parse(body)
        route = f"{path}?{request.query.decode('latin-1')}"
        if rules is not None:
            identity = identify(f"delivery:{binding.endpoint_id}", workspace, headers, route, body)
            reply = _REPLIES[binding.respond]
            size = len(body) + sum(len(name) + len(value) for name, value in headers)
            content = content_of(method, request.query, headers, body) if rules.dedup is not None else ""
            receive = self._inboxes.receive
            received = partial(receive, binding, rules, items, identity, reply, facts.priority, size, content)
            return await self._through_inbox(binding, identity, received, send, request_id, head=method == "HEAD")
        start = Start(binding.workflow_id, binding.workflow_version, binding.node, "webhook", items, facts.priority)
        identity = fresh or identify(f"execution:{binding.endpoint_id}", workspace, headers, route, body)
        principal = Principal(workspace, f"webhook:{binding.endpoint_id}")
        with start_span("webhook", header_of(headers, b"traceparent"), workflow_id=binding.workflow_id) as trace:
            if binding.respond == "at_once":
                started = await self._starter.start(principal, start, identity, "none", trace)
                self._accepted.inc()
                await respond(send, 202, _accepted(started.execution_id), request_id, head=method == "HEAD")
                return 202
            with self._results.watch(identity.id) as watch:
                started = await self._starter.start(principal, start, identity, _REPLIES[binding.respond], trace)
                self._accepted.inc()
                answer = await watch.answer(principal, started, with_node=binding.respond == "with_node")
        return await _answer(send, answer, _accepted(started.execution_id), request_id, head=method == "HEAD")

    async def _through_inbox(
        self,
        binding: WebhookRow,
        identity: Identity,
        receive: Callable[[], Awaitable[Received]],
        send: Send,
        request_id: str,
        *,
        head: bool,
    ) -> int:
        """The inbox decides whether an execution starts; then it is as with any other."""
        answer: Answer | None = None
        with ExitStack() as waiting:
            watch = None
            if binding.respond != "at_once":
                watch = waiting.enter_context(self._results.watch(execution_of(identity.id)))
            received = await receive()
            if received.status == "accepted" and not received.repeated:
                self._accepted.inc()
            if watch is not None and received.status == "accepted" and received.execution_id is not None:
                started = Started(received.execution_id, None, received.repeated)
                principal = Principal(binding.workspace_id, f"webhook:{binding.endpoint_id}")
                answer = await watch.answer(principal, started, with_node=binding.respond == "with_node")
        status, body = _received(received)
        return await _answer(send, answer, body, request_id, head=head, otherwise=status)

    async def _keep(self, binding: WebhookRow, request: _Request, problem: Problem) -> None:
        """Note a refused delivery, with what was sent as far as it can be had."""
        if isinstance(problem, Counted) or not self._refusals.wanted(binding.endpoint_id):
            self._refusals.count(binding)
            return
        with suppress(Problem):
            if request.body is None:
                await request.read(KEPT_BYTES)
            if not request.items and request.body is not None:
                request.parse(request.body)
        await self._refusals.keep(Refused(binding, request.items, request.body or b""), problem)


async def _answer(
    send: Send, answer: Answer | None, accepted: bytes, request_id: str, *, head: bool, otherwise: int = 202
) -> int:
    """What the execution answered; without that, `accepted`."""
    if answer is None:
        await respond(send, otherwise, accepted, request_id, head=head)
        return otherwise
    await respond(
        send,
        answer.status,
        answer.body,
        request_id,
        content_type=answer.content_type,
        headers=answer.headers,
        head=head,
    )
    return answer.status


def _received(received: Received) -> tuple[int, bytes]:
    """Status and body for a delivery that an inbox has decided on."""
    said: dict[str, Any] = {
        "delivery_id": received.delivery_id,
        "execution_id": received.execution_id,
        "status": received.status,
    }
    if received.status == "duplicate":
        return 200, msgspec.json.encode({**said, "duplicate": True, "duplicate_of": received.first})
    return 202, msgspec.json.encode(said)


def _unknown() -> Problem:
    return Problem(404, "unknown_webhook", "No active workflow answers at this address.")


def _answers(bound: str, method: str) -> bool:
    return bound == method or (bound == "ANY" and method in METHODS) or (bound == "GET" and method == "HEAD")


def _accepted(execution_id: str) -> bytes:
    return b'{"execution_id":"%s"}' % execution_id.encode()


def items_of_request(method: str, query: bytes, headers: Sequence[Header], body: bytes) -> Items:
    """The item that a request is: body, query, headers, method, params. Raises Problem."""
    seen: dict[str, Any] = {}
    for name, value in headers:
        if name in _NEVER_IN_ITEMS:
            continue
        key, text = name.decode("latin-1"), value.decode("latin-1")
        seen[key] = f"{seen[key]}, {text}" if key in seen else text
    payload, files = decode_payload(seen.get("content-type", ""), seen.get("content-encoding", ""), body)
    json = {
        "body": payload,
        "query": _query(query) if query else {},
        "headers": seen,
        "method": method,
        "params": {},
    }
    return [{"json": json, "binary": files}] if files else [{"json": json}]


def content_of(method: str, query: bytes, headers: Sequence[Header], body: bytes) -> str:
    """A hash of what a request says: two with the same are the same but for their headers."""
    said = sha256()
    for part in (method.encode(), query, *(header_of(headers, name) or b"" for name in _MEANING), body):
        said.update(b"%d\n" % len(part) + part)
    return said.hexdigest()[:32]


def _query(raw: bytes) -> dict[str, Any]:
    try:
        return fold_pairs(parse_qsl(raw.decode("latin-1"), keep_blank_values=True, max_num_fields=_MAX_QUERY_FIELDS))
    except ValueError:
        raise Problem(400, "malformed_query", f"The query has over {_MAX_QUERY_FIELDS} fields.") from None


def describe(binding: WebhookRow, own_url: str) -> dict[str, str]:
    """An endpoint as clients see it."""
    return {
        "endpoint_id": binding.endpoint_id,
        "node_id": binding.node,
        "method": binding.method,
        "url": f"{own_url}{WEBHOOKS_PREFIX}{binding.endpoint_id}",
    }
