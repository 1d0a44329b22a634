"""The projector's process: `linkflow projector`."""

import asyncio
import signal

from infra.log import open_log
from infra.postgres.heartbeats import PostgresHeartbeats
from infra.postgres.pool import close_pool, open_pool
from infra.settings import Settings, SettingsError
from infra.telemetry.logs import configure_logs, get_logger
from infra.telemetry.metrics import serve_metrics
from services.projector.projector import Projector

_log = get_logger("projector")


async def run(settings: Settings) -> None:
    """Project until SIGTERM or SIGINT. Raises what does not pass by waiting (a cut log, a broken schema)."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    configure_logs(settings, "projector")
    stop_metrics = serve_metrics(settings)
    try:
        await serve(settings, stop)
    finally:
        stop_metrics()


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Project until `stop` is set; for processes that do more than this."""
    if not settings.database_url:
        raise SettingsError("LINKFLOW_DATABASE_URL is not set: the projector writes to that database")
    log = await open_log(
        settings.log, database_url=settings.database_url, partitions=settings.partitions, prefix=settings.log_prefix
    )
    projector = Projector(log, settings.database_url)
    pool = await open_pool(settings.database_url, min_size=0, max_size=1, application_name="linkflow heartbeat")
    heart, name = PostgresHeartbeats(pool), settings.name_of("projector")
    try:
        async with heart.beating(name, "projector", lambda: {"leads": projector.leading}):
            await projector.run(stop)
        _log.info("stopped")
    finally:
        await close_pool(pool)
        await log.close()
