"""Given commits, then rows: what each event does to the read models, on the memory executor."""

from typing import Any

import msgspec
import pytest

from domain.execution.events import (
    AttemptConcluded,
    ErrorInfo,
    ExecutionCancelled,
    ExecutionCompleted,
    ExecutionFailed,
    ExecutionParked,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionTimedOut,
    NodeCancelled,
    NodeCompleted,
    NodeFailed,
    NodeOutcomeUnknown,
    NodeWaiting,
    RetryScheduled,
)
from domain.workflow.events import (
    WebhookBinding,
    WorkflowActivated,
    WorkflowArchived,
    WorkflowDeactivated,
    WorkflowVersionAdded,
)
from domain.workspace.events import ApiKeyRevoked
from infra.log.port import Topic
from projections.catalog import PROJECTIONS, TABLES
from projections.facts import SEEN, UNSEEN, read_commit
from projections.positions import COMMIT_TOPIC, INPUT_TOPIC
from schemas.envelope import CommitRecord, Epoch, EventRecord
from schemas.registry import EVENTS, encode_event
from tests.projections.given import FLOW, SPACE, T0, World, attempted, queued, some_id

ERROR = ErrorInfo("refused", "no", "call")
EXECUTION = some_id("one")


def rows_after(*commits: list[Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The execution's row and those of its nodes; commit number i happens at T0 + i."""
    world = World()
    for number, events in enumerate(commits):
        world.commit(f"execution-{EXECUTION}", events, queued_at=T0, time=T0 + number)
    tables = world.fold()
    (execution,) = tables.all_rows("executions")
    return execution, {f"{row['node_id']}/{row['run']}": row for row in tables.all_rows("node_executions")}


START = [queued(T0), ExecutionStarted(started_at=T0)]
CALL = attempted("call", 1)


def test_an_execution_that_only_waits_its_turn_is_queued() -> None:
    execution, nodes = rows_after([queued(T0)])
    assert (execution["status"], execution["started_at"], execution["input"]) == ("queued", None, '[{"json":{"a":1}}]')
    assert execution["workspace_id"] == SPACE
    assert nodes == {}


@pytest.mark.parametrize(
    ("end", "status", "error"),
    [
        (ExecutionCompleted(output=[], at=T0 + 5), "completed", None),
        (ExecutionFailed(error=ERROR, at=T0 + 5), "failed", {"code": "refused", "message": "no", "node_id": "call"}),
        (ExecutionCancelled(at=T0 + 5), "cancelled", None),
        (ExecutionTimedOut(at=T0 + 5, error=ErrorInfo("timeout", "t")), "timeout", {"code": "timeout", "message": "t"}),
    ],
)
def test_each_end_has_its_status(end: Any, status: str, error: Any) -> None:
    execution, _ = rows_after(START, [end])
    # the time for people is the commit's; the event's own is owner's time
    assert (execution["status"], execution["completed_at"]) == (status, T0 + 1)
    assert (execution["error"] and msgspec.json.decode(execution["error"])) == error
    assert execution["stream_version"] == 3


def test_parked_is_waiting_and_resumed_is_running() -> None:
    wait = NodeWaiting(node="wait", run=0, due=1, items=[])
    execution, nodes = rows_after([*START, wait, ExecutionParked(at=T0)])
    assert (execution["status"], nodes["wait/0"]["status"]) == ("waiting", "waiting")
    execution, nodes = rows_after(
        [*START, wait, ExecutionParked(at=T0)],
        [ExecutionResumed(at=T0 + 1), NodeCompleted(node="wait", run=0, outputs={})],
    )
    assert (execution["status"], nodes["wait/0"]["status"]) == ("running", "completed")
    assert (nodes["wait/0"]["started_at"], nodes["wait/0"]["completed_at"]) == (T0, T0 + 1)


def test_a_run_with_attempts_keeps_its_beginning_and_its_sources() -> None:
    retry = RetryScheduled(node="call", run=0, due=T0 + 9, indexes=[0])
    commits: list[list[Any]] = [[*START, CALL], [retry], [attempted("call", 2)]]
    assert rows_after(*commits[:1])[1]["call/0"]["status"] == "running"
    waiting = rows_after(*commits[:2])[1]["call/0"]
    assert (waiting["status"], msgspec.json.decode(waiting["awaits"])["due"]) == ("waiting", T0 + 9)
    assert rows_after(*commits)[1]["call/0"]["awaits"] is None
    _, nodes = rows_after(*commits, [NodeCompleted(node="call", run=0, outputs={"main": []}, attempts=2)])
    row = nodes["call/0"]
    assert (row["status"], row["attempts"], row["seq"]) == ("completed", 2, 3)
    assert (row["started_at"], row["completed_at"]) == (T0, T0 + 3)
    assert (row["sources"], row["output"]) == ('[["start",0,"main","main"]]', '{"main":[]}')


def test_an_unknown_outcome_stays_one_when_it_fails_the_run() -> None:
    unknown = NodeOutcomeUnknown(node="call", run=0, attempt=1, indexes=[0])
    lost = NodeFailed(node="call", run=0, error=ErrorInfo("outcome_unknown", "?"), attempts=1)
    _, nodes = rows_after([*START, CALL], [unknown, lost, ExecutionFailed(error=ERROR, at=T0)])
    assert nodes["call/0"]["status"] == "outcome_unknown"
    _, nodes = rows_after([*START, CALL], [unknown], [attempted("call", 2)])
    assert (nodes["call/0"]["status"], nodes["call/0"]["completed_at"]) == ("running", None)


def test_what_ended_with_the_execution_is_cancelled() -> None:
    ends = [NodeCancelled(node="call", run=0), NodeCancelled(node="next", run=0), ExecutionCancelled(at=T0)]
    _, nodes = rows_after([*START, CALL], ends)
    assert [(row["status"], row["started_at"]) for row in nodes.values()] == [("cancelled", T0), ("cancelled", None)]


def test_a_late_result_moves_the_version_only() -> None:
    late = AttemptConcluded(node="call", run=0, attempt=1, results=[], late=True)
    execution, _ = rows_after(START, [ExecutionCancelled(at=T0 + 1)], [late])
    assert (execution["status"], execution["stream_version"]) == ("cancelled", 4)


def test_large_fields_are_references() -> None:
    event = encode_event(
        NodeCompleted(node="n", run=0, outputs={"main": [{"json": "x" * 70_000}]}), spill=lambda _: "b1"
    )
    _, nodes = rows_after([*START, event])
    assert nodes["n/0"]["output"] == '{"$blob":"b1"}'


def test_what_an_execution_saw_of_the_variables_is_kept() -> None:
    saw = msgspec.structs.replace(queued(T0), variables={"region": "eu1"})
    assert rows_after([saw])[0]["variables"] == '{"region":"eu1"}'
    assert rows_after([queued(T0)])[0]["variables"] is None
    large = encode_event(msgspec.structs.replace(saw, variables={"a": "x" * 70_000}), spill=lambda _: "b1")
    assert rows_after([large])[0]["variables"] == '{"$blob":"b1"}'


def test_variables_are_rows_by_name() -> None:
    world = World()
    world.keep_variables()
    rows = {row["name"]: row for row in world.fold().all_rows("variables")}
    assert list(rows) == ["Nothing", "_rates", "region"]
    assert [(row["value"], row["version"]) for row in rows.values()] == [("null", 3), ("false", 6), ("[1,null]", 4)]
    changed = rows["region"]
    assert (changed["request_id"], changed["fingerprint"], changed["description"]) == (some_id("asked"), "fp", "")
    assert (changed["created_at"], changed["updated_at"]) == (T0, T0 + 3)
    assert rows["_rates"]["created_at"] == T0 + 5


def test_a_workflow_and_its_endpoints() -> None:
    world = World()
    world.configure()
    stream = f"workflow-{FLOW}"
    world.commit(stream, [WorkflowVersionAdded(2, "Renamed\0", {"name": "Renamed"}, T0 + 9)])
    world.commit(stream, [WorkflowActivated(2, [WebhookBinding("endpoint-2", "b", "GET", "with_node")], T0 + 10)])
    tables = world.fold()
    (row,) = tables.all_rows("workflows")
    assert (row["status"], row["version"], row["active_version"], row["name"]) == ("active", 2, 2, "Renamed\ufffd")
    assert [(each["endpoint_id"], each["active"]) for each in tables.all_rows("webhooks")] == [
        ("endpoint-1", False),
        ("endpoint-2", True),
    ]
    assert [each["document"] for each in tables.all_rows("workflow_versions")] == [
        '{"name":"Flow","nodes":[]}',
        '{"name":"Renamed"}',
    ]
    world.commit(stream, [WorkflowDeactivated(T0 + 11)])
    assert [(row["status"], row["active_version"]) for row in world.fold().all_rows("workflows")] == [
        ("inactive", None)
    ]
    world.commit(stream, [WorkflowArchived(T0 + 12)])
    tables = world.fold()
    assert [row["status"] for row in tables.all_rows("workflows")] == ["archived"]
    assert not any(row["active"] for row in tables.all_rows("webhooks"))


def test_deliveries_say_what_became_of_them() -> None:
    world = World()
    world.keep_deliveries()
    world.run_deliveries()
    tables = world.fold()
    rows = {row["id"]: row for row in tables.all_rows("webhook_deliveries")}
    said = {name: rows[some_id(name)] for name in ("first", "same", "early", "late", "much", "bad")}
    assert {name: row["status"] for name, row in said.items()} == {
        "first": "accepted", "same": "duplicate", "early": "superseded", "late": "accepted", "much": "accepted",
        "bad": "refused",
    }  # fmt: skip
    assert said["first"]["payload"] is None, "it is the input of its execution"
    assert said["late"]["payload"] == said["same"]["payload"]
    assert (said["same"]["duplicate_of"], said["early"]["superseded_by"]) == (some_id("first"), some_id("late"))
    assert (said["late"]["execution_id"], said["late"]["due_at"]) == (some_id("begun late"), None)
    assert (said["much"]["execution_id"], said["much"]["code"]) == (some_id("begun at last"), "")
    of = {row["id"]: row["delivery_id"] for row in tables.all_rows("executions")}
    assert of == {
        some_id("begun"): some_id("first"), some_id("direct"): some_id("direct"), some_id("asked"): None,
        some_id("told"): None,
    }  # fmt: skip


def test_a_revoked_key_says_when() -> None:
    world = World()
    world.configure()
    world.commit(f"workspace-{SPACE}", [ApiKeyRevoked(some_id("key"), T0 + 7)])
    assert [row["revoked_at"] for row in world.fold().all_rows("api_keys")] == [T0 + 7]


def test_every_event_is_seen_or_known_to_be_passed_over() -> None:
    assert set(EVENTS.entries) == set(SEEN) | UNSEEN


def test_an_event_that_cannot_be_decoded_is_named_and_the_others_count() -> None:
    records = [
        encode_event(queued(T0)),
        EventRecord("execution.started", msgspec.Raw(b"{}")),
        EventRecord("execution.parked", msgspec.Raw(b"{}"), v=99),
        encode_event(ExecutionCancelled(at=1)),
    ]
    commit, broken = read_commit(CommitRecord("c", "execution-x", 1, Epoch(0, "e"), 0, SPACE, T0, records))
    assert [error.code for _, error in broken] == ["malformed_record", "unknown_type"]
    assert [version for _, version, _ in commit.facts] == [1, 4]
    assert commit.version == 4


def test_topics_are_those_of_the_log() -> None:
    assert set(COMMIT_TOPIC.values()) == {Topic.EVENTS, Topic.EXECUTIONS} == set(INPUT_TOPIC)
    assert set(INPUT_TOPIC.values()) == {Topic.COMMANDS, Topic.EXECUTION_COMMANDS}


def test_keys_and_lasting_columns_are_columns() -> None:
    for table in TABLES.values():
        assert set(table.key) | table.lasting | set(table.defaults) <= set(table.columns), table.name
    assert {table.name for each in PROJECTIONS.values() for table in each.tables} == set(TABLES)
