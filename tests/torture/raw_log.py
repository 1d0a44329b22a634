"""Reads the log's bytes without the product: PostgreSQL's tables by SQL, Kafka's topics by aiokafka."""

import pickle
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

TOPICS = ("commands", "events", "execution-commands", "executions", "dead-letters")
_TABLES = {name: name.replace("-", "_") for name in TOPICS}


@dataclass(frozen=True, slots=True)
class RawRecord:
    """`appended_at`: ms, by the clock of the log's server."""

    topic: str
    partition: int
    offset: int
    appended_at: int
    headers: dict[str, bytes]
    value: bytes


def keep_records(path: Path, records: list[RawRecord]) -> None:
    """For whoever looks into a violation afterwards: the log itself goes with the cluster."""
    with path.open("wb") as file:
        pickle.dump(records, file, protocol=pickle.HIGHEST_PROTOCOL)


async def read_postgres(url: str) -> list[RawRecord]:
    """All records of all topics but ticks, in order of offsets within each partition."""
    connection = await asyncpg.connect(url)
    found: list[RawRecord] = []
    try:
        for topic, table in _TABLES.items():
            rows = await connection.fetch(
                f'SELECT partition, "offset", appended_at, headers, value FROM log.{table} ORDER BY partition, "offset"'
            )
            found += [
                RawRecord(
                    topic,
                    row["partition"],
                    row["offset"],
                    row["appended_at"],
                    dict(msgspec.msgpack.decode(row["headers"])),
                    row["value"],
                )
                for row in rows
            ]
    finally:
        await connection.close()
    return found


async def read_kafka(bootstrap: str, prefix: str, partitions: int) -> list[RawRecord]:
    """As `read_postgres`, up to the ends as they are when it begins."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="none", max_poll_records=5000
    )
    await consumer.start()
    found: list[RawRecord] = []
    try:
        for topic in TOPICS:
            name = f"{prefix}linkflow.{topic}"
            places = [TopicPartition(name, partition) for partition in range(partitions)]
            consumer.assign(places)
            ends = await consumer.end_offsets(places)
            await consumer.seek_to_beginning(*places)
            left = {place for place, end in ends.items() if end > (await consumer.beginning_offsets([place]))[place]}
            while left:
                for place, records in (await consumer.getmany(timeout_ms=1000)).items():
                    for record in records:
                        headers = dict(record.headers)
                        if record.offset < ends[place]:
                            found.append(
                                RawRecord(
                                    topic,
                                    place.partition,
                                    record.offset,
                                    record.timestamp,
                                    headers,
                                    record.value or b"",
                                )
                            )
                    if records and records[-1].offset + 1 >= ends[place]:
                        left.discard(place)
    finally:
        await consumer.stop()
    return sorted(found, key=lambda record: (record.topic, record.partition, record.offset))
