"""Running an execution again: from its start, or from where it failed, on the same or another version.

What is refused is refused here, before anything is in the log; the worker checks the same once more when it decides.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec

from domain.errors import DomainError
from domain.execution.commands import TakenRun
from domain.execution.events import Items, Source
from domain.execution.resuming import DoesNotFit, check_fit
from domain.workflow.document import parse_document
from domain.workflow.graph import Graph, compile_workflow
from projections.executions.queries import ExecutionRow
from projections.node_executions.queries import NodeExecutionRow
from projections.workflows.queries import WorkflowRow
from services.api.parts import Parts
from services.api.problems import Problem, not_found
from services.api.results import CLOSED
from services.api.starts import Start

MAX_TAKEN_RUNS = 1_000
MAX_TAKEN_BYTES = 20_000_000
"""What is taken over goes through one command and one commit."""
_STOPPED = frozenset({"failed", "outcome_unknown", "cancelled"})

_decode_variables = msgspec.json.Decoder(dict[str, Any]).decode
_decode_items = msgspec.json.Decoder(Items).decode
_decode_outputs = msgspec.json.Decoder(dict[str, Items]).decode
_decode_sources = msgspec.json.Decoder(list[Source]).decode


class RetryRequest(msgspec.Struct, forbid_unknown_fields=True):
    """`from`: the start, or the failed node (what ran before is taken over); `version`: same, newest, or a number."""

    origin: Literal["start", "failed_node"] = msgspec.field(name="from", default="start")
    version: Literal["same", "newest"] | Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] = "same"


async def plan_retry(parts: Parts, row: ExecutionRow, asked: RetryRequest) -> Start:
    """The start of the execution that runs `row` again. Problems: 404 for a version that is not there, 409
    `workflow_archived`, `input_gone`, `not_ended`, `nothing_failed`, `node_missing`, `version_does_not_fit`,
    `output_gone`, `too_much_to_take_over`."""
    version = await _version(parts, row, asked)
    graph = await graph_of(parts, row.workspace_id, row.workflow_id, version)
    if graph.trigger(row.trigger_node) is None:
        raise _missing(row.trigger_node, "started", version, "it is no trigger there, or it is disabled")
    text, variables = await parts.reads.whole(row.workspace_id, [row.input, row.variables])
    if text is None:
        raise Problem(409, "input_gone", "The input of this execution is not kept any more.")
    goes_on = asked.origin == "failed_node"
    taken = await _taken_runs(parts, row, graph, version) if goes_on else []
    return Start(
        row.workflow_id,
        version,
        row.trigger_node,
        row.trigger_type,
        _decode_items(text.encode()),
        graph.document.settings.priority,
        retry_of=row.id,
        taken_runs=taken,
        variables=_decode_variables((variables or "{}").encode()) if goes_on else {},
    )


async def startable(parts: Parts, workspace: str, workflow_id: str) -> WorkflowRow:
    """A workflow of which something may start. Problems: 404, 409 `workflow_archived`."""
    workflow = await parts.bindings.workflow(workspace, workflow_id)
    if workflow is None:
        raise not_found("workflow")
    if workflow.status == "archived":
        raise Problem(409, "workflow_archived", "This workflow is archived: nothing of it starts any more.")
    return workflow


async def _version(parts: Parts, row: ExecutionRow, asked: RetryRequest) -> int:
    workflow = await startable(parts, row.workspace_id, row.workflow_id)
    if asked.version == "newest":
        return workflow.version
    return row.workflow_version if asked.version == "same" else asked.version


async def graph_of(parts: Parts, workspace: str, workflow_id: str, version: int) -> Graph:
    """A version, compiled. Problems: 404 if there is none, 409 `workflow_version_unreadable`."""
    document = await parts.reads.document(workspace, workflow_id, version)
    if document is None:
        raise not_found("version of this workflow")
    try:
        return compile_workflow(parse_document(msgspec.json.decode(document)))
    except DomainError as error:
        why = f"Version {version} cannot be run by this LinkFlow any more: {error}."
        raise Problem(409, "workflow_version_unreadable", why) from None


async def _taken_runs(parts: Parts, row: ExecutionRow, graph: Graph, version: int) -> list[TakenRun]:
    if row.status not in CLOSED:
        raise Problem(409, "not_ended", f"This execution is {row.status}: it can be retried once it has ended.")
    if row.status == "completed":
        raise Problem(409, "nothing_failed", 'This execution completed; run it again with "from": "start".')
    runs = await parts.reads.node_runs(row.workspace_id, row)
    done = sorted((run for run in runs if run.status == "completed"), key=lambda run: run.ended_seq or run.seq)
    stopped = [run for run in runs if run.status in _STOPPED]
    for run in stopped:
        if run.node_id not in graph.by_id:
            raise _missing(run.node_id, "did not complete", version, "it was renamed or removed")
    if len(done) > MAX_TAKEN_RUNS:
        raise _too_much(f"{len(done)} node runs; {MAX_TAKEN_RUNS} can be")
    texts = await parts.reads.whole(row.workspace_id, [run.output for run in done])
    if any(text is None for text in texts):
        raise Problem(409, "output_gone", "The outputs of this execution are not kept any more.")
    if sum(len(text or "") for text in texts) > MAX_TAKEN_BYTES:
        raise _too_much(f"more than {MAX_TAKEN_BYTES} bytes of outputs")
    taken = [_taken(run, text or "{}") for run, text in zip(done, texts, strict=True)]
    _check(row, graph, version, taken, stopped)
    return taken


def _taken(run: NodeExecutionRow, output: str) -> TakenRun:
    return TakenRun(
        node=run.node_id,
        run=run.run,
        outputs=_decode_outputs(output.encode()),
        sources=_decode_sources((run.sources or "[]").encode()),
        attempts=run.attempts,
    )


def _check(
    row: ExecutionRow, graph: Graph, version: int, taken: Sequence[TakenRun], stopped: Sequence[NodeExecutionRow]
) -> None:
    """Taken over, the recorded runs must lead to the ones that failed: in this version too."""
    if not taken:
        return
    try:
        state = check_fit(row.id, graph, row.trigger_node, taken)
    except DoesNotFit as error:
        raise _does_not_fit(error.node, version, str(error)) from None
    queued = {(ready.node, ready.run) for ready in state.queue}
    for run in stopped:
        if run.status != "cancelled" and (graph.by_id[run.node_id].index, run.run) not in queued:
            raise _does_not_fit(run.node_id, version, f"node {run.node_id!r} failed, and would not run next there")


def _does_not_fit(node: str, version: int, why: str) -> Problem:
    return Problem(
        409,
        "version_does_not_fit",
        f'Version {version} cannot go on where this execution failed: {why}. Use "from": "start", or the same version.',
        extra={"node_id": node},
    )


def _missing(node: str, what: str, version: int, why: str) -> Problem:
    return Problem(
        409,
        "node_missing",
        f"Node {node!r} {what} in this execution, and version {version} does not have it: {why}. "
        'Use "version": "same", or start the workflow anew.',
        extra={"node_id": node},
    )


def _too_much(what: str) -> Problem:
    return Problem(409, "too_much_to_take_over", f'This execution has {what} taken over at most. Use "from": "start".')


def retry_body() -> dict[str, Any]:
    """The body, for the OpenAPI document."""
    version = {"anyOf": [{"enum": ["same", "newest"]}, {"type": "integer", "minimum": 1}], "default": "same"}
    return {
        "requestBody": {
            "required": False,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": {
                            "from": {"enum": ["start", "failed_node"], "default": "start"},
                            "version": version,
                        },
                    },
                    "example": {"from": "start", "version": "same"},
                }
            },
        }
    }
