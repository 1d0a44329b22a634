"""A parent and its child in two partitions: rules 7, 13 and 14 (traces 6, 10 and 17).

Each partition is decided by one owner at a time, whose appends succeed at once (fencing.py has the rest); it may crash
at any step, and then knows what the log says. The parent's decisions: start the child, perhaps cancel it. What stands
in its commits goes to the child's topic by its outbox; the child's answer comes back in the same way.
"""

from collections.abc import Iterable
from typing import NamedTuple

from tests.model.checker import Rules

Command = tuple[str, int]
"""(what, attempt): attempt 0 unless ids are derived from attempts."""

START, CANCEL = "start", "cancel"
ENDED, REFUSED = "ended", "refused"


class State(NamedTuple):
    """`*_wants`: commands in accepted commits, in order; `*_sent`: how many this process knows to be sent.

    `to_child`, `fast`, `to_parent`: undecided inputs. `child`: its events. `ids`: what the child's owner remembers.
    """

    parent: tuple[str, ...] = ()
    parent_wants: tuple[Command, ...] = ()
    parent_sent: int = 0
    parent_tries: int = 0
    to_child: tuple[Command, ...] = ()
    fast: tuple[Command, ...] = ()
    child: tuple[str, ...] = ()
    ids: frozenset[Command] = frozenset()
    child_wants: tuple[Command, ...] = ()
    child_sent: int = 0
    to_parent: tuple[Command, ...] = ()
    faults: int = 0


class Family(Rules):
    """`faults`: crashes and sends that land although their owner does not hear of it."""

    names = (
        "7 one decision is one record",
        "7 one topic for all commands of a stream",
        "13 commands are sent again after a takeover",
        "13 receivers know ids, not attempts",
        "13 refusals are answered",
        "14 refused ids are remembered",
    )

    def __init__(self, off: Iterable[str] = (), *, faults: int = 3) -> None:
        super().__init__(off)
        self.faults = faults
        self.one_record, self.one_topic, self.sends_again = map(self.on, self.names[:3])
        self.by_id, self.answers_refusal, self.keeps_refused = map(self.on, self.names[3:])

    def initial(self) -> State:
        return State()

    def steps(self, state: State) -> Iterable[tuple[str, State]]:
        yield from self._decide_parent(state)
        yield from self._decide_child(state)
        yield from self._send(state)
        if state.faults < self.faults:
            used = state.faults + 1
            yield (
                "the parent's owner crashes; the next one takes over",
                self._parent_recovered(state)._replace(faults=used),
            )
            sent = 0 if self.sends_again else len(state.child_wants)
            yield "the child's owner crashes; the next one takes over", state._replace(child_sent=sent, faults=used)

    def _parent_recovered(self, state: State) -> State:
        """The outbox comes from the commits. Without rule 7 it was a second record, perhaps never written."""
        if not self.one_record:
            return state._replace(parent_wants=state.parent_wants[: state.parent_sent])
        if not self.sends_again:
            return state._replace(parent_sent=len(state.parent_wants))
        tries = state.parent_tries + (not self.by_id)
        return state._replace(parent_sent=0, parent_tries=tries)

    # --- deciding ---------------------------------------------------------------------------------------------------

    def _decide_parent(self, state: State) -> Iterable[tuple[str, State]]:
        if not state.parent:
            after = state._replace(parent=("wants child",), parent_wants=((START, 0),))
            yield "the parent's commit wants the child started", after
        elif state.parent == ("wants child",):
            after = state._replace(parent=(*state.parent, CANCEL), parent_wants=(*state.parent_wants, (CANCEL, 0)))
            yield "the parent is cancelled, its commit wants the child cancelled", after
        if state.to_parent:
            (what, attempt), rest = state.to_parent[0], state.to_parent[1:]
            after = state._replace(to_parent=rest)
            heard = f"child {what}"
            if heard in state.parent:
                yield f"the parent hears again that the child {what}", after
            elif not self.by_id and attempt != state.parent_tries:
                yield f"the parent does not know attempt {attempt}, which {what}", after
            else:
                yield f"the parent hears that the child {what}", after._replace(parent=(*state.parent, heard))

    def _decide_child(self, state: State) -> Iterable[tuple[str, State]]:
        if state.to_child:
            yield from self._decide_input(state._replace(to_child=state.to_child[1:]), state.to_child[0])
        if state.fast:
            yield from self._decide_input(state._replace(fast=state.fast[1:]), state.fast[0])
        if state.child and state.child[-1] == "runs":
            yield "the child ends", self._over(state, ENDED, state.child.count("runs") - 1)

    def _decide_input(self, state: State, command: Command) -> Iterable[tuple[str, State]]:
        what, attempt = command
        if what == CANCEL:
            if state.child and state.child[-1] == "runs":
                yield "the child is cancelled", self._over(state, ENDED, attempt)
            else:
                yield "cancel finds no child that runs", state
        elif command in state.ids:
            yield f"the child's id is known, {_told(command)} changes nothing", state
        else:
            yield (
                f"the child begins by {_told(command)}",
                state._replace(child=(*state.child, "runs"), ids=state.ids | {command}),
            )
            ids = state.ids | {command} if self.keeps_refused else state.ids
            refused = state._replace(child=(*state.child, REFUSED), ids=ids)
            if self.answers_refusal:
                refused = refused._replace(child_wants=(*state.child_wants, (REFUSED, attempt)))
            yield f"the child is refused by {_told(command)}", refused

    @staticmethod
    def _over(state: State, how: str, attempt: int) -> State:
        return state._replace(child=(*state.child, how), child_wants=(*state.child_wants, (how, attempt)))

    # --- sending ----------------------------------------------------------------------------------------------------

    def _send(self, state: State) -> Iterable[tuple[str, State]]:
        if state.parent_sent < len(state.parent_wants):
            what, _ = state.parent_wants[state.parent_sent]
            command = (what, state.parent_tries)
            if what == CANCEL and not self.one_topic:
                landed = state._replace(fast=(*state.fast, command))
            else:
                landed = state._replace(to_child=(*state.to_child, command))
            yield f"{_told(command)} is sent", landed._replace(parent_sent=state.parent_sent + 1)
            if state.faults < self.faults:
                yield f"{_told(command)} lands, its sender does not hear it", landed._replace(faults=state.faults + 1)
        if state.child_sent < len(state.child_wants):
            answer = state.child_wants[state.child_sent]
            landed = state._replace(to_parent=(*state.to_parent, answer))
            yield f"'{answer[0]}' is sent to the parent", landed._replace(child_sent=state.child_sent + 1)
            if state.faults < self.faults:
                yield f"'{answer[0]}' lands, its sender does not hear it", landed._replace(faults=state.faults + 1)

    # --- what must hold ---------------------------------------------------------------------------------------------

    def wrong(self, state: State) -> Iterable[tuple[str, str]]:
        if state.child.count("runs") > 1:
            yield "child once", f"the child's stream says {list(state.child)}"
        if REFUSED in state.child and (len(state.child) > 1):
            yield "one answer", f"the child's stream says {list(state.child)}"
        if CANCEL in state.parent and self._quiet(state) and state.child and state.child[-1] == "runs":
            yield "cancel arrives", "everything was delivered, the child of a cancelled parent runs"

    @staticmethod
    def _quiet(state: State) -> bool:
        sent = state.parent_sent == len(state.parent_wants)
        return sent and not state.to_child and not state.fast

    def finished(self, state: State) -> bool:
        return "child ended" in state.parent or "child refused" in state.parent


def _told(command: Command) -> str:
    what, attempt = command
    return f"'{what}'" if not attempt else f"'{what}' (attempt {attempt})"
