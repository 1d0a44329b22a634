"""Given a schedule's commits, then rows: what happened, what did not, and why."""

import json
from typing import Any

from domain.schedule.commands import NoteExecutionEnded, PauseSchedule, ResumeSchedule, StartBackfill, UpdateSchedule
from domain.schedule.timing import ByCron, ByInterval, Once, Timing
from infra.log.port import Topic
from projections.memory import MemoryTables
from services.projector.verify_history import AggregateHistory, digest
from tests.domain.schedule.player import MINUTE, SECOND, STREAM, Player, definition
from tests.projections.given import SPACE, T0, World, some_id

NOON = T0 - T0 % (60 * MINUTE)
BACKFILL = some_id("backfill")


class Recorded(Player):
    """A schedule whose decisions are committed."""

    def __init__(self, world: World, timing: Timing, **more: Any) -> None:
        self.world = world
        super().__init__(timing, NOON, **more)

    def tell(self, command: Any) -> Any:
        decision = super().tell(command)
        if decision.events:
            self.world.commit(STREAM, decision.events, time=self.now)
        return decision


def folded(world: World) -> tuple[dict[str, Any], list[dict[str, Any]], MemoryTables]:
    tables = world.fold()
    (row,) = tables.all_rows("schedules")
    return row, sorted(tables.all_rows("schedule_firings"), key=lambda each: each["due_at"]), tables


def commits(world: World) -> list[dict[str, Any]]:
    """The schedule's commits as JSON."""
    records = [json.loads(each.value) for place in range(2) for each in world.log.records(Topic.EVENTS, place)]
    return [each for each in records if each.get("stream") == STREAM]


def full_life(world: World) -> Recorded:
    """One of everything."""
    player = Recorded(world, ByCron("* * * * *"), overlap="queue", queue_limit=1, missed="none")
    player.play(NOON + 3 * MINUTE)  # fired, waiting, queue_full
    first = player.fired[0]
    player.tell(NoteExecutionEnded(first.execution_id, first.firing_id, "failed", player.now, "http_status: 503"))
    player.tick(NOON + 9 * MINUTE + 30 * SECOND)  # missed
    player.tell(PauseSchedule(player.now, "holidays\x00"))
    player.play(NOON + 20 * MINUTE)
    player.tell(ResumeSchedule(player.now))
    player.tell(UpdateSchedule(definition(ByInterval(600), overlap="allow"), player.now))
    player.tell(StartBackfill(BACKFILL, NOON - 60 * MINUTE, NOON, player.now, 60, "f"))
    player.play(NOON + 40 * MINUTE)
    player.tick(NOON + 50 * MINUTE + 30 * SECOND)  # late
    return player


def test_what_became_of_every_firing() -> None:
    world = World()
    player = full_life(world)
    row, firings, tables = folded(world)
    assert (row["status"], row["reason"], row["run_count"]) == (
        "active",
        "",
        len([f for f in player.fired if not f.backfill]),
    )
    assert row["next_run_at"] == NOON + 60 * MINUTE
    assert row["last_execution_id"] == player.fired[-1].execution_id
    by_minute = {(each["due_at"] - NOON) // MINUTE: each for each in firings if not each["backfill_id"]}
    assert (by_minute[1]["outcome"], by_minute[1]["execution_status"], by_minute[1]["message"]) == (
        "fired", "failed", "http_status: 503",
    )  # fmt: skip
    assert (by_minute[2]["outcome"], by_minute[2]["execution_id"]) == ("late", player.fired[1].execution_id)
    assert (by_minute[3]["outcome"], by_minute[3]["reason"]) == ("skipped", "queue_full")
    assert (by_minute[4]["reason"], by_minute[4]["count"], by_minute[4]["last_due_at"]) == (
        "missed",
        5,
        NOON + 8 * MINUTE,
    )
    assert (by_minute[9]["outcome"], by_minute[9]["reason"]) == ("skipped", "paused")
    assert (by_minute[10]["reason"], by_minute[10]["count"]) == ("paused", 11)
    assert (by_minute[50]["outcome"], by_minute[50]["late_by"]) == ("late", 30 * SECOND)
    (backfill,) = tables.all_rows("schedule_backfills")
    assert (backfill["status"], backfill["total"], backfill["fired"]) == ("completed", 7, 7)
    assert len([each for each in firings if each["backfill_id"] == BACKFILL]) == 7


def test_a_schedule_that_has_ended_and_runs_again() -> None:
    world = World()
    player = Recorded(world, Once(NOON + MINUTE))
    player.play(NOON + 2 * MINUTE)
    row, _, _ = folded(world)
    assert (row["status"], row["reason"], row["next_run_at"]) == ("ended", "no_more", None)
    player.tell(UpdateSchedule(definition(Once(NOON + 5 * MINUTE)), player.now))
    row, _, _ = folded(world)
    assert (row["status"], row["reason"], row["next_run_at"]) == ("active", "", NOON + 5 * MINUTE)


def test_the_second_fold_says_the_same() -> None:
    world = World()
    full_life(world)
    found: list[tuple[str, str, str]] = []
    history = AggregateHistory(lambda *finding: found.append(finding))
    for commit in commits(world):
        history.fold(commit)
    assert found == []
    tables = world.fold()
    for name in ("schedules", "schedule_firings", "schedule_backfills"):
        expected = history.tables[name]
        rows = {(row.pop("id"),): row for row in tables.all_rows(name)}
        for row in rows.values():
            if "definition" in row:
                row["definition"] = digest(json.loads(row["definition"]))
        assert rows == expected, name


def test_an_event_before_the_first_is_found() -> None:
    found: list[tuple[str, str, str]] = []
    history = AggregateHistory(lambda *finding: found.append(finding))
    event = {"type": "schedule.armed", "data": {"after": 1}}
    history.fold({"stream": STREAM, "version": 3, "workspace": SPACE, "events": [event]})
    assert found == [("transition", f"{STREAM} version 3", "schedule.armed follows nothing")]
