"""Reads of node runs."""

from datetime import datetime

import msgspec

from projections.connection import Connection, as_uuid
from projections.sql import load_queries

_SQL = load_queries(__package__)


class NodeExecutionRow(msgspec.Struct, frozen=True):
    """One run of a node. `seq` grows in the order of first appearance (it has gaps).

    `sources`: JSON text of a list of [node, run, port, input], None if not known; `output`: JSON text of items per
    port, or `{"$blob": id}`, None until it ended well; `error`: JSON text {code, message, node_id?}.
    `asked`: JSON text of the numbers of the items that wait for a verdict, None if none does; `awaits`: JSON text
    {due (ms), kind: time, webhook or approval, title, message} of a run that is parked; `taken`: its output was
    taken over from another execution; `ended_seq` orders the runs that completed by their ends.
    `status`: running, waiting, completed, failed, cancelled, outcome_unknown.
    """

    node_id: str
    run: int
    seq: int
    status: str
    attempts: int
    sources: str | None
    output: str | None
    error: str | None
    asked: str | None
    awaits: str | None
    taken: bool
    ended_seq: int | None
    started_at: datetime | None
    completed_at: datetime | None


async def list_node_executions(
    connection: Connection, workspace_id: str, execution_id: str, queued_at: datetime
) -> list[NodeExecutionRow]:
    """The runs of an execution in order. `queued_at` comes from its row (it names the month to look in)."""
    workspace, execution = as_uuid(workspace_id), as_uuid(execution_id)
    if workspace is None or execution is None:
        return []
    rows = await connection.fetch(_SQL["list_node_executions"], queued_at, execution, workspace)
    return [NodeExecutionRow(**{name: row[name] for name in NodeExecutionRow.__struct_fields__}) for row in rows]


class NodeLogsRow(msgspec.Struct, frozen=True):
    """What the code of one node run logged. `logs`: JSON text of a list of {level, text, item?}."""

    node_id: str
    run: int
    seq: int
    logs: str
    completed_at: datetime


async def list_logs(
    connection: Connection, workspace_id: str, execution_id: str, queued_at: datetime, *, after: int, limit: int
) -> list[NodeLogsRow]:
    """The logs of at most `limit` runs whose `seq` is above `after`, in order."""
    workspace, execution = as_uuid(workspace_id), as_uuid(execution_id)
    if workspace is None or execution is None:
        return []
    rows = await connection.fetch(_SQL["list_logs"], queued_at, execution, workspace, after, limit)
    return [NodeLogsRow(**{name: row[name] for name in NodeLogsRow.__struct_fields__}) for row in rows]
