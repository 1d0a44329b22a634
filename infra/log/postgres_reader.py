"""Reads partitions of the log in PostgreSQL: several in one round trip, woken by NOTIFY, with a slow safety poll."""

import asyncio
from dataclasses import dataclass

import asyncpg
import msgspec

from infra.log.places import Place, PlacedReader
from infra.log.port import Headers, LogUnavailable, OffsetOutOfRange, Record
from infra.log.postgres_connection import (
    TOPIC_IDS,
    TOPICS,
    UNAVAILABLE,
    Connection,
    Control,
    connect,
    disconnect,
    log_error,
)

SAFETY_POLL_SECONDS = 1.0
FETCH_BYTES = 8_000_000
"""What one round trip should bring at most, judged by the records of the last one."""

_FETCH = """
    SELECT p.topic, p.partition, r."offset", r.appended_at, r.value, r.headers, r.key
    FROM unnest($1::integer[], $2::integer[], $3::bigint[]) AS p(topic, partition, "offset")
    CROSS JOIN LATERAL (
        SELECT r."offset", r.appended_at, r.value, r.headers, r.key FROM records r
        WHERE r.topic = p.topic AND r.partition = p.partition AND r."offset" >= p."offset"
        ORDER BY r."offset" LIMIT $4
    ) r
"""
_BOUNDS = """
    SELECT b.topic, b.partition, b.first_offset, b.next_offset
    FROM unnest($1::integer[], $2::integer[]) AS p(topic, partition)
    JOIN partitions b ON b.topic = p.topic AND b.partition = p.partition
"""

_unpack_headers = msgspec.msgpack.Decoder(tuple[tuple[str, bytes], ...]).decode
_NO_HEADERS = msgspec.msgpack.encode(())


@dataclass(slots=True, eq=False)
class _Place(Place):
    """`grown`: there may be records; `checked`: its offset is known to be kept."""

    grown: bool = True
    checked: bool = False


class PostgresReader(PlacedReader[_Place]):
    """A Reader on one connection of its own; a lost connection is replaced at the next read."""

    def __init__(self, url: str, control: Control) -> None:
        super().__init__(_Place)
        self._url = url
        self._control = control
        self._connection: Connection | None = None
        self._record_bytes = 1
        self._closed = False
        control.on_append(self._grown)

    async def read(self, *, max_records: int = 500, timeout: float | None = None) -> list[Record]:
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        while True:
            if self._closed:
                raise LogUnavailable("this reader is closed")
            self._wake.clear()
            if records := await self._read_grown(max_records):
                return records
            if any(place.grown and not place.paused for place in self._places.values()):
                continue
            wait = SAFETY_POLL_SECONDS
            if deadline is not None:
                wait = min(wait, deadline - loop.time())
                if wait <= 0:
                    return []
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            except TimeoutError:
                if wait == SAFETY_POLL_SECONDS:
                    self._grown(None)

    async def close(self) -> None:
        self._closed = True
        self._wake.set()
        self._control.off_append(self._grown)
        if self._connection is not None:
            await disconnect(self._connection)
            self._connection = None

    def _grown(self, grown: frozenset[tuple[int, int]] | None) -> None:
        """Some partitions grew (None: perhaps all of them)."""
        if grown is None:
            places = list(self._places.values())
        else:
            known = (self._places.get((TOPICS[topic], partition)) for topic, partition in grown)
            places = [place for place in known if place is not None]
        for place in places:
            place.grown = True
            self._wake.set()

    async def _read_grown(self, max_records: int) -> list[Record]:
        """Ask for what may be there, in one round trip; if there are more partitions than `max_records`, for some."""
        due = [place for place in self._places.values() if place.grown and not place.paused]
        if not due:
            return []
        due = self._in_turn(due)[:max_records]
        share = max(1, min(max_records, FETCH_BYTES // self._record_bytes) // len(due))
        try:
            connection = await self._connected()
            if new := [place for place in due if not place.checked]:
                await self._check(connection, new)
            asked = {(TOPIC_IDS[place.topic], place.partition): place for place in due}
            offsets = [place.offset for place in due]
            for place in due:
                place.grown = False  # what is appended from here on wakes us again
            try:
                rows = await connection.fetch(
                    _FETCH, [topic for topic, _ in asked], [partition for _, partition in asked], offsets, share
                )
            except BaseException:
                for place in due:
                    place.grown = True
                raise
        except UNAVAILABLE as error:
            self._drop_connection()
            raise log_error(error) from error
        return self._accept(rows, asked, share)

    def _accept(self, rows: list[asyncpg.Record], asked: dict[tuple[int, int], _Place], share: int) -> list[Record]:
        """The records of `rows` that follow on their places; raises OffsetOutOfRange if all are behind a gap."""
        if rows:
            self._record_bytes = max(1, sum(len(row[4]) for row in rows) // len(rows))
        records: list[Record] = []
        gap: OffsetOutOfRange | None = None
        counts = dict.fromkeys(asked, 0)
        for topic, partition, offset, appended_at, value, headers, key in rows:
            place = asked[topic, partition]
            if not self._is_current(place):
                continue
            if offset != place.offset:
                place.checked, place.grown = False, True
                gap = gap or _out_of_range(place, offset)
                continue
            place.offset = offset + 1
            counts[topic, partition] += 1
            unpacked: Headers = () if headers == _NO_HEADERS else _unpack_headers(headers)
            records.append(Record(place.topic, partition, offset, appended_at, value, unpacked, key))
        for at, count in counts.items():
            if count == share:
                asked[at].grown = True
        if gap is not None and not records:
            raise gap
        return records

    async def _check(self, connection: Connection, places: list[_Place]) -> None:
        """Whether the offsets of places that were just set exist; raises OffsetOutOfRange."""
        new = {(TOPIC_IDS[place.topic], place.partition): place for place in places}
        rows = await connection.fetch(_BOUNDS, [topic for topic, _ in new], [partition for _, partition in new])
        for topic, partition, first, end in rows:
            place = new.pop((topic, partition))
            if not first <= place.offset <= end:
                raise _out_of_range(place, first, end)
            place.checked = True
        for place in new.values():
            raise OffsetOutOfRange(f"{place.topic} has no partition {place.partition}")

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(self._url, self._control.schema)
            for place in self._places.values():
                place.grown, place.checked = True, False
        return self._connection

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


def _out_of_range(place: Place, first: int, end: int | None = None) -> OffsetOutOfRange:
    upto = "" if end is None else f", the end is {end}"
    return OffsetOutOfRange(f"{place.topic}/{place.partition} has no offset {place.offset}: the first is {first}{upto}")
