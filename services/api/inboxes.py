"""Deliveries for endpoints that drop duplicates, throttle or debounce: the inbox on the log decides, the caller waits
for its word. And what is refused before it gets there, which is kept as well, within bounds.
"""

import asyncio
import math
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Literal
from uuid import uuid4

import msgspec
from msgspec import structs

from domain.execution.events import Items, Reply
from domain.inbox.commands import ReceiveDelivery, RefuseDelivery
from domain.inbox.decider import FULL, PAYLOAD_NEEDED, THROTTLED, TOO_MANY, execution_of, stream_of
from domain.inbox.gates import Delivery, Gates
from domain.inbox.rules import KeyFailed, Rules
from infra.log.port import Topic
from projections.webhook_deliveries.queries import DeliveryRow
from projections.webhooks.queries import WebhookRow
from schemas.envelope import CommitRecord
from services.api.commands import Position, now_ms
from services.api.configuration import decide
from services.api.floods import Floods, Full
from services.api.idempotency import Identity, check_fingerprint
from services.api.parts import Parts
from services.api.principal import Principal
from services.api.problems import Problem, busy

KEPT_PER_MINUTE = 10
"""Refused deliveries of one endpoint that one process keeps; the others are counted."""
KEPT_BYTES = 256_000
EXCERPT = 1_000
_MOST_ENDPOINTS = 10_000
_MINUTE = 60.0
_CROWDED = "enough duplicates are kept of this minute"


class Kept(Problem):
    """A refusal that the inbox itself has recorded."""


class Counted(Problem):
    """A refusal of which the inbox keeps no more in this minute: it is counted."""


class _Delivery(msgspec.Struct):
    id: str


class _Said(msgspec.Struct):
    """What an event of the inbox says of the delivery."""

    delivery: _Delivery | None = None
    first: str | None = None
    due: int | None = None
    code: str = ""
    reason: str = ""
    at: int = 0
    retry_at: int | None = None
    until: int | None = None
    same: bool = False


_decode_said = msgspec.json.Decoder(_Said).decode


@dataclass(frozen=True, slots=True)
class Received:
    """`status`: accepted (it starts), held (it waits), duplicate (`first` had the same key, and starts or started).
    `repeated`: this very delivery was taken before. `execution_id`: None if it is not certain that one starts."""

    status: Literal["accepted", "held", "duplicate", "superseded"]
    delivery_id: str
    execution_id: str | None
    first: str | None = None
    repeated: bool = False


class Inboxes:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._floods = Floods()

    async def receive(
        self,
        binding: WebhookRow,
        rules: Rules,
        items: Items,
        identity: Identity,
        reply: Reply,
        priority: str,
        size: int,
        content: str,
    ) -> Received:
        """`content`: hash of what the request says, but for most of its headers. Raises Problem: 422
        `delivery_key_failed`, 429 `throttled`, `inbox_full`, `too_many_duplicates`, and what the log raises."""
        now = now_ms()
        try:
            gates = rules.gates(items[0]["json"], now)
        except KeyFailed as error:
            raise Problem(422, error.code, f"{error}.", [(error.parameter, "has no value")]) from None
        delivery = Delivery(
            id=identity.id,
            endpoint_id=binding.endpoint_id,
            workflow_id=binding.workflow_id,
            workflow_version=binding.workflow_version,
            node=binding.node,
            received_at=now,
            priority=priority,
            reply=reply,
            keyed=identity.keyed,
            fingerprint=identity.fingerprint,
            size=size,
            content=content if gates.dedup is not None else "",
        )
        workspace = binding.workspace_id
        self._parts.starter.check_pressure(f"execution-{execution_of(delivery.id)}", workspace)
        before = await self._taken(workspace, delivery.id) if identity.keyed else None
        if before is not None:
            check_fingerprint(before.fingerprint, identity)
            return _again(before)
        await self._refuse_early(workspace, delivery, gates)
        asked_at = self._floods.now()
        commit, position = await self._decided(workspace, ReceiveDelivery(delivery, gates, items), asked_at)
        for event in reversed(commit.events):
            said = _decode_said(event.data)
            if said.delivery is not None and said.delivery.id == delivery.id:
                return self._told(delivery, gates, event.type, said, asked_at)
        await self._parts.positions.require(position)
        row = await self._parts.reads.delivery(workspace, delivery.id)
        if row is None:
            raise busy("This delivery was taken before; what became of it is not known yet. Ask again.")
        return _again(row)

    async def _taken(self, workspace: str, delivery_id: str) -> DeliveryRow | None:
        """It, if the rows say that it led to something, or will: inboxes forget, and executions must not run twice."""
        row = await self._parts.reads.delivery(workspace, delivery_id)
        return row if row is not None and row.status in {"accepted", "held", "superseded"} else None

    async def _refuse_early(self, workspace: str, delivery: Delivery, gates: Gates) -> None:
        """What the inbox has said already needs no second word: a flood stops here, not in the log."""
        endpoint = delivery.endpoint_id
        if self._floods.is_duplicate(endpoint, gates):
            left = self._floods.crowded(endpoint)
            if left > 0:
                raise _too_many(Counted, Full(left, TOO_MANY, _CROWDED))
            return
        full = self._floods.full(endpoint, gates)
        if full is None:
            return
        if (gates.dedup is not None or delivery.keyed) and not self._floods.flooded(endpoint):
            return  # what came before is answered whatever is full: the inbox knows; in a flood the rows say
        if gates.dedup is not None:
            since = datetime.fromtimestamp((delivery.received_at - gates.dedup.ttl) / 1_000, UTC)
            if await self._parts.reads.has_delivery_with_key(workspace, endpoint, gates.dedup.key, since):
                return
        raise _too_many(Problem, full)

    async def _decided(
        self, workspace: str, command: ReceiveDelivery, asked_at: float
    ) -> tuple[CommitRecord, Position]:
        """Ask the inbox; without its items, if it probably repeats what the inbox has."""
        delivery, gates = command.delivery, command.gates
        bare = self._floods.repeats(delivery.endpoint_id, gates, delivery.content)
        try:
            return await self._ask(workspace, structs.replace(command, items=[], bare=True) if bare else command)
        except Problem as problem:
            if problem.code != PAYLOAD_NEEDED.code:
                raise self._refused(delivery, gates, problem, asked_at) from None
        try:
            return await self._ask(workspace, command)
        except Problem as problem:
            raise self._refused(delivery, gates, problem, asked_at) from None

    async def _ask(self, workspace: str, command: ReceiveDelivery) -> tuple[CommitRecord, Position]:
        endpoint = command.delivery.endpoint_id
        principal = Principal(workspace, f"webhook:{endpoint}")
        made = command.delivery.received_at
        return await decide(self._parts, principal, Topic.COMMANDS, stream_of(endpoint), command, made=made)

    def _refused(self, delivery: Delivery, gates: Gates, problem: Problem, asked_at: float) -> Problem:
        """The refusal as callers get it, and noted: of these the inbox records no more in this minute."""
        if problem.code not in (THROTTLED, FULL, TOO_MANY):
            return problem
        endpoint, seconds = delivery.endpoint_id, problem.retry_after
        if problem.code == TOO_MANY:
            self._floods.heard_first(endpoint, gates, "", seconds, asked_at)
            self._floods.heard_crowded(endpoint, seconds)
            return _too_many(Counted, Full(seconds, TOO_MANY, _CROWDED))
        full = Full(seconds, problem.code, problem.detail)
        self._floods.heard_refused(endpoint, gates, full, recorded=False)
        return _too_many(Counted, full)

    def _told(self, delivery: Delivery, gates: Gates, kind: str, said: _Said, asked_at: float) -> Received:
        execution, endpoint = execution_of(delivery.id), delivery.endpoint_id
        ttl = gates.dedup.ttl / 1_000 if gates.dedup is not None else 0.0
        match kind:
            case "inbox.accepted":  # its content counts once a worker has compared it: an older one does not
                self._floods.heard_first(endpoint, gates, "", ttl, asked_at)
                return Received("accepted", delivery.id, execution)
            case "inbox.held":
                self._floods.heard_first(endpoint, gates, "", ttl, asked_at)
                return Received("held", delivery.id, None if gates.debounce is not None else execution)
            case "inbox.duplicated":
                left = ((said.until or said.at) - said.at) / 1_000
                content = delivery.content if said.same else ""
                self._floods.heard_first(endpoint, gates, content, left, asked_at)
                return Received("duplicate", delivery.id, execution_of(said.first or ""), said.first)
        full = Full(max(0.001, ((said.retry_at or said.at) - said.at) / 1_000), said.code, said.reason)
        self._floods.heard_refused(endpoint, gates, full, recorded=True)
        raise _too_many(Kept, full, {"delivery_id": delivery.id})


def _too_many(kind: type[Problem], full: Full, extra: dict[str, Any] | None = None) -> Problem:
    after = b"%d" % max(1, math.ceil(full.seconds))
    detail = f"Too many deliveries: {full.reason}."
    return kind(429, full.code, detail, headers=((b"retry-after", after),), extra=extra)


def _again(row: DeliveryRow) -> Received:
    """A delivery that was taken before, as it stands."""
    if row.status == "held":
        return Received("held", row.id, None, repeated=True)
    if row.status == "superseded":
        return Received("superseded", row.id, None, repeated=True)
    return Received("accepted", row.id, row.execution_id, repeated=True)


@dataclass(frozen=True, slots=True)
class Refused:
    """A delivery that was answered with an error. `items`: empty if it is none that could start something."""

    binding: WebhookRow
    items: Items
    body: bytes


@dataclass(slots=True)
class _Minute:
    began: float
    kept: int = 0
    more: int = 0


class Refusals:
    """Keeps refused deliveries: so many a minute and endpoint, with the number of the others when it is over."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._minutes: dict[str, _Minute] = {}
        self._telling: set[asyncio.Task[None]] = set()

    def wanted(self, endpoint_id: str) -> bool:
        """Whether one more is kept now; else it is counted."""
        minute = self._minute(endpoint_id)
        minute.kept += 1
        return minute.kept <= KEPT_PER_MINUTE

    def _minute(self, endpoint_id: str) -> _Minute:
        minute = self._minutes.get(endpoint_id)
        if minute is None or monotonic() - minute.began >= _MINUTE:
            if len(self._minutes) >= _MOST_ENDPOINTS:
                self._minutes.clear()
            minute = self._minutes[endpoint_id] = _Minute(monotonic())
        return minute

    def count(self, binding: WebhookRow) -> None:
        """One that is not kept. The first one sees to it that their number is."""
        minute = self._minute(binding.endpoint_id)
        minute.more += 1
        if minute.more == 1:
            task = asyncio.create_task(self._tell(binding, minute))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def keep(self, refused: Refused, problem: Problem) -> None:
        small = len(refused.body) <= KEPT_BYTES
        excerpt = "" if refused.items and small else refused.body[:EXCERPT].decode("utf-8", "replace")
        items = refused.items if small else []
        await self._send(refused.binding, problem.code, problem.detail, items, excerpt, size=len(refused.body))

    async def _tell(self, binding: WebhookRow, minute: _Minute) -> None:
        await asyncio.sleep(max(0.0, minute.began + _MINUTE - monotonic()))
        reason = f"{minute.more} more were refused within a minute and are not kept"
        await self._send(binding, "more_refused", reason, more=minute.more)

    async def _send(
        self,
        binding: WebhookRow,
        code: str,
        reason: str,
        items: Items | None = None,
        excerpt: str = "",
        *,
        more: int = 0,
        size: int = 0,
    ) -> None:
        delivery = Delivery(
            id=str(uuid4()),
            endpoint_id=binding.endpoint_id,
            workflow_id=binding.workflow_id,
            workflow_version=binding.workflow_version,
            node=binding.node,
            received_at=now_ms(),
            size=size,
        )
        command = RefuseDelivery(delivery, code, reason[:500], items or [], excerpt, more)
        with suppress(Problem):  # the log is away: the caller has its answer all the same
            await self._parts.sender.send(
                Topic.COMMANDS,
                stream_of(binding.endpoint_id),
                command,
                workspace=binding.workspace_id,
                actor=f"webhook:{binding.endpoint_id}",
                made=delivery.received_at,
            )
