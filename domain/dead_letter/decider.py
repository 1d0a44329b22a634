"""Decides what becomes of a dead letter: recorded once, reviewed ten minutes later, sent again or discarded.

A start is sent again as a new execution (its id derived from the letter and the number of the try), so that nothing
runs twice under one id. Anything else goes to the stream that it was for. What the review sends again by itself is
*safe*: a start that never ran anything, put aside for a fault of the system.

Outcome codes: letter_not_found, letter_discarded, not_redrivable, wrong_stream.
"""

from collections.abc import Sequence
from typing import Any, assert_never
from uuid import NAMESPACE_OID, UUID, uuid5

import msgspec

from domain.dead_letter.commands import DiscardLetter, RecordLetter, RedriveLetter
from domain.dead_letter.events import LetterDiscarded, LetterEvent, LetterRecorded, LetterRedriven, LetterReviewed
from domain.decision import DUPLICATE, Decision, Outcome, OutgoingCommand, Resent, rejected
from domain.errors import ImpossibleHistory
from domain.execution.endings import EXECUTION_STREAM
from domain.snapshots import Snapshots
from domain.ticking import PassTime

SNAPSHOT_FORMAT = 1
STREAM = "letter-"
REVIEW_MS = 600_000
START = "execution.start"
SAFE_CODES = frozenset({"missing_blob"})
"""Put aside for a fault of the system that may have passed, not of the command."""

LetterCommand = RecordLetter | RedriveLetter | DiscardLetter | PassTime


class DeadLetter(msgspec.Struct, frozen=True, array_like=True):
    """`review_at`: when it is looked at, None once that is done; `command`: the type of what is in it, "" if nothing
    could be read."""

    code: str
    command: str
    tv: int
    stream: str
    body: Any
    outside: dict[str, str]
    review_at: int | None
    redriven: int = 0
    discarded: bool = False


def letter_id(topic: str, partition: int, offset: int) -> str:
    """The id of the letter of an input, for ever."""
    return str(uuid5(NAMESPACE_OID, f"dead letter {topic} {partition} {offset}"))


def decide(
    command: LetterCommand, state: DeadLetter | None, *, workspace: str, stream_id: str, now: int = 0
) -> Decision:
    """Answer a command to the letter of `stream_id`. `now`: owner's time, ms."""
    if isinstance(command, RecordLetter):
        return _record(command, state, stream_id)
    if state is None:
        return Decision((), None, rejected("letter_not_found", "there is no such dead letter"))
    match command:
        case RedriveLetter(at=at, by=by):
            refused = _not_redrivable(state)
            return Decision((), state, refused) if refused else _redrive(state, [], stream_id, at, by)
        case DiscardLetter():
            if state.discarded:
                return Decision((), state, DUPLICATE)
            return _decided(state, [LetterDiscarded(command.at, command.by, command.reason)])
        case PassTime():
            return _review(state, stream_id, now)
        case _:
            assert_never(command)


def _record(command: RecordLetter, state: DeadLetter | None, stream: str) -> Decision:
    if stream != STREAM + letter_id(command.topic, command.partition, command.offset):
        return Decision((), state, rejected("wrong_stream", "a dead letter lives in the stream of its input"))
    if state is not None:
        return Decision((), state, DUPLICATE)
    recorded = LetterRecorded(
        topic=command.topic, partition=command.partition, offset=command.offset, code=command.code,
        reason=command.reason, at=command.at, excerpt=command.excerpt, command=command.command, tv=command.tv,
        stream=command.stream, body=command.body, outside=command.outside,
    )  # fmt: skip
    return _decided(state, [recorded])


def _not_redrivable(state: DeadLetter) -> Outcome | None:
    if state.discarded:
        return rejected("letter_discarded", "this dead letter was discarded")
    if not state.command:
        return rejected("not_redrivable", "the input could not be read: there is no command to send again")
    return None


def _review(state: DeadLetter, stream: str, now: int) -> Decision:
    if state.review_at is None or state.review_at > now or state.discarded:
        return Decision((), state)
    reviewed = LetterReviewed(now)
    safe = state.command == START and state.code in SAFE_CODES
    return _redrive(state, [reviewed], stream, now, "") if safe and not state.redriven else _decided(state, [reviewed])


def _redrive(state: DeadLetter, before: list[LetterEvent], stream: str, at: int, by: str) -> Decision:
    number = state.redriven + 1
    command_id = str(uuid5(_uuid(stream), f"redrive {number}"))
    target, body = state.stream, state.body
    if state.command == START and isinstance(body, dict):
        execution = str(uuid5(_uuid(stream), f"execution {number}"))
        target = EXECUTION_STREAM + execution
        body = body | {"execution_id": execution, "retry_of": state.stream.removeprefix(EXECUTION_STREAM)}
    sent = OutgoingCommand(command_id, target, Resent(state.command, state.tv, body, state.outside))
    return _decided(state, [*before, LetterRedriven(at=at, number=number, stream=target, by=by)], [sent])


def _uuid(stream: str) -> UUID:
    return uuid5(NAMESPACE_OID, stream)


def evolve(state: DeadLetter | None, event: LetterEvent) -> DeadLetter:
    """The state after `event`. Raises ImpossibleHistory."""
    if isinstance(event, LetterRecorded):
        if state is not None:
            raise ImpossibleHistory("a dead letter was recorded twice")
        return DeadLetter(
            event.code, event.command, event.tv, event.stream, event.body, event.outside, event.at + REVIEW_MS
        )
    if state is None:
        raise ImpossibleHistory(f"{type(event).__name__} before LetterRecorded")
    match event:
        case LetterReviewed():
            return msgspec.structs.replace(state, review_at=None)
        case LetterRedriven(number=number):
            return msgspec.structs.replace(state, redriven=number)
        case LetterDiscarded():
            return msgspec.structs.replace(state, discarded=True, body=None, outside={}, review_at=None)


def next_due(state: DeadLetter) -> int | None:
    """When it is reviewed: owner's time, ms."""
    return state.review_at


_snapshots = Snapshots(DeadLetter, SNAPSHOT_FORMAT)
snapshot = _snapshots.snapshot
restore = _snapshots.restore


def _decided(
    state: DeadLetter | None, events: Sequence[LetterEvent], commands: Sequence[OutgoingCommand] = ()
) -> Decision:
    for event in events:
        state = evolve(state, event)
    return Decision(events, state, commands=commands)
