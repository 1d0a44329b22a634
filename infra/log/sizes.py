"""Sizes of what is appended, checked the same way by every implementation before anything is sent."""

from collections.abc import Sequence

from infra.log.port import MAX_APPEND_BYTES, MAX_RECORD_BYTES, NewRecord, RecordTooLarge

RECORD_OVERHEAD = 32
HEADER_OVERHEAD = 12
"""What a record and a header take beside their bytes, at most."""


def record_bytes(record: NewRecord) -> int:
    """Value, headers and key of `record` in bytes."""
    size = len(record.value)
    if record.key is not None:
        size += len(record.key)
    for name, value in record.headers:
        size += len(name) + len(value)
    return size


def checked_bytes(records: Sequence[NewRecord]) -> int:
    """Bytes of one append call, overhead included; raises RecordTooLarge if it or a record is over the limit."""
    total = 0
    for record in records:
        size = record_bytes(record)
        if size > MAX_RECORD_BYTES:
            raise RecordTooLarge(size, MAX_RECORD_BYTES)
        total += size + RECORD_OVERHEAD + HEADER_OVERHEAD * len(record.headers)
    if total > MAX_APPEND_BYTES:
        raise RecordTooLarge(total, MAX_APPEND_BYTES)
    return total
