"""What an expression can see."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from domain.expressions.errors import REFERENCE, ExpressionError
from domain.expressions.limits import STEPS, Budget

_NOTHING: Final[Mapping[str, Any]] = {}


@dataclass(frozen=True, slots=True)
class NodeOutputs:
    """What a node's newest finished run put out, by port; `default_port` is the first declared one with items.

    `of_run` gives what any run of it put out, for `.item`; None where nobody asks for that.
    """

    ports: Mapping[str, list[dict[str, Any]]]
    default_port: str | None
    of_run: Callable[[int], Mapping[str, list[dict[str, Any]]] | None] | None = None


def _plain(mapping: Mapping[str, Any]) -> dict[str, Any]:
    return mapping if type(mapping) is dict else dict(mapping)


def _no_nodes(_node: str) -> NodeOutputs | None:
    return None


@final
class Scope(Budget):
    """The world of one node run, mutable on purpose: set `json` and `item_index` for each item and evaluate again.

    `items` are the input items (`{"json": …, "binary"?: …}`), `now` is in ms since 1970 (UTC), `timezone` an IANA name,
    `step_limit` bounds each evaluation. `node` gives a node's outputs, None if it has not run. Nothing in here is
    ever changed by an expression.

    `script`: what the sandbox answered to a node's code (domain.scripts.ScriptAnswer); `foreign`: by source and item
    the values of expressions that the sandbox evaluated, as they come (foreign.py); None: it was not asked.
    """

    __slots__ = (
        "execution", "foreign", "item_index", "items", "json", "node", "now", "run_index", "script", "step_limit",
        "timezone", "variables", "workflow",
    )  # fmt: skip

    def __init__(
        self,
        json: Any = None,
        *,
        item_index: int = 0,
        run_index: int = 0,
        items: Sequence[dict[str, Any]] = (),
        node: Callable[[str], NodeOutputs | None] = _no_nodes,
        now: int = 0,
        timezone: str = "UTC",
        workflow: Mapping[str, Any] = _NOTHING,
        execution: Mapping[str, Any] = _NOTHING,
        variables: Mapping[str, Any] = _NOTHING,
        step_limit: int = STEPS,
    ) -> None:
        super().__init__(step_limit)
        self.json = {} if json is None else json
        self.item_index = item_index
        self.run_index = run_index
        self.items = items if isinstance(items, list) else list(items)
        self.node = node
        self.now = now
        self.timezone = timezone
        self.workflow = _plain(workflow)
        self.execution = _plain(execution)
        self.variables = _plain(variables)
        self.step_limit = step_limit
        self.script: Any = None
        self.foreign: Mapping[str, Sequence[Sequence[Any]]] | None = None


@final
class ItemsReference:
    """`$input` and `$('id')`: items by port, and which of them is the current one.

    `origin` is that item where it is known, `lost` where the current item comes from several of them.
    """

    __slots__ = ("default_port", "index", "lost", "name", "origin", "ports")

    def __init__(
        self, name: str, ports: Mapping[str, list[dict[str, Any]]], default_port: str | None, index: int
    ) -> None:
        self.origin: dict[str, Any] | None = None
        self.lost = False
        self.name = name
        self.ports = ports
        self.default_port = default_port
        self.index = index

    def items(self, port: str | None) -> list[dict[str, Any]]:
        """The items of a port, none if it has none."""
        name = self.default_port if port is None else port
        return self.ports.get(name, []) if name is not None else []


def input_items(scope: Scope) -> ItemsReference:
    return ItemsReference("$input", {"main": scope.items}, "main", scope.item_index)


def node_items(scope: Scope, node: str) -> ItemsReference:
    """Raises ExpressionError (expression_reference) if the node has not run."""
    outputs = scope.node(node)
    if outputs is None:
        raise ExpressionError(REFERENCE, f"node {node[:100]!r} has not run, so $('{node[:100]}') has no data")
    reference = ItemsReference(f"$('{node}')", outputs.ports, outputs.default_port, scope.item_index)
    if outputs.of_run is not None and scope.item_index < len(scope.items):
        _find_origin(reference, scope.items[scope.item_index].get("origin", _NOTHING), node, outputs.of_run)
    return reference


def _find_origin(
    reference: ItemsReference,
    origins: Mapping[str, Any],
    node: str,
    of_run: Callable[[int], Mapping[str, list[dict[str, Any]]] | None],
) -> None:
    """Follow the current item's origin (domain.nodes.origins) to the item of that node."""
    if node not in origins:
        return
    place = origins[node]
    if place is not None:
        run, port, index = place
        items = (of_run(run) or _NOTHING).get(port, ())
        if index < len(items):
            reference.origin = items[index]
            return
    reference.lost = True
