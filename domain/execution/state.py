"""The state of one execution: what can still be used, and no more.

It is changed only by `domain.execution.evolution`; a decision works on a copy. Item lists are shared, never changed.
Nodes are numbers of the graph. Times: ms, owner's time.
"""

from collections import deque
from typing import Any, Final, NamedTuple

from domain.effects import EffectClass, ItemResult
from domain.execution.events import ErrorInfo, Items, Source, Told

QUEUED: Final = "queued"
RUNNING: Final = "running"
WAITING: Final = "waiting"
COMPLETED: Final = "completed"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"
TIMEOUT: Final = "timeout"
CLOSED: Final = frozenset({COMPLETED, FAILED, CANCELLED, TIMEOUT})

RunKey = tuple[int, int]
"""(node, run)"""


class Delivery(NamedTuple):
    """Items that came along one connection, and from where."""

    source: Source
    items: Items


class Ready(NamedTuple):
    """A run in the queue. A loop's has no deliveries: what it puts out is in its hold."""

    node: int
    run: int
    deliveries: tuple[Delivery, ...]


class Waiting(NamedTuple):
    """A parked run of a wait node."""

    node: int
    run: int
    due: int | None
    delivery: Delivery


class Held(NamedTuple):
    """A run without effects that failed: it stays first of its kind in the queue and is done again at `due`.
    `retries`: how often its node's policy has decided that."""

    node: int
    run: int
    retries: int
    due: int


class EffectRun:
    """A run whose effects are under way, to be tried again, or asked about. Item numbers refer to the delivery.

    `in_flight`: items of the newest attempt without a result; `settled`: results that stand; `retry`: items that are
    tried again at `retry_due`; `retries`: how often that was decided; `asked`: items that wait for a person's verdict.
    """

    __slots__ = (
        "asked", "attempt", "delivery", "effect_class", "in_flight", "node", "node_id", "retries", "retry",
        "retry_due", "run", "settled", "start_by", "unknown_after",
    )  # fmt: skip

    def __init__(self, node: int, node_id: str, run: int, delivery: Delivery) -> None:
        self.node = node
        self.node_id = node_id
        self.run = run
        self.delivery = delivery
        self.attempt = 0
        self.effect_class: EffectClass = "unsafe"
        self.in_flight: list[int] = []
        self.start_by = 0
        self.unknown_after = 0
        self.settled: dict[int, ItemResult] = {}
        self.retry: list[int] = []
        self.retry_due = 0
        self.retries = 0
        self.asked: list[int] = []

    def copy(self) -> "EffectRun":
        copy = EffectRun.__new__(EffectRun)
        for name in EffectRun.__slots__:
            setattr(copy, name, getattr(self, name))
        copy.settled = dict(self.settled)
        return copy


class ChildEnd(NamedTuple):
    """What became of an item's child: its output, or its error."""

    output: Items
    error: ErrorInfo | None


class ChildRun:
    """A run whose children are under way. `open`: item → execution id of those that are waited for; `settled`: by item;
    `next`: the first item that was not looked at yet; `due`: the node's own time-out."""

    __slots__ = ("awaited", "delivery", "due", "next", "node", "open", "run", "settled")

    def __init__(self, node: int, run: int, delivery: Delivery) -> None:
        self.node = node
        self.run = run
        self.delivery = delivery
        self.awaited = True
        self.due: int | None = None
        self.next = 0
        self.open: dict[int, str] = {}
        self.settled: dict[int, ChildEnd] = {}

    @property
    def failed(self) -> bool:
        return any(end.error is not None for end in self.settled.values())

    def copy(self) -> "ChildRun":
        copy = ChildRun(self.node, self.run, self.delivery)
        copy.awaited = self.awaited
        copy.due = self.due
        copy.next = self.next
        copy.open = dict(self.open)
        copy.settled = dict(self.settled)
        return copy


class LoopHold:
    """What a loop holds. `current` is the entry it works off from `offset` on; `out`: a batch is out; `queued`: a run
    of its own is in the queue."""

    __slots__ = ("collected", "current", "entries", "offset", "out", "queued")

    def __init__(self) -> None:
        self.entries: list[Delivery] = []
        self.current: Delivery | None = None
        self.offset = 0
        self.collected: list[Delivery] = []
        self.out = False
        self.queued = False

    def alive(self) -> bool:
        return self.out or self.current is not None or bool(self.entries) or bool(self.collected)

    def copy(self) -> "LoopHold":
        copy = LoopHold()
        copy.entries = list(self.entries)
        copy.current = self.current
        copy.offset = self.offset
        copy.collected = list(self.collected)
        copy.out = self.out
        copy.queued = self.queued
        return copy


Foreign = dict[str, list[list[Any]]]
"""Values of expressions as the sandbox encodes them, by source and item (domain/expressions/foreign.py)."""

MergeHold = dict[str, list[Delivery]]
"""Deliveries by input, oldest first; inputs without any left out."""


class Execution:
    """One execution. `outputs`: of the newest finished run of the nodes that some expression names; `traced`: of every
    run of those whose `.item` some expression asks for; `last`: of the run that finished last. `prepared`: what the
    sandbox evaluated for runs with effects and waits that are not finished. `computing`: a hint, not part of the
    history: this run was sent to the compute pool; `computing_until`: when that must be over. `items`:
    what it starts with, until it has begun (to the end where it may be repeated). `recoveries`: how often it went on
    after a failure of the system, `setbacks`: how often since anything was finished. `variables`: what `$vars`
    shows."""

    __slots__ = (
        "begin_at", "children", "computing", "computing_until", "deadline", "effects", "fingerprint", "granted",
        "held", "id", "items", "last", "loops", "merges", "outputs", "parked_at", "prepared", "priority", "queue",
        "queued_at", "recoveries", "reply", "responded", "retry_count", "run_count", "runs", "setbacks", "started_at",
        "status", "told", "traced", "trigger_node", "trigger_type", "variables", "waits", "workflow_id",
        "workflow_version",
    )  # fmt: skip

    def __init__(self, execution_id: str) -> None:
        self.id = execution_id
        self.workflow_id = ""
        self.workflow_version = 0
        self.trigger_node = ""
        self.trigger_type = ""
        self.priority = "normal"
        self.fingerprint = ""
        self.reply: str = "none"
        self.told = Told()
        self.granted = 0
        self.queued_at = 0
        self.begin_at: int | None = None
        self.retry_count = 0
        self.recoveries = 0
        self.setbacks = 0
        self.status: str = QUEUED
        self.started_at = 0
        self.deadline: int | None = None
        self.parked_at: int | None = None
        self.items: Items | None = None
        self.queue: deque[Ready] = deque()
        self.runs: dict[int, int] = {}
        self.run_count = 0
        self.effects: dict[RunKey, EffectRun] = {}
        self.waits: dict[RunKey, Waiting] = {}
        self.children: dict[RunKey, ChildRun] = {}
        self.merges: dict[int, MergeHold] = {}
        self.loops: dict[int, LoopHold] = {}
        self.outputs: dict[int, dict[str, Items]] = {}
        self.traced: dict[RunKey, dict[str, Items]] = {}
        self.last: tuple[int, dict[str, Items]] | None = None
        self.responded = False
        self.held: Held | None = None
        self.prepared: dict[RunKey, Foreign] = {}
        self.computing: RunKey | None = None
        self.computing_until: int | None = None
        self.variables: dict[str, Any] = {}

    def copy(self) -> "Execution":
        """A copy to decide on: containers are new, what they hold is shared unless it changes in place."""
        copy: Any = Execution.__new__(Execution)
        for name in Execution.__slots__:
            setattr(copy, name, getattr(self, name))
        copy.queue = self.queue.copy()
        copy.runs = self.runs.copy()
        copy.effects = {key: run.copy() for key, run in self.effects.items()} if self.effects else {}
        copy.waits = self.waits.copy()
        copy.children = {key: run.copy() for key, run in self.children.items()} if self.children else {}
        copy.merges = {
            node: {port: list(deliveries) for port, deliveries in hold.items()} for node, hold in self.merges.items()
        }
        copy.loops = {node: hold.copy() for node, hold in self.loops.items()}
        copy.outputs = self.outputs.copy()
        copy.traced = self.traced.copy()
        copy.prepared = self.prepared.copy()
        return copy  # type: ignore[no-any-return]

    @property
    def closed(self) -> bool:
        return self.status in CLOSED

    @property
    def forgettable(self) -> bool:
        """Closed, and no attempt under way whose result would have to be recorded."""
        return self.status in CLOSED and not self.effects

    @property
    def under_way(self) -> frozenset[tuple[str, int, int]]:
        """(node id, run, attempt) of every attempt that somebody may be performing."""
        return frozenset((run.node_id, run.run, run.attempt) for run in self.effects.values() if run.in_flight)

    @property
    def idle(self) -> bool:
        """Nothing runs: what there is waits for a time or for a person. Sub-workflows run."""
        return (
            not self.queue
            and not self.children
            and not any(run.in_flight or run.retry for run in self.effects.values())
        )

    @property
    def dormant(self) -> bool:
        """Only executions of its own go on: until they end, or its time is over, it may be kept as bytes."""
        return bool(self.children) and not self.queue and not self.effects and self.next_due != 0

    @property
    def next_due(self) -> int | None:
        """When time has to be passed to it next; 0: at once."""
        if self.status == QUEUED:
            return self.begin_at
        held = self.held.due if self.held is not None and self.computing is None else None
        if self.queue and self.computing is None and held is None:
            return 0
        dues = [due for due in (held, self.computing_until) if due is not None]
        dues += [waiting.due for waiting in self.waits.values() if waiting.due is not None]
        for children in self.children.values():
            if not children.open:
                return 0  # there are more to start
            if children.due is not None:
                dues.append(children.due)
        for run in self.effects.values():
            if run.in_flight:
                dues.append(run.unknown_after)
            elif run.retry:
                dues.append(run.retry_due)
        if self.status == RUNNING and self.deadline is not None:
            dues.append(self.deadline)
        return min(dues, default=None)
