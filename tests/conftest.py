"""Servers that tests share: one PostgreSQL and one Kafka broker a session (with pytest-xdist: a worker)."""

from collections.abc import Iterator

import pytest

from tests.support.kafka import KafkaMissing, kafka_required, open_broker
from tests.support.postgres import PostgresServer
from tests.support.redis import RedisMissing, RedisServer, redis_required

LONG = ("tests/system/", "tests/simulation/", "tests/services/scheduler/", "tests/contracts/")
"""Files that take minutes go first where several processes share the tests, so that none has one left at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A running server. Not to be stopped by a test: that takes a PostgresServer of its own."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The address of a fresh, empty database."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)


@pytest.fixture(scope="session")
def kafka_bootstrap() -> Iterator[str]:
    """`host:port` of a running broker; topics of other tests are there too: use a prefix of your own."""
    try:
        broker = open_broker()
    except KafkaMissing as missing:
        if kafka_required():
            pytest.fail(f"a Kafka broker is required here: {missing}")
        pytest.skip(f"the Kafka suites did not run: {missing}")
    try:
        yield broker.bootstrap
    finally:
        broker.remove()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A running Redis with a password; tests use keys of their own."""
    try:
        server = RedisServer()
    except RedisMissing as missing:
        if redis_required():
            pytest.fail(f"a Redis is required here: {missing}")
        pytest.skip(f"nothing was tried on a Redis: {missing}")
    try:
        yield server
    finally:
        server.remove()
