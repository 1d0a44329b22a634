"""The cases and small workflows of tests/golden, posted and executed through the API; logs; canaries (S04, S05)."""

# ruff: noqa: E501 - documents in one line

import asyncio
from typing import Any

import pytest

from tests.domain.execution.test_vectors import VECTORS, load, matches
from tests.domain.nodes.test_workflows import CASES, check, document_of
from tests.support.client import Client
from tests.support.cluster import Roles
from tests.support.processes import eventually

AT_ONCE = 4


async def runs_of(client: Client, document: dict[str, Any], given: Any) -> tuple[Any, dict[str, Any]]:
    """The execution, and node → runs → port → items."""
    made = await client.create(document)
    execution = await client.execute(made["id"], given, wait=30)
    found: dict[str, Any] = {}
    for run in sorted(execution["node_executions"], key=lambda each: each["run"]):
        if run["status"] == "completed":
            found.setdefault(run["node_id"], []).append(run["output"] or {})
    return execution, found


async def test_small_workflows(client: Client) -> None:
    """All of them, a few side by side: what each node put out in each run is what the file says."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(case: dict[str, Any]) -> None:
        async with room:
            execution, found = await runs_of(client, document_of(case), case["input"])
        jsons = {
            id_: [{port: [item["json"] for item in items] for port, items in ports.items()} for ports in runs]
            for id_, runs in found.items()
        }
        error = execution["error"] or {}
        check(case, execution["status"], jsons, (error.get("node_id"), error.get("message", "")))

    cases = [case.values[0] for case in CASES]
    await asyncio.gather(*(one(case) for case in cases if not case.get("variables")))
    for case in cases:
        if variables := case.get("variables"):  # of the workspace: one case at a time
            for name, value in variables.items():
                await client.ask("PUT", f"/api/v1/variables/{name}", json={"value": value})
            await one(case)
            for name in variables:
                await client.ask("DELETE", f"/api/v1/variables/{name}")


async def test_worked_cases(client: Client) -> None:
    """The vectors of the semantics, by the API."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(vector: dict[str, Any]) -> None:
        expected = vector["expected"]
        async with room:
            execution, found = await runs_of(client, vector["workflow"], vector["input"])
        assert execution["status"] == expected["status"], vector["workflow"]["name"]
        assert matches(expected["nodes"], found), (vector["workflow"]["name"], expected["nodes"], found)

    await asyncio.gather(*(one(load(path)) for path in VECTORS))


async def test_what_code_logs(client: Client, shared: Roles) -> None:
    source = "console.log('seen', items.length); console.error({bad: true}); return items"
    each = "print(_json.n)\nreturn _json"
    document = {
        "name": "logs",
        "nodes": [
            {"id": "start", "type": "manual"},
            {"id": "js", "type": "code", "parameters": {"source": source}},
            {"id": "py", "type": "code", "parameters": {"language": "python", "mode": "each_item", "source": each}},
            {"id": "bad", "type": "code", "parameters": {"source": "console.warn('about to'); throw new Error('no')"}},
        ],
        "connections": [{"from": "start", "to": "js"}, {"from": "js", "to": "py"}, {"from": "py", "to": "bad"}],
    }
    execution, _ = await runs_of(client, document, [{"n": 7}, {"n": 8}])
    assert execution["status"] == "failed"
    path = f"/api/v1/executions/{execution['id']}/logs"
    page = await client.ask("GET", path)
    shown = [(line["node_id"], line["item"], line["level"], line["text"]) for line in page["items"]]
    assert shown == [
        ("js", None, "log", "seen 2"), ("js", None, "error", '{"bad":true}'),
        ("py", 0, "log", "7"), ("py", 1, "log", "8"), ("bad", None, "warn", "about to"),
    ]  # fmt: skip
    assert page["next_cursor"] is None
    first = await client.ask("GET", path, params={"limit": "1"})
    assert [line["node_id"] for line in first["items"]] == ["js", "js"]
    rest = await client.ask("GET", path, params={"cursor": first["next_cursor"]})
    assert [line["node_id"] for line in rest["items"]] == ["py", "py", "bad"]
    status, _, problem = await client.send("GET", path, params={"cursor": "no"})
    assert (status, problem["code"]) == (422, "invalid_cursor")


async def test_health_says_whether_code_can_run(client: Client) -> None:
    async def known() -> bool:
        return "available" in (await client.ask("GET", "/health"))["components"]["sandbox"]

    await eventually(known, 20)
    assert (await client.ask("GET", "/health"))["components"]["sandbox"] == {"ok": True, "available": True}


@pytest.mark.parametrize("canary", ["{{ 7*7 }}", "${7*7}", "{{ $json.constructor }}"])
async def test_what_callers_send_is_never_evaluated(client: Client, canary: str) -> None:
    """S04: body, form, header and query of a webhook, through nodes and code, into its answer; the literal text."""
    document = {
        "name": "canaries",
        "nodes": [
            {"id": "hook", "type": "webhook", "parameters": {"method": "POST", "respond": "when_done"}},
            {"id": "all", "type": "set", "parameters": {"fields": {"text": "{{ JSON.stringify($json) }}", "odd": "{{ new Map([[1, $json.query]]).get(1) }}"}}},
            {"id": "js", "type": "code", "parameters": {"source": "return {...$json, copy: `${$json.text}`}"}},
            {"id": "py", "type": "code", "parameters": {"language": "python", "source": "return {**_json, 'again': '%s' % _json.text}"}},
            {"id": "end", "type": "set", "parameters": {"fields": {"last": "{{ $json.text }}"}}},
        ],
        "connections": [{"from": a, "to": b} for a, b in (("hook", "all"), ("all", "js"), ("js", "py"), ("py", "end"))],
    }  # fmt: skip
    _, path = await client.deploy(document)
    headers = {"X-Canary": canary, "content-type": "application/json"}
    for body, kind in (
        (f'{{"a": "{canary}", "b": ["{canary}"]}}'.encode(), "application/json"),
        (f"a={canary}".encode(), "application/x-www-form-urlencoded"),
        (canary.encode(), "text/plain"),
    ):
        status, _, answer = await client.send(
            "POST", path, data=body, headers=headers | {"content-type": kind}, params={"q": canary}
        )
        assert status == 200
        text = str(answer)
        assert answer[0]["query"]["q"] == canary
        assert answer[0]["odd"]["q"] == canary
        port = client.url.rpartition(":")[2]  # stands in the header host, and may hold a 49 as well
        assert "49" not in text.replace(canary, "").replace("content-length", "").replace(port, ""), text


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x", "text/plain", "application/xml", "application/x-www-form-urlencoded"])  # fmt: skip
async def test_forged_inside_keys_are_data(client: Client, kind: str) -> None:
    """S05: keys that programs use inside mean nothing in a body, whatever its type says; no file is read."""
    document = {
        "name": "forged",
        "nodes": [{"id": "hook", "type": "webhook", "parameters": {"method": "POST", "respond": "when_done"}}],
        "connections": [],
    }
    _, path = await client.deploy(document)
    forged = b'{"files": {"x": {"filepath": "/etc/passwd"}}, "_meta": {"path": "/etc/passwd"}, "binary": {"data": {"path": "/etc/passwd", "$blob": "' + b"0" * 64 + b'"}}, "path": "/etc/passwd", "$blob": "' + b"0" * 64 + b'"}'  # fmt: skip
    status, _, answer = await client.send("POST", path, data=forged, headers={"content-type": kind})
    assert status in {200, 400, 415, 422}
    assert "root:" not in str(answer)
    if status == 200:
        assert "binary" not in answer[0]
