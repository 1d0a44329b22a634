"""What holds for every address: who may ask, how errors look, ids, health, the description."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from fastapi.routing import APIRoute

from infra.telemetry.metrics import ACCEPTED
from schemas.fence import Fence
from services.api import answers as answers_module
from services.api import commands as commands_module
from services.api import health as health_module
from services.api.answers import COMMIT_TOPICS, Follower, Place
from services.api.app import make_framework
from services.api.bodies import MAX_JSON_DEPTH, parse_json
from services.api.idempotency import identify
from services.api.principal import PUBLIC_PATHS, is_public
from services.api.problems import Problem
from services.api.routes.common import asker
from services.api.sessions import Sessions, make_login_token
from tests.services.api.conftest import SECRET, Api
from tests.services.api.test_workflows import document
from tests.support.client import Client

SOME = "0b0ee1c1-6c1e-4c39-a2b3-0d6c7bb7a111"


async def test_every_route_needs_a_principal_unless_it_is_listed(api: Api) -> None:
    framework = make_framework(api.parts)
    operations = [
        (path, method.upper()) for path, methods in framework.openapi()["paths"].items() for method in methods
    ]
    assert len(operations) > 20
    walked = 0
    async with aiohttp.ClientSession() as session:
        for path, method in operations:
            if is_public(path.replace("{endpoint_id}", "x")):
                continue
            filled = path
            for name in ("workflow_id", "execution_id", "node_id"):
                filled = filled.replace(f"{{{name}}}", SOME)
            filled = filled.replace("{version}", "1")
            for headers in ({}, {"Authorization": "Bearer lf_not-a-key-not-a-key"}, {"X-API-Key": ""}):
                async with session.request(method, api.url + filled, headers=headers) as answer:
                    assert answer.status == 401, (method, path)
                    assert answer.content_type == "application/problem+json"
            walked += 1
    assert walked > 15
    for route in _routes(framework):
        if route.path not in PUBLIC_PATHS:
            assert asker in [each.call for each in route.dependant.dependencies], route.path


def _routes(framework: Any) -> list[APIRoute]:
    found: list[APIRoute] = []
    pending = list(framework.routes)
    while pending:
        route = pending.pop()
        if isinstance(route, APIRoute):
            found.append(route)
        else:
            pending += getattr(route, "routes", None) or []
    return found


async def test_keys_are_taken_both_ways_and_may_end(api: Api) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{api.url}/api/v1/workflows", headers={"X-API-Key": api.key}) as answer:
            assert answer.status == 200
        async with session.get(f"{api.url}/api/v1/workflows", headers={"Authorization": f"bearer {api.key}"}) as answer:
            assert answer.status == 200
        async with session.get(f"{api.url}/api/v1/workflows", headers={"Authorization": "Basic eDp5"}) as answer:
            assert answer.status == 401


ERRORS = [
    ("GET", "/api/v1/nothing", 404, "not_found"),
    ("GET", "/api/v1/workflows/", 404, "not_found"),
    ("DELETE", "/api/v1/executions", 405, "method_not_allowed"),
    ("GET", f"/api/v1/workflows/{SOME}/execute", 405, "method_not_allowed"),
    ("GET", f"/api/v1/workflows/{SOME}", 404, "not_found"),
    ("GET", "/api/v1/workflows/not-an-id", 404, "not_found"),
    ("GET", "/api/v1/workflows/%00", 404, "not_found"),
    ("GET", f"/api/v1/workflows/{SOME}/versions/x", 422, "invalid_parameters"),
    ("GET", f"/api/v1/workflows/{SOME}/versions/99999999999", 422, "invalid_parameters"),
    ("GET", f"/api/v1/executions/{SOME}", 404, "not_found"),
    ("POST", "/webhooks/nobody", 404, "unknown_webhook"),
]


async def test_errors_are_problem_documents(api: Api) -> None:
    for method, path, status, code in ERRORS:
        found, headers, problem = await api.client.send(method, path, headers={"X-Request-ID": "mine-1"})
        assert (found, problem["code"], problem["status"]) == (status, code, status), path
        assert headers["content-type"] == "application/problem+json"
        assert problem["request_id"] == headers["x-request-id"] == "mine-1"
        assert {"type", "title", "detail", "errors"} <= problem.keys()
        if status == 405:
            assert headers["allow"]


BAD_DOCUMENTS = [
    (b"", 400, "malformed_json"),
    (b"{", 400, "malformed_json"),
    (b"[]", 422, "wrong_type"),
    (b'{"name": 5, "nodes": []}', 422, "invalid_workflow"),
    (b'{"name": "x", "nodes": [{"id": "a", "type": "no_such"}]}', 422, "invalid_workflow"),
]


async def test_bad_documents(api: Api) -> None:
    for body, status, code in BAD_DOCUMENTS:
        found, _, problem = await api.client.send("POST", "/api/v1/workflows", data=body)
        assert (found, problem["code"]) == (status, code), body
        if code == "invalid_workflow":
            assert problem["errors"][0]["path"]


async def test_an_unexpected_failure_shows_nothing_of_the_inside(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> Any:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(type(api.parts.reads), "workflows", broken)
    status, headers, problem = await api.client.send("GET", "/api/v1/workflows")
    assert (status, problem["code"]) == (500, "internal_error")
    assert "secret" not in json.dumps(problem)
    assert headers["x-request-id"]


async def test_health_names_every_component(api: Api) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{api.url}/health/ready") as answer:
            assert answer.status == 200, await answer.text()
            body = await answer.json()
        assert body["components"].keys() == {"log", "database", "worker", "projector", "scheduler", "sandbox"}
        assert all(component["ok"] for component in body["components"].values())
        async with session.get(f"{api.url}/health/live") as answer:
            assert answer.status == 200
        api.log.set_down(True)
        await asyncio.sleep(0.6)
        async with session.get(f"{api.url}/health/ready") as answer:
            assert answer.status == 503
            body = await answer.json()
        assert body["components"]["log"]["ok"] is False
        api.log.set_down(False)


async def test_a_worker_that_decides_nothing_is_seen(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "STUCK_SECONDS", 0.05)
    workflow = (await api.client.create(document()))["id"]
    api.worker.gate.clear()
    await api.client.execute(workflow, {})
    for _ in range(50):
        await asyncio.sleep(0.1)
        components = await api.parts.health.components()
        if not components["worker"]["ok"]:
            break
    assert components["worker"]["inputs_waiting"] == 1
    assert components["worker"]["ok"] is False
    assert components["projector"]["ok"] is True
    api.worker.gate.set()


async def test_too_many_that_wait_for_the_log_are_turned_away(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    _, path = await api.client.deploy(document())
    monkeypatch.setattr(commands_module, "MAX_WAITING", 0)
    status, headers, problem = await api.client.send("POST", path, json={})
    assert (status, headers["retry-after"], problem["code"]) == (503, "1", "unavailable")
    monkeypatch.undo()
    assert (await api.client.send("POST", path, json={}))[0] == 202


async def test_tables_of_an_older_version_are_503_until_they_are_rebuilt(api: Api) -> None:
    await api.parts.reads.pool.execute("ALTER TABLE read.executions DROP COLUMN variables")
    status, headers, problem = await api.client.send("GET", f"/api/v1/executions/{SOME}")
    assert (status, headers["retry-after"], problem["code"]) == (503, "1", "unavailable")


async def test_an_answer_that_does_not_come_is_503(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers_module.await_reply, "__defaults__", (0.05,))
    api.worker.gate.clear()
    status, headers, problem = await api.client.send("POST", "/api/v1/workflows", json=document())
    assert (status, headers["retry-after"], problem["code"]) == (503, "1", "unavailable")
    api.worker.gate.set()


async def test_a_follower_whose_place_was_cut_starts_afresh(api: Api) -> None:
    await api.client.create(document())
    follower = Follower(api.log, api.parts.reads.fences)
    slots = [(topic, number) for topic in COMMIT_TOPICS for number in range(api.log.partitions)]
    follower.places = {slot: Place(Fence()) for slot in slots}
    lost = asyncio.Event()
    follower.listeners.lost.append(lost.set)
    for topic, number in slots:
        await api.log.delete_before(topic, number, await api.log.end_offset(topic, number))
    following = asyncio.create_task(follower.run())
    async with asyncio.timeout(10):
        await lost.wait()
        await follower.ready.wait()
    for slot in slots:
        assert follower.places[slot].fence.next_offset == await api.log.end_offset(*slot)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_who_would_wait_is_turned_away_until_the_log_is_followed(api: Api) -> None:
    _, at_once = await api.client.deploy(document())
    _, when_done = await api.client.deploy(document(respond="when_done"))
    api.parts.follower.ready.clear()
    assert (await api.client.send("POST", when_done, json={}))[0] == 503
    assert (await api.client.send("POST", "/api/v1/workflows", json=document()))[0] == 503
    assert (await api.client.send("POST", at_once, json={}))[0] == 202
    api.parts.follower.ready.set()
    assert (await api.client.send("POST", when_done, json={}))[0] == 200


async def test_metrics_count_what_was_accepted(api: Api) -> None:
    before = ACCEPTED.labels("workflow")._value.get()
    await api.client.create(document())
    async with aiohttp.ClientSession() as session, session.get(f"{api.url}/metrics") as answer:
        text = await answer.text()
    assert f'linkflow_accepted_total{{kind="workflow"}} {before + 1}' in text


async def test_the_description_tells_every_address(api: Api) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{api.url}/openapi.json") as answer:
        description = await answer.json()
    paths = description["paths"]
    assert "post" in paths["/api/v1/workflows/{workflow_id}/execute"]
    assert paths["/webhooks/{endpoint_id}"].keys() == {"get", "post", "put", "patch", "delete", "head"}
    assert "get" in paths["/ws"]
    known = description["components"]["schemas"]
    for name in _references(description):
        assert name in known, name
    names = [operation.get("operationId") for methods in paths.values() for operation in methods.values()]
    assert len(set(names)) == len(names)


def _references(value: Any) -> set[str]:
    if isinstance(value, dict):
        found = {value["$ref"].rpartition("/")[2]} if isinstance(value.get("$ref"), str) else set()
        return found.union(*(_references(each) for each in value.values()))
    if isinstance(value, list):
        return set().union(*(_references(each) for each in value))
    return set()


async def test_the_login_link_works_once(api: Api) -> None:
    token = make_login_token(SECRET, api.workspace)
    await api.client.create(document())
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        async with session.get(f"{api.url}/login", params={"token": token}, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["location"]) == (303, "/")
            cookie = answer.headers["set-cookie"]
            assert "HttpOnly" in cookie
            assert "samesite=lax" in cookie.lower()
        async with session.get(f"{api.url}/api/v1/workflows") as answer:
            assert len((await answer.json())["items"]) == 1
        for origin, status in ((None, 403), ("http://elsewhere.test", 403), (api.url, 201)):
            headers = {} if origin is None else {"Origin": origin}
            async with session.post(f"{api.url}/api/v1/workflows", json=document(), headers=headers) as answer:
                assert answer.status == status, origin
        for origin, status in (("http://elsewhere.test", 403), (None, 403)):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(f"{api.url}/ws", **({"origin": origin} if origin else {}))
            assert refused.value.status == status
        async with session.ws_connect(f"{api.url}/ws", origin=api.url) as connection:
            assert not connection.closed
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{api.url}/login", params={"token": token}, allow_redirects=False) as answer,
    ):
        assert answer.status == 401


async def test_the_page_loads_nothing_from_outside(api: Api) -> None:
    async with aiohttp.ClientSession() as session:
        for path, kind in (("/", "text/html"), ("/page.js", "text/javascript"), ("/page.css", "text/css")):
            async with session.get(api.url + path) as answer:
                text = await answer.text()
                assert (answer.status, answer.content_type) == (200, kind)
                assert "default-src 'none'" in answer.headers["content-security-policy"]
                assert "innerHTML" not in text
                assert "https://" not in text


def test_login_tokens_and_sessions_end() -> None:
    now = [1000.0]
    sessions = Sessions(SECRET, clock=lambda: now[0])
    session = sessions.redeem(make_login_token(SECRET, SOME, now=1000))
    assert session is not None
    assert sessions.workspace_of(session) == SOME
    assert sessions.redeem(session) is None, "a session is no login token"
    assert sessions.workspace_of(make_login_token(SECRET, SOME, now=1000)) is None
    late = make_login_token(SECRET, SOME, now=1000)
    now[0] = 1601
    assert sessions.redeem(late) is None
    assert sessions.workspace_of(session) == SOME
    now[0] = 1000 + 12 * 3600
    assert sessions.workspace_of(session) is None
    for forged in ("", ".", "a.b", session[:-1], "x" + session, session.replace(".", ""), "ü.x"):
        assert sessions.workspace_of(forged) is None
    assert Sessions(bytes(32)).redeem(make_login_token(SECRET, SOME)) is None


def test_depth_is_counted_outside_strings() -> None:
    deep = b"[" * MAX_JSON_DEPTH + b"]" * MAX_JSON_DEPTH
    assert parse_json(deep)
    with pytest.raises(Problem) as refused:
        parse_json(b"[" + deep + b"]")
    assert refused.value.code == "json_too_deep"
    assert parse_json(json.dumps(["[" * 500, '\\"[{' * 300]).encode())


def test_the_key_names_the_same_id_only_in_its_workspace() -> None:
    headers = [(b"idempotency-key", b"k")]
    first = identify("execution", SOME, headers, "/a", b"x")
    assert first == identify("execution", SOME, headers, "/a", b"x")
    assert first.keyed
    assert first.id != identify("workflow", SOME, headers, "/a", b"x").id
    assert first.id != identify("execution", SOME[::-1].replace("-", "")[:32], headers, "/a", b"x").id
    assert first.fingerprint != identify("execution", SOME, headers, "/b", b"x").fingerprint
    for key in (b"", b"x" * 256, b"\xff", b"a\nb"):
        with pytest.raises(Problem):
            identify("execution", SOME, [(b"idempotency-key", key)], "/a", b"")


async def test_two_clients_of_one_process_are_kept_apart(api: Api) -> None:
    async with Client(api.url, await api.new_key()) as colleague:
        made = await colleague.create(document())
        assert (await api.client.ask("GET", f"/api/v1/workflows/{made['id']}"))["id"] == made["id"]
