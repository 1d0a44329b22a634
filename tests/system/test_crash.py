"""kill -9 in the middle of HTTP steps: everything ends once and the log knows an attempt for each call."""

from collections.abc import Callable, Iterator

import pytest

from tests.support.cluster import Roles
from tests.support.kafka import KafkaBroker, KafkaMissing, kafka_required, own_broker
from tests.support.postgres import PostgresServer
from tests.support.stub import Stub
from tests.system.conftest import FULL, LOGS
from tests.system.documents import http_step
from tests.system.flow import all_ended, prove_sound, start_many

COUNT = 200
STEP_SECONDS = 5


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A server that this test may kill."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def own_kafka() -> Iterator[KafkaBroker]:
    try:
        broker = own_broker()
    except KafkaMissing as missing:
        if kafka_required():
            raise
        pytest.skip(f"no Kafka broker of our own: {missing}")
    try:
        broker.start()
        yield broker
    finally:
        broker.remove()


async def test_a_killed_worker_loses_nothing(roles: Callable[..., Roles], log: str, stub: Stub) -> None:
    async with roles(log) as cluster:
        workflow, path = await cluster.client.deploy(http_step(f"{stub.url}/delay/{STEP_SECONDS * 1000}"))
        accepted = await start_many(cluster.client, path, COUNT)
        await stub.received(COUNT)
        [worker] = cluster.workers
        worker.kill()
        worker.start()
        await _all_done(cluster, workflow, accepted, stub)


@pytest.mark.parametrize("what", ["processes", "processes and database"])
async def test_everything_killed_on_the_embedded_log(
    what: str, tmp_path_factory: pytest.TempPathFactory, own_postgres: PostgresServer, stub: Stub
) -> None:
    cluster = Roles(tmp_path_factory.mktemp("roles"), database_url=own_postgres.url())
    async with cluster:
        workflow, path = await cluster.client.deploy(http_step(f"{stub.url}/delay/{STEP_SECONDS * 1000}"))
        accepted = await start_many(cluster.client, path, COUNT)
        await stub.received(COUNT)
        cluster.kill()
        if what == "processes and database":
            own_postgres.kill()
            own_postgres.start()
        cluster.start_all()
        await _all_done(cluster, workflow, accepted, stub)


@pytest.mark.kafka
async def test_everything_and_the_broker_killed(
    roles: Callable[..., Roles], own_kafka: KafkaBroker, stub: Stub
) -> None:
    async with roles(f"kafka://{own_kafka.bootstrap}") as cluster:
        workflow, path = await cluster.client.deploy(http_step(f"{stub.url}/delay/{STEP_SECONDS * 1000}"))
        accepted = await start_many(cluster.client, path, COUNT)
        await stub.received(COUNT)
        cluster.kill()
        own_kafka.kill()
        own_kafka.start()  # the broker's own start is not LinkFlow's time
        cluster.start_all()
        await _all_done(cluster, workflow, accepted, stub)


@pytest.mark.kafka
async def test_the_broker_alone_killed_under_running_processes(
    roles: Callable[..., Roles], own_kafka: KafkaBroker, stub: Stub
) -> None:
    async with roles(f"kafka://{own_kafka.bootstrap}") as cluster:
        workflow, path = await cluster.client.deploy(http_step(f"{stub.url}/delay/{STEP_SECONDS * 1000}"))
        accepted = await start_many(cluster.client, path, COUNT)
        await stub.received(COUNT)
        own_kafka.kill()
        own_kafka.start()
        cluster.start_all()  # a role may have ended over it: its supervisor would start it again
        await all_ended(cluster.client, workflow, accepted.values(), within=60)
        cluster.start_all()
        history = await prove_sound(cluster, accepted.values())
        history.check_calls(stub.requests(), {key: accepted[key] for key in accepted})


async def test_the_database_alone_killed_under_running_processes(
    tmp_path_factory: pytest.TempPathFactory, own_postgres: PostgresServer, stub: Stub
) -> None:
    cluster = Roles(tmp_path_factory.mktemp("roles"), database_url=own_postgres.url())
    async with cluster:
        workflow, path = await cluster.client.deploy(http_step(f"{stub.url}/delay/{STEP_SECONDS * 1000}"))
        accepted = await start_many(cluster.client, path, COUNT)
        await stub.received(COUNT)
        own_postgres.kill()
        own_postgres.start()
        cluster.start_all()
        await all_ended(cluster.client, workflow, accepted.values(), within=60)
        cluster.start_all()
        history = await prove_sound(cluster, accepted.values())
        history.check_calls(stub.requests(), accepted)


@pytest.mark.parametrize("log", LOGS if FULL else LOGS[:1], indirect=True)
async def test_unsafe_calls_are_never_repeated(roles: Callable[..., Roles], log: str, stub: Stub) -> None:
    async with roles(log) as cluster:
        document = http_step(f"{stub.url}/delay/{STEP_SECONDS * 1000}", "POST", timeout_seconds=6)
        workflow, path = await cluster.client.deploy(document)
        accepted = await start_many(cluster.client, path, COUNT)
        await stub.received(COUNT)
        [worker] = cluster.workers
        worker.kill()
        worker.start()
        # 5 s to start + 6 s time-out + 5 s grace, then nobody can be performing it any more (rule 10)
        ended = await all_ended(cluster.client, workflow, accepted.values(), within=16 + 20)
        assert ended == {"failed": COUNT}
        history = await prove_sound(cluster, accepted.values())
        history.check_calls(stub.requests(), accepted, once=True)
        assert stub.summary()["received"] == COUNT
        some = await cluster.client.execution(accepted["k0"])
        assert some["error"]["code"] == "outcome_unknown"
        runs = {run["node_id"]: run["status"] for run in some["node_executions"]}
        assert runs["call"] == "outcome_unknown"


async def _all_done(cluster: Roles, workflow: str, accepted: dict[str, str], stub: Stub) -> None:
    """All completed, once each, no call without an attempt. How fast: W6 of the benchmarks."""
    await cluster.ready()
    ended = await all_ended(cluster.client, workflow, accepted.values(), within=60)
    assert ended == {"completed": COUNT}
    history = await prove_sound(cluster, accepted.values())
    history.check_calls(stub.requests(), accepted)
