"""Limits: places are granted in turn, never more than there are, and none leaks, whatever is sent twice or late."""

from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from domain.decision import Decision
from domain.execution import decider as execution_decider
from domain.execution.commands import Begin, CancelExecution, GrantSlot, PassTime, RefuseSlot, StartExecution
from domain.execution.events import ExecutionCancelled, ExecutionCompleted, ExecutionFailed, ExecutionQueued, Slot
from domain.execution.slots import stream_of
from domain.execution.state import Execution
from domain.limit import decider as limits
from domain.limit.commands import ReleaseSlot, RequestSlot
from domain.limit.decider import Limit
from domain.limit.events import SlotAwaited, SlotGiven, SlotRefused, SlotReturned
from domain.workflow.graph import Graph
from tests.support.executions import Run, compiled, items, node, workflow

STREAM = "limit-1"


class Given:
    """A limit that is asked."""

    def __init__(self) -> None:
        self.state: Limit | None = None

    def ask(self, execution: str, key: str = "", size: int = 2, **fields: Any) -> Decision:
        return self.do(RequestSlot(execution, key, size, **fields))

    def back(self, execution: str, key: str = "") -> Decision:
        return self.do(ReleaseSlot(execution, key))

    def do(self, command: Any) -> Decision:
        decision = limits.decide(command, self.state, workspace="w", stream_id=STREAM)
        self.state = limits.restore(limits.snapshot(decision.state))
        return decision


def granted(decision: Decision) -> list[str]:
    return [each.stream.removeprefix("execution-") for each in decision.commands if isinstance(each.command, GrantSlot)]


def test_places_are_given_until_they_are_taken_then_the_most_urgent_of_the_line_goes_first() -> None:
    limit = Given()
    assert granted(limit.ask("a")) == ["a"]
    assert granted(limit.ask("b")) == ["b"]
    assert limit.ask("c").events == [SlotAwaited("c", "", 2, "normal")]
    assert limit.ask("d", priority="high").events == [SlotAwaited("d", "", 2, "high")]
    assert granted(limit.ask("other", key="k")) == ["other"]
    assert limit.back("a").events == [SlotReturned("a", ""), SlotGiven("d", "", 2)]
    assert granted(limit.back("b")) == ["c"]
    limit.back("c")
    limit.back("d")
    limit.back("other", key="k")
    assert limit.state == Limit({})


def test_asked_twice_is_granted_once_and_told_again() -> None:
    limit = Given()
    first = limit.ask("a", size=1)
    again = limit.ask("a", size=1)
    assert (again.events, granted(again), again.commands) == ([], ["a"], first.commands)
    limit.ask("b", size=1)
    assert limit.ask("b", size=1).outcome.kind == "duplicate"
    assert limit.back("nobody").outcome.kind == "duplicate"


def test_who_does_not_wait_is_refused() -> None:
    limit = Given()
    limit.ask("a", size=1)
    refused = limit.ask("b", size=1, when_full="skip")
    assert refused.events == [SlotRefused("b", "")]
    assert [each.command for each in refused.commands] == [RefuseSlot(STREAM, "")]


def test_a_wider_limit_lets_the_line_in_and_a_narrower_one_waits_until_there_is_room() -> None:
    limit = Given()
    for name in "abc":
        limit.ask(name, size=1)
    wider = limit.ask("d", size=3)
    assert granted(wider) == ["b", "c"]
    assert isinstance(wider.events[-1], SlotAwaited)
    limit.ask("e", size=1)
    assert granted(limit.back("a")) == []
    assert granted(limit.back("b")) == []
    assert granted(limit.back("c")) == ["d"]


def limited(**concurrency: Any) -> dict[str, Any]:
    document = workflow([node("start", "manual"), node("wait", "wait", {"seconds": 60})], "start -> wait")
    document["settings"] = {"concurrency": {"limit": 2, **concurrency}}
    return document


def decide(
    command: Any, state: Execution | None, graph: Graph, execution: str, concurrent: int | None = None
) -> Decision:
    return execution_decider.decide(
        command, state, graph, execution_id=execution, now=1_000, clock=1_000, workspace="w", concurrent=concurrent
    )


def start(execution: str, json: dict[str, Any]) -> StartExecution:
    return StartExecution(
        execution_id=execution, workflow_id="w", workflow_version=1, trigger_node="start", trigger_type="manual",
        items=items(json), queued_at=1,
    )  # fmt: skip


def test_an_execution_begins_when_it_has_all_its_places_and_gives_them_back_at_its_end() -> None:
    graph = compiled(limited(key="{{ $json.customer }}"))
    first = decide(start("e", {"customer": 7}), None, graph, "e", concurrent=5)
    queued = first.events[0]
    assert isinstance(queued, ExecutionQueued)
    own, whole = Slot(stream_of("w", "workflow w"), "7", 2), Slot(stream_of("w", "workspace"), "", 5)
    assert queued.slots == [own, whole]
    assert [each.stream for each in first.commands] == [own.stream]
    assert decide(Begin(), first.state, graph, "e").events == []
    stranger = decide(GrantSlot(whole.stream, ""), first.state, graph, "e")
    assert stranger.outcome.code == "not_asked"
    second = decide(GrantSlot(own.stream, "7"), first.state, graph, "e")
    assert [(each.stream, type(each.command)) for each in second.commands] == [(whole.stream, RequestSlot)]
    assert second.state.status == "queued"
    assert decide(GrantSlot(own.stream, "7"), second.state, graph, "e").outcome.kind == "duplicate"
    begun = decide(GrantSlot(whole.stream, ""), second.state, graph, "e")
    assert begun.state.status == "waiting"
    ended = decide(CancelExecution(), begun.state, graph, "e")
    assert [(each.stream, each.command) for each in ended.commands] == [
        (own.stream, ReleaseSlot("e", "7")),
        (whole.stream, ReleaseSlot("e", "")),
    ]


def test_what_is_granted_to_an_execution_that_is_not_open_goes_back() -> None:
    graph = compiled(limited())
    first = decide(start("e", {}), None, graph, "e")
    cancelled = decide(CancelExecution(), first.state, graph, "e")
    assert [each.command for each in cancelled.commands] == [ReleaseSlot("e", "")]
    for state in (cancelled.state, None):
        late = decide(GrantSlot(stream_of("w", "workflow w"), ""), state, graph, "e")
        assert late.outcome.kind == "rejected"
        assert [each.command for each in late.commands] == [ReleaseSlot("e", "")]


def test_a_full_limit_skips_what_does_not_wait() -> None:
    graph = compiled(limited(when_full="skip"))
    first = decide(start("e", {}), None, graph, "e")
    refused = decide(RefuseSlot(stream_of("w", "workflow w"), ""), first.state, graph, "e")
    (end,) = refused.events
    assert isinstance(end, ExecutionCancelled)
    assert "2 executions" in end.reason


def test_a_key_that_cannot_be_told_fails_the_execution() -> None:
    first = decide(start("e", {}), None, compiled(limited(key="{{ $json.a.b.c }}")), "e")
    assert isinstance(first.events[-1], ExecutionFailed)
    assert "settings.concurrency.key" in first.events[-1].error.message
    assert first.state.closed


@pytest.mark.parametrize(
    ("concurrency", "says"),
    [
        ({"limit": 0}, "settings.concurrency.limit"),
        ({}, "settings.concurrency.limit"),
        ({"limit": 1, "key": "{{ $('start').first() }}"}, "settings.concurrency.key"),
        ({"limit": 1, "key": "{{ ( }}"}, "settings.concurrency.key"),
        ({"limit": 1, "when_full": "drop"}, "settings.concurrency.when_full"),
        ({"limit": 1, "more": 1}, "settings.concurrency.more"),
    ],
)
def test_what_is_wrong_with_a_limit_is_named(concurrency: dict[str, Any], says: str) -> None:
    from domain.errors import InvalidDocument

    document = limited()
    document["settings"] = {"concurrency": concurrency}
    with pytest.raises(InvalidDocument) as refused:
        compiled(document)
    assert says in {problem.path for problem in refused.value.problems}


@pytest.mark.parametrize("seed", range(60))
def test_never_more_than_the_limit_and_no_place_leaks(seed: int) -> None:
    """Executions and their limits, with commands between them that are delayed, doubled and late."""
    random = Random(f"limits {seed}")
    graph = compiled(limited(key="{{ $json.k }}"))
    states: dict[str, Any] = {}
    wire: list[Any] = []
    on_the_way: dict[str, list[Any]] = {}
    closed: set[str] = set()
    names = [f"e{number}" for number in range(random.randint(3, 12))]
    waiting = list(names)
    for _ in range(5_000):
        holders = {
            name: {key: list(places.holders) for key, places in states[name].keys.items()}
            for name in states
            if name.startswith("limit-") and states[name] is not None
        }
        for by_key in holders.values():
            assert all(len(each) <= 5 for each in by_key.values())
        running = [name for name in names if name in states and states[name].status == "waiting"]
        if waiting and random.random() < 0.2:
            name = waiting.pop()
            decision = decide(start(name, {"k": random.randint(0, 1)}), None, graph, name, concurrent=3)
        elif running and random.random() < 0.2:
            name = random.choice(running)
            decision = decide(CancelExecution(), states[name], graph, name, concurrent=3)
        elif wire:
            sent = wire.pop(0) if random.random() < 0.9 else wire[0]  # the same once more, later
            name = sent.stream.removeprefix("execution-")
            if sent.stream.startswith("limit-"):
                decision = limits.decide(sent.command, states.get(name), workspace="w", stream_id=name)
            else:
                state = states.get(name)
                assert state is None or state.status != "running" or name not in closed
                decision = decide(sent.command, state, graph, name, concurrent=3)
        elif not waiting and not running:
            break
        else:
            continue
        states[name] = decision.state
        wire.extend(decision.commands)
        if random.random() < 0.05 and decision.commands:
            on_the_way.setdefault("again", []).extend(decision.commands)
        if random.random() < 0.05:
            wire.extend(on_the_way.pop("again", []))  # a zombie sends again what was sent long ago
    assert all(states[name].closed for name in names)
    while wire:
        sent = wire.pop(0)
        name = sent.stream.removeprefix("execution-")
        if name.startswith("limit-"):
            decision = limits.decide(sent.command, states.get(name), workspace="w", stream_id=name)
        else:
            decision = decide(sent.command, states.get(name), graph, name)
        states[name] = decision.state
        wire.extend(decision.commands)
    assert all(states[name] in (None, Limit({})) for name in states if name.startswith("limit-"))


def test_an_unlimited_workflow_knows_nothing_of_limits() -> None:
    run = Run(workflow([node("start", "manual"), node("end", "noop")], "start -> end")).start()
    assert isinstance(run.events[-1], ExecutionCompleted)
    assert run.commands == []


def test_a_repeat_asks_for_its_places_when_its_time_has_come() -> None:
    graph = compiled(limited())
    command = replace(start("e", {}), begin_at=5_000)
    first = decide(command, None, graph, "e")
    assert first.commands == []
    assert first.state.next_due == 5_000
    due = execution_decider.decide(
        PassTime(), first.state, graph, execution_id="e", now=5_000, clock=5_000, workspace="w"
    )
    assert [type(each.command) for each in due.commands] == [RequestSlot]
    assert due.state.next_due is None
    begun = execution_decider.decide(
        GrantSlot(stream_of("w", "workflow w"), ""), due.state, graph, execution_id="e", now=5_001, clock=5_001,
        workspace="w",
    )  # fmt: skip
    assert begun.state.status == "waiting"
