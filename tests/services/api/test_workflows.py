"""Workflows over HTTP: versions, conflicts, activation, lists, the same key again."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from services.api.routes import examples
from tests.services.api.conftest import Api
from tests.support.client import ApiError, Client


def document(name: str = "Echo", respond: str = "at_once", method: str = "POST") -> dict[str, Any]:
    return {
        "name": name,
        "nodes": [
            {"id": "hook", "type": "webhook", "parameters": {"method": method, "respond": respond}},
            {"id": "work", "type": "noop"},
        ],
        "connections": [{"from": "hook", "to": "work"}],
    }


async def test_a_workflow_lives_in_versions(api: Api) -> None:
    status, headers, made = await api.client.send("POST", "/api/v1/workflows", json=document())
    assert status == 201
    assert made["status"] == "draft"
    assert made["version"] == 1
    assert made["document"] == document()
    assert headers["etag"] == '"1"'
    path = headers["location"]
    assert await api.client.ask("GET", path) == made

    changed = await api.client.ask("PUT", path, json=document("Renamed"), headers={"If-Match": '"1"'})
    assert (changed["version"], changed["name"], changed["status"]) == (2, "Renamed", "draft")
    with pytest.raises(ApiError) as conflict:
        await api.client.ask("PUT", path, json=document("Late"), headers={"If-Match": '"1"'})
    assert (conflict.value.status, conflict.value.problem["code"]) == (409, "version_conflict")
    assert (await api.client.ask("PUT", path, json=document("Any"), headers={"If-Match": "*"}))["version"] == 3

    page = await api.client.ask("GET", f"{path}/versions", params={"limit": "2"})
    assert [each["version"] for each in page["items"]] == [3, 2]
    page = await api.client.ask("GET", f"{path}/versions", params={"limit": "2", "cursor": page["next_cursor"]})
    assert [each["version"] for each in page["items"]] == [1]
    assert page["next_cursor"] is None
    assert (await api.client.ask("GET", f"{path}/versions/1"))["document"] == document()

    status, _, _ = await api.client.send("DELETE", path)
    assert status == 204
    assert (await api.client.ask("GET", path))["status"] == "archived"
    with pytest.raises(ApiError) as archived:
        await api.client.ask("PUT", path, json=document())
    assert archived.value.problem["code"] == "workflow_archived"
    with pytest.raises(ApiError) as refused:
        await api.client.execute(made["id"], {})
    assert refused.value.problem["code"] == "workflow_archived"


async def test_endpoints_keep_their_address_over_versions(api: Api) -> None:
    made = await api.client.create(document())
    active = await api.client.activate(made["id"])
    [hook] = active["webhooks"]
    assert active["status"] == "active"
    assert hook["url"] == f"http://linkflow.test/webhooks/{hook['endpoint_id']}"
    assert hook["method"] == "POST"
    assert len(hook["endpoint_id"]) >= 22
    await api.client.ask("PUT", f"/api/v1/workflows/{made['id']}", json=document(method="GET"))
    [again] = (await api.client.activate(made["id"]))["webhooks"]
    assert again["endpoint_id"] == hook["endpoint_id"]
    assert again["method"] == "GET"
    silent = await api.client.ask("POST", f"/api/v1/workflows/{made['id']}/deactivate")
    assert (silent["status"], silent["webhooks"]) == ("inactive", [])
    status, _, problem = await api.client.send("GET", f"/webhooks/{hook['endpoint_id']}")
    assert (status, problem["code"]) == (404, "unknown_webhook")


async def test_a_clone_is_a_workflow_of_its_own(api: Api) -> None:
    made = await api.client.create(document())
    copy = await api.client.ask("POST", f"/api/v1/workflows/{made['id']}/clone")
    assert copy["id"] != made["id"]
    assert copy["name"] == "Echo (copy)"
    assert copy["document"]["nodes"] == made["document"]["nodes"]


async def test_lists_page_through_everything_once(api: Api) -> None:
    made = {(await api.client.create(document(f"W{number}")))["id"] for number in range(7)}
    seen: list[str] = []
    params = {"limit": "3"}
    while True:
        page = await api.client.ask("GET", "/api/v1/workflows", params=params)
        assert len(page["items"]) <= 3
        seen += [each["id"] for each in page["items"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    assert len(seen) == 7
    assert set(seen) == made


async def test_the_same_key_makes_one_workflow(api: Api) -> None:
    key = {"Idempotency-Key": "k-1"}
    made = await asyncio.gather(*(api.client.create(document(), **key) for _ in range(20)))
    assert len({each["id"] for each in made}) == 1
    assert {each["id"] for each in (await api.client.ask("GET", "/api/v1/workflows"))["items"]} == {made[0]["id"]}
    with pytest.raises(ApiError) as mismatch:
        await api.client.create(document("Other"), **key)
    assert (mismatch.value.status, mismatch.value.problem["code"]) == (422, "idempotency_mismatch")
    with pytest.raises(ApiError) as clone:
        await api.client.ask("POST", f"/api/v1/workflows/{made[0]['id']}/clone", headers=key)
    assert clone.value.problem["code"] == "idempotency_mismatch"
    with pytest.raises(ApiError) as long:
        await api.client.create(document(), **{"Idempotency-Key": "x" * 256})
    assert (long.value.status, long.value.problem["code"]) == (400, "invalid_idempotency_key")


async def test_another_workspace_sees_nothing(api: Api) -> None:
    made = await api.client.create(document())
    await api.client.execute(made["id"], {})  # its row and version are cached from here on
    async with Client(api.url, await api.new_key(str(uuid4()))) as stranger:
        for method, path in (
            ("GET", ""),
            ("PUT", ""),
            ("DELETE", ""),
            ("GET", "/versions"),
            ("GET", "/versions/1"),
            ("POST", "/clone"),
            ("POST", "/activate"),
            ("POST", "/deactivate"),
            ("POST", "/execute"),
        ):
            body = document() if method == "PUT" else None
            status, _, problem = await stranger.send(method, f"/api/v1/workflows/{made['id']}{path}", json=body)
            assert (status, problem["code"]) == (404, "not_found"), (method, path)
        assert (await stranger.ask("GET", "/api/v1/workflows"))["items"] == []
        mine = await stranger.create(document(), **{"Idempotency-Key": "k"})
    assert mine["id"] != (await api.client.create(document(), **{"Idempotency-Key": "k"}))["id"]


async def test_a_large_document_is_stored_outside_and_comes_back_whole(api: Api) -> None:
    large = document()
    large["nodes"] += [{"id": f"n{number}", "type": "noop", "notes": "x" * 15_000} for number in range(6)]
    large["connections"] += [{"from": "work", "to": f"n{number}"} for number in range(6)]
    made = await api.client.create(large)
    assert made["document"] == large
    assert (await api.client.activate(made["id"]))["webhooks"]


async def test_the_examples_of_the_description_work(api: Api) -> None:
    made = await api.client.create(examples.DOCUMENT)
    assert (await api.client.activate(made["id"]))["webhooks"]
    answer = await api.client.ask("POST", f"/api/v1/workflows/{made['id']}/execute", json=examples.EXECUTE)
    assert answer["status"] == "completed"
