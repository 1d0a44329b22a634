"""Making the topics, and refusing a log that is not the one expected."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from infra.log import open_admin, open_log
from infra.log.port import MAX_APPEND_BYTES, LogMismatch, NewRecord, Topic
from tests.contracts.log.stores import PARTITIONS, Store, kafka_store, postgres_store


@pytest.fixture(params=["postgres", pytest.param("kafka", marks=pytest.mark.kafka)])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    if request.param == "postgres":
        made = await postgres_store(request.getfixturevalue("postgres_url"))
    else:
        made = await kafka_store(request.getfixturevalue("kafka_bootstrap"))
    yield made
    await made.close()


async def test_topics_are_made_once(store: Store) -> None:
    assert store.admin is not None
    admin = await store.admin()
    await admin.create_topics(PARTITIONS)
    described = await admin.describe()
    await admin.close()
    assert set(described) == set(Topic)
    assert {what["partitions"] for what in described.values()} == {PARTITIONS}
    assert (await store.log()).partitions == PARTITIONS


async def test_several_may_make_them_at_once(store: Store) -> None:
    assert store.admin is not None
    admins = [await store.admin() for _ in range(4)]
    await asyncio.gather(*(admin.create_topics(PARTITIONS) for admin in admins))
    for admin in admins:
        await admin.close()


async def test_another_partition_count_is_refused(store: Store) -> None:
    assert store.admin is not None
    admin = await store.admin()
    with pytest.raises(LogMismatch, match="partitions") as refused:
        await admin.create_topics(PARTITIONS + 1)
    await admin.close()
    assert str(PARTITIONS) in str(refused.value)
    assert str(PARTITIONS + 1) in str(refused.value)


async def test_the_settings_partition_count_is_checked(postgres_url: str) -> None:
    admin = await open_admin("postgres", database_url=postgres_url)
    await admin.create_topics(3)
    log = await open_log("postgres", database_url=postgres_url, partitions=3)
    await log.close()
    with pytest.raises(LogMismatch, match=r"3 .*5"):
        await open_log("postgres", database_url=postgres_url, partitions=5)


async def test_a_database_without_topics_is_refused(postgres_url: str) -> None:
    with pytest.raises(LogMismatch, match="create"):
        await open_log("postgres", database_url=postgres_url)


@pytest.mark.kafka
async def test_a_broker_without_topics_is_refused(kafka_bootstrap: str) -> None:
    with pytest.raises(LogMismatch, match=r"nothing\.linkflow\.commands"):
        await open_log(f"kafka://{kafka_bootstrap}", prefix="nothing.")


@pytest.mark.kafka
async def test_compacted_and_too_small_topics_are_refused(kafka_bootstrap: str) -> None:
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic

    client = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await client.start()
    compacted = {"cleanup.policy": "compact", "max.message.bytes": "5000000"}
    await client.create_topics(
        [
            NewTopic("c1.linkflow.events", 2, 1, topic_configs=compacted),
            NewTopic("c2.linkflow.events", 2, 1, topic_configs={"max.message.bytes": "1000"}),
        ]
    )
    await client.close()
    for prefix, expected in (("c1.", "cleanup.policy=delete expected, compact found"), ("c2.", "1000 found")):
        admin = await open_admin(f"kafka://{kafka_bootstrap}", prefix=prefix)
        with pytest.raises(LogMismatch, match=rf"{prefix}linkflow\.events: .*{expected}"):
            await admin.create_topics(2)
        await admin.close()


async def test_ticks_are_kept_for_an_hour(postgres_url: str) -> None:
    store = await postgres_store(postgres_url)
    log = await store.log()
    writer = await log.writer()
    await writer.append(Topic.TICKS, 1, [NewRecord(b"tick")] * 4096)
    await log._control.fetch('UPDATE ticks SET appended_at = 0 WHERE "offset" < 400')  # type: ignore[attr-defined]
    await writer.append(Topic.TICKS, 1, [NewRecord(b"tick")])
    assert await log.first_offset(Topic.TICKS, 1) == 400, "old ones go, those of the last hour stay"
    assert await log.end_offset(Topic.TICKS, 1) == 4097
    reader = await log.reader()
    reader.seek(Topic.TICKS, 1, 400)
    assert (await reader.read(max_records=1))[0].offset == 400
    await reader.close()
    await writer.close()
    await store.close()


@pytest.mark.kafka
async def test_topics_are_configured_for_a_log(kafka_bootstrap: str) -> None:
    store = await kafka_store(kafka_bootstrap)
    assert store.admin is not None
    admin = await store.admin()
    described = await admin.describe()
    await admin.close()
    for topic, found in described.items():
        assert found["cleanup.policy"] == "delete"
        assert found["message.timestamp.type"] == "LogAppendTime"
        assert found["retention.ms"] == ("3600000" if topic is Topic.TICKS else "-1")
        assert int(found["max.message.bytes"]) >= MAX_APPEND_BYTES
        assert int(found["replicas"]) >= 1
