"""Subscriptions: who is told of events, by webhook, mail or chat, and what became of each delivery."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID, uuid5

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response

from domain.credential.commands import CreateCredential, UpdateCredential
from domain.credential.signature import SLOTS
from domain.subscription.commands import (
    ChangeSubscription,
    CreateSubscription,
    DeleteSubscription,
    PauseSubscription,
    Redeliver,
    Redelivery,
    ResumeSubscription,
    SendTest,
)
from domain.subscription.definition import Definition, WebhookChannel
from infra.log.port import Topic
from infra.telemetry.metrics import ACCEPTED
from infra.vault import Place
from projections.subscriptions import queries
from projections.subscriptions.queries import DeliveryFilter, DeliveryRow, SubscriptionRow
from services.api.bodies import parse_object, read_body
from services.api.commands import now_ms
from services.api.configuration import decide
from services.api.executions_view import time_text
from services.api.idempotency import Identity, check_fingerprint, identify, keyed_fingerprint
from services.api.paging import DEFAULT_LIMIT, MAX_LIMIT, decode_cursor, encode_cursor, page
from services.api.parts import Parts
from services.api.principal import Principal
from services.api.problems import Problem, not_found
from services.api.routes import subscription_examples as examples
from services.api.routes import subscription_models as models
from services.api.routes.common import Asker, MinPosition, as_utc, json_answer, reach
from services.api.routes.executions import decode_body
from services.api.subscriptions_view import (
    CREDENTIALS,
    Asked,
    channel_of,
    definition_of,
    delivery_view,
    invalid,
    new_secret,
    notice_of,
    read_asked,
    subscription_view,
)
from services.in_parts import NOTICE_BYTES, in_parts

SubscriptionId = Annotated[str, Path(examples=[examples.SUBSCRIPTION_ID])]
DeliveryId = Annotated[str, Path(examples=[examples.DELIVERY_ID])]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]
ListCursor = Annotated[str | None, Query(description="`next_cursor` of the page before.")]
Status = Literal["active", "paused", "disabled", "deleted"]
DeliveryStatus = Literal["waiting", "put_aside", "sending", "retrying", "delivered", "failed"]
OLD_SECRET_MS = 86_400_000
"""So long the secret before a rotation signs beside the new one."""
MOST_SUBSCRIPTIONS = 100
_created = ACCEPTED.labels("subscription")


class Reason(msgspec.Struct, forbid_unknown_fields=True):
    reason: str = ""


class RedeliverBody(msgspec.Struct, forbid_unknown_fields=True):
    since: datetime
    until: datetime | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 100


def make_router(parts: Parts) -> APIRouter:
    """The routes under /subscriptions."""
    router = APIRouter(prefix="/subscriptions", tags=["subscriptions"])
    _add_definitions(router, parts)
    _add_state(router, parts)
    _add_deliveries(router, parts)
    return router


def _add_definitions(router: APIRouter, parts: Parts) -> None:
    @router.post(
        "",
        status_code=201,
        response_model=models.CreatedSubscription,
        openapi_extra=examples.subscription_body(),
        summary="Subscribe to events; a webhook's secret is shown once, here",
    )
    async def create(request: Request, principal: Asker) -> Response:
        body = await read_body(request.receive, request.scope["headers"])
        identity = identify("subscription", principal.workspace_id, request.scope["headers"], request.url.path, body)
        return await _create(parts, principal, keyed_fingerprint(parts.fingerprint_key, identity), parse_object(body))

    @router.get("", response_model=models.SubscriptionPage, summary="List subscriptions, newest first")
    async def list_(
        principal: Asker,
        status: Annotated[Status | None, Query()] = None,
        channel: Annotated[Literal["webhook", "email", "slack"] | None, Query()] = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: ListCursor = None,
        min_position: MinPosition = None,
    ) -> Response:
        await reach(parts, min_position)
        rows = await queries.list_subscriptions(
            parts.reads.pool,
            principal.workspace_id,
            status=status,
            channel=channel,
            limit=limit + 1,
            before=decode_cursor(cursor),
        )
        shown = rows[:limit]
        more = encode_cursor(shown[-1].created_at, shown[-1].id) if len(rows) > limit else None
        return json_answer(page([subscription_view(row) for row in shown], more))

    @router.get("/{subscription_id}", response_model=models.Subscription, summary="One subscription")
    async def get(subscription_id: SubscriptionId, principal: Asker, min_position: MinPosition = None) -> Response:
        await reach(parts, min_position)
        return _shown(await _row(parts, principal, subscription_id))

    @router.put(
        "/{subscription_id}",
        response_model=models.Subscription,
        openapi_extra=examples.subscription_body(),
        summary="Define it anew; its kind of channel and its secret stay",
    )
    async def put(request: Request, subscription_id: SubscriptionId, principal: Asker) -> Response:
        asked = read_asked(parse_object(await read_body(request.receive, request.scope["headers"])))
        row = await _row(parts, principal, subscription_id)
        channel = channel_of(row)
        if asked.secret is not None:
            raise invalid([("channel.secret", f"is changed by POST /subscriptions/{row.id}/secret")])
        own = channel.credential_id if isinstance(channel, WebhookChannel) else ""
        definition = await _definition(parts, principal, asked, own)
        await _configure(parts, principal, row.id, ChangeSubscription(definition, now_ms()))
        return _shown(await _row(parts, principal, row.id))

    @router.delete("/{subscription_id}", status_code=204, summary="Delete a subscription and its secret")
    async def delete(subscription_id: SubscriptionId, principal: Asker) -> Response:
        row = await _row(parts, principal, subscription_id)
        await _configure(parts, principal, row.id, DeleteSubscription(now_ms()))
        return Response(status_code=204)


def _add_state(router: APIRouter, parts: Parts) -> None:
    @router.post("/{subscription_id}/pause", response_model=models.Subscription, summary="Tell nothing for a while")
    async def pause(request: Request, subscription_id: SubscriptionId, principal: Asker) -> Response:
        body = await read_body(request.receive, request.scope["headers"])
        reason = decode_body(body, Reason).reason if body else ""
        row = await _row(parts, principal, subscription_id)
        await _configure(parts, principal, row.id, PauseSubscription(now_ms(), reason[:2_000]))
        return _shown(await _row(parts, principal, row.id))

    @router.post(
        "/{subscription_id}/resume", response_model=models.Subscription, summary="Go on, also after it was disabled"
    )
    async def resume(subscription_id: SubscriptionId, principal: Asker) -> Response:
        row = await _row(parts, principal, subscription_id)
        await _configure(parts, principal, row.id, ResumeSubscription(now_ms()))
        return _shown(await _row(parts, principal, row.id))

    @router.post(
        "/{subscription_id}/test", status_code=202, response_model=models.Delivery, summary="Deliver a test event"
    )
    async def test(request: Request, subscription_id: SubscriptionId, principal: Asker) -> Response:
        row = await _row(parts, principal, subscription_id)
        room = f"subscription-test:{row.id}"
        identity = identify(room, principal.workspace_id, request.scope["headers"], request.url.path, b"")
        if not identity.keyed or await _delivery_row(parts, principal, row.id, identity.id) is None:
            await _configure(parts, principal, row.id, SendTest(identity.id, now_ms()))
        return await _delivery_answer(parts, principal, await _delivery(parts, principal, row.id, identity.id), 202)

    @router.post(
        "/{subscription_id}/secret",
        response_model=models.Secret,
        summary="A new signing secret, shown once, here; the one before signs beside it for a day",
    )
    async def rotate(request: Request, subscription_id: SubscriptionId, principal: Asker) -> Response:
        row = await _row(parts, principal, subscription_id)
        channel = channel_of(row)
        if not isinstance(channel, WebhookChannel):
            raise Problem(409, "no_secret", "Only webhooks are signed.")
        secret, until = await _rotate(parts, principal, channel.credential_id)
        shown = {"secret": secret, "old_secret_until": time_text(datetime.fromtimestamp(until / 1_000, UTC))}
        return json_answer(msgspec.json.encode(shown), headers={"cache-control": "no-store"})


def _add_deliveries(router: APIRouter, parts: Parts) -> None:
    @router.get(
        "/{subscription_id}/deliveries", response_model=models.DeliveryPage, summary="Its deliveries, newest first"
    )
    async def deliveries(
        subscription_id: SubscriptionId,
        principal: Asker,
        status: Annotated[DeliveryStatus | None, Query()] = None,
        since: Annotated[datetime | None, Query(alias="from")] = None,
        until: Annotated[datetime | None, Query(alias="to")] = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: ListCursor = None,
        min_position: MinPosition = None,
    ) -> Response:
        await reach(parts, min_position)
        await _row(parts, principal, subscription_id)
        rows = await queries.list_deliveries(
            parts.reads.pool,
            principal.workspace_id,
            subscription_id,
            DeliveryFilter(status, as_utc(since), as_utc(until)),
            limit=limit + 1,
            before=decode_cursor(cursor),
        )
        shown = rows[:limit]
        more = encode_cursor(shown[-1].created_at, shown[-1].id) if len(rows) > limit else None
        return json_answer(page(await _views(parts, principal, shown), more))

    @router.get("/{subscription_id}/deliveries/{delivery_id}", response_model=models.Delivery, summary="One delivery")
    async def delivery(subscription_id: SubscriptionId, delivery_id: DeliveryId, principal: Asker) -> Response:
        await _row(parts, principal, subscription_id)
        return await _delivery_answer(parts, principal, await _delivery(parts, principal, subscription_id, delivery_id))

    @router.post(
        "/{subscription_id}/deliveries/{delivery_id}/redeliver",
        status_code=202,
        response_model=models.Delivery,
        summary="Deliver it once more, under the same id",
    )
    async def redeliver(
        request: Request, subscription_id: SubscriptionId, delivery_id: DeliveryId, principal: Asker
    ) -> Response:
        subscription_id = (await _row(parts, principal, subscription_id)).id
        row = await _delivery(parts, principal, subscription_id, delivery_id)
        room = f"redelivery:{row.id}"
        identity = identify(room, principal.workspace_id, request.scope["headers"], request.url.path, b"")
        if identity.keyed and await _redelivered(parts, principal, [identity.id]):
            return await _delivery_answer(parts, principal, row, 202)
        if row.status in {"waiting", "put_aside", "sending"}:
            raise Problem(409, "delivery_under_way", "It is being delivered; wait until that has ended.")
        notice = notice_of(row)
        if notice is None:
            raise Problem(409, "payload_gone", "What it told is not kept any more: it cannot be delivered again.")
        command = Redeliver(identity.id, [Redelivery(row.id, notice)], now_ms())
        await _configure(parts, principal, subscription_id, command)
        again = await _delivery(parts, principal, subscription_id, delivery_id)
        return await _delivery_answer(parts, principal, again, 202)

    @router.post(
        "/{subscription_id}/redeliver",
        status_code=202,
        response_model=models.Redelivered,
        openapi_extra=examples.redelivery_body(),
        summary="Deliver all that failed since a time once more, oldest first, a few at a time",
    )
    async def redeliver_all(request: Request, subscription_id: SubscriptionId, principal: Asker) -> Response:
        body = await read_body(request.receive, request.scope["headers"])
        asked = decode_body(body, RedeliverBody)
        subscription_id = (await _row(parts, principal, subscription_id)).id
        room, route = f"redelivery:{subscription_id}", f"{subscription_id}/redeliver"
        identity = identify(room, principal.workspace_id, request.scope["headers"], route, body)
        # Asked before the list: what another request with this key has had delivered meanwhile is in the list's way.
        names = [str(uuid5(UUID(identity.id), str(number))) for number in range(asked.limit)]
        done = await _redelivered(parts, principal, names) if identity.keyed else []
        since, until = as_utc(asked.since), as_utc(asked.until)
        rows = await queries.list_undelivered(
            parts.reads.pool, principal.workspace_id, subscription_id, since, until, limit=asked.limit + 1
        )
        if done:
            if done[0][1]:  # else from before the request was remembered
                check_fingerprint(done[0][1], identity)
            return json_answer(msgspec.json.encode({"redelivered": len(done), "more": bool(rows)}), 202)
        taken = rows[: asked.limit]
        for name, part in zip(names, in_parts(taken, lambda row: len(row.notice or ""), NOTICE_BYTES), strict=False):
            again = [Redelivery(row.id, notice) for row in part if (notice := notice_of(row)) is not None]
            command = Redeliver(name, again, now_ms(), identity.fingerprint)
            try:
                await _configure(parts, principal, subscription_id, command)
            except Problem as problem:
                if problem.code != "subscription_busy" or name == names[0]:
                    raise
                break  # so many wait as can: the rest another time
        done = await _redelivered(parts, principal, names)
        answer = {"redelivered": len(done), "more": len(rows) > len(done)}
        return json_answer(msgspec.json.encode(answer), 202)


async def _create(parts: Parts, principal: Principal, identity: Identity, body: dict[str, Any]) -> Response:
    made = now_ms()
    pool, workspace = parts.reads.pool, principal.workspace_id
    existing = await queries.get_subscription(pool, workspace, identity.id) if identity.keyed else None
    secret: str | None = None
    if existing is not None:
        check_fingerprint(existing.fingerprint, identity)
    else:
        asked = read_asked(body)
        await _refuse_too_many(parts, principal)
        signing = str(uuid5(UUID(identity.id), "signing secret"))
        definition = await _definition(parts, principal, asked, signing)
        if asked.kind == "webhook":
            secret = await _make_secret(parts, principal, signing, definition, asked.secret)
        command = CreateSubscription(identity.id, definition, made, identity.fingerprint)
        await _configure(parts, principal, identity.id, command, made=made)
        _created.inc()
        existing = await _row(parts, principal, identity.id)
    headers = {"location": f"/api/v1/subscriptions/{existing.id}", "cache-control": "no-store"}
    return json_answer(msgspec.json.encode(subscription_view(existing) | {"secret": secret}), 201, headers)


async def _refuse_too_many(parts: Parts, principal: Principal) -> None:
    """Each of them is looked at for every event of its workspace, by one process."""
    there = await queries.list_subscriptions(
        parts.reads.pool, principal.workspace_id, status=None, channel=None, limit=MOST_SUBSCRIPTIONS, before=None
    )
    if len(there) >= MOST_SUBSCRIPTIONS:
        why = f"A workspace has at most {MOST_SUBSCRIPTIONS} subscriptions: delete one, or let one tell more events."
        raise Problem(409, "too_many_subscriptions", why)


async def _definition(parts: Parts, principal: Principal, asked: Asked, signing: str) -> Definition:
    """What is asked for, with everything that it names looked up. `signing`: the id of a webhook's own credential."""
    workflow = asked.fields.get("workflow_id")
    if workflow:
        known = await parts.reads.workflow(principal.workspace_id, workflow)
        if known is None:
            raise invalid([("workflow_id", "there is no such workflow in this workspace")])
        # An id may be spelled in several ways; events have this one.
        asked = replace(asked, fields={**asked.fields, "workflow_id": known.id})
    accepted = CREDENTIALS.get(asked.kind)
    if accepted is None:
        return definition_of(asked, signing, "webhook_signature")
    credential = asked.channel.get("credential_id") or ""
    found = (await parts.reads.credential_types(principal.workspace_id, [credential])).get(credential)
    if found not in accepted:
        raise invalid([("channel.credential_id", f"must be a credential of type {' or '.join(accepted)}")])
    return definition_of(asked, credential, found)


async def _make_secret(
    parts: Parts, principal: Principal, credential_id: str, definition: Definition, given: str | None
) -> str | None:
    """Make the credential that signs; returns its secret, None where a request before this one made it."""
    secret = given or new_secret()
    workspace = principal.workspace_id
    command = CreateCredential(
        credential_id,
        "webhook_signature",
        f"Signs {definition.name}"[:100],
        {},
        {SLOTS[0]: parts.vault.seal(secret, Place(workspace, credential_id, SLOTS[0]))},
        now_ms(),
        "Made for a subscription; it is deleted with it.",
    )
    commit, position = await decide(parts, principal, Topic.COMMANDS, f"credential-{credential_id}", command)
    await parts.positions.require(position)
    return secret if commit.outcome.kind == "accepted" else None


async def _rotate(parts: Parts, principal: Principal, credential_id: str) -> tuple[str, int]:
    """The new secret, and until when the old one signs."""
    row = await parts.reads.credential(principal.workspace_id, credential_id)
    if row is None:
        raise not_found("signing secret of this subscription: somebody deleted its credential; make another one")
    at = now_ms()
    until = at + OLD_SECRET_MS
    older, newer = _slots(row.fields)
    secret = new_secret()
    fields = {name: value for name, value in row.fields.items() if name != f"{newer}_until"}
    command = UpdateCredential(
        row.name,
        fields | {f"{older}_until": str(until)},
        {newer: parts.vault.seal(secret, Place(principal.workspace_id, credential_id, newer))},
        [older],
        at,
        row.description,
        row.version,
    )
    _, position = await decide(parts, principal, Topic.COMMANDS, f"credential-{credential_id}", command)
    await parts.positions.require(position)
    return secret, until


def _slots(fields: dict[str, str]) -> tuple[str, str]:
    """(the slot whose secret signs for ever, the one that a new secret takes)."""
    first, second = SLOTS
    return (second, first) if fields.get(f"{first}_until") else (first, second)


async def _configure(
    parts: Parts, principal: Principal, subscription_id: str, command: Any, *, made: int | None = None
) -> None:
    """Decide a subscription's command and wait until its rows are there, so that the caller reads its own write."""
    stream = f"subscription-{subscription_id}"
    _, position = await decide(parts, principal, Topic.COMMANDS, stream, command, made=made)
    await parts.positions.require(position)


async def _row(parts: Parts, principal: Principal, subscription_id: str) -> SubscriptionRow:
    row = await queries.get_subscription(parts.reads.pool, principal.workspace_id, subscription_id)
    if row is None or row.status == "deleted":
        raise not_found("subscription")
    return row


async def _redelivered(parts: Parts, principal: Principal, redeliveries: list[str]) -> list[tuple[str, str]]:
    """What these have had delivered: subscriptions forget, and the rows keep an Idempotency-Key's word."""
    return await queries.list_redelivered(parts.reads.pool, principal.workspace_id, redeliveries)


async def _delivery_row(
    parts: Parts, principal: Principal, subscription_id: str, delivery_id: str
) -> DeliveryRow | None:
    return await queries.get_delivery(parts.reads.pool, principal.workspace_id, subscription_id, delivery_id)


async def _delivery(parts: Parts, principal: Principal, subscription_id: str, delivery_id: str) -> DeliveryRow:
    row = await _delivery_row(parts, principal, subscription_id, delivery_id)
    if row is None:
        raise not_found("delivery of this subscription")
    return row


async def _views(parts: Parts, principal: Principal, rows: list[DeliveryRow]) -> list[dict[str, Any]]:
    executions = [row.execution_id for row in rows if row.execution_id is not None]
    attempts = await queries.attempts_of(parts.reads.pool, principal.workspace_id, executions) if executions else {}
    return [delivery_view(row, attempts.get(row.execution_id or "")) for row in rows]


async def _delivery_answer(parts: Parts, principal: Principal, row: DeliveryRow, status: int = 200) -> Response:
    (view,) = await _views(parts, principal, [row])
    return json_answer(msgspec.json.encode(view), status)


def _shown(row: SubscriptionRow) -> Response:
    return json_answer(msgspec.json.encode(subscription_view(row)))
