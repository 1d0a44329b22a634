"""What executions ask of a limit: a place, and to take it back. They come by the log from the executions' commits."""

from typing import Literal

import msgspec

WhenFull = Literal["queue", "skip"]


class RequestSlot(msgspec.Struct, frozen=True, omit_defaults=True):
    """`size`: how many executions may go on side by side under `key`, as the one that asks knows it."""

    execution_id: str
    key: str
    size: int
    priority: str = "normal"
    when_full: WhenFull = "queue"


class ReleaseSlot(msgspec.Struct, frozen=True, omit_defaults=True):
    """The execution has ended, or will never begin: it holds and wants nothing any more."""

    execution_id: str
    key: str


LimitCommand = RequestSlot | ReleaseSlot
