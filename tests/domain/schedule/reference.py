"""When a schedule should fire, worked out by brute force over every minute of UTC; shares nothing with the product.

A clock on the wall is watched minute by minute. What recurs fires whenever the wall shows a matching time. A time of
day fires when the wall first reaches or passes it: set back, the clock passes nothing it had not passed before; set
forward, it passes the whole gap at once.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

Wanted = Callable[[datetime], bool]
MINUTE = timedelta(minutes=1)


@lru_cache(maxsize=1)
def walls(zone: str, year: int) -> list[tuple[int, datetime]]:
    """(instant in ms, what the wall shows) for every minute of the year in UTC."""
    first = int(datetime(year, 1, 1, tzinfo=UTC).timestamp())
    last = int(datetime(year + 1, 1, 1, tzinfo=UTC).timestamp())
    place = ZoneInfo(zone)
    return [
        (second * 1_000, datetime.fromtimestamp(second, place).replace(tzinfo=None, fold=0))
        for second in range(first, last, 60)
    ]


def recurring(wanted: Wanted, zone: str, year: int) -> list[int]:
    return [instant for instant, wall in walls(zone, year) if wanted(wall)]


def times_of_day(wanted: Wanted, zone: str, year: int) -> list[int]:
    found = []
    reached = walls(zone, year)[0][1] - MINUTE
    for instant, wall in walls(zone, year):
        if wall > reached:
            if wanted(wall) or (wall - reached > MINUTE and any(map(wanted, _passed(reached, wall)))):
                found.append(instant)
            reached = wall
    return found


def _passed(reached: datetime, wall: datetime) -> Iterator[datetime]:
    while reached < wall:
        reached += MINUTE
        yield reached


def last_of_month(wall: datetime) -> bool:
    return (wall + timedelta(days=1)).day == 1
