"""Trace 19: the client library calls a duplicate a success without an offset, and retries without end."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaProducer

from infra.log import kafka_writer
from infra.log.kafka_connection import TopicNames
from infra.log.kafka_writer import KafkaWriter
from infra.log.port import LogUnavailable, NewRecord, Topic, WriterClosed


class _Producer:
    """What the writer uses of the library's producer. `offset`: of every batch; None: it never answers."""

    def __init__(self, offset: int | None) -> None:
        self.offset = offset
        self.sent = 0
        self.stopped = asyncio.Event()
        self.client = SimpleNamespace(
            cluster=SimpleNamespace(leader_for_partition=lambda _place: 1), close=self._nothing
        )
        self._message_accumulator = SimpleNamespace(fail_all=lambda _error: None)
        self._sender = SimpleNamespace(sender_task=None)

    async def send_batch(self, _batch: Any, _topic: str, *, partition: int) -> asyncio.Future[Any]:
        assert partition == 0
        self.sent += 1
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self.offset is not None:
            answer.set_result(SimpleNamespace(offset=self.offset))
        return answer

    async def stop(self) -> None:
        self.stopped.set()

    async def _nothing(self) -> None: ...


def _writer(producer: _Producer) -> KafkaWriter:
    return KafkaWriter(cast(AIOKafkaProducer, producer), TopicNames("test"), 1)


async def test_trace_19_success_without_an_offset_is_no_success() -> None:
    producer = _Producer(offset=-1)
    writer = _writer(producer)
    with pytest.raises(LogUnavailable, match="without its offset"):
        await writer.append(Topic.EVENTS, 0, [NewRecord(b"{}")])
    await asyncio.wait_for(producer.stopped.wait(), 5)
    with pytest.raises(WriterClosed):
        await writer.append(Topic.EVENTS, 0, [NewRecord(b"{}")])
    assert producer.sent == 1


async def test_trace_19_retries_without_end_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_writer, "APPEND_MS", 20)
    producer = _Producer(offset=None)
    writer = _writer(producer)
    with pytest.raises(LogUnavailable, match="TimeoutError"):
        await writer.append(Topic.EVENTS, 0, [NewRecord(b"{}")])
    await asyncio.wait_for(producer.stopped.wait(), 5)


async def test_an_offset_is_the_appends_own() -> None:
    writer = _writer(_Producer(offset=7))
    appends = [writer.append(Topic.EVENTS, 0, [NewRecord(b"{}")] * count) for count in (2, 1)]
    assert await asyncio.gather(*appends) == [7, 9]
    await writer.close()
