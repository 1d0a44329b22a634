"""Processes that come and go under load: a rolling restart of every role (R19), workers that never settle (R18)."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.client import Client
from tests.support.kafka import KafkaMissing, kafka_required
from tests.torture.cluster import CANARIES, TortureCluster, full_names
from tests.torture.load import Load, all_ended, nothing_is_wrong
from tests.torture.test_servers import document

pytestmark = pytest.mark.torture
LOGS = ["postgres", pytest.param("kafka", marks=pytest.mark.kafka)]
STORM_SECONDS = float(os.environ.get("LINKFLOW_TEST_REBALANCE_SECONDS", "20"))
CALM_SECONDS = 6.0
MOST_TRIES = 3
"""Requests until a start is accepted: the first one, and at most two that met a process on its way out."""

LONGEST_STALL = 30.0
"""Seconds without a start: twice the limit of C20 for a worker, for these tests share the machine."""


@contextlib.asynccontextmanager
async def cluster(home: Path, log: str, names: list[str]) -> AsyncIterator[tuple[TortureCluster, list[str]]]:
    """One of these processes, and where its workflow is started, by api."""
    try:
        made = TortureCluster(home, log=log, names=names)
        async with made as running:
            [first, *_] = running.apis.values()
            async with Client(first, running.keys[CANARIES[0]]) as client:
                _, path = await client.deploy(document())
            yield running, [url + path for url in running.apis.values()]
    except KafkaMissing as missing:
        if kafka_required():
            raise
        pytest.skip(f"no Kafka broker of our own: {missing}")


@pytest.mark.parametrize("log", LOGS)
async def test_a_rolling_restart_costs_nobody_a_request(log: str, tmp_path: Path) -> None:
    """Each process in turn is ended (SIGTERM), started, and ready before the next: who asks the other api at once when
    one refuses is accepted, and no answer but 202 and 503 with Retry-After is given."""
    async with cluster(tmp_path, log, full_names(2)) as (running, urls):
        drains: dict[str, float] = {}
        async with Load(urls, callers=6, pause=0.05) as load:
            await asyncio.sleep(1)
            for name in running.processes:
                began = time.monotonic()
                await running.restart(name)
                drains[name] = time.monotonic() - began
                await running.ready()
        answers = load.answers
        await all_ended(running, list(answers.accepted.values()), within=60)
        most = max(answers.tries.values())
        print(
            f"{len(answers.accepted)} accepted, answers {dict(answers.statuses)}, at most {most} tries; "
            f"drained in {', '.join(f'{name} {seconds:.1f} s' for name, seconds in drains.items())}"
        )
        assert not set(answers.statuses) - {0, 202, 503}, answers.statuses
        assert answers.without_retry_after == 0
        assert most <= MOST_TRIES
        await nothing_is_wrong(running, answers.accepted)


@pytest.mark.parametrize("log", LOGS)
async def test_work_goes_on_while_workers_never_settle(log: str, tmp_path: Path) -> None:
    """Every two seconds a worker is killed or comes back."""
    async with cluster(tmp_path, log, ["api-0", "worker-0", "worker-1", "worker-2", "projector-0"]) as (running, urls):
        # Many, for those that met a partition without an owner wait for it: the others' starts go on.
        async with Load(urls, callers=64, pause=1.0) as load:
            await asyncio.sleep(1)
            calm = time.monotonic()
            await asyncio.sleep(CALM_SECONDS)
            began = time.monotonic()
            number = 0
            while time.monotonic() < began + STORM_SECONDS:
                name = f"worker-{number // 2 % 3}"
                (running.release if number % 2 else running.kill)(name)
                number += 1
                await asyncio.sleep(2)
            ended = time.monotonic()
            for each in ("worker-0", "worker-1", "worker-2"):
                running.release(each)
        answers = load.answers
        drained = await all_ended(running, list(answers.accepted.values()), within=90)
        before = answers.between(calm, began) / (began - calm)
        during = answers.between(began, ended) / (ended - began)
        stall = answers.longest_pause(began, ended)
        print(
            f"{before:.0f} starts/s before, {during:.0f}/s while workers came and went ({during / before:.0%} kept), "
            f"longest stall {stall:.1f} s, answers {dict(answers.statuses)}; the rest had ended {drained:.1f} s later"
        )
        assert during > 0
        assert stall < LONGEST_STALL
        await nothing_is_wrong(running, answers.accepted)
