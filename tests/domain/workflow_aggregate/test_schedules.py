"""What a workflow tells the schedules of its nodes."""

from typing import Any

from domain.schedule.commands import EndSchedule, EnsureSchedule
from domain.schedule.firing_ids import schedule_of
from domain.schedule.timing import ByCron, ByInterval
from domain.workflow.commands import (
    ActivateWorkflow,
    ArchiveWorkflow,
    CreateWorkflow,
    DeactivateWorkflow,
    UpdateWorkflow,
)
from domain.workflow.decider import Workflow, decide, restore, snapshot

ID = "7d7a2c04-93b1-4a0f-8a58-0a3c0f7a9e21"
DAILY, OFTEN = {"cron": "@daily"}, {"every": {"minutes": 5}, "timezone": "UTC"}


def document(**nodes: dict[str, Any]) -> dict[str, Any]:
    """A workflow with a manual trigger, and these schedule nodes."""
    triggers = [{"id": node, "type": "schedule", "parameters": given} for node, given in nodes.items()]
    return {
        "name": "Report",
        "nodes": [{"id": "start", "type": "manual"}, *triggers],
        "settings": {"timezone": "Asia/Tokyo"},
    }


class Told:
    """A workflow, and what its schedules are told by each command."""

    def __init__(self, **nodes: dict[str, Any]) -> None:
        self.state: Workflow | None = None
        self.tell(CreateWorkflow(ID, document(**nodes), 1))

    def tell(self, command: Any) -> list[tuple[str, Any]]:
        decision = decide(command, self.state, workspace="w", stream_id=f"workflow-{ID}")
        assert decision.outcome.kind == "accepted", decision.outcome
        assert decision.state is not None
        self.state = restore(snapshot(decision.state))
        nodes = {f"schedule-{schedule_of(ID, node)}": node for node in ("daily", "often")}
        return [(nodes[each.stream], each.command) for each in decision.commands]

    def activate(self) -> list[tuple[str, Any]]:
        return self.tell(ActivateWorkflow(2, {}))


def test_activation_ensures_each_node_in_the_workflow_s_zone() -> None:
    (first, second) = Told(daily=DAILY, often=OFTEN).activate()
    assert (first[0], second[0]) == ("daily", "often")
    assert isinstance(first[1], EnsureSchedule)
    definition = first[1].definition
    assert definition.timing == ByCron("@daily", "Asia/Tokyo")
    assert (definition.workflow_id, definition.node, definition.of_workflow) == (ID, "daily", True)
    assert second[1].definition.timing == ByInterval(300, 0, "UTC")
    assert first[1].revision == second[1].revision == 1


def test_a_new_version_changes_nothing_until_it_is_activated() -> None:
    workflow = Told(daily=DAILY, often=OFTEN)
    workflow.activate()
    assert workflow.tell(UpdateWorkflow(document(daily=OFTEN), 3)) == []
    (ended, ensured) = workflow.activate()
    assert (ended[0], type(ended[1]), ended[1].revision) == ("often", EndSchedule, 2)
    assert (ensured[0], ensured[1].definition.timing, ensured[1].revision) == ("daily", ByInterval(300, 0, "UTC"), 2)


def test_deactivation_and_archiving_end_all_once() -> None:
    workflow = Told(daily=DAILY, often=OFTEN)
    workflow.activate()
    assert [(node, command.reason) for node, command in workflow.tell(DeactivateWorkflow(3))] == [
        ("daily", "workflow inactive"), ("often", "workflow inactive"),
    ]  # fmt: skip
    assert workflow.tell(DeactivateWorkflow(4)) == []
    assert workflow.tell(ArchiveWorkflow(5)) == []


def test_a_disabled_node_has_no_schedule() -> None:
    workflow = Told(daily=DAILY)
    disabled = document(daily=DAILY)
    disabled["nodes"][1]["disabled"] = True
    workflow.activate()
    workflow.tell(UpdateWorkflow(disabled, 3))
    assert [(node, type(command)) for node, command in workflow.activate()] == [("daily", EndSchedule)]


def test_the_node_s_parameters_are_checked_when_the_workflow_is_saved() -> None:
    bad = document(daily={"cron": "61 * * * *"}, often={"every": {"minutes": 5}, "at": "2030-01-01T00:00:00Z"})
    outcome = decide(CreateWorkflow(ID, bad, 1), None, workspace="w", stream_id=f"workflow-{ID}").outcome
    assert outcome.code == "invalid_workflow"
    said = dict(outcome.problems)
    assert "minute: 61" in said["nodes[1].parameters.cron"]
    assert "exactly one of cron, every, at" in said["nodes[2].parameters.cron"]
