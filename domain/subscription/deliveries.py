"""How an event becomes what a channel sends: the input of the execution that delivers it.

A delivery is an execution of a built-in workflow (`domain.subscription.built_in`): attempts, retries, the egress guard,
credentials and recovery are those of every other execution.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID, uuid5

import msgspec

from domain.execution.commands import StartExecution
from domain.execution.endings import iso_time
from domain.execution.events import Item, Origin
from domain.subscription.commands import Notice
from domain.subscription.definition import Channel, Definition, EmailChannel, SlackChannel, WebhookChannel

TRIGGER: Final = "delivery"
"""The trigger type of executions that deliver: they are in no list unless asked for, and nobody is told of them."""
VERSION: Final = 1

_SPACE = UUID("5f0e2a3b-6c1d-4b8e-9a57-3f6d2c81b0e4")
WORKFLOWS: Final = {kind: str(uuid5(_SPACE, kind)) for kind in ("webhook", "email", "slack", "slack_webhook")}
"""Kind of channel → id of the built-in workflow that serves it, the same in every installation."""


def delivery_id(subscription_id: str, event_id: str) -> str:
    """Of an event to a subscription: what receivers see as webhook-id, in every attempt and every redelivery."""
    return str(uuid5(UUID(subscription_id), event_id))


def kind_of(channel: Channel) -> str:
    match channel:
        case WebhookChannel():
            return "webhook"
        case EmailChannel():
            return "email"
        case SlackChannel(credential=credential):
            return credential


Told = Sequence[tuple[str, Notice]]
"""(delivery id, what it tells of); a webhook gets one at a time."""


def start(definition: Definition, stream: str, told: Told, try_name: str, at: int) -> StartExecution:
    """The execution that delivers `told`. Its id is derived from the first, so that what is sent twice runs once."""
    delivery = told[0][0]
    execution = str(uuid5(UUID(delivery), try_name))
    return StartExecution(
        execution_id=execution,
        workflow_id=WORKFLOWS[kind_of(definition.channel)],
        workflow_version=VERSION,
        trigger_node="event",
        trigger_type=TRIGGER,
        items=[item_of(definition, told)],
        queued_at=at,
        fingerprint=delivery,
        origin=Origin(kind="delivery", stream=stream, ref=delivery),
    )


def item_of(definition: Definition, told: Told) -> Item:
    channel = definition.channel
    delivery, notice = told[0]
    notices = [each for _, each in told]
    match channel:
        case WebhookChannel(url=url):
            body = msgspec.json.encode(body_of(delivery, notice)).decode()
            sent: dict[str, Any] = {"id": delivery, "url": url, "body": body}
        case EmailChannel(to=to):
            sent = {"to": to, "subject": subject(notices), "text": _mail(definition, told)}
        case SlackChannel(channel=name):
            sent = {"channel": name, "text": _escaped(_paragraphs(notices))}
    return {"json": {**sent, "credential_id": channel.credential_id}}


def body_of(delivery: str, notice: Notice) -> dict[str, Any]:
    """The body of a webhook (docs/notifications.md)."""
    return {
        "id": delivery,
        "type": notice.type,
        "at": iso_time(notice.at),
        "workspace_id": notice.workspace_id or None,
        "event_id": notice.id,
        "cursor": notice.cursor or None,
        "data": notice.data,
    }


_LONGEST_LINE: Final = 500
_LONGEST_TEXT: Final = 3_500
_SUBJECT: Final = 200
_LEFT_OUT = frozenset({"output", "url"})


def subject(notices: Sequence[Notice]) -> str:
    """One line that says what happened."""
    if len(notices) == 1:
        return f"[LinkFlow] {headline(notices[0])}"[:_SUBJECT]
    kinds = ", ".join(dict.fromkeys(_words(each.type) for each in notices))
    return f"[LinkFlow] {len(notices)} events: {kinds}"[:_SUBJECT]


def headline(notice: Notice) -> str:
    """What happened, and to what."""
    data = notice.data
    what = data.get("workflow_name") or data.get("name") or data.get("command") or ""
    return " ".join(f"{_words(notice.type)}{f': {what}' if what else ''}".split())[:_SUBJECT]


def _words(type_: str) -> str:
    return type_.replace(".", " ").replace("_", " ")


def _paragraphs(notices: Sequence[Notice]) -> str:
    """One event in detail; several by a line each, with where to look."""
    if len(notices) == 1:
        return f"{headline(notices[0])}\n{_lines(notices[0])}"[:_LONGEST_TEXT]
    lines = [" ".join((iso_time(each.at), headline(each), str(each.data.get("url", "")))) for each in notices]
    return "\n".join(line.strip() for line in lines)[:_LONGEST_TEXT]


def _mail(definition: Definition, told: Told) -> str:
    why = f"You get this because of the subscription {definition.name!r}."
    ids = f"Delivery {', '.join(delivery for delivery, _ in told)}."
    return f"{_paragraphs([notice for _, notice in told])}\n\n-- \n{why}\n{ids}\n"


def _lines(notice: Notice) -> str:
    facts: dict[str, Any] = {"at": iso_time(notice.at), **_flat(notice.data)}
    lines = [f"{name}: {_short(value)}" for name, value in facts.items() if value not in (None, "", [], {})]
    if notice.data.get("url"):
        lines.append(str(notice.data["url"]))
    return "\n".join(lines)


def _flat(data: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in data.items():
        if name in _LEFT_OUT:
            continue
        if isinstance(value, dict):
            found |= {f"{name}.{inner}": each for inner, each in value.items()}
        else:
            found[name] = value
    return found


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_LINE else text[:_LONGEST_LINE] + "…"


def _escaped(text: str) -> str:
    """Slack's mrkdwn: what users wrote must make no links and call nobody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
