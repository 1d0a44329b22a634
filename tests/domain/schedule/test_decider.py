"""A schedule's rules: what fires, what does not and why, overlaps, backfills, its life."""

from datetime import UTC, datetime

import pytest

from domain.decision import DUPLICATE
from domain.errors import ImpossibleHistory
from domain.schedule.commands import (
    CancelBackfill,
    CreateSchedule,
    DeleteSchedule,
    EndSchedule,
    EnsureSchedule,
    NoteExecutionEnded,
    PauseSchedule,
    ResumeSchedule,
    StartBackfill,
    UpdateSchedule,
)
from domain.schedule.decider import decide, evolve, next_due, restore, snapshot
from domain.schedule.events import (
    BackfillEnded,
    BackfillStarted,
    FiringDeferred,
    FiringSuppressed,
    ScheduleArmed,
    ScheduleCreated,
    ScheduleEnded,
)
from domain.schedule.timing import ByCron, ByInterval, Once
from domain.ticking import PassTime
from tests.domain.schedule.player import ID, MINUTE, SECOND, STREAM, Player, definition

NOON = int(datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp()) * 1_000
EVERY_MINUTE = ByCron("* * * * *")
OTHER = "5a0f3c5e-8e0f-49f4-b7b0-1d2f9f2b6c41"


def after_downtime(minutes: int, **policies: object) -> Player:
    player = Player(EVERY_MINUTE, NOON, **policies)
    player.play(NOON + MINUTE)
    player.hand_over()
    player.tick(NOON + minutes * MINUTE + 30 * SECOND)
    return player


def dues(player: Player) -> list[float]:
    """When what fired was due, in minutes after noon."""
    return [(each.due - NOON) / MINUTE for each in player.fired]


def end(player: Player, number: int = -1, status: str = "completed") -> None:
    fired = player.fired[number]
    player.tell(NoteExecutionEnded(fired.execution_id, fired.firing_id, status, player.now))  # type: ignore[arg-type]


# --- firing ----------------------------------------------------------------------------------------------------------


def test_a_firing_starts_an_execution_under_ids_derived_from_schedule_and_due_time() -> None:
    player = Player(EVERY_MINUTE, NOON, input={"customer": 7}, node="nightly")
    other = Player(EVERY_MINUTE, NOON, input={"customer": 7}, node="nightly")
    player.tick(NOON + MINUTE + 400)
    other.tick(NOON + MINUTE + 900)
    (fired,), (again,) = player.fired, other.fired
    assert (fired.firing_id, fired.execution_id) == (again.firing_id, again.execution_id)
    assert (fired.due, fired.late_by, fired.number) == (NOON + MINUTE, 400, 1)
    (outgoing,) = player.commands
    start = outgoing.command
    assert outgoing.id == other.commands[0].id
    assert outgoing.stream == f"execution-{fired.execution_id}"
    assert (start.workflow_version, start.trigger_type, start.trigger_node) == (0, "schedule", "nightly")
    assert start.priority == "", "the workflow's"
    assert (start.origin.kind, start.origin.stream, start.origin.ref) == ("schedule", STREAM, fired.firing_id)
    assert start.items == [
        {
            "json": {
                "scheduled_at": "2026-06-01T12:01:00.000Z",
                "fired_at": "2026-06-01T12:01:00.400Z",
                "late_by_seconds": 0.4,
                "schedule_id": ID,
                "local_time": "2026-06-01T12:01:00",
                "timezone": "UTC",
                "input_data": {"customer": 7},
            }
        }
    ]


def test_jitter_puts_off_by_the_same_share_for_everybody() -> None:
    delays = set()
    for _ in range(2):
        player = Player(ByInterval(3_600), NOON, jitter_seconds=600)
        player.play(NOON + 24 * 60 * MINUTE)
        delays.add(tuple(each.jitter for each in player.fired))
        assert all(0 <= each.at - each.due - each.jitter < SECOND for each in player.fired)
    (shares,) = delays
    assert len(set(shares)) > 20
    assert all(0 <= share < 600 * SECOND for share in shares)


def test_a_one_off_fires_once_and_ends() -> None:
    player = Player(Once(NOON + MINUTE), NOON)
    player.play(NOON + 10 * MINUTE)
    assert dues(player) == [1]
    assert player.events[-1] == ScheduleEnded(NOON + MINUTE, "no_more")
    assert player.state is not None
    assert (player.state.status, next_due(player.state)) == ("ended", None)


def test_suppressed_times_are_said_when_they_are_known() -> None:
    start = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp()) * 1_000
    player = Player(ByCron("30 1 * * *", "America/New_York"), start)
    player.play(start + 48 * 60 * MINUTE)
    (suppressed,) = player.of(FiringSuppressed)
    assert (suppressed.rule, suppressed.count, suppressed.first_local) == ("overlap", 1, "2026-11-01T01:30:00")
    assert suppressed.due - player.fired[0].due == 60 * MINUTE
    assert [each.rule for each in player.fired] == ["overlap", ""]


# --- missed ----------------------------------------------------------------------------------------------------------


def test_missed_none_skips_all_but_what_is_in_time_still() -> None:
    player = after_downtime(10, missed="none")
    assert dues(player) == [1, 10]
    (skipped,) = player.skipped
    assert (skipped.reason, skipped.count) == ("missed", 8)
    assert (skipped.first_due, skipped.last_due) == (NOON + 2 * MINUTE, NOON + 9 * MINUTE)
    assert player.fired[-1].late_by == 30 * SECOND


def test_missed_last_fires_the_newest_only_where_nothing_fires_anyway() -> None:
    assert dues(after_downtime(10, missed="last")) == [1, 10]
    hourly = Player(ByCron("0 * * * *"), NOON, missed="last")
    hourly.tick(NOON + 5 * 60 * MINUTE + 30 * MINUTE)
    assert dues(hourly) == [300]
    assert hourly.skipped[0].count == 4
    assert hourly.fired[0].late_by == 30 * MINUTE


def test_missed_all_fires_the_newest_up_to_the_limit_oldest_first() -> None:
    player = after_downtime(10, missed="all", missed_limit=3)
    assert dues(player) == [1, 7, 8, 9, 10]
    assert [each.count for each in player.skipped] == [5]


def test_a_long_downtime_costs_little_and_says_that_there_was_more() -> None:
    player = Player(ByCron("* * * * * *"), NOON, missed="all", missed_limit=50)
    player.tick(NOON + 7 * 24 * 60 * MINUTE)
    (skipped,) = player.skipped
    assert (skipped.count, skipped.more) == (2_000, True)
    assert len(player.fired) == 50 + 60
    assert skipped.last_due + SECOND == player.fired[0].due
    assert max(len(each.command.items) for each in player.commands) == 1


# --- overlap ---------------------------------------------------------------------------------------------------------


def test_overlap_skip_names_the_execution_in_the_way() -> None:
    player = Player(EVERY_MINUTE, NOON, overlap="skip")
    player.play(NOON + 3 * MINUTE)
    assert dues(player) == [1]
    assert {each.reason for each in player.skipped} == {"overlap"}
    assert {each.execution_id for each in player.skipped} == {player.fired[0].execution_id}
    end(player)
    player.play(NOON + 4 * MINUTE)
    assert dues(player) == [1, 4]


def test_overlap_queue_goes_on_in_order_and_is_bounded() -> None:
    player = Player(EVERY_MINUTE, NOON, overlap="queue", queue_limit=2)
    player.play(NOON + 4 * MINUTE)
    assert dues(player) == [1]
    assert [(each.due - NOON) / MINUTE for each in player.of(FiringDeferred)] == [2, 3]
    assert [each.reason for each in player.skipped] == ["queue_full"]
    player.hand_over()
    end(player)
    assert dues(player) == [1, 2]
    end(player, status="refused")
    assert dues(player) == [1, 2, 3]
    end(player)
    assert dues(player) == [1, 2, 3]
    assert player.fired[-1].execution_id == player.of(FiringDeferred)[-1].execution_id


def test_the_end_of_an_execution_told_twice_changes_nothing() -> None:
    player = Player(EVERY_MINUTE, NOON, overlap="queue")
    player.play(NOON + 3 * MINUTE)
    end(player, 0)
    before = list(player.events)
    end(player, 0)
    assert player.events == before


def test_allow_remembers_no_executions() -> None:
    player = Player(EVERY_MINUTE, NOON)
    player.play(NOON + 50 * MINUTE)
    assert player.state is not None
    assert player.state.open == ()
    assert len(snapshot(player.state)) < 400


# --- pause, change, end ----------------------------------------------------------------------------------------------


def test_a_pause_is_accounted_for() -> None:
    player = Player(EVERY_MINUTE, NOON)
    player.play(NOON + MINUTE)
    assert player.tell(PauseSchedule(player.now, "holidays")).events
    assert player.tell(PauseSchedule(player.now)).outcome == DUPLICATE
    player.play(NOON + 30 * MINUTE)
    assert player.tell(ResumeSchedule(player.now)).events
    player.play(NOON + 32 * MINUTE)
    assert dues(player) == [1, 31, 32]
    (skipped,) = player.skipped
    assert (skipped.reason, skipped.count) == ("paused", 29)


def test_what_is_due_fires_before_a_change_takes_hold() -> None:
    player = Player(EVERY_MINUTE, NOON)
    player.now = NOON + MINUTE
    player.tell(UpdateSchedule(definition(ByInterval(120)), player.now))
    player.play(NOON + 6 * MINUTE)
    assert dues(player) == [1, 2, 4, 6]


def test_a_change_of_the_name_alone_leaves_the_times_alone() -> None:
    player = Player(EVERY_MINUTE, NOON)
    decision = player.tell(UpdateSchedule(definition(EVERY_MINUTE, description="new"), player.now))
    assert [type(each).__name__ for each in decision.events] == ["ScheduleChanged"]
    assert player.state is not None
    assert player.state.next is not None


def test_an_ended_schedule_runs_again_when_it_is_defined_anew() -> None:
    player = Player(Once(NOON + MINUTE), NOON)
    player.play(NOON + 2 * MINUTE)
    assert player.tell(ResumeSchedule(player.now)).outcome.code == "schedule_ended"
    player.tell(UpdateSchedule(definition(Once(NOON + 3 * MINUTE)), player.now))
    player.play(NOON + 4 * MINUTE)
    assert dues(player) == [1, 3]


def test_deleted_for_good() -> None:
    player = Player(EVERY_MINUTE, NOON, overlap="queue")
    player.play(NOON + 2 * MINUTE)
    player.tell(DeleteSchedule(player.now))
    assert player.skipped[-1].reason == "ended"
    assert player.state is not None
    assert next_due(player.state) is None
    for command in (ResumeSchedule(1), UpdateSchedule(definition(EVERY_MINUTE), 1), DeleteSchedule(1), PassTime(1)):
        assert player.tell(command).outcome.code == "schedule_not_found"


def test_refusals() -> None:
    player = Player(EVERY_MINUTE, NOON)
    create = CreateSchedule(ID, definition(EVERY_MINUTE), NOON, "print")
    assert player.tell(create).outcome == DUPLICATE
    assert player.tell(CreateSchedule(ID, definition(EVERY_MINUTE), NOON, "x")).outcome.code == "idempotency_mismatch"
    assert player.tell(CreateSchedule(OTHER, definition(EVERY_MINUTE), NOON)).outcome.code == "wrong_stream"
    for bad, field in (
        (definition(ByCron("61 * * * *")), "cron_expression"),
        (definition(ByCron("* * * * *", "Mars/Olympus")), "timezone"),
        (definition(Once(NOON - 1)), "at"),
        (definition(ByInterval(10), jitter_seconds=10), "jitter_seconds"),
        (definition(EVERY_MINUTE, missed_limit=0), "missed_runs.limit"),
        (definition(EVERY_MINUTE, input={"large": "x" * 40_000}), "input_data"),
    ):
        decision = decide(CreateSchedule(ID, bad, NOON), None, workspace="w", stream_id=STREAM, now=NOON)
        assert decision.outcome.code == "invalid_schedule"
        assert [path for path, _ in decision.outcome.problems] == [field]


# --- schedules of workflows ------------------------------------------------------------------------------------------


def test_a_node_s_schedule_comes_and_goes_with_its_workflow_whatever_comes_twice() -> None:
    node = definition(EVERY_MINUTE, node="nightly", of_workflow=True)
    player = Player(EVERY_MINUTE, NOON)
    player.state, player.events = None, []
    player.tell(EnsureSchedule(node, 1, NOON))
    assert isinstance(player.events[0], ScheduleCreated)
    player.play(NOON + MINUTE)
    assert player.tell(UpdateSchedule(definition(EVERY_MINUTE), 1)).outcome.code == "schedule_of_workflow"
    assert player.tell(DeleteSchedule(1)).outcome.code == "schedule_of_workflow"
    player.tell(EndSchedule(2, player.now, "workflow inactive"))
    player.tell(EnsureSchedule(node, 1, NOON))  # sent once more by a new owner
    player.play(NOON + 3 * MINUTE)
    assert dues(player) == [1]
    player.tell(EnsureSchedule(node, 3, player.now))
    player.tell(EndSchedule(2, player.now))
    player.play(NOON + 5 * MINUTE)
    assert dues(player) == [1, 4, 5]


def test_who_paused_a_node_s_schedule_resumes_it() -> None:
    node = definition(EVERY_MINUTE, of_workflow=True)
    player = Player(EVERY_MINUTE, NOON)
    player.state, player.events = None, []
    player.tell(EnsureSchedule(node, 1, NOON))
    player.tell(PauseSchedule(NOON))
    player.tell(EnsureSchedule(definition(ByInterval(30), of_workflow=True), 2, NOON))
    player.play(NOON + MINUTE)
    assert player.fired == []
    player.tell(ResumeSchedule(player.now))
    player.play(NOON + 2 * MINUTE)
    assert dues(player) == [1.5, 2]


# --- backfills -------------------------------------------------------------------------------------------------------


def test_a_backfill_fires_the_past_at_its_pace_beside_the_schedule() -> None:
    player = Player(ByCron("0 * * * *"), NOON)
    hours = 60 * MINUTE
    player.tell(StartBackfill(OTHER, NOON - 5 * hours, NOON - hours, NOON, 30, "f"))
    assert player.tell(StartBackfill(OTHER, NOON - 5 * hours, NOON - hours, NOON, 30, "f")).outcome == DUPLICATE
    assert player.tell(StartBackfill(OTHER, 0, 1, NOON, 30, "g")).outcome.code == "idempotency_mismatch"
    player.hand_over()
    player.play(NOON + hours)
    assert player.of(BackfillStarted)[0].total == 5
    filled = [each for each in player.fired if each.backfill]
    assert [(each.due - NOON) / hours for each in filled] == [-5, -4, -3, -2, -1]
    assert [(each.at - NOON) // SECOND for each in filled] == [0, 2, 4, 6, 8]
    assert [each.number for each in filled] == [1, 2, 3, 4, 5]
    assert player.of(BackfillEnded)[0].status == "completed"
    assert [each.number for each in player.fired if not each.backfill] == [1]
    ordinary = {each.firing_id for each in player.fired if not each.backfill}
    assert ordinary.isdisjoint(each.firing_id for each in filled)


def test_a_fast_backfill_keeps_its_rate_over_ticks_of_a_second() -> None:
    player = Player(EVERY_MINUTE, NOON, missed="none")
    player.tell(StartBackfill(OTHER, NOON - 200 * MINUTE, NOON, NOON, 300))
    player.play(NOON + 10 * SECOND)
    assert 45 <= len(player.fired) <= 60


def test_a_backfill_waits_for_executions_that_must_not_overlap() -> None:
    player = Player(ByCron("0 0 1 * *"), NOON, overlap="skip")
    player.tell(StartBackfill(OTHER, NOON - 90 * 24 * 60 * MINUTE, NOON, NOON, 600))
    player.play(NOON + 10 * SECOND)
    assert len(player.fired) == 1
    end(player)
    player.play(NOON + 20 * SECOND)
    assert len(player.fired) == 2


def test_a_cancelled_backfill_stops() -> None:
    player = Player(ByCron("0 * * * *"), NOON)
    player.tell(StartBackfill(OTHER, NOON - 600 * MINUTE, NOON, NOON, 60))
    player.play(NOON + 3 * SECOND)
    player.tell(CancelBackfill(OTHER, player.now))
    assert player.tell(CancelBackfill(OTHER, player.now)).outcome == DUPLICATE
    count = len(player.fired)
    player.play(NOON + MINUTE)
    assert len(player.fired) == count
    assert player.tell(CancelBackfill(ID, player.now)).outcome.code == "backfill_not_found"


@pytest.mark.parametrize(
    ("since", "until", "per_minute", "field"),
    [(2, 1, 60, "from"), (0, NOON + 1, 60, "to"), (0, 1, 0, "per_minute"), (0, NOON, 60, "from")],
)
def test_backfills_that_are_not_possible(since: int, until: int, per_minute: int, field: str) -> None:
    player = Player(EVERY_MINUTE, NOON)
    outcome = player.tell(StartBackfill(OTHER, since, until, NOON, per_minute)).outcome
    assert outcome.code == "invalid_backfill"
    assert field in [path for path, _ in outcome.problems]


# --- state -----------------------------------------------------------------------------------------------------------


def test_a_checkpoint_keeps_everything() -> None:
    player = Player(EVERY_MINUTE, NOON, overlap="queue", jitter_seconds=5)
    player.tell(StartBackfill(OTHER, NOON - 3 * MINUTE, NOON, NOON, 60))
    player.play(NOON + 5 * MINUTE)
    assert player.state is not None
    assert restore(snapshot(player.state)) == player.state


def test_a_zone_that_moved_its_clocks_meanwhile_arms_anew() -> None:
    """The time zone database was updated: what was armed is not due any more, or due at another time."""
    player = Player(ByCron("0 9 * * *", "Europe/Berlin"), NOON)
    assert player.state is not None
    assert player.state.next is not None
    wrong = ScheduleArmed(player.state.after, player.state.next.due - 60 * MINUTE, player.state.next.local)
    player.state = evolve(player.state, wrong)
    player.play(NOON + 24 * 60 * MINUTE)
    assert [each.local for each in player.fired] == ["2026-06-02T09:00:00"]
    assert [each.late_by for each in player.fired] == [0]


def test_impossible_histories() -> None:
    with pytest.raises(ImpossibleHistory):
        evolve(None, ScheduleArmed(1))
    player = Player(EVERY_MINUTE, NOON)
    with pytest.raises(ImpossibleHistory):
        evolve(player.state, player.events[0])
    with pytest.raises(ImpossibleHistory):
        restore(b"nonsense")
