"""Examples of schedules for the OpenAPI document; tests send every one of them."""

from typing import Any

from services.api.routes.examples import WORKFLOW_ID, json_body

SCHEDULE_ID = "3c0f3d8e-52d1-4b0a-9a0f-6c9e2f1b7a01"
SCHEDULE: dict[str, Any] = {
    "workflow_id": WORKFLOW_ID,
    "name": "Every working morning",
    "cron_expression": "30 8 * * MON-FRI",
    "timezone": "Europe/Berlin",
    "input_data": {"report": "daily"},
    "missed_runs": {"policy": "last", "grace_seconds": 300},
    "overlap": "skip",
}
PREVIEW: dict[str, Any] = {
    "cron_expression": "30 2 * * *",
    "timezone": "Europe/Berlin",
    "from": "2027-03-27T00:00:00Z",
    "count": 3,
}
BACKFILL: dict[str, Any] = {"from": "2026-06-01T00:00:00Z", "to": "2026-06-02T00:00:00Z", "per_minute": 30}

_TIMING: dict[str, Any] = {
    "cron_expression": {"type": "string", "description": "5 fields, 6 with seconds first, or an alias like @daily."},
    "every": {
        "type": "object",
        "properties": {
            "seconds": {"type": "integer"},
            "minutes": {"type": "integer"},
            "hours": {"type": "integer"},
            "days": {"type": "integer"},
            "anchor": {"type": "string", "format": "date-time"},
        },
    },
    "at": {"type": "string", "description": "Once, at this time."},
    "timezone": {"type": "string", "default": "UTC", "description": "An IANA name."},
}


def schedule_body() -> dict[str, Any]:
    policies = {
        "missed_runs": {
            "type": "object",
            "properties": {
                "policy": {"enum": ["none", "last", "all"], "default": "last"},
                "limit": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 10},
                "grace_seconds": {"type": "integer", "minimum": 1, "maximum": 86400, "default": 60},
            },
        },
        "overlap": {"enum": ["allow", "skip", "queue"], "default": "allow"},
        "queue_limit": {"type": "integer", "minimum": 1, "maximum": 100, "default": 10},
        "jitter_seconds": {"type": "integer", "minimum": 0, "maximum": 3600, "default": 0},
    }
    properties = {
        "workflow_id": {"type": "string", "format": "uuid"},
        "node_id": {"type": "string", "description": "The trigger to start from; the first that fits unless given."},
        "name": {"type": "string", "maxLength": 100},
        "description": {"type": "string", "maxLength": 2000},
        "input_data": {"type": "object", "description": "Given to each run as `input_data`."},
    }
    return json_body(
        SCHEDULE,
        {
            "type": "object",
            "required": ["workflow_id", "name"],
            "properties": properties | _TIMING | policies,
            "description": "Exactly one of cron_expression, every, at.",
        },
    )


def preview_body() -> dict[str, Any]:
    more = {
        "from": {"type": "string", "format": "date-time", "description": "Now unless given."},
        "count": {"type": "integer", "minimum": 1, "maximum": 100, "default": 10},
    }
    return json_body(PREVIEW, {"type": "object", "properties": _TIMING | more})


def backfill_body() -> dict[str, Any]:
    return json_body(
        BACKFILL,
        {
            "type": "object",
            "required": ["from", "to"],
            "properties": {
                "from": {"type": "string", "format": "date-time"},
                "to": {"type": "string", "format": "date-time", "description": "Included; not in the future."},
                "per_minute": {"type": "integer", "minimum": 1, "maximum": 600, "default": 60},
            },
        },
    )
