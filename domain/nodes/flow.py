"""`noop`, `stop_and_error`, `loop`: the course of an execution."""

from domain.execution.events import Item, Items
from domain.expressions import Scope
from domain.nodes.failures import NodeFailure
from domain.nodes.node_type import MAIN, Loop, NodeType, Operation, Output, Pure, map_items
from domain.nodes.parameters import Parameter, Parameters

MAX_BATCH = 1_000_000


def _bind_noop(_parameters: Parameters) -> Operation:
    return Pure(lambda run: Output({MAIN: run.items}))


def _bind_stop(parameters: Parameters) -> Operation:
    message_of = parameters.evaluator("message")

    def stop(scope: Scope, _item: Item) -> Items:
        raise NodeFailure("stop_and_error", message_of(scope))

    return Pure(lambda run: map_items(run, stop))


def _bind_loop(parameters: Parameters) -> Operation:
    return Loop(int(parameters.plain("batch_size")))


NOOP = NodeType("noop", "No operation", "Hands its input on.", _bind_noop)
STOP_AND_ERROR = NodeType(
    "stop_and_error",
    "Stop and error",
    "Fails with a message of yours.",
    _bind_stop,
    (Parameter("message", "text", "What the error says.", required=True),),
)
LOOP = NodeType(
    "loop",
    "Loop",
    "Puts its items out in batches on `loop`, one after the other; at the end what came back on `done`.",
    _bind_loop,
    (Parameter("batch_size", "integer", "Items a batch.", default=1, expression=False, minimum=1, maximum=MAX_BATCH),),
    can_be_disabled=False,
)
