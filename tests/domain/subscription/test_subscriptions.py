"""Subscriptions: what is told once, how many at a time, and when one has failed too often."""

from random import Random

import pytest

from domain.credential.commands import DeleteCredential
from domain.execution.commands import StartExecution
from domain.subscription import decider
from domain.subscription.commands import (
    ChangeSubscription,
    CreateSubscription,
    DeleteSubscription,
    PauseSubscription,
    PlacedNotice,
    Redeliver,
    Redelivery,
    ResumeSubscription,
    SendTest,
)
from domain.subscription.decider import MOST_OPEN, MOST_WAITING
from domain.subscription.definition import EmailChannel, SlackChannel
from domain.subscription.events import (
    DeliveryDropped,
    DeliveryEnded,
    DeliveryQueued,
    DeliveryRequeued,
    DeliveryStarted,
    SubscriptionDisabled,
)
from domain.subscription.topics import TYPES, matched
from tests.domain.subscription.given import (
    HOOK,
    ID,
    SOURCE,
    STREAM,
    WORKSPACE,
    Given,
    definition,
    notice,
    placed,
    starts,
)


def test_an_event_is_delivered_by_an_execution_of_its_own_that_tells_how_it_ended() -> None:
    subscription = Given()
    told = subscription.tell(placed(7))
    (start,) = starts(told)
    queued, started = told.events
    assert isinstance(queued, DeliveryQueued)
    assert isinstance(started, DeliveryStarted)
    assert (queued.source, queued.offset, queued.place) == (SOURCE, 7, 0)
    assert started.execution_id == start.execution_id
    assert start.origin is not None
    assert (start.origin.kind, start.origin.stream, start.origin.ref) == ("delivery", STREAM, queued.delivery_id)
    assert start.items[0]["json"]["url"] == "https://hooks.example.com/x"
    (ended,) = subscription.end(start, "completed", response_status=204).events
    assert isinstance(ended, DeliveryEnded)
    assert (ended.status, ended.response_status, ended.failures) == ("delivered", 204, 0)
    assert subscription.end(start, "completed").outcome.kind == "duplicate"


def test_what_is_told_twice_or_out_of_turn_is_taken_once() -> None:
    subscription = Given()
    assert len(starts(subscription.tell(placed(7), placed(7, 1), placed(9)))) == 3
    assert not subscription.tell(placed(7), placed(7, 1), placed(8), placed(9)).events
    assert len(starts(subscription.tell(placed(9), placed(9, 1)))) == 1
    assert len(starts(subscription.tell(placed(3), source="linkflow.events/0"))) == 1  # each source has its own order
    for start in starts(subscription.tell(placed(20))):
        subscription.end(start, "completed")
    assert not subscription.tell(placed(20)).events


def test_only_what_was_asked_for_is_delivered() -> None:
    subscription = Given(definition(events=["execution.failed", "dead_letter.*"]))
    told = subscription.tell(
        placed(1, 0, "execution.completed"), placed(2, 0, "dead_letter.reviewed"), placed(3, 0, "subscription.disabled")
    )
    assert [event.notice.type for event in told.events if isinstance(event, DeliveryQueued)] == ["dead_letter.reviewed"]


def test_people_hear_of_every_subscription_that_was_disabled() -> None:
    mail = EmailChannel(["ops@example.com"], "c")
    assert starts(Given(definition(mail, events=["execution.failed"])).tell(placed(1, 0, "subscription.disabled")))
    assert not starts(Given(definition(events=["execution.failed"])).tell(placed(1, 0, "subscription.disabled")))


def test_a_few_go_side_by_side_and_the_others_wait_in_order() -> None:
    subscription = Given()
    first = starts(subscription.tell(*(placed(n) for n in range(MOST_OPEN + 5))))
    assert len(first) == MOST_OPEN
    assert subscription.state is not None
    waiting = list(subscription.state.waiting)
    following = [starts(subscription.end(each, "completed")) for each in first[:5]]
    assert [each[0].fingerprint for each in following] == waiting


def test_people_get_one_message_at_a_time_about_all_that_came_meanwhile() -> None:
    subscription = Given(definition(EmailChannel(["ops@example.com"], "c"), disable_failures=2, disable_minutes=0))
    (first,) = starts(subscription.tell(placed(1)))
    assert not starts(subscription.tell(*(placed(n) for n in range(2, 27))))
    (second,) = starts(subscription.end(first, "completed"))
    assert subscription.state is not None
    assert (len(subscription.state.open), len(subscription.state.waiting)) == (20, 5)
    ended = subscription.end(second, "failed")
    assert len([event for event in ended.events if isinstance(event, DeliveryEnded)]) == 20
    assert subscription.state.failures == 1  # one message
    (third,) = starts(ended)
    assert len({first.execution_id, second.execution_id, third.execution_id}) == 3
    assert any(isinstance(event, SubscriptionDisabled) for event in subscription.end(third, "failed").events)


def test_what_nobody_can_keep_up_with_is_dropped_and_said_so() -> None:
    subscription = Given()
    for begin in range(0, MOST_OPEN + MOST_WAITING, 50):
        subscription.tell(*(placed(n) for n in range(begin, min(begin + 50, MOST_OPEN + MOST_WAITING))))
    told = subscription.tell(placed(5_000))
    assert [type(event) for event in told.events] == [DeliveryQueued, DeliveryDropped]
    assert subscription.state is not None
    assert (len(subscription.state.open), len(subscription.state.waiting)) == (MOST_OPEN, MOST_WAITING)


def test_while_paused_nothing_is_taken_and_what_waits_is_kept() -> None:
    subscription = Given()
    open_now = starts(subscription.tell(*(placed(n) for n in range(MOST_OPEN + 1))))
    subscription.do(PauseSubscription(3_000, "holidays"))
    assert not subscription.tell(placed(100)).events
    assert not starts(subscription.end(open_now[0], "completed"))
    assert len(starts(subscription.do(ResumeSubscription(4_000)))) == 1


def failures(subscription: Given, count: int, begin: int, step_ms: int, **fields: str) -> list[SubscriptionDisabled]:
    found: list[SubscriptionDisabled] = []
    for n in range(count):
        for start in starts(subscription.tell(placed(begin + n))):
            ended = subscription.end(start, "failed", 10_000 + n * step_ms, **fields)
            found += [event for event in ended.events if isinstance(event, SubscriptionDisabled)]
    return found


def test_it_is_disabled_after_so_many_failures_over_so_long() -> None:
    quick = Given(definition(disable_failures=3, disable_minutes=10))
    assert failures(quick, 20, 0, 1_000) == []  # twenty in twenty seconds: not long enough
    slow = Given(definition(disable_failures=3, disable_minutes=10))
    (disabled,) = failures(slow, 5, 0, 300_000, code="http_status", message="the server answered 503: no body")
    assert (disabled.reason, disabled.failures, disabled.since) == ("failures", 3, 10_000)
    assert slow.state is not None
    assert slow.state.status == "disabled"
    assert not slow.tell(placed(99)).events
    slow.do(ResumeSubscription(5_000))
    assert (slow.state.status, slow.state.failures) == ("active", 0)


def test_what_waits_fails_with_a_subscription_that_is_disabled() -> None:
    subscription = Given(definition(disable_failures=1, disable_minutes=0))
    open_now = starts(subscription.tell(*(placed(n) for n in range(MOST_OPEN + 3))))
    assert subscription.state is not None
    waiting = dict(subscription.state.waiting)
    assert len(waiting) == 3
    ended = subscription.end(open_now[0], "failed")
    (disabled,) = (event for event in ended.events if isinstance(event, SubscriptionDisabled))
    assert (disabled.ends_waiting, starts(ended)) == (True, [])
    assert subscription.state.waiting == {}
    again = Redeliver("r1", [Redelivery(name, each.notice) for name, each in waiting.items()], 5_000)
    assert subscription.do(again).outcome.code == "subscription_disabled"
    subscription.end(open_now[1], "completed")  # what was under way ends
    assert not starts(subscription.do(ResumeSubscription(5_000)))
    assert len(starts(subscription.do(again))) == 2


def test_a_history_in_which_what_waited_was_kept_is_read_as_it_was() -> None:
    subscription = Given(definition(disable_failures=1, disable_minutes=0))
    open_now = starts(subscription.tell(*(placed(n) for n in range(MOST_OPEN + 1))))
    assert subscription.state is not None
    old = SubscriptionDisabled("Failures", "webhook", 3_000, "failures", 1, 3_000)
    assert not old.ends_waiting
    subscription.state = decider.evolve(subscription.state, old)
    subscription.end(open_now[0], "completed")
    assert len(starts(subscription.do(ResumeSubscription(5_000)))) == 1


def test_a_success_ends_the_row_of_failures() -> None:
    subscription = Given(definition(disable_failures=3, disable_minutes=0))
    failures(subscription, 2, 0, 1)
    (start,) = starts(subscription.tell(placed(50)))
    subscription.end(start, "completed")
    assert failures(subscription, 2, 60, 1) == []
    assert len(failures(subscription, 1, 70, 1)) == 1


def test_a_receiver_that_is_gone_is_told_nothing_more() -> None:
    subscription = Given()
    (disabled,) = failures(subscription, 1, 0, 1, code="gone")
    assert disabled.reason == "gone"


def test_a_test_is_delivered_whatever_the_status_and_counts_for_nothing() -> None:
    subscription = Given(definition(disable_failures=1, disable_minutes=0))
    subscription.do(PauseSubscription(2_000))
    asked = SendTest("0c7d9a34-5a41-5c39-9a0e-2f8c3b1d7e66", 3_000)
    (start,) = starts(subscription.do(asked))
    assert subscription.do(asked).outcome.kind == "duplicate"
    (ended,) = subscription.end(start, "failed", code="gone").events
    assert isinstance(ended, DeliveryEnded)
    assert ended.failures == 0
    assert subscription.do(asked).outcome.kind == "duplicate"  # an execution of this id has been


def test_a_delivery_is_made_again_under_its_id_and_only_once_for_each_wish() -> None:
    subscription = Given()
    told = subscription.tell(placed(7))
    (start,) = starts(told)
    queued = told.events[0]
    assert isinstance(queued, DeliveryQueued)
    again = Redeliver("r1", [Redelivery(queued.delivery_id, queued.notice)], 5_000)
    assert not subscription.do(Redeliver("r0", again.deliveries, 4_000)).events  # it is under way
    subscription.end(start, "failed")
    decision = subscription.do(again)
    assert [type(event) for event in decision.events] == [DeliveryRequeued, DeliveryStarted]
    (second,) = starts(decision)
    assert second.execution_id != start.execution_id
    assert second.items == start.items
    assert subscription.end(start, "completed").outcome.kind == "duplicate"  # that was the first
    subscription.end(second, "completed")
    assert subscription.do(again).outcome.kind == "duplicate"


def test_with_it_goes_its_secret_and_what_waited() -> None:
    subscription = Given()
    open_now = starts(subscription.tell(*(placed(n) for n in range(MOST_OPEN + 3))))
    decision = subscription.do(DeleteSubscription(9_000))
    (sent,) = decision.commands
    assert (sent.stream, sent.command) == (f"credential-{HOOK.credential_id}", DeleteCredential(9_000))
    assert not starts(subscription.end(open_now[0], "completed"))
    assert subscription.do(DeleteSubscription(9_001)).outcome.kind == "duplicate"
    assert subscription.do(ResumeSubscription(9_002)).outcome.code == "subscription_deleted"


def test_what_is_wrong_names_its_fields() -> None:
    wrong = definition(
        SlackChannel("c", "slack"), name=" ", events=["execution.nope"], disable_failures=0, disable_minutes=-1
    )
    refused = decider.decide(CreateSubscription(ID, wrong, 1), None, workspace=WORKSPACE, stream_id=STREAM)
    assert refused.outcome.code == "invalid_subscription"
    assert [field for field, _ in refused.outcome.problems] == [
        "name", "events[0]", "disable_after.failures", "disable_after.minutes", "channel.channel",
    ]  # fmt: skip
    kind = Given().do(ChangeSubscription(definition(EmailChannel(["a@b.example"], "c")), 2))
    assert kind.outcome.problems[0][0] == "channel.type"
    for url in ("ftp://x", "https://", "https://user:secret@x.example/", "https://x.example/ y"):
        asked = CreateSubscription(ID, definition(type(HOOK)(url, "c")), 1)
        assert decider.decide(asked, None, workspace=WORKSPACE, stream_id=STREAM).outcome.problems, url


def test_the_same_id_is_created_once() -> None:
    subscription = Given()
    assert subscription.do(CreateSubscription(ID, definition(), 2_000, "f")).outcome.kind == "duplicate"
    assert subscription.do(CreateSubscription(ID, definition(), 2_000, "g")).outcome.code == "idempotency_mismatch"


@pytest.mark.parametrize("pattern", ["*", "execution.*", "dead_letter.*", *TYPES])
def test_patterns_stand_for_types(pattern: str) -> None:
    assert matched(pattern) <= set(TYPES)
    assert matched(pattern)
    assert not matched(pattern + "x")


@pytest.mark.parametrize("seed", range(60))
def test_every_event_is_delivered_exactly_once_whatever_is_sent_twice_late_or_by_two(seed: int) -> None:
    """Followers read their sources in order from a stored place, die, begin again, and two run at once."""
    random = Random(seed)
    sources = {f"linkflow.executions/{n}": [placed_of(n, offset) for offset in range(30)] for n in range(3)}
    subscription = Given()
    executions: dict[str, StartExecution] = {}
    delivered: list[str] = []
    stored = dict.fromkeys(sources, 0)
    running = [dict(stored)]
    while min(stored.values()) < 30 or subscription.state is None or subscription.state.open:
        place = random.choice(running)
        source = random.choice(list(sources))
        if random.random() < 0.1:
            running = [dict(stored), *random.sample(running, min(len(running), 1))]
        elif random.random() < 0.3:
            stored[source] = max(stored[source], place[source])
        elif place[source] < 30 and random.random() < 0.7:
            count = random.randint(1, 6)
            batch = sources[source][place[source] : place[source] + count]
            place[source] += len(batch)
            for start in starts(subscription.tell(*batch, source=source)):
                assert start.execution_id not in executions
                executions[start.execution_id] = start
        elif executions:
            start = random.choice(list(executions.values()))
            delivered.append(start.fingerprint)
            del executions[start.execution_id]
            for each in starts(subscription.end(start, random.choice(["completed", "cancelled"]))):
                executions[each.execution_id] = each
    assert len(delivered) == len(set(delivered)) == 90


def placed_of(source: int, offset: int) -> PlacedNotice:
    return PlacedNotice(offset * 7, offset % 3, notice(f"{source} {offset}"))
