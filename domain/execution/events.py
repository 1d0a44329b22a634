"""Facts recorded for one execution. Stored names and versions are in schemas/registry.py, not here.

Times are milliseconds since 1970 of the owner's time (ticks, see design.md 6). `items` are lists of
`{"json": {…}, "binary"?: {…}}`. A *source* is where a run's input came from: (node, run, port, input of this node).
The queue of ready runs and what merges and loops hold is derived from these facts and the graph, by `evolve`.
"""

from typing import Any, Literal

import msgspec

from domain.effects import EffectClass, ItemResult

Item = dict[str, Any]
Items = list[Item]
Source = tuple[str, int, str, str]
Verdict = Literal["happened", "run_again", "fail"]
Reply = Literal["none", "result", "when_done", "with_node"]


class Event(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """All events of an execution."""


class ErrorInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a user sees of a failure."""

    code: str
    message: str
    node_id: str | None = None


class Origin(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who asked for an execution and is told how it ends, by a command to `stream` (domain/execution/endings.py).

    parent: the item of a node run of another execution; schedule, limit, delivery: `ref` is theirs.
    """

    kind: Literal["parent", "schedule", "limit", "delivery"]
    stream: str
    node: str = ""
    run: int = 0
    item: int = -1
    ref: str = ""


class Slot(msgspec.Struct, frozen=True, omit_defaults=True):
    """A place that an execution must have before it begins: under `key` of the limit `stream`, of `size` places."""

    stream: str
    key: str
    size: int
    when_full: Literal["queue", "skip"] = "queue"


class Told(msgspec.Struct, frozen=True, array_like=True):
    """What an execution that ends needs to know of its beginning, for those who are told."""

    origin: Origin | None = None
    error_workflow: str | None = None
    depth: int = 0
    retry_of: str | None = None
    first: str | None = None
    slots: list[Slot] = []


class LogLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line that a node's code logged; `item`: for which of its items."""

    level: Literal["debug", "info", "log", "warn", "error"]
    text: str
    item: int | None = None


class ExecutionQueued(Event, frozen=True):
    """`depth`: how many executions stand above it (sub-workflows, error workflows); `error_workflow`: what starts if
    it fails, as the version said when it was queued; `slots`: the places that it must have before it begins.

    `retry_of`: the execution that this one repeats, or goes on with; `retry_count`: how many repeats led here.
    `first`: the first of these, which its origin knows. `begin_at`: it begins at that time, not before. `variables`:
    those that its workflow version may ask for in `$vars`, as they were when it was queued.
    """

    workflow_id: str
    workflow_version: int
    trigger_node: str
    trigger_type: str
    items: Items
    queued_at: int
    priority: str = "normal"
    fingerprint: str = ""
    reply: Reply = "none"
    retry_of: str | None = None
    origin: Origin | None = None
    depth: int = 0
    error_workflow: str | None = None
    retry_count: int = 0
    begin_at: int | None = None
    first: str | None = None
    slots: list[Slot] = []
    variables: dict[str, Any] = {}

    @property
    def told(self) -> Told:
        return Told(self.origin, self.error_workflow, self.depth, self.retry_of, self.first, self.slots)


class SlotsAsked(Event, frozen=True):
    """It waited for its time; now it asks for its places."""


class SlotGranted(Event, frozen=True):
    """It has the next of its places."""

    stream: str
    key: str


class ExecutionStarted(Event, frozen=True):
    """`deadline`: when the time-out strikes unless the execution waits meanwhile."""

    started_at: int
    deadline: int | None = None


class NodeAttempted(Event, frozen=True):
    """An attempt of an effect node, recorded before it starts. `indexes`: the items that this attempt is for.

    It may start until `start_by`; past `unknown_after` nobody can be performing it any more.
    """

    node: str
    run: int
    attempt: int
    effect_class: EffectClass
    indexes: list[int]
    start_by: int
    unknown_after: int
    sources: list[Source] = []


class AttemptConcluded(Event, frozen=True):
    """Results of some items of an attempt while others are to be tried again, or a result that came after the end."""

    node: str
    run: int
    attempt: int
    results: list[ItemResult]
    late: bool = False


class RetryScheduled(Event, frozen=True):
    """The items of a run that failed are tried again at `due`; of a run without effects: all of it.

    `system`: the system failed, not the node; the node's own tries are not used up.
    """

    node: str
    run: int
    due: int
    indexes: list[int]
    system: bool = False


class CallAwaited(msgspec.Struct, frozen=True, omit_defaults=True):
    """What ends a wait before its time: a call, or a person's word, who is shown `title` and `message`."""

    kind: Literal["webhook", "approval"]
    title: str = ""
    message: str = ""


class NodeWaiting(Event, frozen=True):
    """A wait node is parked until `due` (None: until something else wakes it)."""

    node: str
    run: int
    due: int | None
    items: Items
    sources: list[Source] = []
    call: CallAwaited | None = None


class StartedChild(msgspec.Struct, frozen=True):
    """The execution that was started for an item of a run (for all items: item 0)."""

    item: int
    execution_id: str
    workflow_id: str


class ChildrenStarted(Event, frozen=True):
    """A run of `execute_workflow` starts executions. `awaited`: they tell how they end; `due`: the node's time-out."""

    node: str
    run: int
    children: list[StartedChild]
    awaited: bool = True
    due: int | None = None
    sources: list[Source] = []


class ChildConcluded(Event, frozen=True):
    """How the execution of an item ended, or why there is none (`child` empty, or refused)."""

    node: str
    run: int
    item: int
    child: str
    status: Literal["completed", "failed", "cancelled", "timeout", "refused"]
    output: Items = []
    error: ErrorInfo | None = None


class NodePrepared(Event, frozen=True):
    """The sandbox evaluated a run's expressions before its effects or its wait: by source the value for each item."""

    node: str
    run: int
    values: dict[str, list[list[Any]]]


class NodeCompleted(Event, frozen=True):
    """A run ended well; `outputs` per port (ports without items left out); `logs` of its code, a bounded number.

    `taken`: it ran in the execution that this one goes on with; its recorded output was taken over.
    """

    node: str
    run: int
    outputs: dict[str, Items]
    sources: list[Source] = []
    attempts: int = 0
    taken: bool = False
    logs: list[LogLine] = []


class NodeFailed(Event, frozen=True):
    """A run ended in failure and nothing catches it: the execution ends."""

    node: str
    run: int
    error: ErrorInfo
    sources: list[Source] = []
    attempts: int = 0
    logs: list[LogLine] = []


class NodeOutcomeUnknown(Event, frozen=True):
    """An unsafe attempt may or may not have happened. `asked`: a person's verdict is waited for.

    `waiting_for`: all items of the run that wait for one now.
    """

    node: str
    run: int
    attempt: int
    indexes: list[int]
    asked: bool = False
    waiting_for: list[int] = []


class VerdictGiven(Event, frozen=True):
    """A person said what became of these items; what follows from it are events of its own. `left` still wait."""

    node: str
    run: int
    verdict: Verdict
    indexes: list[int]
    left: list[int] = []


class NodeCancelled(Event, frozen=True):
    """A run that was under way, parked or queued when the execution ended."""

    node: str
    run: int


class ResponseGiven(Event, frozen=True):
    """A respond node answers the waiting caller."""

    node: str
    status: int
    headers: dict[str, str]
    body: Any = None


class ExecutionParked(Event, frozen=True):
    """Nothing runs, something waits: the time-out stands still."""

    at: int


class ExecutionResumed(Event, frozen=True):
    at: int
    deadline: int | None = None


class ExecutionRecovered(Event, frozen=True):
    """The system failed and the execution goes on: what was interrupted is done again (`reason`: why).

    `count`: how often so far; `in_a_row`: how often since anything was finished, which has a limit.
    """

    at: int
    reason: str
    count: int
    in_a_row: int


class ExecutionCompleted(Event, frozen=True):
    output: Items
    at: int


class ExecutionFailed(Event, frozen=True):
    error: ErrorInfo
    at: int


class ExecutionCancelled(Event, frozen=True):
    at: int
    reason: str = ""


class ExecutionTimedOut(Event, frozen=True):
    at: int
    error: ErrorInfo


ExecutionEvent = (
    ExecutionQueued
    | SlotsAsked
    | SlotGranted
    | ExecutionStarted
    | NodeAttempted
    | AttemptConcluded
    | RetryScheduled
    | NodeWaiting
    | ChildrenStarted
    | ChildConcluded
    | NodePrepared
    | NodeCompleted
    | NodeFailed
    | NodeOutcomeUnknown
    | VerdictGiven
    | NodeCancelled
    | ResponseGiven
    | ExecutionParked
    | ExecutionResumed
    | ExecutionRecovered
    | ExecutionCompleted
    | ExecutionFailed
    | ExecutionCancelled
    | ExecutionTimedOut
)

TERMINAL = (ExecutionCompleted, ExecutionFailed, ExecutionCancelled, ExecutionTimedOut)
