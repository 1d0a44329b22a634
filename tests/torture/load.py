"""A closed loop of starts against a cluster, for the faults that are tried one by one: what came of each, and when."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import TracebackType
from uuid import uuid4

import aiohttp
import asyncpg

from tests.support.processes import eventually
from tests.torture.checkers.streams import fenced, inputs_balance, legal_transitions, stream_contiguous
from tests.torture.cluster import PARTITIONS, TortureCluster
from tests.torture.evidence import Evidence
from tests.torture.facts import TERMINAL, Facts, start_of, understand
from tests.torture.plan import make_plan
from tests.torture.raw_log import read_kafka, read_postgres

ANSWER_SECONDS = 15.0


@dataclass(slots=True)
class Answers:
    """`accepted`: key → execution id. `statuses`: of every request, 0 where none came. `tries`: requests a key."""

    accepted: dict[str, str] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)
    tries: Counter[str] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)
    """time.monotonic() of each acceptance."""

    without_retry_after: int = 0

    def between(self, since: float, until: float) -> int:
        return sum(since <= at < until for at in self.times)

    def longest_pause(self, since: float, until: float) -> float:
        """Seconds in which nothing was accepted, at most."""
        inside = [since, *(at for at in sorted(self.times) if since <= at < until), until]
        return max(after - before for before, after in pairwise(inside))


class Load:
    """`callers` start one execution after the other; each asks with its Idempotency-Key, at one api after the other,
    until it is accepted. Leaving the block waits for those under way."""

    def __init__(self, urls: Sequence[str], *, callers: int, pause: float = 0.0) -> None:
        self.answers = Answers()
        self._urls = urls
        self._callers = callers
        self._pause = pause
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Load":
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        self._session = aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=500))
        self._tasks = [asyncio.create_task(self._call(number)) for number in range(self._callers)]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._stop.set()
        if kind is not None:
            for task in self._tasks:
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=kind is not None)
        await self._session.close()

    async def _call(self, number: int) -> None:
        while not self._stop.is_set():
            key = f"load-{uuid4()}"
            while not await self._start(key, self._urls[number % len(self._urls)]):
                number += 1
                await asyncio.sleep(0.1)
            await asyncio.sleep(self._pause)

    async def _start(self, key: str, url: str) -> bool:
        answers = self.answers
        answers.tries[key] += 1
        try:
            async with self._session.post(url, json={"key": key}, headers={"Idempotency-Key": key}) as answer:
                answers.statuses[answer.status] += 1
                answers.without_retry_after += answer.status in {429, 503} and "retry-after" not in answer.headers
                if answer.status == 202:
                    answers.accepted[key] = (await answer.json())["execution_id"]
                    answers.times.append(time.monotonic())
                    return True
        except (aiohttp.ClientError, TimeoutError):
            answers.statuses[0] += 1
        return False


async def all_ended(cluster: TortureCluster, executions: Sequence[str], within: float) -> float:
    """Seconds until every one of them has completed in the rows; fails after `within`."""
    began = time.monotonic()
    left = len(executions)
    connection: asyncpg.Connection[asyncpg.Record] = await cluster.connect()
    try:

        async def ended() -> bool:
            nonlocal left
            done = await connection.fetchval(
                "SELECT count(*) FROM read.executions WHERE status = 'completed' AND id = ANY($1::uuid[])",
                list(executions),
            )
            left = len(executions) - done
            return left == 0

        await eventually(ended, lambda: f"{left} have not completed\n{cluster.tails()}", within=within, every=0.1)
    finally:
        await connection.close()
    return time.monotonic() - began


async def read_log(cluster: TortureCluster) -> Facts:
    """The log as the checkers see it."""
    if cluster.broker is not None:
        return understand(await read_kafka(cluster.broker.bootstrap, cluster.prefix, PARTITIONS))
    return understand(await read_postgres(cluster.database_url))


async def nothing_is_wrong(cluster: TortureCluster, accepted: dict[str, str]) -> Facts:
    """Each accepted execution once in the log with one end, no other, sound streams, and rows that are their fold."""
    facts = await read_log(cluster)
    streams = facts.executions()
    ends = {each: [e.type for e in streams.get(each, ()) if e.type in TERMINAL] for each in accepted.values()}
    assert {each: end for each, end in ends.items() if len(end) != 1} == {}
    keys = Counter(start_of(events)[0] for events in streams.values())
    assert {key: count for key, count in keys.items() if count > 1} == {}
    evidence = Evidence(make_plan(cluster.log, 0, "ci"), facts, [], [], [])
    for checker in (legal_transitions, stream_contiguous, fenced, inputs_balance):
        found = checker(evidence)
        assert found.passed, found
    await cluster.run_cli("verify")
    return facts
