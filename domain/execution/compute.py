"""Pure runs in the compute pool: a job goes out as bytes, the output comes back as bytes."""

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


class _Result(msgspec.Struct, array_like=True):
    ports: dict[str, Items]
    failures: list[tuple[int, str, str, int]]
    response: tuple[int, dict[str, str], object] | None
    logs: list[LogLine] = []


_encode = msgspec.json.Encoder().encode
_decode_job = msgspec.json.Decoder(_Job).decode
_decode_result = msgspec.json.Decoder(_Result).decode


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
                )
            )
    return None


def compute_run(document_json: bytes, job: bytes) -> bytes:
    """Do a job, in whatever process: the result for ConcludeCompute. The compiled graph is kept for the next one."""
    graph = _graph(document_json)
    work = _decode_job(job)
    scope = Scope(
        node=outputs_reader(work.outputs, graph, {(node, run): ports for node, run, ports in work.traced}),
        now=work.now,
        timezone=graph.document.settings.timezone,
        workflow=work.workflow,
        execution=work.execution,
    )
    scope.foreign = work.foreign
    deliveries = tuple(Delivery(source, items) for source, items in work.deliveries)
    output = perform(graph.nodes[work.node], deliveries, work.run, scope)
    given = output.response
    return _encode(
        _Result(
            ports=output.ports,
            failures=[(failure.item, failure.code, failure.message, failure.place) for failure in output.failures],
            response=None if given is None else (given.status, given.headers, given.body),
            logs=output.logs,
        )
    )


def computed(result: bytes) -> Output:
    """The output in a result of `compute_run`."""
    made = _decode_result(result)
    return Output(
        made.ports,
        [Failure(*failure) for failure in made.failures],
        None if made.response is None else Response(*made.response),
        made.logs,
    )


@lru_cache(maxsize=64)
def _graph(document_json: bytes) -> Graph:
    return compile_workflow(parse_document(msgspec.json.decode(document_json)))
