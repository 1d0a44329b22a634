"""The examples, run as their readers run them: posted, activated, called; on both logs."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import Client
from tests.support.cluster import Roles
from tests.support.processes import eventually

EXAMPLES = Path(__file__).parents[2] / "examples"

EXECUTED: dict[str, tuple[Any, Any]] = {
    "route-by-country": (
        [{"country": "DE"}, {"country": "FR"}, {"country": "US", "kilos": 1.2}],
        [
            {"country": "DE", "shipping": 4},
            {"country": "FR", "shipping": 9},
            {"country": "US", "kilos": 1.2, "shipping": 26},
        ],
    ),
    "invoice-batches": (
        {"lines": [{"price": 2, "amount": 3}, {"price": 5, "amount": 1}, {"price": 1, "amount": 4}]},
        [
            {
                "lines": [
                    {"price": 2, "amount": 3, "sum": 6, "batch": 0},
                    {"price": 5, "amount": 1, "sum": 5, "batch": 0},
                    {"price": 1, "amount": 4, "sum": 4, "batch": 1},
                ],
                "total": 15,
            }
        ],
    ),
    "best-sellers": (
        [{"title": "A", "sold": 3}, {"title": "B", "sold": 0}, {"title": "C", "sold": 9}, {"title": "D", "sold": 3}],
        [{"message": "Best sellers: C, A, D"}],
    ),
}


def _document(name: str) -> Any:
    return json.loads((EXAMPLES / f"{name}.json").read_text())


@pytest.mark.parametrize("name", EXECUTED)
async def test_executed(client: Client, name: str) -> None:
    given, expected = EXECUTED[name]
    workflow, _ = await client.deploy(_document(name))
    execution = await client.execute(workflow, given, wait=20)
    assert execution["status"] == "completed"
    assert [item["json"] for item in execution["output"]] == expected


@pytest.mark.parametrize(("price", "path"), [(30, "check"), (2, None)])
async def test_order_intake_answers_its_caller(shared: Roles, client: Client, price: int, path: str | None) -> None:
    document = _document("order-intake")
    for node in document["nodes"]:
        if node["id"] == "check":  # the address of `make run`; this cluster has another port
            node["parameters"]["url"] = f"{shared.url}/health/live"
    workflow, webhook = await client.deploy(document)
    status, _, body = await client.send("POST", webhook, json={"price": price, "amount": 5})
    assert (status, body) == (200, {"ok": True, "total": price * 5})
    [execution] = await _ended(client, workflow)
    ran = {run["node_id"] for run in (await client.execution(execution))["node_executions"] if run["attempts"]}
    assert ran == ({path} if path else set())


async def test_slow_order_is_shipped_after_its_wait(client: Client) -> None:
    workflow, webhook = await client.deploy(_document("slow-order"))
    status, _, accepted = await client.send("POST", webhook, json={"number": 7})
    assert status == 202
    assert await _ended(client, workflow) == [accepted["execution_id"]]
    execution = await client.execution(accepted["execution_id"])
    assert [item["json"] for item in execution["output"]] == [{"number": 7, "state": "shipped"}]


async def _ended(client: Client, workflow: str) -> list[str]:
    """Wait until the workflow has executions and all of them completed; returns their ids."""
    statuses: dict[str, str] = {}

    async def completed() -> bool:
        statuses.update(await client.statuses(workflow))
        return set(statuses.values()) == {"completed"}

    await eventually(completed, lambda: f"executions {statuses}", every=0.1)
    return list(statuses)
