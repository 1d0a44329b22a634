"""One decision in the making: events noted one by one, the state after them, and the starts they ask for."""

from typing import Any

from domain.decision import Decision, OutgoingCommand
from domain.execution.commands import StartExecution
from domain.execution.events import Origin
from domain.schedule import firing_ids
from domain.schedule.events import (
    FiringsSkipped,
    FiringSuppressed,
    ScheduleArmed,
    ScheduleEnded,
    ScheduleEvent,
    ScheduleFired,
    SkipReason,
)
from domain.schedule.state import Schedule, evolve
from domain.schedule.timing import Following, Occurrence, between, following, newest
from domain.schedule.zones import moment_of

MOST_COUNTED = 2_000
"""Skipped firings are counted up to here; what is beyond is said to be more."""


class Course:
    """`now`: owner's time, ms. `state` moves on with every event noted."""

    def __init__(self, schedule_id: str, state: Schedule, now: int) -> None:
        self.schedule_id = schedule_id
        self.state = state
        self.now = now
        self.events: list[ScheduleEvent] = []
        self.commands: list[OutgoingCommand] = []

    def decision(self) -> Decision:
        return Decision(self.events, self.state, commands=self.commands)

    def note(self, event: ScheduleEvent) -> None:
        self.events.append(event)
        self.state = evolve(self.state, event)

    def begin(self, after: int) -> None:
        """Reckon anew from `after` on."""
        coming = following(self.state.definition.timing, after)
        self.suppress(coming)
        self.arm(after, coming.occurrence)

    def arm(self, after: int, occurrence: Occurrence | None) -> None:
        """Everything up to `after` is dealt with; `occurrence` comes next."""
        if occurrence is None:
            self.note(ScheduleArmed(after))
            self.note(ScheduleEnded(self.now, "no_more"))
        else:
            self.note(ScheduleArmed(after, occurrence.due, occurrence.local, occurrence.rule))

    def suppress(self, coming: Following) -> None:
        """Note the local times that will bring no firing before what comes next."""
        for each in coming.suppressed:
            note_id = firing_ids.note_of(self.schedule_id, "suppressed", each.due)
            self.note(
                FiringSuppressed(note_id, each.due, each.first_local, each.last_local, each.times, each.rule, self.now)
            )

    def skip_range(self, until: int, reason: SkipReason) -> None:
        """Whatever is due up to `until` and was not dealt with does not happen."""
        timing, after = self.state.definition.timing, self.state.after
        counted = between(timing, after, until, MOST_COUNTED)
        if not counted:
            return
        more = len(counted) == MOST_COUNTED
        last = newest(timing, after, until, 1)[-1] if more else counted[-1]
        self._skipped(counted[0], last, len(counted), reason, more=more)

    def skip(self, occurrence: Occurrence, reason: SkipReason, execution_id: str = "") -> None:
        self._skipped(occurrence, occurrence, 1, reason, execution_id=execution_id)

    def _skipped(
        self,
        first: Occurrence,
        last: Occurrence,
        count: int,
        reason: SkipReason,
        *,
        more: bool = False,
        execution_id: str = "",
    ) -> None:
        self.note(
            FiringsSkipped(
                firing_id=firing_ids.firing_of(self.schedule_id, first.due),
                first_due=first.due,
                last_due=last.due,
                first_local=first.local,
                last_local=last.local,
                count=count,
                reason=reason,
                at=self.now,
                more=more,
                execution_id=execution_id,
                rule=first.rule if count == 1 else "",
            )
        )

    def start(self, occurrence: Occurrence, *, backfill: str = "", number: int) -> None:
        """Fire: an execution is asked for."""
        firing_id = firing_ids.firing_of(self.schedule_id, occurrence.due, backfill)
        execution_id = firing_ids.execution_of(firing_id)
        fires_at = occurrence.due if backfill else self.state.fires_at(occurrence.due)
        fired = ScheduleFired(
            firing_id=firing_id,
            due=occurrence.due,
            local=occurrence.local,
            at=self.now,
            late_by=0 if backfill else max(0, self.now - fires_at),
            execution_id=execution_id,
            number=number,
            rule=occurrence.rule,
            jitter=fires_at - occurrence.due,
            backfill=backfill,
        )
        self.note(fired)
        definition = self.state.definition
        start = StartExecution(
            execution_id=execution_id,
            workflow_id=definition.workflow_id,
            workflow_version=0,
            trigger_node=definition.node,
            trigger_type="schedule",
            items=[{"json": self._item(fired)}],
            queued_at=self.now,
            priority="",  # the workflow's
            fingerprint=firing_id,
            origin=Origin("schedule", f"schedule-{self.schedule_id}", ref=firing_id),
        )
        self.commands.append(OutgoingCommand(firing_ids.start_of(firing_id), f"execution-{execution_id}", start))

    def _item(self, fired: ScheduleFired) -> dict[str, Any]:
        """What the workflow sees of a firing."""
        item: dict[str, Any] = {
            "scheduled_at": _text(fired.due),
            "fired_at": _text(fired.at),
            "late_by_seconds": fired.late_by / 1_000,
            "schedule_id": self.schedule_id,
            "local_time": fired.local,
            "timezone": self.state.definition.timing.timezone,
        }
        if fired.rule:
            item["dst"] = fired.rule
        if fired.backfill:
            item["backfill_id"] = fired.backfill
        if self.state.definition.input is not None:
            item["input_data"] = self.state.definition.input
        return item


def _text(instant: int) -> str:
    return moment_of(instant).isoformat(timespec="milliseconds").replace("+00:00", "Z")
