"""One run: P0 baseline, P1 storm, P2 heal, P3 drain, P4 audit."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg

from tests.support.client import Client
from tests.torture import clockwork
from tests.torture.bad_inputs import BadInputs
from tests.torture.checkers import check
from tests.torture.cluster import PARTITIONS, TortureCluster, full_names
from tests.torture.driver import Driver, Place
from tests.torture.evidence import Evidence, Verdict
from tests.torture.facts import understand
from tests.torture.journal import Journal, read_journal
from tests.torture.listener import Listener
from tests.torture.nemesis import Nemesis
from tests.torture.observers import poll, resources, sample, waiting_us, watch_lag, watch_usage
from tests.torture.plan import Plan
from tests.torture.raw_log import RawRecord, keep_records, read_kafka, read_postgres
from tests.torture.sink import Sink
from tests.torture.workflows import CHILD, KINDS, document, secret_of, with_credential

KEEP_ALIVE = 32.0
TABLES = (  # dead letters are reviewed, and so change, while the rest is audited: `verify` looks after those
    "workspaces",
    "api_keys",
    "workflows",
    "workflow_versions",
    "webhooks",
    "credentials",
    "schedules",
    "schedule_firings",
    "schedule_backfills",
    "webhook_deliveries",
    "event_subscriptions",
    "event_deliveries",
    "executions",
    "node_executions",
    "usage_hours",
    "blob_uses",
)


async def run(plan: Plan, home: Path) -> tuple[Evidence, list[Verdict]]:
    """Run `plan` with its files in `home`; returns what it left behind and what the checkers say."""
    history, faults = Journal(home / "history.jsonl", sync=plan.sync), Journal(home / "faults.jsonl")
    polls, samples = Journal(home / "polls.jsonl", sync=False), Journal(home / "samples.jsonl", sync=False)
    lags: list[float] = []
    usage, letters = Journal(home / "usage.jsonl", sync=False), Journal(home / "letters.jsonl")
    sink = Sink(home / "sink.jsonl", sync=plan.sync)
    try:
        names = full_names(plan.workers)
        async with TortureCluster(
            home, log=plan.log, names=names, note=faults.write, clocks=not plan.kills_only, processors=plan.processors
        ) as cluster:
            places = await deploy_all(plan, cluster, sink.url)
            async with Driver(plan, cluster.apis, places, history) as driver:
                listeners = {c: Listener(cluster.apis, key, f"{plan.seed} {c}") for c, key in cluster.keys.items()}
                watching = [
                    asyncio.create_task(poll(driver, cluster.apis, cluster.keys, polls, plan.seed)),
                    asyncio.create_task(sample(cluster, samples)),
                    asyncio.create_task(watch_usage(cluster, usage)),
                    asyncio.create_task(watch_lag(lags)),
                    *(asyncio.create_task(each.run()) for each in listeners.values()),
                ]
                with _ended(watching):
                    await asyncio.gather(*(each.ready.wait() for each in listeners.values()))
                    wound = await clockwork.wind(plan, min(cluster.apis.values()), cluster.keys)
                    bad = BadInputs(plan, cluster, places, letters)
                    evidence = await _phases(plan, cluster, driver, faults, wound, bad)
                    await asyncio.gather(*(each.quiet() for each in listeners.values()))
                evidence.lags = lags
                evidence.heard = {canary: each.heard for canary, each in listeners.items()}
            await _audit(evidence, cluster, sink, home)
    finally:
        sink.close()
        for journal in (history, faults, polls, samples, usage, letters):
            journal.close()
    return evidence, check(evidence)


@contextlib.contextmanager
def _ended(tasks: list["asyncio.Task[None]"]) -> Iterator[None]:
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


async def deploy_all(plan: Plan, cluster: TortureCluster, sink: str) -> list[Place]:
    """Every kind of workflow in both workspaces."""
    places: list[Place] = []
    [url, *_] = cluster.apis.values()
    for canary, key in cluster.keys.items():
        async with Client(url, key) as client:
            secret = {"name": "sink", "type": "http_bearer", "data": {"token": secret_of(key)}}
            credential = (await client.ask("POST", "/api/v1/credentials", json=secret))["id"]
            called = with_credential(document(CHILD, sink, canary, plan.longest_wait), credential)
            child, _ = await client.deploy(called)
            for kind in KINDS:
                made = document(kind.name, sink, canary, plan.longest_wait, child)
                workflow, hook = await client.deploy(with_credential(made, credential))
                path = hook or f"/api/v1/workflows/{workflow}/execute"
                places.append(Place(kind.name, canary, key, workflow, path))
    return places


async def _phases(
    plan: Plan, cluster: TortureCluster, driver: Driver, faults: Journal, wound: clockwork.Wound, bad: BadInputs
) -> Evidence:
    calm = int(plan.rate * plan.baseline)
    _say(f"P0: {calm} executions in {plan.baseline:g} s")
    await driver.load(0, calm, plan.rate)
    used = resources(cluster)
    _say(f"P1: {plan.executions - calm} executions in {plan.storm:g} s of storm")
    began, waited_before = time.time() * 1000, waiting_us()
    nemesis = Nemesis(plan, cluster, faults.write)
    load = driver.load(calm, plan.executions - calm, plan.rate)
    await asyncio.gather(load, bad.put(plan.storm), nemesis.storm(plan.storm))
    ended = time.time() * 1000
    waited = waiting_us()
    _say("P2: heal")
    healed = time.monotonic()
    await cluster.ready(within=120)
    await clockwork.stop(min(cluster.apis.values()), cluster.keys, wound)
    await asyncio.gather(driver.settled(), bad.mend())
    _say(f"P3: drain ({len(driver.started)} answers with an execution)")
    drained = await _drain(plan, cluster, [*(execution for execution, _ in driver.started), *bad.started], healed)
    _say(f"drained: {drained}")
    # A worker keeps idle connections for 15 s and looks after them every 15 s: only then is what is left a leak.
    await asyncio.sleep(max(KEEP_ALIVE, plan.heal - (time.monotonic() - healed)))
    evidence = Evidence(plan, understand([]), [], [], [], keys=dict(cluster.keys))
    evidence.resources = (used, resources(cluster))
    evidence.storm = (began, ended)
    if waited is not None and waited_before is not None:
        evidence.pressure = (waited - waited_before) / 1000 / (ended - began)
    evidence.drained = drained
    return evidence


_ALL_ENDED = "SELECT count(*) FROM read.executions WHERE completed_at IS NOT NULL AND id = ANY($1::uuid[])"


async def _drain(plan: Plan, cluster: TortureCluster, accepted: list[str], since: float) -> float | None:
    """Seconds since `since` until every accepted execution has ended in the rows; None if the plan's time, from now on,
    is not enough."""
    wanted = list(set(accepted))
    deadline = time.monotonic() + plan.drain + plan.longest_wait
    connection = await cluster.connect()
    try:
        while time.monotonic() < deadline:
            row = await connection.fetchrow(
                "SELECT count(*) AS total, count(*) FILTER (WHERE completed_at IS NULL) AS open FROM read.executions"
            )
            assert row is not None
            if row["open"] == 0 and await connection.fetchval(_ALL_ENDED, wanted) == len(wanted):
                return time.monotonic() - since
            await asyncio.sleep(0.2)
        return None
    finally:
        await connection.close()


async def _audit(evidence: Evidence, cluster: TortureCluster, sink: Sink, home: Path) -> None:
    """P4: everything is read; the read models are dropped and rebuilt twice."""
    _say("P4: audit")
    records = await _read_log(cluster)
    await asyncio.to_thread(keep_records, home / "log.pickle", records)
    evidence.facts = understand(records)
    connection = await cluster.connect()
    try:
        evidence.executions = [dict(row) for row in await connection.fetch("SELECT * FROM read.executions")]
        evidence.runs = [dict(row) for row in await connection.fetch("SELECT * FROM read.node_executions")]
        evidence.dumps = [await _dump(connection)]
        evidence.lists = await _lists(cluster)
        before = _calls(sink)
        for _ in range(2):
            await cluster.run_cli("rebuild", "all")
            evidence.dumps.append(await _dump(connection))
        evidence.sink_during_rebuild = _calls(sink) - before
        rows = "\n".join([str(row) for row in (*evidence.executions, *evidence.runs)])
    finally:
        await connection.close()
    try:
        await cluster.run_cli("verify", within=1800)
    except RuntimeError as differs:
        evidence.verified = str(differs)
    for name in ("history", "faults", "polls", "samples", "sink", "usage", "letters"):
        setattr(evidence, name, read_journal(home / f"{name}.jsonl"))
    evidence.haystacks = {
        "the log": b"\n".join(part for record in records for part in (record.value, *record.headers.values())),
        "the rows": rows.encode(),
        "the calls": sink.journal.read_bytes(),
        **{f"the log of {name}": process.log.read_bytes() for name, process in cluster.processes.items()},
    }


async def _read_log(cluster: TortureCluster) -> list[RawRecord]:
    if cluster.broker is not None:
        return await read_kafka(cluster.broker.bootstrap, cluster.prefix, PARTITIONS)
    return await read_postgres(cluster.database_url)


def _calls(sink: Sink) -> int:
    return sum(1 for each in read_journal(sink.journal) if each["what"] == "in")


async def _dump(connection: "asyncpg.Connection[asyncpg.Record]") -> dict[str, str]:
    """Table → digest of its rows in a canonical order."""
    return {
        table: str(
            await connection.fetchval(
                "SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, E'\\n' ORDER BY t::text)), '') "
                f"FROM read.{table} t"
            )
        )
        for table in TABLES
    }


async def _lists(cluster: TortureCluster) -> dict[str, list[str]]:
    [url, *_] = cluster.apis.values()
    found: dict[str, list[str]] = {}
    for canary, key in cluster.keys.items():
        async with Client(url, key) as client:
            found[canary] = [each["id"] async for each in client.executions()]
    return found


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)
