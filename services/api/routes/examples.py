"""Examples for the OpenAPI document; a test sends every one of them."""

from typing import Any

WORKFLOW_ID = "0b0ee1c1-6c1e-4c39-a2b3-0d6c7bb7a111"
EXECUTION_ID = "5f7a3f5e-7d34-4f3a-9a52-d8e0b51f6e01"

DOCUMENT: dict[str, Any] = {
    "name": "Order intake",
    "nodes": [
        {"id": "order", "type": "webhook", "parameters": {"method": "POST", "respond": "with_node"}},
        {
            "id": "total",
            "type": "set",
            "parameters": {"fields": {"total": "{{ $json.body.price * $json.body.amount }}"}},
        },
        {"id": "large", "type": "if", "parameters": {"condition": "{{ $json.total > 100 }}"}},
        {
            "id": "big",
            "type": "respond",
            "parameters": {"status": 200, "body": "{{ {ok: true, large: true, total: $json.total} }}"},
        },
        {
            "id": "small",
            "type": "respond",
            "parameters": {"status": 200, "body": "{{ {ok: true, large: false, total: $json.total} }}"},
        },
    ],
    "connections": [
        {"from": "order", "to": "total"},
        {"from": "total", "to": "large"},
        {"from": "large", "output": "true", "to": "big"},
        {"from": "large", "output": "false", "to": "small"},
    ],
    "settings": {"timezone": "Europe/Berlin", "timeout_seconds": 300, "priority": "normal"},
}

CREDENTIAL_ID = "8c5b2b0e-8d2f-4c7e-9a3e-2f1f6f0f7a41"

CREDENTIAL: dict[str, Any] = {
    "name": "Shop",
    "type": "http_bearer",
    "description": "May read orders.",
    "data": {"token": "3Zr0Jb1yT0mX6mLr4dXxYQ", "allowed_hosts": "api.example.com"},
}
CREDENTIAL_TEST: dict[str, Any] = {"url": "https://api.example.com/me"}

EXECUTE: dict[str, Any] = {"input": {"body": {"price": 12.5, "amount": 3}}, "wait": 10}
WEBHOOK_BODY: dict[str, Any] = {"price": 60, "amount": 2}
VERDICT: dict[str, Any] = {"verdict": "happened", "run": 0, "result": None}


def json_body(example: Any, schema: dict[str, Any], *, required: bool = True) -> dict[str, Any]:
    """What `openapi_extra` takes for a route that reads its body itself."""
    return {
        "requestBody": {"required": required, "content": {"application/json": {"schema": schema, "example": example}}}
    }


def document_body() -> dict[str, Any]:
    return json_body(
        DOCUMENT,
        {
            "type": "object",
            "required": ["name", "nodes"],
            "properties": {
                "name": {"type": "string"},
                "nodes": {"type": "array", "items": {"type": "object"}},
                "connections": {"type": "array", "items": {"type": "object"}},
                "settings": {"type": "object"},
            },
        },
    )


def verdict_body() -> dict[str, Any]:
    return json_body(
        VERDICT,
        {
            "type": "object",
            "required": ["verdict"],
            "properties": {
                "verdict": {"enum": ["happened", "run_again", "fail"]},
                "run": {"type": "integer", "default": 0},
                "result": {"description": "With `happened`: what the node puts out."},
                "items": {
                    "type": "array",
                    "items": {"type": "integer"},
                    "description": "For these items only, of those that `asked` names.",
                },
            },
        },
    )


def credential_body() -> dict[str, Any]:
    return json_body(
        CREDENTIAL,
        {
            "type": "object",
            "required": ["name", "type"],
            "additionalProperties": False,
            "properties": {
                "name": {"type": "string", "maxLength": 100},
                "type": {"type": "string"},
                "description": {"type": "string"},
                "data": {
                    "type": "object",
                    "description": "As the type's schema says. In a change, secrets left out stay and null drops one.",
                },
            },
        },
    )


def credential_test_body() -> dict[str, Any]:
    url = {"type": "string", "description": "Where to try it out; its `test_url` unless given."}
    schema = {"type": "object", "additionalProperties": False, "properties": {"url": url}}
    return json_body(CREDENTIAL_TEST, schema, required=False)
