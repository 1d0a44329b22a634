"""Numbered migrations: once each, in order, by one process at a time."""

import asyncio
from dataclasses import replace

import asyncpg
import pytest

from infra.postgres.migrate import Migration, MigrationRefused, load_migrations, migrate
from infra.postgres.pool import Pool

FIRST = Migration(1, "0001_first.sql", "CREATE TABLE first (id int); CREATE TABLE more (id int)")
SECOND = Migration(2, "0002_second.sql", "INSERT INTO first VALUES (2)")


async def test_each_is_applied_once_in_order(postgres_url: str, pool: Pool) -> None:
    assert await migrate(postgres_url, [FIRST]) == ["0001_first.sql"]
    assert await migrate(postgres_url, [FIRST, SECOND]) == ["0002_second.sql"]
    assert await migrate(postgres_url, [FIRST, SECOND]) == []
    assert await pool.fetchval("SELECT count(*) FROM first") == 1


async def test_many_processes_at_once(postgres_url: str, pool: Pool) -> None:
    done = await asyncio.gather(*(migrate(postgres_url, [FIRST, SECOND]) for _ in range(4)))
    assert sorted(map(len, done)) == [0, 0, 0, 2]
    assert await pool.fetchval("SELECT count(*) FROM first") == 1


async def test_a_changed_file_is_refused(postgres_url: str) -> None:
    await migrate(postgres_url, [FIRST])
    with pytest.raises(MigrationRefused, match="0001_first"):
        await migrate(postgres_url, [replace(FIRST, sql=FIRST.sql + " "), SECOND])


async def test_a_file_that_fails_leaves_nothing(postgres_url: str, pool: Pool) -> None:
    with pytest.raises(asyncpg.UndefinedTableError):
        await migrate(postgres_url, [replace(FIRST, sql="CREATE TABLE half (id int); INSERT INTO nowhere VALUES (1)")])
    assert await pool.fetchval("SELECT to_regclass('public.half')") is None
    assert await migrate(postgres_url, [FIRST]) == ["0001_first.sql"]


async def test_the_products_own_migrations(postgres_url: str) -> None:
    names = [migration.name for migration in load_migrations()]
    assert names == sorted(names)
    assert await migrate(postgres_url) == names
