"""Sub-workflows: results and errors come up, cancellations go down, nobody runs twice."""

from typing import Any

import pytest

from domain.errors import InvalidDocument
from domain.execution import children
from domain.execution.commands import CancelExecution
from domain.execution.decider import restore, snapshot
from domain.execution.events import TERMINAL, ChildConcluded, ChildrenStarted, ExecutionFailed, NodeCompleted
from tests.support.executions import Run, compiled, items, node, view, workflow
from tests.support.family import CHILD, OTHER, PARENT, Family

DOUBLE = workflow(
    [node("called", "execute_workflow_trigger"), node("twice", "set", {"fields": {"n": "{{ $json.n * 2 }}"}})],
    "called -> twice",
)
WAITS = workflow([node("called", "execute_workflow_trigger"), node("w", "wait", {"seconds": 1000})], "called -> w")
FAILS = workflow(
    [node("called", "execute_workflow_trigger"), node("no", "stop_and_error", {"message": "broken"})], "called -> no"
)


def calling(parameters: dict[str, Any] | None = None, workflow_id: str = CHILD, **fields: Any) -> dict[str, Any]:
    call = node("call", "execute_workflow", {"workflow_id": workflow_id, **(parameters or {})}, **fields)
    links = ["start -> call", "call -> after"]
    if fields.get("on_error") == "error_output":
        links.append("call.error -> wrong")
    return workflow([node("start", "manual"), call, node("after", "noop"), node("wrong", "noop")], *links)


def family(child: dict[str, Any], parameters: dict[str, Any] | None = None, **fields: Any) -> Family:
    return Family({PARENT: calling(parameters, **fields), CHILD: child})


def test_all_items_go_down_and_come_back() -> None:
    all_ = family(DOUBLE).start(PARENT, [{"n": 1}, {"n": 2}])
    assert all_.first.status == "running"
    all_.settle()
    assert all_.first.output == items({"n": 2}, {"n": 4})
    (child,) = all_.others
    assert child.state is not None
    assert (child.state.trigger_type, child.state.told.depth) == ("sub_workflow", 1)


def test_each_item_is_an_execution_and_they_come_back_in_order() -> None:
    all_ = family(DOUBLE, {"mode": "each_item"}).start(PARENT, [{"n": n} for n in range(120)])
    assert len(all_.waiting) == children.AT_ONCE
    all_.waiting.reverse()
    all_.settle()
    assert all_.first.output == items(*({"n": 2 * n} for n in range(120)))
    assert len(all_.others) == 120


def test_the_input_may_be_something_else() -> None:
    for given, output in (("{{ {n: $json.n + 1} }}", [{"n": 4}]), ([{"n": 5}, {"n": 6}], [{"n": 10}, {"n": 12}])):
        assert family(DOUBLE, {"input": given}).start(PARENT, [{"n": 1}]).settle().first.output == items(*output)
    run = family(DOUBLE, {"input": "{{ 3 }}"}).start(PARENT).settle().first
    assert (run.error.code, run.error.node_id) == ("bad_parameter", "call")


def test_nobody_waits_when_told_so() -> None:
    all_ = family(WAITS, {"wait": False, "mode": "each_item"}).start(PARENT, [{"n": n} for n in range(250)]).settle()
    assert all_.first.status == "completed"
    made = [item["json"]["execution_id"] for item in all_.first.output]
    assert len(set(made)) == 250
    assert set(made) == {run.execution for run in all_.others}
    assert all(run.state is not None and run.state.told.origin is None for run in all_.others)


def test_the_workflow_may_be_an_expression() -> None:
    document = calling({"mode": "each_item"}, workflow_id="{{ $json.id }}", on_error="continue")
    all_ = Family({PARENT: document, CHILD: DOUBLE, OTHER: FAILS})
    all_.start(PARENT, [{"id": CHILD, "n": 1}, {"id": OTHER}, {"id": "x"}, {"id": PARENT[:-1] + "9"}]).settle()
    output = [item["json"] for item in all_.first.output]
    assert output[0]["n"] == 2
    assert [each["error"]["code"] for each in output[1:]] == ["stop_and_error", "bad_parameter", "workflow_not_found"]


def test_a_childs_error_is_the_nodes() -> None:
    all_ = family(FAILS).start(PARENT).settle()
    (child,) = all_.others
    assert all_.first.status == "failed"
    error = all_.first.error
    assert (error.code, error.node_id) == ("stop_and_error", "call")
    assert "broken" in error.message
    assert child.execution in error.message
    assert "'no'" in error.message


@pytest.mark.parametrize("policy", ["continue", "error_output"])
def test_on_error_works(policy: str) -> None:
    all_ = family(FAILS, on_error=policy).start(PARENT, [{"n": 1}, {"n": 2}]).settle()
    assert all_.first.status == "completed"
    found = all_.first.nodes["after" if policy == "continue" else "wrong"][0]["main"]
    assert [item["json"]["error"]["code"] for item in found] == ["stop_and_error"] * 2


@pytest.mark.parametrize(
    ("child", "code"), [(None, "workflow_not_found"), (workflow([node("start", "manual")]), "no_trigger")]
)
def test_a_refused_start_fails_the_node(child: dict[str, Any] | None, code: str) -> None:
    all_ = Family({PARENT: calling()} | ({CHILD: child} if child else {})).start(PARENT).settle()
    assert all_.first.error.code == code
    assert all_.others == []


def test_cancelling_goes_down() -> None:
    grandchild = Family({PARENT: calling(), CHILD: _middle(OTHER), OTHER: WAITS}).start(PARENT).deliver_all()
    assert [run.status for run in grandchild.runs.values()] == ["running", "running", "waiting"]
    grandchild.at(grandchild.first, CancelExecution()).deliver_all()
    assert [run.status for run in grandchild.runs.values()] == ["cancelled"] * 3


def _middle(below: str) -> dict[str, Any]:
    return workflow(
        [node("called", "execute_workflow_trigger"), node("call", "execute_workflow", {"workflow_id": below})],
        "called -> call",
    )


def test_cancelling_comes_up() -> None:
    all_ = family(WAITS).start(PARENT).deliver_all()
    all_.at(all_.others[0], CancelExecution(reason="enough")).deliver_all()
    assert all_.first.error.code == "sub_workflow_cancelled"
    assert "enough" in all_.first.error.message


def test_the_time_out_of_the_parent_counts_and_goes_down() -> None:
    all_ = family(WAITS).start(PARENT).deliver_all()
    all_.pass_time(300_000).deliver_all()
    assert (all_.first.status, all_.others[0].status) == ("timeout", "cancelled")


def test_the_time_out_of_the_node_is_its_failure() -> None:
    all_ = family(WAITS, on_error="continue", timeout_seconds=5).start(PARENT).deliver_all()
    all_.settle()
    assert all_.first.status == "completed"
    assert all_.first.output[0]["json"]["error"]["code"] == "timeout"
    assert all_.others[0].status == "cancelled"


def test_one_failed_item_ends_the_run_and_cancels_its_siblings() -> None:
    document = workflow(
        [
            node("called", "execute_workflow_trigger"),
            node("which", "if", {"condition": "{{ $json.bad }}"}),
            node("no", "stop_and_error", {"message": "x"}),
            node("w", "wait", {"seconds": 1000}),
        ],
        "called -> which",
        "which.true -> no",
        "which.false -> w",
    )
    all_ = family(document, {"mode": "each_item"}).start(PARENT, [{}, {"bad": True}, {}]).deliver_all()
    assert all_.first.status == "failed"
    assert sorted(run.status for run in all_.others) == ["cancelled", "cancelled", "failed"]


def test_what_calls_itself_for_ever_ends() -> None:
    document = _middle(CHILD)
    all_ = Family({PARENT: calling(), CHILD: document}).start(PARENT).deliver_all()
    assert len(all_.runs) == children.MAX_DEPTH + 1
    assert {run.status for run in all_.runs.values()} == {"failed"}
    assert all_.first.error.code == "too_deep"


def test_trace_10_commands_that_are_sent_again_change_nothing() -> None:
    all_ = family(DOUBLE, {"mode": "each_item"}).start(PARENT, [{"n": n} for n in range(4)]).deliver_all()
    before = {name: list(run.events) for name, run in all_.runs.items()}
    for command in all_.sent * 2:
        all_.deliver(command)
    assert {name: run.events for name, run in all_.runs.items()} == before
    for run in all_.runs.values():
        assert len([event for event in run.events if isinstance(event, TERMINAL)]) == 1


def test_an_answer_that_is_not_waited_for_is_refused() -> None:
    all_ = family(WAITS).start(PARENT).deliver_all()
    (child,) = all_.others
    all_.at(child, CancelExecution())
    (told,) = all_.waiting
    wrong = type(told)(told.id, told.stream, type(told.command)(**{**_fields(told.command), "child": "someone"}))
    all_.deliver(wrong)
    assert all_.first.last is not None
    assert all_.first.last.outcome.code == "not_under_way"
    assert all_.first.status == "running"


def _fields(command: Any) -> dict[str, Any]:
    return {name: getattr(command, name) for name in command.__struct_fields__}


def test_a_parent_that_waits_for_children_is_small_and_comes_back() -> None:
    all_ = family(WAITS, {"mode": "each_item"}).start(PARENT, [{"n": 1}, {"n": 2}]).deliver_all()
    state = all_.first.state
    assert state is not None
    assert state.dormant
    assert state.next_due == state.deadline
    frozen = snapshot(state)
    assert len(frozen) < 1_200
    assert view(restore(frozen, all_.first.graph)) == view(state)
    all_.restart().settle()
    assert all_.first.status == "completed" or all_.first.status == "timeout"


def test_a_merge_behind_waits_for_the_child() -> None:
    document = workflow(
        [
            node("start", "manual"),
            node("call", "execute_workflow", {"workflow_id": CHILD}),
            node("other", "noop"),
            node("m", "merge"),
        ],
        "start -> call",
        "start -> other",
        "call -> m.input1",
        "other -> m.input2",
    )
    all_ = Family({PARENT: document, CHILD: DOUBLE}).start(PARENT, [{"n": 1}])
    assert "m" not in all_.first.nodes
    assert all_.settle().first.output == items({"n": 2}, {"n": 1})


def test_items_keep_their_lineage_and_nothing_of_the_childs() -> None:
    document = calling({"mode": "each_item"})
    document["nodes"].append(node("asks", "set", {"fields": {"was": "{{ $('start').item.json.n }}"}}))
    document["connections"].append({"from": "after", "to": "asks"})
    child = workflow(
        [
            node("called", "execute_workflow_trigger"),
            node("x", "set", {"fields": {"y": "{{ $('called').item.json.n }}"}}),
        ],
        "called -> x",
    )
    all_ = Family({PARENT: document, CHILD: child}).start(PARENT, [{"n": 1}, {"n": 2}]).settle()
    assert [item["json"] for item in all_.first.output] == [{"n": 1, "y": 1, "was": 1}, {"n": 2, "y": 2, "was": 2}]
    for run in all_.others:
        assert all("origin" not in item for item in run.events[0].items)  # type: ignore[union-attr]


def test_a_disabled_call_hands_its_items_on() -> None:
    all_ = family(FAILS, disabled=True).start(PARENT, [{"n": 1}]).settle()
    assert all_.first.output == items({"n": 1})
    assert all_.others == []


def test_retry_of_a_whole_sub_workflow_is_refused() -> None:
    with pytest.raises(InvalidDocument, match="not run again as a whole"):
        compiled(calling(retry={"attempts": 2}))


def test_the_events_of_a_call() -> None:
    all_ = family(DOUBLE).start(PARENT, [{"n": 1}]).settle()
    kinds = [type(event) for event in all_.first.events]
    assert kinds[3:6] == [ChildrenStarted, ChildConcluded, NodeCompleted]
    assert not [event for event in all_.first.events if isinstance(event, ExecutionFailed)]
    assert isinstance(all_.first, Run)
