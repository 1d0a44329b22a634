"""The memory log behind a network: appends take time, land or not, and what a dead process sent may still arrive."""

from asyncio import Future, sleep
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from infra.log.memory import Fault, MemoryLog
from infra.log.port import (
    LogError,
    LogUnavailable,
    Membership,
    NewRecord,
    Reader,
    Record,
    Topic,
    Writer,
    WriterClosed,
)
from infra.log.sizes import checked_bytes
from tests.simulation.faults import Faults
from tests.simulation.group import Group
from tests.simulation.loop import SimLoop

Landed = Callable[[Topic, int, int, int], None]
"""Told of (topic, partition, first offset, end offset) when records have landed."""


class SimLog:
    """A Log. One for all processes; what `infra.log.memory` promises, it keeps, only later and less reliably."""

    def __init__(self, loop: SimLoop, inner: MemoryLog, faults: Faults, group: Group, landed: Landed) -> None:
        self.partitions = inner.partitions
        self.inner = inner
        self.loop = loop
        self.faults = faults
        self.down = False
        self.on_the_way = 0
        self._group = group
        self._landed = landed

    def set_down(self, down: bool) -> None:
        self.down = down
        self.inner.set_down(down)

    async def writer(self) -> Writer:
        await sleep(self.faults.latency())
        self._check_up()
        return SimWriter(self)

    async def reader(self) -> Reader:
        return SimReader(self, await self.inner.reader())

    async def membership(self, group: str, member: str) -> Membership:
        await sleep(self.faults.latency())
        self._check_up()
        return self._group.join(member)

    async def end_offset(self, topic: Topic, partition: int) -> int:
        await sleep(self.faults.latency())
        self._check_up()
        return await self.inner.end_offset(topic, partition)

    async def first_offset(self, topic: Topic, partition: int) -> int:
        self._check_up()
        return await self.inner.first_offset(topic, partition)

    async def group_offsets(self, group: str) -> dict[tuple[Topic, int], int]:
        return await self.inner.group_offsets(group)

    async def commit_group_offsets(self, group: str, offsets: Mapping[tuple[Topic, int], int]) -> None:
        await self.inner.commit_group_offsets(group, offsets)

    async def delete_before(self, topic: Topic, partition: int, offset: int) -> None:
        await self.inner.delete_before(topic, partition, offset)

    async def close(self) -> None:
        return

    def land(self, topic: Topic, partition: int, records: Sequence[NewRecord]) -> int:
        """Append now, whatever armed fault it meets; raises LogUnavailable."""
        before = self.end(topic, partition)
        try:
            return self.inner.append(topic, partition, records)
        finally:
            self.told(topic, partition, before)

    def later(self, seconds: float, land: Callable[[], object]) -> None:
        """Something arrives in `seconds`; `on_the_way` counts what has not yet."""
        self.on_the_way += 1
        self.loop.call_outside(seconds, self._arrive, land)

    def _arrive(self, land: Callable[[], object]) -> None:
        if self.down:
            self.loop.call_outside(1.0, self._arrive, land)
            return
        self.on_the_way -= 1
        land()

    def land_late(self) -> None:
        """What was held back arrives."""
        places = [(topic, number) for topic in Topic for number in range(self.partitions)]
        before = {place: self.end(*place) for place in places}
        self.inner.land_late()
        for place in places:
            self.told(*place, before[place])

    def told(self, topic: Topic, partition: int, before: int) -> None:
        end = self.end(topic, partition)
        if end > before:
            self._landed(topic, partition, before, end)

    def end(self, topic: Topic, partition: int) -> int:
        return self.inner.end(topic, partition)

    def _check_up(self) -> None:
        if self.down:
            self.faults.counted["refused while down"] += 1
            raise LogUnavailable("the log is down")


@dataclass(slots=True)
class _Flight:
    topic: Topic
    partition: int
    records: Sequence[NewRecord]
    done: "Future[int]"
    given_up: bool = False


class SimWriter:
    """A Writer whose appends travel in order. Those given up by a close may land all the same."""

    def __init__(self, log: SimLog) -> None:
        self._log = log
        self._flights: deque[_Flight] = deque()
        self._lands_at = 0.0
        self._closed: LogError | None = None

    async def append(self, topic: Topic, partition: int, records: Sequence[NewRecord]) -> int:
        if self._closed is not None:
            raise WriterClosed(f"this writer is closed: {self._closed}")
        if not records:
            raise ValueError("an append needs at least one record")
        checked_bytes(records)
        log = self._log
        flight = _Flight(topic, partition, tuple(records), log.loop.create_future())
        self._flights.append(flight)
        self._lands_at = max(self._lands_at, log.loop.time() + log.faults.latency())
        log.loop.call_outside(self._lands_at - log.loop.time(), self._land)
        return await flight.done

    async def close(self) -> None:
        self._fail(WriterClosed("this writer was closed"))

    def _land(self) -> None:
        """The oldest append arrives at the log."""
        flight = self._flights.popleft()
        log, faults = self._log, self._log.faults
        if flight.given_up and faults.coin():
            return
        fault = faults.next_append()
        if isinstance(fault, Fault):
            log.inner.fail_next(fault)
        try:
            offset = log.land(flight.topic, flight.partition, flight.records)
        except LogUnavailable as error:
            if fault is Fault.LATE and not log.down:
                log.later(faults.late_seconds(), log.land_late)
            log.loop.call_outside(faults.latency(), self._refuse, flight, error)
            return
        finally:
            if isinstance(fault, Fault):
                log.inner._faults.clear()  # one that was armed while the log is down must not meet another append
        if fault == "echo":
            log.later(faults.late_seconds(), partial(log.land, flight.topic, flight.partition, flight.records))
        log.loop.call_outside(faults.latency(), _resolve, flight.done, offset)

    def _refuse(self, flight: _Flight, error: LogError) -> None:
        if not flight.done.done():
            flight.done.set_exception(error)
        self._fail(error)

    def _fail(self, error: LogError) -> None:
        self._closed = self._closed or error
        for flight in self._flights:
            flight.given_up = True
            if not flight.done.done():
                flight.done.set_exception(type(error)(*error.args))


def _resolve(done: "Future[int]", offset: int) -> None:
    if not done.done():
        done.set_result(offset)


class SimReader:
    """A Reader that sometimes fails and sometimes takes its time."""

    def __init__(self, log: SimLog, inner: Reader) -> None:
        self._log = log
        self._inner = inner
        self.seek = inner.seek
        self.forget = inner.forget
        self.pause = inner.pause
        self.resume = inner.resume

    async def read(self, *, max_records: int = 500, timeout: float | None = None) -> list[Record]:  # noqa: ASYNC109
        faults = self._log.faults
        if faults.strikes("read failed", faults.read_failure):
            await sleep(faults.latency())
            raise LogUnavailable("reading failed")
        return await self._inner.read(max_records=max_records, timeout=timeout)

    async def close(self) -> None:
        await self._inner.close()
