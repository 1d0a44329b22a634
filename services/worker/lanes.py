"""The two lanes: how an owner decides, folds and keeps the streams of each. A lane is an input topic with the commit
topic that answers it. All knowledge of what a stream is sits here; the owner only orders, stores and sends.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from domain.credential import decider as credential_decider
from domain.dead_letter import decider as dead_letter_decider
from domain.decision import Decision, Outcome
from domain.errors import ImpossibleHistory
from domain.execution import decider as execution_decider
from domain.execution.commands import ExecutionCommand, StartExecution
from domain.execution.commands import PassTime as ExecutionPassTime
from domain.execution.decider import NO_VARIABLES
from domain.execution.endings import refused
from domain.execution.events import ExecutionQueued, Told
from domain.execution.links import NO_LINKS, Links
from domain.execution.slots import wanted
from domain.inbox import decider as inbox_decider
from domain.limit import decider as limit_decider
from domain.schedule import decider as schedule_decider
from domain.subscription import decider as subscription_decider
from domain.subscription.built_in import is_built_in
from domain.ticking import PassTime
from domain.variable import decider as variable_decider
from domain.workflow import decider as workflow_decider
from domain.workflow.variables import NO_NAMES
from domain.workspace import decider as workspace_decider
from infra.log.port import Topic
from schemas.envelope import CommandRecord
from services.worker.failing import failed_execution, failed_start, not_found
from services.worker.unreadable import UnreadableExecution
from services.worker.variables import NOTHING, Values, VariablesKey
from services.worker.versions import BY_REFERENCE, GraphKey, Versions

EXECUTION = "execution-"
START_TYPE = "execution.start"
MOST_SHARED_KEYS = 10_000


class _StartHead(msgspec.Struct):
    workflow_id: str
    workflow_version: int


_start_head = msgspec.json.Decoder(_StartHead).decode


@dataclass(slots=True)
class Entry:
    """One stream in an owner's memory: its state, or its state frozen to bytes while it is parked. `alarm`: the due
    time that the memory will wake it at (`due` moves on when a decision is made, `alarm` when it is accepted)."""

    workspace: str
    state: Any = None
    frozen: bytes | None = None
    version: int = 0
    due: int | None = None
    alarm: int | None = None
    parked: bool = True
    queued: bool = False
    graph_key: GraphKey | None = None
    queued_at: int | None = None
    trace: bytes | None = None


class Lane(Protocol):
    name: str
    input_topic: Topic
    commit_topic: Topic
    ticks: bool
    remembers: bool

    def owns(self, stream: str) -> bool:
        """Whether streams of this name live in this lane."""
        ...

    def graph_key(self, workspace: str, command: Any, entry: Entry | None) -> GraphKey | None:
        """The workflow version that deciding `command` needs."""
        ...

    def key_of_command(self, command: CommandRecord) -> GraphKey | None:
        """The workflow version that a command from the log will need, without decoding all of it."""
        ...

    def key_of_first(self, workspace: str, events: Sequence[Any]) -> GraphKey | None:
        """The workflow version that a stream beginning with `events` runs."""
        ...

    def variables_key(self, key: GraphKey) -> VariablesKey | None:
        """The variables that a start of this version may see; None: none. The version must have been loaded."""
        ...

    def decide(
        self,
        command: Any,
        entry: Entry | None,
        *,
        stream: str,
        workspace: str,
        now: int,
        clock: int,
        begin: bool,
        variables: Values = NOTHING,
    ) -> Decision:
        """Decide. `begin=False`: a start is recorded as queued and begins later (pressure)."""
        ...

    def fold(self, entry: Entry, events: Sequence[Any], *, stream: str) -> None:
        """Take recorded events into the entry's state."""
        ...

    def settle(self, entry: Entry, stream: str) -> None:
        """Note what the owner must know of the new state (due time, parked, queued)."""
        ...

    def failure(
        self, command: Any, entry: Entry | None, outcome: Outcome, *, stream: str, workspace: str, now: int
    ) -> Decision:
        """What to record when deciding raised or the decision cannot be stored (rule 8)."""
        ...

    def gone(self, entry: Entry) -> bool:
        """Whether the stream is closed for good and leaves memory."""
        ...

    def fingerprint(self, entry: Entry) -> str: ...

    def priority(self, entry: Entry) -> str:
        """How urgent a start that was put off is: high, normal or low."""
        ...

    def freeze(self, entry: Entry, stream: str) -> bytes: ...

    def thaw(self, entry: Entry, frozen: bytes, stream: str) -> GraphKey | None:
        """Take a stored state in; returns the workflow version needed before it can be decided on, if any."""
        ...

    def wake(self, entry: Entry) -> None:
        """Make the state usable; the graph must have been loaded."""
        ...

    def hibernates(self, entry: Entry) -> bool:
        """Whether the state may be kept as bytes until it is needed."""
        ...


class _FrozenExecution(msgspec.Struct, array_like=True):
    workflow_id: str
    workflow_version: int
    queued_at: int
    state: bytes
    told: Told = Told()
    trigger_type: str = ""
    priority: str = "normal"


_frozen_decoder = msgspec.msgpack.Decoder(_FrozenExecution)
_frozen_encoder = msgspec.msgpack.Encoder()


Concurrent = Callable[[str], int | None]
"""How many executions of a workspace may go on side by side; None: as many as there are."""


def unlimited(_workspace: str) -> int | None:
    return None


class ExecutionLane:
    """Executions: state needs the workflow's graph; closed ones leave memory."""

    name = "executions"
    input_topic = Topic.EXECUTION_COMMANDS
    commit_topic = Topic.EXECUTIONS
    ticks = True
    remembers = True

    def __init__(self, versions: Versions, links: Links = NO_LINKS, concurrent: Concurrent = unlimited) -> None:
        self._versions = versions
        self._concurrent = concurrent
        self._links = links
        self._keys: dict[GraphKey, GraphKey] = {}

    def owns(self, stream: str) -> bool:
        return stream.startswith(EXECUTION)

    def graph_key(self, workspace: str, command: Any, entry: Entry | None) -> GraphKey | None:
        if entry is not None:
            return entry.graph_key
        if isinstance(command, StartExecution):
            return self._named((workspace, command.workflow_id, command.workflow_version))
        return None

    def key_of_command(self, command: CommandRecord) -> GraphKey | None:
        if command.type != START_TYPE:
            return None
        try:
            head = _start_head(command.data)
        except msgspec.DecodeError:
            return None
        return self._shared((command.workspace, head.workflow_id, head.workflow_version))

    def key_of_first(self, workspace: str, events: Sequence[Any]) -> GraphKey | None:
        first = events[0] if events else None
        if isinstance(first, ExecutionQueued):
            return self._shared((workspace, first.workflow_id, first.workflow_version))
        return None

    def variables_key(self, key: GraphKey) -> VariablesKey | None:
        graph = self._versions.get(self._named(key))
        return None if graph is None or graph.variables == NO_NAMES else (key[0], graph.variables)

    def decide(
        self,
        command: ExecutionCommand,
        entry: Entry | None,
        *,
        stream: str,
        workspace: str,
        now: int,
        clock: int,
        begin: bool,
        variables: Values = NOTHING,
    ) -> Decision:
        key = self.graph_key(workspace, command, entry)
        graph = self._versions.get(key) if key else None
        execution_id = stream[len(EXECUTION) :]
        if entry is None and isinstance(command, StartExecution) and graph is None:
            return refused(command, execution_id, None, not_found(command), now)
        state = entry.state if entry else None
        if isinstance(state, UnreadableExecution):
            return state.decide(command, execution_id, now, self._links.within(workspace))
        return execution_decider.decide(
            command,
            state,
            graph,
            execution_id=execution_id,
            now=now,
            clock=clock,
            begin=begin,
            version=key[2] if key else 0,
            links=self._links.within(workspace),
            workspace=workspace,
            concurrent=None if key and is_built_in(key[1]) else self._concurrent(workspace),
            variables=variables.get((workspace, graph.variables), NO_VARIABLES)
            if variables and graph
            else NO_VARIABLES,
        )

    def fold(self, entry: Entry, events: Sequence[Any], *, stream: str) -> None:
        if entry.graph_key is None:
            entry.graph_key = self.key_of_first(entry.workspace, events)
        if entry.state is None and entry.frozen is not None:
            self.wake(entry)
        graph = self._versions.get(entry.graph_key) if entry.graph_key else None
        if graph is None or isinstance(entry.state, UnreadableExecution):
            known = entry.state if isinstance(entry.state, UnreadableExecution) else self._unreadable(entry, events)
            entry.state = known.after(events)
            return
        entry.state = execution_decider.fold(entry.state, events, graph, execution_id=stream[len(EXECUTION) :])

    def _named(self, key: GraphKey) -> GraphKey:
        """The version that a start means, which may name none."""
        return self._shared(key if key[2] != BY_REFERENCE else self._versions.meant(key))

    def _shared(self, key: GraphKey) -> GraphKey:
        """One tuple a version, however many executions run it: 10,000 parked ones must cost little."""
        if len(self._keys) > MOST_SHARED_KEYS:
            self._keys.clear()
        return self._keys.setdefault(key, key)

    def settle(self, entry: Entry, stream: str) -> None:
        state = entry.state
        entry.due = state.next_due
        entry.queued = state.status == "queued" and state.begin_at is None and wanted(state) is None
        stands_still = not state.under_way and state.status == "waiting"
        entry.parked = state.closed or state.dormant or stands_still or wanted(state) is not None
        if entry.queued_at is None:
            entry.queued_at = state.queued_at

    def failure(
        self, command: Any, entry: Entry | None, outcome: Outcome, *, stream: str, workspace: str, now: int
    ) -> Decision:
        """An accepted execution still ends: with its failure as the reason."""
        execution_id, links = stream[len(EXECUTION) :], self._links.within(workspace)
        if entry is not None and entry.state is not None:
            graph = self._versions.get(entry.graph_key) if entry.graph_key else None
            if entry.state.closed or graph is None or isinstance(entry.state, UnreadableExecution):
                return Decision([], entry.state, outcome)
            return failed_execution(entry.state, graph, outcome, execution_id=execution_id, now=now, links=links)
        if isinstance(command, StartExecution):
            key = self._named((workspace, command.workflow_id, command.workflow_version))
            return failed_start(
                command, key[2], self._versions.get(key), outcome, execution_id=execution_id, now=now, links=links
            )
        return Decision([], entry.state if entry else None, outcome)

    def gone(self, entry: Entry) -> bool:
        return bool(entry.state.forgettable)

    def fingerprint(self, entry: Entry) -> str:
        return str(entry.state.fingerprint)

    def priority(self, entry: Entry) -> str:
        return str(getattr(entry.state, "priority", "normal"))  # an unreadable execution has none

    def freeze(self, entry: Entry, stream: str) -> bytes:
        if entry.frozen is not None and entry.state is None:
            return entry.frozen
        state = entry.state
        snapshot = b"" if isinstance(state, UnreadableExecution) else execution_decider.snapshot(state)
        return _frozen_encoder.encode(
            _FrozenExecution(
                state.workflow_id,
                state.workflow_version,
                state.queued_at,
                snapshot,
                state.told,
                state.trigger_type,
                state.priority,
            )
        )

    def thaw(self, entry: Entry, frozen: bytes, stream: str) -> GraphKey | None:
        head = _frozen_decoder.decode(frozen)
        entry.frozen = frozen
        entry.queued_at = head.queued_at
        key = self._shared((entry.workspace, head.workflow_id, head.workflow_version))
        entry.graph_key, entry.workspace = key, key[0]
        return key

    def wake(self, entry: Entry) -> None:
        if entry.state is not None or entry.frozen is None:
            return
        graph = self._versions.get(entry.graph_key) if entry.graph_key else None
        frozen = _frozen_decoder.decode(entry.frozen)
        if graph is None or not frozen.state:
            entry.state = self._unreadable(entry, (), frozen)
        else:
            entry.state = execution_decider.restore(frozen.state, graph)
        entry.frozen = None

    def _unreadable(
        self, entry: Entry, events: Sequence[Any], frozen: _FrozenExecution | None = None
    ) -> UnreadableExecution:
        begun = UnreadableExecution.of(events)
        if begun is not None:
            return begun
        if isinstance(entry.state, execution_decider.Execution):
            state = entry.state
            return UnreadableExecution(
                state.workflow_id,
                state.workflow_version,
                state.queued_at,
                state.fingerprint,
                state.closed,
                state.told,
                state.trigger_type,
                state.priority,
            )
        if entry.graph_key is None:
            raise ImpossibleHistory("an execution whose first event is not that it was queued")
        workflow_id, version = entry.graph_key[1:]
        known = frozen or _FrozenExecution(workflow_id, version, entry.queued_at or 0, b"")
        return UnreadableExecution(
            workflow_id,
            version,
            known.queued_at,
            told=known.told,
            trigger_type=known.trigger_type,
            priority=known.priority,
        )

    def hibernates(self, entry: Entry) -> bool:
        return entry.parked and entry.state is not None and not entry.state.closed


_AGGREGATES: dict[str, Any] = {
    "credential-": credential_decider,
    "inbox-": inbox_decider,
    "letter-": dead_letter_decider,
    "schedule-": schedule_decider,
    "limit-": limit_decider,
    "subscription-": subscription_decider,
    "variables-": variable_decider,
    "workflow-": workflow_decider,
    "workspace-": workspace_decider,
}
"""Streams by how their names begin, and the module that decides them.

One that has `next_due(state)` (ms of owner's time, or None) lives in time: its `decide` takes `now`, and gets a
`PassTime` as soon as ticks have reached that.
"""


def _decider_of(stream: str) -> Any:
    for category, decider in _AGGREGATES.items():
        if stream.startswith(category):
            return decider
    raise ImpossibleHistory(f"no aggregate keeps streams like {stream!r}")


class AggregateLane:
    """Every aggregate but executions: small states that stay in memory."""

    name = "aggregates"
    input_topic = Topic.COMMANDS
    commit_topic = Topic.EVENTS
    ticks = True
    remembers = False

    def owns(self, stream: str) -> bool:
        return stream.startswith(tuple(_AGGREGATES))

    def graph_key(self, workspace: str, command: Any, entry: Entry | None) -> GraphKey | None:
        return None

    def key_of_command(self, command: CommandRecord) -> GraphKey | None:
        return None

    def key_of_first(self, workspace: str, events: Sequence[Any]) -> GraphKey | None:
        return None

    def variables_key(self, key: GraphKey) -> VariablesKey | None:
        return None

    def decide(
        self,
        command: Any,
        entry: Entry | None,
        *,
        stream: str,
        workspace: str,
        now: int,
        clock: int,
        begin: bool,
        variables: Values = NOTHING,
    ) -> Decision:
        decider = _decider_of(stream)
        state = entry.state if entry else None
        timed = {"now": now} if hasattr(decider, "next_due") else {}
        if isinstance(command, ExecutionPassTime):  # what an owner gives to every stream that is due
            command = PassTime(now)
        decided: Decision = decider.decide(command, state, workspace=workspace, stream_id=stream, **timed)
        return decided

    def fold(self, entry: Entry, events: Sequence[Any], *, stream: str) -> None:
        evolve = _decider_of(stream).evolve
        for event in events:
            entry.state = evolve(entry.state, event)

    def settle(self, entry: Entry, stream: str) -> None:
        next_due = getattr(_decider_of(stream), "next_due", None)
        entry.due = next_due(entry.state) if next_due is not None else None

    def failure(
        self, command: Any, entry: Entry | None, outcome: Outcome, *, stream: str, workspace: str, now: int
    ) -> Decision:
        return Decision([], entry.state if entry else None, outcome)

    def gone(self, entry: Entry) -> bool:
        return False

    def fingerprint(self, entry: Entry) -> str:
        return ""

    def priority(self, entry: Entry) -> str:
        return "normal"

    def freeze(self, entry: Entry, stream: str) -> bytes:
        frozen: bytes = _decider_of(stream).snapshot(entry.state)
        return frozen

    def thaw(self, entry: Entry, frozen: bytes, stream: str) -> GraphKey | None:
        entry.state = _decider_of(stream).restore(frozen)
        return None

    def wake(self, entry: Entry) -> None:
        return

    def hibernates(self, entry: Entry) -> bool:
        return False
