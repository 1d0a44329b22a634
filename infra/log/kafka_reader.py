"""Reads Kafka partitions by long polls that end as soon as there is a record.

The library's consumer can hold a partition back for a whole poll: after a seek, and while another partition's records
wait for their reader. Here a partition that no poll under way covers gets one at once, on a further connection.
"""

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from infra.log.kafka_connection import UNAVAILABLE, TopicNames, bounded, unavailable
from infra.log.places import Place, PlacedReader
from infra.log.port import LogError, LogUnavailable, OffsetOutOfRange, Record, Topic

logger = logging.getLogger(__name__)

POLL_MS = 500
POLL_BYTES = 4_000_000
PARTITION_BYTES = 1_000_000
BUFFER_BYTES = 500_000
"""A partition whose reader has so much before it is not asked for more."""
LATE_POLL_MS = 20
"""Two polls may be under way at one broker: the main one, and a short one for what came since that began."""
BACKOFF_SECONDS = 0.1
MOVES = 10
"""So many refusals in a row (by a broker that leads a partition no more, or not yet) are told to the reader."""

_MAIN, _LATE = 0, 1
_OUT_OF_RANGE = 1
_READ_UNCOMMITTED = 0


@dataclass(slots=True, eq=False)
class _Place(Place):
    """`offset` is the next record to ask the broker for; what is before it waits in `chunks`."""

    covered: bool = False
    chunks: deque[tuple[int, Iterator[Record]]] = field(default_factory=deque)
    """(bytes, records) of each answer, decoded as they are read."""
    buffered: int = 0
    error: OffsetOutOfRange | None = None


class KafkaReader(PlacedReader[_Place]):
    """A Reader on connections of its own of a shared client."""

    def __init__(self, client: AIOKafkaClient, names: TopicNames) -> None:
        super().__init__(_Place)
        self._client = client
        self._names = names
        self._polls: dict[tuple[int, int], asyncio.Task[None]] = {}
        self._backing_off: asyncio.Task[None] | None = None
        self._error: LogError | None = None
        self._refusals = 0
        self._closed = False

    async def read(self, *, max_records: int = 500, timeout: float | None = None) -> list[Record]:
        try:
            async with asyncio.timeout(timeout):
                while True:
                    if self._closed:
                        raise LogUnavailable("this reader is closed")
                    self._wake.clear()
                    records = self._take(max_records)
                    self._start_polls()
                    if records:
                        return records
                    if self._error is not None:
                        error, self._error = self._error, None
                        raise error
                    await self._wake.wait()
        except TimeoutError:
            return []

    async def close(self) -> None:
        self._closed = True
        self._wake.set()
        tasks = [*self._polls.values(), *([self._backing_off] if self._backing_off else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for key in [key for key in self._client._conns if isinstance(key[1], tuple) and key[1][0] is self]:
            await bounded(_close_connection(self._client, key))

    def _take(self, max_records: int) -> list[Record]:
        ready = [place for place in self._places.values() if place.chunks and not place.paused]
        records = self._take_shares(ready, max_records, _take_buffered)
        if not records:
            for place in self._places.values():
                if place.error is not None and not place.paused:
                    raise place.error
        return records

    def _start_polls(self) -> None:
        """Poll for every partition that is not covered, at its leader, if there is a lane."""
        if self._backing_off is not None or self._closed:
            return
        due: dict[int, list[_Place]] = {}
        for place in self._places.values():
            if place.covered or place.error is not None or place.buffered >= BUFFER_BYTES:
                continue
            leader = self._client.cluster.leader_for_partition(
                TopicPartition(self._names[place.topic], place.partition)
            )
            if leader is None or leader == -1:
                self._refusals += 1
                error = LogUnavailable(f"{place.topic}/{place.partition} has no leader now")
                self._back_off(error if self._refusals > MOVES else None)
                return
            due.setdefault(leader, []).append(place)
        for leader, places in due.items():
            # While the short one is under way nothing begins: at its end the main one takes all partitions together.
            if (leader, _LATE) not in self._polls:
                lane = _LATE if (leader, _MAIN) in self._polls else _MAIN
                for place in places:
                    place.covered = True
                self._polls[leader, lane] = asyncio.create_task(self._poll(leader, lane, places), name="log reader")

    async def _poll(self, leader: int, lane: int, places: list[_Place]) -> None:
        try:
            request = self._request(places, LATE_POLL_MS if lane == _LATE else POLL_MS)
            response = await self._client.send(leader, request, group=(self, lane))
            self._receive(response, places)
        except UNAVAILABLE as error:
            self._back_off(unavailable(error))
        except Exception as error:
            logger.exception("reading the log failed")
            self._back_off(unavailable(error))
        finally:
            for place in places:
                place.covered = False
            del self._polls[leader, lane]
        self._start_polls()

    def _request(self, places: list[_Place], wait_ms: int) -> FetchRequest:
        topics: dict[str, list[tuple[int, int, int]]] = {}
        for place in self._in_turn(places):  # an answer is filled in the order of the request
            wanted = (place.partition, place.offset, PARTITION_BYTES)
            topics.setdefault(self._names[place.topic], []).append(wanted)
        return FetchRequest(wait_ms, 1, POLL_BYTES, _READ_UNCOMMITTED, list(topics.items()))

    def _receive(self, response: Any, places: list[_Place]) -> None:
        asked = {(self._names[place.topic], place.partition): place for place in places}
        for topic, partitions in response.topics:
            for partition, error_code, *_, raw in partitions:
                place = asked[topic, partition]
                if not self._is_current(place):
                    continue
                if error_code == _OUT_OF_RANGE:
                    place.error = OffsetOutOfRange(f"{place.topic}/{partition} has no offset {place.offset}")
                    self._wake.set()
                elif error_code:
                    self._refusals += 1
                    self._back_off(unavailable(for_code(error_code)()) if self._refusals > MOVES else None)
                elif raw:
                    self._refusals = 0
                    self._buffer(place, raw)

    def _buffer(self, place: _Place, raw: bytes) -> None:
        records = MemoryRecords(raw)
        batches = []
        while records.has_next():
            batches.append(records.next_batch())
        if not all(batch.validate_crc() for batch in batches):
            self._back_off(LogUnavailable(f"{place.topic}/{place.partition}: an answer arrived corrupt"))
        elif batches:
            place.chunks.append((len(raw), _decode(place.topic, place.partition, batches, place.offset)))
            place.buffered += len(raw)
            place.offset = batches[-1].next_offset
            self._wake.set()

    def _back_off(self, error: LogError | None) -> None:
        """Tell the reader of the error, if any, ask for fresh metadata, and go on a little later."""
        if error is not None:
            self._error = error
            self._wake.set()
        if self._backing_off is None and not self._closed:
            self._backing_off = asyncio.create_task(self._recover(), name="log reader back-off")

    async def _recover(self) -> None:
        try:
            await self._client.force_metadata_update()
            await asyncio.sleep(BACKOFF_SECONDS)
        finally:
            self._backing_off = None
        self._start_polls()


def _take_buffered(place: _Place, limit: int) -> list[Record]:
    records: list[Record] = []
    while len(records) < limit and place.chunks:
        size, chunk = place.chunks[0]
        records += itertools.islice(chunk, limit - len(records))
        if len(records) < limit:
            place.chunks.popleft()
            place.buffered -= size
    return records


def _decode(topic: Topic, partition: int, batches: list[Any], start: int) -> Iterator[Record]:
    """The records of `batches` from offset `start` on (an answer begins with the batch that has the offset)."""
    for batch in batches:
        if batch.is_control_batch:
            continue
        for record in batch:
            if record.offset >= start:
                headers = tuple(record.headers)
                yield Record(topic, partition, record.offset, record.timestamp, record.value, headers, record.key)


async def _close_connection(client: AIOKafkaClient, key: object) -> None:
    connection = client._conns.pop(key, None)
    if connection is not None:
        await connection.close()
