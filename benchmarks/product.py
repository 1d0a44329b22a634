"""LinkFlow under measurement: `linkflow up` on a fresh directory, a look at its read model, its processes by role."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from tests.support.cluster import Up
from tests.support.kafka import KafkaBroker
from tests.support.stub import Stub

VISIBLE = "SELECT count(*) FROM read.executions WHERE workflow_id = $1::uuid AND status = $2"


@dataclass(slots=True)
class Product:
    """One installation that runs, `startup` seconds after it was asked for."""

    cluster: Up
    stub: Stub
    database: "asyncpg.Connection[asyncpg.Record]"
    broker: KafkaBroker | None
    startup: float

    @property
    def port(self) -> int:
        return self.cluster.port

    def processes(self) -> dict[str, list[psutil.Process]]:
        roles = self.cluster.linkflow_processes()
        if self.broker is not None:
            roles["broker"] = [psutil.Process(self.broker.pid)]
        return roles

    async def count(self, workflow_id: str, status: str = "completed") -> int:
        return int(await self.database.fetchval(VISIBLE, workflow_id, status))

    async def visible(self, workflow_id: str, count: int, *, status: str = "completed", within: float = 120.0) -> float:
        """Wait until the read model shows `count` executions with `status`; returns that moment (time.monotonic)."""
        deadline = time.monotonic() + within
        while True:
            found = await self.count(workflow_id, status)
            now = time.monotonic()
            if found >= count:
                return now
            if now > deadline:
                raise AssertionError(f"{found} of {count} executions are {status} after {within} s")
            await asyncio.sleep(0.01 if count <= 1000 else 0.04)

    async def reconnect(self) -> None:
        """After a restart, which may have restarted the database too."""
        self.database.terminate()
        self.database = await asyncpg.connect(self.cluster.database_url)


@asynccontextmanager
async def product(broker: KafkaBroker | None = None, **settings: str) -> AsyncIterator[Product]:
    """A fresh installation; on the broker's log if there is one. Everything is ended and deleted afterwards."""
    home = Path(tempfile.mkdtemp(prefix="lf-bench-"))
    log = "postgres" if broker is None else f"kafka://{broker.bootstrap}"
    try:
        with Stub() as stub:
            cluster = Up(home, log=log, settings={"LINKFLOW_LOG_LEVEL": "warning", **settings})
            began = time.monotonic()
            async with cluster:
                startup = time.monotonic() - began
                database = await asyncpg.connect(cluster.database_url)
                running = Product(cluster, stub, database, broker, startup)
                try:
                    yield running
                finally:
                    running.database.terminate()
    finally:
        shutil.rmtree(home, ignore_errors=True)


async def while_running(work: Awaitable[Any], after: float, look: Callable[[], Any]) -> tuple[Any, Any]:
    """Await `work`, and call `look` in a thread `after` seconds into it; returns both results."""

    async def later() -> Any:
        await asyncio.sleep(after)
        return await asyncio.to_thread(look)

    looking = asyncio.create_task(later())
    try:
        done = await work
        return done, await looking
    finally:
        looking.cancel()
