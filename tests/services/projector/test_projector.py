"""The projector on a real PostgreSQL and a log in memory."""

import asyncio

import msgspec
import pytest

from infra.log.port import NewRecord, OffsetOutOfRange, Topic
from infra.postgres.pool import Pool, open_connection, open_pool
from projections.catalog import PROJECTIONS, TABLES
from projections.positions import Place, load_answered, load_places
from schemas.envelope import EventRecord, decode_dead_letter
from services.projector.batch import Entry, PartitionFold, PlaceKey
from services.projector.projector import Projector
from services.projector.schema import ensure_months, prepare
from services.projector.store import SESSION, PositionMoved, ProjectorStore
from tests.projections.given import SPACE, T0, World, assert_same, stored_rows
from tests.services.projector.conftest import CatchUp, caught_up
from tests.support.postgres import PostgresServer

MONTH = 31 * 86_400_000


async def test_rows_in_postgres_equal_rows_in_memory(world: World, pool: Pool, project: CatchUp) -> None:
    world.configure()
    for index in range(20):
        world.run_at_once(index, at=T0 + index)
        world.run_in_steps(f"steps-{index}", at=T0 + index, fails=index % 2 == 0)
    await project(world.log)
    await assert_same(pool, world.fold())


async def test_events_that_come_in_other_batches_give_the_same_rows(world: World, pool: Pool, project: CatchUp) -> None:
    world.configure()
    await project(world.log)
    first = world.run_in_steps("a")
    await project(world.log)
    world.run_at_once("b")
    await project(world.log)
    await assert_same(pool, world.fold())
    assert first in {row["id"] for row in await stored_rows(pool, "executions")}


async def test_executions_of_any_month_find_their_partition(world: World, pool: Pool, project: CatchUp) -> None:
    for months in (-30, 0, 1, 14):
        world.run_at_once(months, at=T0 + months * MONTH)
    await project(world.log)
    await assert_same(pool, world.fold())


async def test_answered_inputs_are_known(world: World, pool: Pool, project: CatchUp) -> None:
    world.run_at_once("a")
    await project(world.log)
    answered = await load_answered(pool)
    assert sum(answered.values()) == 1
    assert {topic for topic, _ in answered} == {Topic.COMMANDS.value, Topic.EXECUTION_COMMANDS.value}


async def test_a_batch_applied_twice_moves_nothing(
    world: World, postgres_url: str, pool: Pool, project: CatchUp
) -> None:
    """Trace 8, first half: two projectors apply one record twice."""
    world.configure()
    await project(world.log)
    start = await load_places(pool)
    world.run_at_once("a")
    world.run_in_steps("b")
    entries = entries_from(world, start)
    one, two = [await open_connection(postgres_url, settings=SESSION) for _ in range(2)]
    try:
        stores = [ProjectorStore(each, list(PROJECTIONS.values())) for each in (one, two)]
        results = await asyncio.gather(*(store.apply(entries, start) for store in stores), return_exceptions=True)
        assert sorted(type(result).__name__ for result in results) == ["NoneType", "PositionMoved"]
        with pytest.raises(PositionMoved):
            await stores[0].apply(entries, start)
    finally:
        await one.close()
        await two.close()
    await assert_same(pool, world.fold())


async def test_what_starts_are_decided_by_is_flushed_and_nothing_else(
    world: World, pool: Pool, project: CatchUp
) -> None:
    await project(world.log)
    await pool.execute(
        "CREATE TABLE public.noted (name text, flushed text);"
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " INSERT INTO public.noted VALUES (TG_TABLE_NAME, current_setting('synchronous_commit')); RETURN NULL; END $$;"
        "CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON read.variables FOR EACH ROW EXECUTE FUNCTION note();"
        "CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON read.credentials FOR EACH ROW EXECUTE FUNCTION note();"
        "CREATE TRIGGER note AFTER INSERT ON read.event_subscriptions FOR EACH ROW EXECUTE FUNCTION note();"
    )
    for step in (world.keep_credentials, world.keep_variables, world.keep_subscriptions):
        step()
        await project(world.log)
    noted = await pool.fetch("SELECT DISTINCT name, flushed FROM public.noted ORDER BY name")
    assert [tuple(each) for each in noted] == [
        ("credentials", "off"),
        ("event_subscriptions", "off"),
        ("variables", "on"),
    ]


async def test_two_projectors_at_once_one_stands_by(world: World, postgres_url: str, pool: Pool) -> None:
    world.configure()
    world.run_at_once("a")
    stop = asyncio.Event()
    projectors = [Projector(world.log, postgres_url, now=lambda: T0) for _ in range(2)]
    running = [asyncio.create_task(each.run(stop)) for each in projectors]
    try:
        await caught_up(world.log, postgres_url, pool, running[0])
        assert [each.leading for each in projectors].count(True) == 1
    finally:
        stop.set()
        await asyncio.gather(*running)
    await assert_same(pool, world.fold())


async def test_a_start_behind_a_takeover_drops_void_records(world: World, pool: Pool, project: CatchUp) -> None:
    """Trace 8, second half: the position knows the epoch, so that a record of an epoch that is over stays void."""
    world.run_at_once("kept")
    topic, partition = next(iter(world.owners))
    old = world.owners[topic, partition]
    stale = type(old)(old.log, old.topic, old.partition, old.epoch, old.n)
    world.owners[topic, partition].take_over("second")
    await project(world.log)
    other = World(log=world.log, owners={(topic, p): stale for p in range(2)})
    other.run_at_once("void")
    await project(world.log)
    rows = await stored_rows(pool, "executions")
    assert len(rows) == 1
    await assert_same(pool, world.fold())


async def test_garbage_goes_to_the_dead_letters_and_nothing_is_stuck(
    world: World, pool: Pool, project: CatchUp
) -> None:

    world.run_at_once("before")
    (topic, partition), owner = next(iter(world.owners.items()))
    owner.append(b"{not json")
    world.log.append(topic, partition, [NewRecord(b"\xff", (("k", b"o"), ("o", b"\xff")))])
    world.log.append(topic, partition, [NewRecord(b"garbage")])
    world.commit("execution-" + "0" * 8, [EventRecord("execution.nonsense", msgspec.Raw(b"{}"))], queued_at=T0)
    world.run_in_steps("not-a-uuid-follows")
    bad = World(log=world.log, owners=world.owners)
    bad.commit("execution-not-a-uuid", [EventRecord("execution.queued", msgspec.Raw(QUEUED))], queued_at=T0)
    world.run_at_once("after")
    await project(world.log)
    letters = [
        decode_dead_letter(record.value)
        for part in range(world.log.partitions)
        for record in world.log.records(Topic.DEAD_LETTERS, part)
    ]
    assert sorted(letter.code for letter in letters) == [
        "malformed_record",
        "unknown_record",
        "unknown_type",
        "unprojectable",
    ]
    assert len(await stored_rows(pool, "executions")) == 3


QUEUED = (
    b'{"workflow_id":"x","workflow_version":1,"trigger_node":"n","trigger_type":"t","items":[],"queued_at":%d}' % T0
)


async def test_the_place_survives_a_lost_connection(world: World, postgres_url: str, pool: Pool) -> None:
    world.configure()
    stop = asyncio.Event()
    running = asyncio.create_task(Projector(world.log, postgres_url, now=lambda: T0).run(stop))
    try:
        await caught_up(world.log, postgres_url, pool, running)
        for index in range(3):
            await pool.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'linkflow projector'"
            )
            world.run_in_steps(index)
            await caught_up(world.log, postgres_url, pool, running)
    finally:
        stop.set()
        await running
    await assert_same(pool, world.fold())


def entries_from(world: World, start: dict[PlaceKey, Place]) -> list[Entry]:
    entries = []
    for (topic, partition), place in start.items():
        fold = PartitionFold(topic, partition, place, list(PROJECTIONS.values()))
        entries += [fold.fold(r) for r in world.log.records(Topic(topic), partition) if r.offset >= place.next_offset]
    return entries


async def test_the_log_goes_away_and_comes_back(world: World, postgres_url: str, pool: Pool) -> None:
    world.configure()
    stop = asyncio.Event()
    running = asyncio.create_task(Projector(world.log, postgres_url, now=lambda: T0).run(stop))
    try:
        await caught_up(world.log, postgres_url, pool, running)
        world.log.set_down(True)
        await asyncio.sleep(0)
        world.log.set_down(False)
        world.run_in_steps("after")
        await caught_up(world.log, postgres_url, pool, running)
    finally:
        stop.set()
        await running
    await assert_same(pool, world.fold())


async def test_postgres_is_killed_and_comes_back(world: World) -> None:
    server = PostgresServer()
    stop = asyncio.Event()
    try:
        server.start()
        url = server.create_database()
        running = asyncio.create_task(Projector(world.log, url, now=lambda: T0).run(stop))
        for index in range(2):
            pool = await open_pool(url, min_size=1, max_size=2)
            world.run_in_steps(index)
            await caught_up(world.log, url, pool, running)
            pool.terminate()
            server.kill()
            world.run_in_steps(f"while-down-{index}")
            server.start()
        pool = await open_pool(url, min_size=1, max_size=2)
        await caught_up(world.log, url, pool, running)
        stop.set()
        await running
        await assert_same(pool, world.fold())
        pool.terminate()
    finally:
        stop.set()
        server.remove()


async def test_a_cut_log_is_fatal(world: World, postgres_url: str, pool: Pool, project: CatchUp) -> None:
    for index in range(4):
        world.run_at_once(index)
    await project(world.log)
    for index in range(4, 12):
        world.run_at_once(index)
    for partition in range(world.log.partitions):
        end = await world.log.end_offset(Topic.EXECUTIONS, partition)
        await world.log.delete_before(Topic.EXECUTIONS, partition, end)
    with pytest.raises(OffsetOutOfRange):
        await Projector(world.log, postgres_url, now=lambda: T0).run(asyncio.Event())


async def test_partitions_are_made_by_many_at_once(
    world: World, postgres_url: str, pool: Pool, project: CatchUp
) -> None:
    await project(world.log)
    tables = [table for table in TABLES.values() if table.months]
    connections = [await open_connection(postgres_url) for _ in range(4)]
    try:
        await asyncio.gather(*(ensure_months(each, "read", tables, {"2031_12", "2032_01"}) for each in connections))
    finally:
        for each in connections:
            await each.close()
    assert await pool.fetchval("SELECT count(*) FROM pg_tables WHERE tablename ~ '_203[12]_[01][0-9]$'") == 4


async def test_reading_waits_for_writing(
    world: World, pool: Pool, project: CatchUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.projector.feed.MAX_ENTRIES", 3)
    monkeypatch.setattr("services.projector.feed._READ_AT_ONCE", 2)
    for index in range(30):
        world.run_in_steps(index)
    await project(world.log)
    await assert_same(pool, world.fold())


async def test_a_start_waits_for_no_reader(world: World, pool: Pool, project: CatchUp, postgres_url: str) -> None:
    """pg_dump and verify hold what they read until they end."""
    await project(world.log)
    starting = await open_connection(postgres_url, settings={"lock_timeout": "500ms"})
    try:
        async with pool.acquire() as reader, reader.transaction():
            await reader.execute("LOCK TABLE read.usage_before_cuts, read.log_cuts, read.horizons IN ACCESS SHARE MODE")
            assert await prepare(starting, {}, T0) == []
    finally:
        await starting.close()


async def test_a_start_adds_what_an_older_version_did_not_count(
    world: World, pool: Pool, project: CatchUp, postgres_url: str
) -> None:
    await project(world.log)
    await pool.execute(
        "ALTER TABLE read.usage_before_cuts DROP COLUMN deliveries;"
        f" INSERT INTO read.usage_before_cuts VALUES ('{SPACE}', now(), 1, 2, 3, 4, 5, 6, 7, 8)"
    )
    starting = await open_connection(postgres_url)
    try:
        assert await prepare(starting, {}, T0) == []
    finally:
        await starting.close()
    assert await pool.fetchval("SELECT deliveries FROM read.usage_before_cuts") == 0
