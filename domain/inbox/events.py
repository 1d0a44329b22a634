"""Facts recorded for the inbox of one endpoint. `at`: owner's time, ms."""

import msgspec

from domain.execution.events import Items
from domain.inbox.gates import Delivery, Gates


class DeliveryAccepted(msgspec.Struct, frozen=True, omit_defaults=True):
    """It starts an execution now; what was in it is the execution's input."""

    delivery: Delivery
    gates: Gates
    execution_id: str
    at: int


class DeliveryHeld(msgspec.Struct, frozen=True, omit_defaults=True):
    """It waits for its turn (throttle), or for others that take its place (debounce). `due`: at this time, if known."""

    delivery: Delivery
    gates: Gates
    at: int
    due: int | None = None
    items: Items = []


class DeliveryBegun(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was held starts its execution."""

    delivery_id: str
    execution_id: str
    at: int


class DeliverySuperseded(msgspec.Struct, frozen=True, omit_defaults=True):
    """It was held, and a later one, `by`, has taken its place."""

    delivery_id: str
    by: str
    at: int


class DeliveryDuplicated(msgspec.Struct, frozen=True, omit_defaults=True):
    """Another one, `first`, had the same key: nothing starts. `until`: so long the key counts. `same`: what is in it is
    what is in the first, and not kept twice."""

    delivery: Delivery
    first: str
    at: int
    items: Items = []
    until: int | None = None
    same: bool = False


class DeliveryRefused(msgspec.Struct, frozen=True, omit_defaults=True):
    """`retry_at`: when the next one may be taken. `more`: so many others were refused and not kept."""

    delivery: Delivery
    code: str
    reason: str
    at: int
    retry_at: int | None = None
    items: Items = []
    excerpt: str = ""
    more: int = 0


class InboxCleared(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything that was remembered has run out."""

    at: int


InboxEvent = (
    DeliveryAccepted
    | DeliveryHeld
    | DeliveryBegun
    | DeliverySuperseded
    | DeliveryDuplicated
    | DeliveryRefused
    | InboxCleared
)
