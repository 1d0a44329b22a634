"""Waits that a call from outside ends: which address wakes them, and what the call makes of their items.

A link stands for one run of one node; who comes second finds that run gone. Its address is known before the run waits:
`$execution.resume_url` is that of the next run of the graph's first such node, `resume_urls` has all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from domain.decision import Outcome, rejected
from domain.execution.commands import ResumeWait
from domain.execution.endings import iso_time
from domain.execution.events import CallAwaited, Item, Items
from domain.execution.links import Links
from domain.execution.state import Execution, Waiting
from domain.expressions import Scope
from domain.nodes.node_type import MAIN, AwaitedCall, Wait
from domain.nodes.origins import ORIGIN, inherit
from domain.nodes.wait import APPROVED, REJECTED
from domain.workflow.graph import Graph, Node

if TYPE_CHECKING:
    from domain.execution.course import Course

_DAY_MS = 86_400_000
LINK_MS = 400 * _DAY_MS
"""A link expires so long after it was made; before that, with the wait that it is for."""


def resume_facts(state: Execution, graph: Graph, links: Links, now: int) -> dict[str, Any]:
    """What `$execution` shows beside the rest where the workflow waits for calls."""
    urls: dict[str, str] = {}
    expires = now // _DAY_MS * _DAY_MS + LINK_MS
    for node in graph.called:
        assert isinstance(node.operation, Wait)
        assert node.operation.call is not None
        run = state.runs.get(node.index, 0)
        url = links.resume(state.id, node.id, run, expires, node.operation.call.kind)
        if url is not None:
            urls[node.id] = url
    return {"resume_url": next(iter(urls.values())), "resume_urls": urls} if urls else {}


def awaited(call: AwaitedCall, scope: Scope) -> CallAwaited:
    """What is recorded, and shown to the person who is asked. Raises ExpressionError, NodeFailure."""
    title = call.title(scope) if call.title is not None else ""
    message = call.message(scope) if call.message is not None else ""
    return CallAwaited(kind=call.kind, title=title, message=message)


def resume(course: Course, command: ResumeWait) -> Outcome | None:
    """A call came. It is refused unless exactly this run waits for exactly such a call."""
    state = course.state
    node = course.graph.by_id.get(command.node)
    if state.closed:
        return rejected("resume_closed", f"the execution has ended already: {state.status}")
    if command.expires <= course.now:
        return rejected("resume_expired", "this link has expired")
    if node is None or not isinstance(node.operation, Wait) or node.operation.call is None:
        return rejected("resume_unknown", "nothing waits for a call there")
    waiting = state.waits.get((node.index, command.run))
    if waiting is None:
        queued = any((ready.node, ready.run) == (node.index, command.run) for ready in state.queue)
        if queued or command.run >= state.runs.get(node.index, 0):
            return rejected("resume_too_early", "the execution does not wait here yet; try again when it does")
        return rejected("resume_used", "this link was used already, or nobody used it in time")
    call = node.operation.call
    if call.kind != command.kind or (call.kind == "approval") != (command.approved is not None):
        return rejected("resume_wrong_kind", f"what waits here is a {call.kind}")
    if call.kind == "webhook" and not _answers(call.method, command.method):
        return rejected("resume_wrong_method", call.method)
    course.unpark()
    course.complete_wait(waiting, _outputs(course, node, waiting, command))
    course.go_on()
    return None


def _answers(bound: str, method: str) -> bool:
    return bound in {method, "ANY"}


def _outputs(course: Course, node: Node, waiting: Waiting, command: ResumeWait) -> dict[str, Items]:
    items = waiting.delivery.items
    if command.approved is None:
        return {MAIN: [inherit(dict(item), *items) for item in command.items]}
    port = APPROVED if command.approved else REJECTED
    decided = {"approved": command.approved, "comment": command.comment, "decided_at": iso_time(course.now)}
    return {port: [_with_word(item, decided) for item in items]}


def out_of_time(call: AwaitedCall, waiting: Waiting, now: int) -> dict[str, Items]:
    """What goes on if nobody called in time."""
    items = waiting.delivery.items
    if call.kind == "approval" and call.timeout_port == REJECTED:
        word = {"approved": False, "comment": "", "decided_at": iso_time(now), "timed_out": True}
        items = [_with_word(item, word) for item in items]
    return {call.timeout_port: items}


def _with_word(item: Item, decided: dict[str, object]) -> Item:
    made: Item = {**item, "json": {**item["json"], "approval": decided}}
    return inherit(made, item) if ORIGIN in item else made
