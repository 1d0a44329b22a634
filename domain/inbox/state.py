"""What the inbox of an endpoint remembers, bounded in everything. Changed in place by `evolve`: it may be long.

Whatever runs out is dropped when something else is noted, oldest first; an inbox that rests is cleared when the last of
it has run out.
"""

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from domain.errors import ImpossibleHistory
from domain.execution.events import Items
from domain.inbox.events import (
    DeliveryAccepted,
    DeliveryBegun,
    DeliveryDuplicated,
    DeliveryHeld,
    DeliveryRefused,
    DeliverySuperseded,
    InboxCleared,
    InboxEvent,
)
from domain.inbox.gates import Delivery, Gates, Throttle
from domain.snapshots import Snapshots

SNAPSHOT_FORMAT = 1
MOST_KEYS: Final = 100_000
"""Dedup keys; the oldest is forgotten for one more."""
MOST_REPEATABLE: Final = 20_000
"""Ids of deliveries, each for those with an Idempotency-Key and those without."""
MOST_STARTS: Final = 100_000
"""Beginnings that throttles count, under all keys."""
MOST_HELD: Final = 1_000
MOST_HELD_BYTES: Final = 10_000_000
REPEATED_WITHIN_MS: Final = 300_000
"""An append that is tried once more lands within seconds; this is for what stands between the two."""
KEYED_MS: Final = 86_400_000
REFUSED_PER_MINUTE: Final = 60
DUPLICATES_PER_MINUTE: Final = 600
KEPT_BYTES_PER_MINUTE: Final = 4_000_000
"""Of what is in duplicates and refused deliveries. These three: docs/limits.md."""
MINUTE_MS: Final = 60_000
_FEW: Final = 64


class First(NamedTuple):
    """Who came first with a dedup key, until when that counts, and the hash of what was in it (empty: unknown)."""

    delivery_id: str
    until: int
    content: str


class Held(msgspec.Struct, frozen=True, array_like=True):
    delivery: Delivery
    gates: Gates
    items: Items


class Window(msgspec.Struct, frozen=True, array_like=True):
    """A debounce under way: `delivery_id` is its newest, which starts at `due`."""

    delivery_id: str
    first_at: int
    due: int


class Lane(msgspec.Struct, array_like=True):
    """A throttle's key. `starts`: when executions began that still count, oldest first; `line`: who waits, in order
    (an ordered set)."""

    starts: list[int]
    line: dict[str, None]
    period: int = 0

    @property
    def first(self) -> str | None:
        return next(iter(self.line), None)

    def free_at(self, limit: int, period: int) -> int:
        """From when on one more may begin."""
        return self.starts[-limit] + period if len(self.starts) >= limit else 0


class Inbox(msgspec.Struct, array_like=True):
    """`keys`: dedup key → when it runs out, who came first and with what, packed, because they are many. `recent`,
    `keyed`: deliveries that were taken, by id: when, or (fingerprint, until when). `clear_at`: nothing is remembered
    any more. `refused`, `duplicates`, `kept_bytes`: what was recorded of such in `minute`. `alarms`: when, and which
    delivery that is held begins next in its window or its lane, as a heap; one that holds no longer may stand in it,
    but not first.
    """

    keys: dict[bytes, bytes] = {}
    recent: dict[str, int] = {}
    keyed: dict[str, tuple[str, int]] = {}
    lanes: dict[str, Lane] = {}
    starts: int = 0
    windows: dict[str, Window] = {}
    held: dict[str, Held] = {}
    held_bytes: int = 0
    clear_at: int | None = None
    minute: int = 0
    refused: int = 0
    duplicates: int = 0
    kept_bytes: int = 0
    alarms: list[tuple[int, str]] = []

    def first_with(self, key: str, now: int) -> First | None:
        """The delivery that came first with this dedup key, if that still counts."""
        packed = self.keys.get(bytes.fromhex(key))
        if packed is None or _until(packed) <= now:
            return None
        return First(str(UUID(bytes=packed[8:24])), _until(packed), packed[24:].hex())

    def has_room(self, size: int, instead_of: str | None = None) -> bool:
        """Whether one more of `size` bytes can be held, in the place of another one if it is named."""
        left = self.held[instead_of].delivery.size if instead_of is not None else 0
        number = len(self.held) + (instead_of is None)
        return number <= MOST_HELD and self.held_bytes - left + size <= MOST_HELD_BYTES

    def next_in_line(self) -> Iterator[tuple[Lane, Throttle]]:
        """Each lane with a line, and the throttle of who is first in it."""
        for delivery_id, held in self.held.items():
            throttle = held.gates.throttle
            if throttle is not None and self.lanes[throttle.key].first == delivery_id:
                yield self.lanes[throttle.key], throttle

    @property
    def wakes_at(self) -> int | None:
        """When the next one that is held begins."""
        return self.alarms[0][0] if self.alarms else None

    def keeps_refusal(self, now: int) -> bool:
        """Whether one more that is refused is recorded."""
        return now // MINUTE_MS != self.minute or (
            self.refused < REFUSED_PER_MINUTE and self.kept_bytes < KEPT_BYTES_PER_MINUTE
        )

    def keeps_duplicate(self, now: int, *, same: bool) -> bool:
        """Whether one more duplicate is recorded. `same`: nothing of what is in it is kept."""
        return now // MINUTE_MS != self.minute or (
            self.duplicates < DUPLICATES_PER_MINUTE and (same or self.kept_bytes < KEPT_BYTES_PER_MINUTE)
        )


def evolve(state: Inbox | None, event: InboxEvent) -> Inbox:
    """The state after `event`: the given one, changed. Raises ImpossibleHistory."""
    state = state if state is not None else Inbox()
    match event:
        case DeliveryAccepted():
            _remember(state, event.delivery, event.gates, event.at)
            if event.gates.throttle is not None:
                _count(state, event.gates.throttle, event.at)
        case DeliveryHeld():
            _remember(state, event.delivery, event.gates, event.at)
            _hold(state, event)
        case DeliveryBegun():
            held = _release(state, event.delivery_id)
            if held.gates.throttle is not None:
                state.lanes[held.gates.throttle.key].line.pop(event.delivery_id, None)
                _count(state, held.gates.throttle, event.at)
            elif held.gates.debounce is not None:
                state.windows.pop(held.gates.debounce.key, None)
        case DeliverySuperseded():
            _release(state, event.delivery_id)
        case DeliveryRefused():
            _keep(state, event)
            state.refused += 1
            _forget_lanes(state, event.at)
        case DeliveryDuplicated():
            _keep(state, event)
            state.duplicates += 1
        case InboxCleared():
            _clear(state)
    _tidy(state)
    return state


def _due(state: Inbox, delivery_id: str) -> int | None:
    """When it begins, if it is the next of its window or its lane."""
    held = state.held.get(delivery_id)
    if held is None:
        return None
    throttle, debounce = held.gates.throttle, held.gates.debounce
    if throttle is not None:
        lane = state.lanes[throttle.key]
        return lane.free_at(throttle.limit, throttle.period) if lane.first == delivery_id else None
    window = state.windows.get(debounce.key) if debounce is not None else None
    return window.due if window is not None and window.delivery_id == delivery_id else None


def _wake(state: Inbox, delivery_id: str | None) -> None:
    """What begins next, or when, may have changed for the window or the lane in which it is first."""
    due = _due(state, delivery_id) if delivery_id is not None else None
    if due is not None and delivery_id is not None:
        heappush(state.alarms, (due, delivery_id))


def _tidy(state: Inbox) -> None:
    """The first alarm is one that holds, and no more than twice as many stand there as may hold."""
    if len(state.alarms) > 2 * len(state.held) + _FEW:
        state.alarms = _alarms(state)
    while state.alarms and _due(state, state.alarms[0][1]) != state.alarms[0][0]:
        heappop(state.alarms)


def _alarms(state: Inbox) -> list[tuple[int, str]]:
    return sorted((due, name) for name in state.held if (due := _due(state, name)) is not None)


def _keep(state: Inbox, event: DeliveryRefused | DeliveryDuplicated) -> None:
    """It is recorded though nothing starts: so much is in a minute."""
    minute = event.at // MINUTE_MS
    if minute != state.minute:
        state.minute, state.refused, state.duplicates, state.kept_bytes = minute, 0, 0, 0
    if event.items:
        state.kept_bytes += event.delivery.size


def _remember(state: Inbox, delivery: Delivery, gates: Gates, at: int) -> None:
    """It was taken: once more with the same id, or with the same key, it is known."""
    if delivery.keyed:
        state.keyed[delivery.id] = (delivery.fingerprint, at + KEYED_MS)
        _until_needed(state, at + KEYED_MS)
    else:
        state.recent[delivery.id] = delivery.received_at
        _until_needed(state, at + REPEATED_WITHIN_MS)
    if gates.dedup is not None:
        key = bytes.fromhex(gates.dedup.key)
        state.keys.pop(key, None)  # so that it stands last: the order is that of their coming
        state.keys[key] = (at + gates.dedup.ttl).to_bytes(8) + UUID(delivery.id).bytes
        state.keys[key] += bytes.fromhex(delivery.content)
        _until_needed(state, at + gates.dedup.ttl)
    _forget(state, delivery.received_at, at)


def _until_needed(state: Inbox, until: int) -> None:
    state.clear_at = until if state.clear_at is None else max(state.clear_at, until)


def _forget(state: Inbox, received_at: int, at: int) -> None:
    """Drop from the front what has run out, or is too much."""
    while state.keys and (len(state.keys) > MOST_KEYS or _until(next(iter(state.keys.values()))) <= at):
        del state.keys[next(iter(state.keys))]
    oldest = received_at - REPEATED_WITHIN_MS
    while state.recent and (len(state.recent) > MOST_REPEATABLE or next(iter(state.recent.values())) < oldest):
        del state.recent[next(iter(state.recent))]
    while state.keyed and (len(state.keyed) > MOST_REPEATABLE or next(iter(state.keyed.values()))[1] <= at):
        del state.keyed[next(iter(state.keyed))]


def _count(state: Inbox, throttle: Throttle, at: int) -> None:
    """An execution begins under this throttle."""
    lane = state.lanes.pop(throttle.key, None) or Lane([], {})
    lane.period = throttle.period
    kept = [start for start in lane.starts if start > at - throttle.period]
    state.starts += len(kept) + 1 - len(lane.starts)
    lane.starts = [*kept, at]
    state.lanes[throttle.key] = lane  # last: the order is that of their use
    _wake(state, lane.first)
    _until_needed(state, at + throttle.period)
    _forget_lanes(state, at)


def _forget_lanes(state: Inbox, at: int) -> None:
    """Drop from the front those whose starts count no more."""
    while state.lanes:
        key, first = next(iter(state.lanes.items()))
        if first.line or first.starts[-1] + first.period > at:
            return
        state.starts -= len(first.starts)
        del state.lanes[key]


def _hold(state: Inbox, event: DeliveryHeld) -> None:
    delivery, gates = event.delivery, event.gates
    state.held[delivery.id] = Held(delivery, gates, event.items)
    state.held_bytes += delivery.size
    if gates.throttle is not None:
        state.lanes.setdefault(gates.throttle.key, Lane([], {})).line[delivery.id] = None
    elif gates.debounce is not None and event.due is not None:
        known = state.windows.get(gates.debounce.key)
        began = known.first_at if known is not None else event.at
        state.windows[gates.debounce.key] = Window(delivery.id, began, event.due)
    else:
        raise ImpossibleHistory(f"delivery {delivery.id} is held by nothing")
    _wake(state, delivery.id)


def _release(state: Inbox, delivery_id: str) -> Held:
    held = state.held.pop(delivery_id, None)
    if held is None:
        raise ImpossibleHistory(f"delivery {delivery_id} was not held")
    state.held_bytes -= held.delivery.size
    return held


def _clear(state: Inbox) -> None:
    """All that was remembered has run out; what is held has not begun yet."""
    state.keys.clear()
    state.recent.clear()
    state.keyed.clear()
    state.lanes = {key: Lane([], lane.line, lane.period) for key, lane in state.lanes.items() if lane.line}
    state.starts = 0
    state.clear_at = None
    state.alarms = _alarms(state)


def _until(packed: bytes) -> int:
    return int.from_bytes(packed[:8])


_snapshots = Snapshots(Inbox, SNAPSHOT_FORMAT)
snapshot = _snapshots.snapshot


def restore(data: bytes) -> Inbox:
    """Raises ImpossibleHistory if it is not a snapshot of this program's."""
    state = _snapshots.restore(data)
    if not state.alarms:  # of a program that had none
        state.alarms = _alarms(state)
    return state
