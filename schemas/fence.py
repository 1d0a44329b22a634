"""Which commits count: of the latest epoch and next in order (log protocol, rules 2 and 3). Every reader uses this."""

from dataclasses import dataclass

from schemas.envelope import KIND_COMMIT, KIND_TAKEOVER, Epoch, Headers


@dataclass(slots=True)
class Fence:
    """The place of a reader in one partition of a commit topic: `next_offset`, the epoch in force, the next ordinal."""

    next_offset: int = 0
    epoch: Epoch | None = None
    next_n: int = 0
    _epoch_header: bytes | None = None

    def __post_init__(self) -> None:
        if self.epoch is not None:
            self._epoch_header = self.epoch.header()

    def accept(self, offset: int, headers: Headers) -> bool:
        """Take the record at `offset` into account; True if it is a commit that counts.

        A takeover starts a new epoch and is not a commit. Records must come in order and without gaps: the log
        promises it, so anything else raises GapInLog.
        """
        if offset != self.next_offset:
            raise GapInLog(self.next_offset, offset)
        self.next_offset = offset + 1
        kind = epoch = n = nonce = None
        for name, value in headers:
            if name == "k":
                kind = value
            elif name == "e":
                epoch = value
            elif name == "n":
                n = value
            elif name == "o":
                nonce = value
        if kind == KIND_COMMIT:
            # Compared as bytes: garbage in a header makes a void record, not an error in every reader.
            if epoch is None or epoch != self._epoch_header or n != b"%d" % self.next_n:
                return False
            self.next_n += 1
            return True
        if kind == KIND_TAKEOVER and nonce is not None and nonce.isascii():
            self.epoch = Epoch(offset, nonce.decode())
            self._epoch_header = self.epoch.header()
            self.next_n = 0
        return False


class GapInLog(Exception):
    """A record is missing: the log was cut or truncated. The partition stops (rule 1)."""

    code = "gap_in_log"

    def __init__(self, expected: int, found: int) -> None:
        super().__init__(f"expected the record at offset {expected}, found {found}: the log was cut or truncated")
        self.expected = expected
        self.found = found
