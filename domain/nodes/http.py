"""`http`: one HTTP request an item."""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from domain.effects import EffectClass, HttpRequest
from domain.execution.events import Item
from domain.expressions import Scope, to_text
from domain.nodes.failures import BAD_PARAMETER, NodeFailure
from domain.nodes.node_type import Effects, NodeType, Operation
from domain.nodes.parameters import Parameter, Parameters

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_CLASSES: dict[str, EffectClass] = {
    "GET": "read",
    "HEAD": "read",
    "OPTIONS": "read",
    "PUT": "idempotent",
    "DELETE": "idempotent",
}
_RETRIABLE = frozenset({408, 425, 429})
_EXCERPT = 300
_STATUS_RANGE = re.compile(r"([1-5]\d\d)(?:-([1-5]\d\d))?")
_URL = re.compile(r"https?://[^\s/]", re.IGNORECASE)


def _bind(parameters: Parameters) -> Operation:
    method = parameters.plain("method")
    full = parameters.plain("full_response")
    accepted = _accepted(parameters)

    def conclude(_item: Item, value: Any) -> Item:
        status, headers, body = value["status"], value.get("headers", {}), value.get("body")
        if status >= 400 and not any(low <= status <= high for low, high in accepted):
            raise NodeFailure(
                "http_status",
                f"the server answered {status}: {_excerpt(body)}",
                retriable=status in _RETRIABLE or status >= 500,
                retry_after_seconds=_retry_after(headers),
            )
        if full:
            return {"json": {"status": status, "headers": headers, "body": body}}
        return {"json": body if isinstance(body, dict) else {"body": body}}

    return Effects(_effect_class(parameters, method), _request(parameters, method), conclude, _of_verdict)


def _effect_class(parameters: Parameters, method: str) -> EffectClass:
    """POST and PATCH are safe to repeat only if the user's own header says by which key."""
    headers = parameters.source("headers")
    if isinstance(headers, dict) and any(name.lower() == "idempotency-key" for name in headers):
        return "idempotent" if _CLASSES.get(method) != "read" else "read"
    return _CLASSES.get(method, "unsafe")


def _request(parameters: Parameters, method: str) -> Callable[[Scope], HttpRequest]:
    url_of, query_of = parameters.evaluator("url"), parameters.evaluator("query")
    headers_of, body_of = parameters.evaluator("headers"), parameters.evaluator("body")
    follow = parameters.plain("follow_redirects")

    def request(scope: Scope) -> HttpRequest:
        url = url_of(scope)
        if not _URL.match(url):
            raise NodeFailure(BAD_PARAMETER, f"parameter 'url' must be an http or https address, not {url[:100]!r}")
        headers = {name: to_text(value) for name, value in headers_of(scope).items() if value is not None}
        for name, value in headers.items():
            if not name or any(sign in name or sign in value for sign in "\r\n\0"):
                raise NodeFailure(BAD_PARAMETER, f"parameter 'headers': {name[:100]!r} cannot be sent")
        body = body_of(scope)
        text = body if isinstance(body, str) else None
        return HttpRequest(
            method=method,
            url=url,
            query=query_of(scope),
            headers=headers,
            body=None if text is not None else body,
            body_text=text,
            follow_redirects=follow,
        )

    return request


def _accepted(parameters: Parameters) -> list[tuple[int, int]]:
    accepted = []
    for entry in parameters.plain("accept_status"):
        match = _STATUS_RANGE.fullmatch(str(entry)) if type(entry) in {int, str} else None
        if match is None:
            parameters.refuse("accept_status", f"{str(entry)[:20]!r} is no status such as 404 or range such as 400-499")
        else:
            accepted.append((int(match[1]), int(match[2] or match[1])))
    return accepted


def _excerpt(body: Any) -> str:
    if body is None or body == "":
        return "no body"
    text = body if isinstance(body, str) else msgspec.json.encode(body).decode()
    text = " ".join(text[: 4 * _EXCERPT].split())
    return text if len(text) <= _EXCERPT else text[:_EXCERPT] + "…"


def _retry_after(headers: dict[str, Any]) -> float | None:
    """Seconds, where the server gave seconds (a date would need its clock)."""
    for name, value in headers.items():
        if name.lower() == "retry-after" and isinstance(value, str) and value.strip().isdecimal():
            return min(float(value), 86_400.0)
    return None


def _of_verdict(result: Any) -> dict[str, Any]:
    return {"status": 200, "headers": {}, "body": result}


HTTP = NodeType(
    "http",
    "HTTP request",
    "Sends one request an item and puts out the decoded body (an object becomes the item, anything else its `body`). "
    "A status of 400 or more fails the item. GET, HEAD and OPTIONS are read; PUT, DELETE and what has an "
    "Idempotency-Key header are idempotent; POST and PATCH are unsafe.",
    _bind,
    (
        Parameter("method", "text", "The HTTP method.", default="GET", expression=False, choices=METHODS),
        Parameter("url", "text", "The address, http or https.", required=True),
        Parameter("query", "object", "Query parameters.", default={}),
        Parameter("headers", "object", "Request headers.", default={}),
        Parameter("body", "any", "Text is sent as it is, everything else as JSON."),
        Parameter("full_response", "boolean", "Put out {status, headers, body}.", default=False, expression=False),
        Parameter(
            "accept_status", "list", "Statuses of 400 or more that are no failure.", default=[], expression=False
        ),
        Parameter("follow_redirects", "boolean", "Follow redirects.", default=True, expression=False),
    ),
    effects=("read", "idempotent", "unsafe"),
)
