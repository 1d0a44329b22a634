"""The outermost ASGI application: request ids, who asks, the routes without a framework, the last word on errors.

Default-deny stands here: whatever is not in `PUBLIC_PATHS` (or a webhook) needs a principal first.
"""

import re
from secrets import token_hex
from typing import Any

from domain.execution.links import RESUME_PREFIX
from infra.telemetry.logs import get_logger
from infra.telemetry.metrics import REQUEST_SECONDS, REQUESTS
from services.api.asgi import Message, Receive, Scope, Send, header_of
from services.api.bodies import ClientGone
from services.api.execute import PATH as EXECUTE_PATH
from services.api.execute import ExecuteRoute
from services.api.parts import Parts
from services.api.principal import WEBHOOKS_PREFIX, is_public
from services.api.problems import Problem, of_failure
from services.api.resume import ResumeRoute
from services.api.webhooks import WebhookRoute
from services.api.websocket import serve_feed

PRINCIPAL, REQUEST_ID = "linkflow.principal", "linkflow.request_id"
_REQUEST_ID_FORM = re.compile(rb"[A-Za-z0-9._:+/=@-]{1,128}")

logger = get_logger(__name__)


class Edge:
    """`framework`: the FastAPI application behind the hot routes."""

    def __init__(self, parts: Parts, framework: Any) -> None:
        self._parts = parts
        self._framework = framework
        self._webhooks = WebhookRoute(parts)
        self._resume = ResumeRoute(parts)
        self._execute = ExecuteRoute(parts.bindings, parts.starter, parts.results, parts.view)
        self._counts: dict[tuple[str, int], Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "websocket":
            await serve_feed(self._parts, scope, receive, send, request_id_of(scope))

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = request_id_of(scope)
        answer = _Answer(send, request_id)
        head = scope["method"] == "HEAD"
        route = "other"
        try:
            try:
                route = await self._route(scope, receive, answer, request_id)
                return
            except Problem as raised:
                problem = raised
            except ClientGone:
                return
            except Exception as error:
                problem = of_failure(error)
                if problem.status == 503:
                    logger.warning("the database is away", path=scope["path"], reason=str(error), request_id=request_id)
                else:
                    logger.exception("a request failed", path=scope["path"], request_id=request_id)
            if answer.status == 0:
                await problem.send(answer, request_id, head=head)
        finally:
            self._count(route, answer.status)

    async def _route(self, scope: Scope, receive: Receive, send: "_Answer", request_id: str) -> str:
        path: str = scope["path"]
        if path.startswith(WEBHOOKS_PREFIX):
            with _seconds["webhook"].time():
                await self._webhooks(scope, receive, send, request_id)
            return "webhook"
        if path.startswith(RESUME_PREFIX):
            with _seconds["resume"].time():
                await self._resume(scope, receive, send, request_id)
            return "resume"
        principal = None if is_public(path) else await self._parts.authenticator.principal_of(scope)
        if principal is not None and (found := EXECUTE_PATH.fullmatch(path)) is not None:
            with _seconds["execute"].time():
                await self._execute(scope, receive, send, request_id, principal, found.group(1))
            return "execute"
        scope[PRINCIPAL] = principal
        scope[REQUEST_ID] = request_id
        with _seconds["other"].time():
            await self._framework(scope, receive, send.with_request_id)
        return "other"

    def _count(self, route: str, status: int) -> None:
        counter = self._counts.get((route, status))
        if counter is None:
            counter = self._counts[route, status] = REQUESTS.labels(route, str(status))
        counter.inc()


_seconds = {route: REQUEST_SECONDS.labels(route) for route in ("webhook", "resume", "execute", "other")}


class _Answer:
    """A `send` that knows whether an answer has begun."""

    __slots__ = ("_request_id", "_send", "status")

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)

    async def with_request_id(self, message: Message) -> None:
        """For the framework's answers, which do not carry the id themselves."""
        if message["type"] == "http.response.start":
            message["headers"] = [
                *message.get("headers", ()),
                (b"x-request-id", self._request_id.encode()),
                (b"x-content-type-options", b"nosniff"),
            ]
        await self(message)


def request_id_of(scope: Scope) -> str:
    """The client's X-Request-ID if it is one, else a new id."""
    given = header_of(scope["headers"], b"x-request-id")
    if given is not None and _REQUEST_ID_FORM.fullmatch(given):
        return given.decode()
    return token_hex(16)
