"""What a decider answers."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from domain.effects import EffectRequest

OutcomeKind = Literal["accepted", "duplicate", "rejected", "failed"]


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a command was answered. `code` is stable, `message` is for people, `problems` name fields. `retry_after`:
    asked again so much later (ms), it may be accepted; 0: nobody knows.

    accepted: decided (also when there was nothing to do); duplicate: this id was decided before, nothing new;
    rejected: refused by a rule; failed: the decision could not be made or stored.
    """

    kind: OutcomeKind = "accepted"
    code: str = ""
    message: str = ""
    problems: list[tuple[str, str]] = []
    retry_after: int = 0


ACCEPTED = Outcome()
DUPLICATE = Outcome(kind="duplicate")


def rejected(code: str, message: str, problems: Sequence[tuple[str, str]] = (), *, retry_after: int = 0) -> Outcome:
    return Outcome(kind="rejected", code=code, message=message, problems=list(problems), retry_after=retry_after)


class OutgoingCommand(msgspec.Struct, frozen=True, omit_defaults=True):
    """A command that a commit wants sent to another stream after it is accepted (log protocol, rule 13).

    `id` is derived (uuid5 of its cause), `command` is a command object of the domain.
    """

    id: str
    stream: str
    command: Any


class Resent(msgspec.Struct, frozen=True, omit_defaults=True):
    """In the place of a command: one that was recorded before, as it stands on the wire. `outside`: its fields that are
    stored outside (name → blob id)."""

    type: str
    tv: int
    data: Any
    outside: dict[str, str] = {}


class Decision(msgspec.Struct, frozen=True):
    """Events to record, the state after them, and what the owner does once they are accepted."""

    events: Sequence[Any]
    state: Any
    outcome: Outcome = ACCEPTED
    effects: Sequence[EffectRequest] = ()
    commands: Sequence[OutgoingCommand] = ()
