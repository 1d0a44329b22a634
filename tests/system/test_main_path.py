"""What a user sees on both logs: the example answers its caller, and every worked case of the semantics holds."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

from tests.support.client import Client
from tests.support.processes import eventually
from tests.support.stub import Stub
from tests.system.documents import order_intake

VECTORS: dict[str, Any] = {
    path.stem: json.loads(path.read_text())
    for path in sorted((Path(__file__).parents[1] / "golden" / "vectors").glob("*.json"))
}


async def test_a_webhook_runs_set_if_http_and_respond(client: Client, stub: Stub) -> None:
    workflow, path = await client.deploy(order_intake(f"{stub.url}/echo"))
    status, _, body = await client.send("POST", path, json={"price": 60, "amount": 2})
    assert (status, body) == (200, {"ok": True, "total": 120})
    [call] = stub.requests()
    assert (call["method"], call["path"]) == ("POST", "/echo")
    status, _, body = await client.send("POST", path, json={"price": 6, "amount": 2})
    assert (status, body) == (200, {"ok": True, "total": 12})
    assert stub.summary()["received"] == 1

    async def both_shown() -> bool:
        return Counter((await client.statuses(workflow)).values()) == {"completed": 2}

    await eventually(both_shown, lambda: "the history does not show both as completed", within=5)
    small, large = [each async for each in client.executions(workflow_id=workflow)]
    shown = await client.execution(large["id"])
    assert shown["trigger_type"] == "webhook"
    runs = {run["node_id"]: run for run in shown["node_executions"]}
    assert list(runs) == ["order", "total", "large", "check", "answer"]
    assert {run["status"] for run in runs.values()} == {"completed"}
    assert runs["check"]["attempts"] == 1
    assert runs["total"]["output"]["main"][0]["json"]["total"] == 120
    assert runs["check"]["input"]["main"][0]["json"]["total"] == 120
    skipped = {run["node_id"]: run["status"] for run in (await client.execution(small["id"]))["node_executions"]}
    assert skipped["check"] == "skipped"


async def test_every_worked_case_of_the_semantics(client: Client) -> None:
    found = await asyncio.gather(*(_difference(client, case) for case in VECTORS.values()))
    wrong = {name: difference for name, difference in zip(VECTORS, found, strict=True) if difference is not None}
    assert len(VECTORS) > 30
    assert not wrong, json.dumps(wrong, indent=1)


async def _difference(client: Client, case: dict[str, Any]) -> Any:
    """What is not as expected, or None."""
    workflow = await client.create(case["workflow"])
    shown = await client.execute(workflow["id"], case["input"], wait=20)
    if "status" not in shown:
        return shown
    expected = case["expected"]
    found: dict[str, Any] = {"status": shown["status"], "nodes": _runs(shown)}
    if "output" in expected:
        found["output"] = shown["output"]
    if "error" in expected:
        found["error"] = {"node_id": (shown["error"] or {}).get("node_id")}
    wanted = {name: expected.get(name) for name in found}
    return None if _same(wanted, found) else {"expected": wanted, "found": found}


def _runs(shown: dict[str, Any]) -> dict[str, list[Any]]:
    """Node → outputs of its runs in order, of those that ended well."""
    runs: dict[str, list[Any]] = {}
    for run in sorted(shown["node_executions"], key=lambda each: each["run"] or 0):
        if run["status"] == "completed":
            runs.setdefault(run["node_id"], []).append(run["output"] or {})
    return runs


def _same(expected: Any, found: Any) -> bool:
    """Equal, where "ANY" stands for any error object."""
    if expected == "ANY":
        return found is not None
    if isinstance(expected, dict) and isinstance(found, dict):
        return expected.keys() == found.keys() and all(_same(expected[name], found[name]) for name in expected)
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(map(_same, expected, found))
    if isinstance(expected, bool) or isinstance(found, bool):  # True is not 1 in JSON
        return expected is found
    return bool(expected == found)
