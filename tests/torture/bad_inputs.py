"""Bad inputs through the storm, and what an operator does about them: dead letters are found, sent again, discarded.

Two kinds, each with a mark in it: *garbage* that nobody can read, and *buried* starts, whose items are stored outside
and are not there. What is buried is found by its letter; then the items are put in their place and it is sent again.
"""

import asyncio
import random
import time
from collections.abc import Mapping
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import aiohttp
import asyncpg

from domain.execution.commands import StartExecution
from infra.log import open_log
from infra.log.port import LogError, NewRecord, Topic
from schemas.envelope import encode, partition_of
from schemas.payloads import BlobCollector
from schemas.registry import command_record
from tests.support.client import Client
from tests.torture.cluster import CANARIES, PARTITIONS, TortureCluster
from tests.torture.driver import Place
from tests.torture.journal import Journal
from tests.torture.marks import BURIED, MARK
from tests.torture.plan import Plan

LETTERS = "/api/v1/dead-letters"
APPEND_SECONDS = 20.0
SEEN_SECONDS = 120.0
EACH = 6
"""Seconds between two of them, at an average."""
MOST = 80


class BadInputs:
    """Use `put` while the storm lasts, `mend` after it."""

    def __init__(self, plan: Plan, cluster: TortureCluster, places: list[Place], letters: Journal) -> None:
        self._plan = plan
        self._cluster = cluster
        self._place = next(each for each in places if each.kind == "linear" and each.canary == CANARIES[0])
        self._letters = letters
        self._random = random.Random(f"bad inputs {plan.seed}")
        self._outside: dict[str, Mapping[str, bytes]] = {}
        """Execution id → what its items are stored as."""
        self._workspace = ""
        self._tasks: list[asyncio.Task[None]] = []
        self.started: list[str] = []

    async def put(self, seconds: float) -> None:
        """Append one after the other; some of the buried ones are sent again at once."""
        self._workspace = await self._workspace_of(self._place.workflow)
        count = min(MOST, max(4, int(seconds / EACH)))
        for number in range(count):
            await asyncio.sleep(self._random.uniform(0.5, 1.5) * seconds / count / 1.1)
            buried = number % 2 == 1
            topic, partition, value, execution = self._buried(number) if buried else self._garbage(number)
            await self._append(topic, partition, value)
            if buried and self._random.random() < 0.7:
                self._tasks.append(asyncio.create_task(self._unearth(execution)))

    async def mend(self) -> None:
        """Nothing is broken any more: every letter is sent again, or discarded if it cannot be."""
        await asyncio.gather(*self._tasks)
        [url, *_] = self._cluster.apis.values()
        async with Client(url, self._place.api_key) as client:
            deadline = time.monotonic() + SEEN_SECONDS
            while letters := (await client.ask("GET", f"{LETTERS}?status=open&limit=100"))["items"]:
                if time.monotonic() > deadline:
                    raise AssertionError(f"dead letters that stay open: {letters[:3]}")
                await asyncio.gather(*(self._settle(client, letter) for letter in letters))
            redriven = await self._all(client, "redriven")
        self.started = [str(each["sent_to"]).removeprefix("execution-") for each in redriven]

    async def _settle(self, client: Client, letter: Mapping[str, Any]) -> None:
        execution = str(letter["stream"]).removeprefix("execution-")
        if execution in self._outside:
            await self._bring_back(execution)
            await self._redrive(client, letter["id"], execution)
            return
        refused, _, problem = await client.send("POST", f"{LETTERS}/{letter['id']}/redrive")
        self._note("redrive garbage", "fail" if refused == 409 else "ok", str(letter["id"]), status=refused)
        assert refused == 409, problem
        await client.ask("POST", f"{LETTERS}/{letter['id']}/discard", json={"reason": "garbage"})
        self._note("discard", "ok", str(letter["id"]))

    async def _all(self, client: Client, status: str) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        path = following = f"{LETTERS}?status={status}&limit=100"
        while following:
            page = await client.ask("GET", following)
            found += page["items"]
            following = f"{path}&cursor={page['next_cursor']}" if page["next_cursor"] else ""
        return found

    async def _unearth(self, execution: str) -> None:
        """In the midst of the storm: wait for the letter, put the items in their place, send it again, once."""
        deadline = time.monotonic() + SEEN_SECONDS
        while time.monotonic() < deadline:
            await asyncio.sleep(0.5)
            url = self._cluster.apis[self._random.choice(sorted(self._cluster.apis))]
            try:
                async with Client(url, self._place.api_key) as client:
                    listed = await client.ask("GET", f"{LETTERS}?status=open&command=execution.start&limit=100")
                    for letter in listed["items"]:
                        if letter["stream"] == f"execution-{execution}":
                            await self._bring_back(execution)
                            await self._redrive(client, letter["id"], execution)
                            return
            except (AssertionError, aiohttp.ClientError, asyncpg.PostgresError, OSError, TimeoutError):
                continue  # ApiError is an AssertionError: 503 in a storm

    async def _redrive(self, client: Client, letter: str, execution: str) -> None:
        self._note("redrive", "invoke", execution)
        try:
            status, _, _ = await client.send("POST", f"{LETTERS}/{letter}/redrive")
        except aiohttp.ClientConnectorError:
            status = 400
        except (aiohttp.ClientError, TimeoutError, OSError):
            status = 500
        outcome = "ok" if status < 300 else "fail" if status < 500 else "info"
        self._note("redrive", outcome, execution, status=status)

    async def _bring_back(self, execution: str) -> None:
        connection = await self._cluster.connect()
        try:
            await connection.executemany(
                "INSERT INTO blobs (id, workspace, content) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                [(name, self._workspace, content) for name, content in self._outside[execution].items()],
            )
        finally:
            await connection.close()

    async def _append(self, topic: Topic, partition: int, value: bytes) -> None:
        """Whether it arrived is for the log to say: the servers are being killed meanwhile."""
        settings = self._cluster.settings_of(None)
        try:
            async with asyncio.timeout(APPEND_SECONDS):
                log = await open_log(
                    settings["LINKFLOW_LOG"],
                    database_url=self._cluster.database_url,
                    prefix=settings["LINKFLOW_LOG_PREFIX"],
                )
                try:
                    writer = await log.writer()
                    await writer.append(topic, partition, [NewRecord(value)])
                    await writer.close()
                finally:
                    await log.close()
        except (LogError, OSError, TimeoutError, asyncpg.PostgresError):
            return

    def _garbage(self, number: int) -> tuple[Topic, int, bytes, str]:
        topic = self._random.choice([Topic.COMMANDS, Topic.EXECUTION_COMMANDS])
        return topic, self._random.randrange(PARTITIONS), f"\0{MARK}{self._plan.seed}-{number}".encode(), ""

    def _buried(self, number: int) -> tuple[Topic, int, bytes, str]:
        execution = str(uuid5(NAMESPACE_OID, f"{MARK}{self._plan.seed}-{number}"))
        key = f"{BURIED}-{self._plan.seed}-{number}"
        collector = BlobCollector(self._workspace)
        made = round(time.time() * 1000)
        start = StartExecution(
            execution_id=execution,
            workflow_id=self._place.workflow,
            workflow_version=1,
            trigger_node="start",
            trigger_type="manual",
            items=[{"json": {"key": key, "canary": self._place.canary}}],
            queued_at=made,
            fingerprint=key,
        )
        stream = f"execution-{execution}"
        record = command_record(
            start, id=f"{MARK}{execution}", stream=stream, workspace=self._workspace, made=made, spill=collector, over=0
        )
        self._outside[execution] = collector.blobs
        self._letters.write(type="invoke", op="put", execution=execution, key=key, canary=self._place.canary)
        return Topic.EXECUTION_COMMANDS, partition_of(stream, PARTITIONS), encode(record), execution

    async def _workspace_of(self, workflow: str) -> str:
        connection = await self._cluster.connect()
        try:
            found = await connection.fetchval("SELECT workspace_id::text FROM read.workflows WHERE id = $1", workflow)
        finally:
            await connection.close()
        return str(found)

    def _note(self, op: str, kind: str, execution: str, status: int = 0) -> None:
        self._letters.write(type=kind, at=time.time() * 1000, op=op, execution=execution, status=status)
