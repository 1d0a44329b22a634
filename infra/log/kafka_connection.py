"""What the parts of the Kafka log share: clients, topic names, and what the client library's errors mean."""

import asyncio
import logging
import ssl
from collections.abc import Coroutine
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from infra.log.port import LogMismatch, LogUnavailable, Topic

REQUEST_MS = 10_000
RETRY_MS = 100
CLOSE_SECONDS = 3.0

UNAVAILABLE = (KafkaError, OSError, TimeoutError, ssl.SSLError)

# The library reports every lost connection as an error, many times; ours say once what it means.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


class TopicNames:
    """The names of the topics at the broker: ours behind a prefix."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._names = {topic: f"{prefix}{topic}" for topic in Topic}
        self._topics = {name: topic for topic, name in self._names.items()}

    def __getitem__(self, topic: Topic) -> str:
        return self._names[topic]

    def topic(self, name: str) -> Topic | None:
        return self._topics.get(name)

    def all(self) -> list[str]:
        return list(self._topics)


def unavailable(error: BaseException) -> LogUnavailable:
    return LogUnavailable(f"Kafka did not answer: {type(error).__name__}: {error}")


async def open_client(brokers: str, names: TopicNames, *, client_id: str) -> AIOKafkaClient:
    """A connected client that follows the topics' metadata; raises LogUnavailable."""
    client = AIOKafkaClient(
        bootstrap_servers=brokers,
        client_id=client_id,
        request_timeout_ms=REQUEST_MS,
        retry_backoff_ms=RETRY_MS,
        metadata_max_age_ms=60_000,
    )
    try:
        await client.bootstrap()
        await client.set_topics(names.all())
    except UNAVAILABLE as error:
        await bounded(client.close())
        raise unavailable(error) from error
    return client


def partitions_of(client: AIOKafkaClient, names: TopicNames) -> int:
    """The number of partitions that all topics have; raises LogMismatch where one is missing or differs."""
    counts = {topic: len(client.cluster.partitions_for_topic(names[topic]) or ()) for topic in Topic}
    if missing := [names[topic] for topic, count in counts.items() if not count]:
        raise LogMismatch(f"topics are missing, create them first: {', '.join(missing)}")
    expected = counts[Topic.COMMANDS]
    for topic, count in counts.items():
        if count != expected:
            raise LogMismatch(
                f"{names[topic]} has {count} partitions, {names[Topic.COMMANDS]} has {expected}: they must be equal"
            )
    return expected


async def bounded(closing: Coroutine[Any, Any, object]) -> None:
    """Run what closes something of the client library, which may hang or fail when the broker is gone."""
    task = asyncio.ensure_future(closing)
    try:
        await asyncio.wait({task}, timeout=CLOSE_SECONDS)
    finally:
        task.cancel()
    await asyncio.gather(task, return_exceptions=True)
