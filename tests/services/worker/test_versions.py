"""The cache of compiled workflow versions: what a decision needs is there, however many versions there are."""

import asyncio
from typing import Any

import msgspec

from infra.blobs import MemoryBlobs
from infra.log.memory import MemoryLog
from services.worker.versions import GraphKey, WorkflowVersions

DOCUMENT = msgspec.json.encode({"name": "n", "nodes": [{"id": "start", "type": "manual"}], "connections": []}).decode()


ABSENT = "00000000-0000-0000-0000-00000000dead"
WORKFLOW = "00000000-0000-0000-0000-000000000001"
REFERENCE = ("workspace", WORKFLOW, 0)


class ReadModel:
    """Has every version of every workflow whose id is not `absent`; counts how often one was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

        self.active = {"version": 1, "status": "active"}
        self.held: asyncio.Event | None = None

    async def fetchval(self, query: str, *args: Any) -> Any:
        await asyncio.sleep(0)
        return None

    async def fetchrow(self, query: str, *args: Any) -> Any:
        await asyncio.sleep(0)
        if "FROM workflows" in query:
            return None if args[0] == ABSENT else dict(self.active)
        self.asked.append(args[0])
        if self.held is not None:
            await self.held.wait()
        return None if args[0] == "absent" else {"document": DOCUMENT}


class Cache:
    def __init__(self, kept: int) -> None:
        self.now = 0.0
        self.read_model = ReadModel()
        log = MemoryLog(1)
        self.versions = WorkflowVersions(
            self.read_model,  # type: ignore[arg-type]
            log,
            MemoryBlobs(),
            kept=kept,
            seconds=lambda: self.now,
        )


def key(workflow: str) -> GraphKey:
    return ("workspace", workflow, 1)


async def test_everything_that_was_loaded_together_is_there_together() -> None:
    cache = Cache(kept=2)
    await cache.versions.load([key("hot")])
    wanted = [key(name) for name in ("hot", "a", "b", "c")]
    await cache.versions.load(wanted)
    assert [each for each in wanted if cache.versions.get(each) is None] == []


async def test_owners_that_load_at_once_take_nothing_from_each_other() -> None:
    cache = Cache(kept=2)
    batches = [[key(f"{owner}-{n}") for n in range(3)] for owner in range(4)]

    async def owner(batch: list[GraphKey]) -> list[GraphKey]:
        await cache.versions.load(batch)
        return [each for each in batch if cache.versions.get(each) is None]

    assert await asyncio.gather(*(owner(batch) for batch in batches)) == [[], [], [], []]


async def test_the_least_used_go_first_and_those_in_use_stay() -> None:
    cache = Cache(kept=2)
    await cache.versions.load([key("often"), key("seldom")])
    cache.now = 100.0
    assert cache.versions.get(key("often")) is not None
    cache.now = 110.0
    await cache.versions.load([key("new")])
    assert cache.versions.missing([key("often"), key("seldom"), key("new")]) == {key("seldom")}


async def test_a_version_that_does_not_exist_is_asked_for_once_a_load() -> None:
    cache = Cache(kept=2)
    await cache.versions.load([key("absent"), key("there")])
    assert cache.versions.missing([key("absent"), key("there")]) == {key("absent")}
    assert cache.read_model.asked.count("absent") == 1


async def test_a_reference_means_the_version_that_is_active_when_it_is_loaded() -> None:
    cache = Cache(kept=2)
    assert cache.versions.meant(REFERENCE) == REFERENCE
    await cache.versions.load([REFERENCE])
    assert cache.versions.meant(REFERENCE) == ("workspace", WORKFLOW, 1)
    assert cache.versions.get(("workspace", WORKFLOW, 1)) is not None
    assert cache.versions.missing([REFERENCE]) == {REFERENCE}, "it is looked up anew each time"
    cache.read_model.active = {"version": 7, "status": "active"}
    await cache.versions.load([REFERENCE])
    assert cache.versions.meant(REFERENCE) == ("workspace", WORKFLOW, 7)


async def test_a_reference_to_nothing_or_to_an_archived_workflow_stays_one() -> None:
    cache = Cache(kept=2)
    nothing = [("workspace", ABSENT, 0), ("workspace", "no uuid", 0)]
    await cache.versions.load(nothing)
    assert [cache.versions.meant(each) for each in nothing] == nothing
    cache.read_model.active = {"version": 1, "status": "archived"}
    await cache.versions.load([REFERENCE])
    assert cache.versions.meant(REFERENCE) == REFERENCE


async def test_a_reference_means_the_new_version_only_when_that_is_loaded() -> None:
    cache = Cache(kept=5)
    await cache.versions.load([REFERENCE])
    cache.read_model.active = {"version": 2, "status": "active"}
    cache.read_model.held = asyncio.Event()
    loading = asyncio.create_task(cache.versions.load([REFERENCE]))
    while cache.read_model.asked.count(WORKFLOW) < 2:
        await asyncio.sleep(0)
    assert cache.versions.get(cache.versions.meant(REFERENCE)) is not None
    cache.read_model.held.set()
    await loading
    assert cache.versions.meant(REFERENCE) == ("workspace", WORKFLOW, 2)
