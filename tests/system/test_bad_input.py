"""What is wrong gets a clear answer or a dead letter, and everything behind it goes on."""

import asyncio
import json
import random
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from infra.log import open_log
from infra.log.port import Log, NewRecord, Topic
from schemas.envelope import decode_dead_letter, partition_of
from tests.support.client import ApiError, Client
from tests.support.cluster import Roles
from tests.support.history import read_log
from tests.system.documents import echo
from tests.system.flow import all_ended, prove_sound, start_many

UNKNOWN = str(uuid.UUID(int=7))


def _document(**changes: Any) -> dict[str, Any]:
    return echo() | changes


def _nodes(*nodes: dict[str, Any]) -> dict[str, Any]:
    return {"nodes": [{"id": "hook", "type": "manual"}, *nodes]}


DOCUMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "no nodes": ({"name": "x"}, "nodes"),
    "wrong type": (_document(nodes="all of them"), "nodes"),
    "unknown field": (_document(colour="red"), "colour"),
    "unknown node type": (_document(**_nodes({"id": "out", "type": "teleport"})), "teleport"),
    "dangling connection": (_document(connections=[{"from": "hook", "to": "nowhere"}]), "nowhere"),
    "doubled id": (_document(**_nodes({"id": "hook", "type": "noop"}), connections=[]), "hook"),
    "cycle": (
        _document(
            **_nodes({"id": "a", "type": "noop"}, {"id": "b", "type": "noop"}),
            connections=[{"from": "hook", "to": "a"}, {"from": "a", "to": "b"}, {"from": "b", "to": "a"}],
        ),
        "b",
    ),
    "expression that does not parse": (
        _document(**_nodes({"id": "out", "type": "set", "parameters": {"fields": {"x": "{{ 1 + }}"}}})),
        "out",
    ),
    "unknown parameter": (_document(**_nodes({"id": "out", "type": "limit", "parameters": {"cuont": 1}})), "cuont"),
}


@pytest.mark.parametrize("name", DOCUMENTS)
async def test_bad_documents_are_refused_with_their_place(client: Client, name: str) -> None:
    document, named = DOCUMENTS[name]
    status, headers, problem = await client.send("POST", "/api/v1/workflows", json=document)
    assert status == 422
    assert headers["content-type"].startswith("application/problem+json")
    assert problem["errors"]
    assert named in json.dumps(problem["errors"])
    assert {"type", "title", "status", "code", "request_id"} <= problem.keys()


async def test_bad_requests_are_refused(client: Client) -> None:
    workflow, path = await client.deploy(echo())
    execute = f"/api/v1/workflows/{workflow}/execute"
    cases: list[tuple[str, str, bytes, int]] = [
        ("POST", "/api/v1/workflows", b'{"name": ', 400),
        ("POST", "/api/v1/workflows", b"\xff\xfe\x00", 400),
        ("POST", "/api/v1/workflows", b"[" * 100_000, 400),
        ("POST", path, b'{"key": ', 400),
        ("POST", execute, b'{"input": 5}', 422),
        ("POST", execute, b'{"inputs": {}}', 422),
        ("POST", f"/api/v1/workflows/{UNKNOWN}/execute", b'{"input": {}}', 404),
        ("GET", f"/api/v1/workflows/{UNKNOWN}", b"", 404),
        ("GET", f"/api/v1/executions/{UNKNOWN}", b"", 404),
        ("GET", "/api/v1/executions/not-an-id", b"", 404),
        ("GET", "/api/v1/executions?limit=many", b"", 422),
        ("GET", "/api/v1/executions?cursor=garbage", b"", 422),
        ("POST", "/webhooks/nobody-has-this-endpoint", b"{}", 404),
        ("GET", path, b"", 405),
        ("DELETE", "/api/v1/executions", b"", 405),
        ("GET", "/api/v1/nothing-here", b"", 404),
    ]
    wrong = []
    for method, target, body, expected in cases:
        json_body = {"Content-Type": "application/json"}
        status, headers, answer = await client.send(method, target, data=body or None, headers=json_body)
        problem = headers.get("content-type", "").startswith("application/problem+json")
        if status not in {expected, 422 if expected == 400 else expected} or not problem or "Traceback" in str(answer):
            wrong.append((method, target, body[:20], expected, status, answer))
    assert not wrong, wrong
    async with Client(client.url, "lf_nobody-has-this-key-here-at-all-0123456789") as stranger:
        with pytest.raises(ApiError) as refused:
            await stranger.execution(UNKNOWN)
        assert refused.value.status == 401


@pytest.mark.parametrize("how", ["announced", "chunked"])
async def test_a_body_of_ten_megabytes_is_refused(client: Client, how: str) -> None:
    workflow, path = await client.deploy(echo())
    host, port = client.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    length = "Transfer-Encoding: chunked" if how == "chunked" else "Content-Length: 10000000"
    writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{length}\r\n\r\n".encode())
    chunk = b'"' + b"a" * 99_998 + b'"'
    answer = asyncio.create_task(reader.readuntil(b"\r\n"))
    try:
        for _ in range(100):
            if answer.done():
                break
            writer.write(b"%x\r\n%s\r\n" % (len(chunk), chunk) if how == "chunked" else chunk)
            await writer.drain()
    except ConnectionError:
        pass  # it may close before it has read everything
    assert (await asyncio.wait_for(answer, 10)).split()[1] == b"413"
    writer.close()
    assert await client.statuses(workflow) == {}
    assert (await client.send("POST", path, json={"key": "fine"}))[0] == 202


async def test_garbage_in_the_topics(roles: Callable[..., Roles], log: str) -> None:
    async with roles(log) as cluster:
        workflow, path = await cluster.client.deploy(echo())
        before = await start_many(cluster.client, path, 20)
        port = await open_log(
            cluster.log, database_url=cluster.database_url, prefix=cluster.settings.get("LINKFLOW_LOG_PREFIX", "")
        )
        try:
            put = await _put_garbage(port)
            after = await start_many(cluster.client, path, 64, prefix="after")  # some in every partition
            ids = [*before.values(), *after.values()]
            assert await all_ended(cluster.client, workflow, ids, within=30) == {"completed": 84}
            for _ in range(16):
                await cluster.client.deploy(echo())

            history = await prove_sound(cluster, ids)
            unanswered = put - history.answers.keys()
            assert not unanswered, f"no answer to {sorted(unanswered)[:5]}"
            letters = [decode_dead_letter(record.value) for record in await read_log(port, Topic.DEAD_LETTERS)]
            assert all(letter.code and letter.reason for letter in letters)
            dead = {(letter.topic, letter.partition, letter.offset) for letter in letters}
            refused = {
                place
                for place, outcomes in history.answers.items()
                if all(outcome.kind == "rejected" and outcome.code for outcome in outcomes)
            }
            taken = put - dead - refused
            assert not taken, f"neither refused nor a dead letter: {sorted(taken)[:5]}"
        finally:
            await port.close()


async def _put_garbage(log: Log) -> set[tuple[str, int, int]]:
    """Garbage into every partition; returns the places of what must become a dead letter (inputs, not commits)."""
    writer = await log.writer()
    places: set[tuple[str, int, int]] = set()
    chance = random.Random(11)
    try:
        for partition in range(log.partitions):
            stream = _stream_in(partition, log.partitions)
            for topic in (Topic.COMMANDS, Topic.EXECUTION_COMMANDS):
                records = _garbage(
                    stream if topic is Topic.EXECUTION_COMMANDS else stream.replace("execution", "workflow")
                )
                records.append(NewRecord(chance.randbytes(200)))
                first = await writer.append(topic, partition, records)
                places |= {(str(topic), partition, first + number) for number in range(len(records))}
            for topic in (Topic.EVENTS, Topic.EXECUTIONS):
                junk = [
                    NewRecord(chance.randbytes(100)),
                    NewRecord(b"{}", (("k", b"m"),)),
                    NewRecord(b"", (("k", b"?"),)),
                ]
                await writer.append(topic, partition, junk)
    finally:
        await writer.close()
    return places


def _stream_in(partition: int, partitions: int) -> str:
    number = 0
    while partition_of(stream := f"execution-{uuid.UUID(int=number)}", partitions) != partition:
        number += 1
    return stream


def _garbage(stream: str) -> list[NewRecord]:
    """Records that look like commands more and more."""
    workspace = str(uuid.UUID(int=1))
    command_id = str(uuid.uuid4())
    good: dict[str, Any] = {
        "id": command_id,
        "type": "execution.cancel" if stream.startswith("execution") else "workflow.archive",
        "stream": stream,
        "workspace": workspace,
        "made": int(time.time() * 1000),
        "data": {},
    }
    headers = (("k", b"c"), ("i", command_id.encode()), ("w", workspace.encode()), ("s", stream.encode()))
    broken: list[dict[str, Any]] = [
        good | {"type": "execution.fly"},
        good | {"tv": 99},
        good | {"data": [1, 2]},
        good | {"data": None, "made": "yesterday"},
        {"id": 5},
    ]
    records = [NewRecord(json.dumps(each).encode(), headers, stream.encode()) for each in broken]
    records.append(NewRecord(b'{"id": "cut off', headers))
    records.append(NewRecord(b"null", headers))
    records.append(NewRecord(json.dumps(good | {"type": "execution.fly"}).encode()))
    records.append(NewRecord(b"", ()))
    return records


async def test_many_large_bodies_at_once(client: Client) -> None:
    """Together far over what one append takes: they are good input, however many wait for the same owner."""
    workflow, path = await client.deploy(echo())
    text = "x" * 60_000

    async def one(number: int) -> str:
        answer = await client.ask("POST", path, json={"key": f"{number}", "text": text})
        return str(answer["execution_id"])

    ids = await asyncio.gather(*(one(number) for number in range(400)))
    assert await all_ended(client, workflow, ids, within=40) == {"completed": 400}
