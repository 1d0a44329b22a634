"""The cache of compiled workflow versions: what a decision needs is there, however many versions there are."""

import asyncio
from typing import Any

import msgspec

from infra.blobs import MemoryBlobs
from infra.log.memory import MemoryLog
from services.worker.versions import GraphKey, WorkflowVersions

DOCUMENT = msgspec.json.encode({"name": "n", "nodes": [{"id": "start", "type": "manual"}], "connections": []}).decode()


class ReadModel:
    """Has every version of every workflow whose id is not `absent`; counts how often one was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def fetchval(self, query: str, *args: Any) -> Any:
        await asyncio.sleep(0)
        if "workflow_versions WHERE" not in query:
            return None
        self.asked.append(args[0])
        return None if args[0] == "absent" else DOCUMENT


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
