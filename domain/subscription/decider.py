"""Decides what a subscription delivers, and when it has failed too often.

At most MOST_OPEN of its deliveries are made side by side; the others wait in its state, in order, up to MOST_WAITING.
Taken once is an event, however often it is sent: by its place in its source, whose order it comes in.

Outcome codes: subscription_not_found, subscription_deleted, invalid_subscription, idempotency_mismatch, wrong_stream,
subscription_busy, subscription_disabled.
"""

from collections.abc import Sequence
from itertools import islice
from typing import assert_never
from uuid import UUID, uuid5

from domain.credential.commands import DeleteCredential
from domain.decision import DUPLICATE, Decision, Outcome, OutgoingCommand, rejected
from domain.execution.endings import EXECUTION_STREAM
from domain.subscription.commands import (
    ChangeSubscription,
    CreateSubscription,
    DeleteSubscription,
    NoteDeliveryEnded,
    Notice,
    PauseSubscription,
    Redeliver,
    ResumeSubscription,
    SendTest,
    SubscriptionCommand,
    TellEvents,
)
from domain.subscription.definition import EmailChannel, SlackChannel, WebhookChannel, channel_name, problems_of
from domain.subscription.deliveries import delivery_id, start
from domain.subscription.events import (
    DeliveryDropped,
    DeliveryEnded,
    DeliveryQueued,
    DeliveryRequeued,
    DeliveryStarted,
    SubscriptionChanged,
    SubscriptionCreated,
    SubscriptionDeleted,
    SubscriptionDisabled,
    SubscriptionEvent,
    SubscriptionPaused,
    SubscriptionResumed,
)
from domain.subscription.state import Subscription, Waiting, evolve, restore, snapshot
from domain.subscription.topics import DISABLED_TYPE, TEST_TYPE, wanted_types

__all__ = ["Subscription", "decide", "evolve", "restore", "snapshot"]

STREAM = "subscription-"
MOST_OPEN = 16
MOST_TESTS = 8
MOST_WAITING = 1_000
MOST_TOGETHER = 20
"""Events that one mail or message tells of, where they came while the one before was being sent."""
MINUTE_MS = 60_000
GONE = "gone"
"""Code of a failure after which nothing is sent there any more: the receiver said so (HTTP 410)."""


def decide(command: SubscriptionCommand, state: Subscription | None, *, workspace: str, stream_id: str) -> Decision:
    """Answer a command to the subscription of `stream_id`; refusals are outcomes, no exceptions."""
    if isinstance(command, CreateSubscription):
        return _create(command, state, stream_id)
    if state is None:
        return _refused(state, rejected("subscription_not_found", "there is no such subscription"))
    course = _Course(state, stream_id, workspace)
    if isinstance(command, NoteDeliveryEnded):
        return _ended(command, course)
    if state.status == "deleted":
        if isinstance(command, DeleteSubscription):
            return _refused(state, DUPLICATE)
        return _refused(state, rejected("subscription_deleted", "the subscription was deleted"))
    match command:
        case ChangeSubscription():
            return _change(command, course)
        case PauseSubscription(at=at, reason=reason):
            if state.status != "paused":
                course.emit(SubscriptionPaused(at, reason))
        case ResumeSubscription(at=at):
            if state.status != "active":
                course.emit(SubscriptionResumed(at))
                course.begin(at)
        case DeleteSubscription(at=at):
            return _delete(course, at)
        case TellEvents():
            _tell(command, course)
        case SendTest():
            return _test(command, course)
        case Redeliver():
            return _redeliver(command, course)
        case _:
            assert_never(command)
    return course.decision()


class _Course:
    """A decision in the making: its events, and what is sent."""

    def __init__(self, state: Subscription, stream: str, workspace: str) -> None:
        self.state = state.copy()
        self.stream = stream
        self.workspace = workspace
        self.events: list[SubscriptionEvent] = []
        self.commands: list[OutgoingCommand] = []

    @property
    def id(self) -> str:
        return self.stream.removeprefix(STREAM)

    def emit(self, event: SubscriptionEvent) -> None:
        self.events.append(event)
        self.state = evolve(self.state, event)

    def begin(self, at: int) -> None:
        """Start what waits, as far as there is room. People get one message at a time, about all that waits for it."""
        together = isinstance(self.state.definition.channel, EmailChannel | SlackChannel)
        size, most = (MOST_TOGETHER, 1) if together else (1, MOST_OPEN)
        while self.state.status == "active" and self.state.waiting and self.under_way < most:
            self.start(list(islice(self.state.waiting.items(), size)), at)

    @property
    def under_way(self) -> int:
        """Executions that deliver now; tests come on top."""
        return len({each.execution_id for each in self.state.open.values() if not each.test})

    def start(self, deliveries: Sequence[tuple[str, Waiting]], at: int) -> None:
        """One execution for all of them, named after the first."""
        told = [(delivery, each.notice) for delivery, each in deliveries]
        command = start(self.state.definition, self.stream, told, deliveries[0][1].try_name, at)
        execution = command.execution_id
        for delivery, _ in deliveries:
            self.emit(DeliveryStarted(delivery, execution, at))
        sent = str(uuid5(UUID(execution), "start"))
        self.commands.append(OutgoingCommand(sent, EXECUTION_STREAM + execution, command))

    def decision(self) -> Decision:
        return Decision(self.events, self.state, commands=self.commands)


def _create(command: CreateSubscription, state: Subscription | None, stream: str) -> Decision:
    if stream != STREAM + command.subscription_id:
        return _refused(state, rejected("wrong_stream", f"subscription {command.subscription_id} does not live here"))
    if state is not None:
        if state.status == "deleted":
            return _refused(state, rejected("subscription_deleted", "the subscription was deleted"))
        if state.fingerprint == command.fingerprint:
            return _refused(state, DUPLICATE)
        return _refused(state, rejected("idempotency_mismatch", "the same id was used for another subscription"))
    wrong = problems_of(command.definition)
    if wrong:
        return _refused(state, _invalid(wrong))
    created = SubscriptionCreated(command.definition, command.at, command.fingerprint)
    return Decision([created], evolve(None, created))


def _invalid(problems: Sequence[tuple[str, str]]) -> Outcome:
    return rejected("invalid_subscription", "the subscription is not valid", problems)


def _change(command: ChangeSubscription, course: _Course) -> Decision:
    wrong = problems_of(command.definition)
    if type(command.definition.channel) is not type(course.state.definition.channel):
        wrong.append(("channel.type", "cannot be changed: make another subscription"))
    if wrong:
        return _refused(course.state, _invalid(wrong))
    course.emit(SubscriptionChanged(command.definition, command.at))
    return course.decision()


def _delete(course: _Course, at: int) -> Decision:
    channel = course.state.definition.channel
    course.emit(SubscriptionDeleted(at))
    if isinstance(channel, WebhookChannel):  # its signing secret was made for it alone
        sent = str(uuid5(UUID(course.id), "delete secret"))
        course.commands.append(OutgoingCommand(sent, f"credential-{channel.credential_id}", DeleteCredential(at)))
    return course.decision()


def _tell(command: TellEvents, course: _Course) -> None:
    if course.state.status != "active":
        return
    wanted = wanted_types(course.state.definition.events)
    for each in command.notices:
        state, notice = course.state, each.notice
        delivery = delivery_id(course.id, notice.id)
        last = state.seen.get(command.source)
        if last is not None and (each.offset, each.place) <= last:
            continue
        if notice.type not in wanted and not _told_anyway(notice, course):
            continue
        if delivery in state.waiting or delivery in state.open:
            continue
        full = len(state.waiting) >= MOST_WAITING
        course.emit(DeliveryQueued(delivery, notice, command.at, command.source, each.offset, each.place))
        if full:
            course.emit(DeliveryDropped(delivery, command.at, "too_many_waiting"))
    course.begin(command.at)


def _told_anyway(notice: Notice, course: _Course) -> bool:
    """People hear of every subscription of their workspace that was disabled."""
    return notice.type == DISABLED_TYPE and not isinstance(course.state.definition.channel, WebhookChannel)


def _test(command: SendTest, course: _Course) -> Decision:
    state = course.state
    if command.delivery_id in state.asked:
        return _refused(state, DUPLICATE)
    if sum(each.test for each in state.open.values()) >= MOST_TESTS:
        return _refused(state, rejected("subscription_busy", "as many tests as may be are under way"))
    data = {"subscription_id": course.id, "name": state.definition.name}
    notice = Notice(command.delivery_id, TEST_TYPE, command.at, course.workspace, data)
    course.emit(DeliveryQueued(command.delivery_id, notice, command.at, test=True))
    course.start([(command.delivery_id, course.state.waiting[command.delivery_id])], command.at)
    return course.decision()


def _redeliver(command: Redeliver, course: _Course) -> Decision:
    state = course.state
    if command.redelivery_id in state.asked:
        return _refused(state, DUPLICATE)
    if state.status == "disabled":  # what waits for somebody to resume it might wait for ever
        return _refused(state, rejected("subscription_disabled", "the subscription is disabled: resume it first"))
    for each in command.deliveries:
        if each.delivery_id in state.waiting or each.delivery_id in state.open:
            continue
        if len(state.waiting) >= MOST_WAITING:
            if not course.events:
                return _refused(state, rejected("subscription_busy", f"{MOST_WAITING} deliveries wait: try later"))
            break
        name, at, fingerprint = command.redelivery_id, command.at, command.fingerprint
        course.emit(DeliveryRequeued(each.delivery_id, each.notice, name, at, fingerprint))
    course.begin(command.at)
    return course.decision()


def _ended(command: NoteDeliveryEnded, course: _Course) -> Decision:
    state = course.state
    under_way = state.open.get(command.delivery_id)
    if under_way is None or under_way.execution_id != command.execution_id:
        return _refused(state, DUPLICATE)
    delivered = command.status == "completed"
    failures, since = state.failures, state.failing_since
    if delivered:
        failures, since = (failures, since) if under_way.test else (0, 0)
    elif command.status != "cancelled" and not under_way.test:
        failures, since = failures + 1, since or command.at
    for delivery in [name for name, each in state.open.items() if each.execution_id == command.execution_id]:
        course.emit(
            DeliveryEnded(
                delivery_id=delivery,
                execution_id=command.execution_id,
                status="delivered" if delivered else "failed",
                at=command.at,
                code=command.code,
                message=command.message,
                response_status=command.response_status,
                failures=failures,
                failing_since=since,
            )
        )
    if not delivered and not under_way.test:
        _judge(command, course)
    course.begin(command.at)
    return course.decision()


def _judge(command: NoteDeliveryEnded, course: _Course) -> None:
    """Whether it has failed too often."""
    state = course.state
    definition = state.definition
    if state.status != "active":
        return
    long_enough = command.at - state.failing_since >= definition.disable_minutes * MINUTE_MS
    if command.code != GONE and (state.failures < definition.disable_failures or not long_enough):
        return
    course.emit(
        SubscriptionDisabled(
            name=definition.name,
            channel=channel_name(definition.channel),
            at=command.at,
            reason="gone" if command.code == GONE else "failures",
            failures=state.failures,
            since=state.failing_since,
            code=command.code,
            message=command.message,
            ends_waiting=True,
        )
    )


def _refused(state: Subscription | None, outcome: Outcome) -> Decision:
    return Decision((), state, outcome)
