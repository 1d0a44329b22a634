"""Numbered migrations of the operational tables: infra/postgres/migrations/NNNN_name.sql, run once each, in order."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import asyncpg

from infra.postgres.pool import Connection

_LOCK = 0x4C4B464C4D494752
"""Advisory lock: one process migrates, the others wait and then find everything done."""

_NAME = re.compile(r"(\d{4})_\w+\.sql")

_TABLE = """
CREATE TABLE IF NOT EXISTS public.migrations (
    number integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""


class MigrationRefused(Exception):
    """The files and the database disagree: an applied file was changed, or two have one number."""

    code = "migration_refused"


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def load_migrations() -> list[Migration]:
    """The product's migrations in order."""
    found = []
    for entry in files("infra.postgres").joinpath("migrations").iterdir():
        match = _NAME.fullmatch(entry.name)
        if match is not None:
            found.append(Migration(int(match[1]), entry.name, entry.read_text(encoding="utf-8")))
    found.sort(key=lambda migration: migration.number)
    numbers = [migration.number for migration in found]
    if len(set(numbers)) != len(numbers):
        raise MigrationRefused(f"two migrations have one number: {', '.join(m.name for m in found)}")
    return found


async def migrate(url: str, migrations: Sequence[Migration] | None = None) -> list[str]:
    """Apply what is missing, each file in its own transaction; returns the names of those applied now.

    Many processes may call it at once. Raises MigrationRefused, or PostgreSQL's error for a file that fails (nothing
    of that file stays).
    """
    wanted = load_migrations() if migrations is None else migrations
    connection = await asyncpg.connect(
        url, server_settings={"search_path": "public", "application_name": "linkflow migrate"}
    )
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        return await _apply(connection, wanted)
    finally:
        await connection.close()


async def _apply(connection: Connection, wanted: Sequence[Migration]) -> list[str]:
    await connection.execute(_TABLE)
    applied = {
        row["number"]: row for row in await connection.fetch("SELECT number, name, checksum FROM public.migrations")
    }
    _check(wanted, {number: (row["name"], row["checksum"]) for number, row in applied.items()})
    done = []
    for migration in wanted:
        if migration.number in applied:
            continue
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO public.migrations (number, name, checksum) VALUES ($1, $2, $3)",
                migration.number,
                migration.name,
                migration.checksum,
            )
        done.append(migration.name)
    return done


def _check(wanted: Sequence[Migration], applied: dict[int, tuple[str, str]]) -> None:
    for migration in wanted:
        name, checksum = applied.get(migration.number, (migration.name, migration.checksum))
        if checksum != migration.checksum:
            raise MigrationRefused(
                f"migration {name} was changed after it was applied: put it back and add a file with the next number"
            )
