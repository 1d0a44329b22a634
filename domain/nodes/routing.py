"""`if`, `switch`, `filter`: send items one way or another."""

from domain.execution.events import Items
from domain.expressions import ExpressionError, truthy
from domain.nodes.node_type import MAIN, Failure, NodeType, Operation, Output, Pure, Run, failure_of
from domain.nodes.parameters import Parameter, Parameters

_RULES = 100
_CONDITION = Parameter("condition", "any", "What is decided by JavaScript truthiness.", required=True)


def _bind_if(parameters: Parameters) -> Operation:
    evaluate = parameters.compiled("condition").evaluate

    def run(run: Run) -> Output:
        scope = run.scope
        yes: Items = []
        no: Items = []
        failures: list[Failure] = []
        for index, item in enumerate(run.items):
            scope.json = item["json"]
            scope.item_index = index
            try:
                (yes if truthy(evaluate(scope)) else no).append(item)
            except ExpressionError as error:
                failures.append(failure_of(error, index, 0))
        return Output({"true": yes, "false": no}, failures)

    return Pure(run, ("true", "false"))


def _bind_filter(parameters: Parameters) -> Operation:
    evaluate = parameters.compiled("condition").evaluate

    def run(run: Run) -> Output:
        scope = run.scope
        kept: Items = []
        failures: list[Failure] = []
        for index, item in enumerate(run.items):
            scope.json = item["json"]
            scope.item_index = index
            try:
                if truthy(evaluate(scope)):
                    kept.append(item)
            except ExpressionError as error:
                failures.append(failure_of(error, index, len(kept)))
        return Output({MAIN: kept}, failures)

    return Pure(run)


def _bind_switch(parameters: Parameters) -> Operation:
    rows = parameters.rows("rules")
    if not rows:
        parameters.refuse("rules", "needs at least one rule {output, condition}")
    if len(rows) > _RULES:
        parameters.refuse("rules", f"may have at most {_RULES} rules")
    rules = [(row.plain("output") or "", row.compiled("condition").evaluate) for row in rows]
    fallback = parameters.plain("fallback")
    every = parameters.plain("all_matches")
    names = [output for output, _ in rules] + ([fallback] if fallback else [])
    outputs = tuple(dict.fromkeys(names))
    if any(not name or len(name) > 100 for name in outputs):
        parameters.refuse("rules", "every output needs a name of 1 to 100 characters")

    def run(run: Run) -> Output:
        scope = run.scope
        ports: dict[str, Items] = {name: [] for name in outputs}
        failures: list[Failure] = []
        for index, item in enumerate(run.items):
            scope.json = item["json"]
            scope.item_index = index
            try:
                matched: list[str] = []
                for output, evaluate in rules:
                    if truthy(evaluate(scope)):
                        matched.append(output)
                        if not every:
                            break
            except ExpressionError as error:
                failures.append(failure_of(error, index, len(ports.get(MAIN, ()))))
                continue
            for output in matched or ([fallback] if fallback else []):
                ports[output].append(item)
        return Output(ports, failures)

    return Pure(run, outputs, weight=max(1, len(rules)))


IF = NodeType(
    "if", "If", "Sends each item to `true` or `false`, by its condition.", _bind_if, (_CONDITION,), routes=True
)
FILTER = NodeType("filter", "Filter", "Keeps the items whose condition is truthy.", _bind_filter, (_CONDITION,))
SWITCH = NodeType(
    "switch",
    "Switch",
    "Sends each item to the output of the first rule whose condition is truthy, else to the fallback, if there is one.",
    _bind_switch,
    (
        Parameter(
            "rules",
            "rows",
            "The rules in order.",
            required=True,
            of=(
                Parameter("output", "text", "The output port.", required=True, expression=False),
                _CONDITION,
            ),
        ),
        Parameter("fallback", "text", "The output of items that no rule matches; none drops them.", expression=False),
        Parameter("all_matches", "boolean", "To every matching rule's output.", default=False, expression=False),
    ),
    routes=True,
)
