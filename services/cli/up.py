"""`linkflow up`: everything on one machine, supervised.

Order: data directory locked, what a killed predecessor left ended, port free, PostgreSQL, tables and topics, then all
roles side by side while the first key is registered. At the end in the opposite order, within about ten seconds.
"""

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from infra.keys import api_key_path, load_bootstrap_api_key, load_secret_key
from infra.postgres.embedded import EmbeddedPostgres
from infra.settings import Settings, SettingsError
from services.cli.health import is_ready
from services.cli.preparation import prepare_bootstrap_key, prepare_tables, prepare_topics
from services.cli.supervisor import Child, Report, RoleProcess, end_left_over, rotate_logs

READY_SECONDS = 60.0
_API_DRAIN, _WORKER_DRAIN, _PROJECTOR_DRAIN = 3.0, 5.0, 2.0


class CannotStart(Exception):
    """`linkflow up` cannot run here; the message says what to do."""

    code = "cannot_start"


@dataclass(slots=True)
class Installation:
    """What runs, for those who show it. `children` in order of their start."""

    settings: Settings
    children: list[Child] = field(default_factory=list)
    ready_at: float | None = None


async def up(settings: Settings, report: Report, shown: Callable[[Installation], None] = lambda _: None) -> int:
    """Run until SIGINT or SIGTERM; returns the exit code. `report` gets lines for people, `shown` once what runs.

    Raises CannotStart, SettingsError, LogError, EmbeddedPostgresFailed, … before anything was promised.
    """
    began = time.monotonic()
    settings = replace(settings, data=settings.data.absolute())
    stop = asyncio.Event()
    presses = _stop_on_signals(stop)
    with _locked(settings.data):
        for name in await end_left_over(_run_directory(settings)):
            report(f"ended {name}, left over from before")
        _check_port(settings)
        installation = Installation(settings)
        shown(installation)
        try:
            await _start(installation, report, stop)
            if not stop.is_set():
                await _settle(installation, report, stop, began)
            await _watch(settings, stop)
        finally:
            report("stopping")
            await _end(installation, presses)
    return 0


async def _start(installation: Installation, report: Report, stop: asyncio.Event) -> None:
    settings = installation.settings
    key, made = load_bootstrap_api_key(settings)
    load_secret_key(settings)  # made here, once, before the roles read it
    (settings.data / "logs").mkdir(exist_ok=True)
    if not settings.database_url:
        settings = replace(settings, database_url=await _start_postgres(installation, report))
    await prepare_tables(settings)
    settings = replace(settings, partitions=await prepare_topics(settings))
    installation.settings = replace(settings, bootstrap_api_key=key)
    if stop.is_set():
        return
    for child in _roles(installation.settings, report):
        installation.children.append(child)
        child.keep_running()
    await prepare_bootstrap_key(settings, key)
    if made:
        report(f"API key: {key} (shown once, kept in {api_key_path(settings)})")
    elif settings.bootstrap_api_key:
        report("API key: as in LINKFLOW_BOOTSTRAP_API_KEY")
    else:
        report(f"API key: in {api_key_path(settings)}")


async def _start_postgres(installation: Installation, report: Report) -> str:
    settings = installation.settings
    log = settings.data / "logs" / "postgres.log"
    server = EmbeddedPostgres(settings.data, log=log)
    child = Child("postgres", server, log, report)
    child.state = "starting"
    installation.children.append(child)
    await server.start()
    child.keep_running(started=True)
    return server.url


def _roles(settings: Settings, report: Report) -> list[Child]:
    workers = settings.workers or max(1, (os.cpu_count() or 2) - 1)
    planned: list[tuple[str, list[str], float]] = [("api", ["api"], _API_DRAIN)]
    planned += [(f"worker-{number}", ["worker"], _WORKER_DRAIN) for number in range(workers)]
    planned.append(("projector", ["projector", "--with-scheduler"], _PROJECTOR_DRAIN))
    return [
        _role_child(settings, report, name, words, drain, number) for number, (name, words, drain) in enumerate(planned)
    ]


def _role_child(
    settings: Settings, report: Report, name: str, words: Sequence[str], drain: float, number: int
) -> Child:
    log = settings.data / "logs" / f"{name}.log"
    command = [*console_script(), words[0], "--member", name, *words[1:]]
    program = RoleProcess(
        command,
        environment=_environment(settings, name, number),
        log=log,
        pid_file=_run_directory(settings) / f"{name}.pid",
        drain=drain,
    )
    return Child(name, program, log, report)


def console_script() -> list[str]:
    """How to run `linkflow` so that `ps` shows it by this name."""
    beside = Path(sys.executable).with_name("linkflow")
    return [sys.executable, str(beside)] if beside.exists() else [sys.executable, "-m", "linkflow.main"]


def _environment(settings: Settings, name: str, number: int) -> dict[str, str]:
    own = {
        "LINKFLOW_DATABASE_URL": settings.database_url,
        "LINKFLOW_DATA": str(settings.data),
        "LINKFLOW_PARTITIONS": str(settings.partitions),
        "LINKFLOW_MEMBER": name,
        "LINKFLOW_SUPERVISOR": str(os.getpid()),
        "LINKFLOW_METRICS_PORT": str(settings.metrics_port + number if settings.metrics_port and number else 0),
        # glibc keeps an arena a thread; the roles have one thread that allocates.
        "MALLOC_ARENA_MAX": os.environ.get("MALLOC_ARENA_MAX", "2"),
        "PYTHONUNBUFFERED": "1",
    }
    # The first key is registered here, once, not by each API process.
    inherited = {name: value for name, value in os.environ.items() if name != "LINKFLOW_BOOTSTRAP_API_KEY"}
    return inherited | own


async def _settle(installation: Installation, report: Report, stop: asyncio.Event, began: float) -> None:
    """Wait until the whole answers, then say where it is."""
    from infra.postgres.pool import open_connection
    from services.api.sessions import make_login_token
    from services.registration import DEFAULT_WORKSPACE, key_id_of, wait_for_key, workspace_id_of

    settings = installation.settings
    workspace = workspace_id_of(DEFAULT_WORKSPACE)

    async def everything() -> None:
        while not await is_ready(settings.host, settings.port):
            await asyncio.sleep(0.03)
        connection = await open_connection(settings.database_url)
        try:
            await wait_for_key(connection, workspace, key_id_of(settings.bootstrap_api_key), within=READY_SECONDS)
        finally:
            await connection.close()

    waiting, stopping = asyncio.create_task(everything()), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({waiting, stopping}, timeout=READY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done() and waiting.exception() is None:
            installation.ready_at = time.monotonic()
            token = make_login_token(load_secret_key(settings), workspace)
            report(f"status page: {settings.own_url}/login?token={token} (works once, for 10 minutes)")
            report(f"started in {installation.ready_at - began:.1f} s")
            report(f"ready: {settings.own_url}")
        elif not stop.is_set():
            reason = waiting.exception() if waiting.done() else None
            report(f"not ready yet{f' ({reason})' if reason else ''}: see the logs in {settings.data / 'logs'}")
    finally:
        for task in (waiting, stopping):
            task.cancel()
        await asyncio.gather(waiting, stopping, return_exceptions=True)


async def _watch(settings: Settings, stop: asyncio.Event) -> None:
    while not stop.is_set():
        rotate_logs(settings.data / "logs")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5.0):
                await stop.wait()


async def _end(installation: Installation, presses: list[int]) -> None:
    """API first (nothing new comes in), then the workers drain, the projector catches up, PostgreSQL last."""
    groups: dict[int, list[Child]] = {}
    for child in installation.children:
        rank = {"api": 0, "worker": 1, "projector": 2, "postgres": 3}[child.name.partition("-")[0]]
        groups.setdefault(rank, []).append(child)
    for rank in sorted(groups):
        stops = asyncio.gather(*(child.stop() for child in groups[rank]))
        while not stops.done():
            if len(presses) > 1:
                _kill_roles(installation.children)
            await asyncio.wait({stops}, timeout=0.1)
        await stops


def _kill_roles(children: Sequence[Child]) -> None:
    for child in children:
        if isinstance(child.program, RoleProcess):
            child.program.kill()


def _stop_on_signals(stop: asyncio.Event) -> list[int]:
    """Sets `stop` at the first signal; the list grows with each one (a second Ctrl-C means: at once)."""
    presses: list[int] = []
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        presses.append(number)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal, number)
    return presses


@contextlib.contextmanager
def _locked(data: Path) -> Iterator[None]:
    """Hold the data directory. The lock is the kernel's, so that no crash leaves it behind."""
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        (data / "run").mkdir(exist_ok=True, mode=0o700)
        file = (data / "up.lock").open("a+")
    except OSError as error:
        raise CannotStart(
            f"the data directory {data} cannot be used ({error.strerror}): set LINKFLOW_DATA to one that can"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise CannotStart(
                f"linkflow up already runs on {data} (process {file.read().strip() or 'unknown'}):"
                " stop that one, or set LINKFLOW_DATA and LINKFLOW_PORT for a second one"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _run_directory(settings: Settings) -> Path:
    return settings.data / "run"


def _check_port(settings: Settings) -> None:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OverflowError:
            raise SettingsError(f"LINKFLOW_PORT={settings.port} is not a port") from None
        except OSError as error:
            raise CannotStart(
                f"port {settings.port} of {settings.host} cannot be used ({error.strerror}):"
                " set LINKFLOW_PORT to a free one, or end what uses it"
            ) from error
