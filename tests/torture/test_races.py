"""R24: two at once, a hundred times each; one wins, and the log is legal whoever it is."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import Client
from tests.torture.checkers.streams import fenced, inputs_balance, legal_transitions, stream_contiguous
from tests.torture.cluster import CANARIES, TortureCluster
from tests.torture.evidence import Evidence
from tests.torture.facts import TERMINAL
from tests.torture.load import read_log
from tests.torture.plan import make_plan
from tests.torture.sink import Sink

pytestmark = pytest.mark.torture
TIMES = 100
ENDED = {"completed", "failed", "cancelled", "timeout"}


def workflow(*nodes: dict[str, Any], name: str = "race", hook: bool = False) -> dict[str, Any]:
    start = (
        {"id": "start", "type": "webhook", "parameters": {"method": "POST", "respond": "at_once"}}
        if hook
        else {"id": "start", "type": "manual"}
    )
    ids = ["start", *(node["id"] for node in nodes)]
    edges = [{"from": one, "to": other} for one, other in pairwise(ids)]
    return {"name": name, "nodes": [start, *nodes], "connections": edges}


def call(sink: str) -> dict[str, Any]:
    return {"id": "call", "type": "http", "parameters": {"method": "GET", "url": f"{sink}/ok/2000"}}


async def ended(client: Client, executions: list[str], within: float = 60.0) -> Counter[str]:
    """How they ended; fails if one has not within `within` seconds."""
    states: dict[str, str] = {}
    async with asyncio.timeout(within):
        while set(states.values()) - ENDED or len(states) < len(executions):
            for each in executions:
                if states.get(each) not in ENDED:
                    status, _, body = await client.send("GET", f"/api/v1/executions/{each}")
                    states[each] = body["status"] if status == 200 else "unknown"
            await asyncio.sleep(0.1)
    return Counter(states.values())


async def test_whoever_wins_the_log_is_legal(tmp_path: Path) -> None:
    sink = Sink(tmp_path / "sink.jsonl", sync=False)
    try:
        async with TortureCluster(tmp_path, log="postgres", names=["api-0", "worker-0", "projector-0"]) as cluster:
            [url] = cluster.apis.values()
            async with Client(url, cluster.keys[CANARIES[0]]) as client:
                for race in (_cancel_and_complete, _cancel_and_wake, _cancel_twice, _edit_and_run, _archive_and_start):
                    print(f"{race.__name__[1:].replace('_', ' ')}: {await race(client, sink.url)}")
            await _is_legal(cluster)
    finally:
        sink.close()


async def _is_legal(cluster: TortureCluster) -> None:
    facts = await read_log(cluster)
    evidence = Evidence(make_plan("postgres", 0, "ci"), facts, [], [], [])
    for checker in (legal_transitions, stream_contiguous, fenced, inputs_balance):
        found = checker(evidence)
        assert found.passed, found
    ends = Counter(sum(event.type in TERMINAL for event in events) for events in facts.executions().values())
    assert set(ends) == {1}, ends
    await cluster.run_cli("verify")


async def _together(client: Client, start: str, against: Callable[[str], Awaitable[Any]], after: float) -> Counter[str]:
    """TIMES executions of `start`, each meeting `against` up to `after` seconds after it was accepted."""
    chance = random.Random(start)

    async def one() -> str:
        execution = str((await client.execute(start, {}))["execution_id"])
        await asyncio.sleep(chance.uniform(0, after))
        await against(execution)
        return execution

    return await ended(client, list(await asyncio.gather(*(one() for _ in range(TIMES)))))


def _cancels(client: Client) -> Callable[[str], Awaitable[Any]]:
    async def cancel(execution: str) -> None:
        status, body = 404, None
        while status == 404:  # accepted, and not in the rows yet
            status, _, body = await client.send("POST", f"/api/v1/executions/{execution}/cancel")
        assert status == 202 or (status == 409 and body["code"] in {"already_ended", "execution_closed"}), body

    return cancel


async def _cancel_and_complete(client: Client, sink: str) -> Counter[str]:
    found = await _together(client, (await client.deploy(workflow(call(sink))))[0], _cancels(client), 3.0)
    assert found.keys() <= {"completed", "cancelled"}
    return found


async def _cancel_and_wake(client: Client, _: str) -> Counter[str]:
    wait = {"id": "wait", "type": "wait", "parameters": {"seconds": 2}}
    found = await _together(client, (await client.deploy(workflow(wait)))[0], _cancels(client), 3.0)
    assert found.keys() <= {"completed", "cancelled"}
    return found


async def _cancel_twice(client: Client, _: str) -> Counter[str]:
    wait = {"id": "wait", "type": "wait", "parameters": {"seconds": 600}}
    cancel = _cancels(client)
    both: Callable[[str], Awaitable[Any]] = lambda each: asyncio.gather(cancel(each), cancel(each))  # noqa: E731
    found = await _together(client, (await client.deploy(workflow(wait)))[0], both, 0.2)
    assert found.keys() == {"cancelled"}
    return found


async def _edit_and_run(client: Client, _: str) -> Counter[str]:
    """Each execution is of one version, whole: what it puts out is what that version says."""

    def version(number: int) -> dict[str, Any]:
        steps = [
            {"id": f"s{n}", "type": "set", "parameters": {"fields": {f"v{n}": number}, "keep": True}} for n in (1, 2)
        ]
        return workflow(*steps, name="edited")

    workflow_id, _ = await client.deploy(version(1))
    started: list[str] = []

    async def edit() -> None:
        for number in range(2, 22):
            _, headers, _ = await client.send("GET", f"/api/v1/workflows/{workflow_id}")
            await client.ask(
                "PUT", f"/api/v1/workflows/{workflow_id}", json=version(number), headers={"If-Match": headers["etag"]}
            )

    async def run() -> None:
        for _ in range(TIMES):
            accepted = await client.execute(workflow_id, {})
            started.append(accepted["execution_id"])

    await asyncio.gather(edit(), run())
    assert set(await ended(client, started)) == {"completed"}
    versions: Counter[str] = Counter()
    for each in started:
        execution = await client.execution(each)
        [item] = execution["output"]
        assert item["json"]["v1"] == item["json"]["v2"] == execution["workflow_version"], execution
        versions[f"version {execution['workflow_version']}"] += 1
    return Counter({f"{len(versions)} versions ran, executions": sum(versions.values())})


async def _archive_and_start(client: Client, _: str) -> Counter[str]:
    """A start is taken, and then it runs to its end, or it is refused: nothing between."""
    found: Counter[str] = Counter()
    accepted: list[str] = []
    for _ in range(10):
        noop = {"id": "done", "type": "noop"}
        workflow_id, path = await client.deploy(workflow(noop, name="archived", hook=True))

        async def start(path: str = path) -> None:
            status, _, body = await client.send("POST", path, json={})
            found[str(status)] += 1
            if status == 202:
                accepted.append(body["execution_id"])
            else:
                assert status in {404, 409, 410}, body

        archive = client.send("DELETE", f"/api/v1/workflows/{workflow_id}")
        await asyncio.gather(*(start() for _ in range(5)), archive, *(start() for _ in range(5)))
    assert set(await ended(client, accepted)) <= {"completed"}
    return found
