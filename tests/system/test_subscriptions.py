"""Subscriptions on whole systems: every event arrives, signed, whatever is killed; mail, chat, refusals, the log."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.policy import default
from random import Random
from typing import Any
from uuid import uuid4

import pytest

from infra.log import open_log
from infra.log.port import NewRecord, Topic
from tests.support.client import ApiError, Client
from tests.support.cluster import Roles
from tests.support.processes import eventually
from tests.support.receiver import Received, Receiver
from tests.system.flow import all_ended, start_many

COUNT = 60
STEP = {
    "name": "Small",
    "nodes": [
        {"id": "hook", "type": "webhook", "parameters": {"method": "POST", "respond": "at_once"}},
        {"id": "out", "type": "set", "parameters": {"fields": {"key": "{{ $json.body.key }}"}, "keep": False}},
    ],
    "connections": [{"from": "hook", "to": "out"}],
}
FAILS = {
    "name": "Fails",
    "nodes": [
        {"id": "go", "type": "manual"},
        {"id": "stop", "type": "stop_and_error", "parameters": {"message": "so it is"}},
    ],
    "connections": [{"from": "go", "to": "stop"}],
}


async def subscribe(client: Client, channel: dict[str, Any], *events: str, **fields: Any) -> dict[str, Any]:
    body = {"name": "Told", "events": list(events), "channel": channel, **fields}
    made: dict[str, Any] = await client.ask("POST", "/api/v1/subscriptions", json=body)
    return made


async def deliveries(client: Client, subscription: str, **params: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    asked = {"limit": "100", **params}
    while True:
        page = await client.ask("GET", f"/api/v1/subscriptions/{subscription}/deliveries", params=asked)
        found += page["items"]
        if not page["next_cursor"]:
            return found
        asked["cursor"] = page["next_cursor"]


async def until(probe: Callable[[], Awaitable[Any]], what: str, within: float = 90.0) -> None:
    async def true() -> bool:
        try:
            return bool(await probe())
        except (ApiError, OSError):
            return False

    await eventually(true, lambda: what, within=within, every=0.1)


async def test_every_event_arrives_under_one_id_though_follower_and_worker_are_killed(
    roles: Callable[..., Roles], log: str
) -> None:
    chance = Random(7)

    def answer(received: Received) -> int:
        return 503 if chance.random() < 0.1 else 200

    async with Receiver(answer) as receiver, roles(log) as cluster:
        client = cluster.client
        workflow, path = await client.deploy(STEP)
        channel = {"type": "webhook", "url": f"{receiver.url}/in"}
        made = await subscribe(client, channel, "execution.completed", workflow_id=workflow)
        starting = asyncio.create_task(start_many(client, path, COUNT, at_once=2))
        for _ in range(2):
            for name in ("projector", "worker-0"):
                await asyncio.sleep(chance.uniform(0.2, 1.0))  # the moment of a death, not a wait for anything
                cluster.processes[name].kill()
                cluster.processes[name].start()
        accepted = await starting
        await all_ended(client, workflow, accepted.values(), within=120)

        async def all_told() -> bool:
            rows = await deliveries(client, made["id"])
            return len(rows) >= COUNT and all(row["status"] == "delivered" for row in rows)

        await until(all_told, "not every event is delivered", within=120)
        rows = await deliveries(client, made["id"])
        assert sorted(row["event"]["data"]["execution_id"] for row in rows) == sorted(accepted.values())
        ids: dict[str, set[str]] = {}
        for call in receiver.calls:
            assert call.signed_by(made["secret"])
            assert call.json["type"] == "execution.completed"
            ids.setdefault(call.json["data"]["execution_id"], set()).add(call.id)
        assert {name: len(found) for name, found in ids.items()} == dict.fromkeys(accepted.values(), 1)
        assert {each for found in ids.values() for each in found} == {row["id"] for row in rows}
        await cluster.verify()


@asynccontextmanager
async def mail_server() -> AsyncIterator[tuple[int, list[Any]]]:
    smtp = pytest.importorskip("aiosmtpd.smtp", reason="no mail server: aiosmtpd is not installed")
    mails: list[Any] = []

    class Box:
        async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
            mails.append((envelope.rcpt_tos, message_from_bytes(envelope.content, policy=default)))
            return "250 OK"

    server = await asyncio.get_running_loop().create_server(
        lambda: smtp.SMTP(Box(), hostname="mail.test"), "127.0.0.1", 0
    )
    try:
        yield server.sockets[0].getsockname()[1], mails
    finally:
        server.close()


async def credential(client: Client, type_: str, **data: str) -> str:
    body = {"name": f"{type_} {uuid4()}", "type": type_, "data": data}
    return str((await client.ask("POST", "/api/v1/credentials", json=body))["id"])


async def test_people_are_told_by_mail_and_chat_also_that_a_webhook_was_disabled(client: Client) -> None:
    def answer(received: Received) -> int:
        return 410 if received.path == "/gone" else 200

    async with Receiver(answer) as receiver, mail_server() as (port, mails):
        smtp = await credential(
            client, "smtp", host="127.0.0.1", port=str(port), security="none", **{"from": "LinkFlow <flow@example.org>"}
        )
        hook = await credential(client, "slack_webhook", url=f"{receiver.url}/services/T/B/secret-part")
        workflow, _ = await client.deploy(FAILS)
        only = {"workflow_id": workflow}
        mail = {"type": "email", "credential_id": smtp, "to": ["ops@example.com"]}
        mailed = await subscribe(client, mail, "execution.failed", **only)
        await subscribe(client, {"type": "slack", "credential_id": hook}, "execution.failed", **only)
        gone = await subscribe(
            client, {"type": "webhook", "url": f"{receiver.url}/gone"}, "execution.failed", name="Old shop", **only
        )
        execution = await client.execute(workflow, {}, wait=30)
        assert execution["status"] == "failed"

        async def told() -> bool:
            return len(mails) >= 1 and len(receiver.to("/services/T/B/secret-part")) >= 1

        await until(told, "nobody was told of the failure")
        failed = [message for _, message in mails if "execution failed" in message["subject"]]
        assert failed[0]["subject"] == "[LinkFlow] execution failed: Fails"
        assert execution["id"] in failed[0].get_content()
        said = receiver.to("/services/T/B/secret-part")[0].json
        assert set(said) == {"text"}
        assert "so it is" in said["text"]

        async def disabled() -> bool:
            row = await client.ask("GET", f"/api/v1/subscriptions/{gone['id']}")
            return row["status"] == "disabled" and row["reason"] is not None

        await until(disabled, "the webhook that is gone is not disabled")

        # That a subscription was disabled belongs to no workflow, and people hear of it all the same.
        everything = await subscribe(client, mail, "subscription.disabled")
        again = await subscribe(
            client, {"type": "webhook", "url": f"{receiver.url}/gone"}, "execution.failed", name="New shop", **only
        )
        await client.execute(workflow, {}, wait=30)

        async def heard() -> bool:
            return any("subscription disabled: New shop" in message["subject"] for _, message in mails)

        await until(heard, f"nobody heard that {again['id']} was disabled")
        rows = await deliveries(client, mailed["id"])
        assert all("secret-part" not in str(row) for row in rows)
        refused, _, problem = await client.send("DELETE", f"/api/v1/credentials/{smtp}")
        assert (refused, problem["code"]) == (409, "credential_in_use")
        for each in (mailed, everything):
            await client.ask("DELETE", f"/api/v1/subscriptions/{each['id']}")
        await client.ask("DELETE", f"/api/v1/credentials/{smtp}")


async def test_a_delivery_can_be_followed_tried_and_made_again(client: Client) -> None:
    status = 404

    def answer(received: Received) -> int:
        return status

    async with Receiver(answer) as receiver:
        channel = {"type": "webhook", "url": f"{receiver.url}/in"}
        workflow, _ = await client.deploy(FAILS)
        made = await subscribe(client, channel, "execution.failed", workflow_id=workflow)
        path = f"/api/v1/subscriptions/{made['id']}"
        await client.execute(workflow, {}, wait=30)

        async def retrying() -> bool:
            rows = await deliveries(client, made["id"])
            return any(row["status"] == "retrying" and row["attempts"] >= 2 and row["next_try_at"] for row in rows)

        await until(retrying, "it is not tried again")
        status = 410

        async def failed() -> bool:
            return any(row["status"] == "failed" for row in await deliveries(client, made["id"]))

        await until(failed, "it does not fail")
        (row,) = await deliveries(client, made["id"])
        assert (row["response_status"], row["error"]["code"]) == (410, "gone")
        assert len({call.id for call in receiver.calls}) == 1
        assert (await client.ask("GET", path))["status"] == "disabled"
        assert (await client.ask("GET", f"/api/v1/executions/{row['execution_id']}"))["trigger_type"] == "delivery"
        listed = [each["trigger_type"] async for each in client.executions()]
        assert "delivery" not in listed

        status = 302  # a redirect is no delivery, and is not followed
        tested = await client.ask("POST", f"{path}/test")
        await until(lambda: client.ask("GET", f"{path}/deliveries/{tested['id']}"), "no test")
        assert not receiver.to("/elsewhere")

        status = 200
        await client.ask("POST", f"{path}/resume")
        rotated = await client.ask("POST", f"{path}/secret")
        answered = await client.ask("POST", f"{path}/redeliver", json={"since": "2020-01-01T00:00:00Z"})
        assert answered == {"redelivered": 1, "more": False}

        async def delivered() -> bool:
            rows = await deliveries(client, made["id"], status="delivered")
            return [each["id"] for each in rows if not each["test"]] == [row["id"]]

        await until(delivered, "it is not delivered again")
        last = [call for call in receiver.calls if call.id == row["id"]][-1]
        assert last.signed_by(made["secret"])

        async def by_both() -> bool:
            """A worker may use a credential for some seconds as it was."""
            tested = await client.ask("POST", f"{path}/test")
            await until(lambda: deliveries_of(tested["id"]), "no test came")
            [call] = await deliveries_of(tested["id"])
            return call.signed_by(made["secret"]) and call.signed_by(rotated["secret"])

        async def deliveries_of(message: str) -> list[Received]:
            return [call for call in receiver.calls if call.id == message]

        await until(by_both, "it is not signed by both secrets")
        await client.ask("DELETE", path)
        gone, _, _ = await client.send("GET", path)
        assert gone == 404


async def test_private_addresses_are_refused_unless_the_operator_opens_them(client: Client) -> None:
    made = await subscribe(client, {"type": "webhook", "url": "http://10.20.30.40/in"}, "execution.failed")
    tested = await client.ask("POST", f"/api/v1/subscriptions/{made['id']}/test")
    path = f"/api/v1/subscriptions/{made['id']}/deliveries/{tested['id']}"

    async def ended() -> bool:
        return bool((await client.ask("GET", path))["status"] == "failed")

    await until(ended, "the test does not end")
    row = await client.ask("GET", path)
    assert (row["error"]["code"], row["attempts"], row["response_status"]) == ("egress_refused", 1, None)
    await client.ask("DELETE", f"/api/v1/subscriptions/{made['id']}")


async def test_the_operator_is_told_of_dead_letters_of_all_workspaces(client: Client, shared: Roles) -> None:
    async with Receiver() as receiver:
        made = await subscribe(client, {"type": "webhook", "url": f"{receiver.url}/in"}, "dead_letter.*")
        prefix = shared.settings.get("LINKFLOW_LOG_PREFIX", "")
        source = await open_log(shared.log, database_url=shared.database_url, prefix=prefix)
        try:
            writer = await source.writer()
            await writer.append(Topic.COMMANDS, 1, [NewRecord(b"no command", (("k", b"c"),))])
            await writer.close()
        finally:
            await source.close()

        async def told() -> bool:
            return any(call.json["type"] == "dead_letter.recorded" for call in receiver.calls)

        await until(told, "the operator was not told")
        (call, *_) = receiver.calls
        assert call.signed_by(made["secret"])
        assert call.json["data"]["code"] == "undecodable"
        await client.ask("DELETE", f"/api/v1/subscriptions/{made['id']}")
