"""Running again, and answering for what nobody knows, as a user does it: over HTTP and on the command line."""

import json
from itertools import pairwise
from typing import Any

from tests.support.client import Client
from tests.support.cluster import Roles
from tests.support.processes import eventually
from tests.support.stub import Stub

OPEN = frozenset({"queued", "running"})


def calls(name: str, *steps: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """A manual trigger and HTTP steps one after the other."""
    nodes: list[dict[str, Any]] = [{"id": "start", "type": "manual"}]
    nodes += [{"type": "http", "id": f"step{number}", **step} for number, step in enumerate(steps, 1)]
    names = [node["id"] for node in nodes]
    links = [{"from": one, "to": other} for one, other in pairwise(names)]
    return {"name": name, "nodes": nodes, "connections": links, "settings": settings}


async def _cli(cluster: Roles, *words: str) -> Any:
    code, out, err = await cluster.cli(*words, "--json")
    assert code == 0, err
    return json.loads(out)


async def settled(client: Client, execution: str, *, within: float = 20) -> dict[str, Any]:
    """The execution once it does nothing any more by itself."""
    shown: dict[str, Any] = {}

    async def done() -> bool:
        nonlocal shown
        shown = await client.execution(execution)
        return shown["status"] not in OPEN

    await eventually(done, lambda: f"it is {shown.get('status')}", within=within, every=0.1)
    return shown


async def test_on_from_the_failed_node_with_a_mended_version(shared: Roles, client: Client, stub: Stub) -> None:
    post = {"parameters": {"method": "POST", "url": f"{stub.url}/echo", "body": "{{ $json }}"}}
    workflow = await client.create(calls("Mended", post, {"parameters": {"url": f"{stub.url}/status/404"}}))
    failed = await client.execute(workflow["id"], {"n": 1}, wait=20)
    assert (failed["status"], failed["error"]["node_id"]) == ("failed", "step2")
    mended = calls("Mended", post, {"parameters": {"url": f"{stub.url}/delay/1"}})
    await client.ask("PUT", f"/api/v1/workflows/{workflow['id']}", json=mended)
    words = ("executions", "retry", failed["id"], "--from", "failed_node", "--version", "newest")
    again = await settled(client, (await _cli(shared, *words))["execution_id"])
    assert (again["status"], again["workflow_version"], again["retry_of"]) == ("completed", 2, failed["id"])
    assert again["output"][0]["json"]["delayed"] == 1
    runs = {run["node_id"]: run for run in again["node_executions"]}
    assert [(name, run["taken"]) for name, run in runs.items()] == [("start", True), ("step1", True), ("step2", False)]
    assert runs["step2"]["input"] == runs["step1"]["output"]
    assert [call["method"] for call in stub.requests()] == ["POST", "GET", "GET"], "the first step ran once"
    assert (await client.execution(failed["id"]))["retries"] == [again["id"]]
    code, out, _ = await shared.cli("executions", "show", again["id"])
    assert code == 0
    assert "taken over" in out


async def test_whole_executions_are_repeated_as_often_as_asked(client: Client, stub: Stub) -> None:
    retries = {"count": 2, "delay_seconds": 0.1, "backoff": "fixed"}
    step = {"parameters": {"url": f"{stub.url}/status/500"}}
    workflow = await client.create(calls("Again", step, retries=retries))
    first = await client.execute(workflow["id"], {"n": 1}, wait=20)
    assert first["status"] == "failed"

    async def three() -> bool:
        return list((await client.statuses(workflow["id"])).values()) == ["failed"] * 3

    await eventually(three, lambda: "there are not three that failed", within=20, every=0.1)
    # Not as the list has them: the first is dated by the API's clock, its repeats by the log's, which ticks behind it.
    listed = [each async for each in client.executions(workflow_id=workflow["id"])]
    _, one, two = sorted(listed, key=lambda each: each["retry_count"])
    assert [(each["retry_of"], each["retry_count"]) for each in (one, two)] == [(first["id"], 1), (one["id"], 2)]
    assert (await client.execution(one["id"]))["retries"] == [two["id"]]
    assert stub.summary()["received"] == 3


async def test_a_repeat_that_has_not_begun_can_be_cancelled(client: Client, stub: Stub) -> None:
    step = {"parameters": {"url": f"{stub.url}/status/500"}}
    workflow = await client.create(calls("Never", step, retries={"count": 1, "delay_seconds": 600}))
    first = await client.execute(workflow["id"], {}, wait=20)
    repeats: list[str] = []

    async def repeated() -> bool:
        nonlocal repeats
        repeats = (await client.execution(first["id"]))["retries"]
        return bool(repeats)

    await eventually(repeated, lambda: "there is no repeat", within=10, every=0.1)
    assert (await client.execution(repeats[0]))["status"] == "queued"
    await client.cancel(repeats[0])
    assert (await settled(client, repeats[0]))["status"] == "cancelled"
    assert stub.summary()["received"] == 1


async def test_a_person_says_what_became_of_it(shared: Roles, client: Client, stub: Stub) -> None:
    step = {
        "parameters": {"method": "POST", "url": f"{stub.url}/hold"},
        "timeout_seconds": 0.3,
        "on_unknown_outcome": "ask",
    }
    workflow = await client.create(calls("Asking", step))
    started = await client.execute(workflow["id"], [{"n": 1}, {"n": 2}])
    asked = await settled(client, started["execution_id"])
    assert asked["status"] == "waiting"
    run = asked["node_executions"][-1]
    assert (run["status"], run["asked"]) == ("outcome_unknown", [0, 1])
    path = ("executions", "verdict", asked["id"], "step1")
    await _cli(shared, *path, "happened", "--result", '{"id": 7}', "--item", "1")
    status, _, problem = await client.send(
        "POST", f"/api/v1/executions/{asked['id']}/nodes/step1/verdict", json={"verdict": "fail", "items": [1]}
    )
    assert (status, problem["code"]) == (409, "nothing_asked")
    await _cli(shared, *path, "happened", "--result", '{"id": 3}')
    done = await settled(client, asked["id"])
    assert (done["status"], [item["json"]["id"] for item in done["output"]]) == ("completed", [3, 7])
    assert done["node_executions"][-1]["asked"] is None
    assert stub.summary()["received"] == 2
    code, _, err = await shared.cli(*path, "fail")
    assert code != 0
    assert "ended" in err
