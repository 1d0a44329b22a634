"""Follows the commits of the log: answers those who wait, tells the caches what changed, feeds the live clients.

One task a process reads both commit topics through a Fence per partition (log protocol, rule 3), from the places that
the projector stored. Headers say whom a commit concerns; it is decoded only then.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic

import msgspec

from infra.log.clock import LogClock
from infra.log.port import Log, LogError, LogUnavailable, OffsetOutOfRange, Reader, Record, Topic
from infra.telemetry.logs import get_logger
from infra.telemetry.metrics import VOID_RECORDS, WAITERS
from schemas.envelope import KIND_COMMIT, Answers, Epoch, decode_tick, header
from schemas.errors import DECODING_ERRORS
from schemas.fence import Fence, GapInLog
from services.api.problems import busy
from services.api.reads import READS_AWAY

COMMIT_TOPICS = (Topic.EVENTS, Topic.EXECUTIONS)
ANSWER_SECONDS = 15.0
_READ_SECONDS = 5.0
_ANCHOR_SPAN = 4096

_AWAY: tuple[type[BaseException], ...] = (LogError, *READS_AWAY)

Slot = tuple[Topic, int]
logger = get_logger(__name__)


@dataclass(slots=True)
class Place:
    """Where this process stands in one partition. `anchor`: the offset of a record whose headers restore the fence:
    the last accepted commit or the takeover in force (-1: none yet)."""

    fence: Fence
    anchor: int = -1


@dataclass(slots=True)
class Accepted:
    """A commit that counts, as listeners get it. `anchor_before`: its partition's anchor before it."""

    record: Record
    workspace: bytes
    stream: bytes
    anchor_before: int


@dataclass(slots=True)
class Listeners:
    """Called in order from the following task: they must be quick and must not raise."""

    interested: list[Callable[[bytes], bool]] = field(default_factory=list)
    commit: list[Callable[[Accepted], None]] = field(default_factory=list)
    workflow_changed: list[Callable[[Record, bytes], None]] = field(default_factory=list)
    lost: list[Callable[[], None]] = field(default_factory=list)


class StreamWaiter:
    """The commits of one stream, from now on."""

    def __init__(self) -> None:
        self._records: asyncio.Queue[Record] = asyncio.Queue()

    def put(self, record: Record) -> None:
        self._records.put_nowait(record)

    async def next(self) -> Record:
        return await self._records.get()


class Follower:
    """`run` follows until cancelled. `stored_places` reads the projector's places, (slot → fence)."""

    def __init__(
        self, log: Log, stored_places: Callable[[], Awaitable[dict[Slot, Fence]]], clock: LogClock | None = None
    ) -> None:
        self._log = log
        self._clock = clock or LogClock()
        self._fresh_ticks_from = 0
        self._stored_places = stored_places
        self._replies: dict[bytes, asyncio.Future[Record]] = {}
        self._streams: dict[bytes, list[StreamWaiter]] = {}
        self.listeners = Listeners()
        self.places: dict[Slot, Place] = {}
        self.answered: dict[Slot, int] = {}
        self.ready = asyncio.Event()
        self.healthy = False
        self.last_tick: int | None = None
        self.last_tick_seen = 0.0
        self._void = VOID_RECORDS.labels("api")

    @contextmanager
    def expect_reply(self, nonce: bytes) -> Iterator[asyncio.Future[Record]]:
        """The record that answers the command with this nonce. Enter before the append (rule 14).

        Problem 503 while this process does not follow yet: it could miss the answer.
        """
        self._check_ready()
        reply: asyncio.Future[Record] = asyncio.get_running_loop().create_future()
        self._replies[nonce] = reply
        WAITERS.inc()
        try:
            yield reply
        finally:
            WAITERS.dec()
            del self._replies[nonce]
            reply.cancel()

    @contextmanager
    def expect_stream(self, stream: str) -> Iterator[StreamWaiter]:
        """The commits of `stream` from here on. Enter before the append. Problem 503 as `expect_reply`."""
        self._check_ready()
        key = stream.encode()
        waiter = StreamWaiter()
        self._streams.setdefault(key, []).append(waiter)
        WAITERS.inc()
        try:
            yield waiter
        finally:
            WAITERS.dec()
            waiters = self._streams[key]
            waiters.remove(waiter)
            if not waiters:
                del self._streams[key]

    def _check_ready(self) -> None:
        if not self.ready.is_set():
            raise busy("This process has just started and does not follow the log yet. Try again in a second.")

    def anchors(self) -> list[int]:
        """The anchors of all slots: topics in the order of COMMIT_TOPICS, partitions ascending."""
        places = self.places
        return [places[topic, number].anchor for topic in COMMIT_TOPICS for number in range(self._log.partitions)]

    async def run(self) -> None:
        """Follow for ever; a log that is away is waited for, a log that was cut starts afresh."""
        pause = 0.1
        while True:
            try:
                reader = await self._log.reader()
                try:
                    await self._start(reader)
                    pause = 0.1
                    await self._follow(reader)
                finally:
                    with suppress(LogError):
                        await reader.close()
            except (GapInLog, OffsetOutOfRange) as error:
                logger.error(
                    "the log was cut where the api stood; starting from the projector's place", reason=str(error)
                )
                self._forget()
            except _AWAY as error:
                logger.warning("the log or the read side is away", reason=str(error))
            self.healthy = False
            await asyncio.sleep(pause)
            pause = min(pause * 2, 2.0)

    async def _start(self, reader: Reader) -> None:
        if not self.places:
            stored = await self._stored_places()
            places = {}
            for slot in ((topic, number) for topic in COMMIT_TOPICS for number in range(self._log.partitions)):
                fence = stored.get(slot) or Fence(next_offset=await self._log.first_offset(*slot))
                places[slot] = Place(fence, await find_anchor(reader, slot, fence))
            self.places = places
        for slot, place in self.places.items():
            reader.seek(*slot, place.fence.next_offset)
        end = self._fresh_ticks_from = await self._log.end_offset(Topic.TICKS, 0)
        reader.seek(Topic.TICKS, 0, max(end - 1, await self._log.first_offset(Topic.TICKS, 0)))
        self.healthy = True
        self.ready.set()

    async def _follow(self, reader: Reader) -> None:
        while True:
            try:
                records = await reader.read(max_records=1000, timeout=_READ_SECONDS)
            except LogUnavailable as error:
                if self.healthy:
                    logger.warning("the log is away", reason=str(error))
                self.healthy = False
                await asyncio.sleep(0.2)
                continue
            self.healthy = True
            for record in records:
                if record.topic is Topic.TICKS:
                    self._take_tick(record)
                else:
                    self._take(record)

    def _take_tick(self, record: Record) -> None:
        try:
            self.last_tick = decode_tick(record.value).time
        except DECODING_ERRORS as error:
            logger.warning("a tick cannot be decoded", offset=record.offset, reason=str(error))
            return
        self.last_tick_seen = monotonic()
        if record.offset >= self._fresh_ticks_from:
            self._clock.saw(record.appended_at)

    def _take(self, record: Record) -> None:
        place = self.places[record.topic, record.partition]
        fence = place.fence
        headers = record.headers
        if not fence.accept(record.offset, headers):
            if fence.epoch is not None and fence.epoch.offset == record.offset:
                place.anchor = record.offset
            else:
                self._void.inc()
            return
        anchor_before, place.anchor = place.anchor, record.offset
        if (answers := _answers_of(record.value)) is not None:
            self.answered[record.topic, record.partition] = answers.offset + 1
        reply = stream = workspace = b""
        for name, value in headers:
            if name == "s":
                stream = value
            elif name == "w":
                workspace = value
            elif name == "r":
                reply = value
        if reply and (future := self._replies.get(reply)) is not None and not future.done():
            future.set_result(record)
        if waiters := self._streams.get(stream):
            for waiter in waiters:
                waiter.put(record)
        listeners = self.listeners
        if record.topic is Topic.EVENTS and stream.startswith(b"workflow-"):
            for changed in listeners.workflow_changed:
                changed(record, stream)
        for interested, commit in zip(listeners.interested, listeners.commit, strict=True):
            if interested(workspace):
                commit(Accepted(record, workspace, stream, anchor_before))

    def _forget(self) -> None:
        self.places = {}
        self.ready.clear()
        for lost in self.listeners.lost:
            lost()


class _Answering(msgspec.Struct):
    """The part of a commit that says which input it answers."""

    answers: Answers | None = None


_decode_answering = msgspec.json.Decoder(_Answering).decode


def _answers_of(value: bytes) -> Answers | None:
    """The input that a commit answers; most answer none and need not be decoded for that."""
    if b'"answers":[' not in value:
        return None
    try:
        return _decode_answering(value).answers
    except msgspec.MsgspecError:
        return None


async def await_reply(reply: asyncio.Future[Record], seconds: float = ANSWER_SECONDS) -> Record:
    """The answering record; Problem 503 if none comes (the command is in the log and will be decided)."""
    try:
        async with asyncio.timeout(seconds):
            return await reply
    except TimeoutError:
        raise busy(
            "The request is in the log but was not decided in time. Ask again with the same Idempotency-Key."
        ) from None


def fence_at(record: Record) -> Fence | None:
    """The fence of a reader that has just taken `record` into account, or None if it is no place to start from."""
    if header(record.headers, "k") == KIND_COMMIT:
        epoch, n = header(record.headers, "e"), header(record.headers, "n")
        if epoch is None or n is None:
            return None
        return Fence(record.offset + 1, Epoch.of_header(epoch), int(n) + 1)
    fence = Fence(record.offset)
    fence.accept(record.offset, record.headers)
    return fence if fence.epoch is not None else None


async def find_anchor(reader: Reader, slot: Slot, fence: Fence) -> int:
    """The offset of the last record that this fence accepted, or of its takeover; looked for backwards."""
    if fence.epoch is None:
        return -1
    if fence.next_n == 0:
        return fence.epoch.offset
    epoch, n = fence.epoch.header(), b"%d" % (fence.next_n - 1)
    span, end = 1, fence.next_offset
    while end > fence.epoch.offset and span <= _ANCHOR_SPAN:
        start = max(end - span, fence.epoch.offset)
        try:
            records = await read_range(reader, slot, start, end)
        except OffsetOutOfRange:
            break
        for record in reversed(records):
            if header(record.headers, "e") == epoch and header(record.headers, "n") == n:
                return record.offset
        end, span = start, span * 8
    return fence.epoch.offset


async def read_range(reader: Reader, slot: Slot, start: int, end: int) -> Sequence[Record]:
    """The records of one partition from `start` to before `end`."""
    found: list[Record] = []
    reader.seek(*slot, start)
    try:
        while start < end:
            records = await reader.read(max_records=min(end - start, 500), timeout=_READ_SECONDS)
            if not records:
                raise LogUnavailable(f"{slot[0]}/{slot[1]} has no record at {start} although it was read before")
            found += [record for record in records if record.offset < end]
            start = records[-1].offset + 1
    finally:
        reader.forget(*slot)
    return found
