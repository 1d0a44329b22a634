"""`execute_workflow` and its trigger: a workflow that calls another one, and the one that is called."""

from typing import Any
from uuid import UUID

from domain.execution.events import Items
from domain.expressions import Scope
from domain.nodes.failures import BAD_PARAMETER, NodeFailure
from domain.nodes.node_type import NodeType, Operation, SubWorkflow, Trigger
from domain.nodes.parameters import Parameter, Parameters

MAX_INPUT_ITEMS = 100_000


def _bind_trigger(_parameters: Parameters) -> Operation:
    return Trigger()


def _bind(parameters: Parameters) -> Operation:
    id_of, given_of = parameters.evaluator("workflow_id"), parameters.evaluator("input")
    has_input = parameters.given("input")

    def workflow_of(scope: Scope) -> str:
        return workflow_id(id_of(scope))

    def input_of(scope: Scope, items: Items) -> Items:
        return _as_items(given_of(scope)) if has_input else items

    each, wait = parameters.plain("mode") == "each_item", bool(parameters.plain("wait"))
    return SubWorkflow(workflow_of, input_of, each=each, wait=wait)


def workflow_id(value: Any) -> str:
    """A workflow's id in its one spelling. Raises NodeFailure."""
    try:
        return str(UUID(value))
    except (ValueError, TypeError, AttributeError):
        shown = str(value)[:100]
        raise NodeFailure(BAD_PARAMETER, f"parameter 'workflow_id' must be a workflow's id, not {shown!r}") from None


def _as_items(value: Any) -> Items:
    """An object is one item, a list one item each."""
    values = value if isinstance(value, list) else [value]
    if len(values) > MAX_INPUT_ITEMS or not all(isinstance(each, dict) for each in values):
        raise NodeFailure(
            BAD_PARAMETER, f"parameter 'input' must be an object or a list of at most {MAX_INPUT_ITEMS} objects"
        )
    return [{"json": each} for each in values]


EXECUTE_WORKFLOW_TRIGGER = NodeType(
    "execute_workflow_trigger",
    "Called by another workflow",
    "Starts when another workflow of the workspace calls this one with `execute_workflow`; its items are the input.",
    _bind_trigger,
)
EXECUTE_WORKFLOW = NodeType(
    "execute_workflow",
    "Execute workflow",
    "Runs another workflow of the workspace as an execution of its own: its active version, else the newest, from its "
    "`execute_workflow_trigger`. The items that its last node puts out come back. If it fails, this node does, with "
    "its error. Cancelling this execution cancels it, cancelling it fails this node. The time-out of this execution "
    "goes on meanwhile. Workflows may call each other 20 deep. A workflow that failed is not called again: give "
    "`retry` to its nodes.",
    _bind,
    (
        Parameter("workflow_id", "text", "The workflow to run.", required=True),
        Parameter(
            "input", "any", "What it starts with: an object (one item) or a list of objects; without it, the items."
        ),
        Parameter(
            "mode",
            "text",
            "all_items: one execution for all items; each_item: one for each item, up to 50 side by side.",
            default="all_items",
            expression=False,
            choices=("all_items", "each_item"),
        ),
        Parameter(
            "wait",
            "boolean",
            "false: go on at once with one item for each execution, `{execution_id, workflow_id}`.",
            default=True,
            expression=False,
        ),
    ),
)
