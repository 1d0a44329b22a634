"""`manual`: starts when someone asks."""

from domain.nodes.node_type import NodeType, Operation, Trigger
from domain.nodes.parameters import Parameters


def _bind(_parameters: Parameters) -> Operation:
    return Trigger()


MANUAL = NodeType(
    "manual", "Manual trigger", "Starts when someone executes the workflow; its items are the input.", _bind
)
