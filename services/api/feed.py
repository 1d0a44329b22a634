"""The live feed: accepted commits to the clients of their workspace, from now on or from a cursor.

A client that resumes reads its past from the log by itself, up to the place where this process stands, and joins the
live stream exactly there. A client that does not keep up is closed and resumes by its cursor.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field

from infra.log.port import Log, LogError, OffsetOutOfRange, Reader, Record
from infra.telemetry.metrics import FEED_CLIENTS
from schemas.cursors import Cursor, encode_cursor
from schemas.envelope import header
from schemas.fence import Fence, GapInLog
from services.api.answers import COMMIT_TOPICS, Accepted, Follower, Slot, fence_at, read_range
from services.api.frames import FrameBuilder, Origins, Wish, decode
from services.api.positions import Positions
from services.api.reads import READS_AWAY, Reads

MAX_FRAMES = 2_000
MAX_FRAME_BYTES = 8_000_000
MAX_QUEUED_COMMITS = 20_000
CLOSE_TOO_SLOW = 4408
CLOSE_EXPIRED = 4410
CLOSE_RESTART = 1012
_NO_READS = "the read side is away: come back with your last cursor"
_REGISTER_WITHIN = 500
_BATCH = 100


class Closed(Exception):
    """The client is to be closed with this code; what it has seen so far is in its last cursor."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(slots=True, eq=False)
class Subscriber:
    """One client: what it wants, from where on, and what waits to be sent to it."""

    workspace: str
    wish: Wish
    since: dict[Slot, int] = field(default_factory=dict)
    frames: deque[str] = field(default_factory=deque)
    size: int = 0
    closed: Closed | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, frames: list[str]) -> None:
        self.size += sum(map(len, frames))
        self.frames.extend(frames)
        if len(self.frames) > MAX_FRAMES or self.size > MAX_FRAME_BYTES:
            self.close(CLOSE_TOO_SLOW, "too slow: come back with your last cursor")
        self.wake.set()

    def close(self, code: int, reason: str) -> None:
        if self.closed is None:
            self.closed = Closed(code, reason)
            self.frames.clear()
        self.wake.set()

    async def next(self) -> str:
        """The next frame; raises Closed."""
        while not self.frames:
            if self.closed is not None:
                raise self.closed
            self.wake.clear()
            await self.wake.wait()
        frame = self.frames.popleft()
        self.size -= len(frame)
        return frame


class Feed:
    """`run` distributes until cancelled. `interested` and `put` are listeners of the Follower."""

    def __init__(self, log: Log, follower: Follower, positions: Positions, reads: Reads) -> None:
        self._log = log
        self._follower = follower
        self._slots = [(topic, number) for topic in COMMIT_TOPICS for number in range(log.partitions)]
        self._origins = Origins(reads, positions)
        self._subscribers: dict[bytes, set[Subscriber]] = {}
        self._queue: deque[tuple[Accepted, list[int]]] = deque()
        self._wake = asyncio.Event()

    def cursor(self) -> str:
        """Where the feed is now."""
        return encode_cursor(self._follower.anchors())

    def interested(self, workspace: bytes) -> bool:
        return workspace in self._subscribers

    def put(self, accepted: Accepted) -> None:
        if len(self._queue) >= MAX_QUEUED_COMMITS:
            self._queue.clear()
            self._close_all(CLOSE_TOO_SLOW, "more happens than this process can tell: come back with your last cursor")
            return
        self._queue.append((accepted, self._follower.anchors()))
        self._wake.set()

    def lost(self) -> None:
        """The Follower lost its place (the log was cut)."""
        self._queue.clear()
        self._close_all(CLOSE_RESTART, "the feed starts afresh: come back with your last cursor")

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                batch = [self._queue.popleft() for _ in range(min(len(self._queue), _BATCH))]
                try:
                    for accepted, anchors in batch:
                        await self._distribute(accepted, anchors)
                except READS_AWAY:
                    self._queue.clear()
                    self._close_all(CLOSE_RESTART, _NO_READS)
                await asyncio.sleep(0)

    async def open(self, workspace: str, wish: Wish, cursor: Cursor | None) -> AsyncGenerator[str, None]:
        """Frames for one client, for ever; raises Closed. Close the iterator when the client is gone."""
        await self._follower.ready.wait()
        subscriber = Subscriber(workspace, wish)
        FEED_CLIENTS.inc()
        try:
            if cursor is None:
                self._join(subscriber)
            else:
                async for frame in self._catch_up(subscriber, cursor):
                    yield frame
            while True:
                yield await subscriber.next()
        finally:
            FEED_CLIENTS.dec()
            self._leave(subscriber)

    def _join(self, subscriber: Subscriber, past: "Past | None" = None) -> dict[Slot, int]:
        """From here on (no await between reading the places and joining) the live stream serves it.

        After a restart this process may stand behind what the client has seen: that is not told again.
        """
        subscriber.since = {
            slot: place.fence.next_offset if past is None else max(place.fence.next_offset, past.next_offset(slot))
            for slot, place in self._follower.places.items()
        }
        self._subscribers.setdefault(subscriber.workspace.encode(), set()).add(subscriber)
        return subscriber.since

    def _leave(self, subscriber: Subscriber) -> None:
        key = subscriber.workspace.encode()
        others = self._subscribers.get(key)
        if others is not None:
            others.discard(subscriber)
            if not others:
                del self._subscribers[key]

    def _close_all(self, code: int, reason: str) -> None:
        for subscribers in self._subscribers.values():
            for subscriber in subscribers:
                subscriber.close(code, reason)

    async def _distribute(self, accepted: Accepted, anchors: list[int]) -> None:
        record = accepted.record
        slot = (record.topic, record.partition)
        subscribers = [
            subscriber
            for subscriber in self._subscribers.get(accepted.workspace, ())
            if subscriber.closed is None and record.offset >= subscriber.since[slot]
        ]
        if not subscribers:
            return
        builder = await self._builder(accepted, anchors)
        for subscriber in subscribers:
            if frames := builder.frames(subscriber.wish):
                subscriber.put(frames)

    async def _builder(self, accepted: Accepted, anchors: list[int]) -> FrameBuilder:
        commit = decode(accepted)
        workflow_id = None
        stream = accepted.stream.decode()
        if stream.startswith("execution-"):
            execution_id = stream[len("execution-") :]
            self._origins.learn(execution_id, commit)
            workflow_id = await self._origins.find(accepted.workspace.decode(), execution_id)
            self._origins.settle(execution_id, commit)
        slot = self._slots.index((accepted.record.topic, accepted.record.partition))
        return FrameBuilder(accepted, commit, anchors, slot, workflow_id)

    async def _catch_up(self, subscriber: Subscriber, cursor: Cursor) -> AsyncIterator[str]:
        try:
            past = await Past.open(self._log, self._follower, self._slots, cursor)
        except (GapInLog, OffsetOutOfRange):
            raise Closed(CLOSE_EXPIRED, "the log has moved on beyond this cursor") from None
        except LogError:
            raise Closed(CLOSE_RESTART, "the log is away: come back with your last cursor") from None
        try:
            joined = False
            while True:
                lag = past.lag({slot: place.fence.next_offset for slot, place in self._follower.places.items()})
                if not joined and lag <= _REGISTER_WITHIN and not past.amid_commit:
                    past.target = dict(self._join(subscriber, past))
                    joined = True
                if joined and past.lag(past.target) == 0:
                    return
                if subscriber.closed is not None:
                    raise subscriber.closed
                async for accepted, anchors, skip in past.read(subscriber.workspace.encode()):
                    for frame in (await self._builder(accepted, anchors)).frames(subscriber.wish, skip):
                        yield frame
        except (GapInLog, OffsetOutOfRange):
            raise Closed(CLOSE_EXPIRED, "the log has moved on beyond this cursor") from None
        except LogError:
            raise Closed(CLOSE_RESTART, "the log is away: come back with your last cursor") from None
        except READS_AWAY:
            raise Closed(CLOSE_RESTART, _NO_READS) from None
        finally:
            await past.close()


class Past:
    """One client's own reading of the log, from its cursor up to the live stream."""

    def __init__(self, log: Log, reader: Reader, slots: list[Slot], cursor: Cursor) -> None:
        self._log = log
        self._reader = reader
        self._slots = slots
        self._anchors = list(cursor.anchors)
        self._fences: dict[Slot, Fence] = {}
        self._done = {slots[cursor.slot]: cursor.done} if cursor.done else {}
        self.target: dict[Slot, int] = {}

    @staticmethod
    async def open(log: Log, follower: Follower, slots: list[Slot], cursor: Cursor) -> "Past":
        """Raises Closed 4410 for a cursor whose records are gone."""
        past = Past(log, await log.reader(), slots, cursor)
        try:
            for slot, anchor in zip(slots, cursor.anchors, strict=True):
                past._fences[slot] = await past._fence_of(follower, slot, anchor)
        except BaseException:
            await past.close()
            raise
        for slot, fence in past._fences.items():
            past._reader.seek(*slot, fence.next_offset)
        return past

    async def close(self) -> None:
        with suppress(LogError):
            await self._reader.close()

    @property
    def amid_commit(self) -> bool:
        """Whether there is a commit of which the client knows some events but not all."""
        return bool(self._done)

    def next_offset(self, slot: Slot) -> int:
        return self._fences[slot].next_offset

    def lag(self, target: dict[Slot, int]) -> int:
        """How many records are missing up to `target`."""
        return sum(max(0, offset - self._fences[slot].next_offset) for slot, offset in target.items())

    async def read(self, workspace: bytes) -> AsyncIterator[tuple[Accepted, list[int], int]]:
        """The next accepted commits of the workspace: with the anchors after each and how many events are known."""
        for record in await self._reader.read(max_records=500, timeout=1.0):
            slot = (record.topic, record.partition)
            if self.target and record.offset >= self.target[slot]:
                continue
            found = self._take(slot, record)
            if found is not None and found[0].workspace == workspace:
                yield found

    def _take(self, slot: Slot, record: Record) -> tuple[Accepted, list[int], int] | None:
        fence = self._fences[slot]
        place = self._slots.index(slot)
        if not fence.accept(record.offset, record.headers):
            if fence.epoch is not None and fence.epoch.offset == record.offset:
                self._anchors[place] = record.offset
            return None
        before, self._anchors[place] = self._anchors[place], record.offset
        skip = self._done.pop(slot, 0)
        accepted = Accepted(record, header(record.headers, "w") or b"", header(record.headers, "s") or b"", before)
        return accepted, list(self._anchors), skip

    async def _fence_of(self, follower: Follower, slot: Slot, anchor: int) -> Fence:
        place = follower.places[slot]
        if anchor == place.anchor:
            fence = place.fence
            return Fence(fence.next_offset, fence.epoch, fence.next_n)
        if anchor < 0:
            if await self._log.first_offset(*slot) > 0:
                raise Closed(CLOSE_EXPIRED, "the log has moved on beyond this cursor")
            return Fence()
        if anchor >= await self._log.end_offset(*slot):
            raise Closed(CLOSE_EXPIRED, "this cursor is of another log")
        (record,) = await read_range(self._reader, slot, anchor, anchor + 1)
        found = fence_at(record)
        if found is None:
            raise Closed(CLOSE_EXPIRED, "this cursor is of another log")
        return found


def slots_of(log: Log) -> int:
    """How many slots a cursor of this log has."""
    return len(COMMIT_TOPICS) * log.partitions
