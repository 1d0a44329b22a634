"""Inputs whose decision cannot be stored: rule 8 (trace 14).

Input 1 is poison of one of three kinds; a process may also crash by itself, and its input must not suffer for that.
"""

from collections.abc import Iterable
from typing import NamedTuple

from tests.model.checker import Rules

TOO_LARGE, RAISES, KILLS = "is too large", "raises", "kills its process"


class State(NamedTuple):
    """`log`: (input, what its answering record says).

    `suspects`: takeovers in a row that found the same input `suspect`; `downs`: 1 once an input took its owner down.
    """

    kind: str = ""
    log: tuple[tuple[int, str], ...] = ()
    alive: bool = False
    suspect: int = -1
    suspects: int = 0
    downs: int = 0
    crashes: int = 0


class Poison(Rules):
    """`inputs`, of which number 1 is poison; `crashes` that have nothing to do with any input."""

    names = (
        "8 size is checked before the append",
        "8 an exception becomes a failure",
        "8 what takes process after process down is put aside",
    )

    def __init__(self, off: Iterable[str] = (), *, inputs: int = 3, crashes: int = 2, limit: int = 3) -> None:
        super().__init__(off)
        self.inputs, self.crashes, self.limit = inputs, crashes, limit
        self.checks_size, self.catches, self.suspects = map(self.on, self.names)

    def initial(self) -> State:
        return State()

    def steps(self, state: State) -> Iterable[tuple[str, State]]:
        if not state.kind:
            for kind in (TOO_LARGE, RAISES, KILLS):
                yield f"the decision of input 1 {kind}", State(kind)
            return
        todo = len(state.log)
        if not state.alive:
            again = state.suspect == todo
            suspects = min(self.limit + 1, state.suspects + 1) if again else 1
            after = state._replace(alive=True, suspect=todo, suspects=suspects)
            yield f"an owner takes over, finds input {todo} unanswered", after
            return
        if state.crashes < self.crashes:
            yield "the process dies by itself", state._replace(alive=False, crashes=state.crashes + 1)
        if todo < self.inputs:
            yield self._decide(state, todo)

    def _decide(self, state: State, todo: int) -> tuple[str, State]:
        def answered(what: str) -> State:
            return state._replace(log=(*state.log, (todo, what)))

        if self.suspects and state.suspect == todo and state.suspects > self.limit:
            return f"input {todo} is put aside", answered("dead letter")
        if todo != 1:
            return f"input {todo} is decided", answered("decided")
        if state.kind == TOO_LARGE and self.checks_size:
            return "input 1 is recorded as failed, being too large", answered("failed")
        if state.kind == RAISES and self.catches:
            return "input 1 is recorded as failed, with its exception", answered("failed")
        return f"input 1 takes the process down ({state.kind})", state._replace(alive=False, downs=1)

    def wrong(self, state: State) -> Iterable[tuple[str, str]]:
        for number, what in state.log:
            if number != 1 and what != "decided":
                yield "innocent inputs are decided", f"input {number} is {what}"
        if state.downs and state.kind != KILLS:
            yield "recorded as failed", f"an input whose decision {state.kind} took its owner down"

    def finished(self, state: State) -> bool:
        return len(state.log) == self.inputs
