"""When an effect may begin, and what a successor says of it: rules 9 and 10 (trace 13).

One unsafe attempt, accepted at tick 0 by owner A. A checks that it may begin, and then begins. B may take over at any
moment; time goes on in ticks, which an owner may hear late. No clock closes the gap between A's check and its
beginning: with `pauses` = 1 the model shows that the effect may happen after it was recorded as unknown. What must hold
even then: it begins once, and what comes of it is recorded.
"""

from collections.abc import Iterable
from typing import NamedTuple

from tests.model.checker import Rules

START_DEADLINE = 1
LEASE = 1
TIMEOUT = 1
GRACE = 2
"""All in ticks. An owner that is not paused begins one tick after its check at most (GRACE covers that, and LEASE)."""

ACCEPTED, CHECKED, PERFORMING, ENDED, TOLD, GONE = range(6)


class State(NamedTuple):
    """`heard`: A's newest tick; `clock_behind`: how much A's own clock missed; `checked`: the time of A's check.

    `record`: what the log says of the attempt; `late`: the result that A appended is there.
    """

    now: int = 0
    a: int = ACCEPTED
    heard: int = 0
    clock_behind: int = 0
    checked: int = -1
    begun: int = -1
    times: int = 0
    b: bool = False
    record: str = "under way"
    late: bool = False
    after_unknown: bool = False
    pauses: int = 0


class Effects(Rules):
    """Ticks to `until`; `pauses` of A between its check and the beginning, which no rule can forbid."""

    names = (
        "9 an effect begins before its deadline",
        "9 an owner that hears no ticks begins nothing",
        "9 by a clock that counts suspend",
        "10 unsafe attempts are not made again",
        "10 unknown is said after deadline, time-out and grace",
        "10 a late result is recorded",
    )

    def __init__(self, off: Iterable[str] = (), *, until: int = 8, pauses: int = 0) -> None:
        super().__init__(off)
        self.until, self.pauses = until, pauses
        self.deadline, self.lease, self.counts_suspend = map(self.on, self.names[:3])
        self.once, self.waits, self.records_late = map(self.on, self.names[3:])

    def initial(self) -> State:
        return State()

    def steps(self, state: State) -> Iterable[tuple[str, State]]:
        if state.now < self.until and not self._must_act(state):
            later = state._replace(now=state.now + 1)
            yield f"tick {later.now}", later
            if state.a == ACCEPTED:
                yield (
                    f"tick {later.now}, A's machine sleeps meanwhile",
                    later._replace(clock_behind=state.clock_behind + 1),
                )
        if state.now < self.until and self._must_act(state) and state.a == CHECKED and state.pauses < self.pauses:
            # A pause may be as long as it likes: A's check is forgotten as a reason to act.
            yield "A is paused", state._replace(pauses=state.pauses + 1, checked=self.until)
        yield from self._performer(state)
        if not state.b:
            yield "B takes over", state._replace(b=True)
        elif state.record == "under way":
            yield from self._successor(state)

    def _must_act(self, state: State) -> bool:
        """A process that is not paused acts within a tick, and an effect ends by its time-out."""
        checked = state.a == CHECKED and state.now > state.checked
        return checked or (state.a == PERFORMING and state.now >= state.begun + TIMEOUT) or state.a == ENDED

    def _performer(self, state: State) -> Iterable[tuple[str, State]]:
        if state.a == ACCEPTED:
            if state.heard < state.now:
                yield f"A hears tick {state.now}", state._replace(heard=state.now, clock_behind=0)
            if self._may_begin(state):
                yield (
                    f"A checks at {state.now}, having heard {state.heard}: it may begin",
                    state._replace(a=CHECKED, checked=state.now),
                )
            else:
                yield "A may not begin any more", state._replace(a=GONE)
        elif state.a == CHECKED:
            after = state._replace(a=PERFORMING, begun=state.now, times=state.times + 1)
            yield "A begins the effect", after._replace(after_unknown=state.record == "unknown")
        elif state.a == PERFORMING:
            yield "A's effect ends", state._replace(a=ENDED)
        elif state.a == ENDED:
            keeps = not state.b or self.records_late
            record = "succeeded" if state.record == "under way" and not state.b else state.record
            late = keeps and record != "succeeded"
            yield "A appends the result", state._replace(a=TOLD, record=record, late=late)

    def _may_begin(self, state: State) -> bool:
        silence = state.now - state.heard - (0 if self.counts_suspend else state.clock_behind)
        return (not self.deadline or state.heard <= START_DEADLINE) and (not self.lease or silence <= LEASE)

    def _successor(self, state: State) -> Iterable[tuple[str, State]]:
        if not self.once:
            yield "B makes the attempt again", state._replace(times=state.times + 1, record="succeeded")
        elif state.now > START_DEADLINE + TIMEOUT + GRACE or not self.waits:
            yield f"B records at {state.now} that the outcome is unknown", state._replace(record="unknown")

    def wrong(self, state: State) -> Iterable[tuple[str, str]]:
        if state.times > 1:
            yield "effect once", "the unsafe effect was begun twice"
        if state.a == PERFORMING and state.record == "unknown" and not state.pauses:
            yield "unknown is over", "recorded as unknown, and under way although nobody was paused"
        if state.after_unknown and state.pauses:
            yield "nothing begins after unknown", "the effect began after it was recorded as unknown (trace 13)"
        if state.a == TOLD and state.record != "succeeded" and not state.late:
            yield "no result is lost", "the effect happened, its result is recorded nowhere"

    def finished(self, state: State) -> bool:
        return state.record != "under way" or (state.a == TOLD and state.late)
