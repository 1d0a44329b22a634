"""Three times the load that can be sustained: what is taken is done, the rest is refused politely, memory stays.

    python -m tests.torture.overload --log postgres|kafka --mix light|dear --seconds 60 [--processors SHARE]

Who offers three times as much as a machine can do needs a part of the machine: the cluster with its servers gets a
share of a processor by a control group (as root), the rest is the generator's.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from benchmarks.load import Load, request
from tests.support.client import Client
from tests.torture.cluster import CANARIES, TortureCluster
from tests.torture.cpu import can_limit
from tests.torture.evidence import percentile
from tests.torture.observers import resources

NAMES = ("api-0", "worker-0", "projector-0")
MEASURE_SECONDS = 6.0
FACTOR = 3
LEAST_FACTOR = 2.5

MOST_UNDECIDED = {"dear": 40, "light": 80}
"""Of one partition, by mix: some seconds of work each for the share of a processor that the cluster has."""

PROCESSORS = 0.15

NO_ANSWER_SECONDS = 30.0
CONNECTIONS = 400
LOOKED_AT = 5
"""Requests a second whose refusals are looked at closely."""
LOOK_SECONDS = 0.2
QUIET_LOOKS = 5
"""So often nothing must have moved before everything is done."""

RECOVERY_LIMIT = 30.0
MOST_GROWTH_MB = 150.0


@dataclass(slots=True)
class Overload:
    """Rates a second, times in seconds, memory in MB (all processes together)."""

    sustainable: float = 0.0
    offered: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    impolite: int = 0
    broken: dict[str, int] = field(default_factory=dict)
    """Connections that were lost, by why."""
    accepted: int = 0
    completed: int = 0
    memory_before: float = 0.0
    memory_most: float = 0.0
    calm: float = 0.0
    recovered: float | None = None

    @property
    def weak(self) -> bool:
        """The generator was too slow for this to be three times as much: the run says nothing."""
        return self.offered < LEAST_FACTOR * self.sustainable

    def problems(self) -> list[str]:
        wrong = []
        if self.completed != self.accepted:
            wrong.append(f"{self.accepted} were accepted, {self.completed} completed")
        if self.broken:
            wrong.append(f"connections were lost: {self.broken}")
        if self.impolite:
            wrong.append(f"{self.impolite} refusals without Retry-After")
        if set(self.statuses) - {202, 429, 503}:
            wrong.append(f"answers {dict(self.statuses)}")
        if not self.statuses.keys() & {429, 503}:
            wrong.append(f"nothing was refused at {self.offered:.0f}/s: this was no overload")
        if self.weak:
            wrong.append(f"the generator gave {self.offered:.0f}/s, not {FACTOR} times {self.sustainable:.0f}/s")
        if self.memory_most > self.memory_before + MOST_GROWTH_MB:
            wrong.append(f"memory went from {self.memory_before:.0f} to {self.memory_most:.0f} MB")
        if self.recovered is None:
            wrong.append(f"latency had not recovered {RECOVERY_LIMIT:g} s after the load")
        return wrong

    def __str__(self) -> str:
        recovered = "never" if self.recovered is None else f"after {self.recovered:.1f} s"
        return (
            f"sustainable {self.sustainable:.0f}/s, offered {self.offered:.0f}/s: {dict(self.statuses)}; "
            f"{self.completed} of {self.accepted} accepted completed; memory {self.memory_before:.0f} → at most "
            f"{self.memory_most:.0f} MB; latency (calm {self.calm * 1000:.0f} ms) recovered {recovered}"
        )


async def overload(home: Path, log: str, mix: str, seconds: float, processors: float | None) -> Overload:
    settings = {"LINKFLOW_MAX_UNDECIDED": str(MOST_UNDECIDED[mix])}
    async with TortureCluster(home, log=log, names=NAMES, settings=settings, processors=processors) as cluster:
        [url] = cluster.apis.values()
        async with Client(url, cluster.keys[CANARIES[0]]) as client:
            _, loaded = await client.deploy(_dear() if mix == "dear" else _light())
            _, probed = await client.deploy(_probed())
        found = Overload()
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=500)) as session:
            found.calm = percentile([await _probe(session, url + probed) for _ in range(20)], 0.95)
            await _sustainable(cluster, session, url + loaded)  # warms up
            found.sustainable = await _sustainable(cluster, session, url + loaded)
            found.memory_before = _memory(cluster)
            before = await _completed(cluster)
            watching = asyncio.create_task(_watch_memory(cluster, found))
            await _offer(session, url + loaded, found, seconds)
            found.recovered = await _recovery(session, url + probed, found.calm)
            await _drained(cluster)
            watching.cancel()
            found.completed = await _completed(cluster) - before
        return found


async def _completed(cluster: TortureCluster) -> int:
    connection = await cluster.connect()
    try:
        count: int = await connection.fetchval(
            "SELECT count(*) FROM read.executions e JOIN read.workflows w ON w.id = e.workflow_id"
            " WHERE w.name = 'loaded' AND e.status = 'completed'"
        )
        return count
    finally:
        await connection.close()


async def _sustainable(cluster: TortureCluster, session: aiohttp.ClientSession, url: str) -> float:
    """Completed executions a second with always some waiting, the draining included."""
    began, accepted = time.monotonic(), 0

    async def caller() -> None:
        nonlocal accepted
        while time.monotonic() - began < MEASURE_SECONDS:
            async with session.post(url, json={}) as answer:
                accepted += answer.status == 202
            if answer.status != 202:
                await asyncio.sleep(0.1)

    await asyncio.gather(*(caller() for _ in range(32)))
    await _drained(cluster)
    return accepted / (time.monotonic() - began - QUIET_LOOKS * LOOK_SECONDS)


async def _offer(session: aiohttp.ClientSession, url: str, found: Overload, seconds: float) -> None:
    """Open loop: requests leave when they are due, whatever came of the others. A few of them go by a client that looks
    at the headers of refusals, too."""
    address = urlsplit(url)
    assert address.port is not None
    hook = request("POST", address.path, address.port, b"{}")
    rate = FACTOR * found.sustainable - LOOKED_AT
    load = Load(address.port, [hook], connections=CONNECTIONS, seconds=seconds, rate=rate)

    async def look(number: int) -> None:
        await asyncio.sleep(number / LOOKED_AT)
        async with session.post(url, json={}) as answer:
            await answer.read()
            found.statuses[answer.status] += 1
            found.impolite += answer.status in {429, 503} and "retry-after" not in answer.headers

    async with asyncio.timeout(seconds + NO_ANSWER_SECONDS):
        answers, *_ = await asyncio.gather(load.run(), *(look(number) for number in range(int(LOOKED_AT * seconds))))
    found.statuses.update(answers.statuses)
    found.broken = dict(answers.errors)
    found.accepted = found.statuses[202]
    found.offered = sum(found.statuses.values()) / seconds


async def _probe(session: aiohttp.ClientSession, url: str) -> float:
    """Seconds from a request to its workflow's answer; infinite for a refusal."""
    began = time.monotonic()
    async with session.post(url, json={}) as answer:
        await answer.read()
        return time.monotonic() - began if answer.status == 200 else float("inf")


async def _recovery(session: aiohttp.ClientSession, url: str, calm: float) -> float | None:
    """Seconds until four probes in a row are nearly as fast as before."""
    began, good = time.monotonic(), 0
    while time.monotonic() - began < RECOVERY_LIMIT:
        good = good + 1 if await _probe(session, url) <= max(0.25, 3 * calm) else 0
        if good == 4:
            return time.monotonic() - began
        await asyncio.sleep(0.1)
    return None


async def _drained(cluster: TortureCluster) -> None:
    """Wait until every input is decided and every execution in the rows has ended."""
    connection = await cluster.connect()
    try:
        quiet = 0
        last = None
        async with asyncio.timeout(180):
            while quiet < QUIET_LOOKS:
                row = await connection.fetchrow(
                    "SELECT count(*), count(*) FILTER (WHERE completed_at IS NULL),"
                    " (SELECT sum(answered) FROM read.positions) FROM read.executions"
                )
                assert row is not None
                quiet = quiet + 1 if tuple(row) == last and row[1] == 0 else 0
                last = tuple(row)
                await asyncio.sleep(LOOK_SECONDS)
    finally:
        await connection.close()


def _memory(cluster: TortureCluster) -> float:
    return sum(use["rss"] for use in resources(cluster).values())


async def _watch_memory(cluster: TortureCluster, found: Overload) -> None:
    while True:
        found.memory_most = max(found.memory_most, _memory(cluster))
        await asyncio.sleep(0.5)


def _hook(respond: str) -> dict[str, Any]:
    return {"id": "hook", "type": "webhook", "parameters": {"method": "POST", "respond": respond}}


def _chain(name: str, nodes: list[dict[str, Any]]) -> dict[str, Any]:
    edges = [{"from": one["id"], "to": other["id"]} for one, other in pairwise(nodes)]
    return {"name": name, "nodes": nodes, "connections": edges}


def _dear() -> dict[str, Any]:
    """Some milliseconds of deciding."""
    numbers = {"list": "{{ Array.from({length: 400}, (_, i) => ({i})) }}"}
    return _chain(
        "loaded",
        [
            _hook("at_once"),
            {"id": "make", "type": "set", "parameters": {"fields": numbers, "keep": False}},
            {"id": "split", "type": "split_out", "parameters": {"field": "list"}},
            {"id": "square", "type": "set", "parameters": {"fields": {"square": "{{ $json.i * $json.i }}"}}},
            {"id": "even", "type": "filter", "parameters": {"condition": "{{ $json.square % 2 === 0 }}"}},
            {"id": "all", "type": "aggregate", "parameters": {"field": "square", "into": "squares"}},
        ],
    )


def _light() -> dict[str, Any]:
    """Five nodes without an effect: what the benchmark W1 calls a workflow."""
    steps = [
        {"id": f"s{number}", "type": "set", "parameters": {"fields": {f"n{number}": f"{{{{ {number} + 1 }}}}"}}}
        for number in range(4)
    ]
    return _chain("loaded", [_hook("at_once"), *steps])


def _probed() -> dict[str, Any]:
    return _chain("probed", [_hook("when_done"), {"id": "done", "type": "noop"}])


def main() -> None:
    parser = argparse.ArgumentParser(description="three times the sustainable load")
    parser.add_argument("--log", choices=("postgres", "kafka"), default="postgres")
    parser.add_argument("--mix", choices=sorted(MOST_UNDECIDED), default="light")
    parser.add_argument("--processors", type=float, default=PROCESSORS if can_limit() else None)
    parser.add_argument("--seconds", type=float, default=60)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lf-overload-") as home:
        found = asyncio.run(overload(Path(home), asked.log, asked.mix, asked.seconds, asked.processors))
    print(found)
    for problem in found.problems():
        print(f"- {problem}")
    sys.exit(1 if found.problems() else 0)


if __name__ == "__main__":
    main()
