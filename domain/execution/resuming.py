"""Going on where another execution failed: its finished runs are taken over, what is left runs anew.

The new history begins with the recorded outputs, applied in the order in which they were made, so that queue, merges
and loops stand as they stood. What is in the queue then (the run that failed, and what the end cut off) runs.
"""

from collections.abc import Sequence

from domain.errors import ImpossibleHistory
from domain.execution.commands import TakenRun
from domain.execution.events import ExecutionEvent, ExecutionStarted, NodeCompleted
from domain.execution.evolution import apply
from domain.execution.state import Execution
from domain.workflow.graph import Graph


class DoesNotFit(Exception):
    """The recorded runs cannot have happened in this workflow version. `node`: the first that does not fit."""

    def __init__(self, node: str, message: str) -> None:
        super().__init__(message)
        self.node = node


def taken_over(taken: Sequence[TakenRun]) -> list[NodeCompleted]:
    """The events that begin the new history."""
    return [
        NodeCompleted(
            node=run.node, run=run.run, outputs=run.outputs, sources=run.sources, attempts=run.attempts, taken=True
        )
        for run in taken
    ]


def check_fit(execution_id: str, graph: Graph, trigger: str, taken: Sequence[TakenRun]) -> Execution:
    """The state after the runs that are taken over, to be looked at only. Raises DoesNotFit."""
    state = Execution(execution_id)
    state.trigger_node = trigger
    begun: list[ExecutionEvent] = [ExecutionStarted(started_at=0), *taken_over(taken)]
    for event in begun:
        name = event.node if isinstance(event, NodeCompleted) else ""
        if name and name not in graph.by_id:
            raise DoesNotFit(name, f"node {name!r} ran in that execution and is not in this version any more")
        try:
            apply(state, event, graph)
        except (ImpossibleHistory, LookupError):
            raise DoesNotFit(
                name, f"node {name!r} ran in that execution, but in this version something else comes before it"
            ) from None
    return state
