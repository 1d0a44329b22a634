"""Ids of closed and refused streams, kept until the read model answers for them (log protocol, rule 14).

Ids gather in generations. A generation may go when the read model has passed its last commit, then STALE_AFTER plus
a margin has gone by, and then every input that stood in the log at that moment has been answered: after that no input
with one of its ids can arrive whose caller did not find it in the read model, except stale ones, which are refused.
"""

from dataclasses import dataclass, field

import msgspec

from infra.postgres.checkpoints import StoredGeneration

STALE_AFTER_MS = 30_000
"""An input appended later than this after its caller made it is refused."""

_MARGIN_MS = 10_000


@dataclass(slots=True)
class _Generation:
    number: int
    ids: list[str] = field(default_factory=list)
    until_offset: int = -1
    expires_at: int | None = None
    drop_at_answered: int | None = None


class RememberedIds:
    """`stream id → fingerprint` of what is closed."""

    def __init__(self, stored: list[StoredGeneration] | None = None) -> None:
        self._fingerprints: dict[str, str] = {}
        self._sealed: list[_Generation] = []
        self._forgotten: list[int] = []
        self._unsaved: list[_Generation] = []
        number = 0
        for each in stored or ():
            number = each.generation
            pairs = msgspec.json.decode(each.ids, type=list[tuple[str, str]])
            self._fingerprints.update(pairs)
            self._sealed.append(_Generation(number, [stream for stream, _ in pairs], each.until_offset))
        self._open = _Generation(number + 1)

    def __len__(self) -> int:
        return len(self._fingerprints)

    def get(self, stream: str) -> str | None:
        return self._fingerprints.get(stream)

    def add(self, stream: str, fingerprint: str, offset: int) -> None:
        """Remember `stream`, whose last commit stands at `offset`."""
        self._fingerprints[stream] = fingerprint
        self._open.ids.append(stream)
        self._open.until_offset = offset

    def seal(self) -> list[StoredGeneration]:
        """Close the open generation and return what a checkpoint must store."""
        if self._open.ids:
            self._sealed.append(self._open)
            self._unsaved.append(self._open)
            self._open = _Generation(self._open.number + 1)
        return [self._stored(each) for each in self._unsaved]

    def forgotten(self) -> list[int]:
        return list(self._forgotten)

    def saved(self, generations: list[StoredGeneration], forgotten: list[int]) -> None:
        """A checkpoint with these was written."""
        numbers = {each.generation for each in generations}
        self._unsaved = [each for each in self._unsaved if each.number not in numbers]
        gone = set(forgotten)
        self._forgotten = [number for number in self._forgotten if number not in gone]

    def visible(self, projected_offset: int, now: int) -> None:
        """The read model has all commits below `projected_offset`: no more than before, if its database went down with
        rows that were not on the disk yet. Then they are waited for again."""
        for each in self._sealed:
            if each.until_offset >= projected_offset:
                each.expires_at = each.drop_at_answered = None
            elif each.expires_at is None:
                each.expires_at = now + STALE_AFTER_MS + _MARGIN_MS

    def wants_end_offset(self, now: int) -> bool:
        return any(
            g.drop_at_answered is None and g.expires_at is not None and g.expires_at <= now for g in self._sealed
        )

    def expire(self, now: int, end_offset: int) -> None:
        """`end_offset`: of the input partition, asked for after `now`."""
        for each in self._sealed:
            if each.drop_at_answered is None and each.expires_at is not None and each.expires_at <= now:
                each.drop_at_answered = end_offset

    def forget(self, answered: int) -> None:
        """All inputs below `answered` have been answered."""
        while self._sealed and (limit := self._sealed[0].drop_at_answered) is not None and answered >= limit:
            gone = self._sealed.pop(0)
            self._forgotten.append(gone.number)
            for stream in gone.ids:
                self._fingerprints.pop(stream, None)

    def _stored(self, generation: _Generation) -> StoredGeneration:
        pairs = [(stream, self._fingerprints.get(stream, "")) for stream in generation.ids]
        return StoredGeneration(generation.number, msgspec.json.encode(pairs), generation.until_offset)
