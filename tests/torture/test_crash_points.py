"""The sweep: each failpoint in the source ends its process once, under a small load; nothing may come of it.

One cluster for all points of a log: for each, the process that has it is run with LINKFLOW_FAILPOINT until it has
killed itself, then as usual. A name that is never reached fails the sweep, and so does a name in no list of roles.
"""

import asyncio
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from infra.log import open_log
from infra.log.port import NewRecord, Topic
from tests.support.client import Client
from tests.support.kafka import KafkaMissing, kafka_required
from tests.support.processes import eventually
from tests.torture.checkers.streams import fenced, inputs_balance, legal_transitions, stream_contiguous
from tests.torture.cluster import CANARIES, PARTITIONS, TortureCluster
from tests.torture.evidence import Evidence
from tests.torture.facts import TERMINAL, start_of, understand
from tests.torture.marks import MARK
from tests.torture.plan import make_plan
from tests.torture.raw_log import read_kafka, read_postgres
from tests.torture.sink import Sink

ROOT = Path(__file__).parents[2]
LOAD = 12
ROLES = {
    "api": "api-0",
    "owner": "worker-0",
    "recovery": "worker-0",
    "checkpoint": "worker-0",
    "effect": "worker-0",
    "outbox": "worker-0",
    "projector": "projector-0",
    "scheduler": "projector-0",
}
GARBAGE = f"\0{MARK}sweep".encode()
"""Appended to an input topic for the point that lies behind a dead letter."""

LETTERS = "/api/v1/dead-letters"

LATER = 3
"""Outside of starts and recoveries a point strikes when it is reached for this time: in the middle of the load."""


def failpoints() -> list[str]:
    """Every name in the product's source."""
    names: list[str] = []
    for package in ("domain", "schemas", "projections", "infra", "services", "linkflow"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if path.name != "failpoints.py":
                names += re.findall(r'\bfailpoint\("([^"]+)"\)', path.read_text())
    return names


def test_every_name_is_unique_and_has_a_role() -> None:
    names = failpoints()
    assert len(names) >= 20
    assert len(set(names)) == len(names)
    assert {name.partition(".")[0] for name in names} == set(ROLES)


@pytest.mark.torture
@pytest.mark.parametrize("log", ["postgres", pytest.param("kafka", marks=pytest.mark.kafka)])
async def test_a_crash_at_any_point_loses_nothing(log: str, tmp_path: Path) -> None:
    sink = Sink(tmp_path / "sink.jsonl")
    try:
        cluster = TortureCluster(tmp_path, log=log, names=["api-0", "worker-0", "projector-0"])
    except KafkaMissing as missing:
        if kafka_required():
            raise
        pytest.skip(f"no Kafka broker of our own: {missing}")
    try:
        async with cluster:
            await _sweep(cluster, sink)
    finally:
        sink.close()


async def _sweep(cluster: TortureCluster, sink: Sink) -> None:
    [url] = cluster.apis.values()
    async with Client(url, cluster.keys[CANARIES[0]]) as client:
        child, _ = await client.deploy(_child())
        _, path = await client.deploy(_workflow(sink.url, child))
    accepted: dict[str, str] = {}
    garbage: list[int] = []
    only = os.environ.get("LINKFLOW_TEST_POINTS")
    for name in only.split(",") if only else failpoints():
        accepted |= await _one(cluster, name, url + path, garbage)
    await _discard(cluster, url, len(garbage))
    records = (
        await read_kafka(cluster.broker.bootstrap, cluster.prefix, PARTITIONS)
        if cluster.broker is not None
        else await read_postgres(cluster.database_url)
    )
    evidence = Evidence(make_plan(cluster.log, 0, "ci"), understand(records), [], [], [])
    streams = evidence.facts.executions()
    ends = {key: [e.type for e in streams[execution] if e.type in TERMINAL] for key, execution in accepted.items()}
    assert {key: end for key, end in ends.items() if end != ["execution.completed"]} == {}
    started = [start_of(events)[0] for events in streams.values()]
    assert sorted(started) == sorted([*accepted, *(f"child of {key}" for key in accepted)])
    for checker in (legal_transitions, stream_contiguous, fenced, inputs_balance):
        verdict = checker(evidence)
        assert verdict.passed, verdict
    await cluster.run_cli("verify")


async def _discard(cluster: TortureCluster, url: str, count: int) -> None:
    """As an operator would: each letter is seen once, and done with."""
    done: list[str] = []
    async with Client(url, cluster.keys[CANARIES[0]]) as client:

        async def all_discarded() -> bool:
            for letter in (await client.ask("GET", f"{LETTERS}?status=open&limit=100"))["items"]:
                await client.ask("POST", f"{LETTERS}/{letter['id']}/discard", json={"reason": "garbage"})
                done.append(letter["id"])
            return len(done) >= count

        await eventually(all_discarded, lambda: f"{len(done)} letters of {count}: {done}", within=60)


async def _put_garbage(cluster: TortureCluster, struck: asyncio.Event, put: list[int]) -> None:
    """Bad inputs in a partition, one after the other, so that there are as many batches, until it has struck."""
    prefix = cluster.settings_of(None)
    log = await open_log(
        prefix["LINKFLOW_LOG"], database_url=cluster.database_url, prefix=prefix["LINKFLOW_LOG_PREFIX"]
    )
    try:
        writer = await log.writer()
        while not struck.is_set():
            put.append(await writer.append(Topic.EXECUTION_COMMANDS, 0, [NewRecord(GARBAGE)]))
            await asyncio.sleep(0.2)
        await writer.close()
    finally:
        await log.close()


async def _one(cluster: TortureCluster, name: str, url: str, put: list[int]) -> dict[str, str]:
    """Crash at `name`, start again, wait for the ends; returns key → execution."""
    role = name.partition(".")[0]
    process = ROLES[role]
    armed = await cluster.arm(process, f"{name}:kill" if role in {"recovery", "api"} else f"{name}:kill:{LATER}")
    struck = asyncio.Event()
    load = asyncio.create_task(_load(url, name, struck))
    garbage = asyncio.create_task(_put_garbage(cluster, struck, put)) if name == "owner.after_dead_letters" else None
    try:
        try:
            code = await armed.ended(60)
        except AssertionError as still_runs:
            raise AssertionError(f"{name} was never reached") from still_runs
        finally:
            struck.set()
            cluster.release(process)
        assert code == -signal.SIGKILL, f"{name}: {process} ended with {code}:\n{armed.tail()}"
        accepted = await load
        if garbage is not None:
            await garbage
    finally:
        load.cancel()
    await _ended(cluster, name, accepted)
    return accepted


async def _load(url: str, name: str, struck: asyncio.Event) -> dict[str, str]:
    """Starts with keys of their own, each asked for until it is accepted: at least LOAD, and on until it has struck."""
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(timeout=timeout) as session:

        async def start(key: str) -> tuple[str, str]:
            while True:
                try:
                    async with session.post(url, json={"key": key}, headers={"Idempotency-Key": key}) as answer:
                        if answer.status == 202:
                            return key, (await answer.json())["execution_id"]
                        assert answer.status == 503, await answer.text()
                except (aiohttp.ClientError, TimeoutError):
                    pass
                await asyncio.sleep(0.1)

        found: dict[str, str] = {}
        while len(found) < LOAD or not struck.is_set():  # a few at a time, so that there are several batches
            keys = [f"{name}-{len(found) + each}" for each in range(3)]
            found |= dict(await asyncio.gather(*map(start, keys)))
            await asyncio.sleep(0.05)
        return found


async def _ended(cluster: TortureCluster, name: str, accepted: dict[str, str]) -> None:
    connection = await cluster.connect()
    try:
        left: list[str] = []

        async def all_completed() -> bool:
            nonlocal left
            rows = await connection.fetch(
                "SELECT id::text FROM read.executions WHERE status = 'completed' AND id = ANY($1::uuid[])",
                list(accepted.values()),
            )
            left = sorted(set(accepted.values()) - {row["id"] for row in rows})
            return not left

        saying: Callable[[], str] = lambda: f"{name}: {left} have not completed\n{cluster.tails()}"  # noqa: E731
        await eventually(all_completed, saying, within=90, every=0.05)
    finally:
        await connection.close()


def _child() -> dict[str, object]:
    """Makes something that is stored outside of the log."""
    large = {"large": "{{ 'x'.repeat(70000) }}"}
    return {
        "name": "child",
        "nodes": [
            {"id": "called", "type": "execute_workflow_trigger"},
            {"id": "make", "type": "set", "parameters": {"fields": large}},
        ],
        "connections": [{"from": "called", "to": "make"}],
    }


def _workflow(sink: str, child: str) -> dict[str, object]:
    """A call, another workflow, a call."""
    key = "{{ $('start').first().json.body.key }}"
    below = {
        "id": "below",
        "type": "execute_workflow",
        "parameters": {"workflow_id": child, "input": {"key": f"child of {key}"}},
    }

    def call(node: str, method: str) -> dict[str, object]:
        query = {"key": key, "node": node, "item": "0"}
        return {
            "id": node,
            "type": "http",
            "parameters": {"method": method, "url": f"{sink}/ok/10", "query": query},
            "retry": {"attempts": 5, "delay_seconds": 1},
        }

    hook = {"id": "start", "type": "webhook", "parameters": {"method": "POST", "respond": "at_once"}}
    return {
        "name": "two calls",
        "nodes": [hook, call("first", "GET"), below, call("second", "PUT")],
        "connections": [
            {"from": "start", "to": "first"},
            {"from": "first", "to": "below"},
            {"from": "below", "to": "second"},
        ],
    }
