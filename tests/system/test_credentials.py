"""Credentials in whole systems: used by workers, tried out, under a new key by a command that is killed, and nowhere in
clear: not in the log, the database, what processes say, or what the API answers (C18)."""

import asyncio
import json
import signal
import subprocess
from contextlib import suppress
from typing import Any

import asyncpg

from infra.log import open_log
from infra.log.port import LogUnavailable, Topic
from infra.telemetry.secret_values import encodings
from infra.vault import key_of
from tests.support.client import Client
from tests.support.cluster import LINKFLOW, Roles
from tests.support.processes import environment, eventually
from tests.support.provider import provider

BASE = "/api/v1/credentials"
CANARY = "canary-0b7e31&x"
COUNT = 30


def calls(url: str, credential: str) -> dict[str, Any]:
    call = {"url": url, "full_response": True}
    return {
        "name": "Uses a credential",
        "nodes": [
            {"id": "start", "type": "manual"},
            {"id": "call", "type": "http", "parameters": call, "credentials": credential},
        ],
        "connections": [{"from": "start", "to": "call"}],
    }


async def _cli(cluster: Roles, *words: str, says: str | None = None) -> Any:
    child = await asyncio.create_subprocess_exec(
        *LINKFLOW, *words, "--json",
        env=environment(cluster.settings), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    out, err = await child.communicate(says.encode() if says is not None else None)
    assert child.returncode == 0, err.decode()
    return json.loads(out)


async def test_from_the_command_line_to_the_service_and_nowhere_else(shared: Roles, client: Client) -> None:
    answers: list[Any] = []
    async with provider() as service:
        words = ("credentials", "create", "http_bearer", "Shop", "--set", "allowed_hosts=127.0.0.1", "--stdin")
        made = await _cli(shared, *words, says=f"{CANARY}\n")
        answers.append(made)
        told = await _cli(shared, "credentials", "test", made["id"], "--url", f"{service.url}/echo/200")
        assert told["ok"]
        workflow = await client.create(calls(f"{service.url}/echo/200", made["id"]))
        done = await client.execute(workflow["id"], {}, wait=20)
        assert done["status"] == "completed", done["error"]
        assert service.seen[-1].headers["Authorization"] == f"Bearer {CANARY}"
        assert "[hidden]" in json.dumps(done)  # the service repeats what it was sent
        failing = await client.create(calls(f"{service.url}/echo/500", made["id"]))
        failed = await client.execute(failing["id"], {}, wait=20)
        assert failed["error"]["code"] == "http_status"
        elsewhere = await client.create(calls("http://localhost:1/", made["id"]))
        refused = await client.execute(elsewhere["id"], {}, wait=20)
        assert refused["error"]["code"] == "credential_host_refused"

        # S11 at run: what was right when it was saved is looked at again, also for an old execution
        await _cli(shared, "credentials", "delete", made["id"], "--force")
        gone = await client.execute(workflow["id"], {}, wait=20)
        assert gone["error"]["code"] == "credential_not_found"
        retried = await client.ask("POST", f"/api/v1/executions/{failed['id']}/retry")
        again: dict[str, Any] = {}

        async def ended() -> bool:
            again.update(await client.execution(retried["execution_id"]))
            return bool(again["error"])

        await eventually(ended, lambda: f"the retry is {again.get('status')}", within=20)
        assert again["error"]["code"] == "credential_not_found"
        answers += [done, failed, refused, gone, again]
    assert not found_in(json.dumps(answers))
    await shared.verify()
    assert not await leaks(shared)


async def test_a_killed_change_of_keys_goes_on(shared: Roles, client: Client) -> None:
    made = [
        await client.ask("POST", BASE, json={"name": f"c{n}", "type": "http_bearer", "data": {"token": f"{CANARY}{n}"}})
        for n in range(COUNT)
    ]
    before = await keys_of(shared, made)
    child = await asyncio.create_subprocess_exec(
        *LINKFLOW, "keys", "rotate-secrets", "--json",
        env=environment(shared.settings),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    async def begun() -> bool:
        return child.returncode is not None or await keys_of(shared, made) != before

    await eventually(begun, lambda: "no key has changed", within=30, every=0.005)
    with suppress(ProcessLookupError):
        child.send_signal(signal.SIGKILL)
    await child.wait()

    async with provider() as service:

        async def works(credential: dict[str, Any]) -> None:
            told = await client.ask("POST", f"{BASE}/{credential['id']}/test", json={"url": f"{service.url}/echo/200"})
            assert told["ok"], told

        await asyncio.gather(*(works(each) for each in made))
        code, out, err = await shared.cli("keys", "rotate-secrets", "--json")
        assert code == 0, err
        report = json.loads(out)
        assert (report["left"], report["broken"]) == (0, {})
        assert await keys_of(shared, made) == {report["key"]}
        assert report["key"] not in before
        await asyncio.gather(*(works(each) for each in made))
        fresh = await client.ask("POST", BASE, json={"name": "new", "type": "http_bearer", "data": {"token": CANARY}})
        assert await keys_of(shared, [fresh]) == {report["key"]}  # the api seals with it, without a restart
        seen = {each.headers["Authorization"].removeprefix(f"Bearer {CANARY}") for each in service.seen}
        assert seen == {str(n) for n in range(COUNT)}
    await shared.verify()
    assert not await leaks(shared)


async def keys_of(cluster: Roles, credentials: list[dict[str, Any]]) -> set[str]:
    connection = await asyncpg.connect(cluster.database_url)
    try:
        rows = await connection.fetch(
            "SELECT sealed::text FROM read.credentials WHERE id = ANY($1::uuid[])", [each["id"] for each in credentials]
        )
    finally:
        await connection.close()
    return {key_of(sealed) for row in rows for sealed in json.loads(row["sealed"]).values()}


def found_in(text: str) -> list[str]:
    return [form for form in encodings(CANARY) if form in text]


async def leaks(cluster: Roles) -> list[str]:
    """Where the canary stands: records of the log, rows of all tables, what processes said."""
    found = [f"{name} said {form}" for name, text in cluster.logs().items() for form in found_in(text)]
    prefix = cluster.settings.get("LINKFLOW_LOG_PREFIX", "")
    log = await open_log(cluster.log, database_url=cluster.database_url, prefix=prefix)
    reader = await log.reader()
    try:
        for topic in Topic:
            for partition in range(log.partitions):
                end, place = await log.end_offset(topic, partition), await log.first_offset(topic, partition)
                reader.seek(topic, partition, place)
                while place < end:
                    try:
                        records = await reader.read(max_records=1_000, timeout=2.0)
                    except LogUnavailable:
                        continue
                    for record in records:
                        text = record.value.decode("utf-8", "replace") + repr(record.headers)
                        found += [f"{topic}/{partition}@{record.offset} has {form}" for form in found_in(text)]
                        place = record.offset + 1
                reader.forget(topic, partition)
    finally:
        await reader.close()
        await log.close()
    connection = await asyncpg.connect(cluster.database_url)
    try:
        tables = await connection.fetch(
            "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        for table in tables:
            rows = await connection.fetch(f"SELECT t::text AS row FROM {table['name']} t")
            found += [f"{table['name']} has {form}" for row in rows for form in found_in(row["row"])]
    finally:
        await connection.close()
    return found
