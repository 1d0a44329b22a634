"""Subscriptions to events, and the log of their deliveries."""

import msgspec

from domain.subscription.commands import Notice
from domain.subscription.definition import Definition, channel_name
from domain.subscription.events import (
    DeliveryDropped,
    DeliveryEnded,
    DeliveryQueued,
    DeliveryRequeued,
    DeliveryStarted,
    SubscriptionChanged,
    SubscriptionCreated,
    SubscriptionDeleted,
    SubscriptionDisabled,
    SubscriptionEvent,
    SubscriptionPaused,
    SubscriptionResumed,
)
from projections.facts import Commit, text
from projections.operations import Insert, Operation, Table, Update, UpdateWhere, Upsert, Values

VERSION = 6
ENDED_WITH = {
    "disabled": "the subscription was disabled before it was sent",
    "deleted": "the subscription was deleted before it was sent",
}
"""Why what waited has failed, by what became of its subscription; the code is `subscription_…`."""

SUBSCRIPTIONS = Table(
    name="event_subscriptions",
    key=("id",),
    columns={
        "id": "uuid",
        "workspace_id": "uuid",
        "name": "text",
        "channel": "text",
        "status": "text",
        "reason": "text",
        "definition": "json",
        "failures": "integer",
        "failing_since": "time",
        "disabled_at": "time",
        "last_delivery_at": "time",
        "last_delivery_status": "text",
        "created_at": "time",
        "updated_at": "time",
        "fingerprint": "text",
        "stream_version": "bigint",
    },
)
DELIVERIES = Table(
    name="event_deliveries",
    key=("id",),
    columns={
        "id": "uuid",
        "subscription_id": "uuid",
        "workspace_id": "uuid",
        "event_type": "text",
        "notice": "json",
        "test": "boolean",
        "status": "text",
        "execution_id": "uuid",
        "code": "text",
        "message": "text",
        "response_status": "integer",
        "created_at": "time",
        "queued_at": "time",
        "started_at": "time",
        "ended_at": "time",
    },
)
REDELIVERIES = Table(
    name="event_redeliveries",
    key=("id", "delivery_id"),
    columns={"id": "uuid", "delivery_id": "uuid", "workspace_id": "uuid", "fingerprint": "text", "at": "time"},
)
"""What a request had delivered again: the same Idempotency-Key asks for the same."""
TABLES = (SUBSCRIPTIONS, DELIVERIES, REDELIVERIES)


def project(commit: Commit) -> list[Operation]:
    """All changes of the subscription's own row as one, and one operation for each change of a delivery."""
    operations: list[Operation] = []
    changes: Values = {}
    for event, _, _ in commit.facts:
        if isinstance(event, SubscriptionCreated):
            operations.append(Insert("event_subscriptions", (commit.id,), _created(commit, event)))
            continue
        changes.update(_changes(event))
        operations.extend(_delivery(commit, event))
    if commit.facts:
        operations.append(Update("event_subscriptions", (commit.id,), {**changes, "stream_version": commit.version}))
    return operations


def _created(commit: Commit, event: SubscriptionCreated) -> Values:
    return {
        "workspace_id": commit.workspace,
        **_defined(event.definition),
        "status": "active",
        "reason": "",
        "failures": 0,
        "created_at": event.at,
        "updated_at": event.at,
        "fingerprint": text(event.fingerprint),
        "stream_version": commit.version,
    }


def _defined(definition: Definition) -> Values:
    return {
        "name": text(definition.name),
        "channel": channel_name(definition.channel),
        "definition": msgspec.json.encode(definition).decode(),
    }


def _changes(event: SubscriptionEvent) -> Values:
    match event:
        case SubscriptionChanged(definition=definition, at=at):
            return {**_defined(definition), "updated_at": at}
        case SubscriptionPaused(at=at, reason=reason):
            return {"status": "paused", "reason": text(reason), "updated_at": at}
        case SubscriptionResumed(at=at):
            return {
                "status": "active", "reason": "", "failures": 0, "failing_since": None, "disabled_at": None,
                "updated_at": at,
            }  # fmt: skip
        case SubscriptionDisabled(at=at, message=message, reason=reason):
            return {"status": "disabled", "reason": text(message or reason), "disabled_at": at, "updated_at": at}
        case SubscriptionDeleted(at=at):
            return {"status": "deleted", "reason": "", "updated_at": at}
        case DeliveryEnded():
            return {
                "failures": event.failures,
                "failing_since": event.failing_since or None,
                "last_delivery_at": event.at,
                "last_delivery_status": event.status,
            }
    return {}


def _delivery(commit: Commit, event: SubscriptionEvent) -> list[Operation]:
    match event:
        case DeliveryQueued():
            values: Values = {
                "subscription_id": commit.id,
                "workspace_id": commit.workspace,
                "event_type": event.notice.type,
                "notice": _json(event.notice),
                "test": event.test,
                "status": "waiting",
                "created_at": event.at,
                "queued_at": event.at,
            }
            return [Insert("event_deliveries", (event.delivery_id,), values)]
        case SubscriptionDisabled(at=at, ends_waiting=True):
            return _with_subscription(commit.id, "disabled", at)
        case SubscriptionDeleted(at=at):
            return _with_subscription(commit.id, "deleted", at)
        case DeliveryRequeued(delivery_id=delivery, at=at):
            asked: Values = {"workspace_id": commit.workspace, "fingerprint": text(event.fingerprint), "at": at}
            again: Values = {
                "status": "waiting", "queued_at": at, "execution_id": None, "code": None, "message": None,
                "response_status": None, "started_at": None, "ended_at": None, "notice": _json(event.notice),
            }  # fmt: skip
            return [
                Update("event_deliveries", (delivery,), again),
                Upsert("event_redeliveries", (event.redelivery_id, delivery), asked),
            ]
        case DeliveryStarted(delivery_id=delivery, execution_id=execution, at=at):
            begun: Values = {"status": "sending", "execution_id": execution, "started_at": at}
            return [Update("event_deliveries", (delivery,), begun)]
        case DeliveryEnded(delivery_id=delivery):
            ended: Values = {
                "status": event.status,
                "code": text(event.code) or None,
                "message": text(event.message) or None,
                "response_status": event.response_status or None,
                "ended_at": event.at,
            }
            return [Update("event_deliveries", (delivery,), ended)]
        case DeliveryDropped(delivery_id=delivery, code=code):
            return [Update("event_deliveries", (delivery,), {"status": "put_aside", "code": text(code)})]
    return []


def _with_subscription(subscription: str, became: str, at: int) -> list[Operation]:
    """What has not begun has failed."""
    ended: Values = {
        "status": "failed",
        "code": f"subscription_{became}",
        "message": ENDED_WITH[became],
        "ended_at": at,
    }
    return [
        UpdateWhere("event_deliveries", {"subscription_id": subscription, "status": status}, ended)
        for status in ("waiting", "put_aside")
    ]


def _json(notice: Notice) -> str:
    return msgspec.json.encode(notice).decode()
