"""A system that was off for a time, for tests of what gets old: clocks leap, the log's time too."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from infra.log import open_log
from infra.log.port import Log, NewRecord, Topic
from schemas.envelope import KIND_TICK, TickRecord, encode
from tests.support.cluster import Roles
from tests.support.processes import eventually
from tests.torture.clocks import SteppedClock

DAYS = 86_400_000
ADMIN = "/api/v1/admin"


@asynccontextmanager
async def opened(cluster: Roles) -> AsyncIterator[Log]:
    prefix = cluster.settings.get("LINKFLOW_LOG_PREFIX", "")
    log = await open_log(cluster.log, database_url=cluster.database_url, prefix=prefix)
    try:
        yield log
    finally:
        await log.close()


async def put_forward(cluster: Roles, clock: SteppedClock, days: int) -> None:
    """The database's clock goes forward; so does the log's time: a new leader goes on where the log says it stands."""
    projector = cluster.processes["projector"]
    projector.kill()
    await set_clock(cluster, clock, days)
    tick = TickRecord(time=time.time_ns() // 1_000_000 + days * DAYS, leader="test")
    async with opened(cluster) as log:
        writer = await log.writer()
        for partition in range(log.partitions):
            await writer.append(Topic.TICKS, partition, [NewRecord(encode(tick), (("k", KIND_TICK),))])
        await writer.close()
    projector.start()
    await cluster.ready()


async def set_clock(cluster: Roles, clock: SteppedClock, days: int) -> None:
    clock.step(days * 86_400)
    connection = await asyncpg.connect(cluster.database_url)

    async def stepped() -> bool:
        ahead = await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())") - time.time_ns() // 10**9
        return bool(abs(ahead - days * 86_400) < 60)

    await eventually(stepped, lambda: "the database's clock does not follow", within=10)
    await connection.close()


async def job(cluster: Roles, name: str, result: str = "done") -> dict[str, Any]:
    """Ask for a run and wait for its end; its figures."""
    found: dict[str, Any] = {}

    async def asked() -> bool:
        nonlocal found
        status, _, found = await cluster.client.send("POST", f"{ADMIN}/jobs/{name}/run")
        return status == 202

    async def ended() -> bool:
        nonlocal found
        runs = (await cluster.client.ask("GET", f"{ADMIN}/jobs/{name}/runs"))["items"]
        found = next(run for run in runs if run["due"] == found["due"])
        return found["result"] not in ("asked", "running")

    await eventually(asked, lambda: f"there is no job {name}", within=40)
    await eventually(ended, lambda: str(found), within=60)
    assert found["result"] == result, str(found)
    return dict(found["figures"])


async def settled(cluster: Roles) -> None:
    """Until the projector has nothing before it."""

    async def done() -> bool:
        _, _, body = await cluster.client.send("GET", "/health")
        return bool(body["components"]["projector"].get("records_waiting") == 0)

    await eventually(done, lambda: "the projector does not come to the end", within=30)
