"""Inputs that cannot be decoded or decided go where somebody sees them, with the reason: onto their topic, and as an
aggregate of their own (`letter-…`) that can be looked at, sent again or discarded."""

from typing import Any

import msgspec

from domain.dead_letter.commands import RecordLetter
from domain.dead_letter.decider import STREAM, letter_id
from domain.decision import OutgoingCommand
from infra.log.port import NewRecord, Record
from schemas.envelope import KIND_DEAD_LETTER, CommandRecord, DeadLetterRecord, encode
from services.worker.clock import wall_ms

KEPT_BYTES = 400_000
"""So much of a bad record is kept (base64 makes it a third more)."""
EXCERPT_BYTES = 2_000
MOST_REASON = 2_000


def dead_letter(record: Record, command: CommandRecord | None, code: str, reason: str) -> NewRecord:
    """The dead letter of an input: where it stands, why, and its bytes as far as they fit."""
    letter = DeadLetterRecord(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        code=code,
        reason=reason[:MOST_REASON],
        time=wall_ms(),
        value=record.value[:KEPT_BYTES],
        headers=[(name[:100], value[:1_000]) for name, value in record.headers[:20]],
        workspace=command.workspace if command else "",
    )
    return NewRecord(encode(letter), (("k", KIND_DEAD_LETTER),))


def recorded(record: Record, command: CommandRecord | None, code: str, reason: str, now: int) -> OutgoingCommand:
    """The command that records the letter as an aggregate; it stands in the commit that refuses the input (rule 13)."""
    identity = letter_id(record.topic, record.partition, record.offset)
    body = _body(command)
    known = command is not None and body is not None
    return OutgoingCommand(
        identity,
        STREAM + identity,
        RecordLetter(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            code=code,
            reason=reason[:MOST_REASON],
            at=now,
            excerpt="" if known else record.value[:EXCERPT_BYTES].decode("utf-8", errors="replace"),
            command=command.type if command is not None and known else "",
            tv=command.tv if command is not None and known else 0,
            stream=command.stream if command is not None else "",
            body=body,
            outside=command.blobs if command is not None and known else {},
        ),
    )


def _body(command: CommandRecord | None) -> Any:
    if command is None:
        return None
    try:
        return msgspec.json.decode(command.data)
    except (msgspec.DecodeError, RecursionError):
        return None
