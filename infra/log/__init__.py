"""The log: port, three implementations, and how to open the one that the settings name."""

import re

from infra.log.port import Log, LogAdmin, LogMismatch


async def open_log(
    url: str, *, database_url: str | None = None, partitions: int | None = None, prefix: str = ""
) -> Log:
    """Open the log at `url`: `postgres` (in `database_url`), `kafka://host:port,host:port` or `memory`.

    The number of partitions is the log's own; `partitions`, if given, must be the same. `prefix` keeps several logs
    apart in one database or broker. Raises LogUnavailable, LogMismatch (topics missing, other partition count), and
    ValueError for a url of another kind.
    """
    log = await _open(url, database_url, partitions, _checked(prefix))
    if partitions is not None and log.partitions != partitions:
        await log.close()
        raise LogMismatch(f"the log has {log.partitions} partitions a topic, the settings say {partitions}")
    return log


async def open_admin(url: str, *, database_url: str | None = None, prefix: str = "") -> LogAdmin:
    """What makes and checks the topics of the log at `url`; close it after use. Raises as `open_log` does."""
    _checked(prefix)
    if url == "postgres":
        from infra.log.postgres import PostgresLogAdmin

        return PostgresLogAdmin(_database(database_url), prefix=prefix)
    if url.startswith("kafka://"):
        from infra.log.kafka import KafkaLogAdmin

        return KafkaLogAdmin(_brokers(url), prefix=prefix)
    raise ValueError(f"the topics of a log of the kind {url!r} need no making")


async def _open(url: str, database_url: str | None, partitions: int | None, prefix: str) -> Log:
    if url == "postgres":
        from infra.log.postgres import PostgresLog

        return await PostgresLog.open(_database(database_url), prefix=prefix)
    if url.startswith("kafka://"):
        from infra.log.kafka import KafkaLog

        return await KafkaLog.open(_brokers(url), prefix=prefix)
    if url == "memory":
        from infra.log.memory import MemoryLog

        return MemoryLog(partitions or 8)
    raise ValueError(f"a log is named postgres, kafka://host:port,… or memory, not {url!r}")


def _checked(prefix: str) -> str:
    """A prefix becomes part of names at the broker and in the database."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{0,40}", prefix):
        raise ValueError(f"a log's prefix has up to 40 letters, digits, dots, dashes and underscores, not {prefix!r}")
    return prefix


def _database(url: str | None) -> str:
    if url is None:
        raise ValueError("the log in PostgreSQL needs the address of its database")
    return url


def _brokers(url: str) -> str:
    brokers = url.removeprefix("kafka://").strip("/")
    if not brokers:
        raise ValueError("kafka:// needs at least one host:port")
    return brokers
