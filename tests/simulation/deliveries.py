"""Deliveries to webhook endpoints with an inbox: what senders send, and what their apis ask the inboxes for."""

import hashlib
import random
from dataclasses import dataclass
from uuid import UUID

from domain.inbox.commands import ReceiveDelivery
from domain.inbox.gates import Debounce, Dedup, Delivery, Gates, Throttle

_PERIODS = (2_000, 15_000, 90_000)


@dataclass(frozen=True, slots=True)
class Sent:
    """One request. `asks`: when (seconds) it is sent; more than once only with an Idempotency-Key."""

    identity: str
    endpoint: str
    workflow: str
    gates: Gates
    keyed: bool
    asks: tuple[float, ...]

    def command(self, received_at: int) -> ReceiveDelivery:
        delivery = Delivery(
            id=self.identity, endpoint_id=self.endpoint, workflow_id=self.workflow, workflow_version=1, node="start",
            received_at=received_at, keyed=self.keyed, fingerprint="f" if self.keyed else "", size=100,
        )  # fmt: skip
        return ReceiveDelivery(delivery, self.gates, [{"json": {"n": 1, "id": self.identity}}])


def random_deliveries(source: random.Random, seconds: float, workflows: list[str]) -> list[Sent]:
    """For up to three endpoints, each with rules of its own, in bursts."""
    return [
        sent
        for number in range(source.choice((0, 1, 1, 3)))
        for sent in _of_endpoint(source, seconds, f"endpoint-{number}", source.choice(workflows))
    ]


def _of_endpoint(source: random.Random, seconds: float, endpoint: str, workflow: str) -> list[Sent]:
    kinds = source.choice((("dedup",), ("throttle",), ("debounce",), ("dedup", "throttle"), ("dedup", "debounce")))
    limit, period, excess = source.randint(1, 3), source.choice(_PERIODS), source.choice(("refuse", "delay", "delay"))
    quiet, most = source.choice((500, 5_000, 20_000)), source.choice((None, 30_000))
    ttl = source.choice(_PERIODS)
    burst = source.uniform(0.0, seconds)
    sent = []
    for _ in range(source.randint(2, 8)):
        keys = [hashlib.sha256(bytes([source.randrange(2)])).hexdigest()[:32] for _ in range(3)]
        gates = Gates(
            Dedup(keys[0], ttl) if "dedup" in kinds else None,
            Throttle(keys[1], limit, period, excess) if "throttle" in kinds else None,  # type: ignore[arg-type]
            Debounce(keys[2], quiet, most) if "debounce" in kinds else None,
        )
        at = burst if source.random() < 0.5 else source.uniform(0.0, seconds)
        keyed = source.random() < 0.5
        later = at + source.choice((0.0, 0.1, 5.0, 60.0)) * source.random()
        asks = (at, later) if keyed and source.random() < 0.5 else (at,)
        identity = str(UUID(int=source.getrandbits(128), version=4))
        sent.append(Sent(identity, endpoint, workflow, gates, keyed, asks))
    return sent
