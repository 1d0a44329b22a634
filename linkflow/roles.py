"""The roles: one process each, until SIGTERM or SIGINT; a fatal failure says why in one line and ends with code 1."""

import asyncio
import dataclasses
import gc
import os
import sys
import threading
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from infra.processes import LINUX

if TYPE_CHECKING:
    from infra.settings import Settings

ROLES = ("api", "worker", "scheduler", "projector")
PARENT = "LINKFLOW_SUPERVISOR"
"""Environment: process id of the `linkflow up` that this role must not outlive."""


def run_role(role: str, arguments: list[str]) -> int:
    """Run `role` in this process; returns its exit code."""
    member, rest = _take_member(arguments)
    with_scheduler = role == "projector" and rest == ["--with-scheduler"]
    if rest and not with_scheduler:
        sys.stderr.write(f"linkflow {role}: unknown arguments: {' '.join(rest)} (try linkflow {role} --help)\n")
        return 2
    # structlog imports rich for its console output, which no role uses: 5 MB and 50 ms of every process.
    sys.modules["rich"] = None  # type: ignore[assignment]
    from infra.settings import Settings, SettingsError
    from infra.telemetry.errors import explain

    debug = False
    try:
        settings = Settings.from_env()
        debug = settings.log_level == "debug"
        settings = dataclasses.replace(settings, member=member or settings.name_of(role))
        if not settings.database_url:
            raise SettingsError(
                "LINKFLOW_DATABASE_URL is not set: a role needs postgresql://…; `linkflow up` brings its own PostgreSQL"
            )
        _watch_parent()
        _serve(role, settings, with_scheduler)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if debug:
            raise
        sys.stderr.write(f"linkflow {role}: {explain(error)}\n")
        return 1
    return 0


def _take_member(arguments: list[str]) -> tuple[str, list[str]]:
    """`--member NAME` is LINKFLOW_MEMBER where `ps` shows it; returns it and the other arguments."""
    if len(arguments) >= 2 and arguments[0] == "--member":
        return arguments[1], arguments[2:]
    return "", arguments


def _serve(role: str, settings: "Settings", with_scheduler: bool) -> None:
    import uvloop

    uvloop.run(_run(_role(role, settings, with_scheduler)))


def _role(role: str, settings: "Settings", with_scheduler: bool) -> Coroutine[Any, Any, None]:
    """The role as a coroutine, with everything imported that it needs. Raises BrokenNodePackage."""
    if role in {"api", "worker"}:
        from infra.node_packages import load_node_packages

        load_node_packages()
    if role == "api":
        return _api(settings)
    if role == "worker":
        from services.worker.main import run as run_worker

        return run_worker(settings)
    if role == "scheduler":
        from services.scheduler.main import run as run_scheduler

        return run_scheduler(settings)
    from services.projector.main import run as run_projector

    return _with_scheduler(run_projector(settings), settings) if with_scheduler else run_projector(settings)


async def _run(role: Coroutine[Any, Any, None]) -> None:
    # What was imported lives as long as the process: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    await role


def _api(settings: "Settings") -> Coroutine[Any, Any, None]:
    from services.api.main import run

    if not settings.bootstrap_api_key:
        return run(settings)
    from infra.keys import load_bootstrap_api_key
    from services.registration import keep_trying_bootstrap_key

    load_bootstrap_api_key(settings)  # says at once if it has not the form of a key

    async def serve() -> None:
        asking = asyncio.create_task(keep_trying_bootstrap_key(settings))
        try:
            await run(settings)
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    return serve()


def _with_scheduler(projector: Coroutine[Any, Any, None], settings: "Settings") -> Coroutine[Any, Any, None]:
    """The projector handles the signals; the scheduler ends with it, and takes it along when it fails."""
    from services.scheduler.main import serve as serve_scheduler

    async def serve() -> None:
        stop = asyncio.Event()

        async def project() -> None:
            try:
                await projector
            finally:
                stop.set()

        async with asyncio.TaskGroup() as group:
            group.create_task(project())
            group.create_task(serve_scheduler(settings, stop))

    return serve()


def _watch_parent() -> None:
    """End when the supervisor is gone. Linux tells the process itself; elsewhere it looks each second."""
    parent = int(os.environ.get(PARENT, "0"))
    if not parent or LINUX:
        return

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=look, daemon=True, name="supervisor-watch").start()
