"""Where a follower of the commit topics stands: kept in PostgreSQL, moved by compare-and-set."""

from collections.abc import Mapping

import msgspec

from infra.log.port import Topic
from infra.postgres.pool import Pool
from projections.positions import load_places
from schemas.envelope import Epoch
from schemas.fence import Fence

Slot = tuple[Topic, int]
"""A commit topic and a partition of it."""

COMMIT_TOPICS = (Topic.EVENTS, Topic.EXECUTIONS)

_STORE = """
UPDATE log_followers
SET next_offset = moved.next_offset, epoch_offset = moved.epoch_offset, epoch_nonce = moved.epoch_nonce,
    next_n = moved.next_n, anchor = moved.anchor
FROM unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::bigint[], $9::bigint[])
    AS moved (topic, partition, before, next_offset, epoch_offset, epoch_nonce, next_n, anchor)
WHERE log_followers.name = $1 AND log_followers.topic = moved.topic AND log_followers.partition = moved.partition
  AND log_followers.next_offset = moved.before
RETURNING 1
"""
_BEGIN = """
INSERT INTO log_followers (name, topic, partition, next_offset, epoch_offset, epoch_nonce, next_n, anchor)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING
"""


class Place(msgspec.Struct, frozen=True):
    """`anchor`: the offset of the record that a feed's cursor names (−1: none yet)."""

    next_offset: int
    epoch: Epoch | None
    next_n: int
    anchor: int

    def fence(self) -> Fence:
        return Fence(self.next_offset, self.epoch, self.next_n)


class PlaceMoved(Exception):
    """Another process follows under the same name."""


class Places:
    """The places of the follower `name`."""

    def __init__(self, pool: Pool, name: str) -> None:
        self._pool = pool
        self._name = name
        self._stored: dict[Slot, int] = {}

    async def projected(self) -> dict[Slot, Place]:
        """Where all read models are: what is below is visible."""
        return {
            (Topic(topic), partition): Place(place.next_offset, place.epoch, place.next_n, place.next_offset - 1)
            for (topic, partition), place in (await load_places(self._pool)).items()
        }

    async def load(self) -> dict[Slot, Place]:
        """The stored places; a follower that was never there begins where the read models are."""
        found = await self._load()
        missing = {slot: place for slot, place in (await self.projected()).items() if slot not in found}
        if missing:
            await self._pool.executemany(_BEGIN, [self._row(slot, place) for slot, place in missing.items()])
            found = await self._load()
        self._stored = {slot: place.next_offset for slot, place in found.items()}
        return found

    async def store(self, places: Mapping[Slot, Place]) -> None:
        """Move on from the places that were loaded or stored last. Raises PlaceMoved."""
        moved = {slot: place for slot, place in places.items() if place.next_offset != self._stored.get(slot)}
        if not moved:
            return
        columns = zip(
            *(
                (topic, number, self._stored[topic, number], *_values(place))
                for (topic, number), place in moved.items()
            ),
            strict=True,
        )
        async with self._pool.acquire() as connection, connection.transaction():
            if len(await connection.fetch(_STORE, self._name, *map(list, columns))) != len(moved):
                raise PlaceMoved(f"another {self._name} is at work")
        self._stored |= {slot: place.next_offset for slot, place in moved.items()}

    async def skip_to(self, places: Mapping[Slot, Place]) -> None:
        """Go there whatever is stored: records before are gone."""
        await self._pool.execute("DELETE FROM log_followers WHERE name = $1", self._name)
        await self._pool.executemany(_BEGIN, [self._row(slot, place) for slot, place in places.items()])

    async def _load(self) -> dict[Slot, Place]:
        rows = await self._pool.fetch(
            "SELECT topic, partition, next_offset, epoch_offset, epoch_nonce, next_n, anchor"
            " FROM log_followers WHERE name = $1",
            self._name,
        )
        return {
            (Topic(row["topic"]), row["partition"]): Place(
                row["next_offset"],
                None if row["epoch_nonce"] is None else Epoch(row["epoch_offset"], row["epoch_nonce"]),
                row["next_n"],
                row["anchor"],
            )
            for row in rows
        }

    def _row(self, slot: Slot, place: Place) -> tuple[object, ...]:
        return (self._name, slot[0].value, slot[1], *_values(place))


def _values(place: Place) -> tuple[int, int | None, str | None, int, int]:
    epoch = place.epoch
    return (
        place.next_offset,
        None if epoch is None else epoch.offset,
        None if epoch is None else epoch.nonce,
        place.next_n,
        place.anchor,
    )
