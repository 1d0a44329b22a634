"""Error workflows: every failure starts one, once; a cancellation does not, and an error workflow never its own."""

from typing import Any

import pytest

from domain.errors import InvalidDocument
from domain.execution.commands import CancelExecution, PassTime
from domain.execution.endings import MAX_DEPTH
from domain.execution.links import Links
from tests.support.executions import EXECUTION, compiled, node, workflow
from tests.support.family import CHILD, OTHER, PARENT, Family

REPORTS = workflow([node("failed", "error_trigger"), node("tell", "noop")], "failed -> tell")
FAILS_ITSELF = workflow(
    [node("failed", "error_trigger"), node("no", "stop_and_error", {"message": "again"})],
    "failed -> no",
    error_workflow=OTHER,
)


def failing(**settings: Any) -> dict[str, Any]:
    return workflow(
        [node("start", "manual"), node("fine", "noop"), node("no", "stop_and_error", {"message": "broken"})],
        "start -> fine",
        "fine -> no",
        **{"error_workflow": OTHER, **settings},
    )


def test_a_failure_starts_the_error_workflow_with_what_happened() -> None:
    all_ = Family({PARENT: failing(), OTHER: REPORTS})
    all_.start(PARENT, retry_of="r").settle()
    (other,) = all_.others
    assert other.state is not None
    assert (other.status, other.state.trigger_type, other.state.trigger_node) == ("completed", "error", "failed")
    assert other.output == [
        {
            "json": {
                "execution": {
                    "id": EXECUTION,
                    "url": f"/api/v1/executions/{EXECUTION}",
                    "status": "failed",
                    "error": {"code": "stop_and_error", "message": "broken", "node_id": "no"},
                    "last_node": "no",
                    "retry_of": "r",
                    "trigger_type": "manual",
                    "queued_at": "1970-01-01T00:16:40.000Z",
                    "failed_at": "1970-01-01T00:16:40.000Z",
                },
                "workflow": {"id": PARENT, "name": "test", "version": 1},
            }
        }
    ]


def test_the_address_of_the_execution_is_a_whole_one() -> None:
    assert Links("https://flows.example").execution("e1") == "https://flows.example/api/v1/executions/e1"


def test_a_time_out_starts_it_a_cancellation_does_not() -> None:
    waits = workflow(
        [node("start", "manual"), node("get", "http", {"url": "http://x"})],
        "start -> get",
        timeout_seconds=5,
        error_workflow=OTHER,
    )
    all_ = Family({PARENT: waits, OTHER: REPORTS}).start(PARENT)
    all_.at(all_.first, CancelExecution())
    assert all_.waiting == []
    all_ = Family({PARENT: waits, OTHER: REPORTS}).start(PARENT)
    all_.now += 5_000
    all_.at(all_.first, PassTime()).deliver_all()
    (other,) = all_.others
    assert other.output[0]["json"]["execution"]["error"]["code"] == "timeout"
    assert other.output[0]["json"]["execution"]["last_node"] == "start"


def test_it_starts_once_however_often_it_is_sent() -> None:
    all_ = Family({PARENT: failing(), OTHER: REPORTS}).start(PARENT).settle()
    all_.restart().settle()
    assert len(all_.others) == 1


def test_what_an_error_workflow_fails_with_starts_nothing() -> None:
    all_ = Family({PARENT: failing(), OTHER: FAILS_ITSELF}).start(PARENT).settle()
    assert [run.status for run in all_.runs.values()] == ["failed", "failed"]


def test_an_error_workflow_that_calls_what_fails_ends_as_well() -> None:
    calls = workflow(
        [node("failed", "error_trigger"), node("call", "execute_workflow", {"workflow_id": CHILD})], "failed -> call"
    )
    child = workflow(
        [node("called", "execute_workflow_trigger"), node("no", "stop_and_error", {"message": "x"})],
        "called -> no",
        error_workflow=OTHER,
    )
    all_ = Family({PARENT: failing(), OTHER: calls, CHILD: child}).start(PARENT).settle()
    assert all(run.state is not None and run.state.closed for run in all_.runs.values())
    assert len(all_.runs) <= MAX_DEPTH + 2


def test_parent_and_child_have_their_own() -> None:
    parent = workflow(
        [node("start", "manual"), node("call", "execute_workflow", {"workflow_id": CHILD})],
        "start -> call",
        error_workflow=OTHER,
    )
    child = workflow(
        [node("called", "execute_workflow_trigger"), node("no", "stop_and_error", {"message": "x"})],
        "called -> no",
        error_workflow=OTHER,
    )
    all_ = Family({PARENT: parent, CHILD: child, OTHER: REPORTS}).start(PARENT).settle()
    told = [run for run in all_.others if run.state is not None and run.state.trigger_type == "error"]
    assert {run.output[0]["json"]["workflow"]["id"] for run in told} == {PARENT, CHILD}
    assert [run.state.told.depth for run in told if run.state is not None] == [2, 1]


def test_one_that_is_not_there_changes_nothing() -> None:
    all_ = Family({PARENT: failing()}).start(PARENT).settle()
    assert (all_.first.status, all_.others) == ("failed", [])


@pytest.mark.parametrize("wrong", ["orders", 7, ["x"]])
def test_it_is_named_by_its_id(wrong: Any) -> None:
    with pytest.raises(InvalidDocument, match="must be the id of a workflow"):
        compiled(failing(error_workflow=wrong))
