"""Random workflows that compile, and what clients want done with them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from domain.errors import InvalidDocument
from tests.simulation.deliveries import Sent
from tests.support.executions import compiled, node, workflow

_KINDS = (
    "set", "set", "if", "filter", "switch", "merge", "merge", "loop", "get", "put", "post", "post", "keyed", "wait",
    "wait", "noop", "stop", "call", "code", "code", "transform",
)  # fmt: skip
_TRANSFORMS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("sort", {"fields": [{"name": "n", "order": "desc"}]}),
    ("limit", {"count": 1}),
    ("aggregate", {"into": "all"}),
    ("remove_duplicates", {}),
    ("set", {"fields": {"made": "{{ new Map([[1, 2]]).get(1) }}"}}),
)
"""The last one's expression is for the sandbox."""
_POLICIES = ("fail", "continue", "error_output")
_OUTPUTS = {"if": ("true", "false"), "switch": ("a", "b"), "loop": ("loop", "loop", "done")}
_WAITS = (0, 0.5, 3, 4.9, 7, 12, 30)


CALLED = tuple(str(UUID(int=number, version=4)) for number in (1_001, 1_002, 1_003))
"""Workflows that others call: the first may call the second, the third is not there."""
REPORTS = str(UUID(int=1_004, version=4))
"""The error workflow."""


def workflow_id(number: int) -> str:
    return str(UUID(int=number + 1, version=4))


def random_node(source: random.Random, name: str, calls: Sequence[str]) -> dict[str, Any]:
    kind = source.choice(_KINDS)
    policy = {"on_error": source.choice(_POLICIES)}
    modulus = source.choice((2, 3))
    match kind:
        case "set":
            fields = {name: "{{ $json.n }}", "n": "{{ ($json.n || 0) + 1 }}"}
            return node(name, "set", {"fields": fields}, disabled=source.random() < 0.2, **policy)
        case "if" | "filter":
            return node(name, kind, {"condition": f"{{{{ $json.n % {modulus} }}}}"}, **policy)
        case "switch":
            rules = [{"output": "a", "condition": f"{{{{ $json.n % {modulus} === 0 }}}}"}]
            return node(name, "switch", {"rules": rules, "fallback": "b", "all_matches": source.random() < 0.5})
        case "merge":
            return node(name, "merge", {"mode": source.choice(("append", "combine_by_position"))})
        case "loop":
            return node(name, "loop", {"batch_size": source.randint(1, 2)})
        case "get" | "put" | "post" | "keyed":
            return _http(source, name, kind, policy)
        case "call" if calls:
            mode = source.choice(("all_items", "each_item"))
            called = {"workflow_id": source.choice(calls), "mode": mode, "wait": source.random() < 0.8}
            more = {"timeout_seconds": source.choice((5, 40))} if source.random() < 0.3 else {}
            return node(name, "execute_workflow", called, **policy, **more)
        case "wait":
            return node(name, "wait", {"seconds": source.choice(_WAITS)})
        case "code":
            mode = source.choice(("all_items", "each_item"))
            return node(name, "code", {"source": "return items", "mode": mode}, **policy)
        case "transform":
            kind, parameters = source.choice(_TRANSFORMS)
            return node(name, kind, parameters, **policy)
        case "stop" if source.random() < 0.3:
            return node(name, "stop_and_error", {"message": "enough"}, **policy)
        case _:
            return node(name, "noop")


def _http(source: random.Random, name: str, kind: str, policy: dict[str, Any]) -> dict[str, Any]:
    retry = {"attempts": source.randint(1, 3), "delay_seconds": source.choice((0, 1, 6, 12))}
    parameters: dict[str, Any] = {"method": "POST" if kind == "keyed" else kind.upper(), "url": f"http://world/{name}"}
    if kind == "keyed":
        parameters["headers"] = {"Idempotency-Key": "{{ $execution.id }}"}
    return node(
        name,
        "http",
        parameters,
        retry=retry,
        timeout_seconds=source.choice((1, 5, 20)),
        on_unknown_outcome=source.choice(("fail", "retry", "ask")),
        **policy,
    )


def random_document(
    source: random.Random, most_nodes: int = 9, trigger: str = "manual", calls: Sequence[str] = ()
) -> dict[str, Any]:
    """A graph that compiles; connections that would not are left out."""
    nodes = [node("start", trigger)]
    nodes += [random_node(source, f"n{number}", calls) for number in range(source.randint(1, most_nodes))]
    pairs = [(nodes[source.randrange(place)], nodes[place]) for place in range(1, len(nodes))]
    pairs += [(source.choice(nodes), source.choice(nodes[1:])) for _ in range(source.randint(0, len(nodes)))]
    timeout = source.choice((20, 100, 300, 100_000))
    links: list[str] = []
    for origin, target in pairs:
        ports = _OUTPUTS.get(origin["type"], ("main",))
        if origin.get("on_error") == "error_output":
            ports = (*ports, "error")
        port = f"input{source.randint(1, 3)}" if target["type"] == "merge" else "main"
        text = f"{origin['id']}.{source.choice(ports)} -> {target['id']}.{port}"
        try:
            compiled(workflow(nodes, *links, text))
        except InvalidDocument:
            continue
        links.append(text)
    more: dict[str, Any] = {"error_workflow": REPORTS} if source.random() < 0.3 else {}
    if source.random() < 0.3:
        more["concurrency"] = {"limit": source.randint(1, 2), "when_full": source.choice(("queue", "queue", "skip"))}
        more["concurrency"] |= {"key": "{{ $json.n }}"} if source.random() < 0.3 else {}
    if source.random() < 0.2:
        more["retries"] = {"count": source.randint(1, 2), "delay_seconds": source.choice((1, 7))}
    return workflow(nodes, *links, timeout_seconds=timeout, **more)


@dataclass(frozen=True, slots=True)
class Wish:
    """One execution that a client wants. `asks`: when (seconds) it is asked for, with which fingerprint; more than one
    only with a key."""

    execution_id: str
    workflow: int
    items: list[dict[str, Any]]
    keyed: bool
    asks: list[tuple[float, str]]
    cancel_after: float | None = None


@dataclass(frozen=True, slots=True)
class Bad:
    """Something on the log that cannot be decided: garbage, or a start whose items are not stored (`execution_id`).
    `redriven`: by an operator; else by the review."""

    at: float
    execution_id: str
    workflow: int
    redriven: bool


@dataclass(slots=True)
class Workload:
    documents: list[dict[str, Any]] = field(default_factory=list)
    called: dict[str, dict[str, Any]] = field(default_factory=dict)
    wishes: list[Wish] = field(default_factory=list)
    api_keys: list[tuple[float, int]] = field(default_factory=list)
    """When an API key with which number is added to the workspace."""
    bad: list[Bad] = field(default_factory=list)
    deliveries: list[Sent] = field(default_factory=list)

    def by_id(self) -> dict[str, dict[str, Any]]:
        """Every workflow that there is."""
        return {workflow_id(number): each for number, each in enumerate(self.documents)} | self.called


def random_workload(source: random.Random, seconds: float) -> Workload:
    """What is asked for during the first `seconds`."""
    load = Workload([random_document(source, calls=CALLED) for _ in range(source.randint(1, 3))])
    trigger = "execute_workflow_trigger"
    load.called = {
        CALLED[0]: random_document(source, 4, trigger, CALLED[1:]),
        CALLED[1]: random_document(source, 3, trigger),
        REPORTS: random_document(source, 2, "error_trigger"),
    }
    for _ in range(source.randint(2, 10)):
        keyed = source.random() < 0.6
        at = source.uniform(0.0, seconds)
        asks = [(at, "a")]
        if keyed:
            for _ in range(source.choice((0, 0, 1, 3))):
                later = at + source.choice((0.0, 0.1, 5.0, 60.0)) * source.random()
                asks.append((later, "b" if source.random() < 0.15 else "a"))
        items = [{"n": number, "x": "x" * source.choice((0, 0, 2_000))} for number in range(source.randint(0, 4))]
        cancel = source.uniform(0.0, 40.0) if source.random() < 0.2 else None
        identity = str(UUID(int=source.getrandbits(128), version=4))
        load.wishes.append(Wish(identity, source.randrange(len(load.documents)), items, keyed, asks, cancel))
    load.api_keys = [(source.uniform(0.0, seconds), source.randrange(3)) for _ in range(source.randint(0, 4))]
    for _ in range(source.choice((0, 0, 0, 1, 3))):
        execution = str(UUID(int=source.getrandbits(128), version=4)) if source.random() < 0.6 else ""
        load.bad.append(Bad(source.uniform(0.0, seconds), execution, 0, source.random() < 0.7))
    return load
