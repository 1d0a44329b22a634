"""Decides what becomes of the deliveries of one webhook endpoint that drops duplicates, throttles or debounces.

A delivery is a duplicate, or it is refused, or it is held, or it starts an execution, whose id is derived from its own:
so nothing starts twice, whatever is sent twice. What is held starts by the ticks. A delivery with an id that was taken
already (an append tried once more, an Idempotency-Key) is answered `duplicate`, with nothing new on the log.

Outcome codes: idempotency_mismatch, too_many_refusals, too_many_duplicates, payload_needed, wrong_stream. A delivery
that is refused by its throttle, or because the inbox is full, is an accepted command: its event says so (codes
`throttled`, `inbox_full`). So many such events, and duplicates, are recorded in a minute; above that the outcome has
the code, and there is no event: the log is for ever, and whoever knows the address writes to it.
"""

from collections.abc import Sequence
from typing import assert_never
from uuid import NAMESPACE_OID, UUID, uuid5

from domain.decision import DUPLICATE, Decision, OutgoingCommand, rejected
from domain.execution.commands import StartExecution
from domain.execution.endings import EXECUTION_STREAM
from domain.execution.events import Items, Origin
from domain.inbox.commands import ReceiveDelivery, RefuseDelivery
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
from domain.inbox.gates import Debounce, Delivery, Throttle
from domain.inbox.state import (
    MINUTE_MS,
    MOST_HELD,
    MOST_STARTS,
    First,
    Inbox,
    Lane,
    evolve,
    restore,
    snapshot,
)
from domain.ticking import PassTime

__all__ = ["Inbox", "decide", "evolve", "next_due", "restore", "snapshot"]

STREAM = "inbox-"
THROTTLED = "throttled"
FULL = "inbox_full"
TOO_MANY = "too_many_duplicates"
PAYLOAD_NEEDED = rejected("payload_needed", "it does not repeat what is known: send it with its items")
MOST_AT_ONCE = 20
"""So many begin in one commit; more follow in the next."""
_FULL_RETRY_MS = 1_000

InboxCommand = ReceiveDelivery | RefuseDelivery | PassTime


def stream_of(endpoint_id: str) -> str:
    """The inbox of an endpoint. An endpoint's id is a secret address, the name of a stream is none."""
    return f"{STREAM}{uuid5(NAMESPACE_OID, f'inbox {endpoint_id}')}"


def execution_of(delivery_id: str) -> str:
    """The id of the execution that a delivery starts, if it starts one."""
    return str(uuid5(UUID(delivery_id), "execution"))


def decide(command: InboxCommand, state: Inbox | None, *, workspace: str, stream_id: str, now: int = 0) -> Decision:
    """Answer a command to the inbox of `stream_id`. `now`: owner's time, ms."""
    if isinstance(command, PassTime):
        return _pass_time(state, stream_id, now)
    if stream_id != stream_of(command.delivery.endpoint_id):
        return Decision((), state, rejected("wrong_stream", "a delivery lives in the stream of its endpoint"))
    match command:
        case ReceiveDelivery():
            return _receive(command, state if state is not None else Inbox(), stream_id, now)
        case RefuseDelivery():
            return _refuse(command, state, stream_id, now)
        case _:
            assert_never(command)


def _refuse(command: RefuseDelivery, state: Inbox | None, stream: str, now: int) -> Decision:
    if state is not None and not command.more and not state.keeps_refusal(now):
        return Decision((), state, rejected("too_many_refusals", "enough are kept of this minute"))
    refused = DeliveryRefused(
        command.delivery, command.code, command.reason, now,
        items=command.items, excerpt=command.excerpt, more=command.more,
    )  # fmt: skip
    return _decided(state, [refused], stream)


def _receive(command: ReceiveDelivery, state: Inbox, stream: str, now: int) -> Decision:
    delivery, gates = command.delivery, command.gates
    known = state.keyed.get(delivery.id)
    if known is not None and known[0] != delivery.fingerprint:
        return Decision((), state, rejected("idempotency_mismatch", "the same key was used for another delivery"))
    if known is not None or delivery.id in state.recent or command.taken:
        return Decision((), state, DUPLICATE)
    first = state.first_with(gates.dedup.key, now) if gates.dedup is not None else None
    if first is not None:
        return _duplicate(command, state, first, stream, now)
    if command.bare:
        return Decision((), state, PAYLOAD_NEEDED)
    if gates.debounce is not None:
        events = _debounced(command, state, gates.debounce, now)
    elif gates.throttle is not None:
        events = [_throttled(command, state, gates.throttle, now)]
    else:
        events = [_accept(command, now)]
    refused = events[0]
    if isinstance(refused, DeliveryRefused) and not state.keeps_refusal(now):
        retry_after = max(1, (refused.retry_at or now) - now)
        return Decision((), state, rejected(refused.code, refused.reason, retry_after=retry_after))
    return _decided(state, events, stream, command.items)


def _duplicate(command: ReceiveDelivery, state: Inbox, first: First, stream: str, now: int) -> Decision:
    delivery = command.delivery
    same = bool(first.content) and first.content == delivery.content
    if not state.keeps_duplicate(now, same=same):
        later = min(MINUTE_MS - now % MINUTE_MS, first.until - now)
        return Decision((), state, rejected(TOO_MANY, "enough duplicates are kept of this minute", retry_after=later))
    if command.bare and not same:
        return Decision((), state, PAYLOAD_NEEDED)
    items: Items = [] if same else command.items
    event = DeliveryDuplicated(delivery, first.delivery_id, now, items, first.until, same)
    return _decided(state, [event], stream)


def _accept(command: ReceiveDelivery, now: int) -> DeliveryAccepted:
    return DeliveryAccepted(command.delivery, command.gates, execution_of(command.delivery.id), now)


def _debounced(command: ReceiveDelivery, state: Inbox, debounce: Debounce, now: int) -> list[InboxEvent]:
    """It waits in the place of the one before. A window that has ended begins first, though no tick has said so."""
    delivery = command.delivery
    window = state.windows.get(debounce.key)
    events: list[InboxEvent] = []
    began = now
    if window is not None and window.due <= now:
        events.append(_begin(window.delivery_id, now))
    elif window is not None:
        events.append(DeliverySuperseded(window.delivery_id, delivery.id, now))
        began = window.first_at
    if not state.has_room(delivery.size, window.delivery_id if window is not None else None):
        return [_full(command, now)]
    due = now + debounce.quiet
    if debounce.most is not None:
        due = max(now, min(due, began + debounce.most))
    return [*events, DeliveryHeld(delivery, command.gates, now, due, command.items)]


def _throttled(
    command: ReceiveDelivery, state: Inbox, throttle: Throttle, now: int
) -> DeliveryAccepted | DeliveryHeld | DeliveryRefused:
    lane = state.lanes.get(throttle.key) or Lane([], {})
    free_at = lane.free_at(throttle.limit, throttle.period)
    if state.starts >= MOST_STARTS:
        return _full(command, now)
    if throttle.excess == "refuse":
        if free_at <= now:
            return _accept(command, now)
        reason = f"{throttle.limit} in {throttle.period / 1_000:g} seconds have begun"
        return DeliveryRefused(command.delivery, THROTTLED, reason, now, free_at, command.items)
    if free_at <= now and not lane.line:
        return _accept(command, now)
    if not state.has_room(command.delivery.size):
        return _full(command, now)
    return DeliveryHeld(command.delivery, command.gates, now, items=command.items)


def _full(command: ReceiveDelivery, now: int) -> DeliveryRefused:
    reason = f"the inbox is full: {MOST_HELD} deliveries are held, or too much is counted"
    return DeliveryRefused(command.delivery, FULL, reason, now, now + _FULL_RETRY_MS, command.items)


def _begin(delivery_id: str, now: int) -> DeliveryBegun:
    return DeliveryBegun(delivery_id, execution_of(delivery_id), now)


def _pass_time(state: Inbox | None, stream: str, now: int) -> Decision:
    if state is None:
        return Decision((), None)
    begun: list[str] = []
    if state.wakes_at is not None and state.wakes_at <= now:
        begun = [*_ended_windows(state, now), *_turns(state, now)][:MOST_AT_ONCE]
    events: list[InboxEvent] = [_begin(each, now) for each in begun]
    if not events and state.clear_at is not None and state.clear_at <= now:
        events.append(InboxCleared(now))
    return _decided(state, events, stream)


def _ended_windows(state: Inbox, now: int) -> list[str]:
    return [window.delivery_id for window in state.windows.values() if window.due <= now]


def _turns(state: Inbox, now: int) -> list[str]:
    """Those in line whose turn it is. An installation that was away begins no more at once than the throttle lets."""
    found: list[str] = []
    for lane, throttle in state.next_in_line():
        counted = sum(start > now - throttle.period for start in lane.starts)
        free = max(0, throttle.limit - counted)
        found += [each for each, _ in zip(lane.line, range(free), strict=False)]
    return found


def next_due(state: Inbox) -> int | None:
    """When the next one begins, or what is remembered has run out: owner's time, ms."""
    return min((at for at in (state.wakes_at, state.clear_at) if at is not None), default=None)


def _decided(state: Inbox | None, events: Sequence[InboxEvent], stream: str, items: Items | None = None) -> Decision:
    """`items`: of the delivery that is accepted, if one is. What begins is told first, then forgotten."""
    commands: list[OutgoingCommand] = []
    for event in events:
        if isinstance(event, DeliveryAccepted):
            commands.append(_start(event.delivery, items or [], stream, event.at))
        elif isinstance(event, DeliveryBegun) and state is not None:
            held = state.held[event.delivery_id]
            commands.append(_start(held.delivery, held.items, stream, event.at))
    for event in events:
        state = evolve(state, event)
    return Decision(events, state, commands=commands)


def _start(delivery: Delivery, items: Items, stream: str, now: int) -> OutgoingCommand:
    execution_id = execution_of(delivery.id)
    command = StartExecution(
        execution_id=execution_id,
        workflow_id=delivery.workflow_id,
        workflow_version=delivery.workflow_version,
        trigger_node=delivery.node,
        trigger_type="webhook",
        items=items,
        queued_at=now,
        priority=delivery.priority,
        reply=delivery.reply,
        origin=Origin(kind="delivery", stream=stream, ref=delivery.id),
    )
    return OutgoingCommand(str(uuid5(UUID(delivery.id), "start")), EXECUTION_STREAM + execution_id, command)
