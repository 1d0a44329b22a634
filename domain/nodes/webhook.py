"""`webhook`: starts when its address is called."""

from domain.nodes.node_type import NodeType, Operation, Trigger
from domain.nodes.parameters import Parameter, Parameters

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")


def _bind(parameters: Parameters) -> Operation:
    return Trigger(method=parameters.plain("method"), respond=parameters.plain("respond"))


WEBHOOK = NodeType(
    "webhook",
    "Webhook",
    "Starts when its address is called. The item: body, query, headers, method, params. Files of a form, or a body "
    "that is one, are in the item's `binary`, by the name of their field (`data` for a body).",
    _bind,
    (
        Parameter(
            "method", "text", "The HTTP method, or ANY.", default="POST", expression=False, choices=(*METHODS, "ANY")
        ),
        Parameter(
            "respond",
            "text",
            "at_once: 202 with the execution's id; when_done: the last items; with_node: what a respond node says.",
            default="at_once",
            expression=False,
            choices=("at_once", "when_done", "with_node"),
        ),
    ),
)
