"""What can be asked of the inbox of an endpoint."""

import msgspec

from domain.execution.events import Items
from domain.inbox.gates import Delivery, Gates


class ReceiveDelivery(msgspec.Struct, frozen=True, omit_defaults=True):
    """`taken`: the read model has it, so it was taken before, also if the inbox has forgotten it since. `bare`: its
    items are left out, because it is thought to repeat what another one with its dedup key holds."""

    delivery: Delivery
    gates: Gates
    items: Items = []
    taken: bool = False
    bare: bool = False


class RefuseDelivery(msgspec.Struct, frozen=True, omit_defaults=True):
    """It was answered with an error before it got here. `excerpt`: the beginning of a body that is no item; `more`: so
    many others were refused and not kept."""

    delivery: Delivery
    code: str
    reason: str
    items: Items = []
    excerpt: str = ""
    more: int = 0
