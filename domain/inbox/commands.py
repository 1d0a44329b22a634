"""What can be asked of the inbox of an endpoint.

Ids and hashes have one spelling, which is checked when a command is made or read from the log: an inbox packs them and
the rows have columns for them, where another one would be a failure too late to refuse.
"""

import re

import msgspec

from domain.execution.events import Items
from domain.inbox.gates import Delivery, Gates

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HASH = re.compile(r"([0-9a-f]{2})+")
_DEDUP_KEY = re.compile(r"[0-9a-f]{32}")


class ReceiveDelivery(msgspec.Struct, frozen=True, omit_defaults=True):
    """`taken`: the read model has it, so it was taken before, also if the inbox has forgotten it since (who asks now
    looks at the rows, and does not send it). `bare`: its
    items are left out, because it is thought to repeat what another one with its dedup key holds."""

    delivery: Delivery
    gates: Gates
    items: Items = []
    taken: bool = False
    bare: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError."""
        _check(self.delivery)
        dedup, throttle = self.gates.dedup, self.gates.throttle
        if dedup is not None:
            _check_form("gates.dedup.key", dedup.key, _DEDUP_KEY)
        if throttle is not None and (throttle.limit < 1 or throttle.period < 1):
            raise ValueError("gates.throttle: limit and period begin with 1")


class RefuseDelivery(msgspec.Struct, frozen=True, omit_defaults=True):
    """It was answered with an error before it got here. `excerpt`: the beginning of a body that is no item; `more`: so
    many others were refused and not kept."""

    delivery: Delivery
    code: str
    reason: str
    items: Items = []
    excerpt: str = ""
    more: int = 0

    def __post_init__(self) -> None:
        """Raises ValueError."""
        _check(self.delivery)


def _check(delivery: Delivery) -> None:
    _check_form("delivery.id", delivery.id, _ID)
    _check_form("delivery.workflow_id", delivery.workflow_id, _ID)
    if delivery.content:
        _check_form("delivery.content", delivery.content, _HASH)


def _check_form(field: str, value: str, form: re.Pattern[str]) -> None:
    if not form.fullmatch(value):
        raise ValueError(f"{field}: {value[:100]!r} has not the form {form.pattern}")
