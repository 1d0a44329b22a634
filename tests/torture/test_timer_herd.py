"""R20: ten thousand waits that are due in one second, with the scheduler there and with none over the due time."""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from tests.support.client import Client
from tests.torture.cluster import CANARIES, PARTITIONS, TortureCluster
from tests.torture.evidence import percentile
from tests.torture.facts import Facts
from tests.torture.load import all_ended, nothing_is_wrong

pytestmark = pytest.mark.torture
WAITS = int(os.environ.get("LINKFLOW_TEST_WAITS", "2000"))
DOWN_SECONDS = 10.0
"""How long after the due time the only scheduler comes back."""

CALLERS = 48


def document() -> dict[str, object]:
    return {
        "name": "until",
        "nodes": [
            {"id": "start", "type": "webhook", "parameters": {"method": "POST", "respond": "at_once"}},
            {"id": "wait", "type": "wait", "parameters": {"until": "{{ $json.body.due }}"}},
            {"id": "set", "type": "set", "parameters": {"fields": {"woke": True}}},
        ],
        "connections": [{"from": "start", "to": "wait"}, {"from": "wait", "to": "set"}],
    }


async def _start_all(url: str, due: int) -> dict[str, str]:
    """Key → execution of WAITS starts, due within the second that begins at `due` (ms)."""
    accepted: dict[str, str] = {}
    left = iter(range(WAITS))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CALLERS)) as session:

        async def caller() -> None:
            for number in left:
                key = f"wait-{number}"
                body = {"key": key, "due": due + number * 1000 // WAITS}
                while key not in accepted:
                    async with session.post(url, json=body, headers={"Idempotency-Key": key}) as answer:
                        if answer.status == 202:
                            accepted[key] = (await answer.json())["execution_id"]
                        else:
                            assert answer.status in {429, 503}, await answer.text()
                            await asyncio.sleep(0.2)

        await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return accepted


async def _lateness(cluster: TortureCluster, due: int) -> list[float]:
    """Seconds of each execution's end behind the beginning of the second in which they were due."""
    connection: asyncpg.Connection[asyncpg.Record] = await cluster.connect()
    try:
        rows = await connection.fetch("SELECT extract(epoch FROM completed_at)::float8 AS at FROM read.executions")
    finally:
        await connection.close()
    return [row["at"] - due / 1000 for row in rows]


@pytest.mark.parametrize("scheduler", ["there", "down over the due time"])
async def test_every_wait_of_a_herd_ends_once(scheduler: str, tmp_path: Path) -> None:
    async with TortureCluster(tmp_path, log="postgres", names=["api-0", "worker-0", "projector-0"]) as cluster:
        [url] = cluster.apis.values()
        async with Client(url, cluster.keys[CANARIES[0]]) as client:
            _, path = await client.deploy(document())
        # Time enough for all to be parked before, on a busy machine too.
        due = round((time.time() + 10 + WAITS / 100) * 1000)
        accepted = await _start_all(url + path, due)
        assert time.time() * 1000 < due, "the machine is too busy: they were not started before they were due"
        back = due / 1000
        if scheduler != "there":
            await asyncio.sleep(max(0.0, due / 1000 - time.time() - 2))
            cluster.kill("projector-0")
            await asyncio.sleep(due / 1000 - time.time() + DOWN_SECONDS)
            back = time.time()
            cluster.release("projector-0")
        await all_ended(cluster, list(accepted.values()), within=120)
        late = await _lateness(cluster, due)
        print(
            f"{WAITS} waits, scheduler {scheduler} (back {back - due / 1000:.1f} s after the due second began): ended "
            f"p50 {percentile(late, 0.5):.1f} p99 {percentile(late, 0.99):.1f} max {max(late):.1f} s after it"
        )
        assert min(late) > -0.1, "one ended before it was due"
        facts = await nothing_is_wrong(cluster, accepted)
        for partition in range(PARTITIONS):
            woken = sorted(_woken(facts, partition))
            assert [due for _, due in woken] == sorted(due for _, due in woken), "not in the order of their due times"


def _woken(facts: Facts, partition: int) -> Iterator[tuple[int, int]]:
    """(offset of the commit that resumed it, due time) of the executions of a partition."""
    for events in facts.executions().values():
        resumed = next(event for event in events if event.type == "execution.resumed")
        if resumed.commit.partition == partition:
            yield resumed.commit.offset, int(events[0].data["items"][0]["json"]["body"]["due"])
