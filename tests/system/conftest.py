"""Whole systems on the session's PostgreSQL server and Kafka broker, a fresh database and prefix for each cluster.

Tests that kill the database or the broker make their own. LINKFLOW_TEST_FULL=1 runs every size as the issue names it;
without it the longest waits are shorter and some combinations run on one log only.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path

import pytest

from tests.support.client import Client
from tests.support.cluster import Roles
from tests.support.postgres import PostgresServer
from tests.support.stub import Stub
from tests.torture.clocks import SteppedClock, faketime_library

FULL = os.environ.get("LINKFLOW_TEST_FULL", "") == "1"
LOGS = ["postgres", pytest.param("kafka", marks=pytest.mark.kafka)]
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.system)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What the shared cluster's processes said last belongs to the report of a failure."""
    report = yield
    shared = getattr(item, "funcargs", {}).get("shared")
    if report.failed and isinstance(shared, Roles):
        report.sections.extend((f"shared {name}", text) for name, text in shared.logs().items())
    return report


@pytest.fixture(params=LOGS)
def log(request: pytest.FixtureRequest) -> str:
    """Each log in turn, as LINKFLOW_LOG names it."""
    return _log(request, request.param)


@pytest.fixture
def stub() -> Iterator[Stub]:
    with Stub() as service:
        yield service


@pytest.fixture
def roles(tmp_path: Path, postgres_url: str) -> Callable[..., Roles]:
    """Makes a cluster of this test's database; the test starts it by `async with`."""

    def make(log: str = "postgres", *, workers: int = 1, **settings: str) -> Roles:
        return Roles(tmp_path, database_url=postgres_url, log=log, workers=workers, settings=settings)

    return make


@pytest.fixture(scope="session", params=LOGS)
def shared(
    request: pytest.FixtureRequest, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Roles]:
    """One cluster a log for all tests that hurt nobody else."""
    url = postgres_server.create_database()
    cluster = Roles(tmp_path_factory.mktemp("shared"), database_url=url, log=_log(request, request.param))
    try:
        asyncio.run(cluster.start())
        yield cluster
    except BaseException:
        cluster.show()
        raise
    finally:
        cluster.kill()


@pytest.fixture
async def client(shared: Roles) -> AsyncIterator[Client]:
    """The shared cluster's client on this test's event loop."""
    async with Client(shared.url, shared.key) as mine:
        yield mine


def _log(request: pytest.FixtureRequest, name: str) -> str:
    return f"kafka://{request.getfixturevalue('kafka_bootstrap')}" if name == "kafka" else name


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """One whose clock can be set."""
    if faketime_library() is None:
        pytest.skip("there is no libfaketime: the database's clock cannot be set")
    made = PostgresServer()
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture
def clock(server: PostgresServer) -> SteppedClock:
    """The server's; it runs."""
    library = faketime_library()
    assert library is not None
    clock = SteppedClock(library, server.home / "clock")
    server.environment = clock.environment
    server.start()
    return clock
