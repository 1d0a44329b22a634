"""The log in memory: for tests and simulation. Deterministic: no threads, no clock, no randomness of its own.

Several owners may share one `MemoryLog` in one event loop. Faults are armed with `fail_next`, one per append in the
order of the calls: what a broker may do to an owner, it does here on demand.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from infra.log.places import Place, PlacedReader
from infra.log.port import (
    LogError,
    LogMismatch,
    LogUnavailable,
    Membership,
    NewRecord,
    OffsetOutOfRange,
    Reader,
    Record,
    Topic,
    Writer,
    WriterClosed,
)
from infra.log.sizes import checked_bytes


class Fault(StrEnum):
    """What happens to one append. Unless said otherwise the caller is told LogUnavailable and its writer is closed."""

    LOST = "lost"
    """It never lands."""
    LANDED = "landed"
    """It lands; only the answer is lost."""
    LATE = "late"
    """It lands when the test says so (`land_late`): behind whatever was appended meanwhile."""
    TWICE = "twice"
    """It lands twice, as a retry under a new producer id does; the caller is told the first offset."""


@dataclass(slots=True)
class _Partition:
    first: int = 0
    records: list[Record] = field(default_factory=list)

    @property
    def end(self) -> int:
        return self.first + len(self.records)


@dataclass(slots=True)
class _Late:
    topic: Topic
    partition: int
    records: Sequence[NewRecord]


class MemoryLog:
    """A Log whose records live as long as it. `clock` gives milliseconds since 1970 (default: it stands still)."""

    def __init__(self, partitions: int, *, clock: Callable[[], int] = lambda: 0) -> None:
        if partitions < 1:
            raise ValueError("a log needs at least one partition")
        self.partitions = partitions
        self._clock = clock
        self._data = {(topic, number): _Partition() for topic in Topic for number in range(partitions)}
        self._faults: deque[tuple[Topic | None, Fault]] = deque()
        self._late: list[_Late] = []
        self._down = False
        self._readers: dict[MemoryReader, None] = {}  # in order: a set's would change from run to run
        self._groups: dict[str, dict[str, MemoryMembership]] = {}
        self._group_offsets: dict[str, dict[tuple[Topic, int], int]] = {}

    async def writer(self) -> Writer:
        self._check_up()
        return MemoryWriter(self)

    async def reader(self) -> Reader:
        reader = MemoryReader(self)
        self._readers[reader] = None
        return reader

    async def membership(self, group: str, member: str) -> Membership:
        self._check_up()
        members = self._groups.setdefault(group, {})
        membership = MemoryMembership(self, group, member)
        if before := members.get(member):
            before.replaced()
        members[member] = membership
        self._assign(group)
        return membership

    async def end_offset(self, topic: Topic, partition: int) -> int:
        return self._partition(topic, partition).end

    async def first_offset(self, topic: Topic, partition: int) -> int:
        return self._partition(topic, partition).first

    async def group_offsets(self, group: str) -> dict[tuple[Topic, int], int]:
        self._check_up()
        return dict(self._group_offsets.get(group, {}))

    async def commit_group_offsets(self, group: str, offsets: Mapping[tuple[Topic, int], int]) -> None:
        self._check_up()
        self._group_offsets.setdefault(group, {}).update(offsets)

    async def delete_before(self, topic: Topic, partition: int, offset: int) -> None:
        place = self._partition(topic, partition)
        cut = min(max(offset - place.first, 0), len(place.records))
        del place.records[:cut]
        place.first += cut

    async def close(self) -> None:
        for reader in tuple(self._readers):
            await reader.close()

    # What tests and simulation do to it

    def fail_next(self, *faults: Fault, topic: Topic | None = None) -> None:
        """The next appends (to `topic`, if it is given) meet these faults, one each, in the order of the calls."""
        self._faults.extend((topic, fault) for fault in faults)

    def land_late(self) -> int:
        """Land what LATE held back, in its order; returns how many appends that were."""
        late, self._late = self._late, []
        for append in late:
            self._land(append.topic, append.partition, append.records)
        return len(late)

    def set_down(self, down: bool) -> None:
        """While the log is down every call raises LogUnavailable; what it holds stays."""
        self._down = down
        for reader in self._readers:
            reader.wake()

    def expire(self, group: str, member: str) -> None:
        """The lease of `member` ends without its knowing: it goes on believing, others get its partitions."""
        if self._groups.get(group, {}).pop(member, None):
            self._assign(group)

    def records(self, topic: Topic, partition: int, start: int = 0) -> tuple[Record, ...]:
        """The records kept from offset `start` on, for assertions; also while the log is down."""
        place = self._data[topic, partition]
        return tuple(place.records[max(start - place.first, 0) :])

    def end(self, topic: Topic, partition: int) -> int:
        """As `end_offset`, for assertions; also while the log is down."""
        return self._data[topic, partition].end

    # What writers, readers and members call

    def append(self, topic: Topic, partition: int, records: Sequence[NewRecord]) -> int:
        """Append at once, through the armed faults; raises LogUnavailable."""
        self._partition(topic, partition)
        fault = self._next_fault(topic)
        if fault is Fault.LATE:
            self._late.append(_Late(topic, partition, records))
        elif fault is not Fault.LOST:
            offset = self._land(topic, partition, records)
            if fault is Fault.TWICE:
                self._land(topic, partition, records)
            if fault is not Fault.LANDED:
                return offset
        raise LogUnavailable(f"the append's outcome is unknown (armed fault: {fault})")

    def _next_fault(self, topic: Topic) -> Fault | None:
        for armed in self._faults:
            if armed[0] is None or armed[0] is topic:
                self._faults.remove(armed)
                return armed[1]
        return None

    def read(self, topic: Topic, partition: int, offset: int, limit: int) -> list[Record]:
        """Up to `limit` records from `offset`; raises OffsetOutOfRange, LogUnavailable."""
        place = self._partition(topic, partition)
        if not place.first <= offset <= place.end:
            raise OffsetOutOfRange(
                f"{topic}/{partition} has no offset {offset}: the first is {place.first}, the end is {place.end}"
            )
        start = offset - place.first
        return place.records[start : start + limit]

    def left(self, membership: "MemoryMembership", group: str, member: str) -> None:
        members = self._groups.get(group, {})
        if members.get(member) is membership:
            del members[member]
            self._assign(group)

    def dropped(self, reader: "MemoryReader") -> None:
        self._readers.pop(reader, None)

    def _land(self, topic: Topic, partition: int, records: Sequence[NewRecord]) -> int:
        place = self._data[topic, partition]
        first, now = place.end, self._clock()
        place.records.extend(
            Record(topic, partition, first + rank, now, record.value, record.headers, record.key)
            for rank, record in enumerate(records)
        )
        for reader in self._readers:
            reader.wake()
        return first

    def _assign(self, group: str) -> None:
        """Ranges in the order of the names; the remainder goes to the first."""
        members = self._groups[group]
        names = sorted(members)
        share, more = divmod(self.partitions, max(len(names), 1))
        for place, name in enumerate(names):
            start = place * share + min(place, more)
            members[name].assign(frozenset(range(start, start + share + (place < more))))

    def _partition(self, topic: Topic, partition: int) -> _Partition:
        self._check_up()
        place = self._data.get((topic, partition))
        if place is None:
            raise LogMismatch(f"{topic} has no partition {partition}")
        return place

    def _check_up(self) -> None:
        if self._down:
            raise LogUnavailable("the log is down")


class MemoryWriter:
    """A Writer. Appends land at the next turn of the event loop, in the order of the calls."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self._closed: LogError | None = None
        self._waiting: deque[tuple[Topic, int, Sequence[NewRecord], asyncio.Future[int]]] = deque()

    async def append(self, topic: Topic, partition: int, records: Sequence[NewRecord]) -> int:
        if self._closed is not None:
            raise WriterClosed(f"this writer is closed: {self._closed}")
        if not records:
            raise ValueError("an append needs at least one record")
        checked_bytes(records)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[int] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._flush)
        self._waiting.append((topic, partition, tuple(records), done))
        return await done

    async def close(self) -> None:
        self._fail(WriterClosed("this writer was closed"))

    def _flush(self) -> None:
        while self._waiting:
            topic, partition, records, done = self._waiting.popleft()
            try:
                offset = self._log.append(topic, partition, records)
            except LogError as error:
                if not done.done():
                    done.set_exception(error)
                self._fail(error)
                return
            if not done.done():
                done.set_result(offset)

    def _fail(self, error: LogError) -> None:
        self._closed = self._closed or error
        while self._waiting:
            *_, done = self._waiting.popleft()
            if not done.done():
                done.set_exception(type(error)(*error.args))


class MemoryReader(PlacedReader[Place]):
    """A Reader."""

    def __init__(self, log: MemoryLog) -> None:
        super().__init__(Place)
        self._log = log
        self._closed = False

    async def read(self, *, max_records: int = 500, timeout: float | None = None) -> list[Record]:
        try:
            async with asyncio.timeout(timeout):
                while True:
                    if self._closed:
                        raise LogUnavailable("this reader is closed")
                    self._wake.clear()
                    if records := self._take(max_records):
                        return records
                    await self._wake.wait()
        except TimeoutError:
            return []

    async def close(self) -> None:
        self._closed = True
        self._log.dropped(self)
        self._wake.set()

    def wake(self) -> None:
        self._wake.set()

    def _take(self, max_records: int) -> list[Record]:
        ready = [place for place in self._places.values() if not place.paused and self._next(place, 1)]

        def take(place: Place, limit: int) -> list[Record]:
            taken = self._next(place, limit)
            place.offset += len(taken)
            return taken

        return self._take_shares(ready, max_records, take)

    def _next(self, place: Place, limit: int) -> list[Record]:
        return self._log.read(place.topic, place.partition, place.offset, limit)


class MemoryMembership:
    """A Membership: the same even ranges as the other implementations, without leases."""

    def __init__(self, log: MemoryLog, group: str, member: str) -> None:
        self._log = log
        self._group = group
        self._member = member
        self._current: frozenset[int] = frozenset()
        self._told: frozenset[int] | None = None
        self._changed = asyncio.Event()

    async def assigned(self) -> frozenset[int]:
        while self._told == self._current:
            self._changed.clear()
            await self._changed.wait()
        self._told = self._current
        return self._told

    def current(self) -> frozenset[int]:
        return self._current

    async def close(self) -> None:
        self._log.left(self, self._group, self._member)
        self.assign(frozenset())

    def assign(self, partitions: frozenset[int]) -> None:
        self._current = partitions
        self._changed.set()

    def replaced(self) -> None:
        """Another process took this name."""
        self.assign(frozenset())
