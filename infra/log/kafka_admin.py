"""Makes and checks the topics at a Kafka or Redpanda broker."""

import asyncio
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code

from infra.log.kafka_connection import REQUEST_MS, UNAVAILABLE, TopicNames, bounded, unavailable
from infra.log.port import LogMismatch, LogUnavailable, Topic

KEPT_FOR_EVER = "-1"
TICKS_KEPT_MS = "3600000"
TICKS_SEGMENT_MS = "600000"
"""Only whole segments are deleted: without this an hour would be a week."""
MAX_BATCH_BYTES = 5_000_000
"""One append call is one batch (MAX_APPEND_BYTES)."""

CONFIGS = ("cleanup.policy", "retention.ms", "min.insync.replicas", "max.message.bytes", "message.timestamp.type")
OPTIONAL = ("unclean.leader.election.enable", "min.insync.replicas")
"""What another implementation of the protocol may not know (Redpanda has no unclean elections and acks by quorum)."""

_TOPIC_EXISTS = 36
_INVALID_CONFIG = 40


@dataclass(frozen=True, slots=True)
class _Found:
    partitions: int
    replicas: int
    configs: dict[str, str]


class KafkaLogAdmin:
    """A LogAdmin; connects with its first call."""

    def __init__(self, brokers: str, *, prefix: str = "") -> None:
        self._brokers = brokers
        self._names = TopicNames(prefix)
        self._client: AIOKafkaAdminClient | None = None

    async def create_topics(self, partitions: int) -> None:
        if partitions < 1:
            raise ValueError("a log needs at least one partition")
        try:
            client = await self._connected()
            brokers = len((await client.describe_cluster())["brokers"])
            replicas = min(3, brokers)
            existing = await self._find(client)
            self._compare(existing, partitions, replicas)
            missing = [topic for topic in Topic if topic not in existing]
            if missing:
                await self._create(client, missing, partitions, replicas)
                await self._wait_for(client, partitions, replicas)
        except UNAVAILABLE as error:
            raise unavailable(error) from error

    async def describe(self) -> dict[Topic, dict[str, str | int]]:
        """Of each topic that exists: partitions, replicas and the configuration that matters."""
        try:
            found = await self._find(await self._connected())
        except UNAVAILABLE as error:
            raise unavailable(error) from error
        return {
            topic: {"partitions": what.partitions, "replicas": what.replicas, **what.configs}
            for topic, what in found.items()
        }

    async def close(self) -> None:
        if self._client is not None:
            await bounded(self._client.close())
            self._client = None

    async def _connected(self) -> AIOKafkaAdminClient:
        if self._client is None:
            client = AIOKafkaAdminClient(
                bootstrap_servers=self._brokers, client_id="linkflow-admin", request_timeout_ms=REQUEST_MS
            )
            try:
                await client.start()
            except BaseException:
                await bounded(client.close())
                raise
            self._client = client
        return self._client

    async def _find(self, client: AIOKafkaAdminClient) -> dict[Topic, _Found]:
        """The topics that exist (asked for by listing all: asking by name could make a broker create them)."""
        described = {
            topic: entry
            for entry in await client.describe_topics()
            if (topic := self._names.topic(entry["topic"])) is not None
        }
        if not described:
            return {}
        resources = [ConfigResource(ConfigResourceType.TOPIC, self._names[topic]) for topic in described]
        configs: dict[str, dict[str, str]] = {}
        for response in await client.describe_configs(resources):
            for code, message, _, name, entries in response.resources:
                if code:
                    raise LogUnavailable(f"the broker does not describe {name}: {message}")
                configs[name] = {entry[0]: str(entry[1]) for entry in entries if entry[0] in CONFIGS}
        return {
            topic: _Found(
                partitions=len(entry["partitions"]),
                replicas=min((len(partition["replicas"]) for partition in entry["partitions"]), default=0),
                configs=configs[self._names[topic]],
            )
            for topic, entry in described.items()
        }

    def _compare(self, existing: dict[Topic, _Found], partitions: int, replicas: int) -> None:
        for topic, found in existing.items():
            name = self._names[topic]
            if found.partitions != partitions:
                raise LogMismatch(f"{name}: {partitions} partitions expected, {found.partitions} found")
            policy = found.configs.get("cleanup.policy", "delete")
            if policy != "delete":
                raise LogMismatch(f"{name}: cleanup.policy=delete expected, {policy} found")
            wanted = _min_in_sync(found.replicas)
            in_sync = int(found.configs.get("min.insync.replicas", wanted))
            if in_sync < wanted:
                raise LogMismatch(f"{name}: min.insync.replicas={wanted} expected, {in_sync} found")
            limit = int(found.configs.get("max.message.bytes", MAX_BATCH_BYTES))
            if limit < MAX_BATCH_BYTES:
                raise LogMismatch(f"{name}: max.message.bytes={MAX_BATCH_BYTES} expected, {limit} found")

    async def _create(self, client: AIOKafkaAdminClient, topics: list[Topic], partitions: int, replicas: int) -> None:
        left, without = topics, frozenset[str]()
        while left:
            wanted = [
                NewTopic(self._names[topic], partitions, replicas, topic_configs=_configs(topic, replicas, without))
                for topic in left
            ]
            response = await client.create_topics(wanted)
            refused: list[Topic] = []
            for name, code, message, *_ in response.topic_errors:
                topic = self._names.topic(name)
                if code == _INVALID_CONFIG and not without and topic is not None:
                    refused.append(topic)
                elif code not in {0, _TOPIC_EXISTS}:
                    raise for_code(code)(f"{name} could not be created: {message}")
            left, without = refused, frozenset(OPTIONAL)

    async def _wait_for(self, client: AIOKafkaAdminClient, partitions: int, replicas: int) -> None:
        """Until every broker's answer has the new topics (creation is told before it is known everywhere)."""
        async with asyncio.timeout(REQUEST_MS / 1000):
            while True:
                existing = await self._find(client)
                self._compare(existing, partitions, replicas)
                if len(existing) == len(Topic):
                    return
                await asyncio.sleep(0.05)


def _min_in_sync(replicas: int) -> int:
    return 2 if replicas >= 3 else 1


def _configs(topic: Topic, replicas: int, without: frozenset[str]) -> dict[str, str]:
    configs = {
        "cleanup.policy": "delete",
        "retention.ms": KEPT_FOR_EVER,
        "retention.bytes": KEPT_FOR_EVER,
        "max.message.bytes": str(MAX_BATCH_BYTES),
        "message.timestamp.type": "LogAppendTime",
        "min.insync.replicas": str(_min_in_sync(replicas)),
        "unclean.leader.election.enable": "false",
    }
    if topic is Topic.TICKS:
        configs |= {"retention.ms": TICKS_KEPT_MS, "segment.ms": TICKS_SEGMENT_MS}
    return {name: value for name, value in configs.items() if name not in without}
