"""How long ids are remembered, and which inputs are too late: rule 14.

A caller looks in the read model, and may wait before it appends; the input waits in the log before it is decided. The
same id may be in the log twice. Whoever decides remembers ids of closed streams, until they may go.
"""

from collections.abc import Iterable
from typing import NamedTuple

from tests.model.checker import Rules, replaced

STALE_AFTER = 2
"""Units of time: an input appended later than this after its caller looked is refused."""

MARGIN = 1


class State(NamedTuple):
    """`callers`: when each looked (−1: not yet; −2: done). `log`: (looked, appended) of inputs, `answered` of them.

    `runs`: executions of the id. `visible`: since when the read model has the execution (−1: it has not).
    `drop_at`: the id may be forgotten when so many inputs are answered (−1: not known yet).
    """

    now: int = 0
    callers: tuple[int, ...] = (-1, -1)
    log: tuple[tuple[int, int], ...] = ()
    answered: int = 0
    runs: int = 0
    visible: int = -1
    remembered: bool = False
    drop_at: int = -1
    told: int = 0


class Remembered(Rules):
    """`callers` with one id; time goes to `until`."""

    names = (
        "14 ids are remembered until the read model has them",
        "14 ids are kept while an input may still come",
        "14 ids are kept until what stood in the log is answered",
        "14 late inputs are refused",
        "14 time in the log does not count",
    )

    def __init__(self, off: Iterable[str] = (), *, callers: int = 2, until: int = 7) -> None:
        super().__init__(off)
        self.callers, self.until = callers, until
        self.until_visible, self.waits, self.drains, self.refuses, self.by_append = map(self.on, self.names)

    def initial(self) -> State:
        return State(callers=(-1,) * self.callers)

    def steps(self, state: State) -> Iterable[tuple[str, State]]:
        if state.now < self.until:
            yield f"it is {state.now + 1}", state._replace(now=state.now + 1)
        for caller, looked in enumerate(state.callers):
            if looked == -1:
                found = state.visible >= 0
                after = state._replace(callers=replaced(state.callers, caller, -2 if found else state.now))
                if found:
                    yield f"caller {caller} finds the execution in the read model", after._replace(told=state.told + 1)
                else:
                    yield f"caller {caller} looks and finds nothing", after
            elif looked >= 0:
                after = state._replace(callers=replaced(state.callers, caller, -2))
                yield f"caller {caller} appends", after._replace(log=(*state.log, (looked, state.now)))
        if state.answered < len(state.log):
            yield self._decide(state)
        if state.runs and state.visible < 0:
            yield "the read model has the execution", state._replace(visible=state.now)
        yield from self._forget(state)

    def _decide(self, state: State) -> tuple[str, State]:
        looked, appended = state.log[state.answered]
        after = state._replace(answered=state.answered + 1, told=state.told + 1)
        if state.remembered:
            return "the owner knows the id: a duplicate", after
        age = (appended if self.by_append else state.now) - looked
        if self.refuses and age > STALE_AFTER:
            return "the owner refuses the input: too late", after
        return "the owner starts an execution, which ends", after._replace(
            runs=state.runs + 1, remembered=True, drop_at=-1
        )

    def _forget(self, state: State) -> Iterable[tuple[str, State]]:
        if not state.remembered:
            return
        if state.drop_at < 0:
            if self.until_visible and state.visible < 0:
                return
            if self.until_visible and self.waits and state.now <= state.visible + STALE_AFTER + MARGIN:
                return
            end = len(state.log) if self.drains else 0
            yield f"the id may go when {end} inputs are answered", state._replace(drop_at=end)
        elif state.answered >= state.drop_at:
            yield "the owner forgets the id", state._replace(remembered=False)

    def wrong(self, state: State) -> Iterable[tuple[str, str]]:
        if state.runs > 1:
            yield "executed once", f"one id was executed {state.runs} times"
        if (
            not self.by_append
            and state.answered
            and not state.runs
            and state.log[0][1] - state.log[0][0] <= STALE_AFTER
        ):
            yield "nothing refused for waiting", "an input that came in time was refused because the log was slow"

    def finished(self, state: State) -> bool:
        return state.told == self.callers
