"""Watch the run from outside: a poller that reads as clients do, and a sampler of rows and positions."""

import asyncio
import random
import time
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import asyncpg
import psutil

from tests.torture.cluster import TortureCluster
from tests.torture.driver import Driver
from tests.torture.journal import Journal

COLUMNS = "topic, partition, next_offset"


async def poll(driver: Driver, apis: Mapping[str, str], keys: Mapping[str, str], journal: Journal, seed: int) -> None:
    """Read executions again and again, each always by its own workspace's key, until cancelled."""
    chance = random.Random(f"poller {seed}")
    timeout = aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        while True:
            await asyncio.sleep(0.03)
            if not driver.started:
                continue
            recent = driver.started[-200:] if chance.random() < 0.7 else driver.started
            execution, canary = chance.choice(recent)
            api = chance.choice(sorted(apis))
            other = chance.random() < 0.05
            key = next(keys[each] for each in keys if (each == canary) != other)
            try:
                async with session.get(
                    f"{apis[api]}/api/v1/executions/{execution}", headers={"Authorization": f"Bearer {key}"}
                ) as answer:
                    body = await answer.json(content_type=None) if answer.status == 200 else {}
                    journal.write(
                        at=time.time() * 1000, api=api, execution=execution, foreign=other, status=answer.status,
                        state=body.get("status", ""), runs=len(body.get("node_executions", ())),
                    )  # fmt: skip
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
                continue


async def sample(cluster: TortureCluster, journal: Journal, every: float = 2.0) -> None:
    """In one snapshot: where the projector says it is, and how much its rows hold. Until cancelled."""
    while True:
        await asyncio.sleep(every)
        try:
            connection = await cluster.connect()
            try:
                journal.write(**await _snapshot(connection))
            finally:
                await connection.close(timeout=2)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            continue


async def _snapshot(connection: "asyncpg.Connection[asyncpg.Record]") -> dict[str, object]:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        positions = await connection.fetch(
            f"SELECT projection, {COLUMNS} FROM read.positions WHERE topic = 'linkflow.executions'"
        )
        rows = await connection.fetchrow("SELECT count(*), sum(stream_version) FROM read.executions")
        backends = await connection.fetchval("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
    assert rows is not None
    return {
        "at": time.time() * 1000,
        "positions": {f"{row['projection']}/{row['partition']}": row["next_offset"] for row in positions},
        "executions": rows[0],
        "versions": int(rows[1] or 0),
        "backends": backends,
    }


async def watch_lag(lags: list[float], every: float = 0.1) -> None:
    """How much later than asked for this process is woken (seconds): whether it, and so the run, gets the processor
    when it needs it. Until cancelled."""
    while True:
        asked = time.monotonic() + every
        await asyncio.sleep(every)
        lags.append(time.monotonic() - asked)


PRESSURE = Path("/proc/pressure/cpu")


def waiting_us() -> int | None:
    """How long, in all, some process of this machine waited for a processor, as Linux counts it; None elsewhere."""
    if not PRESSURE.exists():
        return None
    return int(PRESSURE.read_text().split("total=", 1)[1].split()[0])


async def watch_usage(cluster: TortureCluster, journal: Journal, every: float = 10.0) -> None:
    """What every process holds; its clients' connections are their own matter and counted apart. Until cancelled."""
    while True:
        await asyncio.sleep(every)
        uses = {
            name: {
                "rss": round(use["rss"], 2),
                "fds": use["fds"] - use["clients"],
                "threads": use["threads"],
                "connections": sum(n for what, n in use.items() if what.startswith("tcp ")) - use["clients"],
                "clients": use["clients"],
                "age": round(_age(cluster, name), 1),
            }
            for name, use in (await asyncio.to_thread(resources, cluster)).items()
        }
        journal.write(at=time.time() * 1000, uses=uses)


def _age(cluster: TortureCluster, name: str) -> float:
    try:
        return time.time() - psutil.Process(cluster.processes[name].pid).create_time()
    except psutil.NoSuchProcess:
        return 0.0


def resources(cluster: TortureCluster) -> dict[str, dict[str, float]]:
    """By process: resident memory (MB) of the whole tree, descriptors, threads, connections of clients, and all TCP
    connections by port."""
    found: dict[str, dict[str, float]] = {}
    for name, process in cluster.processes.items():
        total = {"rss": 0.0, "fds": 0.0, "threads": 0.0, "clients": 0.0}
        for each in process.tree():
            try:
                with each.oneshot():
                    total["rss"] += each.memory_info().rss / 1e6
                    total["fds"] += each.num_fds()
                    total["threads"] += each.num_threads()
                connections = each.net_connections("tcp")
                served = {one.laddr.port for one in connections if one.status == psutil.CONN_LISTEN}
                total["clients"] += sum(bool(one.raddr) and one.laddr.port in served for one in connections)
                for connection in connections:
                    place = f"tcp {connection.status} {connection.raddr.port if connection.raddr else 'listening'}"
                    total[place] = total.get(place, 0.0) + 1
            except psutil.NoSuchProcess:
                continue
        found[name] = total
    return found
