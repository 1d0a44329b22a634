"""The live feed over WebSockets: order, filters, resuming with nothing missed, closing."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import websockets

from domain.subscription.deliveries import WORKFLOWS
from infra.log.port import Topic
from schemas.cursors import Cursor, InvalidCursor, encode_cursor
from schemas.fence import Fence
from services.api import feed as feed_module
from services.api.answers import COMMIT_TOPICS, Follower, Place
from services.api.frames import Wish
from tests.services.api.conftest import Api
from tests.services.api.test_executions import deploy

ALL = [
    "execution.queued",
    "execution.started",
    "execution.node_completed",
    "execution.completed",
]


@contextlib.asynccontextmanager
async def connected(api: Api, query: str = "", key: str | None = None) -> AsyncIterator[websockets.ClientConnection]:
    headers = {"Authorization": f"Bearer {key or api.key}"}
    url = api.url.replace("http:", "ws:") + f"/ws?{query}"
    async with websockets.connect(url, additional_headers=headers) as connection:
        yield connection


async def take(connection: websockets.ClientConnection, count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(10):
        return [json.loads(await connection.recv()) for _ in range(count)]


async def test_frames_tell_what_happens(api: Api) -> None:
    workflow, _ = await deploy(api)
    async with connected(api, f"workflow_id={workflow}") as connection:
        assert connection.response is not None
        assert Cursor.decode(connection.response.headers["X-LinkFlow-Cursor"], 4)
        accepted = await api.client.execute(workflow, {"a": 1})
        frames = await take(connection, 4)
    assert [frame["type"] for frame in frames] == ALL
    for frame in frames:
        assert frame.keys() == {"cursor", "type", "workspace_id", "execution_id", "workflow_id", "at", "data"}
        assert frame["workspace_id"] == api.workspace
        assert frame["execution_id"] == accepted["execution_id"]
        assert frame["workflow_id"] == workflow
    assert frames[-1]["data"]["output"] == [{"json": {"a": 1}}]


async def test_what_has_ended_is_not_remembered(api: Api) -> None:
    """The memory of a process grew with every execution that it told of, up to fifty thousand (soak, seed 51)."""
    workflow, _ = await deploy(api)
    async with connected(api, f"workflow_id={workflow}") as connection:
        for number in range(5):
            await api.client.execute(workflow, {"a": number})
        frames = await take(connection, 20)
    assert {frame["workflow_id"] for frame in frames} == {workflow}
    assert not api.parts.feed._origins._known


async def test_filters(api: Api) -> None:
    one, _ = await deploy(api)
    two, _ = await deploy(api)
    held = (await api.client.execute(two, {"hold": True}))["execution_id"]
    async with (
        connected(api, "types=execution.completed,workflow.created") as ends,
        connected(api, f"execution_id={held}") as one_execution,
        connected(api, f"workflow_id={two}") as one_workflow,
    ):
        await api.client.execute(one, {}, wait=5)
        await api.client.cancel(held)
        await deploy(api)
        assert [frame["type"] for frame in await take(ends, 2)] == ["execution.completed", "workflow.created"]
        [cancelled] = await take(one_execution, 1)
        assert (cancelled["type"], cancelled["workflow_id"]) == ("execution.cancelled", two)
        assert (await take(one_workflow, 1))[0]["execution_id"] == held


async def test_a_client_that_comes_back_misses_nothing(api: Api) -> None:
    """From every frame on, the rest is the same, in the order of each stream."""
    workflow, _ = await deploy(api)
    async with connected(api) as connection:
        assert connection.response is not None
        start = connection.response.headers["X-LinkFlow-Cursor"]
        for number in range(6):
            await api.client.execute(workflow, {"n": number})
        frames = await take(connection, 24)
    for place in (*range(0, 24, 5), 23):
        async with connected(api, f"cursor={frames[place]['cursor']}") as again:
            rest = await take(again, 23 - place)
            assert by_stream(rest) == by_stream(frames[place + 1 :])
            await nothing_more(again)
    async with connected(api, f"cursor={start}&types=execution.completed") as again:
        assert len(await take(again, 6)) == 6


async def test_resuming_joins_the_live_stream_without_gap_or_double(api: Api) -> None:
    workflow, _ = await deploy(api)
    async with connected(api) as connection:
        await api.client.execute(workflow, {"n": -1})
        cursor = (await take(connection, 4))[-1]["cursor"]
    stop = asyncio.Event()
    ids: list[str] = []

    async def load() -> None:
        while not stop.is_set():
            ids.append((await api.client.execute(workflow, {}))["execution_id"])

    loading = asyncio.create_task(load())
    seen: list[str] = []
    while len(seen) < 200:
        async with connected(api, f"cursor={cursor}&types=execution.completed") as connection:
            for frame in await take(connection, 20):
                seen.append(frame["execution_id"])
                cursor = frame["cursor"]
    stop.set()
    await loading
    async with connected(api, f"cursor={cursor}&types=execution.completed") as connection:
        seen += [frame["execution_id"] for frame in await take(connection, len(ids) - len(seen))]
        await nothing_more(connection)
    assert sorted(seen) == sorted(ids)


async def test_after_a_restart_nothing_is_told_twice(api: Api) -> None:
    """The new process stands where the projector stood, behind what the client has seen."""
    workflow, _ = await deploy(api)
    async with connected(api) as connection:
        for number in range(4):
            await api.client.execute(workflow, {"n": number})
        frames = await take(connection, 16)
    for place in (5, 11, 15):
        follower = Follower(api.log, api.parts.reads.fences)
        follower.places = {
            (topic, partition): Place(Fence()) for topic in COMMIT_TOPICS for partition in range(api.log.partitions)
        }
        follower.ready.set()
        feed = feed_module.Feed(api.log, follower, api.parts.positions, api.parts.reads)
        follower.listeners.interested.append(feed.interested)
        follower.listeners.commit.append(feed.put)
        client = feed.open(api.workspace, Wish(), Cursor.decode(frames[place]["cursor"], 4))
        seen: list[dict[str, Any]] = []

        async def collect(client: Any = client, seen: list[dict[str, Any]] = seen) -> None:
            async for frame in client:
                seen.append(json.loads(frame))  # noqa: PERF401

        collecting = asyncio.create_task(collect())
        while not feed.interested(api.workspace.encode()):
            await asyncio.sleep(0)
        tasks = [collecting, asyncio.create_task(feed.run()), asyncio.create_task(follower.run())]
        last = await api.client.execute(workflow, {})
        async with asyncio.timeout(10):
            while not seen or (seen[-1]["execution_id"], seen[-1]["type"]) != (last["execution_id"], ALL[-1]):
                await asyncio.sleep(0.005)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        extra = [frame for frame in seen if frame["execution_id"] == last["execution_id"]]
        assert [frame["type"] for frame in extra] == ALL
        rest = [frame for frame in seen if frame["execution_id"] != last["execution_id"]]
        assert by_stream(rest) == by_stream(known := frames[place + 1 :]), (place, len(rest), len(known))
        async with connected(api, f"cursor={frames[-1]['cursor']}") as connection:
            frames += [frame for frame in await take(connection, 4) if frame["type"] in ALL]


async def test_only_the_own_workspace_is_told(api: Api) -> None:
    other = str(uuid4())
    stranger = await api.new_key(other)
    workflow, _ = await deploy(api)
    async with connected(api) as mine:
        await api.client.execute(workflow, {})
        frames = await take(mine, 4)
    cursor = frames[0]["cursor"]
    async with connected(api, f"cursor={cursor}", stranger) as theirs:
        await nothing_more(theirs)
        await api.client.execute(workflow, {})
        await nothing_more(theirs)


async def test_refusals_before_the_upgrade(api: Api) -> None:
    for query, key, status in (
        ("", "lf_wrong-key-wrong-key-wrong-key", 401),
        ("cursor=%21", None, 400),
        ("cursor=AQ", None, 400),
        ("color=red", None, 422),
    ):
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with connected(api, query, key):
                pass
        assert refused.value.response.status_code == status, query
    with pytest.raises(websockets.InvalidStatus) as missing:
        async with websockets.connect(api.url.replace("http:", "ws:") + "/elsewhere"):
            pass
    assert missing.value.response.status_code == 404


async def test_an_expired_cursor_is_said_so(api: Api) -> None:
    workflow, _ = await deploy(api)
    async with connected(api) as connection:
        await api.client.execute(workflow, {})
        cursor = (await take(connection, 1))[0]["cursor"]
        await api.client.execute(workflow, {}, wait=5)
    for partition in range(api.log.partitions):
        end = await api.log.end_offset(Topic.EXECUTIONS, partition)
        await api.log.delete_before(Topic.EXECUTIONS, partition, end)
    async with connected(api, f"cursor={cursor}") as connection:
        with pytest.raises(websockets.ConnectionClosedError) as closed:
            await take(connection, 1)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4410
    assert "cursor" in closed.value.rcvd.reason


async def test_a_slow_client_is_closed_and_comes_back(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "MAX_FRAMES", 3)
    workflow, _ = await deploy(api)
    async with connected(api) as connection:
        await api.client.execute(workflow, {})
        with pytest.raises(websockets.ConnectionClosedError) as closed:
            await take(connection, 4)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4408


async def test_without_the_read_side_clients_come_back_and_the_process_lives(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torture, Kafka, seed 33: a frame needs to know its workflow, and the database was killed just then."""
    workflow, _ = await deploy(api)

    async def away(*_: object) -> None:
        raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")

    async with connected(api, f"workflow_id={workflow}") as connection:
        assert connection.response is not None
        cursor = connection.response.headers["X-LinkFlow-Cursor"]
        with monkeypatch.context() as broken:
            broken.setattr(api.parts.feed._origins, "learn", lambda *_: None)
            broken.setattr(api.parts.feed._origins, "find", away)
            await api.client.execute(workflow, {"a": 1})
            with pytest.raises(websockets.ConnectionClosedError) as closed:
                await take(connection, 1)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012
    async with connected(api, f"workflow_id={workflow}&cursor={cursor}") as again:
        assert [frame["type"] for frame in await take(again, 4)] == ALL
    with monkeypatch.context() as broken:
        broken.setattr(api.parts.authenticator, "principal_of", away)
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with connected(api):
                pass
    assert refused.value.response.status_code == 503


def by_stream(frames: list[dict[str, Any]]) -> dict[str, list[tuple[str, Any]]]:
    streams: dict[str, list[tuple[str, Any]]] = {}
    for frame in frames:
        streams.setdefault(frame["execution_id"], []).append((frame["type"], frame["data"]))
    return streams


async def nothing_more(connection: websockets.ClientConnection) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.15):
            raise AssertionError(f"one frame too many: {await connection.recv()!r}")


@pytest.mark.parametrize("text", ["", "AA", "!", "AQECAw", "A" * 30_000, "AQ" + "gICA" * 10])
def test_cursors_that_are_none(text: str) -> None:
    with pytest.raises(InvalidCursor):
        Cursor.decode(text, 4)


def test_cursors_keep_what_they_say() -> None:
    anchors = (-1, 0, 127, 2**40)
    assert Cursor.decode(encode_cursor(anchors, 2, 300), 4) == Cursor(anchors, 2, 300)


def test_what_delivers_to_subscriptions_is_shown_to_who_names_it() -> None:
    workflow = WORKFLOWS["webhook"]
    assert not Wish().wants("execution.completed", "e", workflow)
    assert Wish(workflow_id=workflow).wants("execution.completed", "e", workflow)
    assert Wish(execution_id="e").wants("execution.completed", "e", workflow)
