"""The same request, however often it comes, makes one execution."""

import asyncio
import secrets
from collections.abc import Callable

import asyncpg

from infra.log import open_log
from infra.log.port import NewRecord, Topic
from tests.support.client import Client
from tests.support.cluster import Roles
from tests.support.history import read_log
from tests.support.stub import Stub
from tests.system.documents import echo, http_step
from tests.system.flow import all_ended, prove_sound, start_many

CLIENTS = 50


async def test_one_idempotency_key_from_many_clients_at_once(client: Client, stub: Stub) -> None:
    workflow, _ = await client.deploy(http_step(f"{stub.url}/delay/200"))
    key = secrets.token_hex(8)
    given = {"body": {"key": key}}

    async def start() -> str:
        return str((await client.execute(workflow, given, key=key))["execution_id"])

    found = set(await asyncio.gather(*(start() for _ in range(CLIENTS))))
    assert len(found) == 1
    assert await all_ended(client, workflow, found, within=20) == {"completed": 1}
    assert await start() in found  # again, after it has closed
    assert len(await client.statuses(workflow)) == 1
    assert stub.summary()["received"] == 1
    path = f"/api/v1/workflows/{workflow}/execute"
    status, _, problem = await client.send(
        "POST", path, json={"input": {"body": {"key": "another"}}}, headers={"Idempotency-Key": key}
    )
    assert (status, problem["code"]) == (422, "idempotency_mismatch")


async def test_one_key_on_a_webhook(client: Client) -> None:
    workflow, path = await client.deploy(echo())
    headers = {"Idempotency-Key": secrets.token_hex(8)}
    answers = await asyncio.gather(
        *(client.send("POST", path, json={"key": "a"}, headers=headers) for _ in range(CLIENTS))
    )
    assert {status for status, _, _ in answers} == {202}
    assert len({body["execution_id"] for _, _, body in answers}) == 1
    assert await all_ended(client, workflow, {answers[0][2]["execution_id"]}, within=20) == {"completed": 1}
    assert len(await client.statuses(workflow)) == 1


async def test_commands_that_stand_twice_in_the_log(roles: Callable[..., Roles], log: str, stub: Stub) -> None:
    async with roles(log) as cluster:
        workflow, path = await cluster.client.deploy(http_step(f"{stub.url}/delay/200"))
        accepted = await start_many(cluster.client, path, 20)
        await _append_again(cluster)  # while they run
        assert await all_ended(cluster.client, workflow, accepted.values(), within=20) == {"completed": 20}
        await _append_again(cluster)  # after their end
        later = await start_many(cluster.client, path, 20, prefix="later")
        assert await all_ended(cluster.client, workflow, later.values(), within=20) == {"completed": 20}
        assert len(await cluster.client.statuses(workflow)) == 40
        history = await prove_sound(cluster, [*accepted.values(), *later.values()])
        history.check_calls(stub.requests(), accepted | later, once=True)


async def _append_again(cluster: Roles) -> None:
    """Every start command of the log once more, byte for byte, as a confused client or a retried append would."""
    prefix = cluster.settings.get("LINKFLOW_LOG_PREFIX", "")
    log = await open_log(cluster.log, database_url=cluster.database_url, prefix=prefix)
    writer = await log.writer()
    try:
        for record in await read_log(log, Topic.EXECUTION_COMMANDS):
            copy = NewRecord(record.value, record.headers, record.key)
            await writer.append(Topic.EXECUTION_COMMANDS, record.partition, [copy])
    finally:
        await writer.close()
        await log.close()


async def test_the_same_key_an_hour_later(roles: Callable[..., Roles], log: str, stub: Stub) -> None:
    """The owner has long forgotten the id (which takes real minutes: here its memory of it is deleted); the read model
    answers for it."""
    async with roles(log) as cluster:
        workflow, _ = await cluster.client.deploy(http_step(f"{stub.url}/delay/0"))
        key = secrets.token_hex(8)
        given = {"body": {"key": key}}
        first = (await cluster.client.execute(workflow, given, key=key))["execution_id"]
        assert await all_ended(cluster.client, workflow, {first}, within=20) == {"completed": 1}
        worker = cluster.workers[0]
        await worker.terminate()  # its last checkpoint lies behind the execution's end
        connection = await asyncpg.connect(cluster.database_url)
        try:
            forgotten = await connection.execute("DELETE FROM remembered_ids WHERE lane = 'executions'")
        finally:
            await connection.close()
        assert forgotten != "DELETE 0"
        worker.start()
        await cluster.ready()
        later = (await cluster.client.execute(workflow, given, key=key))["execution_id"]
        assert later == first
        fresh = (await cluster.client.execute(workflow, given, key=secrets.token_hex(8)))["execution_id"]
        assert await all_ended(cluster.client, workflow, {first, fresh}, within=20) == {"completed": 2}
        assert stub.summary()["received"] == 2
