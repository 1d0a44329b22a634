"""Checkpoints, takeovers and retention: rules 11 and 12 (traces 7 and 9), and rule 1 where a log was cut.

Inputs 0, 1, 2 … go to streams x and y in turn; the state of a stream is how many commits it has. Appends succeed at
once here (fencing.py has those that do not): a commit behind a newer takeover is void, and its owner finds that out.
"""

from collections.abc import Iterable
from typing import NamedTuple

from tests.model.checker import Rules, replaced

TAKEOVER, VOID = -1, -2
"""What a record of the commit topic is, if not the input (≥ 0) that an accepted commit answers."""

OUT, ANNOUNCED, CLAIMED, HALF_LOADED, LOADED, RUNNING, HALF_SAVED = range(7)

States = tuple[int, int]


class Checkpoint(NamedTuple):
    """`epoch`: the highest that claimed it; `place`: the offset behind what it holds; `states` of x and y."""

    epoch: int = -1
    place: int = 0
    states: States = (0, 0)


class Owner(NamedTuple):
    """`place`: the offset behind what is folded; `dirty`: streams that changed since its last checkpoint.

    `ahead`: 1 if a decision is made whose commit is not appended yet.
    """

    phase: int = OUT
    epoch: int = -1
    place: int = 0
    states: States = (0, 0)
    dirty: frozenset[int] = frozenset()
    ahead: int = 0


class State(NamedTuple):
    """`cut`: the offset of the first record that retention left; `newest`: who announced itself last."""

    log: tuple[int, ...] = ()
    cut: int = 0
    stored: Checkpoint = Checkpoint()
    owners: tuple[Owner, ...] = (Owner(), Owner())
    newest: int = 0
    takeovers: int = 0


class Checkpoints(Rules):
    """`inputs` to decide; an owner may announce itself at any step, crashed or not, `takeovers` times in all.

    The newest owner, once it had to forget all, may do so as often as it needs.
    """

    names = (
        "11 higher stored epochs and offsets refuse",
        "11 a takeover claims before it reads",
        "11 one snapshot when read",
        "11 one transaction when written",
        "11 only accepted state",
        "12 retention stays behind the checkpoint",
        "1 a cut log stops the reader",
    )

    def __init__(self, off: Iterable[str] = (), *, inputs: int = 3, takeovers: int = 3) -> None:
        super().__init__(off)
        self.inputs, self.takeovers = inputs, takeovers
        self.refuses, self.claims, self.snapshot, self.transaction, self.only_accepted = map(self.on, self.names[:5])
        self.keeps, self.stops = map(self.on, self.names[5:])

    def initial(self) -> State:
        return State()

    def steps(self, state: State) -> Iterable[tuple[str, State]]:
        for me in (0, 1):
            owner, name = state.owners[me], "AB"[me]
            costs = 0 if owner.phase == OUT and state.newest == me and state.takeovers else 1
            if state.takeovers + costs <= self.takeovers:
                after = self._with(state, me, Owner(ANNOUNCED, len(state.log)))
                after = after._replace(log=(*state.log, TAKEOVER), newest=me, takeovers=state.takeovers + costs)
                yield f"{name} announces itself at {len(state.log)}, with nothing in memory", after
            if owner.phase in {ANNOUNCED, CLAIMED, HALF_LOADED, LOADED}:
                yield from self._recover(state, me)
            if owner.phase == RUNNING:
                yield from self._decide(state, me)
                yield from self._save(state, me)
            if owner.phase == HALF_SAVED:
                stored = state.stored._replace(place=owner.place)
                after = self._with(state, me, owner._replace(phase=RUNNING, dirty=frozenset()))
                yield f"{name} stores the offset {owner.place}", after._replace(stored=stored)
        limit = state.stored.place if self.keeps else len(state.log)
        if state.cut < limit:
            yield f"retention removes what is below {limit}", state._replace(cut=limit)

    # --- recovery ---------------------------------------------------------------------------------------------------

    def _recover(self, state: State, me: int) -> Iterable[tuple[str, State]]:
        owner, name, stored = state.owners[me], "AB"[me], state.stored
        if owner.phase == ANNOUNCED:
            after = self._with(state, me, owner._replace(phase=CLAIMED))
            if not self.claims:
                yield f"{name} claims nothing", after
            elif stored.epoch > owner.epoch:
                yield f"{name} is refused its claim and gives up", self._with(state, me, Owner())
            else:
                yield f"{name} claims the checkpoint", after._replace(stored=stored._replace(epoch=owner.epoch))
        elif owner.phase == CLAIMED:
            phase = LOADED if self.snapshot else HALF_LOADED
            loaded = owner._replace(phase=phase, place=stored.place, states=stored.states)
            yield f"{name} loads {_told(stored)}", self._with(state, me, loaded)
        elif owner.phase == HALF_LOADED:
            loaded = owner._replace(phase=LOADED, states=stored.states)
            yield f"{name} loads the states {stored.states}, later than the offset", self._with(state, me, loaded)
        else:
            yield from self._fold(state, me)

    def _fold(self, state: State, me: int) -> Iterable[tuple[str, State]]:
        """Fold up to the own takeover, at once: these records do not change. What is cut is missing."""
        owner, name = state.owners[me], "AB"[me]
        if owner.place < state.cut and self.stops:
            return
        if owner.place > owner.epoch:
            yield f"{name} finds the checkpoint beyond its takeover and gives up", self._with(state, me, Owner())
            return
        states, dirty = owner.states, owner.dirty
        for record in state.log[max(owner.place, state.cut) : owner.epoch]:
            if record >= 0:
                states, dirty = _applied(states, record), dirty | {record % 2}
        after = owner._replace(phase=RUNNING, place=owner.epoch + 1, states=states, dirty=dirty)
        yield f"{name} folds to {states}", self._with(state, me, after)

    # --- deciding and saving ----------------------------------------------------------------------------------------

    def _decide(self, state: State, me: int) -> Iterable[tuple[str, State]]:
        owner, name = state.owners[me], "AB"[me]
        todo = sum(owner.states)
        if not owner.ahead:
            if todo < self.inputs:
                yield f"{name} decides input {todo}", self._with(state, me, owner._replace(ahead=1))
            return
        epoch = max(offset for offset, record in enumerate(state.log) if record == TAKEOVER)
        if owner.epoch != epoch:
            after = self._with(state, me, Owner())
            yield f"{name}'s commit of input {todo} lands void; it forgets all", after._replace(log=(*state.log, VOID))
        elif owner.place != len(state.log):
            after = self._with(state, me, Owner())
            yield (
                f"{name}'s commit of input {todo} lands behind a gap; it forgets all",
                after._replace(log=(*state.log, todo)),
            )
        else:
            states, dirty = _applied(owner.states, todo), owner.dirty | {todo % 2}
            after = self._with(state, me, owner._replace(place=owner.place + 1, states=states, dirty=dirty, ahead=0))
            yield f"{name}'s commit of input {todo} is accepted", after._replace(log=(*state.log, todo))

    def _save(self, state: State, me: int) -> Iterable[tuple[str, State]]:
        """Store the streams that changed; the others stay as they are stored."""
        owner, name, stored = state.owners[me], "AB"[me], state.stored
        states, dirty = owner.states, owner.dirty
        if owner.ahead and not self.only_accepted:
            todo = sum(states)
            states, dirty = _applied(states, todo), dirty | {todo % 2}
        elif owner.place == stored.place and not dirty:
            return
        if self.refuses and (stored.epoch > owner.epoch or stored.place > owner.place):
            return
        rows = (states[0] if 0 in dirty else stored.states[0], states[1] if 1 in dirty else stored.states[1])
        saved = Checkpoint(max(stored.epoch, owner.epoch), owner.place, rows)
        if self.transaction:
            after = self._with(state, me, owner._replace(dirty=frozenset()))
            yield f"{name} saves {_told(saved)}", after._replace(stored=saved)
        else:
            after = self._with(state, me, owner._replace(phase=HALF_SAVED))
            yield f"{name} stores the states {rows}", after._replace(stored=saved._replace(place=stored.place))

    @staticmethod
    def _with(state: State, me: int, owner: Owner) -> State:
        return state._replace(owners=replaced(state.owners, me, owner))

    # --- what must hold ---------------------------------------------------------------------------------------------

    def wrong(self, state: State) -> Iterable[tuple[str, str]]:
        inputs = [record for record in state.log if record >= 0]
        if inputs != list(range(len(inputs))):
            yield "answered once", f"accepted commits answer {inputs}"
        for owner, name in zip(state.owners, "AB", strict=True):
            accepted = _folded(state.log[: owner.place])
            if owner.phase == RUNNING and owner.states != accepted:
                yield "believed is accepted", f"{name} believes {owner.states}, accepted is {accepted}"
            if owner.phase == LOADED and owner.place < state.cut and self._newest(state, owner):
                yield (
                    "nothing cut away",
                    f"{name}, the newest owner, needs {owner.place}, the log begins at {state.cut}",
                )

    @staticmethod
    def _newest(state: State, owner: Owner) -> bool:
        return TAKEOVER not in state.log[owner.epoch + 1 :]

    def finished(self, state: State) -> bool:
        return sum(record >= 0 for record in state.log) == self.inputs

    @staticmethod
    def key(state: State) -> tuple[object, ...]:  # type: ignore[override]
        """Owners have no names."""
        newest = state.newest
        return (*state[:3], state.owners[newest], state.owners[1 - newest], state.takeovers)


def _applied(states: States, record: int) -> States:
    return (states[0] + 1, states[1]) if record % 2 == 0 else (states[0], states[1] + 1)


def _folded(log: Iterable[int]) -> States:
    states = (0, 0)
    for record in log:
        if record >= 0:
            states = _applied(states, record)
    return states


def _told(checkpoint: Checkpoint) -> str:
    return f"the states {checkpoint.states} at offset {checkpoint.place}"
