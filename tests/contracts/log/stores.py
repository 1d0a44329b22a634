"""What the contract suite needs of an implementation: make a log, open it again, let a member die."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from infra.log import open_admin, open_log
from infra.log.memory import MemoryLog, MemoryMembership
from infra.log.port import Log, LogAdmin, Membership, NewRecord, Reader, Record

PARTITIONS = 4
PATIENCE = 20.0
"""Seconds after which a wait counts as hanging; nothing that works comes near."""


@dataclass
class Store:
    """One log with its topics made. `open` opens it once more, as another process would."""

    name: str
    open: Callable[[], Awaitable[Log]]
    admin: Callable[[], Awaitable[LogAdmin]] | None
    opened: list[Log] = field(default_factory=list)

    async def log(self) -> Log:
        log = await self.open()
        self.opened.append(log)
        return log

    async def close(self) -> None:
        for log in self.opened:
            await log.close()


async def memory_store() -> Store:
    log = MemoryLog(PARTITIONS)

    async def opened() -> Log:
        return log

    return Store("memory", opened, None)


async def postgres_store(url: str) -> Store:
    return await _made("postgres", "postgres", url)


async def kafka_store(bootstrap: str) -> Store:
    return await _made("kafka", f"kafka://{bootstrap}", None)


async def _made(name: str, url: str, database_url: str | None) -> Store:
    prefix = f"t{uuid.uuid4().hex[:10]}."

    async def admin() -> LogAdmin:
        return await open_admin(url, database_url=database_url, prefix=prefix)

    async def opened() -> Log:
        return await open_log(url, database_url=database_url, prefix=prefix)

    maker = await admin()
    await maker.create_topics(PARTITIONS)
    await maker.close()
    return Store(name, opened, admin)


async def die(membership: Membership) -> None:
    """End a member without its leaving, as SIGKILL does."""
    if isinstance(membership, MemoryMembership):
        membership._log.expire(membership._group, membership._member)
        return
    task = membership._task  # type: ignore[attr-defined]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    membership._task = None  # type: ignore[attr-defined]
    if (coordinator := getattr(membership, "_coordinator", None)) is not None:
        for ending in (coordinator._coordination_task, coordinator._heartbeat_task, coordinator._commit_refresh_task):
            if ending is not None:
                ending.cancel()
                await asyncio.gather(ending, return_exceptions=True)
        await membership._client.close()  # type: ignore[attr-defined]


def record(text: str) -> NewRecord:
    return NewRecord(text.encode())


async def read_texts(reader: Reader, count: int, *, max_records: int = 500) -> list[str]:
    """The values of the next `count` records."""
    return [found.value.decode() for found in await read_records(reader, count, max_records=max_records)]


async def read_records(reader: Reader, count: int, *, max_records: int = 500) -> list[Record]:
    found: list[Record] = []
    async with asyncio.timeout(PATIENCE):
        while len(found) < count:
            found += await reader.read(max_records=max_records)
    return found


async def settled(memberships: list[Membership], expected: list[frozenset[int]]) -> None:
    """Wait until each membership has its expected assignment (each follows its changes)."""

    async def follow(membership: Membership, wanted: frozenset[int]) -> None:
        while membership.current() != wanted:
            await membership.assigned()

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        for membership, wanted in zip(memberships, expected, strict=True):
            group.create_task(follow(membership, wanted))
