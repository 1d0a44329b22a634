"""A log that loses its end, and gives offsets out again: rules 1 and 2 (trace 15).

A truncation is outside of what the protocol survives unharmed: what was acknowledged is gone. What must hold is that
nobody goes on as if nothing had happened: an owner stops with an error, or everything that is there is answered once.

A topic that lost its end is noticed while it is shorter than what somebody knows of it. Inputs that grow back before
anybody looks cannot be told by their offsets: `regrows` shows that, and it is why rule 1 forbids truncation in
the first place (no unclean election, every append acknowledged by a quorum).
"""

from collections.abc import Iterable
from typing import NamedTuple

from tests.model.checker import Rules, replaced

Record = tuple[int, str, int, int]
"""(epoch, nonce, n, input); n = −1: a takeover."""


class Owner(NamedTuple):
    """`epoch` < 0: not an owner. `nonce` tells its takeover from another at the same offset."""

    epoch: int = -1
    nonce: str = ""
    n: int = 0
    next: int = 0
    lost: bool = False


class State(NamedTuple):
    """`inputs`: what stands in the input topic; `made`: inputs that were ever appended; `stored`: answered inputs.

    `newest`: who took over last; `overlooked`: inputs that it takes for answered although no commit answers them.
    """

    inputs: tuple[int, ...] = ()
    made: int = 0
    log: tuple[Record, ...] = ()
    owners: tuple[Owner, ...] = (Owner(), Owner())
    newest: int = 0
    takeovers: int = 0
    stored: int = 0
    stopped: bool = False
    cuts: int = 0
    overlooked: tuple[int, ...] = ()


class Truncations(Rules):
    """`made` inputs at most, `cuts` of the end of one of the two topics, `takeovers` at most.

    `regrows`: inputs are appended behind a cut that nobody has looked at.
    """

    names = ("1 a truncated log stops the partition", "2 an epoch has a nonce")

    def __init__(
        self, off: Iterable[str] = (), *, made: int = 2, cuts: int = 1, takeovers: int = 3, regrows: bool = False
    ) -> None:
        super().__init__(off)
        self.regrows = regrows
        self.made, self.cuts, self.takeovers = made, cuts, takeovers
        self.stops, self.nonces = map(self.on, self.names)

    def initial(self) -> State:
        return State()

    def steps(self, state: State) -> Iterable[tuple[str, State]]:
        if state.stopped:
            return
        if state.made < self.made and (self.regrows or not self.stops or not self._inputs_missing(state)):
            yield (
                f"input {state.made} is appended",
                state._replace(inputs=(*state.inputs, state.made), made=state.made + 1),
            )
        if state.cuts < self.cuts:
            if state.log:
                after = state._replace(log=state.log[:-1], cuts=state.cuts + 1)
                yield "the commit topic loses its last record", after
            if state.inputs:
                yield (
                    "the input topic loses its last record",
                    state._replace(inputs=state.inputs[:-1], cuts=state.cuts + 1),
                )
        for me in (0, 1):
            yield from self._own_steps(state, me)

    def _own_steps(self, state: State, me: int) -> Iterable[tuple[str, State]]:
        owner, name = state.owners[me], "AB"[me]
        # The newest owner, if it found something wrong, comes back; that is not counted, so that it always can.
        if owner.epoch < 0 and (state.takeovers < self.takeovers or (owner.lost and state.newest == me)):
            yield from self._take_over(state, me)
        if owner.epoch >= 0 and owner.next < len(state.inputs):
            number = state.inputs[owner.next]
            record = (owner.epoch, owner.nonce, owner.n, number)
            expected = owner.epoch + owner.n + 1 == len(state.log)
            after = owner._replace(n=owner.n + 1, next=owner.next + 1) if expected else Owner(lost=True)
            what = "accepted" if expected else "not where expected: it forgets all"
            yield (
                f"{name} commits input {number}, {what}",
                self._with(state, me, after)._replace(log=(*state.log, record)),
            )
        if owner.epoch >= 0 and owner.n and state.stored < owner.next:
            yield f"{name} stores that {owner.next} inputs are answered", state._replace(stored=owner.next)

        beyond = owner.next > len(state.inputs) or owner.epoch + owner.n + 1 > len(state.log)
        if self.stops and owner.epoch >= 0 and beyond:
            yield (
                f"{name} looks for a record that is not there any more: the partition stops",
                state._replace(stopped=True),
            )

    def _inputs_missing(self, state: State) -> bool:
        """Somebody knows of more inputs than there are."""
        answered = [state.stored, *(owner.next for owner in state.owners), sum(1 for _ in self._accepted(state.log))]
        return max(answered) > len(state.inputs)

    def _take_over(self, state: State, me: int) -> Iterable[tuple[str, State]]:
        name, epoch = "AB"[me], len(state.log)
        nonce = f"{name}{state.takeovers}"
        answered = max([state.stored, *(number + 1 for number in self._accepted(state.log))])
        cut = answered > len(state.inputs) or list(self._accepted(state.log)) != list(range(answered))
        if self.stops and cut:
            yield f"{name} finds a record missing: the partition stops", state._replace(stopped=True)
            return
        overlooked = tuple(number for number in state.inputs[:answered] if number not in self._accepted(state.log))
        log = (*state.log, (epoch, nonce, -1, -1))
        after = self._with(state, me, Owner(epoch, nonce, 0, answered))
        takeovers = min(self.takeovers, state.takeovers + 1)
        after = after._replace(log=log, newest=me, takeovers=takeovers, overlooked=overlooked)
        yield f"{name} takes over at {epoch}, {answered} inputs answered", after

    @staticmethod
    def _with(state: State, me: int, owner: Owner) -> State:
        return state._replace(owners=replaced(state.owners, me, owner))

    def _accepted(self, log: Iterable[Record]) -> Iterable[int]:
        return (number for _, number in self._counting(log))

    def _counting(self, log: Iterable[Record]) -> Iterable[tuple[bool, int]]:
        """(whether the owner in force wrote it, the input) of commits that readers accept."""
        in_force, due = (-1, ""), 0
        for epoch, nonce, n, number in log:
            if n < 0:
                in_force, due = (epoch, nonce), 0
            elif (epoch, n) == (in_force[0], due) and (not self.nonces or nonce == in_force[1]):
                due += 1
                yield nonce == in_force[1], number

    def wrong(self, state: State) -> Iterable[tuple[str, str]]:
        accepted = list(self._accepted(state.log))
        if len(set(accepted)) < len(accepted):
            yield "answered once", f"accepted commits answer {accepted}"
        if not all(own for own, _ in self._counting(state.log)):
            yield "one writer an epoch", "a commit counts that the owner in force did not write"
        if state.overlooked:
            yield "nothing overlooked", f"inputs {list(state.overlooked)} are taken for answered"

    def finished(self, _state: State) -> bool:
        """Not checked here: behind a truncation it takes people, or the next takeover, to go on."""
        return True
