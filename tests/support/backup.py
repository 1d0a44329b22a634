"""Backups of a database as an operator makes them: pg_dump while everything runs, pg_restore into an empty one."""

import asyncio
from pathlib import Path

import asyncpg

from tests.support.postgres import binaries


async def back_up(url: str, file: Path) -> None:
    await _run("pg_dump", "--format=custom", f"--file={file}", url)


async def restore(url: str, file: Path) -> None:
    """The database of `url` is dropped and made again."""
    server, _, name = url.rpartition("/")
    connection = await asyncpg.connect(f"{server}/postgres")
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()
    await _run("pg_restore", "--exit-on-error", f"--dbname={url}", str(file))


async def _run(command: str, *args: str) -> None:
    child = await asyncio.create_subprocess_exec(
        str(binaries() / command), *args, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await child.communicate()
    assert child.returncode == 0, out.decode()
