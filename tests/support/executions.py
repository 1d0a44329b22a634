"""Given-when-then for executions: drive the decider without a log.

    run = Run(document).start([{"n": 1}])
    run.conclude("call", [ok(0, {"a": 1})])
    assert run.status == "completed"

Every decision is checked: folding its events over the state before it gives the decision's state.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from domain.decision import Decision, OutgoingCommand
from domain.effects import Compute, EffectError, EffectRequest, ItemResult, PerformAttempt
from domain.execution import snapshots
from domain.execution.commands import (
    ConcludeAttempt,
    ConcludeCompute,
    ExecutionCommand,
    PassTime,
    Resume,
    StartExecution,
)
from domain.execution.compute import Result, items_in, outline
from domain.execution.decider import compute_job, compute_run, decide, fold, restore, script_call, snapshot
from domain.execution.events import (
    TERMINAL,
    ErrorInfo,
    ExecutionCompleted,
    ExecutionEvent,
    ExecutionFailed,
    ExecutionTimedOut,
    NodeCompleted,
)
from domain.execution.links import NO_LINKS
from domain.execution.scripts import foreign_values
from domain.execution.state import Execution
from domain.nodes.failures import NodeFailure
from domain.nodes.node_type import Output
from domain.workflow.document import parse_document
from domain.workflow.graph import Graph, compile_workflow
from tests.support.scripts import sandbox_of_tests

EXECUTION = "6f7cbf0e-0f6c-4d0a-9a51-3f1f5f0a0001"
NOW = 1_000_000
CLOCK = 1_767_225_600_000


def node(id_: str, type_: str, parameters: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return {"id": id_, "type": type_, "parameters": parameters or {}, **fields}


def link(text: str) -> dict[str, str]:
    """`a -> b`, `a.true -> b`, `a -> m.input2`."""
    left, right = (part.strip() for part in text.split("->"))
    source, _, output = left.partition(".")
    target, _, port = right.partition(".")
    return {"from": source, "to": target, "output": output or "main", "input": port or "main"}


def workflow(nodes: Sequence[dict[str, Any]], *links: str, **settings: Any) -> dict[str, Any]:
    return {"name": "test", "nodes": list(nodes), "connections": [link(text) for text in links], "settings": settings}


def compiled(document: dict[str, Any]) -> Graph:
    return compile_workflow(parse_document(document))


def items(*jsons: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"json": json} for json in jsons]


def ok(index: int, body: Any = None, status: int = 200, headers: dict[str, str] | None = None) -> ItemResult:
    return ItemResult(index=index, value={"status": status, "headers": headers or {}, "body": body})


def failed(index: int, code: str = "connect", *, retriable: bool = True, unknown: bool = False) -> ItemResult:
    return ItemResult(index=index, error=EffectError(code=code, message=code, retriable=retriable, unknown=unknown))


def view(state: Execution) -> Any:
    """A state as plain values without the sharing of lists: equal for states that behave alike."""
    names = msgspec.structs.fields(snapshots._Snapshot)
    known = dict(zip((field.name for field in names), msgspec.json.decode(snapshot(state)), strict=True))
    lists = known.pop("lists")

    def open_lists(value: Any) -> Any:
        if isinstance(value, list):
            if len(value) == 2 and isinstance(value[0], list) and len(value[0]) == 4 and isinstance(value[1], int):
                return [value[0], lists[value[1]]]
            return [open_lists(entry) for entry in value]
        if isinstance(value, dict):
            return {name: open_lists(entry) for name, entry in value.items()}
        return value

    def ports(numbers: dict[str, int]) -> dict[str, Any]:
        return {port: lists[number] for port, number in numbers.items()}

    items_, last = known.pop("items"), known.pop("last")
    outputs, traced = known.pop("outputs"), known.pop("traced")
    return [
        None if items_ is None else lists[items_],
        None if last is None else [last[0], ports(last[1])],
        [[index, ports(numbers)] for index, numbers in outputs],
        [[index, run, ports(numbers)] for index, run, numbers in traced],
        {name: open_lists(value) for name, value in known.items()},
    ]


def computed(result: Result) -> Output:
    """The whole output in what `compute_run` returned."""
    output, parts = outline(result)
    for port, part in parts:
        output.ports[port] += items_in(part)
    return output


class Run:
    """One execution, driven by commands; collects its events and open effect requests."""

    def __init__(self, document: dict[str, Any] | Graph, *, now: int = NOW, execution: str = EXECUTION) -> None:
        self.execution = execution
        self.links = NO_LINKS
        self.variables: dict[str, Any] = {}
        """Of the workspace, at each decision."""
        self.graph = document if isinstance(document, Graph) else compiled(document)
        self.document = None if isinstance(document, Graph) else msgspec.json.encode(document)
        self.state: Execution | None = None
        self.events: list[ExecutionEvent] = []
        self.last: Decision | None = None
        self.open: list[EffectRequest] = []
        self.commands: list[OutgoingCommand] = []
        self.now = now
        self.after_decision: Callable[[Run], None] | None = None

    # when

    def start(self, jsons: Sequence[dict[str, Any]] = ({},), trigger: str = "start", **fields: Any) -> "Run":
        begin = fields.pop("begin", True)
        files = fields.pop("files", None)
        beside = {"binary": files} if files else {}
        return self.do(
            StartExecution(
                execution_id=self.execution,
                workflow_id=fields.pop("workflow_id", "w"),
                workflow_version=1,
                trigger_node=trigger,
                trigger_type=fields.pop("trigger_type", "manual"),
                items=[item | beside for item in items(*jsons)],
                queued_at=self.now,
                **fields,
            ),
            begin=begin,
        )

    def do(self, command: ExecutionCommand, *, begin: bool = True) -> "Run":
        before = self.state
        seen = None if before is None else view(before)
        decision = decide(
            command,
            before,
            self.graph,
            execution_id=self.execution,
            now=self.now,
            clock=CLOCK,
            begin=begin,
            version=1,
            links=self.links,
            variables=self.variables,
        )
        assert before is None or view(before) == seen, "a decision changed the state that it was given"
        if decision.events:
            again = fold(before, decision.events, self.graph, execution_id=self.execution)
            assert view(again) == view(decision.state), "folding the events gives another state"
        self.last = decision
        self.state = decision.state
        self.events += decision.events
        self.open += decision.effects
        self.commands += decision.commands
        if self.after_decision is not None:
            self.after_decision(self)
        return self

    def pass_time(self, milliseconds: int = 0) -> "Run":
        self.now += milliseconds
        return self.do(PassTime())

    def attempt(self, node_id: str) -> PerformAttempt:
        """The newest attempt asked for at a node."""
        return next(e for e in reversed(self.open) if isinstance(e, PerformAttempt) and e.node == node_id)

    def conclude(self, node_id: str, results: Sequence[ItemResult]) -> "Run":
        attempt = self.attempt(node_id)
        self.open.remove(attempt)
        return self.do(ConcludeAttempt(node=node_id, run=attempt.run, attempt=attempt.attempt, results=list(results)))

    def compute(self) -> "Run":
        """Do what the compute pool was asked for."""
        request = next(effect for effect in self.open if isinstance(effect, Compute))
        self.open.remove(request)
        assert self.state is not None
        assert self.document is not None
        called = script_call(self.state, request.node, request.run, self.graph, clock=CLOCK, links=self.links)
        foreign = None
        if called is not None:
            answer = sandbox_of_tests().run(called)
            node_ = self.graph.by_id[request.node]
            if node_.script is not None or node_.kind != "pure":
                return self.do(ConcludeCompute(node=request.node, run=request.run, result=None, answer=answer))
            try:
                foreign = foreign_values(node_, answer)
            except NodeFailure as error:
                why = ErrorInfo(code=error.code, message=error.message)
                return self.do(ConcludeCompute(node=request.node, run=request.run, result=None, error=why))
        job = compute_job(self.state, request.node, request.run, self.graph, links=self.links, foreign=foreign)
        assert job is not None, "nothing to compute"
        result = computed(compute_run(self.document, job))
        return self.do(ConcludeCompute(node=request.node, run=request.run, result=result))

    def restart(self) -> "Run":
        """A new owner: the state from a snapshot, what was asked for is forgotten."""
        assert self.state is not None
        self.state = restore(snapshot(self.state), self.graph)
        self.open = []
        return self.do(Resume())

    def settle(self, limit: int = 1_000) -> "Run":
        """Pass time as its due times ask and compute what it asks for, until only attempts are open or it ended."""
        for _ in range(limit):
            assert self.state is not None
            if self.state.closed or any(isinstance(effect, PerformAttempt) for effect in self.open):
                return self
            if any(isinstance(effect, Compute) for effect in self.open):
                self.compute()
                continue
            due = self.state.next_due
            assert due is not None, "it hangs"
            self.now = max(self.now, due)
            self.do(PassTime())
        raise AssertionError("it does not come to an end")

    # then

    @property
    def status(self) -> str:
        assert self.state is not None
        return self.state.status

    @property
    def end(self) -> ExecutionEvent:
        ends = [event for event in self.events if isinstance(event, TERMINAL)]
        assert len(ends) == 1, "an execution ends exactly once"
        return ends[0]

    @property
    def output(self) -> Any:
        assert isinstance(self.end, ExecutionCompleted)
        return self.end.output

    @property
    def error(self) -> Any:
        assert isinstance(self.end, ExecutionFailed | ExecutionTimedOut)
        return self.end.error

    @property
    def nodes(self) -> dict[str, list[dict[str, Any]]]:
        """For each node that ran its runs in order, as in the golden vectors."""
        runs: dict[str, dict[int, dict[str, Any]]] = {}
        for event in self.events:
            if isinstance(event, NodeCompleted):
                runs.setdefault(event.node, {})[event.run] = event.outputs
        return {name: [outputs[run] for run in sorted(outputs)] for name, outputs in runs.items()}

    def of(self, kind: type) -> list[Any]:
        """The events of a type."""
        return [event for event in self.events if isinstance(event, kind)]
