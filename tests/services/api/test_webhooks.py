"""Webhooks in: what becomes an item, how callers are answered."""

import asyncio
import io
from typing import Any

import pytest

from tests.services.api.conftest import Api
from tests.services.api.test_executions import deploy
from tests.services.api.test_workflows import document


async def given(api: Api, execution_id: str) -> dict[str, Any]:
    """The item that the webhook made."""
    [item] = (await api.client.execution(execution_id))["input"]
    json: dict[str, Any] = item["json"]
    return json


async def test_a_request_becomes_an_item(api: Api) -> None:
    _, path = await deploy(api)
    headers = {"X-API-Key": "secret", "Cookie": "a=b", "X-Shop": "1", "Content-Type": "application/json"}
    status, answered, accepted = await api.client.send(
        "POST", f"{path}?q=1&q=2&empty=", json={"price": 5}, headers={**headers, "X-Request-ID": "req-1"}
    )
    assert status == 202
    assert answered["x-request-id"] == "req-1"
    json = await given(api, accepted["execution_id"])
    assert json["body"] == {"price": 5}
    assert json["query"] == {"q": ["1", "2"], "empty": ""}
    assert (json["method"], json["params"]) == ("POST", {})
    assert json["headers"]["x-shop"] == "1"
    assert not {"authorization", "cookie", "x-api-key"} & json["headers"].keys()


BODIES: list[tuple[str, bytes, Any]] = [
    ("application/json", b"[1]", [1]),
    ("application/json; charset=utf-8", b'"x"', "x"),
    ("application/ld+json", b"null", None),
    ("application/x-www-form-urlencoded", b"a=1&b=%C3%BC&a=2", {"a": ["1", "2"], "b": "ü"}),
    ("text/plain", "grüß".encode(), "grüß"),
    ("application/json", b"", {}),
]
REFUSED = [
    ("application/json", b'{"a":\n 1,,}', 400, "malformed_json"),
    ("application/json", b"[" * 100_000, 400, "json_too_deep"),
    ("application/json", b'"' + b"x" * 5_000_001 + b'"', 413, "body_too_large"),
]


async def test_bodies_by_content_type(api: Api) -> None:
    _, path = await deploy(api)
    for kind, body, expected in BODIES:
        status, _, accepted = await api.client.send("POST", path, data=body, headers={"Content-Type": kind})
        assert status == 202, accepted
        assert (await given(api, accepted["execution_id"]))["body"] == expected, kind


async def test_bodies_that_are_refused(api: Api) -> None:
    workflow, path = await deploy(api)
    for kind, body, status, code in REFUSED:
        data: Any = io.BytesIO(body) if len(body) > 1_000_000 else body
        found, headers, problem = await api.client.send("POST", path, data=data, headers={"Content-Type": kind})
        assert (found, problem["code"]) == (status, code)
        assert headers["content-type"] == "application/problem+json"
        if code == "malformed_json":
            assert "line 2, column 4" in problem["detail"]
    assert await api.client.statuses(workflow) == {}


async def test_a_chunked_body_is_refused_while_it_arrives(api: Api) -> None:
    _, path = await deploy(api)

    async def chunks() -> Any:
        for _ in range(60):
            yield b"x" * 100_000

    status, _, problem = await api.client.send("POST", path, data=chunks())  # type: ignore[arg-type]
    assert (status, problem["code"]) == (413, "body_too_large")


async def test_methods(api: Api) -> None:
    _, path = await deploy(api)
    status, headers, problem = await api.client.send("GET", path)
    assert (status, headers["allow"], problem["code"]) == (405, "POST", "method_not_allowed")
    _, anything = await api.client.deploy(document(method="ANY"))
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"):
        assert (await api.client.send(method, anything))[0] == 202, method
    assert (await api.client.send("OPTIONS", anything))[0] == 405
    assert (await api.client.send("GET", "/webhooks/unknown"))[0] == 404
    assert (await api.client.send("GET", "/webhooks/a/b"))[0] == 404


async def test_when_done_answers_with_the_items(api: Api) -> None:
    _, path = await deploy(api, "when_done")
    status, headers, answer = await api.client.send("POST", path, json={"a": 1})
    assert (status, len(answer), answer[0]["body"]) == (200, 1, {"a": 1})
    assert headers["content-security-policy"] == "sandbox"
    status, headers, problem = await api.client.send("POST", path, json={"fail": "broken"})
    assert (status, headers["content-type"]) == (500, "application/problem+json")
    assert (problem["code"], problem["detail"], problem["node_id"]) == ("node_failed", "broken", "work")
    assert (await api.client.execution(problem["execution_id"]))["status"] == "failed"


@pytest.mark.parametrize(
    ("response", "status", "kind", "text"),
    [
        ({"status": 201, "headers": {}, "body": {"ok": True}}, 201, "application/json", {"ok": True}),
        ({"status": 200, "headers": {}, "body": "hi"}, 200, "text/plain; charset=utf-8", "hi"),
        ({"status": 404, "headers": {"Content-Type": "text/html"}, "body": "<p>"}, 404, "text/html", "<p>"),
        ({"status": 200, "headers": {"X-A": "1\r\nX-B: 2", "Set-Cookie": "a=b"}, "body": [1]}, 200, "", [1]),
    ],
)
async def test_with_node_answers_as_the_node_says(
    api: Api, response: dict[str, Any], status: int, kind: str, text: Any
) -> None:
    _, path = await deploy(api, "with_node")
    found, headers, answer = await api.client.send("POST", path, json={"respond": response})
    assert (found, answer) == (status, text)
    assert headers["content-type"].startswith(kind)
    assert "x-b" not in headers
    assert "set-cookie" not in headers


async def test_with_node_and_none_reached(api: Api) -> None:
    _, path = await deploy(api, "with_node")
    status, headers, answer = await api.client.send("POST", path, json={"a": 1})
    assert (status, answer) == (204, "")
    assert "content-length" not in headers
    assert (await api.client.send("POST", path, json={"fail": "x"}))[0] == 500


@pytest.mark.parametrize("respond", ["at_once", "when_done", "with_node"])
async def test_the_same_key_gets_the_same_answer(api: Api, respond: str) -> None:
    workflow, path = await deploy(api, respond)
    body = {"respond": {"status": 201, "headers": {"X-A": "1"}, "body": {"n": 1}}}
    key = {"Idempotency-Key": "k"}
    first, *others = await asyncio.gather(*(api.client.send("POST", path, json=body, headers=key) for _ in range(10)))
    others.append(await api.client.send("POST", path, json=body, headers=key))
    for other in others:
        assert (other[0], other[2]) == (first[0], first[2])
    if respond == "at_once":
        await api.client.execution(first[2]["execution_id"])  # visible from here on
    assert len(await api.client.statuses(workflow)) == 1
    status, _, problem = await api.client.send("POST", path, json={"other": 1}, headers=key)
    assert (status, problem["code"]) == (422, "idempotency_mismatch")
    status, _, problem = await api.client.send("POST", f"{path}?a=1", json=body, headers=key)
    assert (status, problem["code"]) == (422, "idempotency_mismatch")


async def test_callers_of_different_webhooks_have_keys_of_their_own(api: Api) -> None:
    key = {"Idempotency-Key": "order-1"}
    (workflow, first), (_, second) = await deploy(api), await deploy(api)
    answers = [await api.client.send("POST", path, json={"n": 1}, headers=key) for path in (first, second)]
    assert [status for status, _, _ in answers] == [202, 202]
    started = [answer["execution_id"] for _, _, answer in answers]
    started.append((await api.client.ask("POST", f"/api/v1/workflows/{workflow}/execute", headers=key))["execution_id"])
    assert len(set(started)) == 3


async def test_a_large_answer_is_given_again(api: Api) -> None:
    _, path = await deploy(api, "with_node")
    body = {"respond": {"status": 200, "headers": {}, "body": {"text": "x" * 100_000}}}
    for _ in range(2):
        status, _, answer = await api.client.send("POST", path, json=body, headers={"Idempotency-Key": "k"})
        assert (status, answer) == (200, body["respond"]["body"])


async def test_a_failed_execution_fails_again_for_the_same_key(api: Api) -> None:
    _, path = await deploy(api, "when_done")
    key = {"Idempotency-Key": "k"}
    first = await api.client.send("POST", path, json={"fail": "x"}, headers=key)
    second = await api.client.send("POST", path, json={"fail": "x"}, headers=key)
    assert first[0] == second[0] == 500
    for name in ("code", "detail", "node_id", "execution_id"):
        assert first[2][name] == second[2][name]


async def test_a_new_version_answers_as_soon_as_it_is_active(api: Api) -> None:
    workflow, path = await deploy(api)
    assert (await api.client.send("POST", path, json={}))[0] == 202
    await api.client.ask("PUT", f"/api/v1/workflows/{workflow}", json=document(respond="when_done"))
    assert (await api.client.send("POST", path, json={}))[0] == 202
    await api.client.activate(workflow)
    assert (await api.client.send("POST", path, json={}))[0] == 200
    await api.client.ask("POST", f"/api/v1/workflows/{workflow}/deactivate")
    assert (await api.client.send("POST", path, json={}))[0] == 404
