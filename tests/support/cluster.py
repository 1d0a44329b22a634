"""LinkFlow as processes: `Up` starts it as a user would (`linkflow up`), `Roles` role by role on a given database.

    async with Roles(home, database_url=..., log="postgres", workers=2) as cluster:
        workflow, hook = await cluster.client.deploy(document)
        cluster.processes["worker-0"].kill()

Both are ready when `GET /health/ready` says so. At the end, also of a failed test, every process is ended by pid; on a
failure the ends of their logs are printed.
"""

import asyncio
import secrets
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import aiohttp
import asyncpg
import psutil

from infra.log import open_admin, open_log
from infra.postgres.migrate import migrate
from infra.postgres.pool import open_pool
from services.projector.verify import VerifyReport, verify
from tests.support.client import Client
from tests.support.postgres import free_port
from tests.support.processes import LINKFLOW, Process, environment, eventually

READY_WITHIN = 40.0
PARTITIONS = 8


class Cluster:
    """What both ways of starting have in common: settings, processes, readiness, client, the end."""

    def __init__(self, home: Path, *, log: str = "postgres", settings: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.log = log
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.key = f"lf_{secrets.token_urlsafe(32)}"
        self.settings = {
            "LINKFLOW_PORT": str(self.port),
            "LINKFLOW_DATA": str(home / "data"),
            "LINKFLOW_LOG": log,
            "LINKFLOW_BOOTSTRAP_API_KEY": self.key,
            "LINKFLOW_EGRESS_ALLOW": "127.0.0.1",
            **(settings or {}),
        }
        if log != "postgres":
            self.settings.setdefault("LINKFLOW_LOG_PREFIX", f"t{secrets.token_hex(4)}.")
        self.processes: dict[str, Process] = {}
        self.client = Client(self.url, self.key)

    async def start(self) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Any:
        try:
            await self.start()
        except BaseException:
            self.show()
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.show()
        await self._end()

    async def _end(self) -> None:
        await self.client.close()
        self.kill()

    def kill(self) -> None:
        """SIGKILL to every LinkFlow process at once, not to the database nor the broker."""
        for process in self.processes.values():
            process.send(signal.SIGKILL)
        for process in self.processes.values():
            process.kill()

    def show(self) -> None:
        for name, text in self.logs().items():
            print(f"--- {name} ---\n{text}")

    def logs(self) -> dict[str, str]:
        return {process.name: process.tail() for process in self.processes.values()}

    async def ready(self, within: float = READY_WITHIN) -> float:
        """Wait until everything is ready; returns the seconds it took."""
        began = time.monotonic()
        last: Any = "nothing answers"
        timeout = aiohttp.ClientTimeout(total=2)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while time.monotonic() - began < within:
                try:
                    async with session.get(f"{self.url}/health/ready") as answer:
                        last = await answer.text()
                        if answer.status == 200:
                            return time.monotonic() - began
                except (aiohttp.ClientError, TimeoutError):
                    pass
                self._check_alive()
                await asyncio.sleep(0.02)
        raise AssertionError(f"not ready within {within} s: {last}")

    def _check_alive(self) -> None:
        """A role may end and be started again by its supervisor; without one its end is an error."""
        for process in self.processes.values():
            if not process.running:
                raise AssertionError(f"{process.name} ended:\n{process.tail()}")

    async def cli(self, *args: str, within: float = 60.0) -> tuple[int, str, str]:
        """Run a `linkflow` command with this cluster's settings; returns (exit code, stdout, stderr)."""
        child = await asyncio.create_subprocess_exec(
            *LINKFLOW,
            *args,
            env=environment(self.settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(within):
                out, err = await child.communicate()
        except TimeoutError:
            child.kill()
            await child.wait()
            raise AssertionError(f"linkflow {' '.join(args)} did not end within {within} s") from None
        return child.returncode or 0, out.decode(), err.decode()


class Roles(Cluster):
    """Role by role, so that each can be killed, paused and started again: api, worker-0…, projector with scheduler.

    `startup`: seconds that the first start of all processes took, a measure of how busy the machine is.
    """

    def __init__(
        self,
        home: Path,
        *,
        database_url: str,
        log: str = "postgres",
        workers: int = 1,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(home, log=log, settings={"LINKFLOW_DATABASE_URL": database_url, **(settings or {})})
        self.database_url = database_url
        self.startup = 0.0
        self._add("api", "api")
        self._add("projector", "projector", "--with-scheduler")
        for number in range(workers):
            self._add(f"worker-{number}", "worker")

    def _add(self, name: str, *args: str) -> None:
        env = environment({**self.settings, "LINKFLOW_MEMBER": name})
        self.processes[name] = Process(name, [*LINKFLOW, *args], env, self.home / f"{name}.log")

    @property
    def workers(self) -> list[Process]:
        return [process for name, process in self.processes.items() if name.startswith("worker-")]

    async def start(self) -> None:
        await migrate(self.database_url)
        prefix = self.settings.get("LINKFLOW_LOG_PREFIX", "")
        admin = await open_admin(self.log, database_url=self.database_url, prefix=prefix)
        try:
            await admin.create_topics(PARTITIONS)
        finally:
            await admin.close()
        self.start_all()
        self.startup = await self.ready()
        await self._key_known()

    async def _key_known(self) -> None:
        """The api registers the first key through the log. Asking it too early would be remembered as a wrong key."""
        connection = await asyncpg.connect(self.database_url)
        try:

            async def known() -> bool:
                return bool(await connection.fetchval("SELECT count(*) FROM read.api_keys"))

            await eventually(known, lambda: "the first API key is not in the read model", within=READY_WITHIN)
        finally:
            await connection.close()

    def start_all(self) -> None:
        """Start what does not run."""
        for process in self.processes.values():
            if not process.running:
                process.start()

    async def verify(self) -> VerifyReport:
        """What `linkflow verify` does: fails the test unless the read models agree with the log, all of it."""
        prefix = self.settings.get("LINKFLOW_LOG_PREFIX", "")
        log = await open_log(self.log, database_url=self.database_url, prefix=prefix)
        pool = await open_pool(self.database_url, max_size=2)
        try:
            report = await verify(log, pool)
        finally:
            await pool.close()
            await log.close()
        assert report.ok, f"{dict(report.found)}: {report.differences[:5]}"
        return report

    async def stop(self) -> None:
        """Ask every process to end, and wait."""
        for process in self.processes.values():
            process.send(signal.SIGTERM)
        for process in self.processes.values():
            await process.ended(20)


class Up(Cluster):
    """`linkflow up`, with its embedded PostgreSQL unless the settings name a database."""

    def __init__(self, home: Path, *, log: str = "postgres", settings: Mapping[str, str] | None = None) -> None:
        super().__init__(home, log=log, settings=settings)
        self.supervisor = Process(
            "up", [*LINKFLOW, "up"], environment(self.settings), home / "up.log", on_parent_death=signal.SIGTERM
        )
        self.processes["up"] = self.supervisor
        self._seen: dict[int, psutil.Process] = {}

    async def start(self) -> None:
        self.supervisor.start()
        await self.said_ready()
        await self.ready()
        self.remember()

    async def said_ready(self) -> None:
        """Wait for the line that a user waits for (the first key is known by then)."""

        async def said() -> bool:
            self._check_alive()
            return any(line.startswith("ready: ") for line in self.supervisor.tail().splitlines())

        await eventually(said, lambda: f"`linkflow up` is not ready:\n{self.supervisor.tail()}", within=READY_WITHIN)

    def remember(self) -> list[psutil.Process]:
        """Note all processes below `linkflow up`, so that none escapes at the end."""
        found = self.supervisor.tree() if self.supervisor.running else []
        self._seen.update({each.pid: each for each in found})
        return found

    def linkflow_processes(self) -> dict[str, list[psutil.Process]]:
        """Role → processes; `db` is PostgreSQL with its backends."""
        roles: dict[str, list[psutil.Process]] = {}
        for process in self.remember():
            try:
                roles.setdefault(role_of(process), []).append(process)
            except psutil.NoSuchProcess:
                continue
        return roles

    def kill(self) -> None:
        """SIGKILL to every LinkFlow process below `up`, supervisor first; PostgreSQL is left alone."""
        roles = self.linkflow_processes()
        self.supervisor.send(signal.SIGKILL)
        for role, processes in roles.items():
            if role != "db":
                for process in processes:
                    _kill(process)
        self.supervisor.kill()

    def kill_everything(self) -> None:
        """SIGKILL to all of it, the embedded PostgreSQL too."""
        self.remember()
        self.supervisor.send(signal.SIGKILL)
        for process in self._seen.values():
            _kill(process)
        self.supervisor.kill()
        psutil.wait_procs(list(self._seen.values()), timeout=10)
        self._seen.clear()

    async def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Ctrl-C, and wait for the end."""
        self.remember()
        self.supervisor.send(number)
        return await self.supervisor.ended(30)

    async def _end(self) -> None:
        await self.client.close()
        self.remember()
        if self.supervisor.running:
            self.supervisor.send(signal.SIGTERM)
            try:
                await self.supervisor.ended(15)
            except AssertionError as late:
                print(late)
        self.kill_everything()

    def logs(self) -> dict[str, str]:
        below = sorted((self.home / "data" / "logs").glob("*.log"))
        return super().logs() | {path.name: path.read_bytes()[-4000:].decode("utf-8", "replace") for path in below}

    @property
    def database_url(self) -> str:
        """The embedded PostgreSQL's address, from what it and we keep in the data directory."""
        data = self.home / "data"
        lines = (data / "postgres" / "postmaster.pid").read_text().splitlines()
        password = (data / "postgres-password").read_text().strip()
        return f"postgresql://linkflow:{password}@/postgres?host={quote(lines[4], safe='/')}&port={lines[3]}"


def role_of(process: psutil.Process) -> str:
    """api, worker, projector, scheduler, up, compute (a worker's helper process), or db."""
    words = process.cmdline()
    if process.name().startswith("postgres"):
        return "db"
    for word in words[1:]:
        if word in ("api", "worker", "projector", "scheduler", "up"):
            return word
    return "compute" if any("multiprocessing" in word for word in words) else "other"


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return
