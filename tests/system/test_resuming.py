"""Resume links, approvals, sub-workflows and error workflows through the API, on both logs."""

import itertools
from typing import Any
from urllib.parse import urlsplit

from tests.support.client import Client
from tests.support.cluster import Roles
from tests.support.processes import eventually

START = {"id": "start", "type": "manual"}
SEND = {"id": "send", "type": "set", "parameters": {"fields": {"url": "{{ $execution.resume_url }}"}}}
BROWSER = {"Accept": "text/html,application/xhtml+xml"}


def document(*nodes: dict[str, Any], **settings: Any) -> dict[str, Any]:
    links = [{"from": one["id"], "to": other["id"]} for one, other in itertools.pairwise(nodes)]
    return {"name": "<b>waits</b>", "nodes": list(nodes), "connections": links, "settings": settings}


async def execute(client: Client, body: dict[str, Any], **more: Any) -> str:
    workflow = (await client.ask("POST", "/api/v1/workflows", json=body))["id"]
    started = await client.ask("POST", f"/api/v1/workflows/{workflow}/execute", json=more)
    return str(started["execution_id"])


async def end_of(client: Client, execution: str) -> dict[str, Any]:
    shown: dict[str, Any] = {}

    async def ended() -> bool:
        nonlocal shown
        shown = await client.execution(execution)
        return shown["completed_at"] is not None

    await eventually(ended, lambda: f"it does not end: {shown}", within=20)
    return shown


async def link(client: Client, execution: str, node: str) -> str:
    """The path of the link, once the execution waits."""
    shown: dict[str, Any] = {}

    async def waits() -> bool:
        nonlocal shown
        shown = await client.execution(execution)
        return bool(shown["status"] == "waiting")

    await eventually(waits, lambda: f"it does not wait: {shown}", within=20)
    runs = {run["node_id"]: run for run in shown["node_executions"]}
    assert runs[node]["waits_for"] is not None
    return urlsplit(runs["send"]["output"]["main"][0]["json"]["url"]).path


async def test_a_call_wakes_the_wait_once(client: Client, shared: Roles) -> None:
    hook = {"id": "hook", "type": "wait", "parameters": {"webhook": True}}
    execution = await execute(client, document(START, SEND, hook))
    path = await link(client, execution, "hook")
    async with Client(shared.url, "none") as stranger:
        assert (await stranger.send("GET", path))[0] == 405
        assert (await stranger.send("HEAD", path))[0] == 405
        for wrong in (
            path[:-1] + ("A" if path[-1] != "A" else "B"),
            path + "=",
            path + "/",
            "/resume/",
            "/resume/" + path[8:].upper(),
        ):
            status, _, problem = await stranger.send("POST", wrong, json={})
            assert (status, problem["code"]) == (404, "unknown_resume_link"), wrong
        status, _, body = await stranger.send("POST", path + "?q=1", json={"paid": True})
        assert (status, body) == (200, {"execution_id": execution, "resumed": True})
        status, _, problem = await stranger.send("POST", path, json={"paid": True})
        assert (status, problem["code"]) == (410, "resume_link_used")
        spelled = path[:-1] + f"%{ord(path[-1]):02X}"
        assert (await stranger.send("POST", spelled, json={}))[0] == 410
    ended = await end_of(client, execution)
    assert ended["status"] == "completed"
    assert ended["output"][0]["json"]["body"] == {"paid": True}
    assert ended["output"][0]["json"]["query"] == {"q": "1"}
    assert ended["node_executions"][-1]["waits_for"] is None


async def test_a_person_approves_by_the_page(client: Client, shared: Roles) -> None:
    ask = {
        "id": "ask",
        "type": "approval",
        "parameters": {"title": "Ship <i>{{ $json.n }}</i>?", "message": "<script>alert(1)</script>"},
    }
    body = document(START, SEND, ask)
    execution = await execute(client, body, input={"n": 7})
    path = await link(client, execution, "ask")
    async with Client(shared.url, "none") as person:
        status, headers, page = await person.send("GET", path, headers=BROWSER)
        assert status == 200
        assert headers["content-type"].startswith("text/html")
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["referrer-policy"] == "no-referrer"
        assert "Ship &lt;i&gt;7&lt;/i&gt;?" in page
        assert "<script" not in page
        assert '<label for="comment">' in page
        status, _, asked = await person.send("GET", path)
        assert (status, asked["kind"], asked["message"]) == (200, "approval", "<script>alert(1)</script>")
        assert (await person.send("POST", path, json={"approved": "yes"}))[0] == 422
        assert (await person.send("PUT", path, json={"approved": True}))[0] == 405
        form = {**BROWSER, "Content-Type": "application/x-www-form-urlencoded"}
        status, _, page = await person.send("POST", path, data=b"decision=approved&comment=fine", headers=form)
        assert status == 200
        assert "Thank you: approved." in page
        status, _, page = await person.send("POST", path, data=b"decision=rejected", headers=form)
        assert status == 410
        assert "Already decided" in page
        await end_of(client, execution)
        assert (await person.send("GET", path, headers=BROWSER))[0] == 410
    ended = await client.execution(execution)
    assert ended["output"][0]["json"]["approval"]["comment"] == "fine"
    assert list(ended["node_executions"][-1]["output"]) == ["approved"]


async def test_a_program_rejects(client: Client) -> None:
    ask = {"id": "ask", "type": "approval"}
    execution = await execute(client, document(START, SEND, ask))
    path = await link(client, execution, "ask")
    assert await client.ask("POST", path, json={"approved": False}) == {"execution_id": execution, "approved": False}
    ended = await end_of(client, execution)
    assert list(ended["node_executions"][-1]["output"]) == ["rejected"]


async def test_a_workflow_calls_another_and_its_failure_is_told(client: Client, shared: Roles) -> None:
    report = document({"id": "failed", "type": "error_trigger"})
    reports = (await client.ask("POST", "/api/v1/workflows", json=report))["id"]
    called = {"id": "called", "type": "execute_workflow_trigger"}
    which = {"id": "which", "type": "filter", "parameters": {"condition": "{{ $json.n > 1 || $json.no.such }}"}}
    child = (await client.ask("POST", "/api/v1/workflows", json=document(called, which)))["id"]
    call = {"id": "call", "type": "execute_workflow", "parameters": {"workflow_id": child, "mode": "each_item"}}
    parent = document(START, call, error_workflow=reports)
    execution = await execute(client, parent, input=[{"n": 2}, {"n": 3}])
    assert (await end_of(client, execution))["output"] == [{"json": {"n": 2}}, {"json": {"n": 3}}]
    children = (await client.ask("GET", f"/api/v1/executions?workflow_id={child}"))["items"]
    assert {each["parent_id"] for each in children} == {execution}
    assert {each["trigger_type"] for each in children} == {"sub_workflow"}

    failing = await execute(client, parent, input=[{"n": 0}])
    ended = await end_of(client, failing)
    assert (ended["status"], ended["error"]["node_id"]) == ("failed", "call")
    told: list[Any] = []

    async def reported() -> bool:
        nonlocal told
        told = (await client.ask("GET", f"/api/v1/executions?workflow_id={reports}&status=completed"))["items"]
        return len(told) == 1

    await eventually(reported, lambda: f"the error workflow did not run: {told}", within=20)
    (item,) = (await client.execution(told[0]["id"]))["output"]
    assert item["json"]["execution"]["id"] == failing
    assert item["json"]["execution"]["url"].endswith(f"/api/v1/executions/{failing}")
    code, out, err = await shared.cli("verify")
    assert code == 0, out + err
