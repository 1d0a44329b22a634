"""What is old goes, what is open or kept stays; rows stay a fold of what is left (R16)."""

import asyncio
from dataclasses import replace
from typing import Any

import asyncpg
import msgspec
import pytest

from domain.dead_letter.events import LetterDiscarded, LetterRecorded, LetterRedriven, LetterReviewed
from domain.inbox.events import DeliveryDuplicated, DeliveryHeld, DeliveryRefused
from domain.inbox.gates import Debounce, Delivery, Gates
from domain.schedule.definition import Definition
from domain.schedule.events import BackfillEnded, BackfillStarted, ScheduleCreated
from domain.schedule.timing import ByCron
from domain.schedule.zones import moment_of
from domain.subscription.commands import Notice
from domain.subscription.events import DeliveryEnded, DeliveryQueued, DeliveryRequeued, DeliveryStarted
from domain.workflow.events import WorkflowVersionAdded
from domain.workspace.events import RetentionSet, WorkspaceCreated
from infra.blobs import PostgresBlobs
from infra.log.memory import MemoryLog
from infra.log.port import NewRecord, Topic
from infra.postgres.pool import Pool
from projections.catalog import PROJECTIONS, TABLES
from projections.retention import AGED_TABLES, REBUILDING, HistoryMissing, load_cuts
from schemas.envelope import EventRecord, partition_of
from schemas.payloads import BlobCollector
from schemas.registry import encode_event
from services.housekeeping import retention
from services.housekeeping.blobs import delete_blobs
from services.housekeeping.jobs import Work
from services.housekeeping.log_cut import INPUTS_KEPT_MS, cut_log
from services.housekeeping.retention import RebuildUnderWay, apply_retention, take_aged
from services.projector import locks
from services.projector.projector import Projector
from services.projector.rebuild import RebuildRefused, rebuild
from services.projector.verify import verify
from tests.projections.given import FLOW, SPACE, T0, World, queued, some_id
from tests.services.housekeeping.conftest import DAY, HOUR, Project, checkpoint, end_of
from tests.services.projector.conftest import caught_up

OTHER = some_id("other workspace")


async def rows(pool: Pool, *names: str) -> dict[str, list[Any]]:
    """All rows of the read models, as text."""
    return {
        name: sorted(str(tuple(row)) for row in await pool.fetch(f"SELECT * FROM read.{name}"))
        for name in names or TABLES
    }


async def executions(pool: Pool) -> set[str]:
    return {str(row["id"]) for row in await pool.fetch("SELECT id FROM executions")}


def at(days: float, world: World, pool: Pool, **settings: Any) -> Work:
    return Work(pool, world.log, T0 + int(days * DAY), **settings)


async def agrees(world: World, pool: Pool) -> None:
    """The rows are a fold of what is left, by verify and by a rebuild."""
    report = await verify(world.log, pool)
    assert report.ok, report.differences
    before = await rows(pool)
    await rebuild(world.log, pool, "all")
    after = await rows(pool)
    for name in TABLES:
        assert after[name] == before[name], name
    for name in ("executions", "node_executions", "usage", "blob_uses"):
        await rebuild(world.log, pool, name)
    assert await rows(pool) == before
    report = await verify(world.log, pool)
    assert report.ok, report.differences


async def test_what_ended_long_ago_goes_and_the_rest_can_be_rebuilt(old_and_new: World, pool: Pool) -> None:
    usage = await rows(pool, "usage_hours")
    work = at(45, old_and_new, pool)
    await apply_retention(work)
    assert (work.figures["executions"], work.figures["payloads"]) == (12 + 4 + 6, 0)
    kept = {some_id(f"{kind}-{number}") for kind, count in (("open", 4), ("new", 6)) for number in range(count)}
    assert await executions(pool) == kept
    assert {str(row[0]) for row in await pool.fetch("SELECT DISTINCT execution_id FROM node_executions")} <= kept
    await agrees(old_and_new, pool)

    work = at(45, old_and_new, pool)
    await cut_log(work)
    assert work.figures["commits"] > 12
    assert work.figures["pinned"] == 2
    for partition in range(2):
        first = await old_and_new.log.first_offset(Topic.EXECUTIONS, partition)
        (record,) = old_and_new.log.records(Topic.EXECUTIONS, partition, first)[:1]
        assert f"execution-{some_id('open-')}"[:10] in record.value.decode()
        assert any(some_id(f"open-{number}") in record.value.decode() for number in range(4))
    assert await rows(pool, "usage_hours") == usage
    await agrees(old_and_new, pool)
    again = at(45, old_and_new, pool)
    await cut_log(again)
    assert again.figures["commits"] == 0


async def test_work_goes_on_behind_a_cut(old_and_new: World, pool: Pool, project: Project) -> None:
    await apply_retention(at(45, old_and_new, pool))
    await cut_log(at(45, old_and_new, pool))
    for number in range(4):
        stream, begun = f"execution-{some_id(f'open-{number}')}", T0 + DAY
        old_and_new.commit(stream, end_of(T0 + 46 * DAY), queued_at=begun, time=T0 + 46 * DAY)
    old_and_new.run_at_once("newest", at=T0 + 46 * DAY)
    await project(old_and_new)
    await agrees(old_and_new, pool)
    assert some_id("open-0") in await executions(pool)  # it ended lately, however long ago it began
    await apply_retention(at(74, old_and_new, pool))
    await cut_log(at(74, old_and_new, pool))
    await agrees(old_and_new, pool)
    await apply_retention(at(120, old_and_new, pool))
    work = at(120, old_and_new, pool)
    await cut_log(work)
    assert await executions(pool) == set()
    for partition in range(2):  # the last record stays
        first = await old_and_new.log.first_offset(Topic.EXECUTIONS, partition)
        assert await old_and_new.log.end_offset(Topic.EXECUTIONS, partition) == first + 1
    await agrees(old_and_new, pool)


async def test_a_gap_is_refused_and_a_log_that_was_not_cut_yet_is_not(old_and_new: World, pool: Pool) -> None:
    log = old_and_new.log
    await apply_retention(at(45, old_and_new, pool))
    with pytest.raises(ConnectionError):  # it dies between recording a cut and cutting
        await cut_log(replace(at(45, old_and_new, pool), log=NoCut(log)))
    (key, cut), *_ = (await load_cuts(pool)).items()
    assert cut.next_offset > await log.first_offset(Topic(key[0]), key[1]) == 0
    await agrees(old_and_new, pool)
    await cut_log(at(45, old_and_new, pool))
    assert await log.first_offset(Topic(key[0]), key[1]) == cut.next_offset
    await agrees(old_and_new, pool)

    before = await rows(pool)
    await log.delete_before(Topic(key[0]), key[1], cut.next_offset + 1)
    with pytest.raises(RebuildRefused, match="history is missing; the live rows stay"):
        await rebuild(log, pool, "all")
    report = await verify(log, pool)
    assert report.found == {"missing_history": 1}
    assert f"offsets {cut.next_offset} to {cut.next_offset} are gone" in report.differences[0].what
    work = at(90, old_and_new, pool)
    await cut_log(work)
    assert len(work.figures["refused"]) == 1
    assert await rows(pool) == before
    await rebuild(log, pool, "workflows")  # the other topic has no gap


class NoCut:
    """A log of which nothing can be deleted now."""

    def __init__(self, log: Any) -> None:
        self._log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def delete_before(self, *_: Any) -> None:
        raise ConnectionError("away")


async def test_read_models_do_not_begin_on_a_cut_log_that_nobody_knows(
    old_and_new: World, pool: Pool, postgres_url: str
) -> None:
    await old_and_new.log.delete_before(Topic.EXECUTIONS, 0, 5)
    await pool.execute("DROP SCHEMA read CASCADE")
    with pytest.raises(HistoryMissing, match="restore it"):
        await Projector(old_and_new.log, postgres_url).run(asyncio.Event())


async def test_another_version_is_rebuilt_behind_a_cut(old_and_new: World, pool: Pool, postgres_url: str) -> None:
    await apply_retention(at(45, old_and_new, pool))
    await cut_log(at(45, old_and_new, pool))
    before = await rows(pool)
    await pool.execute("UPDATE read.projections SET version = 0 WHERE name IN ('usage', 'node_executions')")
    await pool.execute("DELETE FROM read.positions WHERE projection = 'usage'")
    await pool.execute("DELETE FROM read.projections WHERE name = 'usage'; DROP TABLE read.usage_hours")
    stop = asyncio.Event()
    running = asyncio.create_task(Projector(old_and_new.log, postgres_url, now=lambda: T0).run(stop))
    try:
        async with asyncio.timeout(40):
            while await pool.fetchval("SELECT count(*) FROM projections WHERE version > 0") != len(PROJECTIONS):
                await asyncio.sleep(0.05)
        await caught_up(old_and_new.log, postgres_url, pool, running)
    finally:
        stop.set()
        await running
    assert await rows(pool) == before


async def test_payloads_go_before_the_facts(old_and_new: World, pool: Pool) -> None:
    work = at(10, old_and_new, pool, payload_retention_days=5)
    await apply_retention(work)
    assert (work.figures["executions"], work.figures["payloads"]) == (0, 22 + 4 + 4)  # of deliveries as well
    told = await pool.fetchrow("SELECT * FROM executions WHERE id = $1", some_id("behind-0"))
    assert told is not None
    assert (told["status"], told["input"], told["output"]) == ("failed", None, None)
    assert told["error"] is not None
    assert await pool.fetchval("SELECT input IS NOT NULL FROM executions WHERE id = $1", some_id("open-0"))
    assert await pool.fetchval("SELECT count(*) FROM node_executions WHERE output IS NOT NULL AND queued_at < $1",
                               moment_of(T0 + 3 * DAY)) == 0  # fmt: skip
    await agrees(old_and_new, pool)
    await pool.execute("UPDATE read.executions SET output = '[1]' WHERE id = $1", some_id("behind-1"))
    await pool.execute("UPDATE read.executions SET input = NULL WHERE id = $1", some_id("open-1"))
    await pool.execute("UPDATE read.executions SET error = NULL WHERE id = $1", some_id("behind-2"))
    assert (await verify(old_and_new.log, pool)).found == {"wrong_row": 3}


async def test_payloads_of_deliveries_go_with_those_of_their_time(pool: Pool, project: Project) -> None:
    world = World()
    stream = f"inbox-{some_id('inbox of two')}"
    world.commit(f"workspace-{SPACE}", [WorkspaceCreated("Space", T0)])
    items = [{"json": {"body": "personal"}}]
    for name, moment in (("old", T0), ("new", T0 + 8 * DAY)):
        made = {kind: Delivery(some_id(f"{name} {kind}"), "e", FLOW, 1, "hook", moment) for kind in "rhd"}
        gates = Gates(debounce=Debounce("00" * 16, 1_000))
        world.commit(stream, [DeliveryRefused(made["r"], "malformed_json", "no", moment, excerpt="{personal")])
        world.commit(stream, [DeliveryHeld(made["h"], gates, moment, items=items)])
        world.commit(stream, [DeliveryDuplicated(made["d"], some_id("first"), moment, items)])
    await project(world)
    work = at(10, world, pool, payload_retention_days=5)
    await apply_retention(work)
    assert (work.figures["payloads"], work.figures["webhook_deliveries"]) == (2, 0)
    found = await pool.fetch("SELECT id::text, payload, excerpt FROM webhook_deliveries")
    whole = {row["id"] for row in found if "personal" in f"{row['payload']} {row['excerpt']}"}
    assert whole == {some_id(name) for name in ("old h", "new r", "new h", "new d")}, "what is held has still to begin"
    assert len(found) == 6
    await agrees(world, pool)
    await pool.execute("UPDATE read.webhook_deliveries SET payload = NULL WHERE id = $1", some_id("new d"))
    assert (await verify(world.log, pool)).found == {"wrong_row": 1}


async def test_what_subscriptions_told_goes_with_the_payloads_of_its_time(pool: Pool, project: Project) -> None:
    world = World()
    world.commit(f"workspace-{SPACE}", [WorkspaceCreated("Space", T0)])
    stream = f"subscription-{world.subscribe('with output', 'execution.completed')}"
    notice = Notice("event", "execution.completed", T0, SPACE, {"output": "personal"})
    for name, days in (("old", 1), ("new", 8), ("sent again", 1), ("open", 0)):
        delivery, run = some_id(name), some_id(f"run of {name}")
        world.commit(stream, [DeliveryQueued(delivery, notice, T0), DeliveryStarted(delivery, run, T0 + 1)])
        if days:
            world.commit(stream, [DeliveryEnded(delivery, run, "failed", T0 + days * DAY)])
    await project(world)
    # Asked for just before retention took it: what it tells comes back with it.
    await pool.execute("UPDATE read.event_deliveries SET notice = NULL WHERE id = $1", some_id("sent again"))
    world.commit(stream, [DeliveryRequeued(some_id("sent again"), notice, some_id("request"), T0 + 8 * DAY)])
    await project(world)
    work = at(10, world, pool, payload_retention_days=5)
    await apply_retention(work)
    assert (work.figures["payloads"], work.figures["event_deliveries"]) == (1, 0)
    found = await pool.fetch("SELECT id::text, notice::text FROM event_deliveries")
    whole = {row["id"] for row in found if "personal" in (row["notice"] or "")}
    assert whole == {some_id(name) for name in ("new", "sent again", "open")}
    assert len(found) == 4
    await agrees(world, pool)
    await pool.execute("UPDATE read.event_deliveries SET notice = NULL WHERE id = $1", some_id("new"))
    assert (await verify(world.log, pool)).found == {"wrong_row": 1}


async def test_workspaces_keep_for_as_long_as_they_say(pool: Pool, project: Project) -> None:
    world = World()
    world.configure()
    world.commit(f"workspace-{OTHER}", [WorkspaceCreated("Other", T0)], workspace=OTHER)
    world.commit(f"workspace-{OTHER}", [RetentionSet(T0, 90, 10)], workspace=OTHER)
    for name, space in (("mine", SPACE), ("theirs", OTHER)):
        moment = T0
        world.commit(
            f"execution-{some_id(name)}", [queued(T0), *end_of(T0)], queued_at=T0, time=moment, workspace=space
        )
    await project(world)
    await apply_retention(at(45, world, pool))
    assert await executions(pool) == {some_id("theirs")}
    assert await pool.fetchval("SELECT input IS NULL FROM executions")
    await cut_log(at(45, world, pool))
    kept = partition_of(f"execution-{some_id('theirs')}", 2)
    assert await world.log.first_offset(Topic.EXECUTIONS, kept) <= 2
    await agrees(world, pool)
    await apply_retention(at(91, world, pool))
    assert await executions(pool) == set()
    # To keep things longer from now on brings nothing back, and horizons never go back.
    world.commit(f"workspace-{OTHER}", [RetentionSet(T0, 3_000, None)], workspace=OTHER)
    await project(world)
    await apply_retention(at(92, world, pool))
    await agrees(world, pool)


async def test_months_of_which_nothing_is_kept_are_dropped(old_and_new: World, pool: Pool, project: Project) -> None:
    months = "SELECT count(*) FROM pg_tables WHERE schemaname = 'read' AND tablename ~ '_20[0-9]{2}_[0-9]{2}$'"
    before = await pool.fetchval(months)
    work = at(100, old_and_new, pool)
    await apply_retention(work)
    # November has the open ones; those of 40 days later lie in December.
    assert (work.figures["months"], work.figures["executions"]) == (1, 12 + 4 + 6 + 6)
    assert await pool.fetchval(months) == before - 2
    await agrees(old_and_new, pool)
    late, now = T0 + 41 * DAY, T0 + 99 * DAY  # something of that month after all
    old_and_new.commit(f"execution-{some_id('late')}", [queued(late), *end_of(now)], queued_at=late, time=now)
    await project(old_and_new)
    assert some_id("late") in await executions(pool)
    await agrees(old_and_new, pool)


async def test_a_month_is_looked_at_while_everybody_reads(
    old_and_new: World, pool: Pool, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only who would write to that month waits: what was seen of it stays true until it is dropped."""
    looking, go_on = asyncio.Event(), asyncio.Event()
    look = retention._is_kept

    async def slowly(connection: Any, month: str) -> bool:
        found = await look(connection, month)
        if connection is not pool:  # in the transaction of the drop
            looking.set()
            await go_on.wait()
        return found

    monkeypatch.setattr(retention, "_is_kept", slowly)
    running = asyncio.create_task(apply_retention(at(100, old_and_new, pool)))
    try:
        async with asyncio.timeout(20):
            await looking.wait()
            assert await pool.fetchval("SELECT count(*) FROM executions", timeout=2) == 12 + 8 + 6 + 6
            assert await pool.fetchval("SELECT count(*) FROM node_executions", timeout=2) > 0
            old_and_new.run_at_once("another month", at=T0 + 99 * DAY)
            await project(old_and_new)
            month = f"{moment_of(T0 + 40 * DAY):%Y_%m}"
            async with pool.acquire() as writer:
                await writer.execute("SET lock_timeout = '50ms'")
                with pytest.raises(asyncpg.LockNotAvailableError):
                    await writer.execute(f'UPDATE read."executions_{month}" SET status = status')
                await writer.execute("RESET lock_timeout")
    finally:
        go_on.set()
        await running
    assert await executions(pool) == {some_id("another month"), *(some_id(f"open-{number}") for number in range(4))}


async def test_letters_and_backfills_that_are_settled_go_and_others_stay(pool: Pool, project: Project) -> None:
    world = World()
    world.configure()
    for name in ("open", "redriven", "discarded", "young"):
        stream, begun = f"letter-{some_id(name)}", T0 + (40 * DAY if name == "young" else 0)
        letter = LetterRecorded("linkflow.commands", 0, 7, "malformed_record", "no", begun)
        world.commit(stream, [letter, LetterReviewed(begun + 1)])
        if name == "redriven":
            world.commit(stream, [LetterRedriven(T0 + 2, 1, "execution-1")])
        elif name != "open":
            world.commit(stream, [LetterDiscarded(begun + 2)])
    stream = f"schedule-{some_id('schedule')}"
    world.commit(stream, [ScheduleCreated(Definition(FLOW, "Daily", ByCron("0 3 * * *", "UTC")), T0)])
    for name in ("ended", "going on"):
        world.commit(stream, [BackfillStarted(some_id(name), T0 - DAY, T0, 1, 60, T0)])
    world.commit(stream, [BackfillEnded(some_id("ended"), "completed", T0 + 5)])
    await project(world)
    work = at(45, world, pool)
    await apply_retention(work)
    assert (work.figures["dead_letters"], work.figures["schedule_backfills"]) == (2, 1)
    left = {str(row["id"]) for row in await pool.fetch("SELECT id FROM dead_letters")}
    assert left == {some_id("open"), some_id("young")}
    assert {str(row["id"]) for row in await pool.fetch("SELECT id FROM schedule_backfills")} == {some_id("going on")}
    report = await verify(world.log, pool)
    assert report.ok, report.differences
    before = await rows(pool)
    await rebuild(world.log, pool, "all")
    assert await rows(pool) == before


async def test_deliveries_of_subscriptions_age_from_their_end_on(pool: Pool, project: Project) -> None:
    """However long they waited: what failed today can be sent again for as long as what was made today."""
    world = World()
    world.commit(f"workspace-{SPACE}", [WorkspaceCreated("Space", T0)])
    subscription = f"subscription-{world.subscribe('slow', 'execution.failed')}"
    notice = Notice("event", "execution.failed", T0, SPACE, {})
    for name, days in (("short", 1), ("long", 44), ("again", 1), ("open", 0)):
        delivery, execution = some_id(name), some_id(f"run of {name}")
        world.commit(subscription, [DeliveryQueued(delivery, notice, T0), DeliveryStarted(delivery, execution, T0 + 1)])
        if days:
            failed = DeliveryEnded(delivery, execution, "failed", T0 + days * DAY, "http_status", "no", 503, 1, T0)
            world.commit(subscription, [failed])
    requeued = DeliveryRequeued(some_id("again"), notice, some_id("request"), T0 + 44 * DAY)
    world.commit(subscription, [requeued, DeliveryStarted(some_id("again"), some_id("run 2"), T0 + 44 * DAY)])
    world.commit(subscription, [DeliveryEnded(some_id("again"), some_id("run 2"), "delivered", T0 + 44 * DAY)])
    await project(world)
    work = at(45, world, pool)
    await apply_retention(work)
    assert work.figures["event_deliveries"] == 1
    left = {str(row["id"]) for row in await pool.fetch("SELECT id FROM event_deliveries")}
    assert left == {some_id(name) for name in ("long", "again", "open")}
    await agrees(world, pool)


@pytest.mark.parametrize("table", AGED_TABLES)
async def test_what_ages_is_found_by_an_index(pool: Pool, project: Project, table: str) -> None:
    await project(World())
    filled = {
        "schedule_firings": "(id, schedule_id, workspace_id, due_at, last_due_at, local_time, last_local_time, outcome,"
        " reason, dst, count, more, late_by, jitter, execution_status, message, at) SELECT gen_random_uuid(),"
        " gen_random_uuid(), space, t, t, '', '', '', '', '', 1, false, 0, 0, '', '', t",
        "webhook_deliveries": "(id, workspace_id, workflow_id, workflow_version, node, endpoint_id, status, code,"
        " reason, repeats, more, excerpt, received_at, fingerprint, updated_at, stream_version) SELECT"
        " gen_random_uuid(), space, gen_random_uuid(), 1, '', '', 'refused', '', '', false, 0, '', t, '', t, 1",
        "event_redeliveries": "(id, delivery_id, workspace_id, fingerprint, at) SELECT gen_random_uuid(),"
        " gen_random_uuid(), space, '', t",
        "schedule_backfills": "(id, schedule_id, workspace_id, since, until, total, fired, per_minute, status,"
        " started_at, ended_at, fingerprint) SELECT gen_random_uuid(), gen_random_uuid(), space, t, t, 1, 1, 1, '', t,"
        " t, ''",
        "dead_letters": "(id, workspace_id, topic, partition, position, code, reason, command, stream, excerpt, status,"
        " attempts, created_at, updated_at, stream_version) SELECT gen_random_uuid(), space, '', 0, 0, '', '', '', '',"
        " '', 'discarded', 1, t, t, 1",
        "event_deliveries": "(id, subscription_id, workspace_id, event_type, notice, test, status, created_at,"
        " queued_at, ended_at) SELECT gen_random_uuid(), gen_random_uuid(), space, '', '{}', false, '', t, t, t",
    }
    await pool.execute(
        f"INSERT INTO read.{table} {filled[table]} FROM (SELECT now() - make_interval(mins => n) AS t,"
        " md5((n % 50)::text)::uuid AS space FROM generate_series(1, 50000) AS n) AS made; ANALYZE read." + table
    )
    plan = await pool.fetch(
        "EXPLAIN " + take_aged(table).replace("$1", "md5('7')::uuid").replace("$2", "now() - interval '34 days'")
        .replace("$3", "1000")
    )  # fmt: skip
    text = "\n".join(row[0] for row in plan)
    assert f"{table}_by_{'time' if table == 'event_redeliveries' else 'age'}" in text
    assert "Seq Scan" not in text


async def test_owners_and_projector_are_waited_for(old_and_new: World, pool: Pool) -> None:
    await apply_retention(at(45, old_and_new, pool))
    await pool.execute("DELETE FROM partition_checkpoints WHERE partition = 0")
    await checkpoint(pool, "executions", 1, 3)
    work = at(45, old_and_new, pool)
    await cut_log(work)
    assert await old_and_new.log.first_offset(Topic.EXECUTIONS, 0) == 0
    assert await old_and_new.log.first_offset(Topic.EXECUTIONS, 1) == 3
    await pool.execute("UPDATE positions SET next_offset = 4 WHERE projection = 'usage' AND partition = 1")
    await checkpoint(pool, "executions", 1, 100)
    await cut_log(at(45, old_and_new, pool))
    assert await old_and_new.log.first_offset(Topic.EXECUTIONS, 1) == 4


async def test_rows_that_were_lost_otherwise_do_not_cost_their_history(old_and_new: World, pool: Pool) -> None:
    await apply_retention(at(45, old_and_new, pool))
    before = await rows(pool)
    for number in range(4):
        stream = f"execution-{some_id(f'open-{number}')}"
        await pool.execute(
            "INSERT INTO stream_states VALUES ('executions', $1, $2, $3, 1, NULL, true, '')",
            partition_of(stream, 2),
            stream,
            SPACE,
        )
    await pool.execute("DELETE FROM read.executions; DELETE FROM read.node_executions")
    await cut_log(at(45, old_and_new, pool))
    assert sum([await old_and_new.log.first_offset(Topic.EXECUTIONS, number) for number in range(2)]) > 12
    await rebuild(old_and_new.log, pool, "all")
    assert await rows(pool) == before


async def test_commits_of_a_worker_whose_clock_is_years_off_are_as_old_as_they_came(
    pool: Pool, project: Project
) -> None:
    now = T0
    world = World(log=MemoryLog(2, clock=lambda: now))
    world.configure()
    years = 3_650 * DAY
    for number, wall in enumerate((T0 + years, T0, T0 - years, T0 + HOUR) * 3):
        world.run_at_once(f"old-{number}", wall=wall)
    old = [await world.log.end_offset(Topic.EXECUTIONS, number) for number in range(2)]
    now = T0 + 40 * DAY
    for number, wall in enumerate((now - years, now, now + years) * 3):
        world.run_at_once(f"young-{number}", at=now, wall=wall)
    await project(world)
    work = at(45, world, pool)
    await apply_retention(work)
    await pool.execute("DELETE FROM read.executions; DELETE FROM read.node_executions")  # young ones, lost otherwise
    await cut_log(work)
    assert [await world.log.first_offset(Topic.EXECUTIONS, number) for number in range(2)] == old
    await rebuild(world.log, pool, "all")
    assert await executions(pool) == {some_id(f"young-{number}") for number in range(9)}


async def test_commits_of_the_last_day_stay(old_and_new: World, pool: Pool) -> None:
    await apply_retention(at(45, old_and_new, pool))
    work = at(0.9, old_and_new, pool)  # all records came at T0
    await cut_log(work)
    assert [work.figures[name] for name in ("commits", "inputs", "pinned")] == [0, 0, 0]


async def test_answered_inputs_go_two_days_later(pool: Pool, project: Project) -> None:
    now = T0
    world = World(log=MemoryLog(2, clock=lambda: now))
    world.configure()
    await project(world)
    for number in range(20):
        now = T0 + number * HOUR
        for topic in (Topic.EXECUTION_COMMANDS, Topic.COMMANDS):
            world.log.append(topic, 0, [NewRecord(b"x")])
    await pool.execute("UPDATE positions SET answered = 15 WHERE partition = 0")
    await checkpoint(pool, "executions", 0, 0, answered=12)
    await checkpoint(pool, "aggregates", 0, 0, answered=13)
    work = Work(pool, world.log, T0 + INPUTS_KEPT_MS + 7 * HOUR)
    await cut_log(work)
    assert await world.log.first_offset(Topic.EXECUTION_COMMANDS, 0) == 7
    assert await world.log.first_offset(Topic.COMMANDS, 0) == 7
    assert work.figures["inputs"] == 14
    for _ in range(3):
        world.log.append(Topic.DEAD_LETTERS, 1, [NewRecord(b"x")])
    work = Work(pool, world.log, T0 + 90 * DAY)
    await cut_log(work)
    assert await world.log.first_offset(Topic.DEAD_LETTERS, 1) == 0
    assert await world.log.first_offset(Topic.EXECUTION_COMMANDS, 0) == 12
    assert await world.log.first_offset(Topic.COMMANDS, 0) == 13
    assert work.figures["inputs"] == 5 + 6
    await cut_log(Work(pool, world.log, T0 + 92 * DAY))
    assert await world.log.first_offset(Topic.DEAD_LETTERS, 1) == 3


async def test_a_rebuild_and_retention_keep_out_of_each_others_way(
    old_and_new: World, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "LOCK_SECONDS", 0.2)
    assert REBUILDING == 0x4C4B464C52454255  # programs of two versions must keep out of each other's way, too
    before = await rows(pool)
    async with pool.acquire() as other:
        await other.execute("SELECT pg_advisory_lock($1)", REBUILDING)
        for job in (apply_retention, cut_log, delete_blobs):
            with pytest.raises(RebuildUnderWay):
                await job(at(45, old_and_new, pool))
        await other.execute("SELECT pg_advisory_unlock($1)", REBUILDING)
        assert await rows(pool) == before
        await other.execute("SELECT pg_advisory_lock_shared($1)", REBUILDING)
        with pytest.raises(RebuildRefused, match="retention"):
            await rebuild(old_and_new.log, pool, "all")
        await other.execute("SELECT pg_advisory_unlock_shared($1)", REBUILDING)


async def test_large_values_go_with_the_last_execution_that_names_them(pool: Pool, project: Project) -> None:
    world = World()
    world.configure()
    names = ("gone", "kept", "both", "open", "young", "document", "letter", "nothing")
    contents = {name: msgspec.json.encode([{"json": {"name": name, "x": "y" * 70_000}}]) for name in names}
    collector = BlobCollector(SPACE)
    ids = {name: collector(content) for name, content in contents.items()}
    store = PostgresBlobs(pool)
    await store.put_many(SPACE, collector.blobs)
    await pool.execute("UPDATE blobs SET stored_at = now() - interval '40 days' WHERE id <> $1", ids["young"])

    def run(name: str, moment: int, *blobs: str, ends: bool = True) -> None:
        begin = encode_event(queued(moment))
        extra = [
            EventRecord(
                "execution.attempt_concluded",
                msgspec.Raw(b'{"node":"n1","run":0,"attempt":1,"late":false}'),
                blobs={"results": ids[blob]},
            )
            for blob in blobs
        ]
        end = [encode_event(each) for each in end_of(moment)] if ends else []
        world.commit(f"execution-{some_id(name)}", [begin, *extra, *end], queued_at=moment, time=moment)

    run("a", T0, "gone", "both", "young")
    run("b", T0, "open", ends=False)
    run("c", T0 + 40 * DAY, "kept", "both")
    added = encode_event(WorkflowVersionAdded(version=2, name="Flow", document={"name": "x"}, at=T0))
    data = msgspec.json.decode(added.data)
    del data["document"]
    whole = EventRecord(added.type, msgspec.Raw(msgspec.json.encode(data)), added.v, {"document": ids["document"]})
    world.commit(f"workflow-{FLOW}", [whole])
    world.commit(
        f"letter-{some_id('letter')}",
        [
            LetterRecorded(
                "linkflow.execution-commands", 0, 7, "malformed_record", "no", T0, outside={"items": ids["letter"]}
            )
        ],
    )
    await project(world)
    for job in (apply_retention, cut_log, delete_blobs):
        await job(at(45, world, pool))
    left = {str(row["id"]) for row in await pool.fetch("SELECT id FROM blobs")}
    assert {name for name in names if ids[name] in left} == {"kept", "both", "open", "young", "document", "letter"}
    await agrees(world, pool)

    await pool.execute("UPDATE blobs SET stored_at = now() - interval '40 days'")
    await checkpoint(pool, "executions", 0, 1)  # an owner that takes over reads what lies behind it
    await checkpoint(pool, "executions", 1, 1)
    work = at(45, world, pool)
    work.figures.clear()
    await pool.execute("UPDATE blobs SET stored_at = $1", moment_of(T0 - 100))
    await delete_blobs(work)
    assert work.figures["blobs"] == 0
