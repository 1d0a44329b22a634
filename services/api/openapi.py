"""The OpenAPI document: FastAPI's routes, the hot routes beside them, security and problem documents."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from services.api.principal import PUBLIC_PATHS
from services.api.routes import examples
from services.api.routes.models import Accepted, Execution, ProblemDocument
from services.api.webhooks import METHODS

_PROBLEM = {"$ref": "#/components/schemas/ProblemDocument"}
_MODELS = (ProblemDocument, Accepted, Execution)
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "maxLength": 255},
    "description": "The same key does the same thing once (24 h); with another body: 422.",
}
_MAKING = frozenset(
    (
        "/api/v1/workflows",
        "/api/v1/workflows/{workflow_id}/clone",
        "/api/v1/credentials",
        "/api/v1/schedules",
        "/api/v1/variables",
        "/api/v1/schedules/{schedule_id}/backfill",
        "/api/v1/deliveries/{delivery_id}/redeliver",
        "/api/v1/subscriptions",
        "/api/v1/subscriptions/{subscription_id}/test",
        "/api/v1/subscriptions/{subscription_id}/redeliver",
        "/api/v1/subscriptions/{subscription_id}/deliveries/{delivery_id}/redeliver",
    )
)
_RETRY = "/api/v1/executions/{execution_id}/retry"


def describe_api(app: FastAPI) -> None:
    """Make `app.openapi()` tell the whole API."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title="LinkFlow",
        version="1",
        description="Workflows that lose nothing. Errors are RFC 9457 problem documents; lists are "
        "`{items, next_cursor}`; `GET /ws` (WebSocket) carries the live feed.",
        routes=app.routes,
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for model in _MODELS:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    paths = document["paths"]
    paths["/api/v1/workflows/{workflow_id}/execute"] = {"post": _execute()}
    paths["/webhooks/{endpoint_id}"] = {method.lower(): _webhook(method) for method in METHODS}
    paths["/resume/{token}"] = {"get": _resume("get"), "post": _resume("post")}
    paths["/ws"] = {"get": _feed()}
    for path, operations in paths.items():
        for method, operation in operations.items():
            _complete(path, method, operation)
    return document


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    """What every operation has: security, problems, the idempotency key where something is made."""
    responses = operation.setdefault("responses", {})
    responses.pop("422", None)
    responses["default"] = {
        "description": "A problem document.",
        "content": {"application/problem+json": {"schema": _PROBLEM}},
    }
    public = path in PUBLIC_PATHS or path.startswith(("/webhooks/", "/resume/"))
    operation["security"] = [] if public else [{"bearer": []}, {"api_key": []}]
    if (method == "post" and (path in _MAKING or path.endswith("/execute") or path == _RETRY)) or (
        path.startswith("/webhooks/")
    ):
        operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)


def _path_parameter(name: str, example: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, "example": example}


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _execute() -> dict[str, Any]:
    item = {"type": "object"}
    body = examples.json_body(
        examples.EXECUTE,
        {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "input": {"anyOf": [item, {"type": "array", "items": item}], "description": "One item, or a list."},
                "version": {"type": "integer", "minimum": 1, "description": "The newest unless named."},
                "wait": {"type": "number", "minimum": 0, "maximum": 300, "description": "Seconds to wait for the end."},
            },
        },
        required=False,
    )
    return {
        "tags": ["workflows"],
        "summary": "Execute a workflow",
        "operationId": "execute_workflow",
        "parameters": [_path_parameter("workflow_id", examples.WORKFLOW_ID)],
        **body,
        "responses": {
            "200": _json("With `wait`: it has ended.", {"$ref": "#/components/schemas/Execution"}),
            "202": _json("It is in the log.", {"$ref": "#/components/schemas/Accepted"}),
        },
    }


def _webhook(method: str) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "tags": ["webhooks"],
        "summary": "Call a webhook",
        "description": "The secret address is all the caller needs. The answer is as the trigger's `respond` says.",
        "operationId": f"call_webhook_{method.lower()}",
        "parameters": [_path_parameter("endpoint_id", "3Zr0Jb1yT0mX6mLr4dXxYQq8s2nWcVtE")],
        "responses": {
            "200": _json("`when_done`, `with_node`: what the workflow answers.", {}),
            "202": _json("It is in the log.", {"type": "object", "properties": {"execution_id": {"type": "string"}}}),
            "429": {
                "description": "Too much, with `Retry-After`: `throttled`, `inbox_full`, `too_many_duplicates`, "
                "`workspace_overloaded`.",
                "content": {"application/problem+json": {"schema": _PROBLEM}},
            },
        },
    }
    if method in ("POST", "PUT", "PATCH"):
        operation |= examples.json_body(examples.WEBHOOK_BODY, {}, required=False)
    return operation


def _resume(method: str) -> dict[str, Any]:
    says = (
        "Wakes what waits at a resume link, once: an approval by `{approved, comment?}`, a `wait` with `webhook: true` "
        "by any request of its method, which becomes the item."
        if method == "post"
        else "An approval's page (HTML for browsers, else JSON); it decides nothing. A `wait` for a GET wakes."
    )
    operation: dict[str, Any] = {
        "tags": ["webhooks"],
        "summary": "Resume an execution" if method == "post" else "Look at what waits at a resume link",
        "description": f"{says} The signed address is all the caller needs.",
        "operationId": f"resume_{method}",
        "parameters": [_path_parameter("token", "kq3V…")],
        "responses": {
            "200": _json("Decided; or what is asked.", {"type": "object"}),
            "409": {"description": "It does not wait there yet."},
            "410": {"description": "The link was used, its time is over, or the execution has ended."},
        },
    }
    if method == "post":
        operation |= examples.json_body({"approved": True, "comment": "go"}, {}, required=False)
    return operation


def _feed() -> dict[str, Any]:
    def query(name: str, description: str) -> dict[str, Any]:
        return {"name": name, "in": "query", "schema": {"type": "string"}, "description": description}

    return {
        "tags": ["feed"],
        "summary": "The live feed (WebSocket)",
        "description": "Frames `{cursor, type, workspace_id, execution_id, workflow_id, at, data}`. The handshake's "
        "answer carries `X-LinkFlow-Cursor`, where the feed begins. Closed with 4408 (too slow: come back with the "
        "last cursor), 4410 (the cursor is too old), 1012 (restart: come back).",
        "operationId": "feed",
        "parameters": [
            query("cursor", "Go on behind this frame; nothing is missed."),
            query("types", "Only these types of events, comma-separated."),
            query("workflow_id", "Only this workflow."),
            query("execution_id", "Only this execution."),
        ],
        "responses": {"101": {"description": "The feed begins."}},
    }
