"""The API over real HTTP: uvicorn in this process, a log in memory, real read models, a small worker."""

import asyncio
import base64
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import asyncpg
import pytest_asyncio

from domain.effects import HttpRequest
from domain.workspace.commands import AddApiKey, CreateWorkspace
from infra.blobs import PostgresBlobs
from infra.egress.guard import EgressGuard
from infra.keys import api_key_hash, new_api_key
from infra.log.clock import LogClock
from infra.log.memory import MemoryLog
from infra.log.port import Topic
from infra.postgres.migrate import migrate
from infra.postgres.pool import open_pool
from infra.settings import Settings
from infra.vault import Vault
from services.api.commands import now_ms
from services.api.main import Server, running, server_config
from services.api.parts import Parts, make_parts
from services.projector.projector import Projector
from services.worker.credential_parts import make_credential_parts
from services.worker.effects.credential_work import CredentialDesk
from services.worker.effects.http import HttpEffects
from tests.services.api.small_worker import SmallWorker
from tests.support.client import Client

SECRET = bytes(range(32))
PARTITIONS = 2


@dataclass(slots=True)
class Api:
    url: str
    parts: Parts
    log: MemoryLog
    worker: SmallWorker
    workspace: str
    key: str
    client: Client

    async def new_key(self, workspace: str | None = None) -> str:
        """A key of this workspace or of another one."""
        key, at = new_api_key(), now_ms()
        workspace = workspace or self.workspace
        if workspace != self.workspace:
            await _ask(self.parts, workspace, CreateWorkspace(workspace, "other", at))
        await _ask(self.parts, workspace, AddApiKey(str(uuid4()), api_key_hash(key), key[:8], "test", at))
        return key


@pytest_asyncio.fixture
async def api(postgres_url: str) -> AsyncIterator[Api]:
    log = MemoryLog(PARTITIONS, clock=now_ms)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(log.close)
        pool = await open_pool(postgres_url, min_size=1, max_size=4)
        stack.push_async_callback(pool.close)
        await migrate(postgres_url)
        blobs = PostgresBlobs(pool)
        stop = asyncio.Event()
        projector = asyncio.create_task(Projector(log, postgres_url).run(stop))
        stack.push_async_callback(_end, projector)
        stack.callback(stop.set)
        worker = SmallWorker(log, blobs)
        worker.desk = await _desk(stack, log, pool, postgres_url)
        deciding = asyncio.create_task(worker.run())
        stack.push_async_callback(_cancel, deciding)
        await _until_projected(pool)
        parts = make_parts(
            log,
            pool,
            blobs,
            database_url=postgres_url,
            own_url="http://linkflow.test",
            secret=SECRET,
            vault=Vault.of_key(SECRET),
        )
        await stack.enter_async_context(running(parts))
        server = Server(server_config(parts, "127.0.0.1", 0))
        serving = asyncio.create_task(server.serve())
        stack.push_async_callback(_end, serving)
        stack.callback(server.stop)
        while not server.started:
            await asyncio.sleep(0.005)
            assert not serving.done(), serving.result()
        url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        workspace, key = str(uuid4()), new_api_key()
        at = now_ms()
        await _ask(parts, workspace, CreateWorkspace(workspace, "test", at))
        await _ask(parts, workspace, AddApiKey(str(uuid4()), api_key_hash(key), key[:8], "test", at))
        client = Client(url, key)
        stack.push_async_callback(client.close)
        yield Api(url, parts, log, worker, workspace, key, client)


async def _desk(stack: contextlib.AsyncExitStack, log: MemoryLog, pool: Any, url: str) -> CredentialDesk:
    """What a worker serves credentials by, with the loopback allowed."""
    guard = EgressGuard(("127.0.0.1",))
    stack.callback(guard.close)
    settings = Settings(database_url=url, secret_key=base64.b64encode(SECRET).decode())
    parts = make_credential_parts(settings, pool, log, LogClock(), HttpEffects(guard), name="test")
    stack.push_async_callback(parts.close)
    http = HttpEffects(guard, parts.credentials)
    stack.push_async_callback(http.close)
    return parts.desk({HttpRequest: http})


async def _ask(parts: Parts, workspace: str, command: Any) -> None:
    await parts.follower.ready.wait()
    position = await parts.sender.send(
        Topic.COMMANDS, f"workspace-{workspace}", command, workspace=workspace, actor="test", made=now_ms()
    )
    assert await parts.positions.wait_for(position)


async def _until_projected(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    """Until the read models have been made."""
    for _ in range(500):
        with contextlib.suppress(asyncpg.UndefinedTableError):
            await pool.fetch("SELECT FROM positions")
            await pool.fetch("SELECT FROM api_keys")
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"the projector has made no read models (pid {os.getpid()})")


async def _end(task: "asyncio.Task[None]") -> None:
    async with asyncio.timeout(15):
        await task


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
