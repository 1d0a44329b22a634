"""Appends to Kafka: what waits is packed into one batch a partition and one request a broker."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import TopicPartition

from infra.log.kafka_connection import RETRY_MS, UNAVAILABLE, TopicNames, bounded, unavailable
from infra.log.port import MAX_APPEND_BYTES, LogError, LogUnavailable, NewRecord, Topic, WriterClosed
from infra.log.sizes import checked_bytes

logger = logging.getLogger(__name__)

BATCH_BYTES = 1_000_000
"""When a batch takes no further append call. One call may be larger: it is one batch, up to MAX_BATCH_BYTES."""
MAX_BATCH_BYTES = 2 * MAX_APPEND_BYTES
APPEND_MS = 10_000

_NO_COMPRESSION = 0
_UNKNOWN_LEADER = -1


@dataclass(slots=True, eq=False)
class _Append:
    records: Sequence[NewRecord]
    size: int
    done: asyncio.Future[int]


class KafkaWriter:
    """A Writer on an idempotent producer of its own. One request a broker is under way, the next batches gather:
    so no partition ever has two batches under way, and a batch never overtakes a failed one."""

    def __init__(self, producer: AIOKafkaProducer, names: TopicNames, partitions: int) -> None:
        self._producer = producer
        self._places = {
            (topic, number): TopicPartition(names[topic], number) for topic in Topic for number in range(partitions)
        }
        self._waiting: dict[TopicPartition, deque[_Append]] = {}
        self._under_way: dict[TopicPartition, list[_Append]] = {}
        self._busy: set[int] = set()
        self._rounds: set[asyncio.Task[None]] = set()
        self._scheduled = False
        self._closed: LogError | None = None

    @classmethod
    async def open(cls, brokers: str, names: TopicNames, partitions: int) -> "KafkaWriter":
        """Connect and get a producer id; raises LogUnavailable."""
        producer = AIOKafkaProducer(
            bootstrap_servers=brokers,
            client_id="linkflow-writer",
            acks="all",
            enable_idempotence=True,
            max_batch_size=MAX_BATCH_BYTES,
            max_request_size=2 * MAX_BATCH_BYTES,
            linger_ms=0,
            request_timeout_ms=APPEND_MS,
            retry_backoff_ms=RETRY_MS,
        )
        try:
            async with asyncio.timeout(APPEND_MS / 1000):
                await producer.start()
                for name in names.all():
                    await producer.partitions_for(name)
        except UNAVAILABLE as error:
            await bounded(producer.stop())
            raise unavailable(error) from error
        return cls(producer, names, partitions)

    async def append(self, topic: Topic, partition: int, records: Sequence[NewRecord]) -> int:
        if self._closed is not None:
            raise WriterClosed(f"this writer is closed: {self._closed}")
        if not records:
            raise ValueError("an append needs at least one record")
        size = checked_bytes(records)
        place = self._places.get((topic, partition))
        if place is None:
            raise ValueError(f"{topic} has no partition {partition}")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[int] = loop.create_future()
        self._waiting.setdefault(place, deque()).append(_Append(records, size, done))
        if not self._scheduled:
            # At the end of this turn of the loop, so that what others append in it goes along.
            self._scheduled = True
            loop.call_soon(self._start_rounds)
        return await done

    async def close(self) -> None:
        self._fail(WriterClosed("this writer was closed"))
        for task in tuple(self._rounds):
            task.cancel()
        await asyncio.gather(*self._rounds, return_exceptions=True)
        await self._stop_producer()

    def _start_rounds(self) -> None:
        self._scheduled = False
        if self._closed is not None:
            return
        by_leader: dict[int, list[TopicPartition]] = {}
        for place in self._waiting:
            if place not in self._under_way:
                leader = self._producer.client.cluster.leader_for_partition(place)
                by_leader.setdefault(_UNKNOWN_LEADER if leader is None else leader, []).append(place)
        for leader, places in by_leader.items():
            if leader not in self._busy:
                self._busy.add(leader)
                batches = {place: self._take(place) for place in places}
                self._under_way.update(batches)
                task = asyncio.create_task(self._round(leader, batches), name="log writer")
                self._rounds.add(task)
                task.add_done_callback(self._rounds.discard)

    def _take(self, place: TopicPartition) -> list[_Append]:
        """The append calls of the next batch, in their order."""
        waiting = self._waiting[place]
        taken = [waiting.popleft()]
        size = taken[0].size
        while waiting and (size := size + waiting[0].size) <= BATCH_BYTES:
            taken.append(waiting.popleft())
        if not waiting:
            del self._waiting[place]
        return taken

    async def _round(self, leader: int, batches: dict[TopicPartition, list[_Append]]) -> None:
        sent: list[tuple[list[_Append], asyncio.Future[Any]]] = []
        try:
            # The library retries what may be retried (idempotent: never twice), for ever: the time-out ends that.
            async with asyncio.timeout(APPEND_MS / 1000):
                for place, appends in batches.items():
                    future = await self._producer.send_batch(_pack(appends), place.topic, partition=place.partition)
                    sent.append((appends, future))
                await asyncio.wait([future for _, future in sent])
            for appends, future in sent:
                offset = future.result().offset
                if offset < 0:  # a duplicate of a batch that landed before: where, the broker does not say
                    raise LogUnavailable("the broker acknowledged an append without its offset")
                _resolve(appends, offset)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, the outcome is unknown
            self._fail(error if isinstance(error, LogError) else unavailable(error))
            for _, future in sent:
                future.cancel()
            await self._stop_producer()
            return
        self._busy.discard(leader)
        for place in batches:
            del self._under_way[place]
        if self._waiting:
            self._start_rounds()

    def _fail(self, error: LogError) -> None:
        if self._closed is None:
            self._closed = error
        for appends in (*self._under_way.values(), *self._waiting.values()):
            for append in appends:
                if not append.done.done():
                    append.done.set_exception(type(error)(*error.args))
        self._waiting.clear()

    async def _stop_producer(self) -> None:
        """End the producer without sending what it holds: this writer has given that up."""
        accumulator, sender = self._producer._message_accumulator, self._producer._sender
        accumulator.fail_all(LogUnavailable("the writer was closed"))
        if sender.sender_task is not None and not sender.sender_task.done():
            sender.sender_task.cancel()
        with contextlib.suppress(LogUnavailable):
            await bounded(self._producer.stop())
        await bounded(self._producer.client.close())


def _pack(appends: list[_Append]) -> BatchBuilder:
    batch = BatchBuilder(MAX_BATCH_BYTES, _NO_COMPRESSION)
    for append in appends:
        for record in append.records:
            added = batch.append(timestamp=None, key=record.key, value=record.value, headers=list(record.headers))
            assert added is not None, "sizes were checked before"
    batch.close()
    return batch


def _resolve(appends: list[_Append], offset: int) -> None:
    for append in appends:
        if not append.done.done():
            append.done.set_result(offset)
        offset += len(append.records)
