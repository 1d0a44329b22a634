"""Callers that wait for answers: trace 11 (rules 3, 6 and 14).

Two calls with the same idempotency key and different contents: the first input to be decided is 'started', the other a
'conflict'. Two owners decide; a zombie's commits are void. The API starts to follow the log at some moment.
"""

from collections.abc import Iterable
from typing import NamedTuple

from tests.model.checker import Rules, replaced

TAKEOVER = "takeover"
IDLE, REGISTERED, APPENDED, WAITING = range(4)

UNKNOWN = -1
"""The epoch of a reader that started at the end of the log without one: every commit counts for it."""


class Record(NamedTuple):
    """A takeover, or a commit of `epoch` that answers `call` with `answer`."""

    kind: str
    epoch: int
    call: int = -1
    answer: str = ""


class State(NamedTuple):
    """`calls`: (what the caller has done, the answer it got). `api`: (place, epoch), None: not started yet.

    `owners`: (epoch, inputs answered); the second one to announce itself makes the first a zombie.
    """

    inputs: tuple[int, ...] = ()
    log: tuple[Record, ...] = ()
    owners: tuple[tuple[int, int], ...] = ()
    calls: tuple[tuple[int, str], ...] = ((IDLE, ""), (IDLE, ""))
    api: tuple[int, int] | None = None


class Callers(Rules):
    """`takeovers` owners, one after the other; each goes on as a zombie."""

    names = (
        "14 a caller registers before it appends",
        "14 the answer repeats the caller's nonce",
        "6 duplicates are answered",
        "3 the API starts with an epoch",
    )

    def __init__(self, off: Iterable[str] = (), *, takeovers: int = 3) -> None:
        super().__init__(off)
        self.takeovers = takeovers
        self.registers_first, self.nonce, self.answers_duplicates, self.knows_epoch = map(self.on, self.names)

    def initial(self) -> State:
        return State()

    def steps(self, state: State) -> Iterable[tuple[str, State]]:
        if len(state.owners) < self.takeovers:
            epoch = len(state.log)
            answered = sum(1 for _ in self._accepted(state.log))
            after = state._replace(log=(*state.log, Record(TAKEOVER, epoch)), owners=(*state.owners, (epoch, answered)))
            yield f"owner {len(state.owners)} takes over at {epoch}", after
        yield from self._decide(state)
        yield from self._follow(state)
        for call in (0, 1):
            yield from self._call(state, call)

    def _call(self, state: State, call: int) -> Iterable[tuple[str, State]]:
        did, answer = state.calls[call]
        if state.api is None or answer:
            return

        def now(phase: int) -> State:
            return state._replace(calls=replaced(state.calls, call, (phase, "")))

        appended = (*state.inputs, call)
        if did == IDLE and self.registers_first:
            yield f"call {call} registers", now(REGISTERED)
        elif did == IDLE:
            yield f"call {call} appends its input", now(APPENDED)._replace(inputs=appended)
        elif did == REGISTERED:
            yield f"call {call} appends its input", now(WAITING)._replace(inputs=appended)
        elif did == APPENDED:
            yield f"call {call} registers", now(WAITING)

    def _decide(self, state: State) -> Iterable[tuple[str, State]]:
        for number, (epoch, answered) in enumerate(state.owners):
            if answered == len(state.inputs):
                continue
            call = state.inputs[answered]
            after = state._replace(owners=replaced(state.owners, number, (epoch, answered + 1)))
            known = answered > 0
            if known and not self.answers_duplicates:
                yield f"owner {number} knows the key of call {call}, commits nothing", after
                continue
            record = Record("commit", epoch, call, "conflict" if known else "started")
            after = after._replace(log=(*state.log, record))
            yield f"owner {number} answers call {call}: '{record.answer}', at {len(state.log)}", after

    def _follow(self, state: State) -> Iterable[tuple[str, State]]:
        if state.api is None:
            end = len(state.log)
            yield (
                f"the API starts at {end}",
                state._replace(api=(end, _epoch(state.log) if self.knows_epoch else UNKNOWN)),
            )
            return
        place, epoch = state.api
        if place == len(state.log):
            return
        record = state.log[place]
        if record.kind == TAKEOVER:
            yield f"the API reads the takeover at {place}", state._replace(api=(place + 1, place))
            return
        calls = state.calls
        if epoch in {UNKNOWN, record.epoch}:
            for call, (did, answer) in enumerate(calls):
                if did in {REGISTERED, WAITING} and not answer and (call == record.call or not self.nonce):
                    calls = replaced(calls, call, (did, record.answer))
        yield f"the API reads the commit at {place}", state._replace(api=(place + 1, epoch), calls=calls)

    @staticmethod
    def _accepted(log: Iterable[Record]) -> Iterable[Record]:
        epoch = UNKNOWN
        for offset, record in enumerate(log):
            if record.kind == TAKEOVER:
                epoch = offset
            elif record.epoch == epoch:
                yield record

    def wrong(self, state: State) -> Iterable[tuple[str, str]]:
        answers = [(each.call, each.answer) for each in self._accepted(state.log)]
        for call, (_, answer) in enumerate(state.calls):
            if answer and (call, answer) not in answers:
                yield "only accepted answers", f"call {call} was told '{answer}', accepted are {answers}"

    def finished(self, state: State) -> bool:
        return all(answer or did == IDLE for did, answer in state.calls)


def _epoch(log: Iterable[Record]) -> int:
    """The takeover in force behind `log`; one that no record carries if there is none."""
    takeovers = [offset for offset, record in enumerate(log) if record.kind == TAKEOVER]
    return takeovers[-1] if takeovers else -2
