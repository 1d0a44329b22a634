"""Random graphs with random results: every execution ends exactly once, whoever drives it and whatever is lost."""

from collections import Counter
from random import Random
from typing import Any, Literal
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.effects import Compute, ItemResult, PerformAttempt
from domain.errors import InvalidDocument
from domain.execution import course
from domain.execution.attempts import UNKNOWN_TRIES
from domain.execution.commands import AttemptNotStarted, GiveVerdict, PassTime
from domain.execution.decider import fold
from domain.execution.events import (
    TERMINAL,
    ExecutionCompleted,
    ExecutionFailed,
    ExecutionRecovered,
    ExecutionTimedOut,
    NodeAttempted,
    RetryScheduled,
    VerdictGiven,
)
from domain.execution.retrying import SYSTEM_RETRIES
from tests.support.executions import EXECUTION, Run, compiled, failed, node, ok, workflow

_POLICIES = ("fail", "continue", "error_output")


def random_retry(random: Random) -> dict[str, Any]:
    return {
        "attempts": random.randint(1, 4),
        "delay_seconds": random.choice((0, 1, 60)),
        "backoff": random.choice(("fixed", "exponential")),
        "max_delay_seconds": random.choice((3, 86_400)),
        "jitter": random.choice((0, 0.5, 1)),
        "on": random.choice(("retriable", "all", ["timeout", "500-599"], ["connect", "retriable"])),
    }


def random_node(random: Random, name: str) -> dict[str, Any]:
    kind = random.choice(
        ("set", "if", "filter", "switch", "merge", "merge", "loop", "get", "post", "wait", "noop", "bad")
    )
    policy = {"on_error": random.choice(_POLICIES)}
    modulus = random.choice((2, 3))
    match kind:
        case "set":
            fields = {name: "{{ $json.n }}", "n": "{{ $json.n + 1 }}"}
            return node(name, "set", {"fields": fields}, disabled=random.random() < 0.2, **policy)
        case "bad":
            fields = {"x": f"{{{{ $json.n % {modulus} ? $json.a.b : 1 }}}}"}
            return node(name, "set", {"fields": fields}, retry=random_retry(random), **policy)
        case "if" | "filter":
            return node(name, kind, {"condition": f"{{{{ $json.n % {modulus} }}}}"}, **policy)
        case "switch":
            rules = [{"output": "a", "condition": f"{{{{ $json.n % {modulus} === 0 }}}}"}]
            return node(name, "switch", {"rules": rules, "fallback": "b", "all_matches": random.random() < 0.5})
        case "merge":
            return node(name, "merge", {"mode": random.choice(("append", "combine_by_position"))})
        case "loop":
            return node(name, "loop", {"batch_size": random.randint(1, 2)})
        case "get" | "post":
            unknown = random.choice(("fail", "retry", "ask"))
            parameters = {"method": kind.upper(), "url": "http://x/{{ $json.n }}"}
            return node(name, "http", parameters, retry=random_retry(random), on_unknown_outcome=unknown, **policy)
        case "wait":
            return node(name, "wait", {"seconds": random.choice((0, 1, 100))})
        case _:
            return node(name, "noop")


_OUTPUTS = {"if": ("true", "false"), "switch": ("a", "b"), "loop": ("loop", "loop", "done")}


def random_workflow(random: Random) -> dict[str, Any]:
    """A graph that compiles; connections that would not are left out."""
    nodes = [node("start", "manual")]
    nodes += [random_node(random, f"n{number}") for number in range(random.randint(1, 9))]
    pairs = [(nodes[random.randrange(place)], nodes[place]) for place in range(1, len(nodes))]
    pairs += [(random.choice(nodes), random.choice(nodes[1:])) for _ in range(random.randint(0, len(nodes) + 2))]
    links: list[str] = []
    for source, target in pairs:
        ports = _OUTPUTS.get(source["type"], ("main",))
        if source.get("on_error") == "error_output":
            ports = (*ports, "error")
        port = f"input{random.randint(1, 3)}" if target["type"] == "merge" else "main"
        text = f"{source['id']}.{random.choice(ports)} -> {target['id']}.{port}"
        try:
            compiled(workflow(nodes, *links, text))
        except InvalidDocument:
            continue
        links.append(text)
    return workflow(nodes, *links, timeout_seconds=100_000, retries=random.choice((0, 2)))


def random_result(random: Random, index: int) -> ItemResult:
    match random.randrange(8):
        case 0:
            return ok(index, status=503)
        case 1:
            return failed(index)
        case 2:
            return failed(index, unknown=True)
        case 3:
            return ok(index, [1])
        case 4:
            return failed(index, "internal_error", retriable=False, unknown=True)
        case _:
            return ok(index, {"n": random.randint(0, 5)})


def answer(random: Random, run: Run, attempt: PerformAttempt) -> None:
    """One attempt: answered, not started, or lost."""
    chance = random.random()
    if chance < 0.1:
        run.open.remove(attempt)
        run.do(AttemptNotStarted(node=attempt.node, run=attempt.run, attempt=attempt.attempt))
    elif chance < 0.2:
        run.open.remove(attempt)  # its result never comes
    else:
        run.conclude(attempt.node, [random_result(random, index) for index in attempt.indexes])


def step(random: Random, run: Run) -> None:
    state = run.state
    assert state is not None
    if random.random() < 0.05:
        run.restart()
        return
    attempts = [effect for effect in run.open if isinstance(effect, PerformAttempt)]
    newest = {(effect.node, effect.run): effect for effect in attempts}
    current = [effect for effect in newest.values() if (effect.node, effect.run, effect.attempt) in state.under_way]
    run.open = [effect for effect in run.open if not isinstance(effect, PerformAttempt) or effect in current]
    if any(isinstance(effect, Compute) for effect in run.open):
        run.compute()
    elif current and random.random() < 0.8:
        chosen = random.choice(current)
        run.open.remove(chosen)
        run.open.append(chosen)
        answer(random, run, chosen)
    elif state.next_due is not None:
        run.now = max(run.now, state.next_due)
        run.do(PassTime())
    else:
        asked = next(effect for effect in state.effects.values() if effect.asked)
        verdict: Literal["happened", "run_again", "fail"] = random.choice(("happened", "run_again", "fail"))
        run.do(GiveVerdict(node=asked.node_id, run=asked.run, verdict=verdict, result={"n": 1}))


def drive(seed: int) -> Run:
    """A random workflow with random results, until it ends. Loops that feed themselves end at the limit of runs."""
    random = Random(seed)
    run = Run(random_workflow(random))
    run.start([{"n": number} for number in range(random.randint(0, 4))])
    for _ in range(5_000):
        assert run.state is not None
        if run.state.closed:
            return run
        step(random, run)
    raise AssertionError(f"seed {seed}: it does not end")


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(min_value=0, max_value=2**32))
def test_every_execution_ends_exactly_once(seed: int) -> None:
    with patch.object(course, "MAX_RUNS", 100):
        run = drive(seed)
    assert sum(isinstance(event, TERMINAL) for event in run.events) == 1
    if isinstance(run.end, ExecutionCompleted):
        before = fold(None, run.events[: run.events.index(run.end)], run.graph, execution_id=EXECUTION)
        assert (before.merges, before.loops) == ({}, {}), "something is still held"
    check_retries(run)
    check_repeat(run)
    run.pass_time(10_000_000)
    assert run.state is not None
    assert run.state.forgettable
    assert run.state.next_due is None


def check_retries(run: Run) -> None:
    """No run is tried again oftener than its policy and the system's three tries in a row allow; attempts count up."""
    own: Counter[tuple[str, int]] = Counter()
    attempts: Counter[tuple[str, int]] = Counter()
    told = {(event.node, event.run) for event in run.of(VerdictGiven)}
    for event in run.of(RetryScheduled):
        own[event.node, event.run] += not event.system
    for event in run.of(NodeAttempted):
        attempts[event.node, event.run] += 1
        assert event.attempt == attempts[event.node, event.run]
    for (name, number), count in own.items():
        document = run.graph.by_id[name].document
        allowed = document.retry.attempts - 1
        if document.on_unknown_outcome == "retry":
            allowed = max(allowed, UNKNOWN_TRIES - 1)
        assert count <= allowed or (name, number) in told, f"{name}/{number} was tried again {count} times"
    recovered = run.of(ExecutionRecovered)
    assert [event.count for event in recovered] == list(range(1, len(recovered) + 1))
    assert all(1 <= event.in_a_row <= SYSTEM_RETRIES for event in recovered)


def check_repeat(run: Run) -> None:
    """The commit that ends it starts a repetition exactly where one is due."""
    starts = [command for command in run.commands if command.command.retry_of == EXECUTION]
    unknown = isinstance(run.end, ExecutionFailed) and run.end.error.code == "outcome_unknown"
    due = isinstance(run.end, ExecutionFailed | ExecutionTimedOut) and not unknown
    assert len(starts) == (due and run.graph.document.settings.retries.attempts > 1)
