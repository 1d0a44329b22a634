"""Does harm for a while: which kinds, and how often, differ from seed to seed."""

import asyncio
import random
from collections.abc import Callable

from tests.simulation.faults import Faults
from tests.simulation.processes import Installation

SESSION_SECONDS = 6.0
KINDS = (
    "worker killed", "worker paused", "worker paused past its lease", "lease expired alone", "rebalance",
    "worker stopped and started", "log down", "store down", "store crashed", "worker's clock stepped",
    "leader's clock stepped", "scheduler killed", "scheduler paused", "projector killed", "second projector",
)  # fmt: skip


class Nemesis:
    """Strikes at random times; `rest` undoes everything."""

    def __init__(self, system: Installation, faults: Faults, source: random.Random) -> None:
        self._system = system
        self._faults = faults
        self._random = source
        self.stepped = False
        weights = [source.choice((0, 0, 1, 1, 4)) for _ in KINDS]
        self._kinds = [kind for kind, weight in zip(KINDS, weights, strict=True) for _ in range(weight)]
        self._pause = source.choice((1.0, 5.0, 20.0))

    async def rage(self, seconds: float) -> None:
        loop = self._system.shared.loop
        until = loop.time() + seconds
        while self._kinds and (left := until - loop.time()) > 0:
            await asyncio.sleep(min(left, self._random.expovariate(1 / self._pause)))
            if loop.time() < until:
                self.strike(self._random.choice(self._kinds))

    def rest(self) -> None:
        self._kinds = []
        self._faults.active = False
        self._system.shared.log.set_down(False)
        self._system.shared.statements.down = False
        self._system.heal()

    def strike(self, kind: str) -> None:
        self._faults.counted[kind] += 1
        match kind:
            case "worker killed":
                self._kill_worker()
            case "worker paused":
                self._pause_worker(self._random.uniform(0.01, SESSION_SECONDS))
            case "worker paused past its lease":
                name = self._pause_worker(self._random.uniform(SESSION_SECONDS, 60.0))
                if name is not None:
                    self._later(SESSION_SECONDS, self._system.shared.group.expire, name)
            case "lease expired alone":
                self._system.shared.group.expire(self._random.choice(self._system.names))
            case "rebalance":
                self._system.shared.group.shuffle()
            case "worker stopped and started":
                self._system.stop(self._random.choice(self._system.names))
            case "log down":
                self._system.shared.log.set_down(True)
                self._later(self._random.uniform(0.1, 15.0), self._system.shared.log.set_down, False)
            case "store down" | "store crashed":
                if kind == "store crashed":
                    self._system.shared.checkpoints.crash(self._random.uniform(0.0, 1.0))
                self._system.shared.statements.down = True
                self._later(self._random.uniform(0.1, 15.0), self._store_up)
            case "worker's clock stepped":
                self._step(self._random.choice(self._system.names))
            case _:
                self._strike_others(kind)

    def _strike_others(self, kind: str) -> None:
        system = self._system
        leader = system._leader
        match kind:
            case "leader's clock stepped":
                self._step(leader)
            case "scheduler killed":
                if system.alive(leader):
                    system.kill(leader)
                    self._later(self._random.uniform(0.1, 8.0), self._next_leader, leader)
            case "scheduler paused":
                if system.alive(leader):
                    system.pause(leader)
                    self._later(5.0, self._next_leader, leader)
                    self._later(self._random.uniform(1.0, 20.0), system.resume, leader)
            case "projector killed":
                if system.alive("projector"):
                    system.kill("projector")
                    self._later(self._random.uniform(0.1, 10.0), system.start_projector, "projector")
            case "second projector":
                system.start_projector("projector-2")

    def _kill_worker(self) -> None:
        name = self._random.choice(self._system.names)
        if not self._system.alive(name):
            return
        self._system.kill(name)
        back = self._random.choice((0.1, 2.0, 20.0)) * self._random.random()
        if back > SESSION_SECONDS:
            self._later(SESSION_SECONDS, self._drop, name)
        self._later(back, self._system.start_worker, name)

    def _drop(self, name: str) -> None:
        if not self._system.alive(name):
            self._system.shared.group.drop(name)

    def _pause_worker(self, seconds: float) -> str | None:
        name = self._random.choice(self._system.names)
        process = self._system.processes[name]
        if process.dead or process.paused:
            return None
        self._system.pause(name)
        self._later(seconds, self._system.shared.loop.resume, process)
        return name

    def _step(self, name: str) -> None:
        self.stepped = True
        step = self._random.choice((-3_600_000, -2_000, -100, 100, 2_000, 3_600_000))
        self._system.processes[name].wall_offset_ms += step

    def _next_leader(self, before: str) -> None:
        if self._system._leader == before:
            number = int(before.rstrip("+").rpartition("-")[2]) + 1
            self._system.start_scheduler(f"scheduler-{number}")

    def _store_up(self) -> None:
        self._system.shared.statements.down = False

    def _later(self, seconds: float, call: Callable[..., object], *args: object) -> None:
        """At some time, unless the nemesis has come to rest."""

        def act() -> None:
            if self._kinds:
                call(*args)

        self._system.shared.loop.call_outside(seconds, act)
