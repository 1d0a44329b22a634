"""CPU of the domain: one W1 execution (webhook, five steps) decided, folded and encoded.

    python -m benchmarks.domain [--profile]

Budget: 150 µs for deciding and encoding the events.
"""

import argparse
import cProfile
import gc
import pstats
import statistics
from time import perf_counter
from typing import Any

import msgspec

from domain.effects import ItemResult
from domain.execution.commands import ConcludeAttempt, StartExecution
from domain.execution.decider import decide, fold, restore, snapshot
from domain.workflow.document import parse_document
from domain.workflow.graph import compile_workflow

EXECUTION = "6f7cbf0e-0f6c-4d0a-9a51-3f1f5f0a0001"

W1: dict[str, Any] = {
    "name": "W1",
    "nodes": [
        {"id": "hook", "type": "webhook"},
        {
            "id": "double",
            "type": "set",
            "parameters": {
                "keep": False,
                "fields": {"double": "{{ $json.body.n * 2 }}", "who": "{{ $json.body.name }}"},
            },
        },
        {"id": "large", "type": "if", "parameters": {"condition": "{{ $json.double > 100 }}"}},
        {"id": "big", "type": "set", "parameters": {"fields": {"size": "large"}}},
        {"id": "small", "type": "set", "parameters": {"fields": {"size": "small"}}},
        {"id": "text", "type": "set", "parameters": {"fields": {"text": "Hello {{ $json.who }}, {{ $json.size }}"}}},
        {"id": "total", "type": "set", "parameters": {"fields": {"total": "{{ $json.double + 1 }}", "done": True}}},
    ],
    "connections": [
        {"from": "hook", "to": "double"},
        {"from": "double", "to": "large"},
        {"from": "large", "output": "true", "to": "big"},
        {"from": "large", "output": "false", "to": "small"},
        {"from": "big", "to": "text"},
        {"from": "small", "to": "text"},
        {"from": "text", "to": "total"},
    ],
}
ITEM = {
    "json": {
        "body": {"n": 21, "name": "user21"},
        "query": {},
        "headers": {"content-type": "application/json", "user-agent": "load"},
        "method": "POST",
        "params": {},
    }
}


def start() -> StartExecution:
    return StartExecution(
        execution_id=EXECUTION,
        workflow_id="w",
        workflow_version=1,
        trigger_node="hook",
        trigger_type="webhook",
        items=[ITEM],
        queued_at=0,
    )


def measure(what: str, work: Any, seconds: float = 1.0, batch: int = 200) -> None:
    """The median of batches, in µs per call."""
    times = []
    end = perf_counter() + seconds
    gc.collect()
    gc.freeze()
    while perf_counter() < end:
        began = perf_counter()
        for _ in range(batch):
            work()
        times.append((perf_counter() - began) / batch * 1e6)
    print(f"{what:40} {statistics.median(times):8.1f} µs   best {min(times):8.1f} µs")


def measure_attempt() -> None:
    """The second commit of a workflow with one request: the attempt's result and everything after it."""
    call = {"id": "call", "type": "http", "parameters": {"url": "http://localhost/{{ $json.body.n }}"}}
    document = {
        "name": "W3",
        "nodes": [{"id": "hook", "type": "webhook"}, call, W1["nodes"][3]],
        "connections": [{"from": "hook", "to": "call"}, {"from": "call", "to": "big"}],
    }
    graph = compile_workflow(parse_document(document))
    state = decide(start(), None, graph, execution_id=EXECUTION, now=0, clock=0).state
    response = {"status": 200, "headers": {"content-type": "application/json"}, "body": {"delayed": 50}}
    answer = ConcludeAttempt(node="call", run=0, attempt=1, results=[ItemResult(index=0, value=response)])
    begun = start()
    measure(
        "decide a start up to its request", lambda: decide(begun, None, graph, execution_id=EXECUTION, now=0, clock=0)
    )
    measure("decide its result", lambda: decide(answer, state, graph, execution_id=EXECUTION, now=0, clock=0))
    measure("snapshot", lambda: snapshot(state))
    data = snapshot(state)
    measure("restore", lambda: restore(data, graph))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--profile", action="store_true", help="where the time goes")
    arguments = parser.parse_args()
    graph = compile_workflow(parse_document(W1))
    encode = msgspec.json.Encoder().encode
    command = start()

    def decided() -> Any:
        return decide(command, None, graph, execution_id=EXECUTION, now=0, clock=0)

    def decided_and_encoded() -> None:
        for event in decided().events:
            encode(event)

    decision = decided()
    assert decision.state.status == "completed", decision.state.status
    assert decision.events[-1].output[0]["json"]["total"] == 43
    measure("decide W1", decided)
    measure("decide W1 and encode its events", decided_and_encoded)
    measure("fold the events of W1", lambda: fold(None, decision.events, graph, execution_id=EXECUTION))
    measure("compile W1", lambda: compile_workflow(parse_document(W1)), batch=10)
    measure_attempt()
    if arguments.profile:
        with cProfile.Profile() as profile:
            for _ in range(5_000):
                decided_and_encoded()
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    main()
