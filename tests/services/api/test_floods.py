"""What a process repeats of an inbox's word: never longer than it holds."""

from domain.inbox.gates import Dedup, Gates, Throttle
from services.api import floods
from services.api.floods import Floods, Full

KEY = Gates(dedup=Dedup("00" * 16, 600_000))
OTHER = Gates(dedup=Dedup("11" * 16, 600_000))
SHARED = Gates(KEY.dedup, Throttle("22" * 16, 1, 10_000))


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_a_key_is_known_for_a_minute_at_most_and_never_after_its_time() -> None:
    clock = Clock()
    heard = Floods(clock)
    heard.heard_first("e", KEY, "c", 600.0, clock.now)
    assert heard.is_duplicate("e", KEY)
    assert not heard.is_duplicate("e", OTHER)
    assert not heard.is_duplicate("another", KEY)
    clock.now += 59.1
    assert not heard.is_duplicate("e", KEY), "it is asked about once more"
    assert heard.repeats("e", KEY, "c")
    assert not heard.repeats("e", KEY, "other")
    heard.heard_first("e", KEY, "", 540.0, clock.now)
    assert (heard.is_duplicate("e", KEY), heard.repeats("e", KEY, "c")) == (True, True)
    # An answer that took 8 seconds: the key's 10 seconds began before it came.
    clock.now += 8.0
    heard.heard_first("e", OTHER, "c", 10.0, clock.now - 8.0)
    clock.now += 1.0
    assert not heard.is_duplicate("e", OTHER)
    clock.now += 1.1
    assert not heard.repeats("e", OTHER, "c")


def test_the_oldest_key_is_forgotten() -> None:
    heard = Floods(Clock())
    for number in range(floods.MOST_KEYS + 1):
        heard.heard_first("e", Gates(dedup=Dedup(f"{number:032x}", 1)), "c", 600.0, 1_000.0)
    assert not heard.is_duplicate("e", Gates(dedup=Dedup(f"{0:032x}", 1)))
    assert heard.is_duplicate("e", Gates(dedup=Dedup(f"{1:032x}", 1)))


def test_what_is_full_counts_for_its_throttle_or_in_a_flood() -> None:
    clock = Clock()
    heard = Floods(clock)
    heard.heard_refused("e", SHARED, Full(5.0, "throttled", "why"), recorded=True)
    assert heard.full("e", SHARED) == Full(5.0, "throttled", "why")
    assert heard.full("e", KEY) is None
    heard.heard_refused("e", KEY, Full(1.0, "inbox_full", "why"), recorded=True)
    assert heard.full("e", KEY) is None, "there may be room for this one"
    heard.heard_refused("e", KEY, Full(1.0, "inbox_full", "why"), recorded=False)
    assert heard.full("e", KEY) == Full(1.0, "inbox_full", "why")
    clock.now += 5.0
    assert heard.full("e", SHARED) is None
    assert heard.flooded("e")
    clock.now += 56.0
    assert not heard.flooded("e")


def test_crowded_until_the_inbox_keeps_more() -> None:
    clock = Clock()
    heard = Floods(clock)
    assert heard.crowded("e") == 0
    heard.heard_crowded("e", 20.0)
    clock.now += 5.0
    assert heard.crowded("e") == 15.0
    clock.now += 15.0
    assert heard.crowded("e") == 0
