"""Executions that should go on and do not are found; those that wait for something are not."""

from domain.execution.events import CallAwaited, ExecutionParked, ExecutionStarted, NodeWaiting
from infra.postgres.pool import Pool
from services.housekeeping.jobs import Work
from services.housekeeping.letters import report_dead_letters
from services.housekeeping.stale_work import STALE_MS, find_stale_work
from tests.projections.given import SPACE, T0, World, attempted, queued, some_id
from tests.services.housekeeping.conftest import projected

NOW = T0 + 2 * STALE_MS


async def opened(pool: Pool, url: str) -> World:
    """One execution of each kind, with what its owner stored of it."""
    world = World()
    started = ExecutionStarted(started_at=T0)
    call = NodeWaiting(node="w", run=0, due=None, items=[], call=CallAwaited(kind="approval"))
    kinds = {
        "idle": ([queued(T0), started], None, False, T0),
        "idle but parked": ([queued(T0), started, ExecutionParked(at=T0)], None, True, T0),
        "moved lately": ([queued(T0), started], None, False, NOW - 1_000),
        "for a call": ([queued(T0), started, call, ExecutionParked(at=T0)], None, True, T0),
        "for a place": ([queued(T0)], None, False, T0),
        "in flight": ([queued(T0), started, attempted("n", 1)], NOW + 60_000, False, T0),
        "lost in flight": ([queued(T0), started, attempted("n", 1)], T0 + 1_000, False, T0),
        "waits": ([queued(T0), started], NOW + 86_400_000, True, T0),
        "due just now": ([queued(T0), started], NOW - 1_000, True, T0),
        "overdue": ([queued(T0), started], NOW - STALE_MS - 1, True, T0),
    }
    for name, (events, due, parked, at) in kinds.items():
        stream = f"execution-{some_id(name)}"
        world.commit(stream, events, queued_at=T0, time=at)
        await pool.execute(
            "INSERT INTO stream_states VALUES ('executions', 0, $1, $2, 1, $3, $4, '')", stream, SPACE, due, parked
        )
    world.run_at_once("ended")
    for stream in (f"execution-{some_id('ended')}", "execution-garbage", "undecodable-1"):  # kept for a late result
        await pool.execute(
            "INSERT INTO stream_states VALUES ('executions', 0, $1, $2, 1, NULL, false, '')", stream, SPACE
        )
    await projected(world, url, pool)
    return world


async def test_what_stands_still_is_found_and_what_waits_is_not(pool: Pool, postgres_url: str) -> None:
    world = await opened(pool, postgres_url)
    work = Work(pool, world.log, NOW)
    await find_stale_work(work)
    found = {each["id"]: each["kind"] for each in work.figures["executions"]}
    assert found == {
        some_id("idle"): "idle",
        some_id("idle but parked"): "idle",
        some_id("lost in flight"): "overdue",
        some_id("overdue"): "overdue",
    }
    assert {name: work.figures[name] for name in ("idle", "overdue", "attempts")} == {
        "idle": 2,
        "overdue": 2,
        "attempts": 1,
    }
    assert {each["workspace_id"] for each in work.figures["executions"]} == {SPACE}
    early = Work(pool, world.log, T0 + STALE_MS - 1)
    await find_stale_work(early)
    assert early.figures == {"idle": 0, "overdue": 0, "attempts": 0}


async def test_the_review_of_dead_letters_is_told(pool: Pool, postgres_url: str) -> None:
    world = await opened(pool, postgres_url)
    work = Work(pool, world.log, NOW)
    await report_dead_letters(work)
    assert work.figures == {"open": 0, "redriven": 0, "discarded": 0, "reviewed": 0, "last_review": None}
