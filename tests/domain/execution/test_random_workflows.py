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
from domain.execution.commands import AttemptNotStarted, ConcludeChild, GiveVerdict, PassTime, ResumeWait
from domain.execution.decider import fold, restore, snapshot
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
from domain.execution.state import Waiting
from tests.support.executions import EXECUTION, Run, compiled, failed, items, node, ok, view, workflow

CALLED = tuple(f"00000000-0000-4000-8000-00000000000{number}" for number in (2, 3, 9))
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
        (
            "set",
            "if",
            "filter",
            "switch",
            "merge",
            "merge",
            "loop",
            "get",
            "post",
            "wait",
            "noop",
            "bad",
            "call",
            "hook",
            "ask",
        )
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
        case "call":
            mode = random.choice(("all_items", "each_item"))
            called = {"workflow_id": random.choice(CALLED), "mode": mode, "wait": random.random() < 0.8}
            more = {"timeout_seconds": 50} if random.random() < 0.2 else {}
            return node(name, "execute_workflow", called, **policy, **more)
        case "hook":
            return node(name, "wait", {"webhook": True, "limit_seconds": random.choice((1, 1000))}, **policy)
        case "ask":
            return node(name, "approval", {"title": "{{ $json.n + 1 }}?", "limit_seconds": 1000})
        case "wait":
            return node(name, "wait", {"seconds": random.choice((0, 1, 100))})
        case _:
            return node(name, "noop")


_OUTPUTS = {
    "if": ("true", "false"),
    "approval": ("approved", "rejected"),
    "switch": ("a", "b"),
    "loop": ("loop", "loop", "done"),
}


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


def from_outside(random: Random, run: Run, *, alone: bool) -> bool:
    """A child ends, or a call comes, if one is waited for."""
    state = run.state
    assert state is not None
    nodes = run.graph.nodes
    children = [
        (nodes[key[0]].id, key[1], item, child)
        for key, each in (state.children.items() if alone else ())
        for item, child in each.open.items()
    ]
    called = [waiting for waiting in state.waits.values() if nodes[waiting.node] in run.graph.called]
    if children and random.random() < 0.8:
        name, number, item, child = random.choice(children)
        status: Any = random.choice(
            ("completed", "completed", "completed", "failed", "cancelled", "timeout", "refused")
        )
        output = items({"n": random.randint(0, 5)}) if status == "completed" and random.random() < 0.8 else []
        run.do(ConcludeChild(node=name, run=number, item=item, child=child, status=status, output=output))
        return True
    if called:
        call(random, run, random.choice(called))
        return True
    return False


def call(random: Random, run: Run, waiting: Waiting) -> None:
    node_ = run.graph.nodes[waiting.node]
    if node_.type == "approval":
        approved = random.random() < 0.5
        run.do(ResumeWait(node=node_.id, run=waiting.run, kind="approval", expires=run.now + 1, approved=approved))
    else:
        given = items({"n": random.randint(0, 5)})
        run.do(
            ResumeWait(node=node_.id, run=waiting.run, kind="webhook", expires=run.now + 1, method="POST", items=given)
        )


def same_again(run: Run) -> None:
    """A checkpoint of any state is that state."""
    assert run.state is not None
    assert view(restore(snapshot(run.state), run.graph)) == view(run.state)


def step(random: Random, run: Run, *, alone: bool = True) -> None:
    """One thing happens to it. `alone`: what its children say is made up here."""
    state = run.state
    assert state is not None
    if random.random() < 0.05:
        run.restart()
        return
    if random.random() < 0.4 and from_outside(random, run, alone=alone):
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
    run.after_decision = same_again
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
    starts = [each for each in run.commands if getattr(each.command, "retry_of", None) == EXECUTION]
    unknown = isinstance(run.end, ExecutionFailed) and run.end.error.code == "outcome_unknown"
    due = isinstance(run.end, ExecutionFailed | ExecutionTimedOut) and not unknown
    assert len(starts) == (due and run.graph.document.settings.retries.attempts > 1)
