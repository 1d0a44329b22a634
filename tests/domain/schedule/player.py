"""Plays a schedule on ticks: what the owner of a partition does, with time as an argument."""

from typing import Any

from domain.decision import Decision
from domain.schedule.commands import CreateSchedule
from domain.schedule.decider import Schedule, decide, evolve, next_due, restore, snapshot
from domain.schedule.definition import Definition, Policies
from domain.schedule.events import FiringsSkipped, ScheduleFired
from domain.schedule.timing import Timing
from domain.ticking import PassTime

ID = "2e4d1a70-6c1b-4f7e-8b25-5d0c9a3e7b81"
WORKFLOW = "7d7a2c04-93b1-4a0f-8a58-0a3c0f7a9e21"
STREAM = f"schedule-{ID}"
MINUTE = 60_000
SECOND = 1_000


def definition(timing: Timing, **more: Any) -> Definition:
    policies = Policies(**{name: more.pop(name) for name in Policies.__struct_fields__ if name in more})
    return Definition(workflow_id=WORKFLOW, name="Nightly", timing=timing, policies=policies, **more)


class Player:
    """One schedule in an owner's memory. `now` is owner's time; `events` everything recorded so far."""

    def __init__(self, timing: Timing, now: int, **more: Any) -> None:
        self.now = now
        self.state: Schedule | None = None
        self.events: list[Any] = []
        self.commands: list[Any] = []
        self.tell(CreateSchedule(ID, definition(timing, **more), now, "print"))

    def tell(self, command: Any) -> Decision:
        decision = decide(command, self.state, workspace="w", stream_id=STREAM, now=self.now)
        folded = self.state
        for event in decision.events:
            folded = evolve(folded, event)
        assert folded == decision.state, "the fold of its events is not what the decider says"
        self.state = decision.state
        self.events += decision.events
        self.commands += decision.commands
        return decision

    def tick(self, now: int) -> None:
        """Time has come to `now`: everything due is done, as an owner does it."""
        self.now = now
        while self.state is not None and (due := next_due(self.state)) is not None and due <= now:
            assert self.tell(PassTime(now)).events, "woken for nothing: it would never be woken again"

    def play(self, until: int, every: int = SECOND) -> None:
        """Ticks `every` ms up to `until`; those at which nothing is due are not looked at, as an owner does."""
        while self.state is not None and (due := next_due(self.state)) is not None:
            at = -(-max(due, self.now + 1) // every) * every
            if at > until:
                break
            self.tick(at)
        self.now = until

    def hand_over(self) -> None:
        """The partition gets another owner, from its checkpoint."""
        assert self.state is not None
        self.state = restore(snapshot(self.state))

    @property
    def fired(self) -> list[ScheduleFired]:
        return [event for event in self.events if isinstance(event, ScheduleFired)]

    @property
    def skipped(self) -> list[FiringsSkipped]:
        return [event for event in self.events if isinstance(event, FiringsSkipped)]

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]
