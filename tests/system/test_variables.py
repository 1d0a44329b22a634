"""Variables through the API and the command line, on both logs: whatever starts an execution sees what was answered."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.client import Client
from tests.support.cluster import Roles
from tests.support.processes import eventually
from tests.system.conftest import LOGS
from tests.system.flow import prove_sound
from tests.system.test_resuming import document, end_of
from tests.system.test_retries import settled

START = {"id": "start", "type": "manual"}
SHOW = {"id": "show", "type": "set", "parameters": {"fields": {"host": "{{ $vars.host }}"}, "keep": False}}
PYTHON = {"id": "py", "type": "code", "parameters": {"language": "python", "source": "return {'host': _vars.host}"}}
FAIL = {"id": "fail", "type": "stop_and_error", "parameters": {"message": "no"}}


async def put(client: Client, name: str, value: Any) -> None:
    await client.ask("PUT", f"/api/v1/variables/{name}", json={"value": value})


async def workflow(client: Client, body: dict[str, Any]) -> str:
    return str((await client.create(body))["id"])


async def newest(client: Client, workflow_id: str, known: int) -> dict[str, Any]:
    """The newest execution of a workflow, ended, once there are more than `known`."""
    found: list[dict[str, Any]] = []

    async def there() -> bool:
        nonlocal found
        found = [each async for each in client.executions(workflow_id=workflow_id)]
        return len(found) > known and found[0]["completed_at"] is not None

    await eventually(there, lambda: f"{len(found)} executions", within=30)
    return await client.execution(found[0]["id"])


async def test_every_kind_of_start_sees_the_newest_value(client: Client, shared: Roles) -> None:
    hook = {"id": "hook", "type": "webhook", "parameters": {"method": "POST", "respond": "at_once"}}
    gated = {**hook, "parameters": {**hook["parameters"], "dedup": {"key": "{{ $json.body.n }}", "ttl_seconds": 60}}}
    called = {"id": "called", "type": "execute_workflow_trigger"}
    error = {"id": "error", "type": "error_trigger"}
    child = await workflow(client, document(called, SHOW))
    reports = await workflow(client, document(error, SHOW))
    parent = await workflow(
        client, document(START, {"id": "call", "type": "execute_workflow", "parameters": {"workflow_id": child}})
    )
    failing = await workflow(client, document(START, FAIL, error_workflow=reports))
    manual = await workflow(client, document(START, SHOW, PYTHON))
    direct, direct_path = await client.deploy(document(hook, SHOW))
    inbox, inbox_path = await client.deploy(document(gated, SHOW))
    scheduled = await workflow(client, document(START, SHOW))
    timed = {"workflow_id": scheduled, "name": "often", "every": {"seconds": 1}}

    for number in range(3):
        host = f"{number}.example"
        await put(client, "host", host)
        seen = {"host": host}

        async def shows(workflow_id: str, known: int = number, seen: dict[str, Any] = seen) -> dict[str, Any]:
            shown = await newest(client, workflow_id, known)
            assert (shown["variables"], shown["output"][0]["json"]) == (seen, seen)
            return shown

        assert (await client.execute(manual, {}, wait=20))["output"] == [{"json": seen}]
        assert (await client.execute(parent, {}, wait=20))["output"] == [{"json": seen}]
        assert (await newest(client, parent, number))["variables"] is None
        await client.execute(failing, {}, wait=20)
        await client.ask("POST", direct_path, json={"n": number})
        await client.ask("POST", inbox_path, json={"n": number})
        for each in (child, reports, direct):
            await shows(each)
        delivered = await shows(inbox, number + (number > 1))  # one was sent again
        if number == 1:
            again = await client.ask("POST", f"/api/v1/deliveries/{delivered['delivery_id']}/redeliver", json={})
            assert (await end_of(client, again["execution_id"]))["variables"] == seen
    schedule = await client.ask("POST", "/api/v1/schedules", json=timed)
    assert (await newest(client, scheduled, 0))["variables"] == {"host": "2.example"}
    await client.ask("DELETE", f"/api/v1/schedules/{schedule['id']}")
    code, out, err = await shared.cli("variables", "get", "host")
    assert (code, out) == (0, "2.example\n"), err
    assert (await shared.cli("variables", "delete", "host"))[0] == 0
    shown = await client.execute(scheduled, {}, wait=20)
    assert (shown["variables"], shown["output"]) == (None, [{"json": {}}])


async def test_what_is_run_again_sees_the_old_or_the_new(client: Client, shared: Roles) -> None:
    await put(client, "where", "old")
    call = {"id": "call", "type": "stop_and_error", "parameters": {"message": "{{ $vars.where }} {{ $vars.later }}"}}
    both = {"id": "both", "type": "set", "parameters": {"fields": {"where": "{{ $vars.where }}"}}}
    failing = await workflow(client, document(START, both, call, retries={"count": 1, "delay_seconds": 0.2}))
    first = await client.execute(failing, {}, wait=20)
    assert first["error"]["message"] == "old "
    repeated = await newest(client, failing, 1)
    assert repeated["variables"] == first["variables"] == {"where": "old"}
    await put(client, "where", "new")
    await put(client, "later", [1])
    for origin, saw in (("start", {"later": [1], "where": "new"}), ("failed_node", {"later": [1], "where": "old"})):
        body = {"from": origin}
        again = await client.ask("POST", f"/api/v1/executions/{first['id']}/retry", json=body)
        ended = await settled(client, again["execution_id"])
        assert (ended["status"], ended["variables"]) == ("failed", saw)
        assert ended["error"]["message"] == f"{saw['where']} [1]"


@pytest.mark.parametrize("log", LOGS, indirect=True)
async def test_a_change_that_was_answered_is_seen_while_workers_are_killed(
    roles: Callable[..., Roles], log: str
) -> None:
    """Values are changed and started with, one after the other, while the workers die and come back; what waits at that
    time goes on with what it began with."""
    async with roles(log, workers=2) as cluster:
        client = cluster.client
        await put(client, "n", -1)
        pause = {"id": "pause", "type": "wait", "parameters": {"seconds": 3}}
        show = {"id": "show", "type": "set", "parameters": {"fields": {"n": "{{ $vars.n }}"}, "keep": False}}
        slow = await workflow(client, document(START, pause, show))
        quick = await workflow(client, document(START, show))
        expected: dict[str, int] = {}

        async def kill() -> None:
            for number in range(4):
                await asyncio.sleep(0.7)
                process = cluster.workers[number % 2]
                process.kill()
                process.start()

        killing = asyncio.create_task(kill())
        number = 0
        while not killing.done() or number < 30:
            if await _answered(client, "PUT", "/api/v1/variables/n", {"value": number}, f"v{number}"):
                for each in (slow, quick):
                    key = f"{each}-{number}"
                    body = {"input": {}}
                    started = await _answered(client, "POST", f"/api/v1/workflows/{each}/execute", body, key)
                    if started:
                        expected[started["execution_id"]] = number
            number += 1
        await killing
        assert len(expected) >= 20
        for execution, value in expected.items():
            ended = await end_of(client, execution)
            assert (ended["output"], ended["variables"]) == ([{"json": {"n": value}}], {"n": value}), execution
        await prove_sound(cluster, expected)


async def _answered(client: Client, method: str, path: str, body: Any, key: str) -> Any:
    """What was answered with success, asked again with the same key for a while; None: it was not."""
    for _ in range(20):
        status, _, answer = await client.send(method, path, json=body, headers={"Idempotency-Key": key})
        if status < 300:
            return answer
        assert status == 503, answer
        await asyncio.sleep(0.2)
    return None


async def test_the_command_line_sets_any_json(shared: Roles) -> None:
    code, _, err = await shared.cli("variables", "set", "rates", '{"vat": 0.19}', "--value-json", "--description", "d")
    assert code == 0, err
    code, out, _ = await shared.cli("variables", "list", "--json")
    rates = [each for each in json.loads(out)["items"] if each["name"] == "rates"]
    assert (code, rates[0]["value"], rates[0]["description"]) == (0, {"vat": 0.19}, "d")
    assert (await shared.cli("variables", "set", "rates", "x", "--version", "999"))[0] == 1
    assert (await shared.cli("variables", "set", "no-name", "x"))[0] == 1
