"""Pure runs in the compute pool: a job goes out as bytes, the output comes back as bytes, many items in parts.

In parts, because whoever reads a large output has others waiting: between two parts they get their turn.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

import msgspec

from domain.execution.calls import resume_facts
from domain.execution.events import Items, LogLine, Source
from domain.execution.links import NO_LINKS, Links
from domain.execution.runs import execution_facts, outputs_reader, perform, workflow_facts
from domain.execution.state import Delivery, Execution, Foreign
from domain.expressions import Scope
from domain.nodes.node_type import Failure, Output, Response
from domain.workflow.document import parse_document
from domain.workflow.graph import Graph, compile_workflow


class _Job(msgspec.Struct, array_like=True):
    node: int
    run: int
    deliveries: list[tuple[Source, Items]]
    outputs: dict[int, dict[str, Items]]
    now: int
    workflow: dict[str, object]
    execution: dict[str, object]
    traced: list[tuple[int, int, dict[str, Items]]] = []
    foreign: Foreign | None = None
    variables: dict[str, object] = {}


class _Head(msgspec.Struct, array_like=True):
    """The first part of a result. `ports`: port → how many of the parts that follow are its items'."""

    ports: dict[str, int]
    failures: list[tuple[int, str, str, int]]
    response: tuple[int, dict[str, str], object] | None
    logs: list[LogLine] = []


PART_ITEMS = 500
"""Items of one part: read in a fraction of a millisecond if they are small."""

Result = Sequence[bytes]
"""What `compute_run` returns: a head, and the items of each port in parts."""

_encode = msgspec.json.Encoder().encode
_decode_job = msgspec.json.Decoder(_Job).decode
_decode_head = msgspec.json.Decoder(_Head).decode
items_in: Callable[[bytes], Items] = msgspec.json.Decoder(Items).decode
"""The items in a part of a result."""


def compute_job(
    state: Execution,
    node: str,
    run: int,
    graph: Graph,
    *,
    clock: int | None = None,
    links: Links = NO_LINKS,
    foreign: Foreign | None = None,
) -> bytes | None:
    """What the pool needs for the run of a Compute effect; None if that run does not wait any more (done, or the
    execution has ended since). `clock`: ms since 1970, for `$now`; `foreign`: what the sandbox evaluated before."""
    index = graph.by_id[node].index
    now = state.started_at if clock is None else clock
    for ready in state.queue:
        if ready.node == index and ready.run == run:
            return _encode(
                _Job(
                    node=index,
                    run=run,
                    deliveries=[(delivery.source, delivery.items) for delivery in ready.deliveries],
                    outputs=state.outputs,
                    now=now,
                    workflow=workflow_facts(state, graph),
                    execution={**execution_facts(state), **resume_facts(state, graph, links, now)},
                    traced=[(*key, ports) for key, ports in state.traced.items()],
                    foreign=foreign,
                    variables=state.variables,
                )
            )
    return None


def compute_run(document_json: bytes, job: bytes) -> Result:
    """Do a job, in whatever process. The compiled graph is kept for the next one."""
    graph = _graph(document_json)
    work = _decode_job(job)
    scope = Scope(
        node=outputs_reader(work.outputs, graph, {(node, run): ports for node, run, ports in work.traced}),
        now=work.now,
        timezone=graph.document.settings.timezone,
        workflow=work.workflow,
        execution=work.execution,
        variables=work.variables,
    )
    scope.foreign = work.foreign
    deliveries = tuple(Delivery(source, items) for source, items in work.deliveries)
    output = perform(graph.nodes[work.node], deliveries, work.run, scope)
    given = output.response
    parts = {port: _parts(items) for port, items in output.ports.items()}
    head = _Head(
        ports={port: len(made) for port, made in parts.items()},
        failures=[(failure.item, failure.code, failure.message, failure.place) for failure in output.failures],
        response=None if given is None else (given.status, given.headers, given.body),
        logs=output.logs,
    )
    return [_encode(head), *(part for made in parts.values() for part in made)]


def _parts(items: Items) -> list[bytes]:
    return [_encode(items[start : start + PART_ITEMS]) for start in range(0, len(items), PART_ITEMS)]


def outline(result: Result) -> tuple[Output, list[tuple[str, bytes]]]:
    """The output in a result of `compute_run`, without its items, and the parts that have them with their ports."""
    head = _decode_head(result[0])
    output = Output(
        {port: [] for port in head.ports},
        [Failure(*failure) for failure in head.failures],
        None if head.response is None else Response(*head.response),
        head.logs,
    )
    ports = [port for port, count in head.ports.items() for _ in range(count)]
    return output, list(zip(ports, result[1:], strict=True))


def joined(parts: Sequence[tuple[str, bytes]]) -> bytes:
    """The JSON of the ports whose items `parts` are."""
    lists: dict[str, list[bytes]] = {}
    for port, part in parts:
        lists.setdefault(port, []).append(part[1:-1])
    return b"{%b}" % b",".join(b"%b:[%b]" % (_encode(port), b",".join(made)) for port, made in lists.items())


@lru_cache(maxsize=64)
def _graph(document_json: bytes) -> Graph:
    return compile_workflow(parse_document(msgspec.json.decode(document_json)))
