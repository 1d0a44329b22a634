"""The worker's pool of sandboxed processes.

A process belongs to one tenant until it ends, and every run has a context of its own in it, so nothing crosses runs or
tenants. Short JavaScript runs in QuickJS, which is ready in a moment; what uses up its first milliseconds is started
again in V8 (code has no effects), and the next time goes there at once. Python has a process of its own for each run.
"""

import asyncio
from collections import OrderedDict, deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import msgspec

from infra.sandbox.layout import SandboxBroken, SandboxUnavailable, find_sandbox
from infra.sandbox.zygote import Kind, Process, SandboxEnded, Zygote

SHORT_SECONDS = 0.02
"""CPU time that QuickJS gets for code before V8 takes over."""
KNOWN_LONG = 1_000
"""Sources that are remembered as long-running."""
IDLE_SECONDS = 60.0
RUNS = 500
"""After so many runs a process is replaced."""
GRACE_SECONDS = 2.0
"""QuickJS counts CPU time and stops code by itself; beyond this its process is killed, as the others' are at once."""
TRIES = 3
"""A used process may be gone, then the new one with the sandbox, which is heard of last."""
ENVELOPE = 65_536
"""Bytes of an answer beside the output itself."""

Language = Literal["javascript", "python"]
Mode = Literal["all_items", "each_item", "expressions"]


class SandboxFailed(Exception):
    """The run came to no answer that could be used. `code` is stable, the message is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one run: seconds, bytes of memory beyond the engine's own, bytes of output."""

    seconds: float = 30.0
    memory: int = 128 * 1024 * 1024
    output: int = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ScriptRequest:
    """One run. `key` names the source (for what is known of it); `job` is JSON as `inside/` reads it."""

    language: Language
    mode: Mode
    key: str
    job: bytes
    limits: Limits = Limits()


class _Failure(msgspec.Struct):
    code: str


class _Head(msgspec.Struct):
    error: _Failure | None = None


_head = msgspec.json.Decoder(_Head).decode


class _Places:
    """So many runs at once, at most half of them of one tenant; tenants take turns, each its own runs in order."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._each = max(1, most // 2)
        self._running: dict[str, int] = {}
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    async def take(self, tenant: str) -> None:
        if not self._waiting and self._free(tenant):
            self._running[tenant] = self._running.get(tenant, 0) + 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant, deque()).append(turn)
        self._let_in()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(tenant)
            raise

    def give_back(self, tenant: str) -> None:
        self._running[tenant] -= 1
        if not self._running[tenant]:
            del self._running[tenant]
        self._let_in()

    def _free(self, tenant: str) -> bool:
        return sum(self._running.values()) < self._most and self._running.get(tenant, 0) < self._each

    def _let_in(self) -> None:
        for tenant in list(self._waiting):
            turns = self._waiting[tenant]
            while turns and turns[0].done():
                turns.popleft()
            if turns and self._free(tenant):
                self._running[tenant] = self._running.get(tenant, 0) + 1
                turns.popleft().set_result(None)
                self._waiting.move_to_end(tenant)
            if not turns:
                del self._waiting[tenant]


class Sandbox:
    """All sandboxed runs of one worker. `light`: QuickJS and Python at once; `heavy`: V8 at once (some 80 MB each)."""

    def __init__(self, *, light: int = 4, heavy: int = 2) -> None:
        self._places = {"light": _Places(light), "heavy": _Places(heavy)}
        self._most: dict[Kind, int] = {"javascript": light, "v8": heavy, "python": 0}
        self._idle: dict[Kind, list[Process]] = {"javascript": [], "v8": [], "python": []}
        self._alive: dict[Kind, int] = {"javascript": 0, "v8": 0, "python": 0}
        self._long: OrderedDict[str, None] = OrderedDict()
        self._zygote: Zygote | None = None
        self._starting = asyncio.Lock()

    async def run(self, tenant: str, request: ScriptRequest) -> bytes:
        """The answer's JSON. Raises SandboxUnavailable, SandboxFailed."""
        if request.language == "python":
            return await self._in_turn("light", "python", tenant, request, request.limits.seconds)
        if request.key not in self._long:
            seconds = request.limits.seconds
            if request.mode != "expressions":
                seconds = min(SHORT_SECONDS, seconds)
            try:
                answer = await self._in_turn("light", "javascript", tenant, request, seconds)
            except SandboxFailed as error:  # not stopped by itself: a busy machine, or one long call inside the engine
                if request.mode == "expressions" or error.code != "timeout":
                    raise
            else:
                if request.mode == "expressions" or not _timed_out(answer):
                    return answer
            self._remember_long(request.key)
        return await self._in_turn("heavy", "v8", tenant, request, request.limits.seconds)

    async def close(self) -> None:
        """End everything."""
        zygote, self._zygote = self._zygote, None
        if zygote is not None:
            self._forget_processes()
            await zygote.close()

    def _remember_long(self, key: str) -> None:
        self._long[key] = None
        if len(self._long) > KNOWN_LONG:
            self._long.popitem(last=False)

    async def _in_turn(self, places: str, kind: Kind, tenant: str, request: ScriptRequest, seconds: float) -> bytes:
        await self._places[places].take(tenant)
        try:
            for _ in range(TRIES - 1):
                try:
                    return await self._once(kind, tenant, request, seconds)
                except SandboxEnded:  # code has no effects, so once more
                    if self._zygote is not None and await self._zygote.ends():
                        await self._drop_zygote()
            return await self._once(kind, tenant, request, seconds)
        except SandboxBroken as error:
            await self._drop_zygote()
            raise SandboxFailed("sandbox_failed", str(error)) from None
        finally:
            self._places[places].give_back(tenant)

    async def _once(self, kind: Kind, tenant: str, request: ScriptRequest, seconds: float) -> bytes:
        limits = request.limits
        header = msgspec.json.encode(
            {"mode": request.mode, "memory": limits.memory, "seconds": seconds, "output": limits.output}
        )
        process = await self._process(kind, tenant, limits)
        healthy = False
        try:
            async with asyncio.timeout(seconds + (GRACE_SECONDS if kind == "javascript" else 0)):
                answer = await process.ask(header, request.job, limits.output + ENVELOPE)
            healthy = kind != "python" and process.runs < RUNS
            return answer
        except TimeoutError:
            raise SandboxFailed("timeout", f"the code took longer than {request.limits.seconds:g} seconds") from None
        except EOFError:
            if process.runs > 1 or self._zygote is None or await self._zygote.ends():
                raise SandboxEnded("the sandbox ended") from None
            raise SandboxFailed(
                "out_of_memory", f"the code's process ended: it used more than {limits.memory >> 20} MB or crashed"
            ) from None
        except ValueError:
            raise SandboxFailed(
                "output_too_large", f"the code put out more than the {limits.output:,} bytes that are allowed"
            ) from None
        finally:
            self._release(process, healthy)

    async def _process(self, kind: Kind, tenant: str, limits: Limits) -> Process:
        """An idle process of this tenant, else a new one (ending somebody's idle one if there are too many)."""
        idle = self._idle[kind]
        for place in range(len(idle) - 1, -1, -1):
            if idle[place].ended:
                self._end(idle.pop(place))
            elif idle[place].tenant == tenant:
                return idle.pop(place)
        if kind != "python" and self._alive[kind] >= self._most[kind] and idle:
            self._end(idle.pop(0))
        zygote = await self._started()
        process = await zygote.fork(kind, tenant, memory=limits.memory, cpu_seconds=3_600 if kind != "python" else
                                    round(limits.seconds) + 1)  # fmt: skip
        self._alive[kind] += 1
        return process

    def _release(self, process: Process, healthy: bool) -> None:
        if not healthy or process.ended or self._zygote is None:
            self._end(process)
            return
        self._idle[process.kind].append(process)
        asyncio.get_running_loop().call_later(IDLE_SECONDS, self._retire, process, process.runs)

    def _retire(self, process: Process, runs: int) -> None:
        if process.runs == runs and process in self._idle[process.kind]:
            self._idle[process.kind].remove(process)
            self._end(process)

    def _end(self, process: Process) -> None:
        self._alive[process.kind] -= 1
        if self._zygote is None:
            process.close()
            return
        with suppress(SandboxBroken):
            self._zygote.kill(process)

    async def _started(self) -> Zygote:
        async with self._starting:
            if self._zygote is not None and not self._zygote.alive:
                await self._drop_zygote()
            if self._zygote is None:
                layout = await asyncio.to_thread(find_sandbox)
                self._zygote = await Zygote.start(layout)
            return self._zygote

    async def _drop_zygote(self) -> None:
        zygote, self._zygote = self._zygote, None
        if zygote is not None:
            self._forget_processes()
            await zygote.close()

    def _forget_processes(self) -> None:
        for idle in self._idle.values():
            for process in idle:
                self._alive[process.kind] -= 1
                process.close()
            idle.clear()


def _timed_out(answer: bytes) -> bool:
    if not answer.startswith(b'{"error"'):
        return False
    with suppress(msgspec.DecodeError):
        error = _head(answer).error
        return error is not None and error.code == "timeout"
    return False


__all__ = ["Limits", "Sandbox", "SandboxFailed", "SandboxUnavailable", "ScriptRequest"]
