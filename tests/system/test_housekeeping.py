"""Old executions go from a running system, on both logs, as after a time in which it was off."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

from infra.log.port import Topic
from services.housekeeping.catalogue import all_jobs
from tests.support.cluster import Roles
from tests.support.postgres import PostgresServer
from tests.system.aging import ADMIN, job, opened, put_forward, set_clock, settled
from tests.system.documents import Document
from tests.torture.clocks import SteppedClock


def document(*nodes: Document) -> Document:
    ids = ["start", *(node["id"] for node in nodes)]
    return {
        "name": "Kept",
        "nodes": [{"id": "start", "type": "manual"}, *nodes],
        "connections": [{"from": a, "to": b} for a, b in pairwise(ids)],
    }


async def test_what_is_old_goes_and_everything_goes_on(
    tmp_path: Path, server: PostgresServer, clock: SteppedClock, log: str
) -> None:
    async with Roles(tmp_path, database_url=server.create_database(), log=log) as cluster:
        client = cluster.client
        large = {"id": "large", "type": "set", "parameters": {"fields": {"text": "{{ 'x'.repeat($json.size) }}"}}}
        flow, _ = await client.deploy(document(large))
        waits, _ = await client.deploy(
            document({"id": "wait", "type": "wait", "parameters": {"seconds": 100 * 86_400}})
        )

        async def run(count: int, size: int = 3) -> None:
            for _ in range(count):
                body = {"input": {"size": size}, "wait": 20}
                assert (await client.ask("POST", f"/api/v1/workflows/{flow}/execute", json=body))[
                    "status"
                ] == "completed"

        await run(20)
        await run(2, 80_000)
        waiting = (await client.execute(waits, {}))["execution_id"]
        await run(10)
        await settled(cluster)
        assert (await cluster.verify()).executions == 33

        await job(cluster, "retention")
        await put_forward(cluster, clock, 40)
        for name in ("retention", "blobs", "log"):
            assert await job(cluster, name, "failed") == {}
        assert len((await client.ask("GET", "/api/v1/executions"))["items"]) == 33
        code, out, err = await cluster.cli("admin", "run", "retention")
        assert (code, "clocks disagree" in out + err) == (1, True), out + err
        code, out, err = await cluster.cli("admin", "trust-clocks")
        assert code == 0, out + err
        taken = await job(cluster, "retention")
        cut = await job(cluster, "log")
        history = (await client.ask("GET", f"{ADMIN}/jobs/retention/runs"))["items"]
        assert sum(run["figures"].get("executions", 0) for run in history) == 32, taken
        listed = (await client.ask("GET", "/api/v1/executions"))["items"]
        assert [(each["id"], each["status"]) for each in listed] == [(waiting, "waiting")]
        async with opened(cluster) as source:
            firsts = [await source.first_offset(Topic.EXECUTIONS, number) for number in range(source.partitions)]
        assert sum(firsts) > 10, cut
        await cluster.verify()

        await set_clock(cluster, clock, 0)  # what a host asks whose clock is so far behind the log's comes too late
        for name, process in cluster.processes.items():  # all come back behind the cut
            if name != "projector":
                process.kill()
        cluster.start_all()
        await cluster.ready()
        await run(5)
        assert (await client.execution(waiting))["status"] == "waiting"
        code, out, err = await cluster.cli("rebuild", "all")
        assert code == 0, out + err
        await settled(cluster)
        await cluster.verify()
        usage = (await client.ask("GET", "/api/v1/usage?by=day&from=2020-01-01T00:00:00Z&to=2100-01-01T00:00:00Z"))[
            "items"
        ]
        assert sum(each["queued"] for each in usage) == 38
        assert sum(each["completed"] for each in usage) == 37
        await _commands(cluster)
        code, out, err = await cluster.cli(
            "workspaces", "retention", "default", "--days", "60", "--payload-days", "5", "--json"
        )
        assert code == 0, out + err
        kept = json.loads(out)
        assert (kept["retention_days"], kept["payload_retention_days"]) == (60, 5)


async def _commands(cluster: Roles) -> None:
    async def told(*words: str) -> Any:
        code, out, err = await cluster.cli(*words, "--json")
        assert code == 0, out + err
        return json.loads(out)

    stale = await told("admin", "run", "stale_work")
    assert (stale["result"], stale["figures"]["idle"], stale["figures"]["overdue"]) == ("done", 0, 0)
    assert {each["due"] for each in await told("admin", "runs", "stale_work")} >= {stale["due"]}
    jobs = {each["name"]: each["last_run"] for each in await told("admin", "jobs")}
    assert set(jobs) == {each.name for each in all_jobs("03:00", "UTC")}
    assert jobs["retention"]["result"] == "done"
    processes = await told("admin", "processes")
    assert {each["role"] for each in processes} == {"api", "worker", "projector", "scheduler"}
    assert all(each["state"] == "alive" for each in processes)
    assert sum(each["completed"] for each in await told("admin", "usage", "--from", "2020-01-01T00:00:00Z")) == 37
