"""What a node run asks of the sandbox: its code, or its expressions that the closed evaluator does not cover."""

from typing import Any

import msgspec

from domain.execution.calls import resume_facts
from domain.execution.events import Items
from domain.execution.links import NO_LINKS, Links
from domain.execution.runs import execution_facts, items_of, workflow_facts
from domain.execution.state import Execution, Foreign
from domain.expressions.datetimes import DateTime
from domain.nodes.failures import NodeFailure
from domain.scripts import ScriptCall, read_answer
from domain.workflow.graph import Graph, Node

EXPRESSION_SECONDS = 5.0
MOST_SECONDS = 600.0

_encode = msgspec.json.Encoder().encode


def script_call(
    state: Execution, node_id: str, run: int, graph: Graph, *, clock: int, links: Links = NO_LINKS
) -> ScriptCall | None:
    """What the sandbox has to run before this queued run can be done; None if it needs nothing of it, or does not wait
    any more. `clock`: ms since 1970, for `$now`."""
    node = graph.by_id[node_id]
    if not node.sandboxed:
        return None
    ready = next((ready for ready in state.queue if ready.node == node.index and ready.run == run), None)
    if ready is None:
        return None
    job = _job(state, graph, node, items_of(ready.deliveries), run, clock)
    job["execution"] = {**execution_facts(state), **resume_facts(state, graph, links, clock)}
    if node.script is not None:
        job |= {"mode": node.script.mode, "sources": [node.script.source]}
        key = f"{node.script.language}:{node.script.source}"
        seconds = min(node.timeout_seconds, MOST_SECONDS)
        return ScriptCall(node.script.language, node.script.mode, key, _encode(job), seconds)
    job |= {"mode": "expressions", "sources": list(node.foreign)}
    return ScriptCall("javascript", "expressions", "", _encode(job), EXPRESSION_SECONDS)


def _job(state: Execution, graph: Graph, node: Node, items: Items, run: int, clock: int) -> dict[str, Any]:
    now = DateTime(clock, graph.document.settings.timezone)
    today = now.start_of("day")
    asked = [other for other in graph.nodes if other.index in state.outputs and _asks(node, other.id)]
    return {
        "items": items,
        "nodes": {
            other.id: {
                "ports": state.outputs[other.index],
                "default": next((port for port in other.outputs if state.outputs[other.index].get(port)), None),
                "followed": other.followed,
            }
            for other in asked
        },
        "runs": [
            (graph.nodes[index].id, number, ports)
            for (index, number), ports in state.traced.items()
            if _asks(node, graph.nodes[index].id)
        ],
        "now": now.millis,
        "offset": _offset(now),
        "today": today.millis,
        "today_offset": _offset(today),
        "zone": graph.document.settings.timezone,
        "run": run,
        "workflow": workflow_facts(state, graph),
        "vars": state.variables,
    }


def _offset(at: DateTime) -> int:
    """Minutes from UTC."""
    offset = at.local.utcoffset()
    return round(offset.total_seconds() / 60) if offset is not None else 0


def _asks(node: Node, other: str) -> bool:
    return node.asks is None or other in node.asks


def foreign_values(node: Node, answer: bytes) -> Foreign:
    """The values of a node's foreign expressions. Raises NodeFailure: the sandbox could not evaluate them."""
    read = read_answer(answer)
    if read.error is not None:
        raise NodeFailure(read.error.code, read.error.message)
    if len(read.values) != len(node.foreign):
        raise NodeFailure("invalid_output", "the sandbox did not answer all expressions")
    return dict(zip(node.foreign, read.values, strict=True))


def failed_answer(code: str, message: str) -> bytes:
    """An answer that says why there is none."""
    return _encode({"error": {"code": code, "message": message}})
