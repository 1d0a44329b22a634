"""Subscriptions as clients read and write them: bodies into definitions, rows into answers."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from domain.credential.signature import key_of, secret_text
from domain.execution.endings import iso_time
from domain.subscription.commands import Notice
from domain.subscription.definition import (
    Channel,
    Definition,
    EmailChannel,
    SlackChannel,
    WebhookChannel,
    channel_name,
    problems_of,
)
from projections.subscriptions.queries import Attempts, DeliveryRow, SubscriptionRow
from services.api.executions_view import time_text
from services.api.problems import Problem

SECRET_BYTES = 32
_FIELDS = frozenset(
    {"name", "description", "events", "workflow_id", "channel", "include_output", "disable_after"}
)  # fmt: skip
_CHANNEL_FIELDS = {
    "webhook": frozenset({"url", "secret"}),
    "email": frozenset({"credential_id", "to"}),
    "slack": frozenset({"credential_id", "channel"}),
}
CREDENTIALS = {"email": ("smtp",), "slack": ("slack", "slack_webhook")}
"""Kind of channel → types of credentials that it takes."""

Problems = list[tuple[str, str]]
_definition = msgspec.json.Decoder(Definition).decode
_notice = msgspec.json.Decoder(Notice).decode


@dataclass(frozen=True, slots=True)
class Asked:
    """What a body asks for; `channel`: its fields as given. The credential is not looked up yet."""

    fields: Mapping[str, Any]
    channel: Mapping[str, Any]

    @property
    def kind(self) -> str:
        return str(self.channel["type"])

    @property
    def secret(self) -> str | None:
        return self.channel.get("secret")


def read_asked(body: Mapping[str, Any]) -> Asked:
    """Raises Problem 422 `invalid_subscription` that names the fields."""
    problems: Problems = [
        (str(name)[:100], f"is unknown; there are {', '.join(sorted(_FIELDS))}") for name in body if name not in _FIELDS
    ]
    channel = body.get("channel")
    if not isinstance(channel, dict) or channel.get("type") not in _CHANNEL_FIELDS:
        problems.append(("channel", f"must be an object whose type is one of {', '.join(_CHANNEL_FIELDS)}"))
        raise invalid(problems)
    known = _CHANNEL_FIELDS[channel["type"]]
    for name in channel.keys() - known - {"type"}:
        problems.append((f"channel.{str(name)[:100]}", f"is unknown; there are {', '.join(sorted(known))}"))
    for name in ("url", "secret", "credential_id", "channel"):
        if name in known and channel.get(name) is not None and not isinstance(channel[name], str):
            problems.append((f"channel.{name}", "must be text"))
    if channel.get("secret") is not None and (
        not isinstance(channel["secret"], str) or key_of(channel["secret"]) is None
    ):
        problems.append(("channel.secret", "takes whsec_ and the base64 of 24 to 64 bytes"))
    to = channel.get("to", [])
    if "to" in known and not (isinstance(to, list) and all(isinstance(each, str) for each in to)):
        problems.append(("channel.to", "must be a list of mail addresses"))
    problems += _wrong_types(body)
    if problems:
        raise invalid(problems)
    return Asked(body, channel)


def _wrong_types(body: Mapping[str, Any]) -> Problems:
    problems: Problems = []
    for name in ("name", "description", "workflow_id"):
        if body.get(name) is not None and not isinstance(body[name], str):
            problems.append((name, "must be text"))
    if not isinstance(body.get("name"), str):
        problems.append(("name", "is missing"))
    events = body.get("events")
    if not isinstance(events, list) or not all(isinstance(each, str) for each in events):
        problems.append(("events", "must be a list of types of events, such as execution.failed or execution.*"))
    if not isinstance(body.get("include_output", False), bool):
        problems.append(("include_output", "must be true or false"))
    after = body.get("disable_after", {})
    if not isinstance(after, dict) or after.keys() - {"failures", "minutes"}:
        problems.append(("disable_after", "must be an object with failures and minutes"))
    elif not all(type(each) is int for each in after.values()):
        problems.append(("disable_after", "takes whole numbers"))
    return problems


def definition_of(asked: Asked, credential_id: str, credential_type: str) -> Definition:
    """Raises Problem 422 `invalid_subscription`."""
    body, after = asked.fields, asked.fields.get("disable_after", {})
    definition = Definition(
        name=body["name"],
        events=body["events"],
        channel=_channel(asked, credential_id, credential_type),
        description=body.get("description") or "",
        workflow_id=body.get("workflow_id") or "",
        include_output=body.get("include_output", False),
        disable_failures=after.get("failures", Definition.__struct_defaults__[-2]),
        disable_minutes=after.get("minutes", Definition.__struct_defaults__[-1]),
    )
    wrong = problems_of(definition)
    if wrong:
        raise invalid(wrong)
    return definition


def _channel(asked: Asked, credential_id: str, credential_type: str) -> Channel:
    given = asked.channel
    match asked.kind:
        case "webhook":
            return WebhookChannel(given.get("url") or "", credential_id)
        case "email":
            return EmailChannel(given.get("to") or [], credential_id)
        case _:
            token = credential_type == "slack"
            name = given.get("channel") or ""
            return SlackChannel(credential_id, "slack" if token else "slack_webhook", name)


def invalid(problems: Problems) -> Problem:
    return Problem(422, "invalid_subscription", "The subscription is not valid.", problems)


def new_secret() -> str:
    return secret_text(secrets.token_bytes(SECRET_BYTES))


def subscription_view(row: SubscriptionRow) -> dict[str, Any]:
    definition = _definition(row.definition)
    return {
        "id": row.id,
        "name": definition.name,
        "description": definition.description,
        "events": definition.events,
        "workflow_id": definition.workflow_id or None,
        "channel": _channel_view(definition.channel),
        "include_output": definition.include_output,
        "disable_after": {"failures": definition.disable_failures, "minutes": definition.disable_minutes},
        "status": row.status,
        "reason": row.reason or None,
        "failures": row.failures,
        "failing_since": time_text(row.failing_since),
        "disabled_at": time_text(row.disabled_at),
        "last_delivery_at": time_text(row.last_delivery_at),
        "last_delivery_status": row.last_delivery_status,
        "created_at": time_text(row.created_at),
        "updated_at": time_text(row.updated_at),
    }


def _channel_view(channel: Channel) -> dict[str, Any]:
    shown: dict[str, Any] = {"type": channel_name(channel), "credential_id": channel.credential_id}
    match channel:
        case WebhookChannel(url=url):
            return shown | {"url": url}
        case EmailChannel(to=to):
            return shown | {"to": to}
        case SlackChannel(channel=name):
            return shown | {"channel": name or None}


def channel_of(row: SubscriptionRow) -> Channel:
    return _definition(row.definition).channel


def notice_of(row: DeliveryRow) -> Notice | None:
    """None: retention took it."""
    return None if row.notice is None else _notice(row.notice)


def _event(notice: Notice) -> dict[str, Any]:
    return {
        "id": notice.id,
        "at": iso_time(notice.at),
        "workspace_id": notice.workspace_id or None,
        "cursor": notice.cursor or None,
        "data": notice.data,
    }


def delivery_view(row: DeliveryRow, attempts: Attempts | None) -> dict[str, Any]:
    notice = notice_of(row)
    next_try = attempts.next_try if attempts is not None and row.status == "sending" else None
    ended = row.ended_at is not None and row.started_at is not None
    return {
        "id": row.id,
        "subscription_id": row.subscription_id,
        "type": row.event_type,
        "event": None if notice is None else _event(notice),
        "test": row.test,
        "status": row.status if next_try is None else "retrying",
        "attempts": attempts.attempts if attempts is not None else (0 if row.execution_id is None else None),
        "next_try_at": None if next_try is None else iso_time(next_try),
        "response_status": row.response_status,
        "error": {"code": row.code, "message": row.message or ""} if row.code else None,
        "execution_id": row.execution_id,
        "duration_ms": _milliseconds(row) if ended else None,
        "created_at": time_text(row.created_at),
        "queued_at": time_text(row.queued_at),
        "started_at": time_text(row.started_at),
        "ended_at": time_text(row.ended_at),
    }  # fmt: skip


def _milliseconds(row: DeliveryRow) -> int:
    assert row.ended_at is not None
    assert row.started_at is not None
    return max(0, round((row.ended_at - row.started_at).total_seconds() * 1_000))
