"""The cluster of a run: api ×2, workers, projector with scheduler ×2, PostgreSQL, the broker; a proxy on every hop.

A small supervisor starts what has ended again, as systemd or Kubernetes would.
"""

import asyncio
import contextlib
import json
import secrets
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import aiohttp
import asyncpg
import psutil

from tests.support.postgres import PostgresServer, free_port
from tests.support.processes import LINKFLOW, Process, environment
from tests.torture.broker import ManyDoors, free_ports
from tests.torture.clocks import SteppedClock, faketime_library
from tests.torture.cpu import CpuLimit
from tests.torture.proxy import Proxy

PARTITIONS = 8
READY_SECONDS = 60.0
CANARIES = ("canary-red-7f3a", "canary-blue-91c2")


def full_names(workers: int) -> list[str]:
    """The processes of a whole cluster."""
    return ["api-0", "api-1", *(f"worker-{number}" for number in range(workers)), "projector-0", "projector-1"]


def _silent(**_: object) -> None:
    """Nobody wants to know what was started again."""


class TortureCluster:
    """Use as an async context manager. `processes`, `proxies`, `clocks`: by name; `keys`: canary → API key of its
    workspace. `clocks` is empty where the machine has no libfaketime, or `clocks=False`.

    `database`: a server that has not been started; by default a new one. `processors`: all of it together gets no more,
    clients and witnesses have the rest.
    """

    def __init__(
        self,
        home: Path,
        *,
        log: str,
        names: Sequence[str],
        note: Callable[..., None] = _silent,
        settings: Mapping[str, str] | None = None,
        clocks: bool = False,
        database: PostgresServer | None = None,
        processors: float | None = None,
    ) -> None:
        self.home = home
        self.log = log
        self.note = note
        self.prefix = f"t{secrets.token_hex(4)}." if log == "kafka" else ""
        self.keys: dict[str, str] = {CANARIES[0]: f"lf_{secrets.token_urlsafe(32)}"}
        self.database = database or PostgresServer()
        self.database_url = ""
        self.broker: ManyDoors | None = None
        self.apis: dict[str, str] = {}
        self.processes: dict[str, Process] = {}
        self.proxies: dict[str, list[Proxy]] = {}
        library = faketime_library() if clocks else None
        self.clocks = {} if library is None else {each: SteppedClock(library, home / f"{each}.clock") for each in names}
        self._names = list(names)
        self._settings = dict(settings or {})
        self._specs: dict[str, tuple[list[str], dict[str, str]]] = {}
        self._limit = None if processors is None else CpuLimit(processors)
        self._held: set[str] = set()
        self._armed: list[Process] = []
        self._supervising: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "TortureCluster":
        try:
            await self._start()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def _start(self) -> None:
        await asyncio.to_thread(self.database.start)
        self.database_url = await asyncio.to_thread(self.database.create_database)
        await self._open_proxies()
        if self.broker is not None:
            await asyncio.to_thread(self.broker.start)
        if self._limit is not None:
            for server in (self.database, *([self.broker] if self.broker is not None else [])):
                root = psutil.Process(server.pid)
                self._limit.take([root.pid, *(each.pid for each in root.children(recursive=True))])
        for name in self._names:
            self._add(name)
        await self.run_cli("migrate")
        await self.run_cli("topics", "create")
        for process in self.processes.values():
            process.start()
        await self.ready()
        made = json.loads(await self.run_cli("keys", "create", "--workspace", "blue", "--json"))
        self.keys[CANARIES[1]] = made["api_key"]
        if self._limit is not None:
            self._limit.begin()
        self._supervising = asyncio.create_task(self._supervise())

    async def _open_proxies(self) -> None:
        for name in self._names:
            proxy = Proxy(f"{name} → database", self.database.port)
            await proxy.start()
            self.proxies[name] = [proxy]
        if self.log != "kafka":
            return
        doors: dict[str, tuple[int, int]] = {}
        for name, port in zip(self._names, free_ports(len(self._names)), strict=True):
            proxy = Proxy(f"{name} → broker", port)
            doors[name] = (port, await proxy.start())
            self.proxies[name].append(proxy)
        self.broker = await asyncio.to_thread(ManyDoors, doors)

    def settings_of(self, name: str | None) -> dict[str, str]:
        """Of the process `name`, by its proxies; None: of a command that no nemesis touches."""
        database, log = self.database_url, "postgres"
        if self.broker is not None:
            log = f"kafka://{self.broker.bootstrap}"
        if name is not None:
            proxies = self.proxies[name]
            database = database.replace(f":{self.database.port}/", f":{proxies[0].port}/")
            if self.broker is not None:
                log = f"kafka://127.0.0.1:{proxies[1].port}"
        return {
            "LINKFLOW_DATABASE_URL": database,
            "LINKFLOW_LOG": log,
            "LINKFLOW_LOG_PREFIX": self.prefix,
            "LINKFLOW_DATA": str(self.home / "data"),
            "LINKFLOW_BOOTSTRAP_API_KEY": self.keys[CANARIES[0]],
            "LINKFLOW_EGRESS_ALLOW": "127.0.0.1",
            "LINKFLOW_MEMBER": name or "",
            **self._settings,
        }

    def _add(self, name: str) -> None:
        settings = self.settings_of(name)
        role = name.partition("-")[0]
        argv = [*(self._limit.prefix if self._limit is not None else []), *LINKFLOW, role]
        if role == "api":
            port = free_port()
            settings["LINKFLOW_PORT"] = str(port)
            self.apis[name] = f"http://127.0.0.1:{port}"
        if role == "projector":
            argv.append("--with-scheduler")
        clock = self.clocks[name].environment if name in self.clocks else {}
        self._specs[name] = (argv, environment(settings) | clock)
        self.processes[name] = Process(name, *self._specs[name], self.home / f"{name}.log")

    async def run_cli(self, *args: str, within: float = 300.0) -> str:
        """A `linkflow` command, beside all proxies; returns what it says. Raises RuntimeError."""
        child = await asyncio.create_subprocess_exec(
            *LINKFLOW,
            *args,
            env=environment(self.settings_of(None)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(within):
            out, err = await child.communicate()
        if child.returncode != 0:
            raise RuntimeError(f"linkflow {' '.join(args)}: {out.decode()[-2000:]} {err.decode()[-2000:]}")
        return out.decode()

    async def ready(self, within: float = READY_SECONDS) -> float:
        """Wait until every api says that everything is ready; returns the seconds it took."""
        began = time.monotonic()
        left = dict(self.apis)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            while left and time.monotonic() - began < within:
                for name, url in list(left.items()):
                    with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                        async with session.get(f"{url}/health/ready") as answer:
                            if answer.status == 200:
                                del left[name]
                await asyncio.sleep(0.05)
        if left:
            raise RuntimeError(f"{sorted(left)} not ready within {within} s:\n{self.tails()}")
        return time.monotonic() - began

    def tails(self, size: int = 1500) -> str:
        return "\n".join(f"--- {name} ---\n{process.tail(size)}" for name, process in self.processes.items())

    # --- what the nemesis and the supervisor do ---------------------------------------------------------------------

    def kill(self, name: str) -> None:
        """SIGKILL to a process and its children (compute pool); the supervisor starts it again after `release`."""
        self._held.add(name)
        for each in reversed(self.processes[name].tree()):
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()

    def release(self, name: str) -> None:
        self._held.discard(name)

    async def restart(self, name: str) -> None:
        """End the process as a deployment does (SIGTERM, and wait), then run it again."""
        self._held.add(name)
        await self.processes[name].terminate()
        self.processes[name].start()
        self._held.discard(name)

    async def arm(self, name: str, failpoint: str) -> Process:
        """End the process `name` and run it with LINKFLOW_FAILPOINT; after its end `release` starts the plain one."""
        self._held.add(name)
        await self.processes[name].terminate()
        argv, env = self._specs[name]
        process = Process(name, argv, {**env, "LINKFLOW_FAILPOINT": failpoint}, self.home / f"{name}.log")
        self._armed.append(process)
        process.start()
        return process

    def signal(self, name: str, number: signal.Signals) -> None:
        self.processes[name].send(number)

    async def _supervise(self) -> None:
        while True:
            for name, process in self.processes.items():
                if not process.running and name not in self._held:
                    self.note(what="start", process=name, at=time.time() * 1000)
                    process.start()
            await asyncio.sleep(0.2)

    async def connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        """A connection that no proxy is in the way of."""
        return await asyncpg.connect(self.database_url, timeout=5)

    async def _end(self) -> None:
        if self._supervising is not None:
            self._supervising.cancel()
            await asyncio.gather(self._supervising, return_exceptions=True)
        for process in self.processes.values():
            process.send(signal.SIGCONT)
            process.send(signal.SIGTERM)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and any(each.running for each in self.processes.values()):
            await asyncio.sleep(0.05)
        for name in self.processes:
            self.kill(name)
        for process in self._armed:
            process.kill()
        for proxy in (each for proxies in self.proxies.values() for each in proxies):
            await proxy.close()
        if self.broker is not None:
            await asyncio.to_thread(self.broker.remove)
        await asyncio.to_thread(self.database.remove)
        if self._limit is not None:
            await asyncio.to_thread(self._limit.close)
