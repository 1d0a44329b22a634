"""States as bytes, for checkpoints and for executions that are parked: versioned JSON arrays, each item list once.

JSON, not MessagePack: users' data may hold whole numbers beyond 64 bits, which only JSON can.
"""

from collections import deque
from typing import Any

import msgspec

from domain.effects import EffectClass, ItemResult
from domain.errors import ImpossibleHistory
from domain.execution.events import ErrorInfo, Items, Source, Told
from domain.execution.state import (
    ChildEnd,
    ChildRun,
    Delivery,
    EffectRun,
    Execution,
    Foreign,
    Held,
    LoopHold,
    Ready,
    Waiting,
)
from domain.workflow.graph import Graph

_VERSION = 1

Packed = tuple[Source, int]
"""A delivery: its source, and the number of its item list."""


class _EffectRun(msgspec.Struct, array_like=True):
    node: int
    run: int
    delivery: Packed
    attempt: int
    effect_class: EffectClass
    in_flight: list[int]
    start_by: int
    unknown_after: int
    settled: list[ItemResult]
    retry: list[int]
    retry_due: int
    retries: int
    asked: list[int]


class _ChildRun(msgspec.Struct, array_like=True):
    node: int
    run: int
    delivery: Packed
    awaited: bool
    due: int | None
    next: int
    open: list[tuple[int, str]]
    settled: list[tuple[int, Items, ErrorInfo | None]]


class _Loop(msgspec.Struct, array_like=True):
    node: int
    entries: list[Packed]
    current: Packed | None
    offset: int
    collected: list[Packed]
    out: bool
    queued: bool


class _Snapshot(msgspec.Struct, array_like=True):
    v: int
    id: str
    workflow_id: str
    workflow_version: int
    trigger_node: str
    trigger_type: str
    priority: str
    fingerprint: str
    reply: str
    queued_at: int
    status: str
    started_at: int
    deadline: int | None
    parked_at: int | None
    responded: bool
    run_count: int
    items: int | None
    runs: dict[int, int]
    queue: list[tuple[int, int, list[Packed]]]
    effects: list[_EffectRun]
    waits: list[tuple[int, int, int | None, Packed]]
    merges: list[tuple[int, dict[str, list[Packed]]]]
    loops: list[_Loop]
    outputs: list[tuple[int, dict[str, int]]]
    last: tuple[int, dict[str, int]] | None
    lists: list[Items]
    traced: list[tuple[int, int, dict[str, int]]] = []
    told: Told = Told()
    children: list[_ChildRun] = []
    begin_at: int | None = None
    retry_count: int = 0
    recoveries: int = 0
    setbacks: int = 0
    held: Held | None = None
    prepared: list[tuple[int, int, Foreign]] = []
    granted: int = 0
    variables: dict[str, Any] = {}


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Snapshot).decode


class _Lists:
    """Numbers the item lists that a state shares."""

    def __init__(self) -> None:
        self.lists: list[Items] = []
        self._numbers: dict[int, int] = {}

    def number(self, items: Items) -> int:
        number = self._numbers.get(id(items))
        if number is None:
            number = self._numbers[id(items)] = len(self.lists)
            self.lists.append(items)
        return number

    def held(self, delivery: Delivery) -> Packed:
        return delivery.source, self.number(delivery.items)

    def many(self, deliveries: list[Delivery] | tuple[Delivery, ...]) -> list[Packed]:
        return [self.held(delivery) for delivery in deliveries]

    def ports(self, outputs: dict[str, Items]) -> dict[str, int]:
        return {port: self.number(items) for port, items in outputs.items()}


def snapshot(state: Execution) -> bytes:
    """The state as bytes. Its hint `computing` is left out: a restored state asks for the computation again."""
    lists = _Lists()
    return _encode(
        _Snapshot(
            v=_VERSION,
            id=state.id,
            workflow_id=state.workflow_id,
            workflow_version=state.workflow_version,
            trigger_node=state.trigger_node,
            trigger_type=state.trigger_type,
            priority=state.priority,
            fingerprint=state.fingerprint,
            reply=state.reply,
            queued_at=state.queued_at,
            status=state.status,
            started_at=state.started_at,
            deadline=state.deadline,
            parked_at=state.parked_at,
            responded=state.responded,
            run_count=state.run_count,
            items=None if state.items is None else lists.number(state.items),
            runs=dict(sorted(state.runs.items())),
            queue=[(ready.node, ready.run, lists.many(ready.deliveries)) for ready in state.queue],
            effects=[_packed_run(state.effects[key], lists) for key in sorted(state.effects)],
            waits=[
                (waiting.node, waiting.run, waiting.due, lists.held(waiting.delivery))
                for _, waiting in sorted(state.waits.items())
            ],
            merges=[
                (node, {port: lists.many(hold[port]) for port in sorted(hold)})
                for node, hold in sorted(state.merges.items())
            ],
            loops=[_packed_loop(node, hold, lists) for node, hold in sorted(state.loops.items())],
            outputs=[(node, lists.ports(ports)) for node, ports in sorted(state.outputs.items())],
            last=None if state.last is None else (state.last[0], lists.ports(state.last[1])),
            traced=[(node, run, lists.ports(ports)) for (node, run), ports in sorted(state.traced.items())],
            lists=lists.lists,
            told=state.told,
            granted=state.granted,
            children=[_packed_children(state.children[key], lists) for key in sorted(state.children)],
            begin_at=state.begin_at,
            retry_count=state.retry_count,
            recoveries=state.recoveries,
            setbacks=state.setbacks,
            held=state.held,
            prepared=[(*key, values) for key, values in sorted(state.prepared.items())],
            variables=state.variables,
        )
    )


def _packed_run(run: EffectRun, lists: _Lists) -> _EffectRun:
    return _EffectRun(
        node=run.node,
        run=run.run,
        delivery=lists.held(run.delivery),
        attempt=run.attempt,
        effect_class=run.effect_class,
        in_flight=run.in_flight,
        start_by=run.start_by,
        unknown_after=run.unknown_after,
        settled=[run.settled[index] for index in sorted(run.settled)],
        retry=run.retry,
        retry_due=run.retry_due,
        retries=run.retries,
        asked=run.asked,
    )


def _packed_children(run: ChildRun, lists: _Lists) -> _ChildRun:
    return _ChildRun(
        node=run.node,
        run=run.run,
        delivery=lists.held(run.delivery),
        awaited=run.awaited,
        due=run.due,
        next=run.next,
        open=sorted(run.open.items()),
        settled=[(item, *run.settled[item]) for item in sorted(run.settled)],
    )


def _packed_loop(node: int, hold: LoopHold, lists: _Lists) -> _Loop:
    return _Loop(
        node=node,
        entries=lists.many(hold.entries),
        current=None if hold.current is None else lists.held(hold.current),
        offset=hold.offset,
        collected=lists.many(hold.collected),
        out=hold.out,
        queued=hold.queued,
    )


def restore(data: bytes, graph: Graph) -> Execution:
    """The state of a snapshot. Raises ImpossibleHistory if it cannot be read or belongs to another workflow."""
    try:
        packed = _decode(data)
    except msgspec.DecodeError as error:
        raise ImpossibleHistory(f"a snapshot cannot be read: {error}") from error
    if packed.v != _VERSION:
        raise ImpossibleHistory(f"a snapshot has version {packed.v}, this program reads {_VERSION}")
    try:
        return _restored(packed, graph)
    except (LookupError, AttributeError) as error:
        raise ImpossibleHistory(f"a snapshot does not fit its workflow version: {error}") from error


def _restored(packed: _Snapshot, graph: Graph) -> Execution:
    lists = packed.lists

    def held(pair: Packed) -> Delivery:
        return Delivery(pair[0], lists[pair[1]])

    def ports(numbers: dict[str, int]) -> dict[str, Items]:
        return {port: lists[number] for port, number in numbers.items()}

    state = Execution(packed.id)
    plain: Any = state
    for name in _PLAIN:
        setattr(plain, name, getattr(packed, name))
    state.items = None if packed.items is None else lists[packed.items]
    state.runs = packed.runs
    state.queue = deque(Ready(node, run, tuple(map(held, pairs))) for node, run, pairs in packed.queue)
    state.effects = {(run.node, run.run): _unpacked_run(run, held(run.delivery), graph) for run in packed.effects}
    state.waits = {(node, run): Waiting(node, run, due, held(pair)) for node, run, due, pair in packed.waits}
    state.children = {(run.node, run.run): _unpacked_children(run, held(run.delivery)) for run in packed.children}
    state.merges = {
        node: {port: [held(pair) for pair in pairs] for port, pairs in hold.items()} for node, hold in packed.merges
    }
    for loop in packed.loops:
        hold = state.loops[loop.node] = LoopHold()
        hold.entries = [held(pair) for pair in loop.entries]
        hold.current = None if loop.current is None else held(loop.current)
        hold.offset = loop.offset
        hold.collected = [held(pair) for pair in loop.collected]
        hold.out = loop.out
        hold.queued = loop.queued
    state.outputs = {node: ports(numbers) for node, numbers in packed.outputs}
    state.traced = {(node, run): ports(numbers) for node, run, numbers in packed.traced}
    state.prepared = {(node, run): values for node, run, values in packed.prepared}
    state.last = None if packed.last is None else (packed.last[0], ports(packed.last[1]))
    return state


_PLAIN = (
    "workflow_id", "workflow_version", "trigger_node", "trigger_type", "priority", "fingerprint", "reply", "queued_at",
    "status", "started_at", "deadline", "parked_at", "responded", "run_count", "told",
    "begin_at", "retry_count", "recoveries", "setbacks", "held",
    "granted", "variables",
)  # fmt: skip


def _unpacked_children(packed: _ChildRun, delivery: Delivery) -> ChildRun:
    run = ChildRun(packed.node, packed.run, delivery)
    run.awaited = packed.awaited
    run.due = packed.due
    run.next = packed.next
    run.open = dict(packed.open)
    run.settled = {item: ChildEnd(output, error) for item, output, error in packed.settled}
    return run


def _unpacked_run(packed: _EffectRun, delivery: Delivery, graph: Graph) -> EffectRun:
    run = EffectRun(packed.node, graph.nodes[packed.node].id, packed.run, delivery)
    run.attempt = packed.attempt
    run.effect_class = packed.effect_class
    run.in_flight = packed.in_flight
    run.start_by = packed.start_by
    run.unknown_after = packed.unknown_after
    run.settled = {result.index: result for result in packed.settled}
    run.retry = packed.retry
    run.retry_due = packed.retry_due
    run.retries = packed.retries
    run.asked = packed.asked
    return run
