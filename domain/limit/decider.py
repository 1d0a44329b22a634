"""Grants places to executions: at most so many side by side under a key. A limit that spans partitions is a stream.

The places taken are a fold of who asked and who gave back. An execution gives back in the commit that ends it, and one
that is not open any more gives back what it is granted: a place cannot leak, whatever dies.

State is changed in place by `evolve` (a line may be long); `decide` only reads what was there before its own events.
"""

from collections.abc import Sequence

import msgspec

from domain.decision import DUPLICATE, Decision, OutgoingCommand, rejected
from domain.errors import ImpossibleHistory
from domain.execution.commands import GrantSlot, RefuseSlot
from domain.execution.endings import EXECUTION_STREAM, derived
from domain.limit.commands import LimitCommand, ReleaseSlot, RequestSlot
from domain.limit.events import LimitEvent, SlotAwaited, SlotGiven, SlotRefused, SlotReturned
from domain.snapshots import Snapshots

SNAPSHOT_FORMAT = 1
STREAM = "limit-"
_URGENCY = ("high", "normal", "low")


class Places(msgspec.Struct, array_like=True):
    """Under one key. `waiting`: by priority, oldest first. Both are used as ordered sets."""

    size: int
    holders: dict[str, None]
    waiting: dict[str, dict[str, None]]

    def priority_of(self, execution_id: str) -> str | None:
        return next((each for each, line in self.waiting.items() if execution_id in line), None)

    def next_waiting(self, number: int) -> list[str]:
        """The first `number` in line, the most urgent first."""
        line = (execution for each in _URGENCY for execution in self.waiting.get(each, ()))
        return [execution for execution, _ in zip(line, range(number), strict=False)]


class Limit(msgspec.Struct, array_like=True):
    """Places by key; a key without holders and without a line is left out."""

    keys: dict[str, Places]


def decide(command: LimitCommand, state: Limit | None, *, workspace: str, stream_id: str) -> Decision:
    """Answer a command to the limit of `stream_id`."""
    state = state if state is not None else Limit({})
    if isinstance(command, RequestSlot):
        return _request(command, state, stream_id)
    return _release(command, state, stream_id)


def _request(command: RequestSlot, state: Limit, stream: str) -> Decision:
    if command.size < 1:
        return Decision([], state, rejected("invalid_limit", "a limit allows at least one execution"))
    execution, key = command.execution_id, command.key
    places = state.keys.get(key)
    if places is not None and execution in places.holders:
        return Decision([], state, DUPLICATE, commands=[_grant(execution, stream, key)])
    if places is not None and places.priority_of(execution) is not None:
        return Decision([], state, DUPLICATE)
    taken = len(places.holders) if places else 0
    line = places.next_waiting(max(0, command.size - taken)) if places else []
    if taken + len(line) < command.size:
        return _decided(state, [*_give(line, key, command.size), SlotGiven(execution, key, command.size)], stream)
    if command.when_full == "skip":
        refuse = OutgoingCommand(
            derived(execution, f"refuse {stream} {key}"), EXECUTION_STREAM + execution, RefuseSlot(stream, key)
        )
        return _decided(state, [SlotRefused(execution, key)], stream, [refuse])
    priority = command.priority if command.priority in _URGENCY else "normal"
    awaited = SlotAwaited(execution, key, command.size, priority)
    return _decided(state, [*_give(line, key, command.size), awaited], stream)


def _release(command: ReleaseSlot, state: Limit, stream: str) -> Decision:
    execution, key = command.execution_id, command.key
    places = state.keys.get(key)
    if places is None or (execution not in places.holders and places.priority_of(execution) is None):
        return Decision([], state, DUPLICATE)
    free = places.size - len(places.holders) + (execution in places.holders)
    line = [each for each in places.next_waiting(max(0, free) + 1) if each != execution][: max(0, free)]
    return _decided(state, [SlotReturned(execution, key), *_give(line, key, places.size)], stream)


def _give(line: Sequence[str], key: str, size: int) -> list[LimitEvent]:
    return [SlotGiven(execution, key, size) for execution in line]


def _grant(execution: str, stream: str, key: str) -> OutgoingCommand:
    """The same id however often it is granted: the execution knows it by its own state."""
    return OutgoingCommand(
        derived(execution, f"grant {stream} {key}"), EXECUTION_STREAM + execution, GrantSlot(stream, key)
    )


def _decided(
    state: Limit, events: Sequence[LimitEvent], stream: str, commands: Sequence[OutgoingCommand] = ()
) -> Decision:
    grants = [_grant(event.execution_id, stream, event.key) for event in events if isinstance(event, SlotGiven)]
    for event in events:
        state = evolve(state, event)
    return Decision(events, state, commands=[*commands, *grants])


def evolve(state: Limit | None, event: LimitEvent) -> Limit:
    """The state after `event`: the given one, changed. Raises ImpossibleHistory."""
    state = state if state is not None else Limit({})
    match event:
        case SlotGiven(execution_id=execution, key=key, size=size):
            places = state.keys.setdefault(key, Places(size, {}, {}))
            if execution in places.holders:
                raise ImpossibleHistory(f"execution {execution} was given the same place twice")
            _leave_line(places, execution)
            places.size = size
            places.holders[execution] = None
        case SlotAwaited(execution_id=execution, key=key, size=size, priority=priority):
            places = state.keys.setdefault(key, Places(size, {}, {}))
            places.size = size
            places.waiting.setdefault(priority, {})[execution] = None
        case SlotReturned(execution_id=execution, key=key):
            places = _known(state, key)
            _leave_line(places, execution)
            places.holders.pop(execution, None)
            if not places.holders and not places.waiting:
                del state.keys[key]
        case SlotRefused():
            pass
    return state


def _known(state: Limit, key: str) -> Places:
    places = state.keys.get(key)
    if places is None:
        raise ImpossibleHistory(f"a place under {key!r} was given back that nobody had")
    return places


def _leave_line(places: Places, execution: str) -> None:
    priority = places.priority_of(execution)
    if priority is not None:
        del places.waiting[priority][execution]
        if not places.waiting[priority]:
            del places.waiting[priority]


_snapshots = Snapshots(Limit, SNAPSHOT_FORMAT)
snapshot = _snapshots.snapshot
restore = _snapshots.restore
