"""A subscription that is asked, whose state goes through a checkpoint after every decision."""

from typing import Any
from uuid import NAMESPACE_OID, uuid5

from domain.decision import Decision
from domain.execution.commands import StartExecution
from domain.subscription import decider
from domain.subscription.commands import CreateSubscription, NoteDeliveryEnded, Notice, PlacedNotice, TellEvents
from domain.subscription.definition import Channel, Definition, WebhookChannel
from domain.subscription.state import Subscription

ID = "6d1f0c52-7a0e-4f6b-8a55-0f3f5b7f9c11"
STREAM = f"subscription-{ID}"
WORKSPACE = "0b9a6c1e-5f1d-4a38-9d53-3f6d1f0c7a11"
SOURCE = "linkflow.executions/3"
HOOK = WebhookChannel("https://hooks.example.com/x", "5a0f3c5e-8e0f-49f4-b7b0-1d2f9f2b6c41")


def definition(channel: Channel = HOOK, **fields: Any) -> Definition:
    return Definition(**({"name": "Failures", "events": ["execution.*"], "channel": channel} | fields))


def notice(name: str, type_: str = "execution.failed", **data: Any) -> Notice:
    return Notice(str(uuid5(NAMESPACE_OID, name)), type_, 1_795_000_000_123, WORKSPACE, data)


def placed(offset: int, place: int = 0, type_: str = "execution.failed") -> PlacedNotice:
    return PlacedNotice(offset, place, notice(f"{SOURCE} {offset} {place}", type_))


class Given:
    def __init__(self, asked: Definition | None = None) -> None:
        self.state: Subscription | None = None
        self.last = self.do(CreateSubscription(ID, asked or definition(), 1_000, "f"))

    def do(self, command: Any) -> Decision:
        decision = decider.decide(command, self.state, workspace=WORKSPACE, stream_id=STREAM)
        folded = self.state.copy() if self.state is not None else None
        for event in decision.events:
            folded = decider.evolve(folded, event)
        assert decision.state == folded, "a decision's state is what its events make"
        self.state = decider.restore(decider.snapshot(decision.state)) if decision.state is not None else None
        return decision

    def tell(self, *notices: PlacedNotice, source: str = SOURCE) -> Decision:
        return self.do(TellEvents(source, list(notices), 2_000))

    def end(self, start: StartExecution, status: Any = "failed", at: int = 3_000, **fields: Any) -> Decision:
        assert start.origin is not None
        return self.do(NoteDeliveryEnded(start.execution_id, start.origin.ref, status, at, **fields))


def starts(decision: Decision) -> list[StartExecution]:
    return [each.command for each in decision.commands if isinstance(each.command, StartExecution)]
