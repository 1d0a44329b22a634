"""`linkflow tail`: only what counts, only what is wanted."""

import json
import time
from typing import Any

import msgspec
import pytest
import typer

from infra.log.memory import MemoryLog
from infra.log.port import NewRecord, Topic
from infra.settings import Settings
from schemas.envelope import KIND_COMMIT, KIND_TAKEOVER, CommitRecord, Epoch, EventRecord, TakeoverRecord, encode
from services.cli.feed import Filter, follow_events, read_moment

SETTINGS = Settings(database_url="postgresql://nobody@127.0.0.1:1/none")
WORKSPACE, OTHER = "ws-1", "ws-2"


def _event(name: str, **data: Any) -> EventRecord:
    return EventRecord(name, msgspec.Raw(json.dumps(data).encode()))


class Partition:
    """Writes commits as an owner does."""

    def __init__(self, log: MemoryLog, topic: Topic = Topic.EXECUTIONS, number: int = 0) -> None:
        self._log, self._topic, self._number = log, topic, number
        self._epoch = Epoch(0, "")
        self._n = 0

    async def _append(self, record: NewRecord) -> int:
        writer = await self._log.writer()
        offset = await writer.append(self._topic, self._number, [record])
        await writer.close()
        return offset

    async def take_over(self, nonce: str) -> None:
        takeover = TakeoverRecord(nonce=nonce, owner="test", time=0)
        offset = await self._append(NewRecord(encode(takeover), (("k", KIND_TAKEOVER), ("o", nonce.encode()))))
        self._epoch, self._n = Epoch(offset, nonce), 0

    async def commit(
        self, stream: str, *events: EventRecord, workspace: str = WORKSPACE, epoch: Epoch | None = None, at: int = 5
    ) -> None:
        epoch = epoch or self._epoch
        record = CommitRecord(
            id="c", stream=stream, version=1, epoch=epoch, n=self._n, workspace=workspace, time=at, events=list(events)
        )
        headers = (("k", KIND_COMMIT), ("e", epoch.header()), ("n", b"%d" % self._n))
        await self._append(NewRecord(encode(record), headers))
        if epoch == self._epoch:
            self._n += 1

    @property
    def epoch(self) -> Epoch:
        return self._epoch


async def _shown(log: MemoryLog, wanted: Filter) -> list[tuple[str, str]]:
    return [(each.commit.stream, each.event.type) async for each in follow_events(SETTINGS, log, wanted, endless=False)]


async def test_void_commits_are_not_shown() -> None:
    log = MemoryLog(2)
    owner = Partition(log)
    await owner.take_over("a")
    await owner.commit("execution-1", _event("execution.queued", workflow_id="w1"))
    old = owner.epoch
    await owner.take_over("b")
    await owner.commit("execution-2", _event("execution.queued", workflow_id="w1"), epoch=old)
    await owner.commit("execution-3", _event("execution.queued", workflow_id="w1"))
    assert [stream for stream, _ in await _shown(log, Filter(since=0))] == ["execution-1", "execution-3"]


async def test_filters() -> None:
    log = MemoryLog(1)
    runs, configuration = Partition(log), Partition(log, Topic.EVENTS)
    await runs.take_over("a")
    await configuration.take_over("b")
    await configuration.commit("workflow-w1", _event("workflow.created"))
    await runs.commit("execution-1", _event("execution.queued", workflow_id="w1"), _event("execution.started"))
    await runs.commit("execution-2", _event("execution.queued", workflow_id="w2"), workspace=OTHER)
    await runs.commit("execution-1", _event("execution.completed"), at=9)
    assert await _shown(log, Filter(since=0, execution="2")) == [("execution-2", "execution.queued")]
    assert await _shown(log, Filter(since=0, workspace=OTHER)) == [("execution-2", "execution.queued")]
    assert await _shown(log, Filter(since=0, event_type="*.completed")) == [("execution-1", "execution.completed")]
    assert await _shown(log, Filter(since=9)) == [("execution-1", "execution.completed")]
    of_workflow = await _shown(log, Filter(since=0, workflow="w1"))
    assert sorted(of_workflow) == [
        ("execution-1", "execution.completed"),
        ("execution-1", "execution.queued"),
        ("execution-1", "execution.started"),
        ("workflow-w1", "workflow.created"),
    ]


async def test_from_now_shows_only_what_comes() -> None:
    log = MemoryLog(1)
    owner = Partition(log)
    await owner.take_over("a")
    await owner.commit("execution-1", _event("execution.queued", workflow_id="w1"))
    following = follow_events(SETTINGS, log, Filter(), endless=True)
    first = anext(following)
    # The second commit is written once the follower has looked at where the log ends.
    log_end = log.end_offset

    async def end_then_commit(topic: Topic, partition: int) -> int:
        end = await log_end(topic, partition)
        if topic is Topic.EXECUTIONS:
            await owner.commit("execution-2", _event("execution.queued", workflow_id="w1"))
        return end

    log.end_offset = end_then_commit  # type: ignore[method-assign]
    shown = await first
    assert shown.as_json()["stream"] == "execution-2"
    assert shown.as_json()["workflow_id"] == "w1"
    assert "execution.queued" in shown.as_text().plain
    await following.aclose()  # type: ignore[attr-defined]


def test_moments() -> None:
    assert read_moment("now") is None
    assert read_moment("start") == 0
    assert read_moment("1970-01-01T00:00:01") == 1000
    assert read_moment("1970-01-01T01:00:01+01:00") == 1000
    assert abs((read_moment("10m") or 0) - (time.time() - 600) * 1000) < 5000
    with pytest.raises(typer.BadParameter):
        read_moment("yesterday")
