"""Deliveries as clients see them, and sending one again, to any version of its workflow.

A redelivery is a new execution that names the delivery; it passes no dedup, throttle or debounce.
"""

import re
from typing import Annotated, Any, Literal

import msgspec

from domain.execution.events import Items, Origin
from domain.inbox.decider import stream_of
from projections.webhook_deliveries.queries import DeliveryRow
from services.api.executions_view import time_text
from services.api.parts import Parts
from services.api.problems import Problem
from services.api.retrying import graph_of, startable
from services.api.starts import Start

REDACTED = "[redacted]"
STARTED_SECONDS = 2.0
"""So long an execution is waited for that a delivery has begun."""
_SECRET_HEADER = re.compile(
    r"authorization|cookie|signature|token|secret|password|credential|(api|access|auth|hmac)[-_]?key|hmac|csrf"
)

_decode_items = msgspec.json.Decoder(Items).decode


class RedeliverRequest(msgspec.Struct, forbid_unknown_fields=True):
    """`version`: the active one, the newest, or a number."""

    version: Literal["active", "newest"] | Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] = "active"


def summary(row: DeliveryRow) -> dict[str, Any]:
    """One line of a list."""
    return {
        "id": row.id,
        "workflow_id": row.workflow_id,
        "workflow_version": row.workflow_version,
        "node_id": row.node,
        "endpoint_id": row.endpoint_id,
        "status": row.status,
        "code": row.code or None,
        "reason": row.reason or None,
        "duplicate_of": row.duplicate_of,
        "superseded_by": row.superseded_by,
        "execution_id": row.execution_id,
        "due_at": time_text(row.due_at),
        "more": row.more,
        "received_at": time_text(row.received_at),
    }


async def detail(parts: Parts, row: DeliveryRow) -> dict[str, Any]:
    """With what was in it; headers that hold credentials or signatures are hidden."""
    text = await parts.reads.delivery_payload(row)
    items = [] if text is None else _decode_items(text.encode())
    began = await parts.reads.executions_of_delivery(row.workspace_id, row.id)
    return summary(row) | {
        "payload": [_redacted(item) for item in items],
        "excerpt": row.excerpt or None,
        "executions": list(dict.fromkeys([*([row.execution_id] if row.execution_id else []), *began])),
    }


def _redacted(item: dict[str, Any]) -> dict[str, Any]:
    json = item.get("json")
    if not isinstance(json, dict) or not isinstance(headers := json.get("headers"), dict):
        return item
    hidden = {name: REDACTED if _SECRET_HEADER.search(name.lower()) else value for name, value in headers.items()}
    return item | {"json": json | {"headers": hidden}}


async def plan_redelivery(parts: Parts, row: DeliveryRow, asked: RedeliverRequest) -> Start:
    """Problems: 404 for a version that is not there, 409 `workflow_archived`, `workflow_inactive`, `payload_gone`,
    `node_missing`, `workflow_version_unreadable`."""
    version = await _version(parts, row, asked)
    graph = await graph_of(parts, row.workspace_id, row.workflow_id, version)
    if graph.trigger(row.node) is None:
        raise Problem(
            409,
            "node_missing",
            f"Version {version} has no trigger {row.node!r}, which this delivery was for. Name a version that has it.",
            extra={"node_id": row.node},
        )
    text = await _payload(parts, row)
    items = [] if text is None else _decode_items(text.encode())
    if not items:
        raise Problem(409, "payload_gone", "What was in this delivery is not kept: it cannot be sent again.")
    return Start(
        row.workflow_id,
        version,
        row.node,
        "webhook",
        items,
        graph.document.settings.priority,
        origin=Origin(kind="delivery", stream=stream_of(row.endpoint_id), ref=row.id),
    )


async def _payload(parts: Parts, row: DeliveryRow) -> str | None:
    """What was in it. An inbox takes a delivery before its execution is there, which holds it: that is waited for."""
    return await parts.positions.looked_up(
        lambda: parts.reads.delivery_payload(row),
        lambda text: text is not None or row.execution_id is None,
        STARTED_SECONDS,
    )


async def _version(parts: Parts, row: DeliveryRow, asked: RedeliverRequest) -> int:
    workflow = await startable(parts, row.workspace_id, row.workflow_id)
    if asked.version == "newest":
        return workflow.version
    if asked.version != "active":
        return asked.version
    if workflow.active_version is None:
        raise Problem(
            409, "workflow_inactive", 'No version of this workflow is active: name one, or give "version": "newest".'
        )
    return workflow.active_version
