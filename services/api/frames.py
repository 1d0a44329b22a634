"""Commits as frames of the feed: decoded once, however many clients want them."""

import asyncio
import sys
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from domain.subscription.deliveries import WORKFLOWS
from schemas.cursors import encode_cursor
from schemas.envelope import CommitRecord, EventRecord, decode_commit
from services.api.answers import Accepted
from services.api.executions_view import time_text
from services.api.positions import Positions
from services.api.reads import Reads

INLINE_BYTES = 64 * 1024
DELIVERING = frozenset(WORKFLOWS.values())
_KEPT_ORIGINS = 50_000
_ENDS = frozenset(f"execution.{end}" for end in ("completed", "failed", "cancelled", "timed_out"))
_ORIGIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What one client wants to see of its workspace; None: everything."""

    types: frozenset[str] | None = None
    workflow_id: str | None = None
    execution_id: str | None = None

    def wants(self, event_type: str, execution_id: str | None, workflow_id: str | None) -> bool:
        """Executions that deliver to subscriptions are shown to who names them or their workflow."""
        named = self.workflow_id is not None or self.execution_id is not None
        if not named and workflow_id is not None and workflow_id in DELIVERING:
            return False
        return (
            (self.types is None or event_type in self.types)
            and (self.execution_id is None or self.execution_id == execution_id)
            and (self.workflow_id is None or self.workflow_id == workflow_id)
        )


class _Frame(msgspec.Struct):
    cursor: str
    type: str
    workspace_id: str
    execution_id: str | None
    workflow_id: str | None
    at: str
    data: msgspec.Raw


class _Queued(msgspec.Struct):
    workflow_id: str = ""


_decode_queued = msgspec.json.Decoder(_Queued).decode
_fields_of = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


class Origins:
    """Which workflow an execution belongs to: only its first commit says so; later ones ask the read model."""

    def __init__(self, reads: Reads, positions: Positions) -> None:
        self._reads = reads
        self._positions = positions
        self._known: OrderedDict[str, str] = OrderedDict()

    def learn(self, execution_id: str, commit: CommitRecord) -> None:
        for event in commit.events:
            if event.type == "execution.queued":
                self._remember(execution_id, _decode_queued(event.data).workflow_id)
                return

    async def find(self, workspace: str, execution_id: str) -> str | None:
        """The workflow's id; None if the read model does not know the execution within a second."""
        known = self._known.get(execution_id)
        if known is not None:
            self._known.move_to_end(execution_id)
            return known
        row = await self._reads.execution(workspace, execution_id)
        if row is None:
            with self._positions.watch(), suppress(TimeoutError):
                async with asyncio.timeout(_ORIGIN_SECONDS):
                    while row is None:
                        await self._positions.moved()
                        row = await self._reads.execution(workspace, execution_id)
        if row is None:
            return None
        self._remember(execution_id, row.workflow_id)
        return row.workflow_id

    def settle(self, execution_id: str, commit: CommitRecord) -> None:
        """After its end hardly anything is told of an execution: what is remembered is what is open."""
        if any(event.type in _ENDS for event in commit.events):
            self._known.pop(execution_id, None)

    def _remember(self, execution_id: str, workflow_id: str) -> None:
        self._known[execution_id] = sys.intern(workflow_id)
        if len(self._known) > _KEPT_ORIGINS:
            self._known.popitem(last=False)


class FrameBuilder:
    """The events of one accepted commit, ready to be framed for whoever wants them."""

    __slots__ = ("_anchors", "_at", "_frames", "_slot", "_slot_before", "commit", "execution_id", "workflow_id")

    def __init__(
        self, accepted: Accepted, commit: CommitRecord, anchors: Sequence[int], slot: int, workflow_id: str | None
    ) -> None:
        kind, _, name = accepted.stream.decode().partition("-")
        self.commit = commit
        self.execution_id = name if kind == "execution" else None
        self.workflow_id = name if kind == "workflow" else workflow_id
        self._anchors = anchors
        self._slot = slot
        self._slot_before = accepted.anchor_before
        self._at = time_text(datetime.fromtimestamp(commit.time / 1000, UTC)) or ""
        self._frames: dict[int, str] = {}

    def frames(self, wish: Wish, skip: int = 0) -> list[str]:
        """The frames of the events that are wanted, without the first `skip` events."""
        return [
            self._frame(place, event)
            for place, event in enumerate(self.commit.events)
            if place >= skip and wish.wants(event.type, self.execution_id, self.workflow_id)
        ]

    def _frame(self, place: int, event: EventRecord) -> str:
        frame = self._frames.get(place)
        if frame is None:
            frame = self._frames[place] = self._build(place, event)
        return frame

    def _build(self, place: int, event: EventRecord) -> str:
        if place == len(self.commit.events) - 1:
            cursor = encode_cursor(self._anchors)
        else:
            before = list(self._anchors)
            before[self._slot] = self._slot_before
            cursor = encode_cursor(before, self._slot, place + 1)
        return _encode(
            _Frame(
                cursor,
                event.type,
                self.commit.workspace,
                self.execution_id,
                self.workflow_id,
                self._at,
                msgspec.Raw(_event_data(event)),
            )
        ).decode()


def decode(accepted: Accepted) -> CommitRecord:
    commit: CommitRecord = decode_commit(accepted.record.value)
    return commit


def _event_data(event: EventRecord) -> bytes:
    """The event's data; fields stored outside, and any that make it too long, stand as marks."""
    data = bytes(event.data)
    if not event.blobs and len(data) <= INLINE_BYTES:
        return data
    fields = _fields_of(data)
    for name, blob in event.blobs.items():
        fields[name] = msgspec.Raw(_encode({"$blob": blob}))
    size = sum(len(bytes(value)) for value in fields.values())
    for name, value in sorted(fields.items(), key=lambda pair: -len(bytes(pair[1]))):
        if size <= INLINE_BYTES:
            break
        size -= len(bytes(value))
        fields[name] = msgspec.Raw(_encode({"$omitted": True, "size": len(bytes(value))}))
    return _encode(fields)
