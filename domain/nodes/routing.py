"""`if`, `switch`, `filter`: send items one way or another."""

from typing import Any

from domain.execution.events import Items
from domain.expressions import UNDEFINED, ExpressionError, truthy
from domain.nodes.failures import NodeFailure
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
    if parameters.given("output"):
        return _bind_computed(parameters)
    rows = parameters.rows("rules")
    if not rows:
        parameters.refuse("rules", "needs at least one rule {output, condition}, unless an output is given")
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


def _bind_computed(parameters: Parameters) -> Operation:
    """The output is what an expression gives: a name, or a number from 0 on."""
    if parameters.given("rules") or parameters.plain("all_matches"):
        parameters.refuse("output", "cannot be given beside rules or all_matches")
    names, fallback = parameters.plain("outputs"), parameters.plain("fallback")
    if not names or not all(isinstance(name, str) and 0 < len(name) <= 100 for name in names):
        parameters.refuse("outputs", 'names the outputs to choose from, such as ["small", "large"]')
        names = []
    if len(names) > _RULES or len(set(names)) < len(names):
        parameters.refuse("outputs", f"may have at most {_RULES} outputs, no two of one name")
    evaluate = parameters.compiled("output").evaluate_json
    outputs = tuple(dict.fromkeys([*names, *([fallback] if fallback else [])]))

    def chosen(value: Any) -> str:
        if isinstance(value, str) and value in names:
            return value
        if type(value) in {int, float} and value in range(len(names)):
            return str(names[int(value)])
        if fallback:
            return str(fallback)
        shown = "nothing" if value is None or value is UNDEFINED else repr(value)[:60]
        raise NodeFailure("no_such_output", f"parameter 'output' gave {shown}; the outputs are {', '.join(names)}")

    def run(run: Run) -> Output:
        scope = run.scope
        ports: dict[str, Items] = {name: [] for name in outputs}
        failures: list[Failure] = []
        for index, item in enumerate(run.items):
            scope.json = item["json"]
            scope.item_index = index
            try:
                ports[chosen(evaluate(scope))].append(item)
            except (ExpressionError, NodeFailure) as error:
                failures.append(failure_of(error, index, len(ports.get(MAIN, ()))))
        return Output(ports, failures)

    return Pure(run, outputs)


IF = NodeType(
    "if", "If", "Sends each item to `true` or `false`, by its condition.", _bind_if, (_CONDITION,), routes=True
)
FILTER = NodeType("filter", "Filter", "Keeps the items whose condition is truthy.", _bind_filter, (_CONDITION,))
SWITCH = NodeType(
    "switch",
    "Switch",
    "Sends each item to the output of the first rule whose condition is truthy, or to the one that an expression "
    "names; else to the fallback. Without one, rules drop the item and an expression fails it.",
    _bind_switch,
    (
        Parameter(
            "rules",
            "rows",
            "The rules in order. Either these or output.",
            of=(
                Parameter("output", "text", "The output port.", required=True, expression=False),
                _CONDITION,
            ),
        ),
        Parameter("fallback", "text", "The output of items that no rule matches; none drops them.", expression=False),
        Parameter("output", "any", "Instead of rules: the output's name, or its number from 0 on, by an expression."),
        Parameter("outputs", "list", "With output: the names to choose from.", default=[], expression=False),
        Parameter("all_matches", "boolean", "To every matching rule's output.", default=False, expression=False),
    ),
    routes=True,
    outputs_vary=True,
)
