"""`store`: the log under test, once for each implementation."""

from collections.abc import AsyncIterator

import pytest

from infra.log import kafka_membership, postgres_membership
from infra.log.port import Log
from tests.contracts.log.stores import Store, kafka_store, memory_store, postgres_store


@pytest.fixture(
    params=["memory", "postgres", pytest.param("kafka", marks=pytest.mark.kafka)],
)
async def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    # Leases are waited for in these tests: short ones.
    monkeypatch.setattr(postgres_membership, "LEASE_SECONDS", 1.5)
    monkeypatch.setattr(postgres_membership, "HEARTBEAT_SECONDS", 0.3)
    monkeypatch.setattr(kafka_membership, "SESSION_MS", 1_500)
    monkeypatch.setattr(kafka_membership, "HEARTBEAT_MS", 300)
    match request.param:
        case "memory":
            made = await memory_store()
        case "postgres":
            made = await postgres_store(request.getfixturevalue("postgres_url"))
        case _:
            made = await kafka_store(request.getfixturevalue("kafka_bootstrap"))
    yield made
    await made.close()


@pytest.fixture
async def log(store: Store) -> Log:
    return await store.log()
