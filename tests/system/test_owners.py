"""Partitions change hands under load (join, leave, pause, return): nothing is lost, doubled or contradicted."""

import asyncio
from collections.abc import Callable

from tests.support.cluster import Roles
from tests.support.history import History
from tests.support.processes import Process
from tests.support.stub import Stub
from tests.system.conftest import FULL
from tests.system.documents import echo, http_step
from tests.system.flow import Stream, all_ended, prove_sound, start_many

PAUSE = 60 if FULL else 12
"""Seconds; longer than the lease and the broker's session time-out, so that others have taken over meanwhile."""
RATE = 40


async def test_workers_join_and_leave_under_load(roles: Callable[..., Roles], log: str) -> None:
    async with roles(log, workers=2) as cluster:
        first, second = cluster.workers
        workflow, path = await cluster.client.deploy(echo())
        stream = Stream(cluster.client, path, rate=RATE)
        await stream.accepted_at_least(RATE)
        assert await second.terminate() == 0, second.tail()
        await stream.accepted_at_least(3 * RATE)
        second.start()
        await stream.accepted_at_least(5 * RATE)
        first.kill()
        await stream.accepted_at_least(7 * RATE)
        first.start()
        await stream.accepted_at_least(9 * RATE)
        await _all_sound(cluster, workflow, stream, within=30)


async def test_a_paused_worker_comes_back(roles: Callable[..., Roles], log: str, stub: Stub) -> None:
    async with roles(log, workers=2) as cluster:
        paused, _ = cluster.workers
        workflow, path = await cluster.client.deploy(http_step(f"{stub.url}/delay/300"))
        stream = Stream(cluster.client, path, rate=RATE)
        await stream.accepted_at_least(RATE)
        paused.pause()
        try:
            await asyncio.sleep(PAUSE)  # the pause itself is what is tested
        finally:
            paused.resume()
        await stream.accepted_at_least(len(stream.accepted) + 2 * RATE)
        if not paused.running:  # it may have ended over a lost partition: its supervisor would start it again
            paused.start()
        history = await _all_sound(cluster, workflow, stream, within=40)
        history.check_calls(stub.requests(), stream.accepted)


async def test_a_drained_worker_leaves_nothing_behind(roles: Callable[..., Roles], log: str, stub: Stub) -> None:
    async with roles(log) as cluster:
        [worker] = cluster.workers
        workflow, path = await cluster.client.deploy(http_step(f"{stub.url}/delay/1000"))
        accepted = await start_many(cluster.client, path, 100)
        stream = Stream(cluster.client, path, rate=RATE)
        await stub.received(100)
        code = await worker.terminate()
        assert code == 0, worker.tail()
        worker.start()
        ids = accepted | await stream.close()
        assert not stream.refused, stream.refused[:3]
        ended = await all_ended(cluster.client, workflow, ids.values(), within=30)
        assert ended == {"completed": len(ids)}
        history = await prove_sound(cluster, ids.values())
        history.check_calls(stub.requests(), ids)


async def test_random_kills_under_load(roles: Callable[..., Roles], log: str) -> None:
    """Crashes at any point, so also between a commit and the group's offset: every input is answered once."""
    async with roles(log, workers=2) as cluster:
        workflow, path = await cluster.client.deploy(echo())
        stream = Stream(cluster.client, path, rate=2 * RATE)
        for number in range(20 if FULL else 4):
            await stream.accepted_at_least(len(stream.accepted) + RATE)
            _kill_and_start(cluster.workers[number % 2])
        await _all_sound(cluster, workflow, stream, within=40)


def _kill_and_start(worker: Process) -> None:
    worker.kill()
    worker.start()


async def _all_sound(cluster: Roles, workflow: str, stream: Stream, *, within: float) -> History:
    accepted = await stream.close()
    assert not stream.refused, stream.refused[:3]
    ended = await all_ended(cluster.client, workflow, accepted.values(), within=within)
    assert ended == {"completed": len(accepted)}
    return await prove_sound(cluster, accepted.values())
