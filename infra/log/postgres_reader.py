"""Reads partitions of the log in PostgreSQL: several in one round trip, woken by NOTIFY, with a slow safety poll."""

import asyncio
import contextlib
from dataclasses import dataclass

import asyncpg
import msgspec

from infra.log.port import Headers, LogUnavailable, OffsetOutOfRange, Record, Topic
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
class _Place:
    """Where a partition is read. `grown`: there may be records; `checked`: its offset is known to be kept."""

    offset: int
    paused: bool = False
    grown: bool = True
    checked: bool = False


class PostgresReader:
    """A Reader on one connection of its own; a lost connection is replaced at the next read."""

    def __init__(self, url: str, control: Control) -> None:
        self._url = url
        self._control = control
        self._connection: Connection | None = None
        self._places: dict[tuple[int, int], _Place] = {}
        self._wake = asyncio.Event()
        self._turn = 0
        self._closed = False
        control.on_append(self._grown)

    def seek(self, topic: Topic, partition: int, offset: int) -> None:
        place = (TOPIC_IDS[topic], partition)
        before = self._places.get(place)
        self._places[place] = _Place(offset, paused=before is not None and before.paused)
        self._wake.set()

    def forget(self, topic: Topic, partition: int) -> None:
        self._places.pop((TOPIC_IDS[topic], partition), None)

    def pause(self, topic: Topic, partition: int) -> None:
        if place := self._places.get((TOPIC_IDS[topic], partition)):
            place.paused = True

    def resume(self, topic: Topic, partition: int) -> None:
        if place := self._places.get((TOPIC_IDS[topic], partition)):
            place.paused = False
            self._wake.set()

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
            for place in self._places.values():
                place.grown = True
            self._wake.set()
            return
        for key in grown:
            place_of = self._places.get(key)
            if place_of is not None:
                place_of.grown = True
                self._wake.set()

    def _due(self, max_records: int) -> list[tuple[tuple[int, int], _Place]]:
        """The partitions to ask for: if there are more than records asked for, another part of them each time."""
        due = [(key, place) for key, place in self._places.items() if place.grown and not place.paused]
        if len(due) > max_records:
            start = self._turn % len(due)
            self._turn += max_records
            due = (due + due)[start : start + max_records]
        return due

    async def _read_grown(self, max_records: int) -> list[Record]:
        due = self._due(max_records)
        if not due:
            return []
        share = max(1, max_records // len(due))
        try:
            connection = await self._connected()
            if not all(place.checked for _, place in due):
                await self._check(connection, due)
            asked = {key: (place, place.offset) for key, place in due}
            for _, place in due:
                place.grown = False
            try:
                rows = await connection.fetch(
                    _FETCH,
                    [topic for topic, _ in asked],
                    [partition for _, partition in asked],
                    [offset for _, offset in asked.values()],
                    share,
                )
            except BaseException:
                for _, place in due:
                    place.grown = True
                raise
        except UNAVAILABLE as error:
            await self._drop_connection()
            raise log_error(error) from error
        return self._take(rows, asked, share)

    def _take(
        self, rows: list[asyncpg.Record], asked: dict[tuple[int, int], tuple[_Place, int]], share: int
    ) -> list[Record]:
        records: list[Record] = []
        gap: OffsetOutOfRange | None = None
        counts: dict[tuple[int, int], int] = {}
        for topic, partition, offset, appended_at, value, headers, key in rows:
            at = (topic, partition)
            place, was = asked[at]
            if self._places.get(at) is not place or place.offset != was + counts.get(at, 0):
                continue  # it was moved or forgotten while we asked, or there is a gap
            if offset != place.offset:
                place.checked = False
                place.grown = True
                gap = _out_of_range(topic, partition, place.offset, offset, None)
                continue
            place.offset = offset + 1
            counts[at] = counts.get(at, 0) + 1
            unpacked: Headers = () if headers == _NO_HEADERS else _unpack_headers(headers)
            records.append(Record(TOPICS[topic], partition, offset, appended_at, value, unpacked, key))
        for at, count in counts.items():
            if count == share:
                asked[at][0].grown = True
        if gap is not None and not records:
            raise gap
        return records

    async def _check(self, connection: Connection, due: list[tuple[tuple[int, int], _Place]]) -> None:
        """Whether the offsets of places that were just set exist; raises OffsetOutOfRange."""
        new = {key: place for key, place in due if not place.checked}
        rows = await connection.fetch(_BOUNDS, [topic for topic, _ in new], [partition for _, partition in new])
        for topic, partition, first, end in rows:
            place = new.pop((topic, partition))
            if not first <= place.offset <= end:
                raise _out_of_range(topic, partition, place.offset, first, end)
            place.checked = True
        for topic, partition in new:
            raise OffsetOutOfRange(f"{TOPICS[topic]} has no partition {partition}")

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(self._url, self._control.schema)
            for place in self._places.values():
                place.grown, place.checked = True, False
        return self._connection

    async def _drop_connection(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(*UNAVAILABLE):
                self._connection.terminate()
            self._connection = None


def _out_of_range(topic: int, partition: int, asked: int, first: int, end: int | None) -> OffsetOutOfRange:
    upto = "" if end is None else f", the end is {end}"
    return OffsetOutOfRange(f"{TOPICS[topic]}/{partition} has no offset {asked}: the first is {first}{upto}")
