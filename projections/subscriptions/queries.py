"""Reads of subscriptions and of the log of their deliveries."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from projections.connection import Connection, Row, as_uuid
from projections.sql import load_queries

_SQL = load_queries(__package__)


class SubscriptionRow(msgspec.Struct, frozen=True):
    """`status`: active, paused, disabled, deleted; `definition`: JSON text (domain/subscription/definition.py)."""

    id: str
    workspace_id: str
    name: str
    channel: str
    status: str
    reason: str
    definition: str
    failures: int
    failing_since: datetime | None
    disabled_at: datetime | None
    last_delivery_at: datetime | None
    last_delivery_status: str | None
    created_at: datetime
    updated_at: datetime
    fingerprint: str


class DeliveryRow(msgspec.Struct, frozen=True):
    """`status`: waiting, put_aside, sending, delivered, failed; `notice`: JSON of domain/subscription/commands.py, None
    where retention took it."""

    id: str
    subscription_id: str
    event_type: str
    notice: str | None
    test: bool
    status: str
    execution_id: str | None
    code: str | None
    message: str | None
    response_status: int | None
    created_at: datetime
    queued_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class Attempts(msgspec.Struct, frozen=True):
    """Of the execution that makes a delivery. `next_try`: ms since 1970, None unless it waits for one."""

    attempts: int
    next_try: int | None


class ActiveSubscription(msgspec.Struct, frozen=True):
    id: str
    workspace_id: str
    definition: str


class PutAside(msgspec.Struct, frozen=True):
    """A delivery for which there was no room."""

    id: str
    subscription_id: str
    workspace_id: str
    notice: str


class DeliveryFilter(msgspec.Struct, frozen=True):
    """`status`: one of a row's, or `retrying`: of those that are `sending` the ones that wait for their next try, which
    are then not among these."""

    status: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def get_subscription(connection: Connection, workspace: str, subscription_id: str) -> SubscriptionRow | None:
    key, space = as_uuid(subscription_id), as_uuid(workspace)
    if key is None or space is None:
        return None
    row = await connection.fetchrow(_SQL["get_subscription"], key, space)
    return None if row is None else _subscription(row)


async def list_subscriptions(
    connection: Connection,
    workspace: str,
    *,
    status: str | None,
    channel: str | None,
    limit: int,
    before: tuple[datetime, str] | None,
) -> list[SubscriptionRow]:
    """Newest first; without deleted ones unless `status` asks for them."""
    moment, last = before if before is not None else (None, None)
    rows = await connection.fetch(
        _SQL["list_subscriptions"], as_uuid(workspace), status, channel, moment, as_uuid(last) if last else None, limit
    )
    return [_subscription(row) for row in rows]


async def active_subscriptions(connection: Connection) -> list[ActiveSubscription]:
    """Of all workspaces: for who follows the log on their behalf."""
    rows = await connection.fetch(_SQL["active_subscriptions"])
    return [ActiveSubscription(row["id"], row["workspace_id"], row["definition"]) for row in rows]


async def version_of_active(connection: Connection) -> str:
    """Another one as soon as `active_subscriptions` gives something else; nothing of them is sent."""
    return str(await connection.fetchval(_SQL["version_of_active"]))


async def put_aside(connection: Connection, *, room_below: int, limit: int) -> list[PutAside]:
    """The oldest of each active subscription for which fewer than `room_below` wait, of all workspaces."""
    rows = await connection.fetch(_SQL["put_aside"], room_below, limit)
    return [PutAside(row["id"], row["subscription_id"], row["workspace_id"], row["notice"]) for row in rows]


async def uses_of_credential(connection: Connection, workspace: str, credential_id: str) -> list[tuple[str, str]]:
    """(id, name) of the subscriptions that send by this credential."""
    rows = await connection.fetch(_SQL["uses_of_credential"], as_uuid(workspace), credential_id)
    return [(row["id"], row["name"]) for row in rows]


async def get_delivery(
    connection: Connection, workspace: str, subscription_id: str, delivery_id: str
) -> DeliveryRow | None:
    ids = [as_uuid(text) for text in (delivery_id, subscription_id, workspace)]
    if None in ids:
        return None
    row = await connection.fetchrow(_SQL["get_delivery"], *ids)
    return None if row is None else _delivery(row)


async def list_deliveries(
    connection: Connection,
    workspace: str,
    subscription_id: str,
    wanted: DeliveryFilter,
    *,
    limit: int,
    before: tuple[datetime, str] | None,
) -> list[DeliveryRow]:
    """Newest first."""
    moment, last = before if before is not None else (None, None)
    rows = await connection.fetch(
        _SQL["list_deliveries"],
        as_uuid(subscription_id),
        as_uuid(workspace),
        wanted.status,
        wanted.since,
        wanted.until,
        moment,
        as_uuid(last) if last else None,
        limit,
    )
    return [_delivery(row) for row in rows]


async def list_undelivered(
    connection: Connection, workspace: str, subscription_id: str, since: datetime, until: datetime | None, *, limit: int
) -> list[DeliveryRow]:
    """What failed, is not under way again and has its notice still, oldest first."""
    rows = await connection.fetch(
        _SQL["list_undelivered"], as_uuid(subscription_id), as_uuid(workspace), since, until, limit
    )
    return [_delivery(row) for row in rows]


async def list_redelivered(
    connection: Connection, workspace: str, redeliveries: Sequence[str]
) -> list[tuple[str, str]]:
    """(delivery id, fingerprint of what was asked) of what these redeliveries took."""
    rows = await connection.fetch(
        _SQL["list_redelivered"], [as_uuid(each) for each in redeliveries], as_uuid(workspace)
    )
    return [(row["delivery_id"], row["fingerprint"]) for row in rows]


async def attempts_of(connection: Connection, workspace: str, executions: Sequence[str]) -> dict[str, Attempts]:
    """By execution id; those that the read model does not have (yet, or any more) are left out."""
    rows = await connection.fetch(_SQL["attempts_of"], [as_uuid(each) for each in executions], as_uuid(workspace))
    return {row["execution_id"]: Attempts(row["attempts"], row["next_try"]) for row in rows}


def _subscription(row: Row) -> SubscriptionRow:
    return SubscriptionRow(**{name: row[name] for name in SubscriptionRow.__struct_fields__})


def _delivery(row: Row) -> DeliveryRow:
    return DeliveryRow(**{name: row[name] for name in DeliveryRow.__struct_fields__})
