"""What the system tests do again and again: start many executions, wait for their ends, prove that nothing is odd."""

import asyncio
import time
from collections import Counter
from collections.abc import Collection
from typing import Any

from tests.support.client import ApiError, Client
from tests.support.cluster import Roles
from tests.support.history import History, read_history
from tests.support.processes import eventually

OPEN = frozenset({"queued", "running", "waiting"})


async def start_many(client: Client, path: str, count: int, *, prefix: str = "k", at_once: int = 32) -> dict[str, str]:
    """Call a webhook `count` times with keys of their own; returns key → execution id."""
    gate = asyncio.Semaphore(at_once)

    async def one(key: str) -> tuple[str, str]:
        async with gate:
            answer = await client.ask("POST", path, json={"key": key})
            return key, answer["execution_id"]

    return dict(await asyncio.gather(*(one(f"{prefix}{number}") for number in range(count))))


async def all_ended(client: Client, workflow_id: str, ids: Collection[str], *, within: float) -> Counter[str]:
    """Wait until the history shows an end for each of these executions; returns how many ended how."""
    statuses: dict[str, str] = {}

    async def ended() -> bool:
        nonlocal statuses
        try:
            statuses = await client.statuses(workflow_id)
        except (ApiError, OSError):  # the database may be away for a moment after a crash
            return False
        return all(statuses.get(each, "queued") not in OPEN for each in ids)

    def seen() -> str:
        return f"{dict(Counter(statuses.get(each, 'not shown') for each in ids))}"

    await eventually(ended, seen, within=within, every=0.1)
    return Counter(statuses[each] for each in ids)


async def history_of(cluster: Roles) -> History:
    prefix = cluster.settings.get("LINKFLOW_LOG_PREFIX", "")
    return await read_history(cluster.log, database_url=cluster.database_url, prefix=prefix)


async def prove_sound(cluster: Roles, accepted: Collection[str]) -> History:
    """Each execution ended exactly once in the log, and the read models say the same."""
    history = await history_of(cluster)
    history.check(accepted)
    await cluster.verify()
    return history


class Stream:
    """A steady stream of starts in the background; `close` ends it and tells what was accepted."""

    def __init__(self, client: Client, path: str, *, rate: float) -> None:
        self._client = client
        self._path = path
        self._rate = rate
        self._calls: set[asyncio.Task[None]] = set()
        self._task = asyncio.create_task(self._run())
        self.accepted: dict[str, str] = {}
        self.refused: list[Any] = []

    async def _run(self) -> None:
        began, number = time.monotonic(), 0
        while True:
            await asyncio.sleep(max(0.0, began + number / self._rate - time.monotonic()))
            call = asyncio.create_task(self._one(f"s{number}"))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
            number += 1

    async def _one(self, key: str) -> None:
        status, _, body = await self._client.send("POST", self._path, json={"key": key})
        if status == 202:
            self.accepted[key] = body["execution_id"]
        else:
            self.refused.append((status, body))

    async def accepted_at_least(self, count: int, within: float = 30.0) -> None:
        async def enough() -> bool:
            return len(self.accepted) >= count

        await eventually(enough, lambda: f"{len(self.accepted)} accepted", within=within)

    async def close(self) -> dict[str, str]:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.gather(*self._calls)
        return self.accepted
