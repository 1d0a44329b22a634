"""Performs attempts: within their deadline, at most so many effects at once, results back to whoever owns the stream.

An attempt starts only while its owner has read a tick lately and before its deadline (log protocol, rule 9). A result
is never dropped: if this worker does not own the partition any more, it goes to the new owner by the log (rule 10).
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from domain.effects import EffectError, ItemResult, PerformAttempt
from domain.execution.commands import AttemptNotStarted, ConcludeAttempt
from infra.failpoints import failpoint
from infra.telemetry import metrics
from infra.telemetry.logs import get_logger
from infra.telemetry.secret_values import RECENT
from infra.telemetry.tracing import start_span
from services.worker.effects.interpreter import EffectContext, Interpreters
from services.worker.effects.slots import Slots
from services.worker.shares import Weights, equal

_log = get_logger("worker.effects")


class OwnersTime(Protocol):
    def now(self) -> int: ...

    def fresh(self) -> bool: ...


Deliver = Callable[[str, ConcludeAttempt | AttemptNotStarted], None]


class EffectPerformer:
    """All effects of one worker."""

    def __init__(self, most_at_once: int, interpreters: Interpreters, weights: Weights = equal) -> None:
        self._interpreters = interpreters
        self._most_at_once = most_at_once
        self._slots = Slots(most_at_once, weights)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def under_way(self) -> int:
        return len(self._tasks)

    def saturated(self, workspace: str) -> bool:
        """Whether the next attempt of a workspace would have to wait."""
        return self._slots.full(workspace)

    def start(
        self,
        request: PerformAttempt,
        stream: str,
        clock: OwnersTime,
        deliver: Deliver,
        trace: bytes | None,
        *,
        workspace: str,
    ) -> None:
        """Perform `request` for `workspace` by a task of its own and deliver what became of it."""
        task = asyncio.create_task(self._attempt(request, stream, clock, deliver, trace, workspace))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self, seconds: float) -> None:
        """Wait until nothing is under way, at most so long."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=seconds)

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        for interpreter in self._interpreters.values():
            await interpreter.close()

    async def _attempt(
        self,
        request: PerformAttempt,
        stream: str,
        clock: OwnersTime,
        deliver: Deliver,
        trace: bytes | None,
        workspace: str,
    ) -> None:
        if not await self._may_start(request, clock, workspace):
            deliver(stream, AttemptNotStarted(node=request.node, run=request.run, attempt=request.attempt))
            return
        failpoint("effect.before_start")
        held = self._slots_of(request)
        metrics.EFFECTS_IN_FLIGHT.inc(held)
        try:
            with start_span("attempt", trace, node=request.node, attempt=request.attempt) as span:
                side_by_side = asyncio.Semaphore(held)
                results = await asyncio.gather(
                    *(
                        self._one(request, place, side_by_side, _context(request, place, workspace, span or trace))
                        for place in range(len(request.effects))
                    )
                )
        finally:
            metrics.EFFECTS_IN_FLIGHT.dec(held)
            self._slots.give_back(held, workspace)
        failpoint("effect.before_result")
        deliver(
            stream,
            ConcludeAttempt(node=request.node, run=request.run, attempt=request.attempt, results=list(results)),
        )

    async def _may_start(self, request: PerformAttempt, clock: OwnersTime, workspace: str) -> bool:
        """Wait for the slots and a fresh tick, until the deadline; True: the slots are held."""
        wanted = self._slots_of(request)
        held = 0
        try:
            async with asyncio.timeout(max(0.0, (request.start_by - clock.now()) / 1_000)):
                await self._slots.take(wanted, workspace)
                held = wanted
                while not clock.fresh():
                    await asyncio.sleep(0.1)
        except TimeoutError:
            pass
        else:
            if clock.fresh() and clock.now() <= request.start_by:
                return True
        self._slots.give_back(held, workspace)
        return False

    def _slots_of(self, request: PerformAttempt) -> int:
        """One an effect, but never more than there are."""
        return min(len(request.effects), self._most_at_once)

    async def _one(
        self, request: PerformAttempt, place: int, side_by_side: asyncio.Semaphore, context: EffectContext
    ) -> ItemResult:
        try:
            return await self._interpret(request, place, side_by_side, context)
        except Exception as error:  # noqa: BLE001 — a result, whatever happened: nobody waits for ever
            _log.exception("an effect interpreter failed", node=request.node)
            message = RECENT.hide(f"{type(error).__name__}: {error}")  # the interpreter could not hide anything here
            failed = EffectError("internal_error", message, retriable=False, unknown=True)
            return ItemResult(request.indexes[place], error=failed)

    async def _interpret(
        self, request: PerformAttempt, place: int, side_by_side: asyncio.Semaphore, context: EffectContext
    ) -> ItemResult:
        effect = request.effects[place]
        index = request.indexes[place]
        async with side_by_side:
            result = await self._interpreters[type(effect)].perform(effect, context)
        failpoint("effect.after_request")
        if isinstance(result, EffectError):
            return ItemResult(index, error=result)
        return ItemResult(index, value=result)


def _context(request: PerformAttempt, place: int, workspace: str, trace: bytes | None) -> EffectContext:
    return EffectContext(
        workspace, request.execution_id, request.node, request.keys[place], request.effect_class, trace
    )
