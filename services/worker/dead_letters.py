"""Inputs that cannot be decoded or decided go where somebody sees them, with the reason."""

from infra.log.port import NewRecord, Record
from schemas.envelope import KIND_DEAD_LETTER, CommandRecord, DeadLetterRecord, encode
from services.worker.clock import wall_ms

KEPT_BYTES = 400_000
"""So much of a bad record is kept (base64 makes it a third more)."""


def dead_letter(record: Record, command: CommandRecord | None, code: str, reason: str) -> NewRecord:
    """The dead letter of an input: where it stands, why, and its bytes as far as they fit."""
    letter = DeadLetterRecord(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        code=code,
        reason=reason[:2_000],
        time=wall_ms(),
        value=record.value[:KEPT_BYTES],
        headers=[(name[:100], value[:1_000]) for name, value in record.headers[:20]],
        workspace=command.workspace if command else "",
    )
    return NewRecord(encode(letter), (("k", KIND_DEAD_LETTER),))
