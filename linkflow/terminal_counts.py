"""Which executions ended, by workspace, as a metric may count them: record by record, from wherever a reader begins.

A metric must not stop because it was started in the middle or the log was cut: then it trusts the first commit that it
sees until the next takeover. So a count may be off by a few void records there; nothing else may use this.
"""

from collections.abc import Iterator

import msgspec

from schemas.envelope import KIND_COMMIT, Epoch, Headers, decode_commit, header
from schemas.errors import DECODING_ERRORS
from schemas.fence import Fence, GapInLog

TERMINAL_STATUS = {
    "execution.completed": "completed",
    "execution.failed": "failed",
    "execution.cancelled": "cancelled",
    "execution.timed_out": "timeout",
}


class Ended(msgspec.Struct, frozen=True):
    """An execution came to its end."""

    workspace: str
    status: str


class TerminalCounter:
    """Reads records of `linkflow.executions`; each partition's in order."""

    def __init__(self) -> None:
        self._fences: dict[int, Fence] = {}

    def ended(self, partition: int, offset: int, headers: Headers, value: bytes) -> Iterator[Ended]:
        """The executions that this record ends: none or one, if it counts at all."""
        if not self._accepts(partition, offset, headers):
            return
        try:
            commit = decode_commit(value)
        except DECODING_ERRORS:
            return
        for event in commit.events:
            status = TERMINAL_STATUS.get(event.type)
            if status is not None:
                yield Ended(commit.workspace, status)

    def _accepts(self, partition: int, offset: int, headers: Headers) -> bool:
        fence = self._fences.get(partition)
        if fence is None:
            fence = self._fences[partition] = _beginning_at(offset, headers)
        try:
            return fence.accept(offset, headers)
        except GapInLog:
            # Given this partition back, or the log was cut: begin anew here.
            self._fences[partition] = _beginning_at(offset, headers)
            return self._fences[partition].accept(offset, headers)


def _beginning_at(offset: int, headers: Headers) -> Fence:
    epoch, n = header(headers, "e"), header(headers, "n")
    if header(headers, "k") != KIND_COMMIT or epoch is None or n is None:
        return Fence(offset)
    try:
        return Fence(offset, Epoch.of_header(epoch), int(n))
    except ValueError:  # garbage in the headers
        return Fence(offset)
