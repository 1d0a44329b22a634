"""`noop`, `stop_and_error`, `loop`, `wait`: the course of an execution."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from domain.execution.events import Item, Items
from domain.expressions import Scope
from domain.nodes.failures import BAD_PARAMETER, NodeFailure
from domain.nodes.node_type import MAIN, Loop, NodeType, Operation, Output, Pure, Wait, map_items
from domain.nodes.parameters import Parameter, Parameters

MAX_WAIT_SECONDS = 10 * 366 * 86_400
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


def _bind_wait(parameters: Parameters) -> Operation:
    if parameters.given("webhook"):
        parameters.refuse("webhook", "waiting for a webhook is not available yet; use seconds or until")
    elif parameters.given("seconds") == parameters.given("until"):
        parameters.refuse("seconds", "give either seconds or until")
    seconds_of, until_of = parameters.evaluator("seconds"), parameters.evaluator("until")
    if parameters.given("until"):
        return Wait(lambda scope, _now: _instant(until_of(scope), scope.timezone))
    return Wait(lambda scope, now: now + round(seconds_of(scope) * 1000))


def _instant(value: Any, timezone: str) -> int:
    """Milliseconds since 1970 of a number of them or of an ISO date and time; without an offset it is local time."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return round(value)
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=ZoneInfo(timezone))
        return round(moment.timestamp() * 1000)
    except (TypeError, ValueError, OverflowError):
        shown = str(value)[:100]
        raise NodeFailure(
            BAD_PARAMETER, f"parameter 'until' must be a date and time such as 2030-01-31T08:00:00Z, not {shown!r}"
        ) from None


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
WAIT = NodeType(
    "wait",
    "Wait",
    "Parks its items for some seconds, or until a time. The workflow's time-out stands still meanwhile.",
    _bind_wait,
    (
        Parameter("seconds", "number", "How long to wait.", minimum=0, maximum=MAX_WAIT_SECONDS, default=0),
        Parameter("until", "any", "When the wait is over: ISO date and time, or milliseconds since 1970."),
        Parameter("webhook", "any", "Not available yet."),
    ),
)
