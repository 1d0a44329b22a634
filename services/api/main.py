"""The api role: opens log and database, follows the log, serves HTTP until it is told to stop."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Iterator

import uvicorn

from infra.blobs import PostgresBlobs
from infra.keys import load_secret_key
from infra.log import open_log
from infra.postgres.heartbeats import PostgresHeartbeats
from infra.postgres.pool import open_pool
from infra.settings import Settings
from infra.telemetry.logs import configure_logs
from infra.telemetry.tracing import configure_tracing, shutdown_tracing
from infra.vault_keys import open_vault
from services.api.app import make_app
from services.api.parts import Parts, make_parts

DRAIN_SECONDS = 10
FOLLOW_SECONDS = 5.0


async def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises what made serving impossible."""
    configure_logs(settings, "api")
    configure_tracing(settings, "api")
    try:
        async with open_parts(settings) as parts, running(parts), beating(settings, parts):
            # so that the first caller that waits is not turned away; with the log away, health says so
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FOLLOW_SECONDS):
                    await parts.follower.ready.wait()
            server = Server(server_config(parts, settings.host, settings.port))
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, server.stop)
            await server.serve()
    finally:
        shutdown_tracing()


def beating(settings: Settings, parts: Parts) -> contextlib.AbstractAsyncContextManager[None]:
    """The process says that it lives."""
    facts = {"url": parts.own_url, "port": settings.port}
    return PostgresHeartbeats(parts.reads.pool).beating(settings.name_of("api"), "api", lambda: facts)


class Server(uvicorn.Server):
    """uvicorn without its own signal handlers: it would end the process before log and database are closed."""

    def stop(self) -> None:
        """Take no more connections, let the requests under way finish, then return from `serve`."""
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def server_config(parts: Parts, host: str, port: int) -> uvicorn.Config:
    """How uvicorn serves the application."""
    return uvicorn.Config(
        make_app(parts),
        host=host,
        port=port,
        loop="none",
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=65_536,
        ws_per_message_deflate=False,
        lifespan="off",
        access_log=False,
        log_config=None,
        log_level=logging.WARNING,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        timeout_keep_alive=75,
    )


@contextlib.asynccontextmanager
async def open_parts(settings: Settings) -> AsyncIterator[Parts]:
    """Log, database and the parts over them."""
    async with contextlib.AsyncExitStack() as stack:
        pool = await open_pool(
            settings.database_url, min_size=2, max_size=8, application_name=f"linkflow {settings.member or 'api'}"
        )
        stack.push_async_callback(pool.close)
        log = await open_log(settings.log, database_url=settings.database_url, prefix=settings.log_prefix)
        stack.push_async_callback(log.close)
        yield make_parts(
            log,
            pool,
            PostgresBlobs(pool),
            database_url=settings.database_url,
            own_url=settings.own_url,
            secret=load_secret_key(settings),
            vault=open_vault(settings),
            max_undecided=settings.max_undecided,
            max_queued=settings.max_queued,
            max_open=settings.max_open,
        )


@contextlib.asynccontextmanager
async def running(parts: Parts) -> AsyncIterator[None]:
    """The parts at work: following, watching, feeding. A part that fails takes the block down with it."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(part.run()) for part in (parts.follower, parts.positions, parts.backlog, parts.feed)
            ]
            yield
            for task in tasks:
                task.cancel()
    finally:
        parts.bindings.close()
        await parts.sender.close()
