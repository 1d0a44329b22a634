"""All projections: an explicit table. A changed table or rule raises the projection's VERSION: it is rebuilt then."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType

from projections.blob_uses import projection as blob_uses
from projections.credentials import projection as credentials
from projections.dead_letters import projection as dead_letters
from projections.executions import projection as executions
from projections.facts import Commit
from projections.node_executions import projection as node_executions
from projections.operations import Operation, Table
from projections.positions import COMMIT_TOPIC
from projections.schedules import projection as schedules
from projections.sql import read_sql
from projections.subscriptions import projection as subscriptions
from projections.usage import projection as usage
from projections.variables import projection as variables
from projections.webhook_deliveries import projection as webhook_deliveries
from projections.webhooks import projection as webhooks
from projections.workflow_versions import projection as workflow_versions
from projections.workflows import projection as workflows
from projections.workspaces import projection as workspaces


@dataclass(frozen=True, slots=True)
class Projection:
    """A read model: folds the streams of `kind` from commit topic `topic`; its tables and rules."""

    name: str
    version: int
    kind: str
    topic: str
    tables: tuple[Table, ...]
    sql: str
    project: Callable[[Commit], list[Operation]]


def _projection(name: str, kind: str, lane: str, module: ModuleType) -> Projection:
    sql = read_sql(f"projections.{name}", "tables.sql")
    return Projection(name, module.VERSION, kind, COMMIT_TOPIC[lane], module.TABLES, sql, module.project)


PROJECTIONS: Mapping[str, Projection] = {
    each.name: each
    for each in (
        _projection("workspaces", "workspace", "aggregates", workspaces),
        _projection("workflows", "workflow", "aggregates", workflows),
        _projection("workflow_versions", "workflow", "aggregates", workflow_versions),
        _projection("webhooks", "workflow", "aggregates", webhooks),
        _projection("webhook_deliveries", "inbox", "aggregates", webhook_deliveries),
        _projection("credentials", "credential", "aggregates", credentials),
        _projection("variables", "variables", "aggregates", variables),
        _projection("dead_letters", "letter", "aggregates", dead_letters),
        _projection("subscriptions", "subscription", "aggregates", subscriptions),
        _projection("schedules", "schedule", "aggregates", schedules),
        _projection("executions", "execution", "executions", executions),
        _projection("node_executions", "execution", "executions", node_executions),
        _projection("usage", "execution", "executions", usage),
        _projection("blob_uses", "execution", "executions", blob_uses),
    )
}

TABLES: Mapping[str, Table] = {table.name: table for each in PROJECTIONS.values() for table in each.tables}
