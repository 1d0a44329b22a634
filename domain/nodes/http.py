"""`http`: one HTTP request an item."""

import re
from collections.abc import Callable
from typing import Any

from domain.effects import EffectClass, HttpRequest
from domain.expressions import Scope, to_text
from domain.nodes.failures import BAD_PARAMETER, NodeFailure
from domain.nodes.http_answers import Answers
from domain.nodes.http_parameters import CLASSES, EXAMPLES, METHODS, PARAMETERS
from domain.nodes.http_requests import Bodies, pages_of
from domain.nodes.node_type import Effects, NodeType, Operation
from domain.nodes.parameters import Parameters

USUAL_SECONDS = 30.0
ITEMS_SIDE_BY_SIDE = 200
"""An attempt's items (domain/execution/attempts.py), whose requests a batch size puts one behind the other."""

_URL = re.compile(r"https?://[^\s/]", re.IGNORECASE)
_UNSENDABLE = re.compile(r"[\r\n\0]")


def _bind(parameters: Parameters) -> Operation:
    method = parameters.plain("method")
    answers = Answers(parameters)
    seconds = parameters.plain("timeout_seconds") or USUAL_SECONDS
    size, interval = parameters.plain("batch_size"), parameters.plain("batch_interval_seconds")
    longest_delay = ((ITEMS_SIDE_BY_SIDE - 1) // size) * interval if size else 0.0
    return Effects(
        _effect_class(parameters, method),
        _request(parameters, method),
        answers.conclude,
        answers.of_verdict,
        timeout_seconds=seconds + longest_delay,
    )


def _effect_class(parameters: Parameters, method: str) -> EffectClass:
    """POST and PATCH are safe to repeat only if the user's own header says by which key."""
    headers = parameters.source("headers")
    if isinstance(headers, dict) and any(name.lower() == "idempotency-key" for name in headers):
        return "idempotent" if CLASSES.get(method) != "read" else "read"
    return CLASSES.get(method, "unsafe")


def _request(parameters: Parameters, method: str) -> Callable[[Scope], HttpRequest]:
    url_of, query_of = parameters.evaluator("url"), parameters.evaluator("query")
    headers_of, proxy_of = parameters.evaluator("headers"), parameters.evaluator("proxy")
    methods = parameters.plain("redirect_methods")
    if not all(each in METHODS for each in methods):
        parameters.refuse("redirect_methods", f"takes methods: {', '.join(METHODS)}")
    bodies, pages = Bodies(parameters), pages_of(parameters)
    follow = parameters.plain("follow_redirects") and method in methods
    size, interval = parameters.plain("batch_size"), parameters.plain("batch_interval_seconds")

    def request(scope: Scope) -> HttpRequest:
        body = bodies.of(scope)
        headers = _headers(headers_of(scope))
        if body.content_type and not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = body.content_type
        return HttpRequest(
            method=method,
            url=_address("url", url_of(scope)),
            query=query_of(scope),
            headers=headers,
            body=body.json,
            body_text=body.text,
            form=body.form,
            files=body.files,
            multipart=body.multipart,
            body_data=body.data,
            response=parameters.plain("response"),
            exchange_seconds=parameters.plain("timeout_seconds"),
            delay_seconds=(scope.item_index % ITEMS_SIDE_BY_SIDE) // size * interval if size else 0.0,
            follow_redirects=follow,
            max_redirects=parameters.plain("max_redirects"),
            max_response_bytes=parameters.plain("max_response_bytes"),
            proxy=_address("proxy", proxy) if (proxy := proxy_of(scope)) else "",
            verify_tls=parameters.plain("verify_tls"),
            pages=pages,
            credential=parameters.credential,
        )

    return request


def _address(name: str, value: str) -> str:
    if not _URL.match(value):
        raise NodeFailure(BAD_PARAMETER, f"parameter {name!r} must be an http or https address, not {value[:100]!r}")
    return value


def _headers(given: dict[str, Any]) -> dict[str, str]:
    headers = {name: to_text(value) for name, value in given.items() if value is not None}
    for name, value in headers.items():
        if not name or _UNSENDABLE.search(name) or _UNSENDABLE.search(value):
            raise NodeFailure(BAD_PARAMETER, f"parameter 'headers': {name[:100]!r} cannot be sent")
    return headers


HTTP = NodeType(
    "http",
    "HTTP request",
    "Sends one request an item and puts out the decoded body (an object becomes the item, anything else its `body`; a "
    "file goes into the item's `binary`). A status of 400 or more fails the item. GET, HEAD and OPTIONS are read; PUT, "
    "DELETE and what has an Idempotency-Key header are idempotent; POST and PATCH are unsafe. Only public addresses "
    "are reached, and those that the operator opens (LINKFLOW_EGRESS_ALLOW).",
    _bind,
    PARAMETERS,
    effects=("read", "idempotent", "unsafe"),
    examples=EXAMPLES,
    credential_types=("http",),
)
