"""A workflow's rules: given what happened, when this is asked, then that is decided."""

from collections.abc import Sequence
from typing import Any

import pytest

from domain.decision import ACCEPTED, DUPLICATE, Decision
from domain.errors import ImpossibleHistory
from domain.workflow.commands import (
    ActivateWorkflow,
    ArchiveWorkflow,
    CreateWorkflow,
    DeactivateWorkflow,
    UpdateWorkflow,
    WorkflowCommand,
)
from domain.workflow.decider import Workflow, decide, evolve, restore, snapshot
from domain.workflow.events import (
    WebhookBinding,
    WorkflowActivated,
    WorkflowArchived,
    WorkflowCreated,
    WorkflowDeactivated,
    WorkflowEvent,
    WorkflowVersionAdded,
)

ID = "7d7a2c04-93b1-4a0f-8a58-0a3c0f7a9e21"
WORKSPACE = "0b9a6c1e-5f1d-4a38-9d53-3f6d1f0c7a11"
ENDPOINT_A, ENDPOINT_B, ENDPOINT_C = "a" * 22, "b" * 22, "c" * 22


def document(name: str = "Intake", *hooks: str, **parameters: Any) -> dict[str, Any]:
    """A workflow with these webhook triggers; without any, with a manual one."""
    nodes = [{"id": hook, "type": "webhook", "parameters": parameters} for hook in hooks]
    nodes = nodes or [{"id": "start", "type": "manual"}]
    return {
        "name": name,
        "nodes": [*nodes, {"id": "end", "type": "noop"}],
        "connections": [{"from": node["id"], "to": "end"} for node in nodes],
    }


def created(*hooks: str, **parameters: Any) -> WorkflowCreated:
    return WorkflowCreated("Intake", document("Intake", *hooks, **parameters), 1, "print")


def added(version: int, *hooks: str, **parameters: Any) -> WorkflowVersionAdded:
    return WorkflowVersionAdded(version, "Intake", document("Intake", *hooks, **parameters), 1)


def activated(version: int, **endpoints: str) -> WorkflowActivated:
    return WorkflowActivated(version, [bound(node, endpoint) for node, endpoint in endpoints.items()], 1)


def bound(node: str, endpoint: str, method: str = "POST", respond: str = "at_once") -> WebhookBinding:
    return WebhookBinding(endpoint, node, method, respond)


def given(*history: WorkflowEvent) -> Workflow | None:
    state = None
    for event in history:
        state = evolve(state, event)
    return state


def ask(history: Sequence[WorkflowEvent], command: WorkflowCommand) -> Decision:
    """Decide, and check what holds for every decision: its state is the fold of its events, and survives a restart."""
    state = given(*history)
    decision = decide(command, state, workspace=WORKSPACE, stream_id=f"workflow-{ID}")
    assert decision.state == given(*history, *decision.events)
    assert decision.events == () or decision.outcome == ACCEPTED
    if decision.state is not None:
        assert restore(snapshot(decision.state)) == decision.state
    return decision


def refusal(history: Sequence[WorkflowEvent], command: WorkflowCommand) -> str:
    decision = ask(history, command)
    assert decision.outcome.kind == "rejected"
    assert decision.outcome.message
    assert not decision.events
    return decision.outcome.code


# Creating


def test_a_workflow_begins_as_a_draft() -> None:
    decision = ask([], CreateWorkflow(ID, document(), 5, "print"))
    assert list(decision.events) == [WorkflowCreated("Intake", document(), 5, "print")]
    assert (decision.state.status, decision.state.version, decision.state.active_version) == ("draft", 1, None)


def test_the_same_request_again_is_a_duplicate() -> None:
    assert ask([created()], CreateWorkflow(ID, document(), 9, "print")).outcome == DUPLICATE
    assert ask([created(), WorkflowArchived(2)], CreateWorkflow(ID, document(), 9, "print")).outcome == DUPLICATE


def test_the_same_id_for_another_request_is_refused() -> None:
    assert refusal([created()], CreateWorkflow(ID, document(), 9, "other")) == "idempotency_mismatch"


def test_a_workflow_of_another_stream_is_refused() -> None:
    assert refusal([], CreateWorkflow("another", document(), 9)) == "wrong_stream"


INVALID = [
    {},
    {"name": "no nodes", "nodes": []},
    {**document(), "nodes": [{"id": "start", "type": "manual"}, {"id": "end", "type": "unheard_of"}]},
    {**document(), "connections": [{"from": "start", "to": "nowhere"}]},
]


@pytest.mark.parametrize("invalid", INVALID)
def test_an_invalid_document_never_enters_the_log(invalid: dict[str, Any]) -> None:
    for history, command in (([], CreateWorkflow(ID, invalid, 1)), ([created()], UpdateWorkflow(invalid, 1))):
        decision = ask(history, command)
        assert (decision.outcome.kind, decision.outcome.code) == ("rejected", "invalid_workflow")
        assert decision.outcome.problems
        assert all(isinstance(path, str) and message for path, message in decision.outcome.problems)


@pytest.mark.parametrize(
    "command", [UpdateWorkflow(document(), 1), ActivateWorkflow(1, {}), DeactivateWorkflow(1), ArchiveWorkflow(1)]
)
def test_what_does_not_exist_cannot_be_changed(command: WorkflowCommand) -> None:
    assert refusal([], command) == "workflow_not_found"


# Versions


def test_an_update_is_the_next_version_and_leaves_the_active_one() -> None:
    history = [created("in"), activated(1, **{"in": ENDPOINT_A})]
    decision = ask(history, UpdateWorkflow(document("Renamed"), 7))
    assert list(decision.events) == [WorkflowVersionAdded(2, "Renamed", document("Renamed"), 7)]
    assert (decision.state.status, decision.state.version, decision.state.active_version) == ("active", 2, 1)


def test_an_update_of_the_expected_version_goes_through() -> None:
    assert len(ask([created(), added(2)], UpdateWorkflow(document(), 7, 2)).events) == 1


@pytest.mark.parametrize("expected", [0, 1, 3])
def test_an_update_of_another_version_is_a_conflict(expected: int) -> None:
    assert refusal([created(), added(2)], UpdateWorkflow(document(), 7, expected)) == "version_conflict"


def test_a_conflict_is_told_before_the_document_is_looked_at() -> None:
    assert refusal([created()], UpdateWorkflow({}, 7, 2)) == "version_conflict"


# Activation and its endpoints


def test_activation_binds_an_endpoint_to_each_webhook_of_the_newest_version() -> None:
    history = [created("old"), added(2, "in", "out", method="GET", respond="with_node")]
    decision = ask(history, ActivateWorkflow(5, {"in": ENDPOINT_A, "out": ENDPOINT_B, "old": ENDPOINT_C}))
    bindings = [bound("in", ENDPOINT_A, "GET", "with_node"), bound("out", ENDPOINT_B, "GET", "with_node")]
    assert list(decision.events) == [WorkflowActivated(2, bindings, 5)]
    assert (decision.state.status, decision.state.active_version) == ("active", 2)


def test_a_version_can_be_named() -> None:
    history = [created("in", method="PUT"), added(2, "in", method="GET"), added(3, "in", method="GET")]
    events = ask(history, ActivateWorkflow(5, {"in": ENDPOINT_A}, 1)).events
    assert list(events) == [WorkflowActivated(1, [bound("in", ENDPOINT_A, "PUT")], 5)]
    events = ask(history, ActivateWorkflow(5, {"in": ENDPOINT_A}, 2)).events
    assert list(events) == [WorkflowActivated(2, [bound("in", ENDPOINT_A, "GET")], 5)]


@pytest.mark.parametrize("version", [-1, 0, 3])
def test_a_version_that_is_not_there_cannot_be_activated(version: int) -> None:
    assert refusal([created(), added(2)], ActivateWorkflow(5, {}, version)) == "version_not_found"


def test_an_endpoint_keeps_its_id_over_versions_and_over_absence() -> None:
    history = [
        created("in"),
        activated(1, **{"in": ENDPOINT_A}),
        added(2, "other"),
        activated(2, other=ENDPOINT_B),
        WorkflowDeactivated(3),
        added(3, "in", "other"),
    ]
    decision = ask(history, ActivateWorkflow(5, {"in": ENDPOINT_C, "other": "d" * 22}))
    assert list(decision.events) == [WorkflowActivated(3, [bound("in", ENDPOINT_A), bound("other", ENDPOINT_B)], 5)]


def test_a_webhook_without_an_endpoint_id_is_told_to_ask_again() -> None:
    assert refusal([created("in", "out")], ActivateWorkflow(5, {"in": ENDPOINT_A})) == "endpoint_missing"


@pytest.mark.parametrize("endpoint", ["short", "a" * 21, "a" * 65, "a" * 21 + "/", ""])
def test_an_endpoint_id_that_can_be_guessed_or_is_no_url_part_is_refused(endpoint: str) -> None:
    assert refusal([created("in")], ActivateWorkflow(5, {"in": endpoint})) in {"invalid_endpoint", "endpoint_missing"}


def test_two_webhooks_never_share_an_endpoint() -> None:
    assert refusal([created("in", "out")], ActivateWorkflow(5, {"in": ENDPOINT_A, "out": ENDPOINT_A})) == (
        "invalid_endpoint"
    )
    history = [created("in"), activated(1, **{"in": ENDPOINT_A}), added(2, "out")]
    assert refusal(history, ActivateWorkflow(5, {"out": ENDPOINT_A})) == "invalid_endpoint"


def test_a_disabled_webhook_does_not_answer() -> None:
    body = document("Intake", "in", "out")
    body["nodes"][0]["disabled"] = True
    events = ask([WorkflowCreated("Intake", body, 1)], ActivateWorkflow(5, {"out": ENDPOINT_A})).events
    assert list(events) == [WorkflowActivated(1, [bound("out", ENDPOINT_A)], 5)]


def test_a_workflow_that_people_start_is_activated_without_webhooks() -> None:
    assert list(ask([created()], ActivateWorkflow(5, {})).events) == [WorkflowActivated(1, [], 5)]


def test_activating_the_active_version_again_changes_nothing() -> None:
    decision = ask([created("in"), activated(1, **{"in": ENDPOINT_A})], ActivateWorkflow(5, {"in": ENDPOINT_B}))
    assert (list(decision.events), decision.outcome) == ([], ACCEPTED)


# Deactivation and the archive


def test_deactivation_ends_the_active_version_and_it_can_come_back() -> None:
    history = [created("in"), activated(1, **{"in": ENDPOINT_A})]
    decision = ask(history, DeactivateWorkflow(6))
    assert list(decision.events) == [WorkflowDeactivated(6)]
    assert (decision.state.status, decision.state.active_version) == ("inactive", None)
    again = ask([*history, WorkflowDeactivated(6)], ActivateWorkflow(7, {}))
    assert list(again.events) == [WorkflowActivated(1, [bound("in", ENDPOINT_A)], 7)]


@pytest.mark.parametrize("history", [[created()], [created(), activated(1), WorkflowDeactivated(2)]])
def test_deactivating_what_is_not_active_changes_nothing(history: list[WorkflowEvent]) -> None:
    decision = ask(history, DeactivateWorkflow(6))
    assert (list(decision.events), decision.outcome) == ([], ACCEPTED)


@pytest.mark.parametrize("before", [[], [activated(1)], [activated(1), WorkflowDeactivated(2)]])
def test_a_workflow_can_be_archived_from_any_state(before: list[WorkflowEvent]) -> None:
    decision = ask([created(), *before], ArchiveWorkflow(6))
    assert list(decision.events) == [WorkflowArchived(6)]
    assert (decision.state.status, decision.state.active_version) == ("archived", None)


@pytest.mark.parametrize(
    "command", [UpdateWorkflow(document(), 1), ActivateWorkflow(1, {}), DeactivateWorkflow(1), ArchiveWorkflow(1)]
)
def test_an_archived_workflow_refuses_everything(command: WorkflowCommand) -> None:
    assert refusal([created(), WorkflowArchived(2)], command) == "workflow_archived"


# History and snapshots


@pytest.mark.parametrize(
    "history",
    [
        [added(2)],
        [activated(1)],
        [created(), created()],
        [created(), added(3)],
        [created(), added(2), added(2)],
    ],
)
def test_a_history_that_no_decider_wrote_is_noticed(history: list[WorkflowEvent]) -> None:
    with pytest.raises(ImpossibleHistory):
        given(*history)


@pytest.mark.parametrize("data", [b"", b"garbage", snapshot(given(created()))[:-3], b"\x92\x02\xc0"])  # type: ignore[arg-type]
def test_a_snapshot_that_cannot_be_read_is_an_error_of_the_domain(data: bytes) -> None:
    with pytest.raises(ImpossibleHistory):
        restore(data)


def test_the_state_stays_small_over_many_versions() -> None:
    history: list[WorkflowEvent] = [created("in")]
    history += [added(version, "in") for version in range(2, 1001)]
    state = given(*history)
    assert state is not None
    assert state.version == 1000
    assert len(snapshot(state)) < 100


def test_old_stored_documents_are_read_leniently() -> None:
    old = WorkflowCreated("Old", {"nodes": [{"id": "in", "type": "webhook"}, {"id": "x", "type": "gone"}]}, 1)
    events = ask([old], ActivateWorkflow(5, {"in": ENDPOINT_A})).events
    assert list(events) == [WorkflowActivated(1, [bound("in", ENDPOINT_A)], 5)]


def test_what_the_state_knows_of_webhooks_are_the_defaults_of_the_node_type() -> None:
    from domain.nodes.webhook import WEBHOOK
    from domain.workflow import state

    defaults = {parameter.name: parameter.default for parameter in WEBHOOK.parameters}
    assert defaults["method"] == state.DEFAULT_METHOD
    assert defaults["respond"] == state.DEFAULT_RESPOND
