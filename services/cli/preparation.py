"""What must be there before any role runs: tables, topics, the first key."""

import os

from infra.log import open_admin, open_log
from infra.log.port import LogMismatch
from infra.postgres.migrate import migrate
from infra.settings import Settings


async def prepare_tables(settings: Settings) -> list[str]:
    """Apply the migrations that are missing; returns their names."""
    return await migrate(settings.database_url)


async def prepare_topics(settings: Settings) -> int:
    """Make the topics that are missing; returns the number of partitions.

    It is fixed at the first start: if LINKFLOW_PARTITIONS is not set, what is there counts. Raises LogMismatch.
    """
    partitions = settings.partitions
    if "LINKFLOW_PARTITIONS" not in os.environ:
        try:
            log = await open_log(settings.log, database_url=settings.database_url, prefix=settings.log_prefix)
        except LogMismatch:
            pass  # nothing there yet
        else:
            partitions = log.partitions
            await log.close()
    admin = await open_admin(settings.log, database_url=settings.database_url, prefix=settings.log_prefix)
    try:
        await admin.create_topics(partitions)
    finally:
        await admin.close()
    return partitions


async def prepare_bootstrap_key(settings: Settings, key: str) -> None:
    """Ask for the first key, unless it is there. Raises LogError."""
    from services.registration import ensure_bootstrap_key

    log = await open_log(settings.log, database_url=settings.database_url, prefix=settings.log_prefix)
    try:
        await ensure_bootstrap_key(settings, log, key)
    finally:
        await log.close()
