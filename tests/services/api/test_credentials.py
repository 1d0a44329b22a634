"""Credentials over HTTP: secrets come in and never go out, neither to callers nor into the log; who may use them."""

import asyncio
import json
from itertools import product
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest

from domain.credential.types import CREDENTIAL_TYPES
from infra.log.port import Topic
from services.api.routes import examples
from tests.services.api.conftest import Api
from tests.support.client import ApiError, Client
from tests.support.provider import CLIENT, CLIENT_SECRET, provider

CANARY = "canary-4d1f0c"
BASE = "/api/v1/credentials"


def bearer(**changes: Any) -> dict[str, Any]:
    return {"name": "Shop", "type": "http_bearer", "data": {"token": CANARY}, **changes}


async def everything_on(api: Api) -> str:
    """All records of the log and all rows of credentials, as text."""
    texts = []
    reader = await api.log.reader()
    for topic in (Topic.COMMANDS, Topic.EVENTS):
        for partition in range(api.log.partitions):
            reader.seek(topic, partition, 0)
    while records := await reader.read(timeout=0.05):
        texts += [record.value.decode() for record in records]
    await reader.close()
    rows = await api.parts.reads.pool.fetch("SELECT * FROM credentials")
    return "\n".join([*texts, *(str(dict(row)) for row in rows)])


async def refused(api: Api, method: str, path: str, **fields: Any) -> tuple[int, str, dict[str, str]]:
    with pytest.raises(ApiError) as error:
        await api.client.ask(method, path, **fields)
    problem = error.value.problem
    assert CANARY not in json.dumps(problem)
    return error.value.status, problem["code"], {each["path"]: each["message"] for each in problem["errors"]}


async def test_a_secret_comes_in_and_never_goes_out(api: Api) -> None:
    status, headers, made = await api.client.send("POST", BASE, json=examples.CREDENTIAL)
    assert (status, headers["etag"]) == (201, '"1"')
    assert made["secrets"] == ["token"]
    assert made["data"] == {"allowed_hosts": "api.example.com"}
    assert made["used_by"] == []
    assert (made["oauth2"], made["last_used_at"], made["last_test"]) == (None, None, None)
    path = headers["location"]
    assert await api.client.ask("GET", path) == made

    data = examples.CREDENTIAL["data"]
    open_to_all = await refused(api, "PUT", path, json={"name": "Store", "data": {}})
    assert open_to_all[:2] == (422, "invalid_credential")
    assert "allowed_hosts" in open_to_all[2]["data.token"]
    hosts = {"allowed_hosts": data["allowed_hosts"]}
    kept = await api.client.ask("PUT", path, json={"name": "Store", "data": hosts}, headers={"If-Match": '"1"'})
    assert (kept["version"], kept["name"], kept["secrets"], kept["data"]) == (2, "Store", ["token"], hosts)
    assert await refused(api, "PUT", path, json={"name": "x"}, headers={"If-Match": '"1"'}) == (
        409,
        "version_conflict",
        {},
    )
    dropped = await refused(api, "PUT", path, json={"name": "Store", "data": {**hosts, "token": None}})
    assert dropped[:2] == (422, "invalid_credential")
    assert "data.token" in dropped[2]
    await api.client.ask("PUT", path, json=bearer())

    status, _, _ = await api.client.send("DELETE", path)
    assert status == 204
    assert (await refused(api, "GET", path))[0] == 404
    assert (await refused(api, "PUT", path, json=bearer()))[0] == 404
    text = await everything_on(api)
    assert "credential.deleted" in text
    for secret in (CANARY, data["token"]):
        assert secret not in text


async def test_what_is_wrong_is_named_and_never_repeated(api: Api) -> None:
    assert (await refused(api, "POST", BASE, json=bearer(type=CANARY)))[1] == "unknown_credential_type"
    body = {"name": "", "type": "http_basic", "colour": 1, "data": {"password": f"{CANARY}\n", "user": 7, "x": CANARY}}
    status, code, problems = await refused(api, "POST", BASE, json=body)
    assert (status, code) == (422, "invalid_credential")
    assert set(problems) == {"name", "colour", "data.password", "data.user", "data.x"}
    assert set((await refused(api, "POST", BASE, json=bearer(data={})))[2]) == {"data.token"}
    assert set((await refused(api, "POST", BASE, json=bearer(data=CANARY)))[2]) == {"data"}
    made = await api.client.ask("POST", BASE, json=bearer())
    assert set((await refused(api, "PUT", f"{BASE}/{made['id']}", json=bearer(type="http_basic")))[2]) == {"type"}


async def test_the_same_key_makes_one_credential(api: Api) -> None:
    key = {"Idempotency-Key": "k1"}
    first, again = [await api.client.ask("POST", BASE, json=bearer(), headers=key) for _ in range(2)]
    assert first == again
    other = await refused(api, "POST", BASE, json=bearer(data={"token": f"{CANARY}2"}), headers=key)
    assert other[:2] == (422, "idempotency_mismatch")
    await api.client.send("DELETE", f"{BASE}/{first['id']}")
    assert (await refused(api, "POST", BASE, json=bearer(), headers=key))[1] == "credential_deleted"


async def test_lists_are_filtered_and_paged(api: Api) -> None:
    for number in range(3):
        await api.client.ask("POST", BASE, json=bearer(name=f"Shop {number}"))
    await api.client.ask("POST", BASE, json=bearer(name="100%_own", type="http_header", data={"value": CANARY}))
    page = await api.client.ask("GET", BASE, params={"limit": "3"})
    assert [each["name"] for each in page["items"]] == ["100%_own", "Shop 2", "Shop 1"]
    page = await api.client.ask("GET", BASE, params={"limit": "3", "cursor": page["next_cursor"]})
    assert ([each["name"] for each in page["items"]], page["next_cursor"]) == (["Shop 0"], None)

    async def names(**params: str) -> list[str]:
        return [each["name"] for each in (await api.client.ask("GET", BASE, params=params))["items"]]

    assert await names(type="http_header") == ["100%_own"]
    assert await names(name="shop 1") == ["Shop 1"]
    assert await names(name="%_") == ["100%_own"]
    assert await names(name="%") == ["100%_own"]


INJECTIONS = [
    "'", "''", '"', "\\", "';--", "' OR '1'='1", "') OR 1=1--", "'; DROP TABLE credentials;--", "$1", "$$", "%", "_",
    "\\x00", "\0", "1;SELECT pg_sleep(9)", "' UNION SELECT sealed FROM credentials--", "/*", "*/", "{{ 1 }}", "😀",
]  # fmt: skip


async def test_s14_filters_are_values(api: Api) -> None:
    await api.client.ask("POST", BASE, json=bearer(name="Ordinary"))
    for field, text in product(("name", "type", "cursor", "min_position"), INJECTIONS):
        status, _, body = await api.client.send("GET", BASE, params={field: text})
        assert status in {200, 400, 422}, (text, body)
        if status == 200:
            assert body["items"] == []
        assert CANARY not in json.dumps(body)
    assert len((await api.client.ask("GET", BASE))["items"]) == 1


async def test_types_are_described_well_enough_for_a_form(api: Api) -> None:
    page = await api.client.ask("GET", "/api/v1/credential-types")
    assert [each["type"] for each in page["items"]] == sorted(CREDENTIAL_TYPES)
    basic = await api.client.ask("GET", "/api/v1/credential-types/http_basic")
    assert basic["schema"]["properties"]["password"] == {
        "title": "Password", "type": "string", "writeOnly": True, "format": "password",
    }  # fmt: skip
    assert basic["schema"]["required"] == ["user", "password"]
    assert (await refused(api, "GET", "/api/v1/credential-types/none"))[0] == 404


# --- who may use it ---------------------------------------------------------------------------------------------------


def document(credential: Any, node: str = "http", **parameters: Any) -> dict[str, Any]:
    parameters = parameters or {"url": "https://api.example.com/"}
    return {
        "name": "Uses",
        "nodes": [
            {"id": "start", "type": "manual"},
            {"id": "call", "type": node, "parameters": parameters, "credentials": credential},
        ],
        "connections": [{"from": "start", "to": "call"}],
    }


async def test_s11_a_workflow_names_only_credentials_of_its_workspace(api: Api) -> None:
    mine = (await api.client.ask("POST", BASE, json=bearer()))["id"]
    stranger = Client(api.url, await api.new_key(str(uuid4())))
    theirs = (await stranger.ask("POST", BASE, json=bearer()))["id"]
    for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/test"), ("GET", "/oauth2/authorize")):
        body = {} if path else bearer()
        status, _, problem = await api.client.send(
            method, f"{BASE}/{theirs}{path}", **({"json": body} if method in {"PUT", "POST"} else {})
        )
        assert (status, problem["code"]) == (404, "not_found")
    await stranger.close()

    made = await api.client.create(document(mine))
    workflow = f"/api/v1/workflows/{made['id']}"
    for wrong in (theirs, {"http_bearer": theirs}, str(uuid4()), mine.upper(), "{{ $json.id }}", "x' OR '1'='1", "\0"):
        for method, path in (("POST", "/api/v1/workflows"), ("PUT", workflow)):
            status, code, problems = await refused(api, method, path, json=document(wrong))
            assert (status, code) == (422, "invalid_workflow")
            assert "node 'call'" in problems["nodes[1].credentials"]
            assert "no credential" in problems["nodes[1].credentials"]
    assert (await api.client.ask("GET", workflow))["version"] == 1


async def test_a_workflow_names_only_credentials_that_fit(api: Api) -> None:
    mine = (await api.client.ask("POST", BASE, json=bearer()))["id"]
    await api.client.create(document({"http_bearer": mine}))
    for wrong in ({"http_basic": mine},):
        _, _, problems = await refused(api, "POST", "/api/v1/workflows", json=document(wrong))
        assert "type http_bearer" in problems["nodes[1].credentials"]
    _, _, problems = await refused(api, "POST", "/api/v1/workflows", json=document(mine, "noop", x=1))
    assert "nodes[1].credentials" in problems


async def test_a_credential_says_who_uses_it_and_is_not_deleted_under_them(api: Api) -> None:
    mine = (await api.client.ask("POST", BASE, json=bearer()))["id"]
    made = await api.client.create(document(mine))
    await api.client.create(document({"http_bearer": mine}))
    await api.client.create(document((await api.client.ask("POST", BASE, json=bearer()))["id"]))
    used = (await api.client.ask("GET", f"{BASE}/{mine}"))["used_by"]
    assert len(used) == 2
    assert (used[0]["workflow_id"], used[0]["nodes"]) == (made["id"], ["call"])
    status, code, problems = await refused(api, "DELETE", f"{BASE}/{mine}")
    assert (status, code, len(problems)) == (409, "credential_in_use", 2)
    status, _, _ = await api.client.send("DELETE", f"{BASE}/{mine}", params={"force": "true"})
    assert status == 204
    status, code, problems = await refused(api, "POST", f"/api/v1/workflows/{made['id']}/activate")
    assert (status, code) == (422, "invalid_workflow")
    clone = await refused(api, "POST", f"/api/v1/workflows/{made['id']}/clone")
    assert clone[:2] == (422, "invalid_workflow")


# --- what workers do for it -------------------------------------------------------------------------------------------


async def test_it_is_tried_out_by_a_worker_and_the_answer_says_nothing_secret(api: Api) -> None:
    async with provider() as service:
        made = await api.client.ask(
            "POST", BASE, json=bearer(data={"token": CANARY, "test_url": f"{service.url}/echo/200"})
        )
        path = f"{BASE}/{made['id']}"
        told = await api.client.ask("POST", f"{path}/test")
        assert (told["ok"], told["code"]) == (True, "")
        assert service.seen[-1].headers["Authorization"] == f"Bearer {CANARY}"
        assert (await api.client.ask("GET", path))["last_test"] == told
        told = await api.client.ask("POST", f"{path}/test", json={"url": f"{service.url}/echo/401"})
        assert (told["ok"], told["code"]) == (False, "credential_refused")
        for url, code in ((f"{service.url}/echo/500", "credential_refused"), ("http://127.0.0.2:1/", "egress_refused")):
            told = await api.client.ask("POST", f"{path}/test", json={"url": url})
            assert (told["ok"], told["code"]) == (False, code)
            assert CANARY not in json.dumps(told)
        bare = (await api.client.ask("POST", BASE, json=bearer()))["id"]
        assert (await refused(api, "POST", f"{BASE}/{bare}/test"))[:2] == (422, "test_not_possible")
        assert (await refused(api, "POST", f"{path}/test", json={"url": "file:///x"}))[0] == 422
    assert CANARY not in await everything_on(api)


def oauth2(url: str, **data: Any) -> dict[str, Any]:
    fields = {
        "authorize_url": f"{url}/allow", "token_url": f"{url}/token", "client_id": CLIENT,
        "client_secret": CLIENT_SECRET, "test_url": f"{url}/me",
    }  # fmt: skip
    return {"name": "Mail", "type": "oauth2", "data": {**fields, **data}}


async def begin(client: Client, credential: str) -> dict[str, str]:
    """The parameters that the browser goes to the provider with."""
    shown = await client.ask("GET", f"{BASE}/{credential}/oauth2/authorize")
    assert shown["redirect_uri"] == "http://linkflow.test/oauth2/callback"
    return {name: value for name, [value] in parse_qs(urlsplit(shown["url"]).query).items()}


async def come_back(api: Api, **params: str) -> tuple[int, str]:
    status, headers, body = await api.client.send(
        "GET", "/oauth2/callback", params=params, headers={"Authorization": ""}
    )
    assert "default-src 'none'" in headers["content-security-policy"]
    return status, str(body)


async def test_a_person_connects_an_oauth2_credential_once(api: Api) -> None:
    async with provider() as service:
        made = await api.client.ask("POST", BASE, json=oauth2(service.url))
        path = f"{BASE}/{made['id']}"
        assert made["oauth2"] == {"connected": False, "expires_at": None, "scope": None, "error": None}
        told = await api.client.ask("POST", f"{path}/test")
        assert (told["ok"], told["code"]) == (False, "credential_not_connected")

        asked = await begin(api.client, made["id"])
        service.allow("code-1", asked["code_challenge"])
        status, page = await come_back(api, state=asked["state"], code="code-1")
        assert (status, "Connected" in page) == (200, True)
        shown = await api.client.ask("GET", path)
        assert (shown["oauth2"]["connected"], shown["oauth2"]["scope"]) == (True, "read")
        assert shown["secrets"] == ["client_secret"]
        assert (await api.client.ask("POST", f"{path}/test"))["ok"]

        status, page = await come_back(api, state=asked["state"], code="code-1")
        assert status == 409  # the consent works once, whoever comes with it
        assert service.granted == ["authorization_code"]

        other = await begin(api.client, made["id"])
        service.allow("code-2", asked["code_challenge"])  # a code that was got for another proof
        status, page = await come_back(api, state=other["state"], code="code-2")
        assert (status, "invalid_grant" in page) == (502, True)
        shown = await api.client.ask("GET", path)
        assert shown["oauth2"]["connected"]
        assert shown["oauth2"]["error"]["code"] == "oauth2_refused"

        refused_by_person = await begin(api.client, made["id"])
        status, page = await come_back(api, state=refused_by_person["state"], error="<b>access_denied")
        assert (status, "<b>" in page) == (400, False)
        changed = await api.client.ask("PUT", path, json=oauth2(service.url, client_id="another"))
        assert not changed["oauth2"]["connected"]
    text = await everything_on(api)
    for secret in ("canary-", "code-1", CLIENT_SECRET, asked["state"]):
        assert secret not in text


async def test_a_state_that_is_not_ours_is_no_consent(api: Api) -> None:
    made = await api.client.ask("POST", BASE, json=oauth2("http://127.0.0.1:1"))
    state = (await begin(api.client, made["id"]))["state"]
    payload, _, seal = state.partition(".")
    for wrong in ("", "x", payload, f"{payload}.", f"{payload}.{seal[:-2]}xx", f"{payload[:-2]}xx.{seal}", f".{seal}"):
        assert (await come_back(api, state=wrong, code="c"))[0] == 400
    bare = (await api.client.ask("POST", BASE, json=bearer()))["id"]
    assert (await refused(api, "GET", f"{BASE}/{bare}/oauth2/authorize"))[:2] == (422, "not_oauth2")


async def test_a_session_brings_its_own_consent_back_and_no_other(api: Api) -> None:
    made = await api.client.ask("POST", BASE, json=oauth2("http://127.0.0.1:1"))
    state, _ = api.parts.consents.begin(api.workspace, made["id"], by_session=True)
    assert (await come_back(api, state=state, code="c"))[0] == 400


async def test_tokens_are_renewed_in_front_of_the_provider(api: Api) -> None:
    """Twenty tests at once with an expired token: one renewal, through the database's lock."""
    async with provider() as service:
        service.lives = 1
        made = await api.client.ask("POST", BASE, json=oauth2(service.url, grant="client_credentials"))
        path = f"{BASE}/{made['id']}"
        told = await asyncio.gather(*(api.client.ask("POST", f"{path}/test") for _ in range(3)))
        assert all(each["ok"] for each in told), told
        service.lives = 3_600
        before = len(service.granted)
        told = await asyncio.gather(*(api.client.ask("POST", f"{path}/test") for _ in range(20)))
        assert all(each["ok"] for each in told), told
        assert len(service.granted) == before + 1
        assert set(service.granted) == {"client_credentials"}
