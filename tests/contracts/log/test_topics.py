"""Making the topics, and refusing a log that is not the one expected."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from infra.log import open_admin, open_log
from infra.log.port import LogMismatch, Topic
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


async def test_several_may_make_them_at_once(request: pytest.FixtureRequest, store: Store) -> None:
    assert store.admin is not None
    admins = [await store.admin() for _ in range(4)]
    await asyncio.gather(*(admin.create_topics(PARTITIONS) for admin in admins))
    for admin in admins:
        await admin.close()


async def test_another_partition_count_is_refused(store: Store) -> None:
    assert store.admin is not None
    admin = await store.admin()
    with pytest.raises(LogMismatch, match=rf"(?s){Topic.COMMANDS}.*|{PARTITIONS}") as refused:
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
