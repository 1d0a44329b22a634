"""`respond`: answers the caller that waits for the execution."""

from domain.expressions import to_text
from domain.nodes.failures import BAD_PARAMETER, NodeFailure
from domain.nodes.node_type import MAIN, NodeType, Operation, Output, Pure, Response, Run, at_first
from domain.nodes.parameters import Parameter, Parameters


def _bind(parameters: Parameters) -> Operation:
    status_of, headers_of = parameters.evaluator("status"), parameters.evaluator("headers")
    body_of = parameters.evaluator("body") if parameters.given("body") else None

    def run(run: Run) -> Output:
        scope = at_first(run)
        headers = {name.lower(): to_text(value) for name, value in headers_of(scope).items()}
        for name, value in headers.items():
            if not name.isascii() or not name or any(sign in name + value for sign in "\r\n\0"):
                raise NodeFailure(BAD_PARAMETER, f"parameter 'headers': {name[:100]!r} cannot be sent")
        body = scope.json if body_of is None else body_of(scope)
        return Output({MAIN: run.items}, response=Response(int(status_of(scope)), headers, body))

    return Pure(run)


RESPOND = NodeType(
    "respond",
    "Respond",
    "Answers the caller with the first item, and hands its input on. A second answer changes nothing.",
    _bind,
    (
        Parameter("status", "integer", "The HTTP status.", default=200, minimum=200, maximum=599),
        Parameter("headers", "object", "HTTP headers.", default={}),
        Parameter("body", "any", "The body; without it the first item's json."),
    ),
)
