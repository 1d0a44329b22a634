"""Repeating a whole execution, where `settings.retries` asks for it: the commit that ends it starts the next one.

The new execution has an id derived from the one that it repeats, so that whoever sends its start twice starts it once
(log protocol, rule 13). It begins when its time has come (`begin_at`). Only the last of them tells the origin, and
starts the error workflow: to others they are one. So it sees the variables that the first one saw.
"""

from typing import Any

from domain.decision import OutgoingCommand
from domain.execution.commands import StartExecution
from domain.execution.endings import EXECUTION_STREAM, derived
from domain.execution.events import ErrorInfo, ExecutionFailed, ExecutionTimedOut
from domain.execution.state import Execution
from domain.retries import RetryPolicy, covers, delay_ms
from domain.workflow.graph import Graph

UNKNOWN = "outcome_unknown"


def repetition(state: Execution, graph: Graph, event: Any, now: int) -> OutgoingCommand | None:
    """The start of the execution that repeats `state`, which is about to end with `event`; None if it stays at that.

    What another execution waits for is not repeated: it is for the waiting node to say what becomes of a failure.
    """
    policy = graph.document.settings.retries
    if not isinstance(event, ExecutionFailed | ExecutionTimedOut) or state.items is None:
        return None
    if state.retry_count + 1 >= policy.attempts or not _covered(policy, event.error):
        return None
    origin = state.told.origin
    if origin is not None and origin.kind == "parent":
        return None
    execution_id = derived(state.id, "repeat")
    start = StartExecution(
        execution_id=execution_id,
        workflow_id=state.workflow_id,
        workflow_version=state.workflow_version,
        trigger_node=state.trigger_node,
        trigger_type=state.trigger_type,
        items=state.items,
        queued_at=now,
        priority=state.priority,
        fingerprint=f"repeat:{state.id}",
        retry_of=state.id,
        retry_count=state.retry_count + 1,
        begin_at=now + delay_ms(policy, state.retry_count, state.id),
        first=state.told.first or state.id,
        origin=origin,
        depth=state.told.depth,
        variables=state.variables,
    )
    return OutgoingCommand(derived(execution_id, "start"), EXECUTION_STREAM + execution_id, start)


def _covered(policy: RetryPolicy, error: ErrorInfo) -> bool:
    """What failed because nobody knows whether an unsafe effect happened is repeated only if `on` names that."""
    if error.code == UNKNOWN:
        return UNKNOWN in policy.on
    return covers(policy, error.code, retriable=True)
