"""Appends the passing of time: one tick a second to every partition of TICKS."""

import asyncio
from collections.abc import Callable

import msgspec

from infra.failpoints import failpoint
from infra.log.port import Log, LogUnavailable, NewRecord, Reader, Record, Topic, Writer
from infra.telemetry import metrics
from infra.telemetry.logs import get_logger
from schemas.envelope import KIND_TICK, TickRecord, decode_tick, encode
from services.scheduler.clock import TickClock, start_time

KEPT = 3_600
"""Ticks that a partition keeps where the log itself cuts nothing off."""

_APPEND_SECONDS = 3.0
_READ_SECONDS = 5.0
_LOOK_BACK = 5  # a record of garbage at the end must not hide the tick before it

Milliseconds = Callable[[], int]
log = get_logger(__name__)


class Ticker:
    """The hand of a leader. `monotonic` and `wall` give milliseconds; made by `open`, ended by `close`."""

    def __init__(
        self,
        source: Log,
        writer: Writer,
        clock: TickClock,
        *,
        leader: str,
        monotonic: Milliseconds,
        wall: Milliseconds,
    ) -> None:
        self._log = source
        self._writer = writer
        self._clock = clock
        self._leader = leader
        self._monotonic = monotonic
        self._wall = wall

    @staticmethod
    async def open(source: Log, leader: str, *, monotonic: Milliseconds, wall: Milliseconds) -> "Ticker":
        """Find out from the log where time stands and go on from there. Raises LogError."""
        writer = await source.writer()
        try:
            begin = await _begin(source, writer, leader, wall())
        except BaseException:
            await writer.close()
            raise
        return Ticker(source, writer, TickClock(begin, monotonic()), leader=leader, monotonic=monotonic, wall=wall)

    async def tick(self) -> int:
        """Append one tick to every partition; returns its time. Raises LogUnavailable, WriterClosed."""
        wall = self._wall()
        time = self._clock.advance(self._monotonic(), wall)
        record = _record(time, self._leader)
        failpoint("scheduler.before_tick")
        try:
            async with asyncio.timeout(_APPEND_SECONDS), asyncio.TaskGroup() as group:
                for partition in range(self._log.partitions):
                    group.create_task(self._writer.append(Topic.TICKS, partition, [record]))
        except TimeoutError as error:
            raise LogUnavailable(f"the ticks were not acknowledged within {_APPEND_SECONDS:g} s") from error
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        failpoint("scheduler.after_tick")
        metrics.TICKS.inc(self._log.partitions)
        metrics.TICK_SKEW.set((time - wall) / 1000)
        return time

    async def cut(self) -> None:
        """Drop all but the newest ticks."""
        for partition in range(self._log.partitions):
            keep_from = await self._log.end_offset(Topic.TICKS, partition) - KEPT
            if keep_from > await self._log.first_offset(Topic.TICKS, partition):
                await self._log.delete_before(Topic.TICKS, partition, keep_from)

    async def close(self) -> None:
        await self._writer.close()


async def _begin(source: Log, writer: Writer, leader: str, wall: int) -> int:
    reader = await source.reader()
    try:
        last = await _last_tick(source, reader)
        if last is None:
            return start_time(last_tick=None, since_last_tick=0, wall=wall)
        time, appended_at = last
        # The log's own clock says how long nobody ticked: a tick that changes nothing shows what it reads now.
        offset = await writer.append(Topic.TICKS, 0, [_record(time, leader)])
        now = await _read_one(reader, offset)
        begin = start_time(last_tick=time, since_last_tick=now.appended_at - appended_at, wall=wall)
        log.info("time goes on", last_tick=time, seconds_since=(begin - time) / 1000, wall_ahead=(wall - begin) / 1000)
        return begin
    finally:
        await reader.close()


async def _last_tick(source: Log, reader: Reader) -> tuple[int, int] | None:
    """Of the newest ticks of all partitions the one that came soonest: its time, and when the log took it.

    The very last one may have been on its way for long: counted from its append, the time of that way would be lost.
    """
    ends: dict[int, int] = {}
    for partition in range(source.partitions):
        end = await source.end_offset(Topic.TICKS, partition)
        start = max(await source.first_offset(Topic.TICKS, partition), end - _LOOK_BACK)
        if start < end:
            ends[partition] = end
            reader.seek(Topic.TICKS, partition, start)
    newest: tuple[int, int] | None = None
    while ends:
        records = await reader.read(timeout=_READ_SECONDS)
        if not records:
            raise LogUnavailable(f"the last ticks were not read within {_READ_SECONDS:g} s")
        for record in records:
            found = _time_of(record)
            if found is not None and (newest is None or found - record.appended_at > newest[0] - newest[1]):
                newest = (found, record.appended_at)
            if record.offset + 1 >= ends.get(record.partition, 0):
                ends.pop(record.partition, None)
                reader.forget(Topic.TICKS, record.partition)
    return newest


async def _read_one(reader: Reader, offset: int) -> Record:
    reader.seek(Topic.TICKS, 0, offset)
    records = await reader.read(max_records=1, timeout=_READ_SECONDS)
    if not records:
        raise LogUnavailable(f"the tick just written was not read within {_READ_SECONDS:g} s")
    return records[0]


def _time_of(record: Record) -> int | None:
    try:
        return decode_tick(record.value).time
    except msgspec.MsgspecError:
        return None


def _record(time: int, leader: str) -> NewRecord:
    return NewRecord(encode(TickRecord(time=time, leader=leader)), (("k", KIND_TICK),))
