"""A workflow compiled once per version: what the engine runs. Immutable, shared, cached by its owner.

Nodes are numbered in document order; sets of nodes are bit masks of these numbers.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from domain.errors import InvalidDocument
from domain.expressions import Compiled, ExpressionError, compile_value
from domain.nodes.node_type import Effects, Loop, Merge, NodeType, Operation, Pure, SubWorkflow, Trigger, Wait
from domain.nodes.parameters import Parameters
from domain.nodes.registry import NODE_TYPES
from domain.nodes.variants import parameters_of
from domain.workflow.credentials import credential_of
from domain.workflow.document import Connection, NodeDocument, WorkflowDocument
from domain.workflow.fields import Problems
from domain.workflow.reachability import Reachability, cycle_of
from domain.workflow.variables import NO_NAMES, VARIABLES, VariableNames, both, names_in

Kind = Literal["trigger", "pure", "effect", "wait", "merge", "loop", "sub_workflow"]

ERROR = "error"
MAIN = "main"
_COMPUTED = re.compile(r"""\$(?![\w{])(?!\s*\(\s*(?:'[^'\\]*'|"[^"\\]*")\s*\))""")
_ITEM = re.compile(r"""\.\s*item\b|['"`]item['"`]|\{[^{}()]*\bitem\b[^{}()]*\}""")
_INPUT = re.compile(r"input[1-9]\d{0,2}")


TRIGGER_OF = {"schedule": "schedule", "error": "error_trigger", "sub_workflow": "execute_workflow_trigger"}
"""The type of the trigger that a start of this kind looks for."""
NEEDS_OWN_TRIGGER = frozenset({"error", "sub_workflow"})
"""Starts that no other trigger takes: a workflow says so itself that others may call it."""


class Link(NamedTuple):
    """A connection as its source sees it. `back`: it brings a loop's batch back."""

    output: str
    target: int
    input: str
    back: bool


class WebhookNode(NamedTuple):
    """A webhook trigger: `method` may be ANY; `respond` is at_once, when_done or with_node."""

    node: str
    method: str
    respond: str


class Node:
    """One node, compiled. `outputs`: its ports in declared order; `links`: its connections in document order."""

    __slots__ = (
        "asks", "disabled", "document", "followed", "foreign", "id", "index", "inputs", "kind", "links", "on_error",
        "operation", "outputs", "referenced", "routes", "sandboxed", "script", "traces", "type", "variables", "weight",
    )  # fmt: skip

    def __init__(self, index: int, document: NodeDocument, node_type: NodeType, operation: Operation) -> None:
        self.index = index
        self.id = document.id
        self.type = document.type
        self.document = document
        self.operation = operation
        self.kind: Kind = _kind(operation)
        self.disabled = document.disabled
        self.on_error = document.on_error
        self.routes = node_type.routes
        self.outputs = _outputs(document, node_type, operation)
        self.links: tuple[Link, ...] = ()
        self.inputs: tuple[str, ...] = ()
        """A merge's connected inputs in numeric order."""
        self.referenced = False
        """Some expression may ask for its outputs."""
        self.followed = False
        """Some expression may ask which of its items the current one comes from."""
        self.traces = False
        """Some node of the workflow is followed."""
        self.weight = operation.weight if isinstance(operation, Pure) else 1
        self.script = operation.script if isinstance(operation, Pure) else None
        """Code that the sandbox runs."""
        self.foreign: tuple[str, ...] = ()
        """Expressions that the sandbox evaluates before a run."""
        self.sandboxed = self.script is not None and not self.disabled
        """The sandbox has something to do for each of its runs."""
        self.asks: frozenset[str] | None = frozenset()
        """Ids of the nodes that it names in `$('id')`; None: some are computed."""
        self.variables: VariableNames = NO_NAMES
        """What it names in `$vars`; None: all."""

    @property
    def timeout_seconds(self) -> float:
        """For one effect of this node."""
        own = self.document.timeout_seconds
        if own is not None:
            return own
        return self.operation.timeout_seconds if isinstance(self.operation, Effects) else 30.0


class Graph:
    """A workflow version, ready to run. `gathering`: its merges and loops in document order; `called`: its
    waits that a call ends; `variables`: those that it may ask for in `$vars`."""

    __slots__ = (
        "by_id", "called", "concurrency_key", "document", "follows", "gathering", "nodes", "reachability",
        "variables", "webhooks",
    )  # fmt: skip

    def __init__(self, document: WorkflowDocument, nodes: Sequence[Node], reachability: Reachability) -> None:
        self.document = document
        self.nodes = tuple(nodes)
        self.by_id = {node.id: node for node in nodes}
        self.gathering = tuple(node for node in nodes if node.kind in {"merge", "loop"})
        self.called = tuple(
            node for node in nodes if isinstance(node.operation, Wait) and node.operation.call and not node.disabled
        )
        self.reachability = reachability
        self.concurrency_key: Compiled | None = None
        """`settings.concurrency.key`, compiled."""
        self.follows = any(node.followed for node in nodes)
        self.variables: VariableNames = NO_NAMES
        for node in nodes:
            self.variables = both(self.variables, node.variables)
        self.webhooks = tuple(
            WebhookNode(node.id, node.operation.method, node.operation.respond or "at_once")
            for node in nodes
            if isinstance(node.operation, Trigger) and node.operation.method and not node.disabled
        )

    def trigger(self, node: str) -> Node | None:
        """The trigger of this id, None if there is none or it is disabled."""
        found = self.by_id.get(node)
        return found if found is not None and found.kind == "trigger" and not found.disabled else None

    def default_trigger(self) -> Node | None:
        """What `execute` starts without a name: the first manual trigger, else the first trigger."""
        triggers = [node for node in self.nodes if node.kind == "trigger" and not node.disabled]
        manual = [node for node in triggers if node.type == "manual"]
        return next(iter(manual or triggers), None)

    def trigger_for(self, kind: str) -> Node | None:
        """Where a start by `kind` (an execution's trigger type) begins that names no trigger, None if nowhere."""
        own = TRIGGER_OF.get(kind)
        found = next((node for node in self.nodes if node.type == own and not node.disabled), None)
        return found if found is not None or kind in NEEDS_OWN_TRIGGER else self.default_trigger()


def compile_workflow(document: WorkflowDocument, types: Mapping[str, NodeType] = NODE_TYPES) -> Graph:
    """Compile and check everything that the document's shape does not say. Raises InvalidDocument with all problems.

    `types`: of nodes that it may have."""
    problems = Problems()
    nodes, referenced, followed = _compile_nodes(document, problems, types)
    _mark_references(nodes, referenced, followed)
    if not any(node.kind == "trigger" and not node.disabled for node in nodes.values()):
        problems.add("nodes", "the workflow has no trigger that is not disabled; add a manual or a webhook node")
    links = _checked_links(document, nodes, problems)
    reachability = Reachability(len(document.nodes), links, {n.index for n in nodes.values() if n.kind == "loop"})
    if len(nodes) == len(document.nodes):
        _check_cycles(document, reachability, problems)
    concurrency_key = _concurrency_key(document, problems)
    if problems:
        raise InvalidDocument(problems)
    outgoing: dict[int, list[Link]] = {}
    for position, (source, output, target, port) in enumerate(links):
        outgoing.setdefault(source, []).append(Link(output, target, port, position in reachability.back))
    for source, ways in outgoing.items():
        nodes[source].links = tuple(ways)
    graph = Graph(document, [nodes[index] for index in range(len(document.nodes))], reachability)
    graph.concurrency_key = concurrency_key
    if concurrency_key is not None:
        graph.variables = both(graph.variables, _variables_of([concurrency_key]))
    return graph


def _concurrency_key(document: WorkflowDocument, problems: Problems) -> Compiled | None:
    concurrency = document.settings.concurrency
    if concurrency is None or not concurrency.key:
        return None
    try:
        compiled = compile_value(concurrency.key)
    except ExpressionError as error:
        problems.add("settings.concurrency.key", f"the expression cannot be used: {error.message}")
        return None
    if compiled.references:
        problems.add("settings.concurrency.key", "no node has run when this is evaluated; it may use $json only")
    return compiled


def _variables_of(sources: Iterable[Compiled]) -> VariableNames:
    return names_in(text for compiled in sources if VARIABLES in compiled.names for text in _texts(compiled.source))


def _kind(operation: Operation) -> Kind:
    match operation:
        case Trigger():
            return "trigger"
        case Pure():
            return "pure"
        case Effects():
            return "effect"
        case Wait():
            return "wait"
        case Merge():
            return "merge"
        case Loop():
            return "loop"
        case SubWorkflow():
            return "sub_workflow"


def _outputs(document: NodeDocument, node_type: NodeType, operation: Operation) -> tuple[str, ...]:
    outputs = operation.outputs
    if document.on_error == "continue" and node_type.routes and MAIN not in outputs:
        return (*outputs, MAIN)
    if document.on_error == "error_output" and ERROR not in outputs:
        return (*outputs, ERROR)
    return outputs


Names = set[str] | None
"""Ids of nodes; None: some expression computes the id, so it may be any."""


def _compile_nodes(
    document: WorkflowDocument, problems: Problems, types: Mapping[str, NodeType]
) -> tuple[dict[int, Node], Names, Names]:
    """The nodes that could be compiled, the ids that expressions name, and those whose `.item` they ask for."""
    nodes: dict[int, Node] = {}
    names: set[str] = set()
    followed: set[str] = set()
    computed = follows_computed = False
    for index, entry in enumerate(document.nodes):
        path = f"nodes[{index}]"
        owner = f"node {entry.id!r}: "
        node_type = types.get(entry.type)
        if node_type is None:
            known = ", ".join(sorted(types))
            problems.add(f"{path}.type", f"{owner}unknown node type {entry.type!r}; known are {known}")
            continue
        if entry.type_version != 1:
            problems.add(f"{path}.type_version", f"{owner}{entry.type!r} has only version 1")

        def complain(where: str, message: str, path: str = path, owner: str = owner) -> None:
            field = f"{path}.parameters.{where}"
            problems.add(field, f"{owner}parameter {where!r} {message}")

        credential = credential_of(entry, node_type, path, problems)
        parameters = Parameters(
            parameters_of(node_type, entry.parameters), entry.parameters, complain, credential=credential
        )
        node = Node(index, entry, node_type, node_type.bind(parameters))
        _check_node(node, node_type, path, problems)
        nodes[index] = node
        names |= parameters.references
        node.asks = frozenset(parameters.references)
        node.variables = _variables_of(parameters.sources)
        node.foreign = tuple(dict.fromkeys(source for compiled in parameters.sources for source in compiled.foreign))
        node.sandboxed = not node.disabled and (node.script is not None or bool(node.foreign))
        if node.foreign and node.kind not in {"pure", "effect", "wait", "sub_workflow"}:
            problems.add(path, f"{owner}its expressions need the sandbox, which a {node.kind} node cannot use")
        for compiled in parameters.sources:
            computes = _computes_reference(compiled)
            computed = computed or computes
            if computes:
                node.asks = None
            if "$" in compiled.names and any(_ITEM.search(text) for text in _texts(compiled.source)):
                followed |= compiled.references
                follows_computed = follows_computed or computes
    return nodes, None if computed else names, None if follows_computed else followed


def _computes_reference(compiled: Compiled) -> bool:
    """Whether some `$(…)` names its node by something else than a plain text. True too often only costs memory."""
    return "$" in compiled.names and any(_COMPUTED.search(text) for text in _texts(compiled.source))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from _texts(entry)


def _check_node(node: Node, node_type: NodeType, path: str, problems: Problems) -> None:
    if node.disabled and not node_type.can_be_disabled:
        problems.add(
            f"{path}.disabled", f"node {node.id!r}: a {node.type} cannot be disabled; remove it and connect past it"
        )
    if node.on_error == "error_output" and ERROR in node.operation.outputs:
        problems.add(
            f"{path}.on_error", f"node {node.id!r}: an output is named 'error' already; rename it to use error_output"
        )

    if node.kind == "sub_workflow" and node.document.retry.attempts > 1:
        problems.add(
            f"{path}.retry",
            f"node {node.id!r}: a sub-workflow is not run again as a whole; give retry to the nodes in it",
        )


def _mark_references(nodes: Mapping[int, Node], names: Names, followed: Names) -> None:
    for node in nodes.values():
        node.referenced = names is None or node.id in names
        node.followed = followed is None or node.id in followed
    traces = any(node.followed for node in nodes.values())
    for node in nodes.values():
        node.traces = traces


IndexedLink = tuple[int, str, int, str]


def _checked_links(document: WorkflowDocument, nodes: Mapping[int, Node], problems: Problems) -> list[IndexedLink]:
    by_id = {entry.id: index for index, entry in enumerate(document.nodes)}
    links: list[IndexedLink] = []
    seen: dict[IndexedLink, int] = {}
    for position, connection in enumerate(document.connections):
        path = f"connections[{position}]"
        source, target = by_id.get(connection.source), by_id.get(connection.target)
        for field, index, name in (("from", source, connection.source), ("to", target, connection.target)):
            if index is None:
                problems.add(f"{path}.{field}", f"there is no node {name!r}; use a node's id or remove the connection")
        if source is None or target is None or source not in nodes or target not in nodes:
            continue
        link = (source, connection.output, target, connection.input)
        if link in seen:
            problems.add(path, f"is the same as connections[{seen[link]}]; remove one of them")
        seen.setdefault(link, position)
        _check_ports(connection, nodes[source], nodes[target], path, problems)
        links.append(link)
    connected: dict[int, set[str]] = {}
    for _, _, target, port in links:
        connected.setdefault(target, set()).add(port)
    for node in nodes.values():
        if node.kind == "merge":
            node.inputs = tuple(sorted(connected.get(node.index, ()), key=_input_number))
            _check_merge(node, f"nodes[{node.index}]", problems)
    return links


def _check_ports(connection: Connection, source: Node, target: Node, path: str, problems: Problems) -> None:
    if connection.output not in source.outputs:
        ports = ", ".join(source.outputs)
        problems.add(
            f"{path}.output", f"node {source.id!r} has no output {connection.output!r}; its outputs are {ports}"
        )
    if target.kind == "trigger":
        problems.add(f"{path}.to", f"node {target.id!r} is a trigger and takes no input; connect another node")
    elif isinstance(target.operation, Merge):
        known = target.operation.known_inputs
        if (known and connection.input not in known) or not _INPUT.fullmatch(connection.input):
            inputs = ", ".join(known or ("input1", "input2", "…"))
            problems.add(
                f"{path}.input", f"node {target.id!r} has no input {connection.input!r}; its inputs are {inputs}"
            )
    elif connection.input != MAIN:
        problems.add(f"{path}.input", f"node {target.id!r} has no input {connection.input!r}; its only input is main")


def _check_merge(node: Node, path: str, problems: Problems) -> None:
    chosen = node.operation.chosen_input if isinstance(node.operation, Merge) else None
    if chosen is not None and node.inputs and chosen not in node.inputs:
        problems.add(
            f"{path}.parameters.input",
            f"node {node.id!r}: input {chosen!r} is not connected; connected are {', '.join(node.inputs)}",
        )


def _input_number(name: str) -> int:
    return int(name[5:]) if _INPUT.fullmatch(name) else 0


def _check_cycles(document: WorkflowDocument, reachability: Reachability, problems: Problems) -> None:
    cycle = cycle_of(len(document.nodes), reachability.forward_links())
    if cycle:
        names = " → ".join(repr(document.nodes[index].id) for index in [*cycle, cycle[0]])
        problems.add(
            "connections", f"the nodes {names} form a cycle; only a loop node's body may lead back, to that loop node"
        )
