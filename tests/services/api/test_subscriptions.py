"""Subscriptions over HTTP: made once, their secret shown once, refused with fields, out of others' reach."""

from collections.abc import Iterable
from typing import Any, Literal
from uuid import uuid4

import pytest

from domain.credential.signature import key_of
from domain.subscription.commands import (
    ChangeSubscription,
    NoteDeliveryEnded,
    Notice,
    PauseSubscription,
    PlacedNotice,
    TellEvents,
)
from domain.subscription.decider import MOST_OPEN, MOST_TESTS
from domain.subscription.definition import Definition, EmailChannel
from infra.log.port import Topic
from services.api.commands import now_ms
from services.api.configuration import decide
from services.api.principal import Principal
from services.api.problems import Problem
from services.api.routes import subscription_examples as examples
from services.api.routes import subscriptions
from services.api.routes.examples import DOCUMENT
from services.projector.verify import verify
from tests.services.api.conftest import Api
from tests.support.client import ApiError

PATH = "/api/v1/subscriptions"
HOOK = {"type": "webhook", "url": "https://hooks.example.com/x"}


async def make(api: Api, **changes: Any) -> Any:
    return await api.client.ask("POST", PATH, json={**examples.SUBSCRIPTION, **changes})


async def refusal(api: Api, method: str, path: str, **more: Any) -> tuple[int, str, list[str]]:
    status, _, problem = await api.client.send(method, path, **more)
    return status, problem["code"], [each["path"] for each in problem.get("errors", [])]


async def test_from_its_making_to_its_end(api: Api) -> None:
    made = await make(api)
    path = f"{PATH}/{made['id']}"
    assert key_of(made.pop("secret")) is not None
    assert made["status"] == "active"
    assert made["channel"]["url"] == examples.SUBSCRIPTION["channel"]["url"]
    assert made["disable_after"] == {"failures": 10, "minutes": 10}
    assert await api.client.ask("GET", path) == made
    assert (await api.client.ask("GET", PATH))["items"] == [made]
    body = {**examples.SUBSCRIPTION, "events": ["*"], "disable_after": {"failures": 3}, "include_output": True}
    changed = await api.client.ask("PUT", path, json=body)
    assert (changed["events"], changed["disable_after"]["failures"], changed["include_output"]) == (["*"], 3, True)
    paused = await api.client.ask("POST", f"{path}/pause", json={"reason": "holidays"})
    assert (paused["status"], paused["reason"]) == ("paused", "holidays")
    assert (await api.client.ask("POST", f"{path}/resume"))["status"] == "active"
    assert (await api.client.send("DELETE", path))[0] == 204
    assert (await refusal(api, "GET", path))[0] == 404
    assert (await api.client.ask("GET", PATH))["items"] == []


async def test_the_secret_is_shown_once_and_stands_nowhere(api: Api) -> None:
    headers = {"Idempotency-Key": "one"}
    first = await api.client.ask("POST", PATH, json=examples.SUBSCRIPTION, headers=headers)
    again = await api.client.ask("POST", PATH, json=examples.SUBSCRIPTION, headers=headers)
    assert (again["id"], again["secret"]) == (first["id"], None)
    other = {**examples.SUBSCRIPTION, "name": "x"}
    assert (await refusal(api, "POST", PATH, json=other, headers=headers))[1] == "idempotency_mismatch"
    rotated = await api.client.ask("POST", f"{PATH}/{first['id']}/secret")
    third = await api.client.ask("POST", f"{PATH}/{first['id']}/secret")
    own = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert (await make(api, channel={**HOOK, "secret": own}))["secret"] == own
    secrets = {first["secret"], rotated["secret"], third["secret"], own}
    assert len(secrets) == 4
    said = str(await api.client.ask("GET", PATH)) + str(await api.client.ask("GET", "/api/v1/credentials"))
    for topic in (Topic.COMMANDS, Topic.EVENTS):
        for partition in range(api.log.partitions):
            said += "".join(record.value.decode() for record in api.log.records(topic, partition))
    assert all(secret.removeprefix("whsec_") not in said for secret in secrets)


REFUSED: list[tuple[dict[str, Any], list[str]]] = [
    ({"name": ""}, ["name"]),
    ({"name": 7}, ["name", "name"]),
    ({"events": []}, ["events"]),
    ({"events": "execution.failed"}, ["events"]),
    ({"events": ["execution.failed", "execution.exploded"]}, ["events[1]"]),
    ({"channel": None}, ["channel"]),
    ({"channel": {"type": "pigeon"}}, ["channel"]),
    ({"channel": {**HOOK, "url": "mailto:x"}}, ["channel.url"]),
    ({"channel": {**HOOK, "secret": "whsec_short"}}, ["channel.secret"]),
    ({"channel": {**HOOK, "to": ["a@b.example"]}}, ["channel.to"]),
    ({"channel": {"type": "email", "to": ["a@b.example"], "credential_id": str(uuid4())}}, ["channel.credential_id"]),
    ({"channel": {"type": "email", "to": "a@b.example", "credential_id": "x"}}, ["channel.to"]),
    ({"channel": {"type": "slack", "channel": "#ops"}}, ["channel.credential_id"]),
    ({"workflow_id": str(uuid4())}, ["workflow_id"]),
    ({"include_output": "yes"}, ["include_output"]),
    ({"disable_after": {"failures": 0}}, ["disable_after.failures"]),
    ({"disable_after": {"hours": 1}}, ["disable_after"]),
    ({"colour": "red"}, ["colour"]),
]


async def test_what_is_refused_names_the_field(api: Api) -> None:
    for changes, fields in REFUSED:
        body = {**examples.SUBSCRIPTION, **changes}
        assert await refusal(api, "POST", PATH, json=body) == (422, "invalid_subscription", fields), changes
    assert (await api.client.ask("GET", PATH))["items"] == []


async def test_its_kind_of_channel_and_its_secret_are_not_changed_by_a_put(api: Api) -> None:
    made = await make(api)
    secret = {**examples.SUBSCRIPTION, "channel": {**HOOK, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}}
    assert (await refusal(api, "PUT", f"{PATH}/{made['id']}", json=secret))[2] == ["channel.secret"]
    data = {"host": "mail.example.com", "from": "a@x.example"}
    smtp = await api.client.ask("POST", "/api/v1/credentials", json={"name": "m", "type": "smtp", "data": data})
    mail = {**examples.MAIL, "channel": {**examples.MAIL["channel"], "credential_id": smtp["id"]}}
    assert (await refusal(api, "PUT", f"{PATH}/{made['id']}", json=mail))[2] == ["channel.type"]
    mailed = await api.client.ask("POST", PATH, json=mail)
    assert mailed["secret"] is None
    assert await refusal(api, "POST", f"{PATH}/{mailed['id']}/secret") == (409, "no_secret", [])
    used = await refusal(api, "DELETE", f"/api/v1/credentials/{smtp['id']}")
    assert used == (409, "credential_in_use", [f"subscriptions.{mailed['id']}"])


async def test_a_slack_channel_takes_a_token_or_a_hook(api: Api) -> None:
    for type_, data in (
        ("slack", {"token": "xoxb-1"}),
        ("slack_webhook", {"url": "https://hooks.slack.com/services/T"}),
    ):
        made = await api.client.ask("POST", "/api/v1/credentials", json={"name": type_, "type": type_, "data": data})
        channel = {"type": "slack", "credential_id": made["id"]}
        status, _, answer = await api.client.send("POST", PATH, json={**examples.CHAT, "channel": channel})
        assert (status == 201) is (type_ == "slack_webhook")
        if status == 422:
            assert [each["path"] for each in answer["errors"]] == ["channel.channel"]
            full = {**examples.CHAT, "channel": {**channel, "channel": "#ops"}}
            assert (await api.client.ask("POST", PATH, json=full))["channel"]["channel"] == "#ops"


async def test_a_test_is_sent_once_for_a_key_and_is_not_made_again_while_it_is_under_way(api: Api) -> None:
    made = await make(api)
    path = f"{PATH}/{made['id']}"
    headers = {"Idempotency-Key": "try"}
    tested = await api.client.ask("POST", f"{path}/test", headers=headers)
    assert (await api.client.ask("POST", f"{path}/test", headers=headers))["id"] == tested["id"]
    assert (tested["type"], tested["status"], tested["test"]) == ("subscription.test", "sending", True)
    page = await api.client.ask("GET", f"{path}/deliveries")
    assert [each["id"] for each in page["items"]] == [tested["id"]]
    again = await refusal(api, "POST", f"{path}/deliveries/{tested['id']}/redeliver")
    assert again == (409, "delivery_under_way", [])
    nothing = await api.client.ask("POST", f"{path}/redeliver", json=examples.REDELIVERY)
    assert nothing == {"redelivered": 0, "more": False}
    assert (await refusal(api, "GET", f"{path}/deliveries/{uuid4()}"))[0] == 404


async def end(api: Api, subscription: str, delivery: dict[str, Any], status: Literal["completed", "failed"]) -> None:
    """As its execution says it to its subscription."""
    principal = Principal(api.workspace, "test")
    ended = NoteDeliveryEnded(delivery["execution_id"], delivery["id"], status, now_ms(), "http_status", "no")
    _, position = await decide(api.parts, principal, Topic.COMMANDS, f"subscription-{subscription}", ended)
    await api.parts.positions.require(position)


async def tell(api: Api, subscription: str, numbers: Iterable[int]) -> list[dict[str, Any]]:
    """Deliveries of so many events, newest first."""
    notices = [
        PlacedNotice(number, 0, Notice(str(uuid4()), "execution.failed", now_ms(), api.workspace, {}))
        for number in numbers
    ]
    command, principal = TellEvents("test", notices, now_ms()), Principal(api.workspace, "test")
    _, position = await decide(api.parts, principal, Topic.COMMANDS, f"subscription-{subscription}", command)
    await api.parts.positions.require(position)
    page = await api.client.ask("GET", f"{PATH}/{subscription}/deliveries", params={"limit": "200"})
    items: list[dict[str, Any]] = page["items"]
    return items


async def test_an_idempotency_key_holds_after_many_others(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A subscription remembers the last of them; the rows remember all of a day."""
    monkeypatch.setattr("domain.subscription.state.KEPT_ASKED", 1)
    made = await make(api)
    path, key = f"{PATH}/{made['id']}", {"Idempotency-Key": "try"}
    tested = await api.client.ask("POST", f"{path}/test", headers=key)
    await end(api, made["id"], tested, "failed")
    for _ in range(2):
        await api.client.ask("POST", f"{path}/test")
    again = await api.client.ask("POST", f"{path}/test", headers=key)
    assert (again["id"], again["status"]) == (tested["id"], "failed")

    first = [each for each in await tell(api, made["id"], range(2)) if not each["test"]]
    for each in first:
        await end(api, made["id"], each, "failed")
    redelivered = await api.client.ask("POST", f"{path}/deliveries/{first[0]['id']}/redeliver", headers=key)
    # Under way it has the same answer, and is no conflict.
    repeated = await api.client.ask("POST", f"{path}/deliveries/{first[0]['id']}/redeliver", headers=key)
    assert (repeated["status"], repeated["execution_id"]) == ("sending", redelivered["execution_id"])
    await end(api, made["id"], redelivered, "failed")
    await api.client.ask("POST", f"{path}/deliveries/{first[1]['id']}/redeliver")
    after = await api.client.ask("POST", f"{path}/deliveries/{first[0]['id'].upper()}/redeliver", headers=key)
    assert (after["status"], after["execution_id"]) == ("failed", redelivered["execution_id"])


async def test_redelivering_all_happens_once_for_a_key(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("domain.subscription.state.KEPT_ASKED", 1)
    made = await make(api)
    path, key = f"{PATH}/{made['id']}", {"Idempotency-Key": "all"}
    for each in await tell(api, made["id"], range(3)):
        await end(api, made["id"], each, "failed")
    body = {"since": "2020-01-01T00:00:00Z", "limit": 2}
    answer = await api.client.ask("POST", f"{path}/redeliver", json=body, headers=key)
    assert answer == {"redelivered": 2, "more": True}
    page = await api.client.ask("GET", f"{path}/deliveries")
    for each in page["items"]:
        if each["status"] == "sending":
            await end(api, made["id"], each, "failed")
    await api.client.ask("POST", f"{path}/test")
    assert await api.client.ask("POST", f"{path}/redeliver", json=body, headers=key) == answer
    page = await api.client.ask("GET", f"{path}/deliveries", params={"status": "failed"})
    assert len(page["items"]) == 3, "one was delivered again by a request that was made before"
    other = {**body, "limit": 1}
    assert (await refusal(api, "POST", f"{path}/redeliver", json=other, headers=key))[:2] == (
        422,
        "idempotency_mismatch",
    )


async def test_what_is_refused_has_the_status_that_is_documented(api: Api) -> None:
    """docs/notifications.md; a subscription may go between a look at its row and the word of its stream."""
    principal, there = Principal(api.workspace, "test"), await make(api)
    gone = await make(api)
    await api.client.send("DELETE", f"{PATH}/{gone['id']}")
    mail = Definition("m", ["*"], EmailChannel(["a@x.example"], str(uuid4())))
    for subscription, command, status, code in (
        (str(uuid4()), PauseSubscription(now_ms()), 404, "subscription_not_found"),
        (gone["id"], PauseSubscription(now_ms()), 404, "subscription_deleted"),
        (there["id"], ChangeSubscription(mail, now_ms()), 422, "invalid_subscription"),
    ):
        with pytest.raises(Problem) as refused:
            await decide(api.parts, principal, Topic.COMMANDS, f"subscription-{subscription}", command)
        assert (refused.value.status, refused.value.code) == (status, code)
    for _ in range(MOST_TESTS):
        assert (await api.client.send("POST", f"{PATH}/{there['id']}/test"))[0] == 202
    status, headers, problem = await api.client.send("POST", f"{PATH}/{there['id']}/test")
    assert (status, problem["code"], headers["retry-after"]) == (429, "subscription_busy", "1")


async def test_what_is_tried_again_is_found_by_its_status(api: Api) -> None:
    made = await make(api)
    path = f"{PATH}/{made['id']}/deliveries"
    waiting, plain = await tell(api, made["id"], range(2))
    pool = api.parts.reads.pool
    for each in (waiting, plain):
        await api.client.execution(each["execution_id"])
    execution = waiting["execution_id"]
    node = f"UPDATE node_executions SET node_id = 'deliver', attempts = 2, awaits = '{{\"due\": {now_ms()}}}'"
    await pool.execute(f"{node} WHERE execution_id = $1", execution)

    async def found(status: str) -> list[tuple[str, str]]:
        items = (await api.client.ask("GET", path, params={"status": status}))["items"]
        return [(each["id"], each["status"]) for each in items]

    assert await found("retrying") == [(waiting["id"], "retrying")]
    assert await found("sending") == [(plain["id"], "sending")]
    assert await found("failed") == []
    assert (await refusal(api, "GET", f"{path}?status=lost"))[:2] == (422, "invalid_parameters")


async def test_what_waits_ends_with_its_subscription_and_says_why(api: Api) -> None:
    made = await make(api, disable_after={"failures": 1, "minutes": 0})
    deliveries = await tell(api, made["id"], range(MOST_OPEN + 2))
    waiting = [each["id"] for each in deliveries if each["status"] == "waiting"]
    assert len(waiting) == 2
    await end(api, made["id"], next(each for each in deliveries if each["status"] == "sending"), "failed")
    path = f"{PATH}/{made['id']}"
    for name in waiting:
        shown = await api.client.ask("GET", f"{path}/deliveries/{name}")
        assert (shown["status"], shown["error"]["code"]) == ("failed", "subscription_disabled")
        assert shown["ended_at"] is not None
        assert shown["duration_ms"] is None
        assert (await refusal(api, "POST", f"{path}/deliveries/{name}/redeliver"))[:2] == (409, "subscription_disabled")
    await api.client.ask("POST", f"{path}/resume")
    answer = await api.client.ask("POST", f"{path}/redeliver", json={"since": "2020-01-01T00:00:00Z"})
    assert answer == {"redelivered": 3, "more": False}
    report = await verify(api.log, api.parts.reads.pool)
    assert report.ok, report.differences
    await api.client.send("DELETE", path)
    rows = await api.parts.reads.pool.fetch("SELECT status, code, ended_at FROM read.event_deliveries")
    assert {(row["status"], row["code"]) for row in rows} == {("sending", None), ("failed", "subscription_deleted")}
    report = await verify(api.log, api.parts.reads.pool)
    assert report.ok, report.differences


async def test_what_a_delivery_told_may_be_gone(api: Api) -> None:
    """Retention takes payloads before the rows."""
    made = await make(api)
    path = f"{PATH}/{made['id']}"
    gone, kept = await tell(api, made["id"], range(2))
    for each in (gone, kept):
        await end(api, made["id"], each, "failed")
    await api.parts.reads.pool.execute("UPDATE read.event_deliveries SET notice = NULL WHERE id = $1", gone["id"])
    shown = await api.client.ask("GET", f"{path}/deliveries/{gone['id']}")
    assert (shown["type"], shown["status"], shown["event"]) == ("execution.failed", "failed", None)
    listed = (await api.client.ask("GET", f"{path}/deliveries"))["items"]
    assert {each["id"]: each["event"] for each in listed} == {gone["id"]: None, kept["id"]: kept["event"]}
    assert (await refusal(api, "POST", f"{path}/deliveries/{gone['id']}/redeliver"))[:2] == (409, "payload_gone")
    answer = await api.client.ask("POST", f"{path}/redeliver", json={"since": "2020-01-01T00:00:00Z"})
    assert answer == {"redelivered": 1, "more": False}


async def test_subscriptions_of_others_are_not_there(api: Api) -> None:
    made = await make(api)
    tested = await api.client.ask("POST", f"{PATH}/{made['id']}/test")
    other = type(api.client)(api.url, await api.new_key(str(uuid4())))
    try:
        assert (await other.ask("GET", PATH))["items"] == []
        for method, path in (
            ("GET", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume"), ("POST", "/test"),
            ("POST", "/secret"),
            ("GET", "/deliveries"), ("GET", f"/deliveries/{tested['id']}"),
            ("POST", f"/deliveries/{tested['id']}/redeliver"),
        ):  # fmt: skip
            with pytest.raises(ApiError) as error:
                await other.ask(method, f"{PATH}/{made['id']}{path}")
            assert error.value.status == 404, path
    finally:
        await other.close()


async def test_ids_are_known_in_any_spelling(api: Api) -> None:
    """Events name the workflow as its row does: another spelling would never fit one."""
    workflow = (await api.client.ask("POST", "/api/v1/workflows", json=DOCUMENT))["id"]
    made = await make(api, workflow_id=workflow.upper())
    assert made["workflow_id"] == workflow
    path = f"{PATH}/{made['id'].upper()}"
    assert (await api.client.ask("POST", f"{path}/pause"))["status"] == "paused"
    assert (await api.client.ask("POST", f"{path}/resume"))["status"] == "active"
    assert (await api.client.send("DELETE", path))[0] == 204


async def test_a_workspace_has_so_many_at_most(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "MOST_SUBSCRIPTIONS", 2)
    first, _ = await make(api), await make(api)
    assert await refusal(api, "POST", PATH, json=examples.SUBSCRIPTION) == (409, "too_many_subscriptions", [])
    assert (await api.client.send("DELETE", f"{PATH}/{first['id']}"))[0] == 204
    await make(api)
