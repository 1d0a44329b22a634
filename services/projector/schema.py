"""The tables of the read models: made where they are missing, a partition for each month ahead and on demand."""

from collections.abc import Iterable, Mapping, Sequence

from infra.postgres.pool import Connection, PooledConnection
from infra.telemetry.logs import get_logger
from projections.catalog import PROJECTIONS, Projection
from projections.operations import Table
from projections.positions import TABLES as POSITIONS_SQL
from projections.positions import Place
from projections.retention import TABLES as RETENTION_SQL
from projections.retention import HistoryMissing
from services.projector.statements import month_bounds, month_of, qualified

LIVE = "read"
NEXT = "read_next"
"""Where a rebuild writes."""

_log = get_logger("projector.schema")

_MAKING = 0x4C4B464C5245414D
"""Advisory lock (one transaction): one process at a time makes tables."""

_MONTH_MS = 31 * 86_400_000

AnyConnection = Connection | PooledConnection


class NewerReadModels(Exception):
    """The read models are of a later version than this program: it would take them back."""

    code = "newer_read_models"


async def prepare(connection: AnyConnection, first: Mapping[tuple[str, int], int], now: int) -> list[str]:
    """Make schema `read` and what is missing in it; returns the projections whose stored version is not the code's.

    `first`: (commit topic, partition) → offset of the first record kept, where a new installation begins. `now`: ms.
    Raises NewerReadModels; HistoryMissing where there are no read models and the log was cut.
    """
    async with connection.transaction():
        await make_own_tables(connection)
        stored = {
            row["name"]: row["version"] for row in await connection.fetch("SELECT name, version FROM projections")
        }
        if not stored:
            cut = sorted(f"{topic}/{partition}" for (topic, partition), at in first.items() if at > 0)
            if cut:
                raise HistoryMissing(
                    f"the log was cut ({', '.join(cut)}) and this database does not know what stood before: restore it"
                    " from a backup (docs/retention.md)"
                )
            await create(connection, LIVE, list(PROJECTIONS.values()), {key: Place() for key in first})
            stored = {each.name: each.version for each in PROJECTIONS.values()}
    newer = [each.name for each in PROJECTIONS.values() if stored.get(each.name, 0) > each.version]
    if newer:
        raise NewerReadModels(f"a newer LinkFlow made {', '.join(newer)} in this database: start that one")
    outdated = [each.name for each in PROJECTIONS.values() if stored.get(each.name) != each.version]
    current = [each for each in PROJECTIONS.values() if each.name not in outdated]
    tables = [table for each in current for table in each.tables if table.months]
    await ensure_months(connection, LIVE, tables, {month_of(now), month_of(now + _MONTH_MS)})
    return outdated


async def make_own_tables(connection: AnyConnection) -> None:
    """Those of no projection: of positions, and of what retention has taken. Inside the caller's transaction, which
    finds names in schema `read` alone from here on."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _MAKING)
    own = POSITIONS_SQL + RETENTION_SQL
    await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {LIVE}; SET LOCAL search_path = {LIVE}; {own}")


async def create(
    connection: AnyConnection, schema: str, projections: Sequence[Projection], places: Mapping[tuple[str, int], Place]
) -> None:
    """Make the tables of `projections` in `schema`, with positions at `places`. Inside the caller's transaction."""
    await connection.execute(f"SET LOCAL search_path = {schema}; {POSITIONS_SQL}")
    for each in projections:
        await connection.execute(each.sql)
        await connection.execute("INSERT INTO projections (name, version) VALUES ($1, $2)", each.name, each.version)
        await set_places(connection, schema, each, places)


async def set_places(
    connection: AnyConnection, schema: str, projection: Projection, places: Mapping[tuple[str, int], Place]
) -> None:
    """Store the positions of one projection, whatever they were."""
    await connection.executemany(
        f"INSERT INTO {qualified(schema, 'positions')} VALUES ($1, $2, $3, $4, $5, $6, $7, $8) "  # noqa: S608
        "ON CONFLICT (projection, topic, partition) DO UPDATE SET next_offset = excluded.next_offset, "
        "epoch_offset = excluded.epoch_offset, epoch_nonce = excluded.epoch_nonce, next_n = excluded.next_n, "
        "answered = excluded.answered",
        [
            (
                projection.name,
                topic,
                partition,
                place.next_offset,
                None if place.epoch is None else place.epoch.offset,
                None if place.epoch is None else place.epoch.nonce,
                place.next_n,
                place.answered,
            )
            for (topic, partition), place in places.items()
            if topic == projection.topic
        ],
    )


async def ensure_months(connection: AnyConnection, schema: str, tables: Sequence[Table], months: Iterable[str]) -> None:
    """Make the partitions of `months` that are missing. Processes may race: one makes, the others find it made.

    A partition is made beside its table and attached then, which does not stop readers.
    """
    for month in sorted(months):
        start, end = month_bounds(month)
        for table in tables:
            name = f"{table.name}_{month}"
            if await _exists(connection, schema, name):
                continue
            async with connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock($1)", _MAKING)
                if await _exists(connection, schema, name):
                    continue
                target, parent = qualified(schema, name), qualified(schema, table.name)
                await connection.execute(
                    f"CREATE TABLE {target} (LIKE {parent} INCLUDING ALL); "
                    f"ALTER TABLE {parent} ATTACH PARTITION {target} "
                    f"FOR VALUES FROM ('{start.isoformat()}') TO ('{end.isoformat()}')"
                )


async def _exists(connection: AnyConnection, schema: str, table: str) -> bool:
    # Not to_regclass: what it once did not find it may not find again within a transaction.
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = $1 AND tablename = $2)", schema, table
    )
    return found
