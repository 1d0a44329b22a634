"""What goes wrong, by a seed: kills, pauses, cut and slow links, restarts of the database and of the broker."""

import asyncio
import random
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from tests.torture.cluster import TortureCluster
from tests.torture.plan import Plan

AT_ONCE = 2


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

    async def storm(self, seconds: float) -> None:
        """Faults for so long, at most two at once; returns when all of them are over."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(left, self._random.uniform(*self._plan.fault_every)))
            if len(self._tasks) < AT_ONCE and time.monotonic() < end:
                self._strike(end)
        if self._tasks:
            await asyncio.wait(set(self._tasks))

    def _strike(self, end: float) -> None:
        kind, target = self._draw()
        if target in self._busy:
            return
        faults: dict[str, Callable[[str, float], Awaitable[None]]] = {
            "kill": self._kill,
            "pause": self._pause,
            "cut": self._cut,
            "reset": self._reset,
            "slow": self._slow,
            "database": self._database,
            "broker": self._broker,
        }
        self._busy.add(target)
        task = asyncio.create_task(self._run(kind, target, faults[kind], max(1.0, end - time.monotonic())))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _draw(self) -> tuple[str, str]:
        """Shuffled decks instead of single draws: a short run meets every kind and every class of process, too."""
        if not self._deck:
            classes = ["api", "worker", "projector"]
            kills = [f"kill {each}" for each in [*classes, *classes, "worker", "worker", "worker"]]
            pauses = [f"pause {each}" for each in [*classes, "worker"]]
            roles = ["worker", "api", "projector", "worker"]
            self._random.shuffle(roles)
            links = [f"{kind} {each}" for kind, each in zip(("cut", "reset", "slow", "cut"), roles, strict=True)]
            servers = ["database -", *(["broker -"] if self._cluster.broker is not None else [])]
            self._deck = [*kills, *pauses, *links, *servers]
            self._random.shuffle(self._deck)
        kind, _, role = self._deck.pop().partition(" ")
        if role == "-":
            return kind, kind
        return kind, self._random.choice([name for name in self._cluster.processes if name.startswith(role)])

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
