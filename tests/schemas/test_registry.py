"""Every event and command has a wire name, and comes back as it went."""

from typing import Any, get_args

import msgspec
import pytest

from domain.credential.commands import CredentialCommand
from domain.credential.events import CredentialEvent
from domain.dead_letter.commands import DiscardLetter, RecordLetter, RedriveLetter
from domain.dead_letter.events import LetterEvent
from domain.decision import OutgoingCommand
from domain.execution.commands import ExecutionCommand
from domain.execution.events import ExecutionEvent, NodeCompleted, ResponseGiven
from domain.inbox.commands import ReceiveDelivery, RefuseDelivery
from domain.inbox.events import InboxEvent
from domain.limit.commands import LimitCommand
from domain.limit.events import LimitEvent
from domain.schedule.commands import ScheduleCommand
from domain.schedule.events import ScheduleEvent
from domain.subscription.commands import SubscriptionCommand
from domain.subscription.events import SubscriptionEvent
from domain.variable.commands import VariableCommand
from domain.variable.events import VariableEvent
from domain.workflow.commands import WorkflowCommand
from domain.workflow.events import WorkflowEvent
from domain.workspace.commands import WorkspaceCommand
from domain.workspace.events import WorkspaceEvent
from schemas.codec import Codec, Entry
from schemas.envelope import CommandRecord, EventRecord
from schemas.errors import MalformedRecord, SchemaError, UnencodableRecord, UnknownRecord
from schemas.registry import (
    COMMANDS,
    EVENTS,
    OWNER_ONLY,
    command_record,
    decode_command_data,
    decode_event,
    encode_command,
    encode_event,
    sent_command,
)
from tests.golden import samples


def raw(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


def test_every_event_and_command_is_registered() -> None:
    all_events = (
        ExecutionEvent,
        LetterEvent,
        InboxEvent,
        LimitEvent,
        ScheduleEvent,
        SubscriptionEvent,
        VariableEvent,
        WorkflowEvent,
        WorkspaceEvent,
        CredentialEvent,
    )
    all_commands = (
        ExecutionCommand,
        RecordLetter | RedriveLetter | DiscardLetter,
        ReceiveDelivery | RefuseDelivery,
        LimitCommand,
        ScheduleCommand,
        SubscriptionCommand,
        VariableCommand,
        WorkflowCommand,
        WorkspaceCommand,
        CredentialCommand,
    )
    events = {each for union in all_events for each in get_args(union)}
    commands = {each for union in all_commands for each in get_args(union)}
    assert {entry.type for entry in EVENTS.entries.values()} == events
    assert {entry.type for entry in COMMANDS.entries.values()} == commands


def test_names_say_the_aggregate_and_are_no_commands_and_events_at_once() -> None:
    names = [*EVENTS.entries, *COMMANDS.entries]
    assert len(set(names)) == len(names)
    assert {name.split(".")[0] for name in names} == {
        "dead_letter",
        "execution",
        "inbox",
        "limit",
        "workflow",
        "workspace",
        "credential",
        "schedule",
        "subscription",
        "variable",
    }


@pytest.mark.parametrize("event", samples.EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_comes_back_as_it_went(event: Any) -> None:
    record = encode_event(event)
    through = msgspec.json.decode(msgspec.json.encode(record), type=EventRecord)
    assert decode_event(through) == event


@pytest.mark.parametrize("command", samples.COMMANDS, ids=lambda command: type(command).__name__)
def test_a_command_comes_back_as_it_went(command: Any) -> None:
    record = msgspec.json.decode(msgspec.json.encode(samples.record_of(command)), type=CommandRecord)
    assert decode_command_data(record) == command
    assert encode_command(command)[:2] == (record.type, record.tv)


def test_a_sent_command_comes_back_as_it_went() -> None:
    command = samples.COMMANDS[0]
    assert decode_command_data(sent_command(OutgoingCommand("1", "execution-1", command))) == command


@pytest.mark.parametrize("command", samples.OWNER_COMMANDS, ids=lambda command: type(command).__name__)
def test_what_only_the_owner_may_ask_is_refused_from_the_log(command: Any) -> None:
    record = samples.record_of(command)
    assert record.type in OWNER_ONLY
    with pytest.raises(UnknownRecord) as refused:
        decode_command_data(record)
    assert refused.value.code == "unknown_type"


@pytest.mark.parametrize(
    ("name", "version"), [("execution.exploded", 1), ("execution.node_completed", 2), ("execution.node_completed", 0)]
)
def test_an_unknown_type_or_version_is_an_error_with_its_name(name: str, version: int) -> None:
    with pytest.raises(UnknownRecord) as unknown:
        decode_event(EventRecord(name, raw("{}"), version))
    assert (unknown.value.code, unknown.value.name, unknown.value.version) == ("unknown_type", name, version)


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ('{"node": 7, "run": 0, "outputs": {}}', "node"),
        ('{"node": "a", "run": "0", "outputs": {}}', "run"),
        ('{"node": "a", "run": 0}', "outputs"),
        ('{"node": "a", "run": 0, "outputs": {"main": [5]}}', "outputs[...][0]"),
        ('{"node": "a", "run": 0, "outputs": {}, "sources": [["a", 0, "main"]]}', "sources[0]"),
        ("[]", ""),
        ('{"node": "a"', ""),
        ('{"node": "a", "run": 0, "outputs": {"main": [{"json": ' + "[" * 5000 + "]" * 5000 + "}]}}", ""),
    ],
)
def test_malformed_data_names_the_field(data: str, field: str) -> None:
    with pytest.raises(MalformedRecord) as malformed:
        decode_event(EventRecord("execution.node_completed", raw(data)))
    assert (malformed.value.code, malformed.value.field) == ("malformed_record", field)


def test_a_command_of_wrong_types_is_malformed_not_converted() -> None:
    record = CommandRecord("1", "workflow.update", "workflow-1", "w", 0, raw('{"document": {}, "at": "5"}'))
    with pytest.raises(MalformedRecord) as malformed:
        decode_command_data(record)
    assert malformed.value.field == "at"


@pytest.mark.parametrize("body", ["\ud800", object()])
def test_what_json_cannot_hold_is_an_error_of_its_own(body: Any) -> None:
    with pytest.raises(UnencodableRecord):
        encode_event(ResponseGiven(node="answer", status=200, headers={}, body=body))


def test_large_integers_survive() -> None:
    event = ResponseGiven(node="answer", status=200, headers={}, body=[2**53 + 1, 2**64 + 1, -(2**70)])
    assert decode_event(encode_event(event)) == event


def test_a_class_that_is_not_registered_is_refused() -> None:
    with pytest.raises(UnknownRecord):
        encode_event(samples.COMMANDS[0])


class Renamed(msgspec.Struct, frozen=True, omit_defaults=True):
    """Version 3 of a test's event: `amount` was `price` in version 1, and had no `currency` before version 3."""

    amount: int
    currency: str
    items: list[dict[str, Any]] = []


UPCASTERS = {
    1: lambda data: {**{key: value for key, value in data.items() if key != "price"}, "amount": data["price"]},
    2: lambda data: {**data, "currency": "EUR"},
}
CODEC = Codec([Entry("test.renamed", Renamed, 3, UPCASTERS)])


@pytest.mark.parametrize(
    ("version", "data"),
    [(1, '{"price": 5}'), (2, '{"amount": 5}'), (3, '{"amount": 5, "currency": "EUR"}')],
)
def test_every_old_version_is_lifted_to_the_newest(version: int, data: str) -> None:
    assert CODEC.decode("test.renamed", version, raw(data)) == Renamed(5, "EUR")


def test_an_old_record_is_lifted_with_what_is_stored_outside() -> None:
    lifted = CODEC.decode("test.renamed", 1, raw('{"price": 5}'), {"items": "b1"}, {"b1": b'[{"json": {}}]'})
    assert lifted == Renamed(5, "EUR", [{"json": {}}])


def test_new_records_are_written_in_the_newest_version() -> None:
    assert CODEC.encode(Renamed(5, "EUR"))[:2] == ("test.renamed", 3)


def test_what_an_upcaster_makes_is_checked_like_anything_else() -> None:
    with pytest.raises(MalformedRecord) as malformed:
        CODEC.decode("test.renamed", 2, raw('{"amount": "5"}'))
    assert malformed.value.field == "amount"
    with pytest.raises(SchemaError):
        CODEC.decode("test.renamed", 1, raw("{}"))


@pytest.mark.parametrize("version", [2, 4])
def test_a_gap_in_the_upcasters_is_refused_when_the_registry_is_made(version: int) -> None:
    with pytest.raises(ValueError, match="upcaster"):
        Codec([Entry("test.renamed", Renamed, version, UPCASTERS)])


def test_a_name_or_class_is_registered_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        Codec([Entry("a", Renamed), Entry("a", NodeCompleted)])
    with pytest.raises(ValueError, match="twice"):
        Codec([Entry("a", Renamed), Entry("b", Renamed)])


def test_command_records_carry_who_asked() -> None:
    record = command_record(
        samples.COMMANDS[1], id="1", stream="execution-1", workspace="w", made=5, actor="key:1", correlation="req"
    )
    assert (record.id, record.stream, record.workspace, record.made) == ("1", "execution-1", "w", 5)
    assert (record.actor, record.correlation) == ("key:1", "req")
