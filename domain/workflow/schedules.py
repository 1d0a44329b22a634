"""What a workflow's schedule nodes are told when it is activated, deactivated or archived."""

from collections.abc import Iterator

from domain.decision import OutgoingCommand
from domain.schedule.commands import EndSchedule, EnsureSchedule
from domain.schedule.definition import Definition
from domain.schedule.firing_ids import derived, schedule_of
from domain.workflow.state import ScheduleNode, Workflow


def commands_after(workflow_id: str, before: Workflow, after: Workflow, at: int) -> list[OutgoingCommand]:
    """Nodes of the version that is active now have a schedule; those that had one and are not among them have none.

    The revision says which of several such commands is the last word, in whatever order they come.
    """
    wanted = after.schedules_of(after.active_version) if after.active_version is not None else ()
    return [*_ended(workflow_id, before, after, at), *(_ensured(workflow_id, each, after, at) for each in wanted)]


def _ended(workflow_id: str, before: Workflow, after: Workflow, at: int) -> Iterator[OutgoingCommand]:
    reason = "the node is no trigger of the active version" if after.status == "active" else f"workflow {after.status}"
    for node in before.scheduled:
        if node not in after.scheduled:
            schedule_id = schedule_of(workflow_id, node)
            command = EndSchedule(after.revision, at, reason)
            yield OutgoingCommand(derived(schedule_id, f"end:{after.revision}"), f"schedule-{schedule_id}", command)


def _ensured(workflow_id: str, each: ScheduleNode, after: Workflow, at: int) -> OutgoingCommand:
    schedule_id = schedule_of(workflow_id, each.node)
    definition = Definition(
        workflow_id=workflow_id,
        name=each.name,
        timing=each.timing,
        policies=each.policies,
        node=each.node,
        of_workflow=True,
    )
    command = EnsureSchedule(definition, after.revision, at)
    return OutgoingCommand(derived(schedule_id, f"ensure:{after.revision}"), f"schedule-{schedule_id}", command)
