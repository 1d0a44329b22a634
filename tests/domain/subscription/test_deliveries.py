"""What channels send: the requests of the built-in workflows, and what their answers mean."""

from typing import Any

import msgspec
import pytest

from domain.effects import CredentialRef, HttpRequest, SendMail
from domain.expressions import Scope
from domain.nodes.failures import NodeFailure
from domain.nodes.node_type import Effects
from domain.nodes.registry import NODE_TYPES
from domain.retries import DELIVERY_JOB, NOTIFICATION_JOB, covers
from domain.subscription.answers import status_in
from domain.subscription.built_in import built_in_graph, is_built_in
from domain.subscription.commands import Notice
from domain.subscription.definition import Channel, EmailChannel, SlackChannel
from domain.subscription.deliveries import WORKFLOWS, delivery_id, item_of, kind_of
from domain.workflow.graph import Node
from tests.domain.subscription.given import HOOK, ID, definition, notice

MAIL = EmailChannel(["ops@example.com", "me@example.com"], "c1")
CHAT = SlackChannel("c2", "slack", "#ops")
CHAT_HOOK = SlackChannel("c3", "slack_webhook")
FAILED = notice(
    "x",
    workflow_name="Orders <!channel> & more",
    execution_id="e1",
    error={"code": "http_status", "message": "the server answered 503\nand more"},
    url="http://127.0.0.1:8080/api/v1/executions/e1",
    output=[{"json": {"secret": "of the customer"}}],
)


def deliver(channel: Channel) -> Node:
    graph = built_in_graph(WORKFLOWS[kind_of(channel)], 1)
    assert graph is not None
    return graph.by_id["deliver"]


def request(channel: Channel, told: Notice = FAILED) -> Any:
    item = item_of(definition(channel), [(delivery_id(ID, told.id), told)])
    operation = deliver(channel).operation
    assert isinstance(operation, Effects)
    return operation.request(Scope(item["json"], item_index=0, items=[item]))


def concluded(channel: Channel, value: Any) -> Any:
    operation = deliver(channel).operation
    assert isinstance(operation, Effects)
    return operation.conclude({"json": {}}, value)


def test_a_webhook_is_a_post_with_the_ids_and_the_event() -> None:
    made = request(HOOK)
    assert isinstance(made, HttpRequest)
    delivery = delivery_id(ID, FAILED.id)
    assert (made.method, made.url, made.follow_redirects) == ("POST", "https://hooks.example.com/x", False)
    assert made.headers["webhook-id"] == made.headers["Idempotency-Key"] == delivery
    assert made.credential == CredentialRef(HOOK.credential_id, ["webhook_signature"])
    assert made.body_text is not None
    body = msgspec.json.decode(made.body_text)
    assert (body["id"], body["type"], body["event_id"]) == (delivery, "execution.failed", FAILED.id)
    assert body["at"] == "2026-11-18T11:06:40.123Z"
    assert body["data"]["error"]["code"] == "http_status"


@pytest.mark.parametrize(
    ("status", "code", "again"),
    [
        (200, None, False),
        (204, None, False),
        (302, "http_status", True),
        (404, "http_status", True),
        (410, "gone", False),
        (429, "http_status", True),
        (503, "http_status", True),
    ],
)
def test_what_an_answer_means(status: int, code: str | None, again: bool) -> None:
    value = {"status": status, "headers": {"retry-after": "7"}, "body": "so it is"}
    if code is None:
        made = concluded(HOOK, value)
        assert status_in([made], "") == status
        return
    with pytest.raises(NodeFailure) as failed:
        concluded(HOOK, value)
    failure = failed.value
    assert failure.code == code
    assert status_in([], failure.message) == status
    policy = deliver(HOOK).document.retry
    assert covers(policy, failure.code, retriable=failure.retriable, status=failure.status) is again
    assert failure.retry_after_seconds == 7


def test_the_jobs_have_the_limits_that_were_promised() -> None:
    hook, mail = deliver(HOOK), deliver(MAIL)
    assert (hook.timeout_seconds, hook.document.retry.attempts) == (30, 6)
    assert (mail.timeout_seconds, mail.document.retry.attempts) == (30, 4)
    assert (DELIVERY_JOB.retry.attempts, NOTIFICATION_JOB.retry.attempts) == (6, 4)
    assert isinstance(hook.operation, Effects)
    assert isinstance(mail.operation, Effects)
    assert (hook.operation.effect_class, mail.operation.effect_class) == ("idempotent", "unsafe")
    assert mail.document.on_unknown_outcome == "retry"


def test_a_mail_says_what_happened_in_a_line_and_in_full() -> None:
    made = request(MAIL)
    assert isinstance(made, SendMail)
    assert made.to == ["ops@example.com", "me@example.com"]
    assert made.subject == "[LinkFlow] execution failed: Orders <!channel> & more"
    assert made.text is not None
    assert "error.code: http_status" in made.text
    assert "http://127.0.0.1:8080/api/v1/executions/e1" in made.text
    assert "of the customer" not in made.text
    assert made.credential == CredentialRef("c1", ["smtp"])


def test_slack_gets_chat_post_message_and_nobody_is_called_by_what_users_wrote() -> None:
    """https://docs.slack.dev/reference/methods/chat.postMessage"""
    made = request(CHAT)
    assert isinstance(made, HttpRequest)
    assert (made.method, made.url) == ("POST", "https://slack.com/api/chat.postMessage")
    assert made.body["channel"] == "#ops"
    assert "Orders &lt;!channel&gt; &amp; more" in made.body["text"]
    assert made.credential == CredentialRef("c2", ["slack"])
    with pytest.raises(NodeFailure) as failed:
        concluded(CHAT, {"status": 200, "headers": {}, "body": {"ok": False, "error": "channel_not_found"}})
    assert not failed.value.retriable


def test_an_incoming_hook_gets_a_text_and_its_address_comes_from_the_credential() -> None:
    """https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks"""
    made = request(CHAT_HOOK)
    assert set(made.body) == {"text"}
    assert made.credential == CredentialRef("c3", ["slack_webhook"])
    assert concluded(CHAT_HOOK, {"status": 200, "headers": {}, "body": "ok"})["json"]["status"] == 200


def test_texts_stay_small_and_single_lines_whatever_an_event_holds() -> None:
    told = notice("y", workflow_name="a\r\nBcc: x@example.com " * 50, error={"message": "z" * 100_000})
    mail = request(MAIL, told)
    assert "\r" not in mail.subject
    assert "\n" not in mail.subject
    assert len(mail.subject) <= 200
    assert len(mail.text) < 5_000
    assert len(request(CHAT, told).body["text"]) < 5_000


def test_users_cannot_have_these_nodes() -> None:
    assert not any(name.startswith(("deliver_", "notify_")) for name in NODE_TYPES)
    assert all(is_built_in(workflow) and built_in_graph(workflow, 2) is None for workflow in WORKFLOWS.values())
    assert not is_built_in(ID)


def test_several_events_are_told_in_one_message_a_line_each() -> None:
    told = [FAILED, notice("y", "dead_letter.reviewed", command="execution.start"), notice("z", "dead_letter.reviewed")]
    item = item_of(definition(MAIL), [(delivery_id(ID, each.id), each) for each in told])["json"]
    assert item["subject"] == "[LinkFlow] 3 events: execution failed, dead letter reviewed"
    lines = item["text"].split("\n")
    assert "execution failed: Orders" in lines[0]
    assert lines[0].endswith("/api/v1/executions/e1")
    assert "dead letter reviewed: execution.start" in lines[1]
    assert all(delivery_id(ID, each.id) in item["text"] for each in told)
