"""The inbox of an endpoint: duplicates, what is too much, what is held; nothing starts twice, nothing is lost."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import pytest

from domain.decision import Outcome
from domain.execution.events import Origin
from domain.inbox import decider
from domain.inbox.commands import ReceiveDelivery, RefuseDelivery
from domain.inbox.decider import execution_of
from domain.inbox.events import (
    DeliveryAccepted,
    DeliveryBegun,
    DeliveryDuplicated,
    DeliveryHeld,
    DeliveryRefused,
    DeliverySuperseded,
    InboxCleared,
)
from domain.inbox.gates import Dedup, Gates
from domain.inbox.state import (
    DUPLICATES_PER_MINUTE,
    KEPT_BYTES_PER_MINUTE,
    KEYED_MS,
    MOST_HELD,
    REFUSED_PER_MINUTE,
    REPEATED_WITHIN_MS,
)
from domain.ticking import PassTime
from schemas.envelope import CommandRecord
from schemas.errors import MalformedRecord
from schemas.registry import decode_command_data, encode_command
from tests.domain.inbox.given import STREAM, WORKFLOW, Given, debounce, dedup, delivery, item, some_id, throttle


def test_an_accepted_delivery_starts_an_execution_that_names_it() -> None:
    inbox = Given()
    decision = inbox.receive("a", dedup("k"), 5_000, reply="when_done", priority="high")
    accepted = delivery("a", 5_000, reply="when_done", priority="high")
    assert decision.events == [DeliveryAccepted(accepted, dedup("k"), execution_of(some_id("a")), 5_000)]
    (sent,) = decision.commands
    start = sent.command
    assert sent.stream == f"execution-{execution_of(some_id('a'))}"
    assert (start.workflow_id, start.workflow_version, start.trigger_node) == (WORKFLOW, 3, "hook")
    assert (start.trigger_type, start.reply, start.priority, start.queued_at) == ("webhook", "when_done", "high", 5_000)
    assert start.items == item("a")
    assert start.origin == Origin(kind="delivery", stream=STREAM, ref=some_id("a"))


def test_a_second_one_with_the_same_key_is_a_duplicate_until_the_first_is_so_old() -> None:
    inbox = Given()
    inbox.receive("a", dedup("k", 10_000), 1_000)
    again = inbox.receive("b", dedup("k", 10_000), 10_999)
    assert again.events == [DeliveryDuplicated(delivery("b", 10_999), some_id("a"), 10_999, item("b"), 11_000)]
    assert not again.commands
    inbox.receive("other", dedup("l", 10_000), 10_999)
    inbox.receive("c", dedup("k", 10_000), 11_000)
    inbox.receive("d", dedup("k", 10_000), 12_000)
    assert inbox.names == ["a", "other", "c"]


def test_a_refused_delivery_does_not_use_its_key_up() -> None:
    inbox = Given()
    both = Gates(dedup=dedup("k").dedup, throttle=throttle(1, 1_000).throttle)
    inbox.receive("first", throttle(1, 1_000), 1_000)
    assert isinstance(inbox.receive("a", both, 1_500).events[0], DeliveryRefused)
    inbox.receive("a again", both, 2_000)
    assert inbox.names == ["first", "a again"]


def test_the_same_delivery_twice_is_answered_twice_and_recorded_once() -> None:
    inbox = Given()
    for gates in (throttle(5, 1_000), dedup("k"), throttle(1, 1_000, "delay"), debounce(1_000)):
        inbox.receive(("same", gates), gates)
        twice = inbox.receive(("same", gates), gates)
        assert (twice.outcome.kind, list(twice.events), list(twice.commands)) == ("duplicate", [], [])


def test_an_idempotency_key_holds_for_a_day_and_for_one_body() -> None:
    inbox = Given()
    inbox.receive("a", throttle(5, 1_000), 1_000, keyed=True, fingerprint="x")
    again = inbox.receive("a", throttle(5, 1_000), 1_000 + KEYED_MS - 1, keyed=True, fingerprint="x")
    assert again.outcome.kind == "duplicate"
    other = inbox.receive("a", throttle(5, 1_000), 2_000, keyed=True, fingerprint="y")
    assert other.outcome.code == "idempotency_mismatch"
    assert inbox.names == ["a"]


def test_a_throttle_refuses_what_is_too_much_and_says_until_when() -> None:
    inbox = Given()
    for at in (1_000, 1_400):
        inbox.receive(at, throttle(2, 1_000), at)
    (refused,) = inbox.receive("c", throttle(2, 1_000), 1_999).events
    assert isinstance(refused, DeliveryRefused)
    assert (refused.code, refused.retry_at, refused.items) == ("throttled", 2_000, item("c"))
    inbox.receive("other", throttle(2, 1_000, name="other"), 1_999)
    inbox.receive("d", throttle(2, 1_000), 2_000)
    inbox.receive("e", throttle(2, 1_000), 2_399)
    assert inbox.names == ["1000", "1400", "other", "d"]


def test_a_throttle_that_delays_lets_them_begin_in_turn() -> None:
    inbox = Given()
    for name in "abcde":
        inbox.receive(name, throttle(2, 1_000, "delay"), 1_000)
    assert inbox.names == ["a", "b"]
    assert inbox.due == 2_000
    inbox.ticks(1_999)
    assert inbox.names == ["a", "b"]
    inbox.ticks(2_000)
    assert inbox.names == ["a", "b", "c", "d"]
    inbox.receive("f", throttle(2, 1_000, "delay"), 3_500)  # e stands in line before it
    assert inbox.names == ["a", "b", "c", "d"]
    inbox.ticks(10_000)
    assert inbox.names == ["a", "b", "c", "d", "e", "f"]


def test_after_a_long_silence_no_more_begin_at_once_than_the_throttle_lets() -> None:
    inbox = Given()
    for name in range(9):
        inbox.receive(name, throttle(3, 1_000, "delay"), 1_000)
    inbox.ticks(100_000)
    assert len(inbox.names) == 6
    inbox.ticks(101_000)
    assert len(inbox.names) == 9


def test_a_debounce_starts_with_the_last_one() -> None:
    inbox = Given()
    (held,) = inbox.receive("a", debounce(5_000), 1_000).events
    assert held == DeliveryHeld(delivery("a", 1_000), debounce(5_000), 1_000, 6_000, item("a"))
    taken, _ = inbox.receive("b", debounce(5_000), 4_000).events
    assert taken == DeliverySuperseded(some_id("a"), some_id("b"), 4_000)
    assert inbox.due == 9_000
    inbox.ticks(8_999)
    assert inbox.names == []
    assert inbox.tick(9_000).events == [DeliveryBegun(some_id("b"), execution_of(some_id("b")), 9_000)]
    assert inbox.names == ["b"]
    inbox.receive("c", debounce(5_000), 9_001)
    inbox.ticks(14_001)
    assert inbox.names == ["b", "c"]


def test_a_debounce_waits_no_longer_than_it_may() -> None:
    inbox = Given()
    for at in range(1_000, 9_000, 500):
        inbox.receive(at, debounce(1_000, 3_000), at)
    inbox.ticks(20_000)
    # Windows end 3 s after their first: one that comes at that moment is the first of the next.
    assert inbox.names == ["3500", "6500", "8500"]


def test_a_window_that_has_ended_takes_no_more_though_no_tick_came() -> None:
    inbox = Given()
    inbox.receive("a", debounce(1_000), 1_000)
    begun, held = inbox.receive("b", debounce(1_000), 2_000).events
    assert isinstance(begun, DeliveryBegun)
    assert isinstance(held, DeliveryHeld)
    assert inbox.names == ["a"]


def test_what_is_held_is_bounded() -> None:
    inbox = Given()
    for name in range(MOST_HELD):
        inbox.do(ReceiveDelivery(delivery(name), debounce(1_000, name=name)), 1_000)
    (full,) = inbox.receive("one more", debounce(1_000, name="one more"), 1_000).events
    assert isinstance(full, DeliveryRefused)
    assert full.code == "inbox_full"
    replaced, held = inbox.receive("again", debounce(1_000, name=5), 1_001).events
    assert isinstance(replaced, DeliverySuperseded)
    assert isinstance(held, DeliveryHeld)
    inbox.ticks(3_000)
    assert len(inbox.started) == MOST_HELD
    large = Given()
    large.receive("a", debounce(1_000, name="a"), size=9_000_000)
    assert isinstance(large.receive("b", debounce(1_000, name="b"), size=1_000_001).events[0], DeliveryRefused)


def test_what_others_refused_is_kept_up_to_a_number_a_minute() -> None:
    inbox = Given()
    for name in range(REFUSED_PER_MINUTE):
        (refused,) = inbox.refuse(name, 60_000, more=7).events
        assert isinstance(refused, DeliveryRefused)
        assert (refused.code, refused.more) == ("malformed_json", 7)
    assert inbox.refuse("one more", 119_999).outcome.code == "too_many_refusals"
    assert inbox.refuse("next minute", 120_000).outcome == Outcome()


def test_the_number_of_others_that_were_refused_is_kept_always() -> None:
    inbox = Given()
    for name in range(REFUSED_PER_MINUTE):
        inbox.refuse(name, 60_000)
    (counted,) = inbox.refuse("counted", 60_000, code="more_refused", more=70_000).events
    assert isinstance(counted, DeliveryRefused)


def test_duplicates_are_kept_up_to_a_number_a_minute_and_what_is_new_is_taken_all_the_same() -> None:
    inbox = Given()
    inbox.receive("first", dedup("k", 300_000), 60_000)
    for name in range(DUPLICATES_PER_MINUTE):
        assert isinstance(inbox.receive(name, dedup("k"), 60_000).events[0], DeliveryDuplicated)
    refused = inbox.receive("one more", dedup("k"), 70_000)
    assert (refused.outcome.code, refused.outcome.retry_after) == ("too_many_duplicates", 50_000)
    assert (refused.events, refused.commands) == ((), ())
    inbox.receive("new", dedup("l"), 119_999)
    assert isinstance(inbox.receive("next minute", dedup("k"), 120_000).events[0], DeliveryDuplicated)
    assert inbox.names == ["first", "new"]


def test_a_refused_duplicate_may_come_again_when_its_key_has_run_out() -> None:
    inbox = Given()
    inbox.receive("first", dedup("k", 10_000), 60_000)
    for name in range(DUPLICATES_PER_MINUTE):
        inbox.receive(name, dedup("k", 10_000), 60_000)
    refused = inbox.receive("one more", dedup("k", 10_000), 68_000)
    assert (refused.outcome.code, refused.outcome.retry_after) == ("too_many_duplicates", 2_000)
    inbox.receive("one more", dedup("k", 10_000), 70_000)
    assert inbox.names == ["first", "one more"]


def test_what_the_first_holds_is_not_kept_again() -> None:
    inbox = Given()
    inbox.receive("first", dedup("k"), content="ab" * 16)
    (same,) = inbox.receive("same", dedup("k"), content="ab" * 16).events
    assert isinstance(same, DeliveryDuplicated)
    assert (same.same, same.items, same.until) == (True, [], 61_000)
    (other,) = inbox.receive("other", dedup("k"), content="cd" * 16).events
    assert isinstance(other, DeliveryDuplicated)
    assert (other.same, other.items) == (False, item("other"))


def test_one_that_comes_without_its_items_is_a_duplicate_or_is_asked_for_them() -> None:
    inbox = Given()
    bare = ReceiveDelivery(delivery("a", content="ab" * 16), dedup("k"), bare=True)
    assert inbox.do(bare, 1_000).outcome.code == "payload_needed"
    inbox.receive("a", dedup("k"), content="ab" * 16)
    other = ReceiveDelivery(delivery("b", content="cd" * 16), dedup("k"), bare=True)
    assert inbox.do(other, 1_000).outcome.code == "payload_needed"
    same = ReceiveDelivery(delivery("c", content="ab" * 16), dedup("k"), bare=True)
    assert isinstance(inbox.do(same, 1_000).events[0], DeliveryDuplicated)
    assert inbox.names == ["a"]


def test_what_is_in_duplicates_and_refused_ones_is_bounded_in_bytes() -> None:
    inbox = Given()
    inbox.receive("first", dedup("k"), content="ab" * 16)
    size = KEPT_BYTES_PER_MINUTE // 2
    for name in range(2):
        assert inbox.receive(name, dedup("k"), size=size, content="cd" * 16).events
    assert inbox.receive("one more", dedup("k"), size=size, content="cd" * 16).outcome.code == "too_many_duplicates"
    assert inbox.refuse("too", 1_000).outcome.code == "too_many_refusals"
    assert inbox.receive("same", dedup("k"), size=size, content="ab" * 16).events, "nothing in it is kept"


def test_refusals_by_the_inbox_itself_are_kept_up_to_a_number_a_minute() -> None:
    full = Given()
    for name in range(MOST_HELD):
        full.do(ReceiveDelivery(delivery(name), debounce(900_000, name=name)), 1_000)
    throttled = Given()
    throttled.receive("first", throttle(1, 10_000), 1_000)
    for inbox, gates, code, after in (
        (full, debounce(900_000, name="x"), "inbox_full", 1_000),
        (throttled, throttle(1, 10_000), "throttled", 8_000),
    ):
        for name in range(REFUSED_PER_MINUTE):
            assert isinstance(inbox.receive(("r", name), gates, 3_000).events[0], DeliveryRefused)
        decision = inbox.receive("one more", gates, 3_000)
        assert (decision.events, decision.outcome.code, decision.outcome.retry_after) == ((), code, after)


def test_a_checkpoint_of_the_program_before_is_read() -> None:
    """It knew no content of those that came first, and did not count duplicates."""
    inbox = Given()
    inbox.receive("a", dedup("k"), content="")
    assert inbox.state is not None
    form, state = msgspec.msgpack.decode(decider.snapshot(inbox.state))
    assert all(len(packed) == 24 for packed in state[0].values())
    restored = decider.restore(msgspec.msgpack.encode([form, state[:11]]))
    first = restored.first_with(dedup("k").dedup.key, 1_000)  # type: ignore[union-attr]
    assert first == (some_id("a"), 61_000, "")
    for name, gates in (("b", throttle(1, 5_000, "delay")), ("c", throttle(1, 5_000, "delay")), ("d", debounce(900))):
        inbox.receive(name, gates)
    form, state = msgspec.msgpack.decode(decider.snapshot(inbox.state))
    assert decider.next_due(decider.restore(msgspec.msgpack.encode([form, state[:11]]))) == 1_900


class Walked(dict[str, Any]):
    """Counts the steps of those who walk through it."""

    steps = 0

    def items(self) -> Any:
        return self._counted(super().items())

    def values(self) -> Any:
        return self._counted(super().values())

    def _counted(self, things: Iterable[Any]) -> Iterator[Any]:
        for thing in things:
            self.steps += 1
            yield thing


@pytest.mark.parametrize("excess", ["refuse", "delay"])
def test_what_a_decision_costs_does_not_grow_with_the_keys_of_a_throttle(excess: str) -> None:
    inbox = Given()
    for name in range(300):
        inbox.receive(name, throttle(1, 60_000, excess, name))
    inbox.receive("waits", throttle(1, 60_000, "delay", 0))
    state = inbox.state
    assert state is not None
    state.lanes = lanes = Walked(state.lanes)
    for name in range(20):
        command = ReceiveDelivery(delivery(("more", name)), throttle(1, 60_000, excess, ("more", name)), item(name))
        decision = decider.decide(command, state, workspace="s", stream_id=STREAM, now=1_000)
        assert decider.next_due(decision.state) == 61_000
        decider.decide(PassTime(1_000), state, workspace="s", stream_id=STREAM, now=1_000)
    assert lanes.steps <= 2 * 20, "it walks through the keys"


def test_alarms_that_hold_no_longer_are_cleared_away() -> None:
    inbox = Given()
    inbox.receive("first of all", debounce(1_000, name="first of all"))
    for name in range(1_000):
        inbox.receive(name, debounce(900_000, name="k"), 1_001)
    assert inbox.state is not None
    assert len(inbox.state.alarms) < 100
    inbox.ticks(2_000)
    assert inbox.names == ["first of all"]


def test_an_inbox_that_rests_forgets_everything() -> None:
    inbox = Given()
    inbox.receive("a", Gates(dedup("k", 900_000).dedup, throttle(1, 1_000).throttle), 1_000)
    inbox.receive("b", throttle(1, 1_000, name="b"), 2_000)
    assert inbox.due == 901_000
    assert inbox.tick(901_000).events == [InboxCleared(901_000)]
    assert inbox.state == decider.Inbox()
    assert inbox.due is None
    assert inbox.tick(902_000).events == []


def test_what_runs_out_is_dropped_while_others_come() -> None:
    inbox = Given()
    for at in range(0, 4_000_000, 4_000):
        inbox.receive(at, Gates(dedup(at, 20_000).dedup, throttle(1, 20_000, name=at).throttle), at)
    assert inbox.state is not None
    assert len(inbox.state.keys) == 5
    assert (len(inbox.state.lanes), inbox.state.starts) == (5, 5)
    assert len(inbox.state.recent) == REPEATED_WITHIN_MS // 4_000 + 1


def test_too_many_keys_push_the_oldest_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("domain.inbox.state.MOST_KEYS", 3)
    inbox = Given()
    for name in ("a", "b", "c", "d"):
        inbox.receive(name, dedup(name))
    inbox.receive("b again", dedup("b"))
    inbox.receive("a again", dedup("a"))
    assert inbox.names == ["a", "b", "c", "d", "a again"]


def test_a_throttle_that_cannot_count_any_more_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("domain.inbox.decider.MOST_STARTS", 3)
    inbox = Given()
    for name in range(3):
        inbox.receive(name, throttle(5, 1_000, name=name))
    (full,) = inbox.receive("one more", throttle(5, 1_000, name="one more")).events
    assert isinstance(full, DeliveryRefused)
    assert full.code == "inbox_full"
    inbox.receive("refused", throttle(5, 1_000, name=0), 2_000)  # what that forgets makes room
    inbox.receive("later", throttle(5, 1_000, name="later"), 2_000)
    assert inbox.names == ["0", "1", "2", "later"]


def test_a_version_that_allows_more_holds_at_once() -> None:
    inbox = Given()
    inbox.receive("a", throttle(1, 60_000))
    inbox.receive("b", throttle(1, 60_000))
    inbox.receive("c", throttle(2, 60_000))
    assert inbox.names == ["a", "c"]


def test_a_delivery_of_another_endpoint_is_refused() -> None:
    command = ReceiveDelivery(delivery("a"), dedup("k"))
    decision = decider.decide(command, None, workspace="s", stream_id="inbox-of-somebody", now=1)
    assert decision.outcome.code == "wrong_stream"


def test_a_command_whose_ids_or_hashes_are_none_is_refused_as_it_is_read() -> None:
    """Its events would be passed over by every projection, or stop it, and its keys cannot be packed."""
    for fields, gates, named in (
        ({"id": "nobody"}, dedup("k"), "delivery.id"),
        ({"id": some_id("a").upper()}, dedup("k"), "delivery.id"),
        ({"workflow_id": "w"}, dedup("k"), "delivery.workflow_id"),
        ({"content": "xyz"}, dedup("k"), "delivery.content"),
        ({}, Gates(dedup=Dedup("not hex", 1_000)), "gates.dedup.key"),
        ({}, throttle(0, 1_000), "gates.throttle"),
    ):
        name, version, data = encode_command(ReceiveDelivery(delivery("a"), dedup("k"), item("a")))
        value = msgspec.json.decode(data)
        value["delivery"] |= fields
        value["gates"] = msgspec.to_builtins(gates)
        raw = msgspec.Raw(msgspec.json.encode(value))
        record = CommandRecord(some_id("c"), name, STREAM, some_id("s"), 1, raw, version)
        with pytest.raises(MalformedRecord, match=named):
            decode_command_data(record)
        with pytest.raises(ValueError, match=named):
            ReceiveDelivery(delivery("a", **fields), gates)
    with pytest.raises(ValueError, match=r"delivery\.id"):
        RefuseDelivery(delivery("a", id="nobody"), "code", "reason")


def test_what_the_read_model_has_is_not_taken_again() -> None:
    """The inbox has forgotten it: a day has passed, or many others have come."""
    inbox = Given()
    decision = inbox.do(ReceiveDelivery(delivery("a", 1_000), throttle(9, 60_000), item("a"), taken=True), 1_000)
    assert decision.outcome.kind == "duplicate"
    assert inbox.names == []
