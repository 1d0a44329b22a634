"""Running again everything that failed for one reason."""

import asyncio
from typing import Any

from tests.services.api.conftest import Api
from tests.services.api.test_workflows import document


async def repair(api: Api, **body: Any) -> Any:
    status, _, answer = await api.client.send("POST", "/api/v1/executions/retry", json=body)
    return answer if status == 200 else (status, answer["code"])


async def test_counted_then_page_by_page_and_each_once(api: Api) -> None:
    workflow, _ = await api.client.deploy(document())
    inputs: list[dict[str, Any]] = [{"fail": "x"}] * 5 + [{"a": 1}]
    ended = await asyncio.gather(*(api.client.execute(workflow, each, wait=20) for each in inputs))
    failed = {each["id"] for each in ended if each["status"] == "failed"}
    assert len(failed) == 5
    counted = await repair(api, error_code="node_failed", node_id="work", workflow_id=workflow, workflow_version=1)
    assert (counted["dry_run"], counted["found"], counted["more"], counted["items"]) == (True, 5, False, [])
    for nothing in ({"error_code": "timeout"}, {"node_id": "hook"}, {"status": "timeout"}, {"workflow_id": "x"},
                    {"workflow_version": 2}, {"queued_to": "2020-01-01T00:00:00Z"}):  # fmt: skip
        assert (await repair(api, **nothing))["found"] == 0, nothing

    first = await repair(api, dry_run=False, limit=3)
    again = await repair(api, dry_run=False, limit=3, cursor=first["next_cursor"])
    assert (len(first["items"]), len(again["items"]), again["next_cursor"]) == (3, 2, None)
    made = {each["execution_id"]: each["retried_as"] for each in (*first["items"], *again["items"])}
    assert set(made) == failed
    for old, new in made.items():
        assert (await api.client.execution(new))["retry_of"] == old
    # what was run again fails again here: only those are found now
    left = await repair(api, dry_run=False)
    assert {each["execution_id"] for each in left["items"]} == set(made.values())


async def test_what_cannot_be_run_again_is_told_and_holds_nothing_up(api: Api) -> None:
    workflow, _ = await api.client.deploy(document())
    await asyncio.gather(*(api.client.execute(workflow, {"fail": "x"}, wait=20) for _ in range(2)))
    renamed = document("Renamed")
    renamed["nodes"][1]["id"] = renamed["connections"][0]["to"] = "labour"
    await api.client.ask("PUT", f"/api/v1/workflows/{workflow}", json=renamed)
    answer = await repair(api, dry_run=False)
    assert [(each["retried_as"], each["code"]) for each in answer["items"]] == [(None, "node_missing")] * 2
    answer = await repair(api, dry_run=False, version="same")
    assert all(each["retried_as"] for each in answer["items"])


async def test_others_see_nothing_of_it(api: Api) -> None:
    workflow, _ = await api.client.deploy(document())
    await api.client.execute(workflow, {"fail": "x"}, wait=20)
    key = await api.new_key(workspace="0d3d1a52-3bd4-4b1e-8f5c-2a7c1d9f0a01")
    headers = {"Authorization": f"Bearer {key}"}
    status, _, answer = await api.client.send("POST", "/api/v1/executions/retry", json={}, headers=headers)
    assert (status, answer["found"]) == (200, 0)
    assert await repair(api, limit=1_000) == (422, "wrong_type")
    assert await repair(api, dry_run=False, cursor="x") == (422, "invalid_cursor")
