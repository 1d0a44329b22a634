"""Two owners of one partition, appends that fail in every way, commits in flight, effects: rules 3 to 6.

The log is a tuple of records. A takeover is `TAKEOVER`; a commit is (epoch, n, input, version), `epoch` being the
offset of its takeover. Every input starts one unsafe effect, which is performed when its commit is believed accepted.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from tests.model.checker import Rules, replaced

Record = tuple[int, ...]
TAKEOVER: Record = ()

OUT, ANNOUNCING, RUNNING = range(3)

UNDER_WAY, FAILED, NO_OFFSET = -3, -2, -1
"""What became of an append, if not the offset (≥ 0) at which it landed."""


class Owner(NamedTuple):
    """`expect`: the offset of its next record; `next`, `version`: its believed state; `sent`: (record, outcome)."""

    phase: int = OUT
    epoch: int = -1
    expect: int = 0
    n: int = 0
    next: int = 0
    version: int = 0
    sent: tuple[tuple[Record, int], ...] = ()


class State(NamedTuple):
    """`late`: records that nobody waits for, which may land at any time; `hint`: the group's offset."""

    log: tuple[Record, ...]
    owners: tuple[Owner, Owner]
    holder: int
    late: tuple[Record, ...]
    effects: tuple[int, ...]
    faults: int
    hint: int


@lru_cache(maxsize=1 << 18)
def accepted(log: tuple[Record, ...], by_epoch: bool, by_ordinal: bool) -> tuple[Record, ...]:
    """The commits of `log` that count."""
    epoch, n, commits = -1, 0, []
    for offset, record in enumerate(log):
        if record == TAKEOVER:
            epoch, n = offset, 0
        elif (not by_epoch or record[0] == epoch) and (not by_ordinal or not by_epoch or record[1] == n):
            commits.append(record)
            n += 1
    return tuple(commits)


class Fencing(Rules):
    """Rules: see `names`; `inputs` to decide, `window` commits in flight, `faults` in all."""

    names = (
        "3 readers check the epoch",
        "3 readers check the ordinal",
        "4 only the expected offset is believed",
        "4 success without an offset is not believed",
        "4 the assignment is confirmed",
        "5 to announce anew is to fold anew",
        "6 every input is answered, the group's offset is a hint",
        "9 effects start after acceptance",
        "10 unsafe effects are not repeated",
    )

    def __init__(self, off: Iterable[str] = (), *, inputs: int = 2, window: int = 2, faults: int = 2) -> None:
        super().__init__(off)
        self.inputs, self.window, self.faults = inputs, window, faults
        self.by_epoch, self.by_ordinal, self.only_expected, self.needs_offset = map(self.on, self.names[:4])
        self.confirms, self.folds_anew, self.answers_all, self.effect_after, self.once = map(self.on, self.names[4:])

    def initial(self) -> State:
        return State((), (Owner(), Owner()), 0, (), (0,) * self.inputs, 0, 0)

    def fold(self, log: tuple[Record, ...]) -> tuple[int, int]:
        """(first input without an answer, version) behind `log`."""
        commits = accepted(log, self.by_epoch, self.by_ordinal)
        return (commits[-1][2] + 1, commits[-1][3]) if commits else (0, 0)

    @staticmethod
    def key(state: State) -> tuple[object, ...]:  # type: ignore[override]
        """Owners have no names: the one that the group means comes first."""
        holder = state.holder
        return (
            state.log,
            state.owners[holder],
            state.owners[1 - holder],
            state.late,
            state.effects,
            state.faults,
            state.hint,
        )

    # --- steps ------------------------------------------------------------------------------------------------------

    def steps(self, state: State) -> Iterable[tuple[str, State]]:
        for me in (0, 1):
            yield from self._own_steps(state, me)
            yield from self._append_steps(state, me)
        for index, record in enumerate(state.late):
            if index and state.late[index - 1] == record:
                continue
            rest = state.late[:index] + state.late[index + 1 :]
            yield (
                f"late: {_told(record)} lands at {len(state.log)}",
                state._replace(log=(*state.log, record), late=rest),
            )
        if state.faults < self.faults:
            holder = 1 - state.holder
            yield (
                f"the group gives the partition to {'AB'[holder]}",
                state._replace(holder=holder, faults=state.faults + 1),
            )

    def _own_steps(self, state: State, me: int) -> Iterable[tuple[str, State]]:
        owner, name = state.owners[me], "AB"[me]
        if owner.phase == OUT:
            if state.holder == me or (not self.confirms and owner.epoch >= 0):
                after = owner._replace(phase=ANNOUNCING, sent=((TAKEOVER, UNDER_WAY),))
                yield f"{name} announces itself", self._with(state, me, after)
            return
        if state.faults < self.faults:
            yield f"{name} crashes", self._closed(state, me, Owner())._replace(faults=state.faults + 1)
        if owner.sent and owner.sent[0][1] != UNDER_WAY:
            yield from self._hear(state, me)
        if owner.phase == RUNNING and len(owner.sent) < self.window:
            yield from self._decide(state, me)

    def _decide(self, state: State, me: int) -> Iterable[tuple[str, State]]:
        owner, name = state.owners[me], "AB"[me]
        todo = owner.next + len(owner.sent)
        if todo >= self.inputs:
            return
        if not self.answers_all and todo == self.inputs - 1:
            if state.hint < self.inputs:
                yield (
                    f"{name} finds input {todo} changes nothing, moves the group's offset",
                    state._replace(hint=self.inputs),
                )
            return
        record = (owner.epoch, owner.n + len(owner.sent), todo, owner.version + len(owner.sent) + 1)
        after = self._with(state, me, owner._replace(sent=(*owner.sent, (record, UNDER_WAY))))
        if not self.effect_after:
            after = after._replace(effects=_more(after.effects, todo))
        yield f"{name} decides input {todo} and sends {_told(record)}", after

    def _append_steps(self, state: State, me: int) -> Iterable[tuple[str, State]]:
        """What becomes of the oldest record of `me` that is under way (a writer sends in order)."""
        owner, name = state.owners[me], "AB"[me]
        place = next((i for i, (_, outcome) in enumerate(owner.sent) if outcome == UNDER_WAY), None)
        if place is None:
            return
        record = owner.sent[place][0]

        def outcome(value: int) -> State:
            return self._with(state, me, owner._replace(sent=replaced(owner.sent, place, (record, value))))

        landed = (*state.log, record)
        told, end = f"{name}'s {_told(record)}", len(state.log)
        yield f"{told} lands at {end}", outcome(end)._replace(log=landed)
        if state.faults < self.faults:
            late = tuple(sorted((*state.late, record)))
            used = state.faults + 1
            yield f"{told} is lost", outcome(FAILED)._replace(faults=used)
            yield f"{told} times out and is still on its way", outcome(FAILED)._replace(late=late, faults=used)
            yield (
                f"{told} lands at {end} and is sent once more",
                outcome(end)._replace(log=landed, late=late, faults=used),
            )
            yield (
                f"{told} lands at {end}, success without an offset",
                outcome(NO_OFFSET)._replace(log=landed, faults=used),
            )

    def _hear(self, state: State, me: int) -> Iterable[tuple[str, State]]:
        """The oldest append has an outcome: believe it, or discard everything."""
        owner, name = state.owners[me], "AB"[me]
        (record, outcome), rest = owner.sent[0], owner.sent[1:]
        if record == TAKEOVER:
            if outcome < 0:
                yield f"{name} does not know whether it took over", self._discard(state, me, stray=False)
            else:
                yield f"{name} has taken over at {outcome} and folds", self._recovered(state, me, outcome)
            return
        known = outcome == owner.expect or (outcome >= 0 and not self.only_expected)
        if not known and not (outcome == NO_OFFSET and not self.needs_offset):
            label = f"{name} does not find {_told(record)} at {owner.expect} and forgets all"
            yield label, self._discard(state, me, stray=False)
            if state.faults < self.faults and any(outcome == UNDER_WAY for _, outcome in rest):
                yield f"{label}, the rest is still on its way", self._discard(state, me, stray=True)
            return
        expect = (outcome if outcome >= 0 else owner.expect) + 1
        after = owner._replace(expect=expect, n=owner.n + 1, next=record[2] + 1, version=record[3], sent=rest)
        state = self._with(state, me, after)._replace(hint=max(state.hint, record[2] + 1))
        if self.effect_after:
            state = state._replace(effects=_more(state.effects, record[2]))
        yield f"{name} holds {_told(record)} as accepted, performs the effect", state

    def _recovered(self, state: State, me: int, epoch: int) -> State:
        owner = state.owners[me]
        following, version = self.fold(state.log[:epoch])
        if not self.folds_anew and owner.epoch >= 0:
            following, version = owner.next, owner.version
        if not self.answers_all:
            following = max(following, state.hint)
        if not self.once and following:
            state = state._replace(effects=_more(state.effects, following - 1))
        return self._with(state, me, Owner(RUNNING, epoch, epoch + 1, 0, following, version))

    def _discard(self, state: State, me: int, *, stray: bool) -> State:
        """Close the writer; as a fault, what is under way may still land. A faulty owner keeps some of its state."""
        owner = state.owners[me]
        keeps = not self.folds_anew or not self.confirms
        after = Owner(epoch=owner.epoch, next=owner.next, version=owner.version) if keeps else Owner()
        if stray:
            return self._closed(state, me, after)._replace(faults=state.faults + 1)
        return self._with(state, me, after)

    def _closed(self, state: State, me: int, after: Owner) -> State:
        stray = tuple(record for record, outcome in state.owners[me].sent if outcome == UNDER_WAY)
        return self._with(state, me, after)._replace(late=tuple(sorted((*state.late, *stray))))

    @staticmethod
    def _with(state: State, me: int, owner: Owner) -> State:
        return state._replace(owners=(owner, state.owners[1]) if me == 0 else (state.owners[0], owner))

    # --- what must hold ---------------------------------------------------------------------------------------------

    def wrong(self, state: State) -> Iterable[tuple[str, str]]:
        commits = accepted(state.log, self.by_epoch, self.by_ordinal)
        inputs = [record[2] for record in commits]
        if len(set(inputs)) < len(inputs):
            yield "answered once", f"accepted commits answer {inputs}"
        elif inputs != list(range(len(inputs))):
            yield "nothing skipped", f"accepted commits answer {inputs}"
        versions = [record[3] for record in commits]
        if versions != list(range(1, len(versions) + 1)):
            yield "versions contiguous", f"accepted commits have versions {versions}"
        for number, count in enumerate(state.effects):
            if count > 1:
                yield "effect once", f"the effect of input {number} was performed {count} times"
            if count and number not in inputs:
                yield "effect accepted", f"the effect of input {number} was performed, its commit is void"
        for owner, name in zip(state.owners, "AB", strict=True):
            if owner.phase == RUNNING and (owner.next, owner.version) != self.fold(state.log[: owner.expect]):
                yield "believed is accepted", f"{name} believes {owner.next} inputs answered at version {owner.version}"
        takeovers = sum(record == TAKEOVER for record in state.log)
        if takeovers > 1 + (2 + self.window) * state.faults:
            yield "takeovers end", f"{takeovers} takeovers although only {state.faults} things went wrong"

    def finished(self, state: State) -> bool:
        last = self.inputs - (not self.answers_all)
        return {record[2] for record in accepted(state.log, self.by_epoch, self.by_ordinal)} >= set(range(last))


def _more(effects: tuple[int, ...], number: int) -> tuple[int, ...]:
    return replaced(effects, number, min(2, effects[number] + 1))


def _told(record: Record) -> str:
    if record == TAKEOVER:
        return "takeover"
    return f"commit {record[0]}/{record[1]} (input {record[2]}, version {record[3]})"
