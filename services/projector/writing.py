"""Writes batches, and passes over what cannot become a row: into the dead letters, never a stuck partition."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import msgspec

from infra.log.port import Log, NewRecord, Topic, Writer
from infra.telemetry.logs import get_logger
from infra.telemetry.metrics import DEAD_LETTERS
from projections.positions import Place
from schemas.envelope import KIND_DEAD_LETTER, DeadLetterRecord, encode
from services.projector.batch import Entry, PartitionFold, PlaceKey, dead_letter
from services.projector.feed import Feed
from services.projector.store import BAD_ROW, ProjectorStore

_log = get_logger("projector.writing")

_MAX_KEPT = 500_000
"""Bytes of a record that its dead letter carries along (base64 makes more of them); the rest stays on its topic."""


class DeadLetterOffice:
    """Appends dead letters; opens its writer with the first one."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._writer: Writer | None = None

    async def send(self, letters: Sequence[DeadLetterRecord]) -> None:
        """Raises LogUnavailable: then it may be sent again, a letter more does no harm."""
        for letter in letters:
            _log.error("passed over a record", code=letter.code, topic=letter.topic, offset=letter.offset)
            DEAD_LETTERS.labels(letter.code).inc()
            whole = letter if len(letter.value) <= _MAX_KEPT else msgspec.structs.replace(letter, value=b"")
            record = NewRecord(encode(whole), (("k", KIND_DEAD_LETTER), ("w", letter.workspace.encode())))
            if self._writer is None:
                self._writer = await self._log.writer()
            try:
                await self._writer.append(Topic.DEAD_LETTERS, letter.partition, [record])
            except BaseException:
                await self.close()
                raise

    async def close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.close()


async def write_batch(
    store: ProjectorStore, entries: Sequence[Entry], start: Mapping[PlaceKey, Place], office: DeadLetterOffice | None
) -> None:
    """Write `entries`, whose partitions stood at `start`. Letters come before the rows, so that none is lost.

    A batch that cannot be written is halved until the commit that is to blame is found and passed over. `office` None:
    a rebuild, whose letters were sent when the records were first read. Raises what ProjectorStore.apply raises.
    """
    letters = [letter for entry in entries for letter in entry.letters]
    if letters and office is not None:
        await office.send(letters)
    await _write(store, entries, start, office)


async def fold_until(
    log: Log,
    store: ProjectorStore,
    folds: Sequence[PartitionFold],
    until: Mapping[PlaceKey, int],
    written: Callable[[Sequence[Entry]], None] = lambda entries: None,
) -> None:
    """Fold the partitions of `folds` up to the offsets `until` into `store`; `written` is told of each batch.

    Letters are not sent: these records have been read before.
    """
    reader = await log.reader()
    feed = Feed(reader, folds, until)
    gathering = asyncio.create_task(feed.gather())
    gathering.add_done_callback(lambda _: feed.end())
    try:
        while True:
            entries, start = await feed.take()
            if not entries:
                break
            await write_batch(store, entries, start, None)
            written(entries)
        await gathering
    finally:
        gathering.cancel()
        await asyncio.gather(gathering, return_exceptions=True)
        await reader.close()


async def _write(
    store: ProjectorStore, entries: Sequence[Entry], start: Mapping[PlaceKey, Place], office: DeadLetterOffice | None
) -> None:
    try:
        await store.apply(entries, start)
    except BAD_ROW as error:
        if len(entries) > 1:
            half = len(entries) // 2
            await _write(store, entries[:half], start, office)
            behind = {**start, **{entry.key: entry.place for entry in entries[:half]}}
            await _write(store, entries[half:], behind, office)
            return
        entry = entries[0]
        if not entry.operations:
            raise
        letter = dead_letter(entry.record, "unprojectable", f"{type(error).__name__}: {error}")
        if office is not None:
            await office.send([letter])
        else:
            _log.error("passed over a record", code=letter.code, topic=letter.topic, offset=letter.offset)
        await store.apply([Entry(entry.key, entry.place, entry.record, [])], start)
