"""What a delivery has to pass, as the version of the workflow that it came for says: keys are hashes, times ms."""

from typing import Final, Literal

import msgspec

from domain.execution.events import Reply

MOST_PER_PERIOD: Final = 1_000
MOST_SECONDS: Final = 7 * 86_400


class Dedup(msgspec.Struct, frozen=True, omit_defaults=True):
    """One execution for all deliveries with this key, until `ttl` has passed since the first."""

    key: str
    ttl: int


class Throttle(msgspec.Struct, frozen=True, omit_defaults=True):
    """At most `limit` executions begin in any `period`; one more is refused, or waits its turn."""

    key: str
    limit: int
    period: int
    excess: Literal["refuse", "delay"] = "refuse"


class Debounce(msgspec.Struct, frozen=True, omit_defaults=True):
    """The last delivery counts, once none has come for `quiet`, at the latest `most` after the first."""

    key: str
    quiet: int
    most: int | None = None


class Gates(msgspec.Struct, frozen=True, omit_defaults=True):
    dedup: Dedup | None = None
    throttle: Throttle | None = None
    debounce: Debounce | None = None


class Delivery(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request that reached an endpoint: what it is for, without what is in it.

    `received_at`: wall clock of the process that took it, ms. `keyed`: its id comes from an Idempotency-Key, and
    `fingerprint` is a hash of what was asked. `size`: bytes of its body and headers, about. `content`: hash of what
    is in it but for the headers, in hex, so that a duplicate need not be kept twice; empty: nobody compares it.
    """

    id: str
    endpoint_id: str
    workflow_id: str
    workflow_version: int
    node: str
    received_at: int
    priority: str = "normal"
    reply: Reply = "none"
    keyed: bool = False
    fingerprint: str = ""
    size: int = 0
    content: str = ""
