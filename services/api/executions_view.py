"""Executions as clients see them, spliced from the rows' JSON text: what is large is never decoded deeply."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from projections.executions.queries import ExecutionRow, ExecutionSummary
from projections.node_executions.queries import NodeExecutionRow, NodeLogsRow
from services.api.reads import Reads
from services.api.results import CLOSED

Ports = dict[str, list[msgspec.Raw]]

_decode_ports = msgspec.json.Decoder(Ports).decode
_decode_sources = msgspec.json.Decoder(list[tuple[str, int, str, str]]).decode


class _NodeId(msgspec.Struct):
    id: str


class _Nodes(msgspec.Struct):
    nodes: list[_NodeId] = []


_decode_nodes = msgspec.json.Decoder(_Nodes).decode


def time_text(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC with milliseconds."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def raw(text: str | None) -> msgspec.Raw | None:
    return None if text is None else msgspec.Raw(text.encode())


def summary(row: ExecutionSummary) -> dict[str, Any]:
    """One line of a list."""
    return {
        "id": row.id,
        "workflow_id": row.workflow_id,
        "workflow_version": row.workflow_version,
        "status": row.status,
        "trigger_type": row.trigger_type,
        "priority": row.priority,
        "retry_of": row.retry_of,
        "retry_count": row.retry_count,
        "parent_id": row.parent_id,
        "delivery_id": row.delivery_id,
        "recoveries": row.recoveries,
        "error": raw(row.error),
        "queued_at": time_text(row.queued_at),
        "started_at": time_text(row.started_at),
        "completed_at": time_text(row.completed_at),
    }


class _LogLine(msgspec.Struct):
    level: str
    text: str
    item: int | None = None


_decode_logs = msgspec.json.Decoder(list[_LogLine]).decode


def log_lines(row: NodeLogsRow) -> list[dict[str, Any]]:
    """What a run's code logged, line by line."""
    return [
        {
            "node_id": row.node_id,
            "run": row.run,
            "item": line.item,
            "level": line.level,
            "text": line.text,
            "at": time_text(row.completed_at),
        }
        for line in _decode_logs(row.logs.encode())
    ]


class ExecutionsView:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def detail(self, row: ExecutionRow) -> bytes:
        """The whole execution as JSON: with its node runs in order, skipped nodes once it has ended."""
        workspace = row.workspace_id
        runs = await self._reads.node_runs(workspace, row)
        given, output, variables, *made = await self._reads.whole(
            workspace, [row.input, row.output, row.variables, *(run.output for run in runs)]
        )
        outputs = [_ports(text) for text in made]
        nodes = _node_views(runs, outputs)
        if row.status in CLOSED:
            nodes += await self._skipped(row, {run.node_id for run in runs})
        shown = summary(row)
        shown |= {
            "retries": await self._reads.repeats(workspace, row.id),
            "trigger_node": row.trigger_node,
            "variables": raw(variables),
            "input": raw(given),
            "output": raw(output),
            "node_executions": nodes,
        }
        return msgspec.json.encode(shown)

    async def _skipped(self, row: ExecutionRow, ran: set[str]) -> list[dict[str, Any]]:
        document = await self._reads.document(row.workspace_id, row.workflow_id, row.workflow_version)
        if document is None:
            return []
        return [
            _view(node.id, 0, "skipped", 0, {}, None, None, None, None, None, False, None)
            for node in _decode_nodes(document).nodes
            if node.id not in ran
        ]


def _node_views(runs: Sequence[NodeExecutionRow], outputs: Sequence[Ports | None]) -> list[dict[str, Any]]:
    by_run = {(run.node_id, run.run): ports for run, ports in zip(runs, outputs, strict=True)}
    return [
        _view(
            run.node_id,
            run.run,
            run.status,
            run.attempts,
            _joined_input(run, by_run),
            ports,
            raw(run.error),
            run.started_at,
            run.completed_at,
            raw(run.asked),
            run.taken,
            awaited_call(run),
        )
        for run, ports in zip(runs, outputs, strict=True)
    ]


def _view(
    node_id: str,
    run: int,
    status: str,
    attempts: int,
    given: Ports | None,
    output: Ports | None,
    error: msgspec.Raw | None,
    started_at: datetime | None,
    completed_at: datetime | None,
    asked: msgspec.Raw | None,
    taken: bool,
    waits_for: dict[str, Any] | None,
) -> dict[str, Any]:
    return {
        "node_id": node_id,
        "run": run,
        "status": status,
        "attempts": attempts,
        "input": given,
        "output": output,
        "error": error,
        "asked": asked,
        "taken": taken,
        "waits_for": waits_for,
        "started_at": time_text(started_at),
        "completed_at": time_text(completed_at),
    }


class _Awaits(msgspec.Struct):
    due: int | None
    kind: str
    title: str
    message: str


_decode_awaits = msgspec.json.Decoder(_Awaits).decode


def awaited_call(run: NodeExecutionRow) -> dict[str, Any] | None:
    """What a parked run waits for, {kind: time, webhook, approval or retry, until, title, message}; None: nothing."""
    if run.awaits is None:
        return None
    awaits = _decode_awaits(run.awaits.encode())
    until = None if awaits.due is None else time_text(datetime.fromtimestamp(awaits.due / 1_000, UTC))
    return {"kind": awaits.kind, "until": until, "title": awaits.title, "message": awaits.message}


def _joined_input(run: NodeExecutionRow, by_run: dict[tuple[str, int], Ports | None]) -> Ports | None:
    """What the run was given, from the outputs of the runs that its sources name."""
    if run.sources is None:
        return None
    given: Ports = {}
    for node, index, port, name in _decode_sources(run.sources.encode()):
        ports = by_run.get((node, index), {})
        if ports is None:
            return None  # its payloads are not kept any more
        given.setdefault(name, []).extend(ports.get(port, ()))
    return given


def _ports(text: str | None) -> Ports | None:
    return None if text is None else _decode_ports(text.encode())
