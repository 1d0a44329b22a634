"""The outside world that workflows call: answers, fails, hangs or answers too late, and remembers every request."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from domain.effects import EffectClass, EffectError, HttpRequest
from services.worker.effects.interpreter import EffectContext
from tests.simulation.faults import Faults
from tests.simulation.loop import SimLoop

KINDS = ("ok", "ok slow", "status 500", "status 429", "status 404", "refused", "cut", "hang")


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived. `key`: the effect's idempotency key; `time`: simulated seconds."""

    time: float
    process: str
    key: str
    effect_class: EffectClass
    url: str
    kind: str


class World:
    """All that is outside. `arrived` is told of each request."""

    def __init__(self, loop: SimLoop, source: random.Random, faults: Faults) -> None:
        self.requests: list[Request] = []
        self.arrived: Callable[[Request], None] | None = None
        self._loop = loop
        self._random = source
        self._faults = faults
        self._done: dict[str, dict[str, Any]] = {}
        bad = source.choice((0, 1, 3))
        self._weights = [8, 2, bad, bad, bad / 2, bad, bad, bad / 2]

    def client(self, process: str) -> "SimHttp":
        return SimHttp(self, process)

    def arrive(
        self, process: str, request: HttpRequest, key: str, effect_class: EffectClass, done: "asyncio.Future[Any]"
    ) -> None:
        kind = self._random.choices(KINDS, self._weights)[0]
        if kind == "refused":
            self._answer(done, EffectError("connection_failed", "refused"), self._faults.latency())
            return
        seen = Request(self._loop.time(), process, key, effect_class, request.url, kind)
        self.requests.append(seen)
        if self.arrived is not None:
            self.arrived(seen)
        if kind != "ok":
            self._faults.counted[f"world: {kind}"] += 1
        self._act(kind, request, key, effect_class, done)

    def _act(
        self, kind: str, request: HttpRequest, key: str, effect_class: EffectClass, done: "asyncio.Future[Any]"
    ) -> None:
        delay = self._random.uniform(0.0, 0.05)
        if kind == "ok slow":
            delay = self._random.uniform(0.0, request.timeout_seconds * 1.2)
        match kind:
            case "hang":
                return
            case "cut":
                self._answer(done, EffectError("connection_lost", "cut", unknown=True), delay)
            case "ok" | "ok slow":
                self._answer(done, self._value(key, effect_class), delay)
            case _:
                headers = {"retry-after": "2"} if kind == "status 429" and self._random.random() < 0.3 else {}
                self._answer(done, {"status": int(kind[-3:]), "headers": headers, "body": None}, delay)

    def _value(self, key: str, effect_class: EffectClass) -> dict[str, Any]:
        """The same answer to the same idempotency key, a new one to everything else."""
        if effect_class == "idempotent" and key in self._done:
            return self._done[key]
        value = {"status": 200, "headers": {}, "body": {"n": self._random.randrange(6), "id": len(self.requests)}}
        self._done[key] = value
        return value

    def _answer(self, done: "asyncio.Future[Any]", value: Any, delay: float) -> None:
        self._loop.call_outside(delay, _resolve, done, value)


def _resolve(done: "asyncio.Future[Any]", value: Any) -> None:
    if not done.done():
        done.set_result(value)


class SimHttp:
    """A worker's HTTP client. What it has sent arrives, whatever becomes of the worker."""

    def __init__(self, world: World, process: str) -> None:
        self._world = world
        self._process = process

    async def perform(self, effect: HttpRequest, context: EffectContext) -> dict[str, Any] | EffectError:
        world = self._world
        done: asyncio.Future[Any] = world._loop.create_future()
        latency = world._faults.latency()
        world._loop.call_outside(latency, world.arrive, self._process, effect, context.key, context.effect_class, done)
        try:
            async with asyncio.timeout(effect.timeout_seconds):
                result: dict[str, Any] | EffectError = await done
                return result
        except TimeoutError:
            return EffectError("timeout", "no answer", unknown=True)

    async def close(self) -> None:
        return
