"""Reads ahead: gathers the next batch while the one before is written."""

import asyncio
from collections.abc import Iterable, Mapping

from infra.log.port import Reader, Record, Topic
from projections.positions import Place
from services.projector.batch import Entry, PartitionFold, PlaceKey

MAX_ENTRIES = 4_000
MAX_BYTES = 16_000_000
"""A batch ends there; reading goes on when it is taken."""

_READ_AT_ONCE = 500


class Feed:
    """Records of `folds`' partitions, folded, in batches. `gather` is one task, `take` another.

    `until`: offsets at which partitions end (a rebuild follows to a given place); without it, for ever.
    """

    def __init__(
        self, reader: Reader, folds: Iterable[PartitionFold], until: Mapping[PlaceKey, int] | None = None
    ) -> None:
        self._reader = reader
        self._folds = {fold.key: fold for fold in folds}
        self._until = until
        self._entries: list[Entry] = []
        self._bytes = 0
        self._start: dict[PlaceKey, Place] = {key: fold.place for key, fold in self._folds.items()}
        self._filled = asyncio.Event()
        self._taken = asyncio.Event()
        self._ended = False
        for (topic, partition), fold in self._folds.items():
            if self._wanted(fold):
                reader.seek(Topic(topic), partition, fold.next_offset)

    async def gather(self) -> None:
        """Read and fold until the end (`until`) or cancelled. Raises what the reader raises, and GapInLog."""
        while not self._complete():
            if len(self._entries) >= MAX_ENTRIES or self._bytes >= MAX_BYTES:
                self._taken.clear()
                await self._taken.wait()
            for record in await self._reader.read(max_records=_READ_AT_ONCE):
                self._add(record)
            if self._entries:
                self._filled.set()
        self.end()

    async def take(self) -> tuple[list[Entry], dict[PlaceKey, Place]]:
        """Wait for records; returns what is there and where its partitions stood before. Empty: there come no more."""
        if not self._ended:
            await self._filled.wait()
        entries, start = self._entries, self._start
        self._entries, self._bytes = [], 0
        self._start = {**start, **{entry.key: entry.place for entry in entries}}
        if not self._ended:
            self._filled.clear()
        self._taken.set()
        return entries, start

    def end(self) -> None:
        """Nothing more is gathered; `take` gives what is left, then nothing."""
        self._ended = True
        self._filled.set()

    def _add(self, record: Record) -> None:
        fold = self._folds[record.topic, record.partition]
        if not self._wanted(fold):
            return
        self._entries.append(fold.fold(record))
        self._bytes += len(record.value)
        if not self._wanted(fold):
            self._reader.forget(record.topic, record.partition)

    def _wanted(self, fold: PartitionFold) -> bool:
        return self._until is None or fold.next_offset < self._until[fold.key]

    def _complete(self) -> bool:
        return self._ended or (self._until is not None and not any(map(self._wanted, self._folds.values())))
