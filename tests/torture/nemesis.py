"""What goes wrong, by a seed: kills, pauses, stepped clocks, cut and slow links; the database and the broker killed and
stalled."""

import asyncio
import random
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from tests.torture.cluster import TortureCluster
from tests.torture.plan import CLASSES, LINKS, Plan

AT_ONCE = 2
LONGEST_STALL = 10.0
STEPS = (-600, -300, -40, 40, 300)
"""Seconds that a wall clock is set to."""

THROTTLED = (8_000.0, 64_000.0)
"""Bytes a second."""


class Nemesis:
    """`note` writes the journal of faults: kind, target, begin and end (ms)."""

    def __init__(self, plan: Plan, cluster: TortureCluster, note: Callable[..., None]) -> None:
        self._plan = plan
        self._cluster = cluster
        self._note = note
        self._random = random.Random(f"nemesis {plan.seed}")
        self._busy: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._deck: list[str] = []
        self._began = 0.0

    async def storm(self, seconds: float) -> None:
        """Faults for so long, at most two at once; returns when all of them are over."""
        self._began = time.monotonic()
        end = self._began + seconds
        while (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(left, self._random.uniform(*self._plan.fault_every)))
            if len(self._tasks) < AT_ONCE and time.monotonic() < end:
                self._strike(end)
        if self._tasks:
            await asyncio.wait(set(self._tasks))

    def _strike(self, end: float) -> None:
        kind, target = self._draw()
        faults: dict[str, Callable[[str, float], Awaitable[None]]] = {
            "kill": self._kill,
            "pause": self._pause,
            "cut": self._cut,
            "reset": self._reset,
            "slow": self._slow,
            "throttle": self._throttle,
            "clock": self._clock,
            "stall": self._stall,
            "database": self._database,
            "broker": self._broker,
        }
        self._busy.add(target)
        task = asyncio.create_task(self._run(kind, target, faults[kind], max(1.0, end - time.monotonic())))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _draw(self) -> tuple[str, str]:
        """Shuffled decks instead of single draws: a short run meets every kind and every class of process, too. A card
        whose targets are all under another fault waits for its turn."""
        while True:
            for place in range(len(self._deck) - 1, -1, -1):
                kind, _, role = self._deck[place].partition(" ")
                if free := [each for each in self._targets(role) if each not in self._busy]:
                    del self._deck[place]
                    return kind, self._random.choice(free)
            fresh = self._kills() if self._plan.kills_only else self._everything()
            self._random.shuffle(fresh)
            self._deck = [*fresh, *self._deck]

    def _targets(self, role: str) -> list[str]:
        if role in {"database", "broker"}:
            return [role]
        return [each for each in self._cluster.processes if each.startswith(role) and not self._spared(each)]

    def _spared(self, name: str) -> bool:
        """In a soak the first process of each class lives on, so that its growth can be seen; of the projectors (one
        works, one waits) after a quarter of the time."""
        if not self._plan.kills_only or not name.endswith("-0"):
            return False
        return not name.startswith("projector") or time.monotonic() - self._began > self._plan.storm / 4

    def _kills(self) -> list[str]:
        return [f"kill {each}" for each in CLASSES]

    def _everything(self) -> list[str]:
        kills = [f"kill {each}" for each in [*CLASSES, *CLASSES, "worker", "worker", "worker"]]
        pauses = [f"pause {each}" for each in [*CLASSES, "worker"]]
        roles = ["worker", "api", "projector", "worker"]
        self._random.shuffle(roles)
        links = [f"{kind} {each}" for kind, each in zip(LINKS, roles, strict=True)]
        clocks = [f"clock {each}" for each in self._random.sample(CLASSES, 2)] if self._cluster.clocks else []
        servers = ["database database", "stall database"]
        if self._cluster.broker is not None:
            servers += ["broker broker", "stall broker"]
        return [*kills, *pauses, *links, *clocks, *servers]

    async def _run(self, kind: str, target: str, fault: Callable[[str, float], Awaitable[None]], left: float) -> None:
        began = time.time() * 1000
        self._note(what="fault", kind=kind, target=target, at=began)
        try:
            await fault(target, left)
        finally:
            self._note(what="over", kind=kind, target=target, at=time.time() * 1000, began=began)
            self._busy.discard(target)

    async def _kill(self, target: str, _: float) -> None:
        self._cluster.kill(target)
        await asyncio.sleep(self._random.uniform(0.0, 2.0))
        self._cluster.release(target)

    async def _pause(self, target: str, left: float) -> None:
        self._cluster.signal(target, signal.SIGSTOP)
        try:
            await asyncio.sleep(min(left, self._random.uniform(1.0, self._plan.longest_pause)))
        finally:
            self._cluster.signal(target, signal.SIGCONT)

    async def _cut(self, target: str, left: float) -> None:
        proxy = self._random.choice(self._cluster.proxies[target])
        proxy.cut()
        try:
            await asyncio.sleep(min(left, self._random.uniform(1.0, min(15.0, self._plan.longest_pause))))
        finally:
            proxy.heal()

    async def _reset(self, target: str, _: float) -> None:
        for _round in range(self._random.randint(1, 3)):
            for proxy in self._cluster.proxies[target]:
                proxy.reset()
            await asyncio.sleep(0.5)

    async def _slow(self, target: str, left: float) -> None:
        for proxy in self._cluster.proxies[target]:
            proxy.delay = self._random.uniform(0.05, 0.8)
        try:
            await asyncio.sleep(min(left, self._random.uniform(1.0, self._plan.longest_pause)))
        finally:
            for proxy in self._cluster.proxies[target]:
                proxy.heal()

    async def _throttle(self, target: str, left: float) -> None:
        for proxy in self._cluster.proxies[target]:
            proxy.bandwidth = self._random.uniform(*THROTTLED)
        try:
            await asyncio.sleep(min(left, self._random.uniform(1.0, min(15.0, self._plan.longest_pause))))
        finally:
            for proxy in self._cluster.proxies[target]:
                proxy.heal()

    async def _clock(self, target: str, left: float) -> None:
        """Somebody sets the clock, and later sets it right."""
        self._cluster.clocks[target].step(self._random.choice(STEPS))
        try:
            await asyncio.sleep(min(left, self._random.uniform(2.0, self._plan.longest_pause)))
        finally:
            self._cluster.clocks[target].step(0)

    async def _stall(self, target: str, left: float) -> None:
        """The server is there and does not answer."""
        server = self._cluster.database if target == "database" else self._cluster.broker
        assert server is not None
        server.stall()
        try:
            await asyncio.sleep(min(left, self._random.uniform(1.0, LONGEST_STALL)))
        finally:
            server.go_on()

    async def _database(self, _target: str, _left: float) -> None:
        await asyncio.to_thread(self._cluster.database.kill)
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.2)
        await asyncio.to_thread(self._cluster.database.start)

    async def _broker(self, _target: str, _left: float) -> None:
        broker = self._cluster.broker
        assert broker is not None
        await asyncio.to_thread(broker.kill)
        await asyncio.sleep(self._random.uniform(0.0, 3.0))
        await asyncio.to_thread(broker.start)
