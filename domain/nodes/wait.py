"""`wait` and `approval`: the course of an execution stands still until a time, a call, or a person's word."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from domain.expressions import Scope
from domain.nodes.failures import BAD_PARAMETER, NodeFailure
from domain.nodes.node_type import MAIN, AwaitedCall, NodeType, Operation, Wait
from domain.nodes.parameters import Parameter, Parameters
from domain.nodes.webhook import METHODS

MAX_WAIT_SECONDS: Final = 10 * 366 * 86_400
MAX_CALL_SECONDS: Final = 366 * 86_400
WEEK: Final = 7 * 86_400
TIMEOUT: Final = "timeout"
APPROVED: Final = "approved"
REJECTED: Final = "rejected"


def _bind_wait(parameters: Parameters) -> Operation:
    called = bool(parameters.plain("webhook"))
    if [parameters.given("seconds"), parameters.given("until"), called].count(True) != 1:
        parameters.refuse("seconds", "give one of seconds, until and webhook: true")
    if called:
        port = TIMEOUT if parameters.plain("on_timeout") == TIMEOUT else MAIN
        outputs = (MAIN, TIMEOUT) if port == TIMEOUT else (MAIN,)
        call = AwaitedCall("webhook", port, method=parameters.plain("method"))
        return Wait(_limit(parameters), call, outputs=outputs)
    seconds_of, until_of = parameters.evaluator("seconds"), parameters.evaluator("until")
    if parameters.given("until"):
        return Wait(lambda scope, _now: _instant(until_of(scope), scope.timezone))
    return Wait(lambda scope, now: now + round(seconds_of(scope) * 1000))


def _bind_approval(parameters: Parameters) -> Operation:
    port = TIMEOUT if parameters.plain("on_timeout") == TIMEOUT else REJECTED
    outputs = (APPROVED, REJECTED, TIMEOUT) if port == TIMEOUT else (APPROVED, REJECTED)
    call = AwaitedCall("approval", port, parameters.evaluator("title"), parameters.evaluator("message"))
    return Wait(_limit(parameters), call, outputs=outputs)


def _limit(parameters: Parameters) -> Callable[[Scope, int], int]:
    limit_of = parameters.evaluator("limit_seconds")
    return lambda scope, now: now + round(limit_of(scope) * 1000)


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


def _limit_parameter(docs: str) -> Parameter:
    return Parameter("limit_seconds", "number", docs, minimum=1, maximum=MAX_CALL_SECONDS, default=WEEK)


WAIT = NodeType(
    "wait",
    "Wait",
    "Parks its items for some seconds, until a time, or until its address is called. The workflow's time-out stands "
    "still meanwhile. The address is `{{ $execution.resume_url }}` in any node before it (with several such nodes "
    "`{{ $execution.resume_urls['id of the wait'] }}`): it works once, for the next run of this node. The item is then "
    "what was called with: body, query, headers, method.",
    _bind_wait,
    (
        Parameter("seconds", "number", "How long to wait.", minimum=0, maximum=MAX_WAIT_SECONDS, default=0),
        Parameter(
            "until",
            "any",
            "When the wait is over: ISO date and time (without an offset in the workflow's time zone), or milliseconds "
            "since 1970.",
        ),
        Parameter("webhook", "boolean", "true: until the address is called.", default=False, expression=False),
        Parameter(
            "method",
            "text",
            "With webhook: the HTTP method of the call, or ANY. Programs that look at links in messages send GET.",
            default="POST",
            expression=False,
            choices=(*(method for method in METHODS if method != "HEAD"), "ANY"),
        ),
        _limit_parameter("With webhook: how long to wait for the call."),
        Parameter(
            "on_timeout",
            "text",
            "With webhook, if no call came: continue: the items go on; timeout: they go to the output `timeout`.",
            default="continue",
            expression=False,
            choices=("continue", TIMEOUT),
        ),
    ),
    outputs_vary=True,
)
APPROVAL = NodeType(
    "approval",
    "Approval",
    "Parks its items until a person approves or rejects. Send `{{ $execution.resume_url }}` (with several such nodes "
    "`{{ $execution.resume_urls['id of the approval'] }}`) to that person before: it opens a page with two buttons, or "
    'takes a POST of `{"approved": true, "comment": "…"}`; looking at it decides nothing. Each item goes on with '
    "`approval: {approved, comment, decided_at}`. The workflow's time-out stands still meanwhile.",
    _bind_approval,
    (
        Parameter("title", "text", "What the page asks.", default="Do you approve?", longest=200),
        Parameter("message", "text", "What the page says below, as text.", default="", longest=10_000),
        _limit_parameter("How long to wait."),
        Parameter(
            "on_timeout",
            "text",
            "If nobody decides: rejected, or the output `timeout`.",
            default=REJECTED,
            expression=False,
            choices=(REJECTED, TIMEOUT),
        ),
    ),
    routes=True,
    outputs_vary=True,
)
