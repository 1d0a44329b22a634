"""Variables over HTTP: made, read, replaced and deleted, each of them visible before the answer comes."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from domain.variable.decider import MAX_VALUE
from services.api.routes.variable_models import VARIABLE
from tests.services.api.conftest import Api
from tests.services.api.test_credentials import refused
from tests.support.client import Client

BASE = "/api/v1/variables"


async def put(api: Api, name: str, value: Any, **more: Any) -> Any:
    return await api.client.ask("PUT", f"{BASE}/{name}", json={"value": value}, **more)


async def test_a_variable_is_made_read_replaced_and_deleted(api: Api) -> None:
    status, headers, made = await api.client.send("POST", BASE, json=VARIABLE)
    assert (status, headers["etag"], headers["location"]) == (201, '"1"', f"{BASE}/region")
    assert made | {"created_at": "", "updated_at": ""} == {**VARIABLE, "version": 1, "created_at": "", "updated_at": ""}
    assert await api.client.ask("GET", f"{BASE}/region") == made
    body = {"value": {"eu": [1, None, 2**60]}, "description": "more"}
    status, headers, changed = await api.client.send("PUT", f"{BASE}/region", json=body)
    assert (status, headers["etag"], changed["value"], changed["version"]) == (200, '"2"', body["value"], 2)
    assert changed["created_at"] == made["created_at"]
    status, headers, other = await api.client.send("PUT", f"{BASE}/other", json={"value": None})
    assert (status, headers["location"], other["value"], other["description"]) == (201, f"{BASE}/other", None, "")
    assert (await api.client.send("DELETE", f"{BASE}/region"))[0] == 204
    assert await refused(api, "GET", f"{BASE}/region") == (404, "not_found", {})
    assert await refused(api, "DELETE", f"{BASE}/region") == (404, "variable_not_found", {})
    assert [each["name"] for each in (await api.client.ask("GET", BASE))["items"]] == ["other"]


async def test_the_faster_one_wins(api: Api) -> None:
    first = await put(api, "rate", 1)
    mine = {"If-Match": f'"{first["version"]}"'}
    await put(api, "rate", 2, headers=mine)
    assert await refused(api, "PUT", f"{BASE}/rate", json={"value": 3}, headers=mine) == (409, "version_conflict", {})
    assert (await refused(api, "DELETE", f"{BASE}/rate", headers=mine))[:2] == (409, "version_conflict")
    assert (await refused(api, "PUT", f"{BASE}/none", json={"value": 3}, headers=mine))[:2] == (
        404,
        "variable_not_found",
    )
    assert (await refused(api, "PUT", f"{BASE}/rate", json={"value": 3}, headers={"If-Match": "x"}))[0] == 400
    assert (await put(api, "rate", 2))["version"] == 2, "the same again changes nothing"
    any_version = {"If-Match": "*"}
    for method, more in (("PUT", {"json": {"value": 3}}), ("DELETE", {})):
        assert await refused(api, method, f"{BASE}/none", headers=any_version, **more) == (
            404,
            "variable_not_found",
            {},
        )
    assert (await put(api, "rate", 4, headers=any_version))["version"] == 3


async def test_the_same_key_makes_one_variable(api: Api) -> None:
    key = {"Idempotency-Key": "k1"}
    answers = await asyncio.gather(*(api.client.send("POST", BASE, json=VARIABLE, headers=key) for _ in range(5)))
    assert [(status, body) for status, _, body in answers] == [(201, answers[0][2])] * 5
    other = VARIABLE | {"name": "other"}
    assert (await refused(api, "POST", BASE, json=other, headers=key))[:2] == (422, "idempotency_mismatch")
    assert (await refused(api, "POST", BASE, json=VARIABLE))[:2] == (409, "variable_exists")
    await put(api, "region", "changed")
    assert (await api.client.ask("POST", BASE, json=VARIABLE, headers=key))["value"] == "changed"
    await api.client.send("DELETE", f"{BASE}/region")
    assert (await refused(api, "POST", BASE, json=VARIABLE, headers=key))[:2] == (409, "variable_deleted")


async def test_what_is_wrong_is_named(api: Api) -> None:
    status, code, problems = await refused(api, "POST", BASE, json={"name": 7, "description": 1, "secret": True})
    assert (status, code, set(problems)) == (422, "invalid_variable", {"name", "value", "description", "secret"})
    for name in ("1a", "a-b", "constructor", "__proto__", ""):
        assert (await refused(api, "POST", BASE, json={"name": name, "value": 1}))[1:] == (
            "invalid_variable",
            {"name": problems_of(name)},
        )
    assert (await refused(api, "PUT", f"{BASE}/a%2Fb", json={"value": 1}))[0] in (404, 422)
    assert set((await refused(api, "PUT", f"{BASE}/a", json={"name": "a", "value": 1}))[2]) == {"name"}
    large = await refused(api, "PUT", f"{BASE}/a", json={"value": "x" * MAX_VALUE})
    assert (large[:2], set(large[2])) == ((422, "invalid_variable"), {"value"})
    long = await refused(api, "PUT", f"{BASE}/a", json={"value": "x" * 970_000, "description": "d" * 2_001})
    assert (long[0], set(long[2])) == (422, {"value", "description"})
    asked = [each for each in api.worker.decided if each.stream.startswith("variables-")]
    assert asked == [], "what is refused for what it is does not stay in the log"
    assert (await refused(api, "GET", f"{BASE}/%00"))[0] == 404


def problems_of(name: str) -> str:
    odd = "is a name that expressions cannot read"
    plain = "takes 1 to 100 letters, digits and underscores, the first no digit"
    return odd if name in {"constructor", "__proto__"} else plain


async def test_lists_are_by_name_and_paged(api: Api) -> None:
    for name in ("b", "_c", "B", "a"):
        await put(api, name, name)
    page = await api.client.ask("GET", BASE, params={"limit": "3"})
    assert [each["name"] for each in page["items"]] == ["B", "_c", "a"]
    page = await api.client.ask("GET", BASE, params={"limit": "3", "cursor": page["next_cursor"]})
    assert ([each["name"] for each in page["items"]], page["next_cursor"]) == (["b"], None)
    for wrong in ({"cursor": "no cursor"}, {"limit": "0"}):
        assert (await refused(api, "GET", BASE, params=wrong))[0] == 422


async def test_another_workspace_has_its_own(api: Api) -> None:
    await put(api, "region", "ours")
    async with Client(api.url, await api.new_key(str(uuid4()))) as stranger:
        assert (await stranger.ask("GET", BASE))["items"] == []
        assert (await stranger.send("GET", f"{BASE}/region"))[0] == 404
        assert (await stranger.send("DELETE", f"{BASE}/region"))[0] == 404
        assert (await stranger.ask("PUT", f"{BASE}/region", json={"value": "theirs"}))["version"] == 1
    assert (await api.client.ask("GET", f"{BASE}/region"))["value"] == "ours"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
async def test_nobody_without_a_key_comes_in(api: Api, method: str) -> None:
    async with Client(api.url, "none") as nobody:
        path = BASE if method == "POST" else f"{BASE}/region"
        assert (await nobody.send(method, path, json={"value": 1}))[0] == 401
