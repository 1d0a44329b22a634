"""The embedded PostgreSQL: made, started, stopped, and what becomes of it after crashes."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from infra.postgres import embedded
from infra.postgres.embedded import EmbeddedPostgres, EmbeddedPostgresFailed, url_of
from infra.processes import Identity


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(tmp_path / "data")
    await server.start()
    yield server
    await server.stop()


async def _ask(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_keeps_its_data_over_stop_and_crash(server: EmbeddedPostgres) -> None:
    await _ask(server.url, "CREATE TABLE kept AS SELECT 7 AS n")
    await server.stop()
    await server.start()
    assert await _ask(server.url, "SELECT n FROM kept") == 7
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    assert await server.wait() == -signal.SIGKILL
    await server.start()
    assert await _ask(server.url, "SELECT n FROM kept") == 7


async def test_the_url_is_known_to_other_processes_and_needs_the_password(server: EmbeddedPostgres) -> None:
    assert url_of(server.data) == server.url
    assert (server.data / "postgres-password").stat().st_mode & 0o777 == 0o600
    with pytest.raises(asyncpg.InvalidPasswordError):
        await _ask(server.url.replace("linkflow:", "linkflow:x"), "SELECT 1")


async def test_a_server_left_over_from_a_killed_process_is_stopped_first(server: EmbeddedPostgres) -> None:
    again = EmbeddedPostgres(server.data)
    await again.start()
    try:
        assert await server.wait() == 0
        assert await _ask(again.url, "SELECT 1") == 1
    finally:
        await again.stop()


async def test_a_process_that_got_the_old_servers_id_does_not_stop_it(server: EmbeddedPostgres) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    await server.wait()
    lock = server.directory / "postmaster.pid"
    lines = lock.read_text().split("\n")
    lock.write_text("\n".join([str(os.getppid()), *lines[1:]]))
    await server.start()
    assert Identity.of(os.getppid()) is not None
    assert await _ask(server.url, "SELECT 1") == 1


async def test_a_long_path_gets_a_short_socket(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / ("long-" * 30) / "data")
    await server.start()
    try:
        assert await _ask(server.url, "SELECT 1") == 1
    finally:
        await server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
async def test_root_may_keep_the_data_where_others_cannot_enter(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = EmbeddedPostgres(closed / "data")
    await server.start()
    try:
        assert await _ask(server.url, "SELECT 1") == 1
        assert server.directory.stat().st_uid != 0
        assert closed.stat().st_mode & 0o777 == 0o700
    finally:
        await server.stop()


async def test_half_a_cluster_of_a_crashed_first_start_is_thrown_away(tmp_path: Path) -> None:
    (tmp_path / "postgres.new").mkdir()
    (tmp_path / "postgres.new" / "PG_VERSION").write_text("18")
    server = EmbeddedPostgres(tmp_path)
    await server.start()
    try:
        assert await _ask(server.url, "SELECT 1") == 1
    finally:
        await server.stop()


async def test_what_keeps_it_from_starting_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = EmbeddedPostgres(tmp_path, settings={"shared_buffers": "nonsense"})
    with pytest.raises(EmbeddedPostgresFailed, match="shared_buffers"):
        await server.start()
    assert server.pid is None
    monkeypatch.setattr(embedded.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(EmbeddedPostgresFailed, match="LINKFLOW_DATABASE_URL"):
        EmbeddedPostgres(tmp_path)
    with pytest.raises(EmbeddedPostgresFailed, match="linkflow up"):
        url_of(tmp_path / "nothing")
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
