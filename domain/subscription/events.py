"""Facts recorded for one subscription. Times are milliseconds since 1970."""

from typing import Literal

import msgspec

from domain.subscription.commands import Notice
from domain.subscription.definition import Definition


class SubscriptionCreated(msgspec.Struct, frozen=True, omit_defaults=True):
    definition: Definition
    at: int
    fingerprint: str = ""


class SubscriptionChanged(msgspec.Struct, frozen=True, omit_defaults=True):
    definition: Definition
    at: int


class SubscriptionPaused(msgspec.Struct, frozen=True, omit_defaults=True):
    at: int
    reason: str = ""


class SubscriptionResumed(msgspec.Struct, frozen=True, omit_defaults=True):
    """Its failures are forgotten."""

    at: int


class SubscriptionDisabled(msgspec.Struct, frozen=True, omit_defaults=True):
    """Its deliveries failed one after the other (`failures` of them since `since`), or its address is gone for good.
    `ends_waiting`: what waited has failed with it."""

    name: str
    channel: str
    at: int
    reason: Literal["failures", "gone"]
    failures: int
    since: int
    code: str = ""
    message: str = ""
    ends_waiting: bool = False


class SubscriptionDeleted(msgspec.Struct, frozen=True, omit_defaults=True):
    """What waited has failed with it."""

    at: int


class DeliveryQueued(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event is to be delivered. `source`, `offset`, `place`: where it came from. `test`: somebody tries it out."""

    delivery_id: str
    notice: Notice
    at: int
    source: str = ""
    offset: int = 0
    place: int = 0
    test: bool = False


class DeliveryRequeued(msgspec.Struct, frozen=True, omit_defaults=True):
    """It has ended and is to be delivered again."""

    delivery_id: str
    notice: Notice
    redelivery_id: str
    at: int
    fingerprint: str = ""


class DeliveryStarted(msgspec.Struct, frozen=True, omit_defaults=True):
    """`execution_id`: of the execution that makes it."""

    delivery_id: str
    execution_id: str
    at: int


class DeliveryEnded(msgspec.Struct, frozen=True, omit_defaults=True):
    """`response_status`: of the last answer, 0: there was none. `failures`: of the subscription, in a row, with this
    one; `failing_since`: when the first of them was."""

    delivery_id: str
    execution_id: str
    status: Literal["delivered", "failed"]
    at: int
    code: str = ""
    message: str = ""
    response_status: int = 0
    failures: int = 0
    failing_since: int = 0


class DeliveryDropped(msgspec.Struct, frozen=True, omit_defaults=True):
    """It is put aside: too many wait. Whoever follows the log has it delivered again as soon as there is room."""

    delivery_id: str
    at: int
    code: str


SubscriptionEvent = (
    SubscriptionCreated
    | SubscriptionChanged
    | SubscriptionPaused
    | SubscriptionResumed
    | SubscriptionDisabled
    | SubscriptionDeleted
    | DeliveryQueued
    | DeliveryRequeued
    | DeliveryStarted
    | DeliveryEnded
    | DeliveryDropped
)
