"""`webhook`: starts when its address is called."""

from domain.inbox.rules import FIELDS, read_rules
from domain.nodes.node_type import NodeType, Operation, Trigger
from domain.nodes.parameters import Parameter, Parameters

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")


def _bind(parameters: Parameters) -> Operation:
    given = {name: parameters.plain(name) for name in ("respond", *FIELDS) if parameters.given(name)}
    for field, message in read_rules(given).problems:
        parameters.refuse(field, message)
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
        Parameter(
            "dedup",
            "object",
            'Starts once for all deliveries with the same key: {"key": "{{ $json.body.id }}", "ttl_seconds": 86400}.',
            expression=False,
        ),
        Parameter(
            "throttle",
            "object",
            "At most so many begin in any period, of all or of each key: limit, period_seconds, key, excess. What is "
            "too much is refused with 429 (refuse, the default) or begins later (delay).",
            expression=False,
        ),
        Parameter(
            "debounce",
            "object",
            "Starts with the last delivery, once none has come for so long, of all or of each key: seconds, key, "
            "max_wait_seconds.",
            expression=False,
        ),
    ),
)
