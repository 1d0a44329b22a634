"""Deliveries: duplicates, throttles and debounces over HTTP; every one is listed, and can be sent again."""

import asyncio
import time
from typing import Any
from uuid import uuid4

import pytest

from services.api import inboxes
from services.api.commands import now_ms
from services.projector.verify import verify
from tests.services.api.conftest import Api
from tests.services.api.test_workflows import document
from tests.support.client import ApiError, Client

DEDUP: dict[str, Any] = {"dedup": {"key": "{{ $json.body.id }}", "ttl_seconds": 3600}}


def gated(respond: str = "at_once", **parameters: Any) -> dict[str, Any]:
    made = document(respond=respond)
    made["nodes"][0]["parameters"] |= parameters
    return made


async def listed(api: Api, workflow: str, **params: str) -> list[dict[str, Any]]:
    page = await api.client.ask("GET", f"/api/v1/workflows/{workflow}/deliveries", params=params)
    items: list[dict[str, Any]] = page["items"]
    return items


async def settled(api: Api, workflow: str, number: int, **params: str) -> list[dict[str, Any]]:
    """The list as soon as it has so many: what was refused is told to the log behind the answer."""
    with api.parts.positions.watch():
        async with asyncio.timeout(10):
            while len(found := await listed(api, workflow, **params)) < number:
                await api.parts.positions.moved()
    return found


async def started(api: Api, workflow: str, number: int) -> None:
    """So many executions there are, as soon as they are shown, and no more."""
    with api.parts.positions.watch():
        async with asyncio.timeout(10):
            while len(found := await api.client.statuses(workflow)) < number:
                await api.parts.positions.moved()
    assert len(found) == number


async def verified(api: Api) -> None:
    report = await verify(api.log, api.parts.reads.pool)
    assert report.ok, report.differences


async def time_comes(api: Api, seconds: float) -> None:
    """For all inboxes: so much later."""
    streams = [name for name in api.worker.streams() if name.startswith("inbox-")]
    for stream in streams:
        await api.worker.pass_time(stream, api.workspace, now_ms() + round(seconds * 1_000))


async def test_the_second_delivery_with_a_key_starts_nothing(api: Api) -> None:
    workflow, path = await api.client.deploy(gated(**DEDUP))
    status, _, first = await api.client.send("POST", path, json={"id": "a", "n": 1})
    assert (status, first["status"]) == (202, "accepted")
    status, _, second = await api.client.send("POST", path, json={"id": "a", "n": 2})
    assert (status, second["duplicate"], second["execution_id"]) == (200, True, first["execution_id"])
    assert second["duplicate_of"] == first["delivery_id"]
    status, _, other = await api.client.send("POST", path, json={"id": "b"})
    assert status == 202
    execution = await api.client.execution(first["execution_id"])
    assert (execution["delivery_id"], execution["trigger_type"]) == (first["delivery_id"], "webhook")
    assert execution["input"][0]["json"]["body"] == {"id": "a", "n": 1}
    await started(api, workflow, 2)
    found = await settled(api, workflow, 3)
    assert [each["id"] for each in found] == [other["delivery_id"], second["delivery_id"], first["delivery_id"]]
    assert [each["status"] for each in found] == ["accepted", "duplicate", "accepted"]
    shown = await api.client.ask("GET", f"/api/v1/deliveries/{second['delivery_id']}")
    assert shown["payload"][0]["json"]["body"] == {"id": "a", "n": 2}
    assert (shown["duplicate_of"], shown["execution_id"], shown["executions"]) == (first["delivery_id"], None, [])
    shown = await api.client.ask("GET", f"/api/v1/deliveries/{first['delivery_id']}")
    assert shown["payload"][0]["json"]["body"] == {"id": "a", "n": 1}
    assert shown["executions"] == [first["execution_id"]]
    await verified(api)


async def test_many_at_once_with_one_key_start_once(api: Api) -> None:
    workflow, path = await api.client.deploy(gated(**DEDUP))
    answers = await asyncio.gather(*(api.client.send("POST", path, json={"id": 7, "n": n}) for n in range(20)))
    assert sorted(status for status, _, _ in answers) == [200] * 19 + [202]
    assert len({answer["execution_id"] for _, _, answer in answers}) == 1
    await settled(api, workflow, 20)
    await started(api, workflow, 1)


async def begin_of_a_minute() -> None:
    """What is counted by the minute is counted in one."""
    while time.time() % 60 > 40:
        await asyncio.sleep(0.1)


async def test_a_flood_of_duplicates_ends_at_the_door(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it leaves on the log is bounded, and it keeps nothing that is new out."""
    monkeypatch.setattr("domain.inbox.state.DUPLICATES_PER_MINUTE", 3)
    workflow, path = await api.client.deploy(gated(**DEDUP))
    await begin_of_a_minute()
    first = await api.client.ask("POST", path, json={"id": "a", "text": "x" * 1_000})
    answers = [await api.client.send("POST", path, json={"id": "a", "text": "x" * 1_000}) for _ in range(12)]
    assert [status for status, _, _ in answers] == [200] * 3 + [429] * 9
    assert all(answer["execution_id"] == first["execution_id"] for _, _, answer in answers[:3])
    for _, headers, problem in answers[3:]:
        assert problem["code"] == "too_many_duplicates"
        assert 1 <= int(headers["retry-after"]) <= 60
    assert (await api.client.send("POST", path, json={"id": "b"}))[0] == 202
    received = [command for command in api.worker.decided if command.type == "inbox.receive"]
    assert len(received) == 1 + 3 + 1 + 1, "one more than is kept; then nothing stood on the log but what was new"
    assert all(len(command.data) < 1_000 for command in received[2:]), (
        "a payload was sent along that a worker had compared"
    )
    found = await settled(api, workflow, 5)
    assert [each["status"] for each in found] == ["accepted", *["duplicate"] * 3, "accepted"]
    shown = await api.client.ask("GET", f"/api/v1/deliveries/{found[1]['id']}")
    assert shown["payload"][0]["json"]["body"] == {"id": "a", "text": "x" * 1_000}
    again = await api.client.ask("POST", f"/api/v1/deliveries/{found[1]['id']}/redeliver")
    execution = await api.client.execution(again["execution_id"])
    assert (execution["delivery_id"], execution["input"]) == (found[1]["id"], shown["payload"])
    await verified(api)


async def test_a_duplicate_with_something_else_in_it_is_kept_whole(api: Api) -> None:
    """The process knows the key, and what came first with it."""
    _, path = await api.client.deploy(gated(**DEDUP))
    await api.client.ask("POST", path, json={"id": "a", "n": 1})
    for n in (1, 2, 2):
        answer = await api.client.ask("POST", path, json={"id": "a", "n": n})
        shown = await api.client.ask("GET", f"/api/v1/deliveries/{answer['delivery_id']}")
        assert shown["payload"][0]["json"]["body"] == {"id": "a", "n": n}
    await verified(api)


async def test_a_flood_that_is_throttled_is_counted(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("domain.inbox.state.REFUSED_PER_MINUTE", 3)
    monkeypatch.setattr(inboxes, "_MINUTE", 0.5)
    workflow, path = await api.client.deploy(gated(throttle={"limit": 1, "period_seconds": 600}, **DEDUP))
    await begin_of_a_minute()
    first = await api.client.ask("POST", path, json={"id": "first"})
    answers = [await api.client.send("POST", path, json={"id": n}) for n in range(12)]
    assert {status for status, _, _ in answers} == {429}
    assert {problem["code"] for _, _, problem in answers} == {"throttled"}
    assert all(590 <= int(headers["retry-after"]) <= 600 for _, headers, _ in answers)
    received = [command for command in api.worker.decided if command.type == "inbox.receive"]
    assert len(received) == 1 + 3 + 1, "each had another key, and the inbox was asked about all of them"
    # A duplicate has its answer also now: of one that this process remembers, and of one that only the rows have.
    assert (await api.client.ask("POST", path, json={"id": "first"}))["execution_id"] == first["execution_id"]
    await settled(api, workflow, 1, status="accepted")
    monkeypatch.setattr("services.api.floods.MOST_KEYS", 0)
    await api.client.ask("POST", path, json={"id": "first"})  # after this it remembers no key
    assert (await api.client.ask("POST", path, json={"id": "first"}))["execution_id"] == first["execution_id"]
    with api.parts.positions.watch():
        async with asyncio.timeout(10):
            while not any(each["more"] for each in await listed(api, workflow, status="refused")):
                await api.parts.positions.moved()
    await verified(api)


async def test_a_throttle_that_is_full_keeps_no_duplicate_from_its_answer(api: Api) -> None:
    rule = {"limit": 1, "period_seconds": 600}
    _, path = await api.client.deploy(gated(throttle=rule, **DEDUP))
    first = await api.client.ask("POST", path, json={"id": "a"}, headers={"Idempotency-Key": "k"})
    assert [(await api.client.send("POST", path, json={"id": each}))[0] for each in "bcb"] == [429] * 3
    status, _, again = await api.client.send("POST", path, json={"id": "a"})
    assert (status, again["duplicate_of"], again["execution_id"]) == (200, first["delivery_id"], first["execution_id"])
    repeated = await api.client.ask("POST", path, json={"id": "a"}, headers={"Idempotency-Key": "k"})
    assert repeated == first


async def test_an_idempotency_key_that_is_sent_on_and_on_leaves_nothing_on_the_log(api: Api) -> None:
    workflow, path = await api.client.deploy(gated(**DEDUP))
    key, body = {"Idempotency-Key": "k"}, {"id": "a", "text": "x" * 1_000}
    first = await api.client.ask("POST", path, json=body, headers=key)
    await settled(api, workflow, 1)
    for _ in range(6):
        assert await api.client.ask("POST", path, json=body, headers=key) == first
        status, _, problem = await api.client.send("POST", path, json={"id": "b"}, headers=key)
        assert (status, problem["code"]) == (422, "idempotency_mismatch")
    received = [command for command in api.worker.decided if command.type == "inbox.receive"]
    assert len(received) == 1, "the rows have the answer"
    await started(api, workflow, 1)


async def test_an_idempotency_key_has_its_answer_whatever_is_full(api: Api) -> None:
    _, path = await api.client.deploy(gated(throttle={"limit": 1, "period_seconds": 600}))
    first = await api.client.ask("POST", path, json={"id": "a"}, headers={"Idempotency-Key": "k"})
    assert [(await api.client.send("POST", path, json={"id": each}))[0] for each in "bc"] == [429] * 2
    assert await api.client.ask("POST", path, json={"id": "a"}, headers={"Idempotency-Key": "k"}) == first


async def test_a_caller_that_waits_gets_the_answer_and_a_duplicate_the_execution(api: Api) -> None:
    _, path = await api.client.deploy(gated("when_done", **DEDUP))
    status, _, answer = await api.client.send("POST", path, json={"id": "a"})
    assert (status, answer[0]["body"]) == (200, {"id": "a"})
    status, _, answer = await api.client.send("POST", path, json={"id": "a"})
    assert (status, answer["duplicate"]) == (200, True)
    assert (await api.client.execution(answer["execution_id"]))["status"] == "completed"
    status, _, problem = await api.client.send("POST", path, json={"id": "b", "fail": "broken"})
    assert (status, problem["code"]) == (500, "node_failed")


@pytest.mark.parametrize("respond", ["at_once", "when_done"])
async def test_an_idempotency_key_gets_the_same_answer(api: Api, respond: str) -> None:
    workflow, path = await api.client.deploy(gated(respond, **DEDUP))
    key = {"Idempotency-Key": "k"}
    first = await api.client.send("POST", path, json={"id": 1}, headers=key)
    second = await api.client.send("POST", path, json={"id": 1}, headers=key)
    assert (first[0], first[2]) == (second[0], second[2])
    status, _, problem = await api.client.send("POST", path, json={"id": 2}, headers=key)
    assert (status, problem["code"]) == (422, "idempotency_mismatch")
    await started(api, workflow, 1)


async def test_a_key_without_a_value_is_refused_and_kept(api: Api) -> None:
    workflow, path = await api.client.deploy(gated(**DEDUP))
    status, _, problem = await api.client.send("POST", path, json={"no": "id"})
    assert (status, problem["code"]) == (422, "delivery_key_failed")
    assert problem["errors"][0]["path"] == "dedup.key"
    (kept,) = await settled(api, workflow, 1)
    assert (kept["status"], kept["code"], kept["execution_id"]) == ("refused", "delivery_key_failed", None)
    shown = await api.client.ask("GET", f"/api/v1/deliveries/{kept['id']}")
    assert shown["payload"][0]["json"]["body"] == {"no": "id"}


async def test_a_throttle_refuses_and_says_when_to_come_again(api: Api) -> None:
    rule = {"limit": 2, "period_seconds": 600, "key": "{{ $json.body.customer }}"}
    workflow, path = await api.client.deploy(gated(throttle=rule))
    answers = [await api.client.send("POST", path, json={"customer": "a", "n": n}) for n in range(4)]
    assert [status for status, _, _ in answers] == [202, 202, 429, 429]
    for _, headers, problem in answers[2:]:
        assert problem["code"] == "throttled"
        assert 590 <= int(headers["retry-after"]) <= 600
    assert (await api.client.send("POST", path, json={"customer": "b"}))[0] == 202
    refused = await settled(api, workflow, 2, status="refused")
    assert {each["code"] for each in refused} == {"throttled"}
    await started(api, workflow, 3)
    # The second refusal did not trouble the log: one command for each that the inbox decided.
    received = [command for command in api.worker.decided if command.type == "inbox.receive"]
    assert len(received) == 4
    await verified(api)


async def test_a_version_that_allows_more_holds_at_once(api: Api) -> None:
    workflow, path = await api.client.deploy(gated(throttle={"limit": 1, "period_seconds": 600}))
    assert [(await api.client.send("POST", path, json={}))[0] for _ in range(3)] == [202, 429, 429]
    await api.client.ask(
        "PUT", f"/api/v1/workflows/{workflow}", json=gated(throttle={"limit": 2, "period_seconds": 600})
    )
    await api.client.activate(workflow)
    assert [(await api.client.send("POST", path, json={}))[0] for _ in range(2)] == [202, 429]


async def test_a_throttle_that_delays_begins_later(api: Api) -> None:
    workflow, path = await api.client.deploy(gated(throttle={"limit": 1, "period_seconds": 60, "excess": "delay"}))
    first, second, third = [await api.client.ask("POST", path, json={"n": n}) for n in range(3)]
    assert [each["status"] for each in (first, second, third)] == ["accepted", "held", "held"]
    assert len(await settled(api, workflow, 2, status="held")) == 2
    await time_comes(api, 61)
    assert (await api.client.execution(second["execution_id"]))["delivery_id"] == second["delivery_id"]
    await started(api, workflow, 2)
    await time_comes(api, 122)
    assert (await api.client.execution(third["execution_id"]))["input"][0]["json"]["body"] == {"n": 2}
    found = await settled(api, workflow, 3)
    assert {each["status"] for each in found} == {"accepted"}
    await verified(api)


async def test_a_debounce_starts_with_the_last(api: Api) -> None:
    workflow, path = await api.client.deploy(gated(debounce={"seconds": 30}))
    answers = [await api.client.ask("POST", path, json={"n": n}) for n in range(3)]
    assert {(each["status"], each["execution_id"]) for each in answers} == {("held", None)}
    assert await api.client.statuses(workflow) == {}
    await time_comes(api, 31)
    found = await settled(api, workflow, 1, status="accepted")
    assert found[0]["id"] == answers[2]["delivery_id"]
    execution = await api.client.execution(found[0]["execution_id"])
    assert execution["input"][0]["json"]["body"] == {"n": 2}
    gone = await settled(api, workflow, 2, status="superseded")
    assert [each["superseded_by"] for each in gone] == [answers[2]["delivery_id"], answers[1]["delivery_id"]]
    await started(api, workflow, 1)
    await verified(api)


async def test_deliveries_without_an_inbox_are_listed_as_well(api: Api) -> None:
    workflow, path = await api.client.deploy(document())
    secret = {"X-Hub-Signature-256": "sha256=abc", "Stripe-Signature": "t=1", "X-Gitlab-Token": "t", "X-Shop": "1"}
    accepted = await api.client.ask("POST", path, json={"n": 1}, headers=secret)
    assert list(accepted) == ["execution_id"]
    execution = await api.client.execution(accepted["execution_id"])
    assert execution["delivery_id"] == accepted["execution_id"]
    (found,) = await listed(api, workflow)
    assert (found["id"], found["status"], found["node_id"]) == (accepted["execution_id"], "accepted", "hook")
    assert found["endpoint_id"] == path.removeprefix("/webhooks/")
    shown = await api.client.ask("GET", f"/api/v1/deliveries/{found['id']}")
    headers = shown["payload"][0]["json"]["headers"]
    assert headers["x-shop"] == "1"
    assert {headers[name.lower()] for name in secret if name != "X-Shop"} == {"[redacted]"}
    assert shown["executions"] == [accepted["execution_id"]]
    # What was started otherwise is no delivery, though it began at the same node.
    started = await api.client.execute(workflow, {"n": 2}, wait=10)
    retried = await api.client.ask("POST", f"/api/v1/executions/{execution['id']}/retry")
    assert (started["delivery_id"], (await api.client.execution(retried["execution_id"]))["delivery_id"]) == (
        None,
        None,
    )
    assert len(await listed(api, workflow)) == 1
    await verified(api)


async def test_what_is_refused_at_the_door_is_kept(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inboxes, "_MINUTE", 0.5)
    workflow, path = await api.client.deploy(document())
    json = {"Content-Type": "application/json"}
    assert (await api.client.send("PUT", path, json={"n": 1}))[0] == 405
    assert (await api.client.send("POST", path, data=b"{broken", headers=json))[0] == 400
    assert (await api.client.send("POST", "/webhooks/nobody", json={}))[0] == 404
    await api.client.ask("POST", f"/api/v1/workflows/{workflow}/deactivate")
    assert (await api.client.send("POST", path, json={"n": 2}))[0] == 404
    found = await settled(api, workflow, 3)
    assert [each["code"] for each in found] == ["unknown_webhook", "malformed_json", "method_not_allowed"]
    shown = [await api.client.ask("GET", f"/api/v1/deliveries/{each['id']}") for each in found]
    assert [each["payload"] and each["payload"][0]["json"]["body"] for each in shown] == [{"n": 2}, [], {"n": 1}]
    assert shown[1]["excerpt"] == "{broken"
    await begin_of_a_minute()
    for _ in range(inboxes.KEPT_PER_MINUTE + 5):
        await api.client.send("DELETE", path)
    found = await settled(api, workflow, inboxes.KEPT_PER_MINUTE + 1)
    with api.parts.positions.watch():
        async with asyncio.timeout(10):
            while not (counted := await listed(api, workflow, status="refused"))[0]["more"]:
                await api.parts.positions.moved()
    assert counted[0]["code"] == "more_refused"
    await verified(api)


async def test_any_delivery_can_be_sent_again_to_any_version(api: Api) -> None:
    workflow, path = await api.client.deploy(gated(**DEDUP))
    first = await api.client.ask("POST", path, json={"id": "a", "n": 1})
    second = await api.client.ask("POST", path, json={"id": "a", "n": 2})
    await api.client.ask("PUT", f"/api/v1/workflows/{workflow}", json=gated())
    again = f"/api/v1/deliveries/{second['delivery_id']}/redeliver"
    key = {"Idempotency-Key": "again"}
    started = await api.client.ask("POST", again, headers=key)
    assert (await api.client.ask("POST", again, headers=key))["execution_id"] == started["execution_id"]
    execution = await api.client.execution(started["execution_id"])
    assert (execution["workflow_version"], execution["delivery_id"]) == (1, second["delivery_id"])
    assert execution["input"][0]["json"]["body"] == {"id": "a", "n": 2}
    newest = await api.client.ask("POST", again, json={"version": "newest"})
    assert (await api.client.execution(newest["execution_id"]))["workflow_version"] == 2
    of_first = await api.client.ask("POST", f"/api/v1/deliveries/{first['delivery_id']}/redeliver", json={"version": 1})
    await api.client.execution(of_first["execution_id"])
    shown = await api.client.ask("GET", f"/api/v1/deliveries/{second['delivery_id']}")
    assert shown["executions"] == [started["execution_id"], newest["execution_id"]]
    shown = await api.client.ask("GET", f"/api/v1/deliveries/{first['delivery_id']}")
    assert shown["executions"] == [first["execution_id"], of_first["execution_id"]]
    assert len(await listed(api, workflow)) == 2, "a redelivery is no delivery"
    await verified(api)


async def test_what_cannot_be_sent_again_says_why(api: Api) -> None:
    workflow, path = await api.client.deploy(document())
    accepted = await api.client.ask("POST", path, json={"n": 1})
    again = f"/api/v1/deliveries/{accepted['execution_id']}/redeliver"
    await api.client.execution(accepted["execution_id"])
    moved = document()
    moved["nodes"][0]["id"], moved["connections"] = "other", []
    await api.client.ask("PUT", f"/api/v1/workflows/{workflow}", json=moved)
    wanted: list[tuple[dict[str, Any], int, str]] = [
        ({"version": "newest"}, 409, "node_missing"),
        ({"version": 99}, 404, "not_found"),
        ({"version": "old"}, 422, "wrong_type"),
        ({"wrong": 1}, 422, "wrong_type"),
    ]
    for body, status, code in wanted:
        found, _, problem = await api.client.send("POST", again, json=body)
        assert (found, problem["code"]) == (status, code), body
    await api.client.ask("POST", f"/api/v1/workflows/{workflow}/deactivate")
    assert (await api.client.send("POST", again))[2]["code"] == "workflow_inactive"
    assert (await api.client.send("POST", again, json={"version": 1}))[0] == 202
    assert (await api.client.send("POST", f"/api/v1/deliveries/{uuid4()}/redeliver"))[0] == 404
    await api.client.send("POST", path, data=b"{", headers={"Content-Type": "application/json"})


async def test_what_was_in_it_may_be_gone(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Retention takes payloads before the rows."""
    monkeypatch.setattr("services.api.redelivering.STARTED_SECONDS", 0.1)
    _, path = await api.client.deploy(gated(**DEDUP))
    answers = [await api.client.ask("POST", path, json={"id": "a", "n": n}) for n in (1, 2, 1)]
    await api.client.execution(answers[0]["execution_id"])
    await api.client.ask("GET", f"/api/v1/deliveries/{answers[2]['delivery_id']}")
    await api.parts.reads.pool.execute("UPDATE read.webhook_deliveries SET payload = NULL")
    await api.parts.reads.pool.execute("UPDATE read.executions SET input = NULL")
    for each in answers:
        again = f"/api/v1/deliveries/{each['delivery_id']}"
        status, _, problem = await api.client.send("POST", f"{again}/redeliver")
        assert (status, problem["code"]) == (409, "payload_gone")
        assert (await api.client.ask("GET", again))["payload"] == []


async def test_lists_have_pages_and_stay_in_their_workspace(api: Api) -> None:
    workflow, path = await api.client.deploy(gated(**DEDUP))
    for n in range(3):
        await api.client.ask("POST", path, json={"id": n})
    await api.client.ask("PUT", f"/api/v1/workflows/{workflow}", json=document())
    await api.client.activate(workflow)
    direct = [(await api.client.ask("POST", path, json={"id": 0}))["execution_id"] for _ in range(3)]
    await api.client.execution(direct[-1])
    await settled(api, workflow, 6)
    seen: list[str] = []
    params: dict[str, str] = {"limit": "2"}
    while True:
        page = await api.client.ask("GET", f"/api/v1/workflows/{workflow}/deliveries", params=params)
        seen += [each["id"] for each in page["items"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    assert len(seen) == len(set(seen)) == 6
    assert seen[:3] == direct[::-1]
    assert len(await listed(api, workflow, node="hook")) == 6
    assert await listed(api, workflow, node="other") == []
    assert await listed(api, workflow, status="held") == []
    assert await listed(api, workflow, to="2020-01-01T00:00:00Z") == []
    other = Client(api.url, await api.new_key(str(uuid4())))
    try:
        for address in (f"/api/v1/workflows/{workflow}/deliveries", f"/api/v1/deliveries/{seen[0]}"):
            with pytest.raises(ApiError) as hidden:
                await other.ask("GET", address)
            assert hidden.value.status == 404
        assert (await other.send("POST", f"/api/v1/deliveries/{seen[-1]}/redeliver"))[0] == 404
    finally:
        await other.close()


async def test_rules_are_checked_when_a_workflow_is_saved(api: Api) -> None:
    with pytest.raises(ApiError) as refused:
        await api.client.create(
            gated("when_done", debounce={"seconds": 0}, throttle={"limit": 1, "period_seconds": 1, "excess": "delay"})
        )
    paths = {each["path"] for each in refused.value.problem["errors"]}
    assert paths == {f"nodes[0].parameters.{name}" for name in ("debounce", "debounce.seconds", "throttle.excess")}
