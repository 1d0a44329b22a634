"""Deliveries that came through the inbox of an endpoint, or were refused before it.

Those of an endpoint without dedup, throttle and debounce that became executions are rows of `executions` already, with
`delivery_id` = `id`.
"""

from projections.facts import (
    Commit,
    Delivery,
    DeliveryAccepted,
    DeliveryBegun,
    DeliveryDuplicated,
    DeliveryHeld,
    DeliveryRefused,
    DeliverySuperseded,
    payload,
    text,
)
from projections.operations import Operation, Table, Update, Upsert, Values

VERSION = 4

WEBHOOK_DELIVERIES = Table(
    name="webhook_deliveries",
    key=("id",),
    columns={
        "id": "uuid",
        "workspace_id": "uuid",
        "workflow_id": "uuid",
        "workflow_version": "integer",
        "node": "text",
        "endpoint_id": "text",
        "dedup_key": "text",
        "status": "text",
        "code": "text",
        "reason": "text",
        "duplicate_of": "uuid",
        "repeats": "boolean",
        "superseded_by": "uuid",
        "execution_id": "uuid",
        "due_at": "time",
        "more": "integer",
        "excerpt": "text",
        "payload": "json",
        "received_at": "time",
        "fingerprint": "text",
        "updated_at": "time",
        "stream_version": "bigint",
    },
)
TABLES = (WEBHOOK_DELIVERIES,)


def project(commit: Commit) -> list[Operation]:
    operations: list[Operation] = []
    for event, version, blobs in commit.facts:
        match event:
            case DeliveryAccepted():
                said: Values = {"status": "accepted", "execution_id": event.execution_id, **_key(event)}
                operations.append(_row(commit, event.delivery, event.at, version, said))
            case DeliveryHeld():
                given = payload(event.items, "items", blobs)
                said = {"status": "held", "due_at": event.due, "payload": given, **_key(event)}
                operations.append(_row(commit, event.delivery, event.at, version, said))
            case DeliveryDuplicated():
                said = {
                    "status": "duplicate",
                    "duplicate_of": event.first,
                    "repeats": event.same,
                    "payload": None if event.same else payload(event.items, "items", blobs),
                }
                operations.append(_row(commit, event.delivery, event.at, version, said))
            case DeliveryRefused():
                said = {
                    "status": "refused",
                    "code": text(event.code),
                    "reason": text(event.reason),
                    "due_at": event.retry_at,
                    "more": event.more,
                    "excerpt": text(event.excerpt),
                    "payload": payload(event.items, "items", blobs),
                }
                operations.append(_row(commit, event.delivery, event.at, version, said))
            case DeliveryBegun():
                begun: Values = {"status": "accepted", "execution_id": event.execution_id}
                operations.append(_change(event.delivery_id, event.at, version, begun))
            case DeliverySuperseded():
                gone: Values = {"status": "superseded", "superseded_by": event.by}
                operations.append(_change(event.delivery_id, event.at, version, gone))
    return operations


def _key(event: DeliveryAccepted | DeliveryHeld) -> Values:
    return {"dedup_key": event.gates.dedup.key if event.gates.dedup is not None else None}


def _row(commit: Commit, delivery: Delivery, at: int, version: int, said: Values) -> Operation:
    """Everything said anew: one that was refused may come again under its Idempotency-Key."""
    values: Values = {
        "workspace_id": commit.workspace,
        "workflow_id": delivery.workflow_id,
        "workflow_version": delivery.workflow_version,
        "node": text(delivery.node),
        "endpoint_id": text(delivery.endpoint_id),
        "dedup_key": None,
        "code": "",
        "reason": "",
        "duplicate_of": None,
        "repeats": False,
        "superseded_by": None,
        "execution_id": None,
        "due_at": None,
        "more": 0,
        "excerpt": "",
        "payload": None,
        "received_at": delivery.received_at,
        "fingerprint": text(delivery.fingerprint),
        "updated_at": at,
        "stream_version": version,
    }
    return Upsert("webhook_deliveries", (delivery.id,), values | said)


def _change(delivery_id: str, at: int, version: int, said: Values) -> Operation:
    values: Values = {"due_at": None, "updated_at": at, "stream_version": version}
    return Update("webhook_deliveries", (delivery_id,), values | said)
