"""What the readers have in common: where each partition is read, and a fair share for each."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from infra.log.port import Record, Topic


@dataclass(slots=True, eq=False)
class Place:
    """Where a partition is read. A seek makes a new place, so that what is under way for the old one is known by it."""

    topic: Topic
    partition: int
    offset: int
    paused: bool = False


P = TypeVar("P", bound=Place)


class PlacedReader(Generic[P]):
    """The part of a Reader that keeps places; `_wake` is set when one is added, moved or resumed."""

    def __init__(self, place: Callable[[Topic, int, int], P]) -> None:
        self._make_place = place
        self._places: dict[tuple[Topic, int], P] = {}
        self._wake = asyncio.Event()
        self._turn = 0

    def seek(self, topic: Topic, partition: int, offset: int) -> None:
        before = self._places.get((topic, partition))
        place = self._make_place(topic, partition, offset)
        place.paused = before is not None and before.paused
        self._places[topic, partition] = place
        self._wake.set()

    def forget(self, topic: Topic, partition: int) -> None:
        self._places.pop((topic, partition), None)

    def pause(self, topic: Topic, partition: int) -> None:
        if place := self._places.get((topic, partition)):
            place.paused = True

    def resume(self, topic: Topic, partition: int) -> None:
        if place := self._places.get((topic, partition)):
            place.paused = False
            self._wake.set()

    def _is_current(self, place: P) -> bool:
        """Whether `place` was neither moved nor forgotten meanwhile."""
        return self._places.get((place.topic, place.partition)) is place

    def _in_turn(self, ready: list[P]) -> list[P]:
        """`ready`, begun at another place each time."""
        start = self._turn % len(ready) if ready else 0
        self._turn += 1
        return [*ready[start:], *ready[:start]]

    def _take_shares(self, ready: list[P], max_records: int, take: Callable[[P, int], list[Record]]) -> list[Record]:
        """Up to `max_records`, the same number of each ready place: `take(place, limit)` gives them."""
        share = max(1, max_records // max(1, len(ready)))
        records: list[Record] = []
        for place in self._in_turn(ready):
            records += take(place, min(share, max_records - len(records)))
        return records
