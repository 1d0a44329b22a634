"""How the installation is: one entry a component, from what the log and the read models show."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from infra.log.port import Log, LogError, Topic
from infra.postgres.heartbeats import Heartbeat
from infra.sandbox.layout import SandboxBroken, SandboxUnavailable, find_sandbox
from infra.telemetry.metrics import TICK_AGE
from projections.positions import INPUT_TOPIC
from services.api.answers import COMMIT_TOPICS, Follower
from services.api.commands import now_ms
from services.api.reads import READS_AWAY, Reads

STUCK_SECONDS = 10.0
TICK_SECONDS = 15.0
TOLD_SECONDS = 600.0
"""So long a worker that fell silent is told of."""
_KEPT_SECONDS = 0.5
_CHECK_SECONDS = 3.0
_SANDBOX_AFTER_SECONDS = 3.0
"""Not while everything starts: it takes half a second of a core."""

_AWAY: tuple[type[BaseException], ...] = (LogError, *READS_AWAY)
"""TimeoutError is among them."""

Component = dict[str, Any]


class Health:
    """`components` looks at most twice a second. A lag is a failure once it has not moved for STUCK_SECONDS."""

    def __init__(
        self,
        log: Log,
        follower: Follower,
        reads: Reads,
        heartbeats: Callable[[], Sequence[Heartbeat]] = lambda: (),
    ) -> None:
        self._log = log
        self._heartbeats = heartbeats
        self._follower = follower
        self._reads = reads
        self._checking = asyncio.Lock()
        self._checked_at = float("-inf")
        self._components: dict[str, Component] = {}
        self._stuck_since: dict[str, tuple[tuple[int, ...], float]] = {}
        self._sandbox: asyncio.Task[Component] | None = None

    async def components(self) -> dict[str, Component]:
        async with self._checking:
            if time.monotonic() - self._checked_at >= _KEPT_SECONDS:
                self._components = await self._check()
                self._checked_at = time.monotonic()
            return self._components

    async def _check(self) -> dict[str, Component]:
        log, database = await asyncio.gather(
            _guarded(self._check_log, _AWAY), _guarded(self._check_database, READS_AWAY)
        )
        components = {"log": log, "database": database, "scheduler": self._check_scheduler()}
        components["sandbox"] = self._check_sandbox()
        if log["ok"] and database["ok"]:
            components |= await _guarded_all(self._check_readers, ("worker", "projector"))
        else:
            components |= {
                name: {"ok": False, "detail": "cannot be seen from here"} for name in ("worker", "projector")
            }
        return components

    async def _check_log(self) -> Component:
        await self._log.end_offset(Topic.EXECUTION_COMMANDS, 0)
        if not self._follower.healthy:
            return {"ok": False, "detail": "the api does not follow the commits"}
        return {"ok": True, "partitions": self._log.partitions}

    async def _check_database(self) -> Component:
        started = time.perf_counter()
        await self._reads.answered()
        return {"ok": True, "milliseconds": round((time.perf_counter() - started) * 1000, 1)}

    def _check_scheduler(self) -> Component:
        tick = self._follower.last_tick
        if tick is None:
            return {"ok": False, "detail": "no tick yet"}
        seen = self._follower.last_tick_seen
        silent = time.monotonic() - seen
        TICK_AGE.set(silent)
        skew = round((now_ms() - tick) / 1000, 1)
        return {"ok": silent < TICK_SECONDS, "seconds_since_tick": round(silent, 1), "seconds_behind_clock": skew}

    def _check_sandbox(self) -> Component:
        """Whether code can run on this machine, which is tried out once. Everything else works without."""
        if self._sandbox is None:
            self._sandbox = asyncio.create_task(_look_for_sandbox())
        return self._sandbox.result() if self._sandbox.done() else {"ok": True, "detail": "not looked at yet"}

    async def _check_readers(self) -> dict[str, Component]:
        answered = await self._reads.answered()
        fences = await self._reads.fences()
        unprojected = owned = 0
        for slot, place in self._follower.places.items():
            owned += place.fence.epoch is not None
            fence = fences.get(slot)
            unprojected += max(0, place.fence.next_offset - (fence.next_offset if fence else 0))
        inputs = [
            (Topic(INPUT_TOPIC[topic]), number) for topic in COMMIT_TOPICS for number in range(self._log.partitions)
        ]
        ends = await asyncio.gather(*(self._log.end_offset(*slot) for slot in inputs))
        undecided = sum(max(0, end - answered.get(slot, 0)) for slot, end in zip(inputs, ends, strict=True))
        total = len(COMMIT_TOPICS) * self._log.partitions
        progress = (sum(answered.values()),)
        worker: Component = {
            "ok": owned == total and not self._stuck("worker", undecided, progress),
            "partitions_owned": owned,
            "partitions": total,
            "inputs_waiting": undecided,
        }
        if owned < total:
            worker["detail"] = "no worker has taken these partitions yet"
        elif not worker["ok"]:
            worker["detail"] = f"inputs have waited for more than {STUCK_SECONDS:.0f} s"
        worker |= judge_workers(self._heartbeats(), ok=worker["ok"])
        reached = tuple(sorted(fence.next_offset for fence in fences.values()))
        projector: Component = {
            "ok": not self._stuck("projector", unprojected, reached),
            "records_waiting": unprojected,
        }
        return {"worker": worker, "projector": projector}

    def _stuck(self, name: str, waiting: int, progress: tuple[int, ...]) -> bool:
        """Whether something waits and nothing has moved for STUCK_SECONDS."""
        now = time.monotonic()
        before = self._stuck_since.get(name)
        if waiting <= 0 or before is None or before[0] != progress:
            self._stuck_since[name] = (progress, now)
            return False
        return now - before[1] > STUCK_SECONDS


def judge_workers(heartbeats: Sequence[Heartbeat], *, ok: bool) -> Component:
    """What the workers' signs of life add: those that are silent or begin again and again are named, and it is a
    failure where no other is left. Nothing where none is known (yet)."""
    workers = [each for each in heartbeats if each.role == "worker" and each.age < TOLD_SECONDS]
    troubled = [each for each in workers if each.state != "alive"]
    if not troubled:
        return {"processes": len(workers)} if workers else {}
    said = "; ".join(_trouble(each) for each in troubled)
    return {
        "ok": ok and len(troubled) < len(workers),
        "processes": len(workers),
        "troubled": [each.member for each in troubled],
        "detail": said,
    }


def _trouble(each: Heartbeat) -> str:
    if each.state == "silent":
        return f"{each.member} has been silent for {each.age:.0f} s"
    return f"{each.member} began {len(each.starts)} times lately, the last time {each.starts[-1]:.0f} s ago"


async def _look_for_sandbox() -> Component:
    while True:
        await asyncio.sleep(_SANDBOX_AFTER_SECONDS)
        try:
            await asyncio.to_thread(find_sandbox)
        except SandboxBroken:
            continue
        except SandboxUnavailable as error:
            return {"ok": True, "available": False, "detail": str(error)}
        return {"ok": True, "available": True}


async def _guarded(check: Callable[[], Awaitable[Component]], failures: tuple[type[BaseException], ...]) -> Component:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            return await check()
    except failures as error:
        return {"ok": False, "detail": str(error) or "no answer in time"}


async def _guarded_all(
    check: Callable[[], Awaitable[dict[str, Component]]], names: tuple[str, ...]
) -> dict[str, Component]:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            return await check()
    except _AWAY as error:
        return {name: {"ok": False, "detail": str(error) or "no answer in time"} for name in names}
