"""What can be asked of one subscription. Times: milliseconds since 1970."""

from typing import Any, Literal

import msgspec

from domain.subscription.definition import Definition


class Notice(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event to tell of. `id`: its own, the same for all who are told; `data`: small; `cursor`: of the feed, behind
    it. `workspace_id`: whose event it is (the operator is told of other workspaces' dead letters)."""

    id: str
    type: str
    at: int
    workspace_id: str
    data: dict[str, Any]
    cursor: str = ""


class PlacedNotice(msgspec.Struct, frozen=True, omit_defaults=True):
    """A notice with its place in its source: the commit's offset and the event's place in the commit."""

    offset: int
    place: int
    notice: Notice


class CreateSubscription(msgspec.Struct, frozen=True, omit_defaults=True):
    """`fingerprint`: hash of what was asked, so that the same id with another body is refused."""

    subscription_id: str
    definition: Definition
    at: int
    fingerprint: str = ""


class ChangeSubscription(msgspec.Struct, frozen=True, omit_defaults=True):
    definition: Definition
    at: int


class PauseSubscription(msgspec.Struct, frozen=True, omit_defaults=True):
    at: int
    reason: str = ""


class ResumeSubscription(msgspec.Struct, frozen=True, omit_defaults=True):
    """Also one that was disabled: its failures are forgotten, and what waits is delivered."""

    at: int


class DeleteSubscription(msgspec.Struct, frozen=True, omit_defaults=True):
    at: int


class TellEvents(msgspec.Struct, frozen=True, omit_defaults=True):
    """Deliver these. `source`: a partition of a commit topic, in whose order they come: what it has got, and
    everything before that, a subscription takes no second time."""

    source: str
    notices: list[PlacedNotice]
    at: int


class SendTest(msgspec.Struct, frozen=True, omit_defaults=True):
    """Deliver a test event, whatever the subscription's status."""

    delivery_id: str
    at: int


class Redelivery(msgspec.Struct, frozen=True, omit_defaults=True):
    """A delivery that has ended, with what it told of."""

    delivery_id: str
    notice: Notice


class Redeliver(msgspec.Struct, frozen=True, omit_defaults=True):
    """Deliver these again, a few at a time. `redelivery_id`: works once. `fingerprint`: hash of what was asked."""

    redelivery_id: str
    deliveries: list[Redelivery]
    at: int
    fingerprint: str = ""


class NoteDeliveryEnded(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the execution that makes a delivery ended, or that it was refused. `response_status`: of the last answer, 0:
    there was none."""

    execution_id: str
    delivery_id: str
    status: Literal["completed", "failed", "cancelled", "timeout", "refused"]
    at: int
    code: str = ""
    message: str = ""
    response_status: int = 0


SubscriptionCommand = (
    CreateSubscription
    | ChangeSubscription
    | PauseSubscription
    | ResumeSubscription
    | DeleteSubscription
    | TellEvents
    | SendTest
    | Redeliver
    | NoteDeliveryEnded
)
