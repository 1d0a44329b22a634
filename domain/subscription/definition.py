"""What a subscription is: which events it wants, and by which channel it tells of them."""

import re
from typing import Final, Literal

import msgspec

from domain.subscription.topics import TYPES, is_pattern

MOST_PATTERNS: Final = 50
MOST_RECIPIENTS: Final = 20
MAX_NAME: Final = 200
MAX_URL: Final = 2_000
_URL = re.compile(r"https?://[^\s/@]+(/\S*)?")
_ADDRESS = re.compile(r"[^\s@<>,;:\"\\()\[\]]+@[^\s@<>,;:\"\\()\[\]]+")

SlackCredential = Literal["slack", "slack_webhook"]


class WebhookChannel(msgspec.Struct, frozen=True, omit_defaults=True, tag="webhook", tag_field="type"):
    """A signed POST to `url`. `credential_id`: of the signing secret, made with the subscription."""

    url: str
    credential_id: str


class EmailChannel(msgspec.Struct, frozen=True, omit_defaults=True, tag="email", tag_field="type"):
    """A mail to `to`, by the server of an `smtp` credential."""

    to: list[str]
    credential_id: str


class SlackChannel(msgspec.Struct, frozen=True, omit_defaults=True, tag="slack", tag_field="type"):
    """A message: by an app's token (`slack`) to `channel`, or to an incoming hook (`slack_webhook`)."""

    credential_id: str
    credential: SlackCredential
    channel: str = ""


Channel = WebhookChannel | EmailChannel | SlackChannel


def channel_name(channel: Channel) -> Literal["webhook", "email", "slack"]:
    match channel:
        case WebhookChannel():
            return "webhook"
        case EmailChannel():
            return "email"
        case SlackChannel():
            return "slack"


class Definition(msgspec.Struct, frozen=True, omit_defaults=True):
    """`events`: types, or patterns such as `execution.*` and `*`. `workflow_id`: only what belongs to it; empty: all.

    `include_output`: what an execution put out comes along, if it is small. It is disabled after `disable_failures`
    deliveries that failed one after the other, over at least `disable_minutes`.
    """

    name: str
    events: list[str]
    channel: Channel
    description: str = ""
    workflow_id: str = ""
    include_output: bool = False
    disable_failures: int = 10
    disable_minutes: int = 10


def problems_of(definition: Definition) -> list[tuple[str, str]]:
    """What is wrong with it: field and what to do."""
    found: list[tuple[str, str]] = []
    if not 1 <= len(definition.name.strip()) <= MAX_NAME:
        found.append(("name", f"takes 1 to {MAX_NAME} characters"))
    if len(definition.description) > 2_000:
        found.append(("description", "takes at most 2,000 characters"))
    if not 1 <= len(definition.events) <= MOST_PATTERNS:
        found.append(("events", f"takes 1 to {MOST_PATTERNS} types or patterns"))
    found += [
        (
            f"events[{index}]",
            f"{pattern[:100]!r} is no type of event; there are {', '.join(TYPES)}, and x.* for all of x",
        )
        for index, pattern in enumerate(definition.events)
        if not is_pattern(pattern)
    ]
    if not 1 <= definition.disable_failures <= 1_000:
        found.append(("disable_after.failures", "takes 1 to 1,000"))
    if not 0 <= definition.disable_minutes <= 10_080:
        found.append(("disable_after.minutes", "takes 0 to 10,080"))
    return found + _channel_problems(definition.channel)


def _channel_problems(channel: Channel) -> list[tuple[str, str]]:
    match channel:
        case WebhookChannel(url=url):
            if len(url) > MAX_URL or not _URL.fullmatch(url):
                return [("channel.url", "takes an http or https address without user and password")]
        case EmailChannel(to=to):
            if not 1 <= len(to) <= MOST_RECIPIENTS or not all(_ADDRESS.fullmatch(each) for each in to):
                return [("channel.to", f"takes 1 to {MOST_RECIPIENTS} mail addresses")]
        case SlackChannel(credential=credential, channel=name):
            if credential == "slack" and not name.strip():
                return [("channel.channel", "is missing: the id or name of the channel, or a person's id")]
            if len(name) > MAX_NAME:
                return [("channel.channel", f"takes at most {MAX_NAME} characters")]
    return []
