"""Deliveries for endpoints that drop duplicates, throttle or debounce: the inbox on the log decides, the caller waits
for its word. And what is refused before it gets there, which is kept as well, within bounds.
"""

import asyncio
import math
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any, Literal
from uuid import uuid4

import msgspec

from domain.execution.events import Items, Reply
from domain.inbox.commands import ReceiveDelivery, RefuseDelivery
from domain.inbox.decider import THROTTLED, execution_of, stream_of
from domain.inbox.gates import Delivery, Gates, Throttle
from domain.inbox.rules import KeyFailed, Rules
from infra.log.port import Topic
from projections.webhook_deliveries.queries import DeliveryRow
from projections.webhooks.queries import WebhookRow
from services.api.commands import now_ms
from services.api.configuration import decide
from services.api.idempotency import Identity
from services.api.parts import Parts
from services.api.principal import Principal
from services.api.problems import Problem, busy

KEPT_PER_MINUTE = 10
"""Refused deliveries of one endpoint that one process keeps; the others are counted."""
KEPT_BYTES = 256_000
EXCERPT = 1_000
_MOST_ENDPOINTS = 10_000
_MINUTE = 60.0


class Kept(Problem):
    """A refusal that the inbox itself has recorded."""


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
        self._full_until: dict[tuple[str, Throttle], tuple[float, str]] = {}

    async def receive(
        self,
        binding: WebhookRow,
        rules: Rules,
        items: Items,
        identity: Identity,
        reply: Reply,
        priority: str,
        size: int,
    ) -> Received:
        """Raises Problem: 422 `delivery_key_failed`, 429 `throttled` or `inbox_full`, and what the log raises."""
        now = now_ms()
        try:
            gates = rules.gates(items[0]["json"], now)
        except KeyFailed as error:
            raise Problem(422, error.code, f"{error}.", [(error.parameter, "has no value")]) from None
        self._check_throttle(binding, gates)
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
        )
        workspace = binding.workspace_id
        self._parts.starter.check_pressure(f"execution-{execution_of(delivery.id)}", workspace)
        commit, position = await decide(
            self._parts,
            Principal(workspace, f"webhook:{binding.endpoint_id}"),
            Topic.COMMANDS,
            stream_of(binding.endpoint_id),
            ReceiveDelivery(delivery, gates, items, taken=identity.keyed and await self._taken(workspace, delivery.id)),
            made=now,
        )
        for event in reversed(commit.events):
            said = _decode_said(event.data)
            if said.delivery is not None and said.delivery.id == delivery.id:
                return self._told(binding, delivery, gates, event.type, said)
        await self._parts.positions.require(position)
        row = await self._parts.reads.delivery(workspace, delivery.id)
        if row is None:
            raise busy("This delivery was taken before; what became of it is not known yet. Ask again.")
        return _again(row)

    async def _taken(self, workspace: str, delivery_id: str) -> bool:
        """Whether the rows say that it led to something, or will: inboxes forget, and executions must not run twice."""
        row = await self._parts.reads.delivery(workspace, delivery_id)
        return row is not None and row.status in {"accepted", "held", "superseded"}

    def _told(self, binding: WebhookRow, delivery: Delivery, gates: Gates, kind: str, said: _Said) -> Received:
        execution = execution_of(delivery.id)
        match kind:
            case "inbox.accepted":
                return Received("accepted", delivery.id, execution)
            case "inbox.held":
                return Received("held", delivery.id, None if gates.debounce is not None else execution)
            case "inbox.duplicated":
                return Received("duplicate", delivery.id, execution_of(said.first or ""), said.first)
        seconds = max(0.001, ((said.retry_at or said.at) - said.at) / 1_000)
        if said.code == THROTTLED and gates.throttle is not None:
            if len(self._full_until) >= _MOST_ENDPOINTS:
                self._full_until.clear()
            self._full_until[binding.endpoint_id, gates.throttle] = (monotonic() + seconds, said.reason)
        raise _too_many(Kept, said.code, said.reason, seconds, {"delivery_id": delivery.id})

    def _check_throttle(self, binding: WebhookRow, gates: Gates) -> None:
        """What the inbox has said already needs no second word: a flood stops here, not in the log."""
        throttle = gates.throttle
        if throttle is None or throttle.excess != "refuse":
            return
        key = (binding.endpoint_id, throttle)  # another version may allow more
        until, reason = self._full_until.get(key, (0.0, ""))
        left = until - monotonic()
        if left > 0:
            raise _too_many(Problem, THROTTLED, reason, left, {})
        self._full_until.pop(key, None)


def _too_many(kind: type[Problem], code: str, reason: str, seconds: float, extra: dict[str, Any]) -> Problem:
    after = b"%d" % max(1, math.ceil(seconds))
    return kind(429, code, f"Too many deliveries: {reason}.", headers=((b"retry-after", after),), extra=extra)


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
        minute = self._minutes.get(endpoint_id)
        if minute is None or monotonic() - minute.began >= _MINUTE:
            if len(self._minutes) >= _MOST_ENDPOINTS:
                self._minutes.clear()
            minute = self._minutes[endpoint_id] = _Minute(monotonic())
        minute.kept += 1
        return minute.kept <= KEPT_PER_MINUTE

    def count(self, binding: WebhookRow) -> None:
        """One that is not kept. The first one sees to it that their number is."""
        minute = self._minutes[binding.endpoint_id]
        minute.more += 1
        if minute.more == 1:
            task = asyncio.create_task(self._tell(binding, minute))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def keep(self, refused: Refused, problem: Problem) -> None:
        small = len(refused.body) <= KEPT_BYTES
        excerpt = "" if refused.items and small else refused.body[:EXCERPT].decode("utf-8", "replace")
        await self._send(refused.binding, problem.code, problem.detail, refused.items if small else [], excerpt)

    async def _tell(self, binding: WebhookRow, minute: _Minute) -> None:
        await asyncio.sleep(max(0.0, minute.began + _MINUTE - monotonic()))
        reason = f"{minute.more} more were refused within a minute and are not kept"
        await self._send(binding, "more_refused", reason, more=minute.more)

    async def _send(
        self, binding: WebhookRow, code: str, reason: str, items: Items | None = None, excerpt: str = "", more: int = 0
    ) -> None:
        delivery = Delivery(
            id=str(uuid4()),
            endpoint_id=binding.endpoint_id,
            workflow_id=binding.workflow_id,
            workflow_version=binding.workflow_version,
            node=binding.node,
            received_at=now_ms(),
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
