"""An inbox that is given deliveries and time."""

from typing import Any
from uuid import NAMESPACE_OID, uuid5

from domain.decision import Decision
from domain.execution.commands import StartExecution
from domain.inbox import decider
from domain.inbox.commands import ReceiveDelivery, RefuseDelivery
from domain.inbox.decider import Inbox, stream_of
from domain.inbox.gates import Debounce, Dedup, Delivery, Gates, Throttle
from domain.ticking import PassTime

ENDPOINT = "endpoint-of-some-hook-0001"
STREAM = stream_of(ENDPOINT)
WORKFLOW = str(uuid5(NAMESPACE_OID, "workflow"))


def some_id(name: object) -> str:
    return str(uuid5(NAMESPACE_OID, f"delivery {name}"))


def delivery(name: object, at: int = 1_000, **fields: Any) -> Delivery:
    known: dict[str, Any] = {"id": some_id(name), "endpoint_id": ENDPOINT, "workflow_id": WORKFLOW,
                             "workflow_version": 3, "node": "hook", "received_at": at}  # fmt: skip
    return Delivery(**(known | fields))


def key(name: object) -> str:
    return uuid5(NAMESPACE_OID, f"key {name}").hex


def dedup(name: object, ttl: int = 60_000) -> Gates:
    return Gates(dedup=Dedup(key(name), ttl))


def throttle(limit: int, period: int, excess: Any = "refuse", name: object = "") -> Gates:
    return Gates(throttle=Throttle(key(name), limit, period, excess))


def debounce(quiet: int, most: int | None = None, name: object = "") -> Gates:
    return Gates(debounce=Debounce(key(name), quiet, most))


def item(name: object) -> list[dict[str, Any]]:
    return [{"json": {"body": {"name": str(name)}}}]


def wakes_at(state: Inbox) -> int | None:
    """When the next one that is held begins, by looking at all of them."""
    due = [window.due for window in state.windows.values()]
    for lane in state.lanes.values():
        for first in list(lane.line)[:1]:
            rule = state.held[first].gates.throttle
            assert rule is not None
            due.append(lane.free_at(rule.limit, rule.period))
    return min(due, default=None)


class Given:
    """Every state goes through a checkpoint and, folded from the events alone, is the same."""

    def __init__(self) -> None:
        self.state: Inbox | None = None
        self.folded: Inbox | None = None
        self.started: list[tuple[int, StartExecution]] = []

    def receive(self, name: object, gates: Gates, now: int = 1_000, **fields: Any) -> Decision:
        return self.do(ReceiveDelivery(delivery(name, now, **fields), gates, item(name)), now)

    def refuse(self, name: object, now: int = 1_000, **fields: Any) -> Decision:
        known: dict[str, Any] = {"code": "malformed_json", "reason": "no JSON"}
        return self.do(RefuseDelivery(delivery(name, now), **(known | fields)), now)

    def tick(self, now: int) -> Decision:
        return self.do(PassTime(now), now)

    def ticks(self, now: int) -> None:
        """As an owner does: until nothing is due."""
        for _ in range(1_000):
            if self.due is None or self.due > now:
                return
            assert self.tick(now).events, "something was due, and nothing was recorded"
        raise AssertionError("it never ends")

    @property
    def due(self) -> int | None:
        return None if self.state is None else decider.next_due(self.state)

    def do(self, command: Any, now: int) -> Decision:
        decision = decider.decide(command, self.state, workspace="s", stream_id=STREAM, now=now)
        if decision.state is not None:
            self.state = decider.restore(decider.snapshot(decision.state))
        for event in decision.events:
            self.folded = decider.evolve(self.folded, event)
        if decision.events:
            assert self.folded == self.state
        if self.state is not None:
            assert self.state.wakes_at == wakes_at(self.state)
        self.started += [(now, each.command) for each in decision.commands]
        return decision

    @property
    def names(self) -> list[str]:
        """The payloads that started something, in order."""
        return [each.items[0]["json"]["body"]["name"] for _, each in self.started]
