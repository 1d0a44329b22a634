"""Runs that an owner does not do itself: heavy pure ones in the compute pool, users' code in the sandbox.

A chain of Code nodes is reckoned ahead: what follows one of them is worked out on a copy of the state and run at once,
and the owner gets the results together, decides them one after the other and commits them in one append. That is sound
because none of it has an effect: a result counts only for a run that waits for it with exactly that input.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from msgspec.structs import replace

from domain.decision import Decision
from domain.effects import Compute
from domain.encoded import Encoded
from domain.execution.commands import ConcludeCompute
from domain.execution.compute import Result, items_in, joined, outline
from domain.execution.decider import compute_job, decide, script_call
from domain.execution.events import ErrorInfo, NodeCompleted, Source
from domain.execution.links import Links
from domain.execution.scripts import failed_answer, foreign_values
from domain.execution.state import Execution
from domain.nodes.failures import NodeFailure
from domain.nodes.node_type import Output
from domain.scripts import ScriptCall
from domain.workflow.graph import Graph
from infra.sandbox import Limits, SandboxFailed, SandboxUnavailable, ScriptRequest
from infra.telemetry import metrics
from infra.telemetry.logs import get_logger
from schemas.nesting import MAX_JSON_DEPTH, MAX_RECORD_DEPTH, too_deep
from schemas.payloads import SPILL_OVER
from services.worker.clock import wall_ms
from services.worker.compute import ComputeFailed, ComputePool

ENVELOPE_DEPTH = 5
"""Of an answer around the values in it."""
OUTPUTS_DEPTH = 2
"""Of an event around a port's items: the event and its outputs."""
AHEAD_SECONDS = 0.02
"""So long the results of a chain are held back for the next one."""

_log = get_logger("worker.computing")


class ScriptRunner(Protocol):
    """What runs code: infra.sandbox.Sandbox."""

    async def run(self, tenant: str, request: ScriptRequest) -> bytes:
        """Raises SandboxUnavailable, SandboxFailed."""
        ...

    async def close(self) -> None: ...


class Computing:
    """All such runs of one worker."""

    def __init__(self, pool: ComputePool, sandbox: ScriptRunner | None, links: Links) -> None:
        self._links = links
        self._pool = pool
        self._sandbox = sandbox

    async def run(
        self, workspace: str, state: Execution, request: Compute, graph: Graph, document: bytes, now: int
    ) -> Sequence[ConcludeCompute]:
        """What became of the run that `request` names, and of those that follow it if they could be done at once;
        nothing if it does not wait in `state`. `now`: owner's time, ms."""
        node, run = request.node, request.run
        done: list[ConcludeCompute] = []
        loop = asyncio.get_running_loop()
        until = loop.time() + AHEAD_SECONDS
        sources = _sources(state, graph, node, run)
        while (command := await self._surely(workspace, state, node, run, graph, document)) is not None:
            done.append(replace(command, sources=sources))
            if command.answer is None or graph.by_id[node].script is None or loop.time() > until:
                break
            try:
                decision = decide(command, state, graph, execution_id=state.id, now=now, clock=wall_ms())
            except Exception:  # noqa: BLE001 - the owner decides it as well, and says what is wrong
                break
            following = _following(decision, node, graph)
            if following is None:
                break
            state = decision.state
            node, run, sources = following
        return done

    async def close(self) -> None:
        self._pool.close()
        if self._sandbox is not None:
            await self._sandbox.close()

    async def _surely(
        self, workspace: str, state: Execution, node: str, run: int, graph: Graph, document: bytes
    ) -> ConcludeCompute | None:
        """As `_one`; what nobody thought of is a result, too: a run without one would hang."""
        try:
            return await self._one(workspace, state, node, run, graph, document)
        except Exception as error:  # noqa: BLE001
            _log.exception("a run could not be computed")
            return _failed(node, run, "internal_error", f"{type(error).__name__}: {error}")

    async def _one(
        self, workspace: str, state: Execution, node_id: str, run: int, graph: Graph, document: bytes
    ) -> ConcludeCompute | None:
        links = self._links.within(workspace)
        call = script_call(state, node_id, run, graph, clock=wall_ms(), links=links)
        foreign = None
        if call is not None:
            answer = await self._answer(workspace, call)
            node = graph.by_id[node_id]
            if node.script is not None or node.kind != "pure":
                return ConcludeCompute(node=node_id, run=run, result=None, answer=answer)
            try:
                foreign = foreign_values(node, answer)
            except NodeFailure as error:
                return _failed(node_id, run, error.code, error.message)
        job = compute_job(state, node_id, run, graph, foreign=foreign, links=links)
        if job is None:
            return None
        try:
            output = await _read(await self._pool.run(document, job))
            return ConcludeCompute(node=node_id, run=run, result=output)
        except ComputeFailed as error:
            return _failed(node_id, run, error.code, str(error))

    async def _answer(self, workspace: str, call: ScriptCall) -> bytes:
        """The sandbox's answer, or one that says why there is none."""
        if self._sandbox is None:
            return failed_answer("sandbox_unavailable", "code runs in a sandbox only, and this worker has none")
        request = ScriptRequest(call.language, call.mode, call.key, call.job, Limits(seconds=call.seconds))
        started = asyncio.get_running_loop().time()
        try:
            answer = await self._sandbox.run(workspace, request)
            if too_deep(answer, MAX_JSON_DEPTH + ENVELOPE_DEPTH):
                return failed_answer("output_too_deep", f"what was put out is nested more than {MAX_JSON_DEPTH} deep")
            return answer
        except (SandboxUnavailable, SandboxFailed) as error:
            return failed_answer(error.code, str(error))
        except Exception as error:  # noqa: BLE001 - a result, whatever happened: nobody waits for ever
            _log.exception("the sandbox failed")
            return failed_answer("sandbox_failed", f"{type(error).__name__}: {error}")
        finally:
            metrics.SANDBOX_SECONDS.labels(call.language).observe(asyncio.get_running_loop().time() - started)


async def _read(result: Result) -> Output:
    """The output of a heavy run. Between two parts of it others get their turn."""
    output, parts = outline(result)
    deep = False
    for port, part in parts:
        output.ports[port] += items_in(part)
        deep = deep or too_deep(part, MAX_RECORD_DEPTH - OUTPUTS_DEPTH)
        await asyncio.sleep(0)
    if not deep and sum(len(part) for _, part in parts) > SPILL_OVER:
        output.ports = Encoded(output.ports, joined(parts))
    return output


def _failed(node: str, run: int, code: str, message: str) -> ConcludeCompute:
    return ConcludeCompute(node=node, run=run, result=None, error=ErrorInfo(code=code, message=message, node_id=node))


def _following(decision: Decision, node: str, graph: Graph) -> tuple[str, int, list[Source]] | None:
    """The code's run that a decision asks for next, if the run of `node` is all that happened in it: node, run, and
    where its input comes from."""
    events, effects = decision.events, decision.effects
    if len(events) != 1 or len(effects) != 1:
        return None
    event, asked = events[0], effects[0]
    if not isinstance(event, NodeCompleted) or not isinstance(asked, Compute):
        return None
    sources = _sources(decision.state, graph, asked.node, asked.run) or []
    own = [source[:2] for source in sources] == [(node, event.run)]
    return (asked.node, asked.run, sources) if own and graph.by_id[asked.node].script is not None else None


def _sources(state: Execution, graph: Graph, node: str, run: int) -> list[Source] | None:
    """Where the input of a queued run comes from; None if it is not queued."""
    index = graph.by_id[node].index
    for ready in state.queue:
        if (ready.node, ready.run) == (index, run):
            return [delivery.source for delivery in ready.deliveries]
    return None
