"""Pure runs: performing one, and what its failures mean by the node's `on_error` (semantics, rule 6)."""

from collections.abc import Callable, Mapping

from domain.execution.events import ErrorInfo, Item, Items
from domain.execution.state import Delivery, Execution, RunKey
from domain.expressions import ExpressionError, NodeOutputs, Scope
from domain.nodes.failures import NodeFailure
from domain.nodes.node_type import MAIN, Failure, Merge, Output, Pure, Run
from domain.nodes.origins import EXACT, carry, inherit
from domain.workflow.graph import ERROR, Graph, Node

MAX_ITEMS = 100_000
"""Items that one run may put out: merges can multiply what they get."""


def scope_of(state: Execution, graph: Graph, clock: int, step_limit: int) -> Scope:
    """The scope for the runs of one decision; items and run index are set for each of them."""
    return Scope(
        node=outputs_reader(state.outputs, graph, state.traced),
        now=clock,
        timezone=graph.document.settings.timezone,
        workflow=workflow_facts(state, graph),
        execution=execution_facts(state),
        variables=state.variables,
        step_limit=step_limit,
    )


def workflow_facts(state: Execution, graph: Graph) -> dict[str, object]:
    """What `$workflow` shows."""
    return {"id": state.workflow_id, "name": graph.document.name, "version": state.workflow_version}


def execution_facts(state: Execution) -> dict[str, object]:
    """What `$execution` shows."""
    return {"id": state.id, "trigger": state.trigger_node, "trigger_type": state.trigger_type}


def outputs_reader(
    outputs: Mapping[int, dict[str, Items]], graph: Graph, traced: Mapping[RunKey, dict[str, Items]]
) -> Callable[[str], NodeOutputs | None]:
    """What `$('id')` asks: the newest finished run's outputs, and every run's of a node that is followed."""

    def read(name: str) -> NodeOutputs | None:
        node = graph.by_id.get(name)
        ports = outputs.get(node.index) if node is not None else None
        if node is None or ports is None:
            return None
        index = node.index
        default = next((port for port in node.outputs if ports.get(port)), None)
        return NodeOutputs(ports, default, (lambda run: traced.get((index, run))) if node.followed else None)

    return read


def inputs_of(node: Node, deliveries: tuple[Delivery, ...]) -> dict[str, Items]:
    """A merge's input: every connected input in order, `[]` for what is missing in this round."""
    given = {delivery.source[3]: delivery.items for delivery in deliveries}
    return {port: given.get(port, []) for port in node.inputs}


def items_of(deliveries: tuple[Delivery, ...]) -> Items:
    """A run's items; a merge's: all of them, one input after the other."""
    if len(deliveries) == 1:
        return deliveries[0].items
    return [item for delivery in deliveries for item in delivery.items]


def cost_of(node: Node, deliveries: tuple[Delivery, ...]) -> int:
    """What a pure run costs, in evaluated expressions (or items made)."""
    operation = node.operation
    if isinstance(operation, Merge):
        return operation.cost(inputs_of(node, deliveries))
    items = deliveries[0].items
    within = operation.within(items) if isinstance(operation, Pure) and operation.within is not None else 0
    return len(items) * node.weight + within


def perform(node: Node, deliveries: tuple[Delivery, ...], run: int, scope: Scope) -> Output:
    """A pure node's or a merge's output. A failure that belongs to no item counts for every item."""
    items = items_of(deliveries)
    scope.items = items
    scope.run_index = run
    operation = node.operation
    try:
        if isinstance(operation, Pure):
            output = operation.run(Run(items, scope))
        else:
            assert isinstance(operation, Merge)
            inputs = inputs_of(node, deliveries)
            if operation.cost(inputs) > MAX_ITEMS:
                return _too_many(len(items))
            scope.json = {}
            output = operation.run(Run(items, scope, inputs))
        if node.traces and node.type not in EXACT:
            output.ports = carry(output.ports, items)
        return output if sum(map(len, output.ports.values())) <= MAX_ITEMS else _too_many(len(items))
    except (ExpressionError, NodeFailure) as error:
        return failed_output(len(items), error.code, error.message)
    except RecursionError:
        return failed_output(len(items), "data_too_deep", "the data is nested too deeply for this node")


def _too_many(count: int) -> Output:
    return failed_output(count, "too_many_items", f"a run may put out {MAX_ITEMS} items at most")


def failed_output(count: int, code: str, message: str) -> Output:
    return Output({}, [Failure(index, code, message, 0) for index in range(count)])


def conclude(node: Node, items: Items, output: Output) -> dict[str, Items] | ErrorInfo:
    """What a run puts out, or the error that ends the execution."""
    if not output.failures:
        ports = output.ports  # as it is if it can be: its JSON may be known
        return ports if all(ports.values()) else {port: made for port, made in ports.items() if made}
    if node.on_error == "fail":
        first = output.failures[0]
        return ErrorInfo(code=first.code, message=first.message, node_id=node.id)
    ports = dict(output.ports)
    if node.on_error == "continue":
        ports[MAIN] = _with_errors(ports.get(MAIN, []), items, output.failures)
    else:
        ports[ERROR] = [_error_item(items[failure.item], failure) for failure in output.failures]
    return {port: made for port, made in ports.items() if made}


def _with_errors(made: Items, items: Items, failures: list[Failure]) -> Items:
    """The items with the error items in the places of those that failed."""
    merged: Items = []
    start = 0
    for failure in failures:
        merged += made[start : failure.place]
        error: Item = {"json": {"error": {"code": failure.code, "message": failure.message}}}
        merged.append(inherit(error, items[failure.item]))
        start = failure.place
    return merged + made[start:]


def _error_item(item: Item, failure: Failure) -> Item:
    json = {**item["json"], "error": {"code": failure.code, "message": failure.message}}
    made: Item = {"json": json, "binary": item["binary"]} if "binary" in item else {"json": json}
    return inherit(made, item)
