"""Facts recorded for one limit: who has a place, who waits for one."""

import msgspec


class SlotGiven(msgspec.Struct, frozen=True, omit_defaults=True):
    execution_id: str
    key: str
    size: int


class SlotAwaited(msgspec.Struct, frozen=True, omit_defaults=True):
    """All places are taken: it stands in line."""

    execution_id: str
    key: str
    size: int
    priority: str = "normal"


class SlotRefused(msgspec.Struct, frozen=True, omit_defaults=True):
    """All places are taken, and it did not want to wait."""

    execution_id: str
    key: str


class SlotReturned(msgspec.Struct, frozen=True, omit_defaults=True):
    execution_id: str
    key: str


LimitEvent = SlotGiven | SlotAwaited | SlotRefused | SlotReturned
