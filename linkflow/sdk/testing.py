"""Trying out a node without a network: by the engine itself, in a workflow of its own.

request = effect_of(NODE, {"operation": "get", "id": "{{ $json.id }}"}, {"id": 7})
assert request.url == "https://shop.example/orders/7"
assert put_out(NODE, {…}, {"id": 7}, http_answer({"total": 5})) == [{"total": 5}]
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from domain.effects import EffectRequest, ItemResult, PerformAttempt
from domain.execution.commands import ConcludeAttempt, StartExecution
from domain.execution.decider import decide
from domain.execution.events import ExecutionCompleted, ExecutionFailed, NodeCompleted
from domain.execution.state import Execution
from domain.integrations.compiling import compile_integration
from domain.integrations.shape import Integration
from domain.nodes.node_type import NodeType
from domain.nodes.registry import NODE_TYPES
from domain.workflow.document import parse_document
from domain.workflow.graph import Graph, compile_workflow

_EXECUTION: Final = "00000000-0000-4000-8000-000000000000"
_NOW: Final = 1_767_225_600_000
Json = dict[str, Any]
Node = NodeType | Integration


class NodeFailed(Exception):
    """The node failed. `code`: what a workflow sees as `error.code`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


def http_answer(body: Any = None, status: int = 200, headers: Mapping[str, str] | None = None) -> Json:
    """What an HTTP request comes back with; names of headers in lower case."""
    return {"status": status, "headers": dict(headers or {}), "body": body}


def effect_of(node: Node, parameters: Mapping[str, Any], item: Json | None = None) -> Any:
    """The effect that the node asks for, for one item. Raises NodeFailed, InvalidDocument (wrong parameters)."""
    trial = _Trial(node, parameters, [item or {}])
    trial.must_not_have_failed()
    return trial.attempt.effects[0]


def put_out(node: Node, parameters: Mapping[str, Any], item: Json | None, answer: Any) -> list[Json]:
    """The jsons of the items put out, when the effect came back with `answer`. Raises NodeFailed."""
    trial = _Trial(node, parameters, [item or {}])
    trial.must_not_have_failed()
    trial.conclude(answer)
    return trial.outputs().get("main", [])


def run_node(node: Node, parameters: Mapping[str, Any], items: Sequence[Json]) -> dict[str, list[Json]]:
    """The jsons that a node without effects puts out, by port. Raises NodeFailed."""
    return _Trial(node, parameters, items).outputs()


def run_examples(node: Node) -> int:
    """Run every example in the node's definition; returns how many. Raises AssertionError with what differs."""
    node_type = _type_of(node)
    for example in node_type.examples:
        assert not isinstance(example.items, Mapping), "an example of several inputs needs a workflow"
        trial = _Trial(node_type, example.parameters, [dict(item) for item in example.items])
        trial.must_not_have_failed()
        if example.answer is not None:
            trial.conclude(example.answer)
        found = trial.outputs()
        wanted = {port: [dict(item) for item in items] for port, items in example.outputs.items()}
        assert found == wanted, f"{example.says} put out {found}, not {wanted}"
    return len(node_type.examples)


class _Trial:
    """An execution of a start and the node, as far as it goes by itself."""

    def __init__(self, node: Node, parameters: Mapping[str, Any], items: Sequence[Json]) -> None:
        node_type = _type_of(node)
        with _known(node_type):
            self._graph = _graph(node_type, parameters)
        self._events: list[Any] = []
        self._effects: list[EffectRequest] = []
        self._state: Execution | None = None
        self._decide(
            StartExecution(
                execution_id=_EXECUTION,
                workflow_id="trial",
                workflow_version=1,
                trigger_node="start",
                trigger_type="manual",
                items=[{"json": dict(item)} for item in items],
                queued_at=_NOW,
            )
        )

    @property
    def attempt(self) -> PerformAttempt:
        for effect in self._effects:
            if isinstance(effect, PerformAttempt):
                return effect
        raise AssertionError("the node asks for no effect")

    def conclude(self, answer: Any) -> None:
        attempt = self.attempt
        results = [ItemResult(index=index, value=answer) for index in attempt.indexes]
        self._decide(ConcludeAttempt(node=attempt.node, run=attempt.run, attempt=attempt.attempt, results=results))

    def must_not_have_failed(self) -> None:
        for event in self._events:
            if isinstance(event, ExecutionFailed):
                raise NodeFailed(event.error.code, event.error.message)

    def outputs(self) -> dict[str, list[Json]]:
        self.must_not_have_failed()
        if not any(isinstance(event, ExecutionCompleted) for event in self._events):
            raise AssertionError("the node waits for something: give an answer to its effect")
        completed = [event for event in self._events if isinstance(event, NodeCompleted) and event.node == "node"]
        return {port: [item["json"] for item in items] for port, items in completed[-1].outputs.items()}

    def _decide(self, command: Any) -> None:
        decision = decide(command, self._state, self._graph, execution_id=_EXECUTION, now=_NOW, clock=_NOW, begin=True)
        self._state = decision.state
        self._events += decision.events
        self._effects = list(decision.effects)


def _type_of(node: Node) -> NodeType:
    return compile_integration(node) if isinstance(node, Integration) else node


def _graph(node_type: NodeType, parameters: Mapping[str, Any]) -> Graph:
    node: Json = {"id": "node", "type": node_type.type, "parameters": dict(parameters)}
    if node_type.credential_required:
        node["credentials"] = "credential"
    document = {
        "name": "trial",
        "nodes": [{"id": "start", "type": "manual"}, node],
        "connections": [{"from": "start", "to": "node"}],
    }
    return compile_workflow(parse_document(document))


@contextmanager
def _known(node_type: NodeType) -> Iterator[None]:
    """The engine knows the type meanwhile, whether it is installed or not."""
    before = NODE_TYPES.get(node_type.type)
    NODE_TYPES[node_type.type] = node_type
    try:
        yield
    finally:
        if before is None:
            del NODE_TYPES[node_type.type]
        else:
            NODE_TYPES[node_type.type] = before
