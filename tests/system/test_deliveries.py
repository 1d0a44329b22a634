"""Deliveries through an inbox while processes are killed: one execution a key, nothing that was held is lost."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from tests.support.client import ApiError, Client, Json
from tests.support.cluster import Roles
from tests.support.processes import eventually
from tests.system.conftest import LOGS
from tests.system.documents import Document, echo
from tests.system.flow import all_ended, prove_sound

KEYS = 40
COPIES = 3
AWAY = (aiohttp.ClientError, OSError, asyncio.TimeoutError)


def gated(**parameters: Any) -> Document:
    document = echo()
    document["nodes"][0]["parameters"] |= parameters
    return document


async def deliver(client: Client, path: str, body: Json, name: str) -> Json:
    """Until it is answered, as senders do: with the same Idempotency-Key, whatever dies meanwhile."""
    answer: Json = None

    async def sent() -> bool:
        nonlocal answer
        try:
            status, _, answer = await client.send("POST", path, json=body, headers={"Idempotency-Key": name})
        except AWAY:
            return False
        assert status in {200, 202, 503}, answer
        return status < 300

    await eventually(sent, lambda: f"{name} has no answer: {answer}", within=60, every=0.2)
    return answer


async def deliveries(client: Client, workflow: str) -> list[Json]:
    found: list[Json] = []
    params = {"limit": "200"}
    while True:
        page = await client.ask("GET", f"/api/v1/workflows/{workflow}/deliveries", params=params)
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        params["cursor"] = page["next_cursor"]


async def listed(client: Client, workflow: str, wanted: Callable[[Counter[str]], bool]) -> list[Json]:
    """All deliveries as soon as their statuses are as wanted."""
    found: list[Json] = []

    async def there() -> bool:
        nonlocal found
        try:
            found = await deliveries(client, workflow)
        except (ApiError, *AWAY):
            return False
        return wanted(Counter(each["status"] for each in found))

    await eventually(there, lambda: f"{Counter(each['status'] for each in found)}", within=60, every=0.1)
    return found


@pytest.mark.parametrize("log", LOGS[:1], indirect=True)
async def test_one_execution_a_key_while_worker_and_api_are_killed(roles: Callable[..., Roles], log: str) -> None:
    async with roles(log) as cluster:
        client = cluster.client
        rule = {"key": "{{ $json.body.key }}", "ttl_seconds": 3600}
        workflow, path = await client.deploy(gated(dedup=rule))
        answers: dict[str, Json] = {}

        async def one(number: int, copy: int) -> None:
            name = f"{number}-{copy}"
            answers[name] = await deliver(client, path, {"key": f"k{number}", "copy": copy}, name)

        async def answered(number: int) -> None:
            async def enough() -> bool:
                return len(answers) >= number

            await eventually(enough, lambda: f"{len(answers)} answers", within=60)

        async def storm() -> None:
            for process in (cluster.workers[0], cluster.processes["api"], cluster.workers[0]):
                await answered(len(answers) + KEYS * COPIES // 5)
                process.kill()
                process.start()

        gate = asyncio.Semaphore(8)

        async def gently(work: Awaitable[None]) -> None:
            async with gate:
                await work

        storming = asyncio.create_task(storm())
        await asyncio.gather(*(gently(one(number, copy)) for copy in range(COPIES) for number in range(KEYS)))
        await storming
        found = await listed(client, workflow, lambda count: count.total() == KEYS * COPIES)
        assert Counter(each["status"] for each in found) == {"accepted": KEYS, "duplicate": KEYS * (COPIES - 1)}
        started = {each["execution_id"] for each in found if each["status"] == "accepted"}
        assert {answer["execution_id"] for answer in answers.values()} == started
        assert await all_ended(client, workflow, started, within=30) == {"completed": KEYS}
        statuses = await client.statuses(workflow)
        assert statuses.keys() == started
        outputs = [(await client.execution(each))["output"][0]["json"]["key"] for each in started]
        assert sorted(outputs) == sorted(f"k{number}" for number in range(KEYS)), "one a key"
        await prove_sound(cluster, started)


@pytest.mark.parametrize("log", LOGS[:1], indirect=True)
async def test_what_is_held_outlives_everything(roles: Callable[..., Roles], log: str) -> None:
    async with roles(log) as cluster:
        client = cluster.client
        delayed, line = await client.deploy(gated(throttle={"limit": 2, "period_seconds": 2, "excess": "delay"}))
        quiet, window = await client.deploy(gated(debounce={"seconds": 6, "key": "{{ $json.body.of }}"}))
        for number in range(7):
            await deliver(client, line, {"key": f"n{number}"}, f"n{number}")
        for number in range(6):
            await deliver(client, window, {"key": f"w{number}", "of": number % 2}, f"w{number}")
        cluster.kill()
        cluster.start_all()
        await cluster.ready()
        found = await listed(client, delayed, lambda count: count == {"accepted": 7})
        began = [await client.execution(each["execution_id"]) for each in reversed(found)]
        began.sort(key=lambda execution: str(execution["queued_at"]))  # two of them begin in one moment
        assert [each["input"][0]["json"]["body"]["key"] for each in began] == [f"n{number}" for number in range(7)]
        assert await all_ended(client, delayed, {each["id"] for each in began}, within=20) == {"completed": 7}
        found = await listed(client, quiet, lambda count: count == {"accepted": 2, "superseded": 4})
        ended = [each["execution_id"] for each in found if each["status"] == "accepted"]
        assert await all_ended(client, quiet, ended, within=20) == {"completed": 2}
        outputs = [(await client.execution(each))["output"][0]["json"]["key"] for each in ended]
        assert sorted(outputs) == ["w4", "w5"]
        code, out, errors = await cluster.cli("deliveries", "list", quiet)
        assert code == 0, errors
        assert out.count("superseded") == 4
        code, out, errors = await cluster.cli("deliveries", "redeliver", found[-1]["id"])
        assert code == 0, errors
        assert await all_ended(client, quiet, {out.strip()}, within=20) == {"completed": 1}
        await prove_sound(cluster, [*ended, *(each["id"] for each in began), out.strip()])
