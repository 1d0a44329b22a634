"""Trying again inside an execution: because the node's `retry` says so, or because the system itself failed.

The node's tries are the user's; the three that the system has (`SYSTEM_RETRIES`, in a row, anew after anything was
finished) get over what no node is to blame for: a worker that stopped, a compute process that died, an error in here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.execution.events import ExecutionRecovered, RetryScheduled
from domain.nodes.failures import NodeFailure
from domain.nodes.node_type import Output
from domain.retries import EXECUTION_JOB, covers, delay_ms
from domain.workflow.graph import Node

if TYPE_CHECKING:
    from domain.execution.course import Course
    from domain.execution.state import EffectRun, Ready

SYSTEM_RETRIES = EXECUTION_JOB.retry.attempts - 1
SYSTEM_FAILURES = frozenset({"internal_error", "compute_failed", "sandbox_failed"})
"""Codes of failures that no node and no other service is to blame for."""
INTERRUPTED = "interrupted"
MOST_RESUME_WAIT_MS = 60_000


def node_tries_again(node: Node, retries: int, failed: NodeFailure) -> bool:
    """Whether the node's policy has another try after `retries` of them, for this failure."""
    policy = node.document.retry
    return retries + 1 < policy.attempts and covers(
        policy, failed.code, retriable=failed.retriable, status=failed.status
    )


def system_tries_again(course: Course, code: str) -> bool:
    """Whether the system has another try for a failure of its own."""
    return code in SYSTEM_FAILURES and course.state.setbacks < SYSTEM_RETRIES


def resume_wait(setbacks: int) -> int:
    """Milliseconds before a new owner does again what was cut off. At once, three times in a row; then later and later,
    should it be what takes the workers down. That workers end is no fault of the execution: it goes on, until its own
    time is over."""
    return (
        min(1_000 * 2 ** min(setbacks - SYSTEM_RETRIES, 30), MOST_RESUME_WAIT_MS) if setbacks >= SYSTEM_RETRIES else 0
    )


def recover(course: Course, reason: str) -> int:
    """Record that the system failed and the execution goes on; the wait in ms before what failed is done again."""
    state = course.state
    wait = delay_ms(EXECUTION_JOB.retry, state.setbacks)
    course.emit(
        ExecutionRecovered(at=course.now, reason=reason, count=state.recoveries + 1, in_a_row=state.setbacks + 1)
    )
    return wait


def node_delay(course: Course, node: Node, run: EffectRun) -> int:
    """Milliseconds until the next try of an effect run."""
    return delay_ms(node.document.retry, run.retries, course.state.id, node.id, run.run)


def hold_pure_run(course: Course, node: Node, ready: Ready, output: Output) -> bool:
    """A run without effects failed: whether it is done again, in its place in the queue, and when.

    All of it is: it has done nothing to the world. With `on_error: fail` one failure that stays would end it anyway.
    """
    key = ready.node, ready.run
    in_the_pool = node.kind in {"pure", "merge"} or (bool(node.foreign) and key not in course.state.prepared)
    if not in_the_pool:
        return False
    held = course.state.held
    retries = held.retries if held is not None and held[:2] == key else 0
    codes = [failure.code for failure in output.failures]
    if all(system_tries_again(course, code) for code in codes):
        _hold(course, node, ready, course.now + recover(course, codes[0]), system=True)
        return True
    fits = [node_tries_again(node, retries, _retriable(code)) for code in codes]
    if not (all(fits) if node.on_error == "fail" else any(fits)):
        return False
    wait = delay_ms(node.document.retry, retries, course.state.id, node.id, ready.run)
    _hold(course, node, ready, course.now + wait, system=False)
    return True


def _retriable(code: str) -> NodeFailure:
    """Computing the same again gives the same, unless it was the machine that failed, or time that ran out."""
    return NodeFailure(code, "", retriable=code in SYSTEM_FAILURES or code == "timeout")


def _hold(course: Course, node: Node, ready: Ready, due: int, *, system: bool) -> None:
    course.emit(RetryScheduled(node=node.id, run=ready.run, due=due, indexes=[], system=system))
    course.wake_at(due)
