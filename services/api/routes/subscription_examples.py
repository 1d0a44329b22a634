"""Examples of subscriptions for the OpenAPI document; tests send every one of them."""

from typing import Any

from domain.subscription.topics import TYPES
from services.api.routes.examples import CREDENTIAL_ID, json_body

SUBSCRIPTION_ID = "6d1f0c52-7a0e-4f6b-8a55-0f3f5b7f9c11"
DELIVERY_ID = "0c7d9a34-5a41-5c39-9a0e-2f8c3b1d7e66"
SUBSCRIPTION: dict[str, Any] = {
    "name": "Orders that failed",
    "events": ["execution.failed", "execution.timed_out"],
    "channel": {"type": "webhook", "url": "https://hooks.example.com/linkflow"},
}
MAIL: dict[str, Any] = {
    "name": "Mail to operations",
    "events": ["dead_letter.*", "execution.failed"],
    "channel": {"type": "email", "credential_id": CREDENTIAL_ID, "to": ["ops@example.com"]},
}
CHAT: dict[str, Any] = {
    "name": "Chat",
    "events": ["*"],
    "channel": {"type": "slack", "credential_id": CREDENTIAL_ID, "channel": "#operations"},
}
REDELIVERY: dict[str, Any] = {"since": "2026-11-27T00:00:00Z"}

_CHANNEL: dict[str, Any] = {
    "oneOf": [
        {
            "title": "webhook",
            "type": "object",
            "required": ["type", "url"],
            "properties": {
                "type": {"const": "webhook"},
                "url": {"type": "string", "format": "uri"},
                "secret": {
                    "type": "string",
                    "description": "Signs; whsec_ and the base64 of 24 to 64 bytes. Without it one is made.",
                },
            },
        },
        {
            "title": "email",
            "type": "object",
            "required": ["type", "credential_id", "to"],
            "properties": {
                "type": {"const": "email"},
                "credential_id": {"type": "string", "description": "Of type smtp."},
                "to": {"type": "array", "items": {"type": "string", "format": "email"}, "minItems": 1, "maxItems": 20},
            },
        },
        {
            "title": "slack",
            "type": "object",
            "required": ["type", "credential_id"],
            "properties": {
                "type": {"const": "slack"},
                "credential_id": {"type": "string", "description": "Of type slack, or slack_webhook."},
                "channel": {"type": "string", "description": "Where to; not for an incoming webhook, which knows."},
            },
        },
    ]
}


def subscription_body() -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": ["name", "events", "channel"],
        "properties": {
            "name": {"type": "string", "maxLength": 200},
            "description": {"type": "string"},
            "events": {
                "type": "array",
                "items": {"type": "string", "examples": [*TYPES, "execution.*", "*"]},
                "minItems": 1,
                "maxItems": 50,
            },
            "workflow_id": {"type": "string", "format": "uuid", "description": "Only what belongs to this workflow."},
            "channel": _CHANNEL,
            "include_output": {"type": "boolean", "default": False},
            "disable_after": {
                "type": "object",
                "properties": {
                    "failures": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 10},
                    "minutes": {"type": "integer", "minimum": 0, "maximum": 10080, "default": 10},
                },
            },
        },
    }
    return json_body(SUBSCRIPTION, schema)


def redelivery_body() -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": ["since"],
        "properties": {
            "since": {"type": "string", "format": "date-time"},
            "until": {"type": "string", "format": "date-time"},
            "limit": {"type": "integer", "minimum": 1, "maximum": 500, "default": 100},
        },
    }
    return json_body(REDELIVERY, schema)
