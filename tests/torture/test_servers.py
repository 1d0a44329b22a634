"""Faults of PostgreSQL and its disk, one by one, under load: refused politely, nothing lost, recovered alone.

R12: connections exhausted, closed for writing, a lock that is held. R22: a full disk, and one that does not answer.
"""

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest

from tests.support.client import Client
from tests.support.postgres import PostgresServer
from tests.torture.cluster import CANARIES, TortureCluster
from tests.torture.disks import disk, why_not
from tests.torture.load import Answers, Load, all_ended, nothing_is_wrong

pytestmark = pytest.mark.torture
NAMES = ("api-0", "worker-0", "projector-0")
LASTS = 6.0
"""Seconds of each fault."""

BACK_WITHIN = 30.0
"""Seconds until starts are accepted again, at most: these tests share the machine; the figure is in what they print."""


def document() -> dict[str, object]:
    """Accepted at once, a short wait in the middle."""
    return {
        "name": "wait a little",
        "nodes": [
            {"id": "start", "type": "webhook", "parameters": {"method": "POST", "respond": "at_once"}},
            {"id": "wait", "type": "wait", "parameters": {"seconds": 1}},
            {"id": "set", "type": "set", "parameters": {"fields": {"key": "{{ $json.body.key }}"}}},
        ],
        "connections": [{"from": "start", "to": "wait"}, {"from": "wait", "to": "set"}],
    }


@contextlib.asynccontextmanager
async def cluster(home: Path, database: PostgresServer | None = None) -> AsyncIterator[tuple[TortureCluster, str]]:
    """A small one on the embedded log, and where its workflow is started."""
    async with TortureCluster(home, log="postgres", names=NAMES, database=database) as running:
        [url] = running.apis.values()
        async with Client(url, running.keys[CANARIES[0]]) as client:
            _, path = await client.deploy(document())
        yield running, url + path


FELT_WITHIN = 20.0
"""Seconds."""


async def struck(
    running: TortureCluster,
    url: str,
    begin: Callable[[], Awaitable[None]],
    end: Callable[[], Awaitable[None]],
    *,
    until_felt: bool = False,
) -> Answers:
    """The fault under load; returns what the callers were told. Fails unless all that was accepted completes.

    `until_felt`: it lasts until somebody was refused, FELT_WITHIN at most: a busy disk holds its writes back for long.
    """
    async with Load([url], callers=6, pause=0.05) as load:
        await asyncio.sleep(2)
        try:
            await begin()
            struck_at = time.monotonic()
            await asyncio.sleep(LASTS)
            while (
                until_felt and not load.answers.statuses.keys() - {202} and time.monotonic() < struck_at + FELT_WITHIN
            ):
                await asyncio.sleep(0.1)
        finally:
            await end()
        over = time.monotonic()
        while not load.answers.between(over, time.monotonic()):
            assert time.monotonic() < over + BACK_WITHIN, f"{load.answers.statuses}\n{running.tails()}"
            await asyncio.sleep(0.05)
        back = time.monotonic() - over
        await asyncio.sleep(2)
    ended = await all_ended(running, list(load.answers.accepted.values()), within=60)
    print(
        f"accepted {len(load.answers.accepted)}, answers {dict(load.answers.statuses)}, of them in the fault "
        f"{load.answers.between(struck_at, over)}; back after {back:.2f} s, all ended after {ended:.2f} s"
    )
    assert not set(load.answers.statuses) - {0, 202, 503}, load.answers.statuses
    assert load.answers.without_retry_after == 0
    await nothing_is_wrong(running, load.answers.accepted)
    return load.answers


async def test_exhausted_connections_are_503_and_pass(tmp_path: Path) -> None:
    async with cluster(tmp_path) as (running, url):
        taken: list[asyncpg.Connection[asyncpg.Record]] = []
        filling: list[asyncio.Task[None]] = []

        async def take_all() -> None:
            while True:
                try:
                    taken.append(await asyncpg.connect(running.database.url()))
                except (asyncpg.PostgresError, OSError):
                    await asyncio.sleep(0.02)

        async def begin() -> None:
            filling.append(asyncio.create_task(take_all()))
            while not taken:
                await asyncio.sleep(0.01)
            for _ in range(5):
                await asyncio.sleep(0.3)
                await taken[0].execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'linkflow%'"
                )

        async def end() -> None:
            for task in filling:
                task.cancel()
            for each in taken:
                each.terminate()

        answers = await struck(running, url, begin, end)
    assert answers.statuses[503]


async def test_a_database_that_is_closed_for_writing_is_503_and_passes(tmp_path: Path) -> None:
    async with cluster(tmp_path) as (running, url):

        async def writable(how: str) -> None:
            connection = await asyncpg.connect(running.database.url())
            try:
                await connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {how}")
                await connection.execute("SELECT pg_reload_conf()")
            finally:
                await connection.close()

        answers = await struck(running, url, lambda: writable("on"), lambda: writable("off"))
    assert answers.statuses[503]


async def test_a_lock_on_the_log_is_waited_for(tmp_path: Path) -> None:
    async with cluster(tmp_path) as (running, url):
        connection = await running.connect()
        lock = connection.transaction()

        async def begin() -> None:
            await lock.start()
            await connection.execute("LOCK TABLE log.executions, log.execution_commands IN ACCESS EXCLUSIVE MODE")

        await struck(running, url, begin, lock.rollback)
        await connection.close()


@contextlib.contextmanager
def server_on_a_disk(megabytes: int):  # type: ignore[no-untyped-def]
    """(disk, server whose data is on it); skips where that is not possible."""
    if reason := why_not():
        if os.environ.get("LINKFLOW_TEST_REQUIRE_DISK", "") not in {"", "0"}:
            pytest.fail(f"a disk of its own is required here: {reason}")
        pytest.skip(f"no disk to fill or to freeze: {reason}")
    # Not below tmp_path: the server's user must be able to enter it.
    with tempfile.TemporaryDirectory(prefix="lf-disk-") as home:
        Path(home).chmod(0o755)
        with disk(Path(home), megabytes) as mounted:
            data = mounted.path / "server"
            data.mkdir()
            yield mounted, PostgresServer(data)


async def test_a_full_disk_is_503_and_loses_nothing(tmp_path: Path) -> None:
    """PostgreSQL itself goes down when it cannot write its log; started again with room, all that was accepted ends."""
    with server_on_a_disk(320) as (mounted, server):
        async with cluster(tmp_path, server) as (running, url):

            async def begin() -> None:
                await asyncio.to_thread(mounted.fill)

            async def end() -> None:
                mounted.empty()
                if not server.running:
                    await asyncio.to_thread(server.start)

            answers = await struck(running, url, begin, end, until_felt=True)
            assert answers.statuses[503] + answers.statuses[0]


async def test_a_disk_that_does_not_answer_is_waited_for(tmp_path: Path) -> None:
    with server_on_a_disk(320) as (mounted, server):
        async with cluster(tmp_path, server) as (running, url):

            async def begin() -> None:
                await asyncio.to_thread(mounted.freeze)

            async def end() -> None:
                await asyncio.to_thread(mounted.thaw)

            await struck(running, url, begin, end)
