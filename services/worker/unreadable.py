"""An execution whose workflow version this LinkFlow cannot run any more: it does not compile, or it is gone for good.

It must neither hang nor take its partition down: the next decision ends it as failed, with the reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from domain.decision import DUPLICATE, Decision, rejected
from domain.execution.commands import GrantSlot, RefuseSlot, StartExecution
from domain.execution.endings import Ending, consequences
from domain.execution.events import TERMINAL, ErrorInfo, ExecutionFailed, ExecutionQueued, Told
from domain.execution.links import Links
from domain.execution.slots import not_open

CODE = "workflow_version_unreadable"


@dataclass(frozen=True, slots=True)
class UnreadableExecution:
    """Stands where the execution's state would: just what owner and lane look at."""

    workflow_id: str
    workflow_version: int
    queued_at: int
    fingerprint: str = ""
    closed: bool = False
    told: Told = Told()
    trigger_type: str = ""
    priority: str = "normal"

    next_due: None = None
    dormant = False
    status: str = "running"
    under_way: frozenset[Any] = frozenset()

    @property
    def forgettable(self) -> bool:
        return self.closed

    @staticmethod
    def of(events: Sequence[Any]) -> "UnreadableExecution | None":
        """From a stream's first events, if they are such."""
        first = events[0] if events else None
        if not isinstance(first, ExecutionQueued):
            return None
        begun = UnreadableExecution(
            first.workflow_id,
            first.workflow_version,
            first.queued_at,
            first.fingerprint,
            told=first.told,
            trigger_type=first.trigger_type,
            priority=first.priority,
        )
        return begun.after(events)

    def after(self, events: Sequence[Any]) -> "UnreadableExecution":
        return replace(self, closed=self.closed or any(isinstance(event, TERMINAL) for event in events))

    def decide(self, command: Any, execution_id: str, now: int, links: Links) -> Decision:
        if isinstance(command, StartExecution):
            if command.fingerprint == self.fingerprint:
                return Decision([], self, DUPLICATE)
            return Decision([], self, rejected("idempotency_mismatch", "this id was used for another request"))
        if self.closed:
            if isinstance(command, GrantSlot | RefuseSlot):
                return not_open(command, execution_id, self)
            return Decision([], self, rejected("already_ended", "the execution has ended already"))
        why = f"version {self.workflow_version} of workflow {self.workflow_id} cannot be run by this LinkFlow any more"
        failed = ExecutionFailed(error=ErrorInfo(code=CODE, message=why), at=now)
        ending = Ending(
            execution_id=execution_id,
            workflow_id=self.workflow_id,
            workflow_version=self.workflow_version,
            workflow_name="",
            trigger_type=self.trigger_type,
            priority=self.priority,
            queued_at=self.queued_at,
            told=self.told,
            last_node=None,
        )
        return Decision([failed], self.after([failed]), commands=consequences(ending, failed, links))
