"""From a decision to the record that goes on the log: encoding, what is too large moves out, headers."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from domain.decision import ACCEPTED, Outcome, OutgoingCommand
from infra.log.port import MAX_RECORD_BYTES, Headers, NewRecord
from schemas import registry
from schemas.envelope import (
    KIND_COMMIT,
    Answers,
    CommitRecord,
    Epoch,
    SentCommand,
    encode,
)
from schemas.payloads import BlobCollector

SPILL_ABOVE = (64_000, 4_000, 500)
"""Payloads over the first size (bytes) are stored outside; if the commit is still too large, over the next."""


class CommitTooLarge(Exception):
    """Not even with its payloads outside does the commit fit into a record (rule 8)."""

    code = "commit_too_large"


class Encoded(NamedTuple):
    """A commit ready for the log, and the commands in it that are sent after acceptance."""

    record: NewRecord
    commands: Sequence[SentCommand]


class CommitEncoder:
    """Encodes the commits of one owner. Blobs gather in `blobs` (workspace → id → bytes) until they are stored."""

    def __init__(self, epoch: Epoch, partition: int, first_n: int = 0) -> None:
        self._epoch = epoch
        self._epoch_header = epoch.header()
        self._prefix = f"{partition}-{epoch.offset}-"
        self.next_n = first_n
        self.blobs: dict[str, dict[str, bytes]] = {}

    def encode(
        self,
        stream: str,
        *,
        workspace: str,
        version: int,
        time: int,
        events: Sequence[Any] = (),
        outcome: Outcome = ACCEPTED,
        answers: Answers | None = None,
        cause: str = "",
        correlation: str = "",
        actor: str = "",
        queued_at: int | None = None,
        delivers: bool = False,
        outgoing: Sequence[OutgoingCommand] = (),
        reply: bytes | None = None,
        trace: bytes | None = None,
    ) -> Encoded:
        """One commit as a record; takes the next ordinal. Raises CommitTooLarge without taking it."""
        for limit in SPILL_ABOVE:
            spill = BlobCollector(workspace)
            commit = CommitRecord(
                id=f"{self._prefix}{self.next_n}",
                stream=stream,
                version=version,
                epoch=self._epoch,
                n=self.next_n,
                workspace=workspace,
                time=time,
                events=[registry.encode_event(each, spill=spill, over=limit) for each in events],
                outcome=outcome,
                answers=answers,
                cause=cause,
                correlation=correlation,
                actor=actor,
                queued_at=queued_at,
                delivers=delivers,
                commands=[registry.sent_command(each, spill=spill, over=limit) for each in outgoing],
            )
            value = encode(commit)
            if len(value) <= MAX_RECORD_BYTES - 2_000:
                break
        else:
            raise CommitTooLarge(f"the commit of {stream} has {len(value)} bytes")
        if spill.blobs:
            self.blobs.setdefault(workspace, {}).update(spill.blobs)
        self.next_n += 1
        return Encoded(NewRecord(value, self._headers(commit, reply, trace), stream.encode()), commit.commands)

    def take_blobs(self) -> dict[str, dict[str, bytes]]:
        blobs, self.blobs = self.blobs, {}
        return blobs

    def _headers(self, commit: CommitRecord, reply: bytes | None, trace: bytes | None) -> Headers:
        headers = [
            ("k", KIND_COMMIT),
            ("e", self._epoch_header),
            ("n", b"%d" % commit.n),
            ("w", commit.workspace.encode()),
            ("s", commit.stream.encode()),
            ("c", commit.cause.encode()),
        ]
        if reply is not None:
            headers.append(("r", reply))
        if trace is not None:
            headers.append(("t", trace))
        return tuple(headers)
