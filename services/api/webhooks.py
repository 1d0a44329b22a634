"""`/webhooks/{endpoint_id}`: plain ASGI, because every request of every user's systems passes here."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

from domain.execution.events import Items, Reply
from infra.telemetry.metrics import ACCEPTED
from infra.telemetry.tracing import start_span
from projections.webhooks.queries import WebhookRow
from services.api.asgi import Header, Receive, Scope, Send, header_of, respond
from services.api.bindings import Bindings
from services.api.bodies import fold_pairs, read_body
from services.api.idempotency import identify
from services.api.payloads import decode_payload
from services.api.principal import WEBHOOKS_PREFIX, Principal
from services.api.problems import Problem, method_not_allowed
from services.api.results import Results
from services.api.starts import Start, Starter

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")
_NEVER_IN_ITEMS = frozenset((b"authorization", b"cookie", b"proxy-authorization", b"x-api-key"))
_REPLIES: dict[str, Reply] = {"at_once": "none", "when_done": "when_done", "with_node": "with_node"}
_MAX_QUERY_FIELDS = 1_000


class WebhookRoute:
    """Turns a request into a start; the answer is as the trigger's `respond` says."""

    def __init__(self, bindings: Bindings, starter: Starter, results: Results) -> None:
        self._bindings = bindings
        self._starter = starter
        self._results = results
        self._accepted = ACCEPTED.labels("webhook")

    async def __call__(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> int:
        """Answer one request; returns the status. Raises Problem."""
        method: str = scope["method"]
        binding = await self._bindings.endpoint(scope["path"][len(WEBHOOKS_PREFIX) :])
        if binding is None or not binding.active:
            raise Problem(404, "unknown_webhook", "No active workflow answers at this address.")
        if not _answers(binding.method, method):
            raise method_not_allowed(", ".join(METHODS) if binding.method == "ANY" else binding.method)
        headers: Sequence[Header] = scope["headers"]
        body = await read_body(receive, headers)
        query: bytes = scope["query_string"]
        workspace = binding.workspace_id
        facts = await self._bindings.version(workspace, binding.workflow_id, binding.workflow_version)
        if facts is None:
            raise Problem(404, "unknown_webhook", "No active workflow answers at this address.")
        start = Start(
            binding.workflow_id,
            binding.workflow_version,
            binding.node,
            "webhook",
            items_of_request(method, query, headers, body),
            facts.priority,
        )
        route = f"{scope['path']}?{query.decode('latin-1')}"
        identity = identify(f"execution:{binding.endpoint_id}", workspace, headers, route, body)
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
        if answer is None:
            await respond(send, 202, _accepted(started.execution_id), request_id, head=method == "HEAD")
            return 202
        await respond(
            send,
            answer.status,
            answer.body,
            request_id,
            content_type=answer.content_type,
            headers=answer.headers,
            head=method == "HEAD",
        )
        return answer.status


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
