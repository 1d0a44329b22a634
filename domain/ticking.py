"""The passing of time, as aggregates see it."""

import msgspec


class PassTime(msgspec.Struct, frozen=True):
    """Do what is due at `now`: owner's time in ms, the latest tick plus what has passed since. Never on the log.

    Given to an aggregate whose `next_due(state)` has come. Its decision must move `next_due` on, or record something.
    """

    now: int
