"""The log on Kafka or Redpanda. Why these parts of the client library, and not its consumer: kafka_reader.py."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.errors import KafkaError, LeaderNotAvailableError, for_code
from aiokafka.protocol.admin import DeleteRecordsRequest
from aiokafka.protocol.commit import OffsetCommitRequest, OffsetFetchRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.structs import TopicPartition

from infra.log.kafka_admin import KafkaLogAdmin
from infra.log.kafka_connection import (
    REQUEST_MS,
    RETRY_MS,
    UNAVAILABLE,
    TopicNames,
    bounded,
    open_client,
    partitions_of,
    unavailable,
)
from infra.log.kafka_membership import KafkaMembership
from infra.log.kafka_reader import KafkaReader
from infra.log.kafka_writer import KafkaWriter
from infra.log.port import LogMismatch, Membership, Reader, Topic, Writer

__all__ = ["KafkaLog", "KafkaLogAdmin"]

MOVING_SECONDS = 5.0
"""How long a small call follows a partition whose leader is on the move."""

_LATEST, _EARLIEST = -1, -2
_CONSUMER = -1
_READ_UNCOMMITTED = 0


class KafkaLog:
    """A Log. One client serves its small calls and its readers; each writer and each membership has its own."""

    def __init__(self, brokers: str, client: AIOKafkaClient, names: TopicNames, partitions: int) -> None:
        self.partitions = partitions
        self._brokers = brokers
        self._client = client
        self._names = names

    @classmethod
    async def open(cls, brokers: str, *, prefix: str = "") -> "KafkaLog":
        """Open the log at `brokers` ("host:port,host:port"); raises LogUnavailable, LogMismatch (topics missing)."""
        names = TopicNames(prefix)
        admin = KafkaLogAdmin(brokers, prefix=prefix)
        try:
            # Before anything asks for the topics by name, which some brokers take for a wish to create them.
            if missing := [names[topic] for topic in set(Topic) - set(await admin.describe())]:
                raise LogMismatch(f"topics are missing, create them first: {', '.join(sorted(missing))}")
        finally:
            await admin.close()
        client = await open_client(brokers, names, client_id="linkflow-reader")
        try:
            partitions = partitions_of(client, names)
        except LogMismatch:
            await bounded(client.close())
            raise
        return cls(brokers, client, names, partitions)

    async def writer(self) -> Writer:
        return await KafkaWriter.open(self._brokers, self._names, self.partitions)

    async def reader(self) -> Reader:
        return KafkaReader(self._client, self._names)

    async def membership(self, group: str, member: str) -> Membership:
        membership = KafkaMembership(self._brokers, self._names, group, member)
        await membership.open()
        return membership

    async def end_offset(self, topic: Topic, partition: int) -> int:
        return await self._bound(topic, partition, _LATEST)

    async def first_offset(self, topic: Topic, partition: int) -> int:
        return await self._bound(topic, partition, _EARLIEST)

    async def group_offsets(self, group: str) -> dict[tuple[Topic, int], int]:
        response = await self._ask_coordinator(group, OffsetFetchRequest(self._group(group), None))
        offsets: dict[tuple[Topic, int], int] = {}
        for name, partitions in response.topics:
            for partition, offset, _, code in partitions:
                _check(code)
                topic = self._names.topic(name)
                if topic is not None and offset >= 0:
                    offsets[topic, partition] = offset
        return offsets

    async def commit_group_offsets(self, group: str, offsets: Mapping[tuple[Topic, int], int]) -> None:
        topics: dict[str, list[tuple[int, int, str]]] = {}
        for (topic, partition), offset in offsets.items():
            topics.setdefault(self._names[topic], []).append((partition, offset, ""))
        # Not as a member: members join a group of another name, so that this one takes offsets from anybody.
        request = OffsetCommitRequest(
            self._group(group),
            OffsetCommitRequest.DEFAULT_GENERATION_ID,
            "",
            OffsetCommitRequest.DEFAULT_RETENTION_TIME,
            list(topics.items()),
        )
        response = await self._ask_coordinator(group, request)
        for _, partitions in response.topics:
            for _, code in partitions:
                _check(code)

    async def delete_before(self, topic: Topic, partition: int, offset: int) -> None:
        cut = min(offset, await self.end_offset(topic, partition))
        request = DeleteRecordsRequest([(self._names[topic], [(partition, cut)])], REQUEST_MS)
        await self._ask_leader(topic, partition, request, code_at=2)

    async def close(self) -> None:
        await bounded(self._client.close())

    def _group(self, group: str) -> str:
        return f"{self._names.prefix}{group}"

    async def _bound(self, topic: Topic, partition: int, which: int) -> int:
        request = OffsetRequest(_CONSUMER, _READ_UNCOMMITTED, [(self._names[topic], [(partition, which)])])
        _, _, _, offset = await self._ask_leader(topic, partition, request, code_at=1)
        return int(offset)

    async def _ask_leader(self, topic: Topic, partition: int, request: object, *, code_at: int) -> Any:
        """What the leader answers for the partition; the error code is at `code_at`. Follows a leader that moves."""
        if not 0 <= partition < self.partitions:
            raise LogMismatch(f"{topic} has no partition {partition}")
        place = TopicPartition(self._names[topic], partition)
        deadline = time.monotonic() + MOVING_SECONDS
        while True:
            error: KafkaError = LeaderNotAvailableError()
            try:
                leader = self._client.cluster.leader_for_partition(place)
                if leader is not None and leader != -1:
                    response = await self._client.send(leader, request)
                    _, answers, *_ = response.topics[0]
                    if not (code := answers[0][code_at]):
                        return answers[0]
                    error = for_code(code)()
                if not error.retriable or time.monotonic() > deadline:
                    raise error
                await self._client.force_metadata_update()
                await asyncio.sleep(RETRY_MS / 1000)
            except UNAVAILABLE as failure:
                raise unavailable(failure) from failure

    async def _ask_coordinator(self, group: str, request: object) -> Any:
        try:
            node = await self._client.coordinator_lookup(CoordinationType.GROUP, self._group(group))
            return await self._client.send(node, request, group=ConnectionGroup.COORDINATION)
        except UNAVAILABLE as error:
            raise unavailable(error) from error


def _check(code: int) -> None:
    if code:
        error: KafkaError = for_code(code)()
        raise unavailable(error)
