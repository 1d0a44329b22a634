"""`error_trigger`: starts when an execution of a workflow that names this one as its `error_workflow` fails."""

from domain.nodes.node_type import NodeType, Operation, Trigger
from domain.nodes.parameters import Parameters


def _bind(_parameters: Parameters) -> Operation:
    return Trigger()


ERROR_TRIGGER = NodeType(
    "error_trigger",
    "Error trigger",
    "Starts when an execution fails, times out or cannot be run whose workflow names this one in "
    "`settings.error_workflow`; not when one is cancelled. The item: "
    "`{execution: {id, url, status, error: {code, message, node_id}, last_node, retry_of, trigger_type, queued_at, "
    "failed_at}, workflow: {id, name, version}}`. What an error workflow fails with starts no error workflow.",
    _bind,
)
