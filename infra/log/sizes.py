"""Sizes of what is appended, checked the same way by every implementation before anything is sent."""

from collections.abc import Sequence

from infra.log.port import MAX_APPEND_BYTES, MAX_RECORD_BYTES, NewRecord, RecordTooLarge


def record_bytes(record: NewRecord) -> int:
    """Value, headers and key of `record` in bytes."""
    size = len(record.value)
    if record.key is not None:
        size += len(record.key)
    for name, value in record.headers:
        size += len(name) + len(value)
    return size


def checked_bytes(records: Sequence[NewRecord]) -> int:
    """Bytes of all `records` of one append call; raises RecordTooLarge for a record or a call over the limit."""
    total = 0
    for record in records:
        size = record_bytes(record)
        if size > MAX_RECORD_BYTES:
            raise RecordTooLarge(size, MAX_RECORD_BYTES)
        total += size
    if total > MAX_APPEND_BYTES:
        raise RecordTooLarge(total, MAX_APPEND_BYTES)
    return total
