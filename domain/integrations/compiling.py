"""From an integration's description to the node type that the engine runs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from domain.effects import Effect
from domain.execution.events import Item, Items
from domain.expressions import Scope
from domain.integrations.answers import as_items, found_at
from domain.integrations.errors import UNEXPECTED, failure_in, provider_code
from domain.integrations.pages import DEFAULT_LIMIT, LIMIT, MOST_ITEMS
from domain.integrations.paging import first_page, together
from domain.integrations.requests import holes, http_request
from domain.integrations.shape import ITEM, Integration, Operation, Request
from domain.nodes.failures import NodeFailure
from domain.nodes.node_type import Effects, NodeType, Variant
from domain.nodes.parameters import Parameter, Parameters

_VERDICT: Final = "verdict"
"""The value that stands for an unsafe effect of which a person said that it happened."""


def compile_integration(integration: Integration) -> NodeType:
    """The node type. Raises ValueError, naming the operation, for a description that contradicts itself."""
    variants = tuple(_variant(operation) for operation in integration.operations)
    _check(integration)
    return NodeType(
        integration.type,
        integration.title,
        integration.docs,
        lambda parameters: _bind(integration, parameters),
        _choosing(integration),
        effects=tuple(dict.fromkeys(variant.effect for variant in variants)),
        credential_types=integration.credential_types,
        credential_required=bool(integration.credential_types) and integration.credential_required,
        examples=integration.examples,
        variants=variants,
    )


def _choosing(integration: Integration) -> tuple[Parameter, ...]:
    operations = integration.operations
    names = tuple(dict.fromkeys(operation.name for operation in operations))
    operation = Parameter(
        "operation",
        "text",
        "What is done.",
        required=len(operations) > 1,
        default=names[0] if len(operations) == 1 else None,
        expression=False,
        choices=names,
    )
    if not operations[0].resource:
        return (operation,)
    resources = tuple(dict.fromkeys(operation.resource for operation in operations))
    return (
        Parameter("resource", "text", "What it is done with.", required=True, expression=False, choices=resources),
        operation,
    )


def _variant(operation: Operation) -> Variant:
    chosen = {"resource": operation.resource} if operation.resource else {}
    parameters = [field.parameter for field in operation.fields]
    if operation.pages is not None:
        parameters.append(
            Parameter(
                LIMIT,
                "integer",
                "How many items at most; further pages are fetched as needed.",
                default=DEFAULT_LIMIT,
                expression=False,
                minimum=1,
                maximum=MOST_ITEMS,
            )
        )
    return Variant(
        {**chosen, "operation": operation.name},
        operation.title,
        operation.docs,
        tuple(parameters),
        operation.effect_class,
        operation.source,
    )


def _check(integration: Integration) -> None:
    for problem in _problems(integration):
        raise ValueError(f"integration {integration.type!r}: {problem}")


def _problems(integration: Integration) -> Iterator[str]:
    keys = [operation.key for operation in integration.operations]
    if not keys:
        yield "it has no operation"
    if len(set(keys)) < len(keys):
        yield "two operations have the same name"
    if len({bool(operation.resource) for operation in integration.operations}) > 1:
        yield "either all operations name a resource or none does"
    for operation in integration.operations:
        names = [field.parameter.name for field in operation.fields]
        if len(set(names)) < len(names) or {"resource", "operation"} & set(names):
            yield f"{operation.key}: a parameter's name is used twice, or is resource or operation"
        if not isinstance(operation.request, Request):
            if operation.effect is None:
                yield f"{operation.key}: an operation that is no HTTP request says its effect class"
            continue
        requests = [operation.request, *(step.request for step in operation.then)]
        if any(field.step >= len(requests) for field in operation.fields):
            yield f"{operation.key}: a parameter belongs to a request that there is not"
        if any(request.file and request.file not in names for request in requests):
            yield f"{operation.key}: the parameter that names the file is missing"
        for number, request in enumerate(requests):
            placed = [field for field in operation.fields if field.step == number and field.place == "path"]
            if set(holes(request.path)) != {field.parameter.name for field in placed}:
                yield f"{operation.key}: the path {request.path!r} and the path parameters differ"


def _bind(integration: Integration, parameters: Parameters) -> Effects:
    operation = _chosen(integration, parameters)
    evaluators = {
        field.parameter.name: _evaluator(parameters, field.parameter)
        for field in operation.fields
        if parameters.knows(field.parameter.name)
    }
    credential = parameters.credential
    limit = int(parameters.plain(LIMIT)) if operation.pages is not None and parameters.knows(LIMIT) else None

    def request(scope: Scope) -> Effect:
        values = {name: evaluate(scope) for name, evaluate in evaluators.items()}
        values[ITEM] = scope.items[scope.item_index]
        if not isinstance(operation.request, Request):
            return operation.request(values, credential)
        described = http_request(integration, operation, values, credential)
        if operation.pages is None or limit is None:
            return described
        return first_page(described, operation.pages, operation.items, limit)

    return Effects(
        operation.effect_class,
        request,
        _conclude(integration, operation, limit),
        lambda result: {_VERDICT: result},
        timeout_seconds=integration.timeout_seconds,
    )


def _chosen(integration: Integration, parameters: Parameters) -> Operation:
    """The operation that the parameters name; the first one if they are wrong (which is noted already)."""
    name = parameters.plain("operation")
    resource = parameters.plain("resource") if parameters.knows("resource") else ""
    for operation in integration.operations:
        if operation.name == name and operation.resource == resource:
            return operation
    return integration.operations[0]


def _evaluator(parameters: Parameters, parameter: Parameter) -> Callable[[Scope], Any]:
    if parameter.kind != "rows":
        return parameters.evaluator(parameter.name)
    rows = [
        {column.name: _evaluator(row, column) for column in parameter.of} for row in parameters.rows(parameter.name)
    ]

    def evaluate(scope: Scope) -> list[dict[str, Any]]:
        found = [{name: column(scope) for name, column in row.items()} for row in rows]
        return [{name: value for name, value in row.items() if value is not None} for row in found]

    return evaluate


def _conclude(integration: Integration, operation: Operation, limit: int | None) -> Callable[[Item, Any], Items]:
    over_http = isinstance(operation.request, Request)

    def conclude(_item: Item, value: Any) -> Items:
        if isinstance(value, dict) and _VERDICT in value:
            result = value[_VERDICT]
            return as_items([operation.empty if result is None else result])
        answers = [value]
        if over_http:
            if _is_done_already(integration, operation, value):
                return as_items([operation.empty])
            if value.get("missing"):
                raise NodeFailure(UNEXPECTED, f"{integration.title} answered without {value['missing']}")
            answers = together(value)
            if answers in ([None], [""]):
                return as_items([operation.empty])
        found = [entry for answer in answers for entry in _read(operation, answer)]
        return as_items(found if limit is None else found[:limit])

    return conclude


def _is_done_already(integration: Integration, operation: Operation, answer: Mapping[str, Any]) -> bool:
    """Whether the provider refuses because it is so already. Raises NodeFailure for every other refusal."""
    body = answer.get("body")
    failed = failure_in(integration.errors, integration.title, answer["status"], answer.get("headers", {}), body)
    if failed is None:
        return False
    if operation.already and provider_code(integration.errors, body) in operation.already:
        return True
    raise failed


def _read(operation: Operation, answer: Any) -> Sequence[Any]:
    """What is put out. Raises NodeFailure where the answer is nothing that its reader expects."""
    if isinstance(operation.items, str):
        return found_at(answer, operation.items)
    try:
        return operation.items(answer)
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise NodeFailure(UNEXPECTED, f"the answer is not what it should be: {type(error).__name__}") from None
