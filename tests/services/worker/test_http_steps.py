"""`http` in whole executions: files from step to step, lists as items, what is refused; on the log in memory."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl

import pytest

from infra.egress.guard import EgressGuard
from tests.services.worker.test_running import DONE, begin, chain, events, outputs
from tests.support.raw_http import Asked, RawServer, answer, serve_raw
from tests.support.workers import Cluster

LARGE = bytes(range(256)) * 1_000


async def serve(asked: Asked, writer: asyncio.StreamWriter) -> None:
    path, _, query = asked.target.partition("?")
    match path:
        case "/file":
            writer.write(answer(LARGE, content_type="image/png", content_disposition='attachment; filename="scan.png"'))
        case "/list":
            page = int(dict(parse_qsl(query)).get("page", "1"))
            things = [{"n": 10 * page}, {"n": 10 * page + 1}]
            writer.write(answer(json.dumps({"things": things, "next": page + 1 if page < 3 else None}).encode()))
        case "/busy" if len(refused) < 2:
            refused.append(asked)
            writer.write(answer(b"{}", "429 Busy", retry_after="0"))
        case _:
            writer.write(answer(b'{"ok": true}'))


refused: list[Asked] = []


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    refused.clear()
    async with serve_raw(serve) as served:
        yield served


def http(name: str, **parameters: Any) -> dict[str, Any]:
    return {"id": name, "type": "http", "parameters": parameters}


async def test_a_file_goes_from_step_to_step(server: RawServer) -> None:
    """Got, carried through a set (stored outside the records: it has 256,000 bytes), sent as a form and as it is."""
    get = http("get", url=server.url + "/file", binary_name="scan")
    keep = {"id": "keep", "type": "set", "parameters": {"fields": {"title": "mine"}}}
    form = http(
        "form",
        method="POST",
        url=server.url + "/form",
        body_kind="multipart",
        body={"title": "{{ $json.title }}"},
        files=[{"field": "upload", "binary": "scan"}],
    )
    again = http("again", url=server.url + "/file")
    put = http("put", method="PUT", url=server.url + "/raw", body_kind="binary")
    async with Cluster() as cluster:
        await cluster.start("a")
        stream = await begin(cluster, chain(get, keep, form, again, put))
        assert (await cluster.closed(stream, 20))[-1] == "execution.completed"
        assert cluster.answers(stream)
    sent = {asked.target: asked for asked in server.asked}
    assert LARGE in sent["/form"].body
    assert b'name="upload"; filename="scan.png"\r\nContent-Type: image/png' in sent["/form"].body
    assert b'name="title"\r\n\r\nmine' in sent["/form"].body
    assert sent["/raw"].body == LARGE
    assert sent["/raw"].headers["content-type"] == "image/png"


async def test_a_list_becomes_items(server: RawServer) -> None:
    read = http(
        "read",
        url=server.url + "/list",
        paginate="cursor",
        page_parameter="page",
        next_at="next",
        items_at="things",
    )
    async with Cluster() as cluster:
        await cluster.start("a")
        stream = await begin(cluster, chain(read, DONE))
        assert (await cluster.closed(stream))[-1] == "execution.completed"
        assert [item["json"]["n"] for item in outputs(cluster, stream, "done")[0]["main"]] == [10, 11, 20, 21, 30, 31]
    assert len(server.asked) == 3


async def test_batches_keep_their_distance(server: RawServer) -> None:
    many = {"id": "many", "type": "set", "parameters": {"fields": {"xs": list(range(6))}}}
    split = {"id": "split", "type": "split_out", "parameters": {"field": "xs"}}
    call = http("call", url=server.url + "/x", batch_size=2, batch_interval_seconds=0.2)
    async with Cluster() as cluster:
        await cluster.start("a")
        loop = asyncio.get_running_loop()
        begun = loop.time()
        stream = await begin(cluster, chain(many, split, call))
        assert (await cluster.closed(stream))[-1] == "execution.completed"
        assert loop.time() - begun >= 0.4
    assert len(server.asked) == 6


async def test_a_server_that_is_busy_is_asked_again(server: RawServer) -> None:
    retry = {"attempts": 3, "delay_seconds": 0.05, "backoff": "fixed"}
    call = {**http("call", url=server.url + "/busy"), "retry": retry}
    async with Cluster() as cluster:
        await cluster.start("a")
        stream = await begin(cluster, chain(call, DONE))
        assert (await cluster.closed(stream))[-1] == "execution.completed"
    assert len(server.asked) == 3


async def test_what_the_guard_refuses_fails_once_and_says_how_to_open_it(server: RawServer) -> None:
    retry = {"attempts": 3, "delay_seconds": 0.05, "backoff": "fixed"}
    async with Cluster(guard=EgressGuard([])) as cluster:
        await cluster.start("a")
        stream = await begin(cluster, chain({**http("call", url=server.url + "/x"), "retry": retry}, DONE))
        types = await cluster.closed(stream)
        assert types[-1] == "execution.failed"
        assert types.count("execution.node_attempted") == 1
        error = events(cluster, stream)[-1].error
        assert error.code == "egress_refused"
        assert "LINKFLOW_EGRESS_ALLOW=127.0.0.1" in error.message
    assert server.connections == 0
