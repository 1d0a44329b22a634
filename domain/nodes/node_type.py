"""What a node type is: a pure description. The engine runs it; a node never does I/O.

A node type names its parameters (a typed schema with docs) and one function, `bind`, which turns the parameters of one
node, compiled once per workflow version, into an *operation*:

Trigger   starts executions and hands its items on
Pure      computes its output from its input at once
Effects   asks for one effect an item, and concludes the item from what came back
Wait      parks its items until a time
SubWorkflow runs other workflows
Merge     gathers rounds of deliveries, one an input
Loop      hands its items out in batches

All of them report failures by raising NodeFailure; in a loop over items a Failure of that item is noted instead.
Ports: an operation's `outputs` are its output ports in declared order.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from domain.effects import Effect, EffectClass
from domain.execution.events import Item, Items, LogLine
from domain.expressions import ExpressionError, Scope
from domain.nodes.failures import NodeFailure
from domain.nodes.origins import ORIGIN, inherit
from domain.nodes.parameters import Parameter, Parameters
from domain.scripts import Script

MAIN: Final = "main"


class Failure(NamedTuple):
    """Item number `item` of the input failed when `main` had `place` items: there `continue` puts its error."""

    item: int
    code: str
    message: str
    place: int


@dataclass(slots=True)
class Response:
    """What the caller that waits is answered."""

    status: int
    headers: dict[str, str]
    body: Any


@dataclass(slots=True)
class Output:
    """What a run put out: items per port, the items that failed, a response if it gave one, lines that its code logged.
    `failures`: ascending."""

    ports: dict[str, Items]
    failures: list[Failure] = field(default_factory=list)
    response: Response | None = None
    logs: list[LogLine] = field(default_factory=list)


class Run:
    """What a pure run sees. `items`: its input; `inputs`: a merge's, by input port; `scope`: for its expressions.

    An operation sets `scope.json` and `scope.item_index` before it evaluates for an item, and changes nothing else.
    Items are shared: never change one, make a new one.
    """

    __slots__ = ("inputs", "items", "scope")

    def __init__(self, items: Items, scope: Scope, inputs: Mapping[str, Items] | None = None) -> None:
        self.items = items
        self.scope = scope
        self.inputs = inputs or {}


@dataclass(frozen=True, slots=True)
class Trigger:
    """`method` and `respond` are for triggers that answer HTTP."""

    method: str | None = None
    respond: str | None = None
    outputs: tuple[str, ...] = (MAIN,)


@dataclass(frozen=True, slots=True)
class Pure:
    """`weight`: what an item costs, in evaluated expressions; heavy runs are sent to the compute pool. `within`: how
    much there is in the items that costs, too. `script`: code that the sandbox runs first; `run` turns its answer
    (`scope.script`) into the output."""

    run: Callable[[Run], Output]
    outputs: tuple[str, ...] = (MAIN,)
    weight: int = 1
    within: Callable[[Items], int] | None = None
    script: Script | None = None


@dataclass(frozen=True, slots=True)
class Effects:
    """`request(scope)`: the effect of the scope's item. `conclude(item, value)`: what is put out, from what came back.

    A list of items may be empty: that input made nothing.
    `of_verdict(result)`: the value that stands for a person's word that an unsafe effect happened.
    """

    effect_class: EffectClass
    request: Callable[[Scope], Effect]
    conclude: Callable[[Item, Any], Item | Items]
    of_verdict: Callable[[Any], Any]
    timeout_seconds: float = 30.0
    outputs: tuple[str, ...] = (MAIN,)


@dataclass(frozen=True, slots=True)
class AwaitedCall:
    """A call from outside ends a wait. `timeout_port`: where the items go if none comes; `method`: of a webhook's, or
    ANY; `title`, `message`: what a person who approves is shown."""

    kind: Literal["webhook", "approval"]
    timeout_port: str
    title: Callable[[Scope], str] | None = None
    message: Callable[[Scope], str] | None = None
    method: str = "ANY"


@dataclass(frozen=True, slots=True)
class Wait:
    """`due(scope, now)`: when the wait is over; `now` and the answer in ms. The scope's item is the first one. `call`:
    what ends it before."""

    due: Callable[[Scope, int], int]
    call: AwaitedCall | None = None
    outputs: tuple[str, ...] = (MAIN,)


@dataclass(frozen=True, slots=True)
class Merge:
    """`run` gets every connected input in `inputs`, in numeric order, `[]` for one that is missing in this round.

    `cost(inputs)`: what the run costs, in items made. `known_inputs`: None for any number of inputs.
    """

    run: Callable[[Run], Output]
    cost: Callable[[Mapping[str, Items]], int]
    known_inputs: tuple[str, ...] | None = None
    chosen_input: str | None = None
    outputs: tuple[str, ...] = (MAIN,)


@dataclass(frozen=True, slots=True)
class Loop:
    batch_size: int
    outputs: tuple[str, ...] = ("loop", "done")


@dataclass(frozen=True, slots=True)
class SubWorkflow:
    """Runs another workflow as an execution of its own: one for all items, or (`each`) one an item.

    `workflow_of(scope)`: the workflow's id; `input_of(scope, items)`: what it starts with. `wait`: its output comes
    back. Both may raise NodeFailure.
    """

    workflow_of: Callable[[Scope], str]
    input_of: Callable[[Scope, Items], Items]
    each: bool = False
    wait: bool = True
    outputs: tuple[str, ...] = (MAIN,)


Operation = Trigger | Pure | Effects | Wait | Merge | Loop | SubWorkflow

POOLED: Final = 100_000
"""The weight of what always goes to the compute pool: its cost depends on the data, its libraries are loaded there."""


@dataclass(frozen=True, slots=True)
class Example:
    """A worked use of a node, shown in its documentation and run by a test.

    `items`: the jsons of its input, or of each input port; `outputs`: the jsons that it puts out, by port;
    `answer`: what the effect came back with, for a node that has effects.
    """

    says: str
    parameters: Mapping[str, Any]
    items: Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Mapping[str, Any]]]
    outputs: Mapping[str, Sequence[Mapping[str, Any]]]
    answer: Any = None


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the things that a node of a type can do, chosen by plain parameters such as `operation`.

    `selects`: the values that choose it; `parameters`: those that it has beside the choosing ones; `source`: where the
    provider documents it.
    """

    selects: Mapping[str, str]
    title: str
    docs: str
    parameters: tuple[Parameter, ...]
    effect: EffectClass
    source: str = ""


@dataclass(frozen=True, slots=True)
class NodeType:
    """What is known of all nodes of a type.

    `routes`: it sends items to ports of its own names, so that `continue` needs an extra port `main`;
    `outputs_vary`: the names of its outputs depend on its parameters; `effects`: the classes its effects may have;
    `credential_types`: the types of credentials that it can use, `("http",)` for all that authenticate HTTP requests;
    `credential_required`: it cannot do without;
    `variants`: where it does one of several things, `parameters` are only those that choose.
    """

    type: str
    title: str
    docs: str
    bind: Callable[[Parameters], Operation]
    parameters: tuple[Parameter, ...] = ()
    routes: bool = False
    can_be_disabled: bool = True
    outputs_vary: bool = False
    effects: tuple[EffectClass, ...] = ("pure",)
    version: int = 1
    examples: tuple[Example, ...] = ()
    credential_types: tuple[str, ...] = ()
    credential_required: bool = False
    variants: tuple[Variant, ...] = ()


def failure_of(error: ExpressionError | NodeFailure, index: int, place: int) -> Failure:
    return Failure(index, error.code, error.message, place)


def map_items(run: Run, conclude: Callable[[Scope, Item], Items]) -> Output:
    """The output of a node that turns each item into items on `main`, whatever the others do."""
    scope = run.scope
    made: Items = []
    failures: list[Failure] = []
    for index, item in enumerate(run.items):
        scope.json = item["json"]
        scope.item_index = index
        try:
            produced = conclude(scope, item)
            made.extend([inherit(one, item) for one in produced] if ORIGIN in item else produced)
        except (ExpressionError, NodeFailure) as error:
            failures.append(failure_of(error, index, len(made)))
    return Output({MAIN: made}, failures)


def at_first(run: Run) -> Scope:
    """The run's scope, at its first item: for parameters that hold for the whole run."""
    scope = run.scope
    scope.item_index = 0
    scope.json = run.items[0]["json"] if run.items else {}
    return scope
