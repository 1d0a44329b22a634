"""The log in PostgreSQL: the embedded default. Tables and procedures are in postgres.sql."""

from collections.abc import Mapping
from importlib import resources

from infra.log.port import LogMismatch, Membership, Reader, Topic, Writer
from infra.log.postgres_connection import (
    TOPIC_IDS,
    TOPICS,
    UNAVAILABLE,
    Connection,
    Control,
    connect,
    disconnect,
    log_error,
)
from infra.log.postgres_membership import PostgresMembership
from infra.log.postgres_reader import PostgresReader
from infra.log.postgres_writer import PostgresWriter

SCHEMA_VERSION = 1
DELETE_ROWS = 5_000
_ADMIN_LOCK = 0x6C6F67  # any number of ours: two processes that create the topics at once take turns


class PostgresLog:
    """A Log in schema `{prefix}log` of a database."""

    def __init__(self, url: str, control: Control, partitions: int) -> None:
        self.partitions = partitions
        self._url = url
        self._control = control
        self._schema = control.schema

    @classmethod
    async def open(cls, url: str, *, prefix: str = "") -> "PostgresLog":
        """Open the log of the database at `url`; raises LogUnavailable, LogMismatch (no topics yet)."""
        control = Control(url, f"{prefix}log")
        await control.open()
        try:
            partitions = await control.fetchval("SELECT partitions FROM identity")
            if partitions is None:
                raise LogMismatch("this database has no log yet: create its topics first")
        except BaseException:
            await control.close()
            raise
        return cls(url, control, partitions)

    async def writer(self) -> Writer:
        try:
            connection = await connect(self._url, self._schema)
        except UNAVAILABLE as error:
            raise log_error(error) from error
        return PostgresWriter(connection, self._schema)

    async def reader(self) -> Reader:
        return PostgresReader(self._url, self._control)

    async def membership(self, group: str, member: str) -> Membership:
        membership = PostgresMembership(self._control, group, member)
        await membership.open()
        return membership

    async def end_offset(self, topic: Topic, partition: int) -> int:
        _, end = await self._bounds(topic, partition)
        return end

    async def first_offset(self, topic: Topic, partition: int) -> int:
        first, _ = await self._bounds(topic, partition)
        return first

    async def group_offsets(self, group: str) -> dict[tuple[Topic, int], int]:
        rows = await self._control.fetch(
            'SELECT topic, partition, "offset" FROM group_offsets WHERE "group" = $1', group
        )
        return {(TOPICS[topic], partition): offset for topic, partition, offset in rows}

    async def commit_group_offsets(self, group: str, offsets: Mapping[tuple[Topic, int], int]) -> None:
        rows = sorted((TOPIC_IDS[topic], partition, offset) for (topic, partition), offset in offsets.items())
        await self._control.fetch(
            """
            INSERT INTO group_offsets
            SELECT $1, o.* FROM unnest($2::integer[], $3::integer[], $4::bigint[]) AS o(topic, partition, "offset")
            ON CONFLICT ("group", topic, partition) DO UPDATE SET "offset" = excluded."offset"
            """,
            group,
            [topic for topic, _, _ in rows],
            [partition for _, partition, _ in rows],
            [offset for _, _, offset in rows],
        )

    async def delete_before(self, topic: Topic, partition: int, offset: int) -> None:
        place = (TOPIC_IDS[topic], partition)
        first = await self._control.fetchval(
            """
            UPDATE partitions SET first_offset = greatest(first_offset, least($3::bigint, next_offset))
            WHERE topic = $1 AND partition = $2 RETURNING first_offset
            """,
            *place,
            offset,
        )
        while True:
            # In pieces: one long transaction would hold back vacuum, and a time-out would lose all of it.
            deleted = await self._control.fetchval(
                """
                WITH gone AS (
                    DELETE FROM records WHERE topic = $1 AND partition = $2 AND "offset" < least($3, (
                        SELECT min("offset") FROM records WHERE topic = $1 AND partition = $2
                    ) + $4) RETURNING 1
                ) SELECT count(*) FROM gone
                """,
                *place,
                first,
                DELETE_ROWS,
            )
            if not deleted:
                return

    async def close(self) -> None:
        await self._control.close()

    async def _bounds(self, topic: Topic, partition: int) -> tuple[int, int]:
        rows = await self._control.fetch(
            "SELECT first_offset, next_offset FROM partitions WHERE topic = $1 AND partition = $2",
            TOPIC_IDS[topic],
            partition,
        )
        if not rows:
            raise LogMismatch(f"{topic} has no partition {partition}")
        return rows[0]["first_offset"], rows[0]["next_offset"]


class PostgresLogAdmin:
    """Makes and describes the log's tables."""

    def __init__(self, url: str, *, prefix: str = "") -> None:
        self._url = url
        self._schema = f"{prefix}log"

    async def create_topics(self, partitions: int) -> None:
        if partitions < 1:
            raise ValueError("a log needs at least one partition")
        ddl = resources.files("infra.log").joinpath("postgres.sql").read_text("utf-8")
        try:
            connection = await connect(self._url, self._schema)
            try:
                async with connection.transaction():
                    await connection.execute("SELECT pg_advisory_xact_lock($1)", _ADMIN_LOCK)
                    await connection.execute("SET LOCAL client_min_messages = warning")
                    await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{self._schema}"')
                    await connection.execute(ddl)
                    identity = await connection.fetchrow("SELECT version, partitions FROM identity")
                    if identity is None:
                        await self._fill(connection, partitions)
                    else:
                        self._compare(identity["version"], identity["partitions"], partitions)
            finally:
                await disconnect(connection)
        except UNAVAILABLE as error:
            raise log_error(error) from error

    async def describe(self) -> dict[Topic, dict[str, str | int]]:
        """Of each topic: partitions, records (kept), bytes (with indexes)."""
        try:
            connection = await connect(self._url, self._schema)
            try:
                rows = await connection.fetch(
                    """
                    SELECT p.topic, count(*) AS partitions, sum(p.next_offset - p.first_offset)::bigint AS records
                    FROM partitions p GROUP BY p.topic ORDER BY p.topic
                    """
                )
                sizes = {
                    topic: await connection.fetchval(
                        "SELECT pg_total_relation_size($1::text::regclass)",
                        f'"{self._schema}".{topic.removeprefix("linkflow.").replace("-", "_")}',
                    )
                    for topic in TOPICS
                }
            finally:
                await disconnect(connection)
        except UNAVAILABLE as error:
            raise log_error(error) from error
        return {
            TOPICS[topic]: {"partitions": count, "records": records, "bytes": sizes[TOPICS[topic]]}
            for topic, count, records in rows
        }

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _fill(self, connection: Connection, partitions: int) -> None:
        await connection.execute(
            "INSERT INTO identity (version, partitions) VALUES ($1, $2)", SCHEMA_VERSION, partitions
        )
        await connection.execute(
            """
            INSERT INTO partitions (topic, partition)
            SELECT t, p FROM generate_series(0, $1::integer - 1) AS t, generate_series(0, $2::integer - 1) AS p
            """,
            len(TOPICS),
            partitions,
        )

    def _compare(self, version: int, found: int, expected: int) -> None:
        if version > SCHEMA_VERSION:
            raise LogMismatch(f"the log's tables are of version {version}, this program knows {SCHEMA_VERSION}")
        if found != expected:
            names = ", ".join(TOPICS)
            raise LogMismatch(
                f"the log has {found} partitions a topic, {expected} were asked for ({names}): "
                "the number is fixed when the log is made"
            )
