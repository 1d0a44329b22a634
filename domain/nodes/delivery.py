"""The nodes of built-in workflows: what a subscription's deliveries are made of. Not for users' documents.

They are the nodes that users have, but for the credential: it is the one that the item names.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from domain.effects import CredentialRef, Effect, HttpRequest
from domain.execution.events import Item
from domain.expressions import Scope
from domain.integrations.registry import integration_types
from domain.nodes.failures import NodeFailure
from domain.nodes.http_answers import excerpt
from domain.nodes.node_type import Effects, NodeType, Operation
from domain.nodes.parameters import Parameters
from domain.nodes.retry_after import retry_after_seconds
from domain.nodes.variants import parameters_of
from domain.retries import DELIVERY_JOB, NOTIFICATION_JOB
from domain.subscription.answers import answered

MAX_ANSWER_BYTES = 1_000_000
_RETRIABLE = frozenset({408, 425, 429})
_GONE = 410


def _webhook(_parameters: Parameters) -> Operation:
    def request(scope: Scope) -> HttpRequest:
        item = scope.json
        return HttpRequest(
            "POST",
            item["url"],
            headers={
                "Content-Type": "application/json",
                "User-Agent": "LinkFlow-Webhooks/1",
                "webhook-id": item["id"],
                "Idempotency-Key": item["id"],
            },
            body_text=item["body"],
            response="text",
            follow_redirects=False,
            max_response_bytes=MAX_ANSWER_BYTES,
            credential=_credential(item, "webhook_signature"),
        )

    return Effects(
        "idempotent",
        request,
        _concluded,
        lambda result: {"status": 200, "headers": {}, "body": result},
        timeout_seconds=DELIVERY_JOB.timeout_seconds,
    )


def _concluded(_item: Item, value: Any) -> Item:
    """A redirect is no delivery: who signs for an address does not follow to another one."""
    status = value["status"]
    if status >= 300:
        raise NodeFailure(
            "gone" if status == _GONE else "http_status",
            answered(status, excerpt(value.get("body"))),
            retriable=status in _RETRIABLE or status >= 500,
            retry_after_seconds=retry_after_seconds(value.get("headers", {})),
            status=status,
        )
    return {"json": {"status": status}}


def _credential(item: Mapping[str, Any], *accepts: str) -> CredentialRef:
    return CredentialRef(item["credential_id"], list(accepts))


def _notifies(name: str, title: str, inner: NodeType, values: Mapping[str, Any], accepts: str) -> NodeType:
    """A node as `inner` with these parameters, and the item's credential."""

    def bind(parameters: Parameters) -> Operation:
        bound = inner.bind(Parameters(parameters_of(inner, values), values, lambda _path, _message: None))
        assert isinstance(bound, Effects)

        def request(scope: Scope) -> Effect:
            return msgspec.structs.replace(bound.request(scope), credential=_credential(scope.json, accepts))

        return Effects(bound.effect_class, request, bound.conclude, bound.of_verdict, NOTIFICATION_JOB.timeout_seconds)

    return NodeType(name, title, "", bind, effects=("unsafe",))


_HOOK = "https://hooks.slack.com/services"


def _slack_hook(_parameters: Parameters) -> Operation:
    """An incoming hook (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks): its address is the
    secret, so it is put in place by whoever opens the credential."""

    def request(scope: Scope) -> HttpRequest:
        return HttpRequest(
            "POST",
            _HOOK,
            body={"text": scope.json["text"]},
            response="text",
            follow_redirects=False,
            max_response_bytes=MAX_ANSWER_BYTES,
            credential=_credential(scope.json, "slack_webhook"),
        )

    return Effects(
        "unsafe",
        request,
        _concluded,
        lambda result: {"status": 200, "headers": {}, "body": result},
        timeout_seconds=NOTIFICATION_JOB.timeout_seconds,
    )


_BY_NAME = {node_type.type: node_type for node_type in integration_types()}

DELIVERY_TYPES: dict[str, NodeType] = {
    node_type.type: node_type
    for node_type in (
        NodeType("deliver_webhook", "Deliver a webhook", "", _webhook, effects=("idempotent",)),
        NodeType("notify_slack_webhook", "Post to a Slack hook", "", _slack_hook, effects=("unsafe",)),
        _notifies(
            "notify_email",
            "Send a mail",
            _BY_NAME["email"],
            {"to": "{{ $json.to }}", "subject": "{{ $json.subject }}", "text": "{{ $json.text }}"},
            "smtp",
        ),
        _notifies(
            "notify_slack",
            "Post to Slack",
            _BY_NAME["slack"],
            {
                "resource": "message",
                "operation": "post",
                "channel": "{{ $json.channel }}",
                "text": "{{ $json.text }}",
                "unfurl_links": False,
            },
            "slack",
        ),
    )
}
"""Types of nodes that only built-in workflows have."""
