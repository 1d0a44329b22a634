"""What a subscription remembers, and how facts change it."""

from copy import copy
from typing import Literal, TypeVar, assert_never

import msgspec

from domain.errors import ImpossibleHistory
from domain.snapshots import Snapshots
from domain.subscription.commands import Notice
from domain.subscription.definition import Definition
from domain.subscription.events import (
    DeliveryDropped,
    DeliveryEnded,
    DeliveryQueued,
    DeliveryRequeued,
    DeliveryStarted,
    SubscriptionChanged,
    SubscriptionCreated,
    SubscriptionDeleted,
    SubscriptionDisabled,
    SubscriptionEvent,
    SubscriptionPaused,
    SubscriptionResumed,
)

SNAPSHOT_FORM = 1
KEPT_ASKED = 200

Status = Literal["active", "paused", "disabled", "deleted"]


class Waiting(msgspec.Struct, frozen=True, array_like=True):
    """A delivery that has not begun. `try_name`: tells its tries apart."""

    notice: Notice
    try_name: str = "first"
    test: bool = False


class Open(msgspec.Struct, frozen=True, array_like=True):
    """A delivery that an execution makes now."""

    execution_id: str
    test: bool = False


class Subscription(msgspec.Struct, array_like=True):
    """`seen`: by source, the place of the last event that was taken. `waiting`: by delivery id, in order; `open`: those
    that are being made. `failures`: in a row, since `failing_since`. `asked`: ids of the last tests and
    redeliveries that somebody asked for.

    Changed in place by `evolve`."""

    definition: Definition
    status: Status
    fingerprint: str
    seen: dict[str, tuple[int, int]] = {}
    waiting: dict[str, Waiting] = {}
    open: dict[str, Open] = {}
    failures: int = 0
    failing_since: int = 0
    asked: list[str] = []

    def copy(self) -> "Subscription":
        """One that can be changed without this one."""
        made = copy(self)
        made.seen, made.waiting, made.open = dict(self.seen), dict(self.waiting), dict(self.open)
        return made


def evolve(state: Subscription | None, event: SubscriptionEvent) -> Subscription:
    """The state after `event`: the given one, changed. Raises ImpossibleHistory."""
    if isinstance(event, SubscriptionCreated):
        if state is not None:
            raise ImpossibleHistory("a subscription was created twice")
        return Subscription(event.definition, "active", event.fingerprint)
    if state is None:
        raise ImpossibleHistory(f"{type(event).__name__} before SubscriptionCreated")
    match event:
        case SubscriptionChanged(definition=definition):
            state.definition = definition
        case SubscriptionPaused():
            state.status = "paused"
        case SubscriptionResumed():
            state.status, state.failures, state.failing_since = "active", 0, 0
        case SubscriptionDisabled(ends_waiting=ends_waiting):
            state.status = "disabled"
            if ends_waiting:
                state.waiting = {}
        case SubscriptionDeleted():
            state.status = "deleted"
            state.waiting, state.seen, state.asked = {}, {}, []
        case DeliveryQueued():
            state.waiting[event.delivery_id] = Waiting(event.notice, test=event.test)
            if event.source:
                state.seen[event.source] = (event.offset, event.place)
            if event.test:
                state.asked = _with(state.asked, event.delivery_id)
        case DeliveryRequeued():
            state.waiting[event.delivery_id] = Waiting(event.notice, event.redelivery_id)
            state.asked = _with(state.asked, event.redelivery_id)
        case DeliveryStarted():
            begun = _known(state.waiting.pop(event.delivery_id, None), event.delivery_id)
            state.open[event.delivery_id] = Open(event.execution_id, begun.test)
        case DeliveryEnded():
            _known(state.open.pop(event.delivery_id, None), event.delivery_id)
            state.failures, state.failing_since = event.failures, event.failing_since
        case DeliveryDropped():
            _known(state.waiting.pop(event.delivery_id, None), event.delivery_id)
        case _:
            assert_never(event)
    return state


def _with(asked: list[str], name: str) -> list[str]:
    return asked if name in asked else [*asked, name][-KEPT_ASKED:]


Found = TypeVar("Found", Waiting, Open)


def _known(found: Found | None, delivery_id: str) -> Found:
    if found is None:
        raise ImpossibleHistory(f"nothing is known of the delivery {delivery_id}")
    return found


_snapshots = Snapshots(Subscription, SNAPSHOT_FORM)
snapshot, restore = _snapshots.snapshot, _snapshots.restore
