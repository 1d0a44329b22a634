"""Two projectors and one set of rows: rule 12 (compare-and-set in the rows' transaction), rule 3 (where to start).

The rows are the offsets that were applied, in their order, so that a record applied twice or left out shows.
"""

from collections.abc import Iterable
from typing import NamedTuple

from tests.model.checker import Rules, replaced

TAKEOVER, COMMIT, VOID = "takeover", "commit", "void commit"

UNKNOWN = -2
"""The epoch of a reader that started without one: it takes every commit until it sees a takeover."""


class Place(NamedTuple):
    """The next offset, the epoch in force there (a takeover's offset, -1: none), the next ordinal."""

    offset: int = 0
    epoch: int = -1
    n: int = 0


class Projector(NamedTuple):
    """`batch`: offsets to apply, read from `start`; `rows_written`: they are applied, the position is not moved yet."""

    start: Place | None = None
    end: Place = Place()
    batch: tuple[int, ...] = ()
    rows_written: bool = False


Record = tuple[str, int, int]
"""(kind, epoch, n) as the record itself says."""


class State(NamedTuple):
    log: tuple[Record, ...] = ()
    position: Place = Place()
    rows: tuple[int, ...] = ()
    projectors: tuple[Projector, ...] = (Projector(), Projector())
    crashes: int = 0


class Projectors(Rules):
    """`records` in the log, batches of up to `batch`."""

    names = (
        "12 compare-and-set on the position",
        "12 position and rows in one transaction",
        "3 a reader starts with the epoch",
    )

    def __init__(self, off: Iterable[str] = (), *, records: int = 5, batch: int = 2, crashes: int = 1) -> None:
        super().__init__(off)
        self.records, self.batch, self.crashes = records, batch, crashes
        self.compares, self.transaction, self.knows_epoch = map(self.on, self.names)

    def initial(self) -> State:
        return State()

    def steps(self, state: State) -> Iterable[tuple[str, State]]:
        if len(state.log) < self.records:
            for record in self._appends(state.log):
                what = f"a {record[0]} lands at {len(state.log)}"
                yield what, state._replace(log=(*state.log, record))
        for me in (0, 1):
            yield from self._project(state, me)

    @staticmethod
    def _appends(log: tuple[Record, ...]) -> Iterable[Record]:
        """A takeover, the commit that counts next, or one of an owner whose epoch is over (it looks the same)."""
        place = _read(log, Place(), len(log))[0]
        yield (TAKEOVER, len(log), 0)
        if place.epoch >= 0:
            yield (COMMIT, place.epoch, place.n)
        older = [record for record in log[: max(place.epoch, 0)] if record[0] == TAKEOVER]
        if older:
            yield (VOID, older[-1][1], 0)

    def _project(self, state: State, me: int) -> Iterable[tuple[str, State]]:
        projector, name = state.projectors[me], "PQ"[me]

        def mine(after: Projector) -> State:
            return state._replace(projectors=replaced(state.projectors, me, after))

        if projector.start is None:
            start = state.position
            begins = start if self.knows_epoch or not start.offset else start._replace(epoch=UNKNOWN)
            for size in range(1, min(self.batch, len(state.log) - start.offset) + 1):
                end, batch = _read(state.log, begins, start.offset + size)
                label = f"{name} reads {start.offset} to {end.offset - 1}, wants to apply {list(batch)}"
                yield label, mine(Projector(start, end, batch))
            return
        if state.crashes < self.crashes:
            yield f"{name} crashes", mine(Projector())._replace(crashes=state.crashes + 1)
        moves = projector.start == state.position if self.compares else projector.end.offset > state.position.offset
        if projector.rows_written:
            yield (
                f"{name} moves the position to {projector.end.offset}",
                mine(Projector())._replace(position=projector.end),
            )
        elif not moves:
            yield f"{name} finds the position moved, rolls back", mine(Projector())
        elif self.transaction:
            rows = state.rows + projector.batch
            yield f"{name} commits, rows {list(rows)}", mine(Projector())._replace(position=projector.end, rows=rows)
        else:
            rows = state.rows + projector.batch
            yield f"{name} writes rows {list(rows)}", mine(projector._replace(rows_written=True))._replace(rows=rows)

    def wrong(self, state: State) -> Iterable[tuple[str, str]]:
        counts = [offset for offset, record in enumerate(state.log) if record[0] == COMMIT]
        if len(set(state.rows)) < len(state.rows):
            yield "applied once", f"the rows hold {list(state.rows)}"
        elif not set(state.rows) <= set(counts):
            yield "only accepted", f"the rows hold {list(state.rows)}, accepted are {counts}"
        elif self.transaction and list(state.rows) != [each for each in counts if each < state.position.offset]:
            yield (
                "read model is the fold",
                f"the rows hold {list(state.rows)} at {state.position.offset}, accepted are {counts}",
            )

    def finished(self, state: State) -> bool:
        return state.position.offset == len(state.log) == self.records

    @staticmethod
    def key(state: State) -> tuple[object, ...]:  # type: ignore[override]
        """Projectors have no names."""
        first, second = state.projectors
        pair = (first, second) if _order(first) <= _order(second) else (second, first)
        return (*state[:3], *pair, state.crashes)


def _order(projector: Projector) -> tuple[object, ...]:
    return (projector.start or (), *projector[1:])


def _read(log: tuple[Record, ...], place: Place, end: int) -> tuple[Place, tuple[int, ...]]:
    """The place behind the records below `end`, and the offsets of commits that the fence lets through."""
    epoch, n, through = place.epoch, place.n, []
    for offset in range(place.offset, end):
        kind, of_epoch, of_n = log[offset]
        if kind == TAKEOVER:
            epoch, n = offset, 0
        elif epoch == UNKNOWN or (of_epoch, of_n) == (epoch, n):
            through.append(offset)
            n += 1
    return Place(end, epoch, n), tuple(through)
