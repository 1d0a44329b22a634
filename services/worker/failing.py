"""Executions that end because a decision could not be made or stored (log protocol, rule 8): accepted, so they end."""

from domain.decision import Decision, Outcome, rejected
from domain.execution.children import all_cancellations
from domain.execution.commands import StartExecution
from domain.execution.course import after_end
from domain.execution.decider import evolve, fold
from domain.execution.endings import Ending, consequences
from domain.execution.events import ErrorInfo, ExecutionEvent, ExecutionFailed, ExecutionQueued
from domain.execution.links import Links
from domain.execution.state import Execution
from domain.workflow.graph import Graph
from services.worker.versions import BY_REFERENCE


def failed_execution(
    state: Execution, graph: Graph, outcome: Outcome, *, execution_id: str, now: int, links: Links
) -> Decision:
    """An open execution ends with its failure as the reason."""
    failed = ExecutionFailed(error=ErrorInfo(code=outcome.code, message=outcome.message), at=now)
    told = [*all_cancellations(state), *after_end(state, graph, failed, now, links)]
    return Decision([failed], evolve(state, failed, graph, execution_id=execution_id), outcome, commands=told)


def failed_start(
    command: StartExecution,
    version: int,
    graph: Graph | None,
    outcome: Outcome,
    *,
    execution_id: str,
    now: int,
    links: Links,
) -> Decision:
    """A start becomes an execution that has failed. `version`: what `graph` is, which may be missing."""
    trigger = graph.trigger_for(command.trigger_type) if graph else None
    queued = ExecutionQueued(
        workflow_id=command.workflow_id,
        workflow_version=version,
        trigger_node=command.trigger_node or (trigger.id if trigger else ""),
        trigger_type=command.trigger_type,
        items=[],
        queued_at=command.queued_at,
        priority=command.priority or "normal",
        fingerprint=command.fingerprint,
        reply=command.reply,
        retry_of=command.retry_of,
        retry_count=command.retry_count,
        first=command.first,
        origin=command.origin,
        depth=command.depth,
        error_workflow=graph.document.settings.error_workflow if graph else None,
    )
    failed = ExecutionFailed(error=ErrorInfo(code=outcome.code, message=outcome.message), at=now)
    ending = Ending(
        execution_id=execution_id,
        workflow_id=queued.workflow_id,
        workflow_version=version,
        workflow_name=graph.document.name if graph else "",
        trigger_type=queued.trigger_type,
        priority=queued.priority,
        queued_at=queued.queued_at,
        told=queued.told,
        last_node=None,
    )
    events: list[ExecutionEvent] = [queued, failed]
    begun = fold(None, events, graph, execution_id=execution_id) if graph else None
    return Decision(events, begun, outcome, commands=consequences(ending, failed, links))


def not_found(command: StartExecution) -> Outcome:
    """Why a start is refused whose workflow version is not there."""
    workflow = f"workflow {command.workflow_id[:100]}"
    if command.workflow_version == BY_REFERENCE:
        return rejected("workflow_not_found", f"{workflow} does not exist in this workspace, or it is archived")
    why = f"version {command.workflow_version} of {workflow} does not exist in this workspace"
    return rejected("workflow_not_found", why)
