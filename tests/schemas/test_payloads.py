"""Large fields move out of the record and come back."""

from typing import Any

import msgspec
import pytest

from domain.decision import OutgoingCommand
from domain.execution.commands import StartExecution
from domain.execution.events import ExecutionCompleted, NodeCompleted, ResponseGiven
from schemas.envelope import CommitRecord, Epoch, EventRecord
from schemas.errors import MalformedRecord, MissingBlob
from schemas.payloads import SPILL_OVER, BlobCollector, blob_id
from schemas.registry import (
    blobs_of,
    command_record,
    decode_command_data,
    decode_event,
    decode_event_bare,
    encode_event,
    sent_command,
)

LARGE: list[dict[str, Any]] = [{"json": {"text": "ü" * SPILL_OVER}}]
SMALL: list[dict[str, Any]] = [{"json": {"text": "small"}}]


def items_of(size: int) -> list[dict[str, Any]]:
    """Items whose JSON has exactly `size` bytes."""
    return [{"json": {"text": "a" * (size - len('[{"json":{"text":""}}]'))}}]


def test_a_large_field_moves_out_and_comes_back() -> None:
    event = NodeCompleted(node="a", run=0, outputs={"main": LARGE}, attempts=2)
    collector = BlobCollector("w1")
    record = encode_event(event, spill=collector)
    assert msgspec.json.decode(record.data) == {"node": "a", "run": 0, "attempts": 2}
    assert list(record.blobs) == ["outputs"]
    assert blobs_of(record) == list(collector.blobs)
    assert decode_event(record, collector.blobs) == event


@pytest.mark.parametrize(("size", "moved"), [(SPILL_OVER, False), (SPILL_OVER + 1, True)])
def test_the_limit_is_exact(size: int, moved: bool) -> None:
    event = ExecutionCompleted(output=items_of(size), at=1)
    collector = BlobCollector("w1")
    record = encode_event(event, spill=collector)
    assert bool(record.blobs) is moved
    assert decode_event(record, collector.blobs) == event


def test_many_small_fields_stay_inside_even_if_they_are_large_together() -> None:
    half = items_of(SPILL_OVER - 100)
    event = ResponseGiven(node="a", status=200, headers={"x": "y" * 1000}, body=half)
    collector = BlobCollector("w1")
    assert not encode_event(event, spill=collector).blobs
    assert encode_event(event, spill=collector, over=10_000).blobs
    assert not encode_event(event).blobs


def test_the_same_content_is_one_blob_of_its_workspace() -> None:
    collector = BlobCollector("w1")
    first = encode_event(ExecutionCompleted(output=LARGE, at=1), spill=collector)
    encode_event(ExecutionCompleted(output=LARGE, at=2), spill=collector)
    assert len(collector.blobs) == 1
    (content,) = collector.blobs.values()
    assert first.blobs["output"] == blob_id("w1", content)
    assert blob_id("w1", content) != blob_id("w2", content)
    assert blob_id("w1", b"1x") != blob_id("w11", b"x")


def test_a_blob_that_is_not_given_is_named() -> None:
    record = encode_event(ExecutionCompleted(output=LARGE, at=1), spill=BlobCollector("w1"))
    with pytest.raises(MissingBlob) as missing:
        decode_event(record)
    assert (missing.value.code, missing.value.field) == ("missing_blob", "output")
    assert missing.value.blob == record.blobs["output"]


def test_a_blob_of_garbage_is_a_malformed_record() -> None:
    record = encode_event(ExecutionCompleted(output=LARGE, at=1), spill=BlobCollector("w1"))
    for content in (b"{", b"\xff", b"7", b""):
        with pytest.raises(MalformedRecord):
            decode_event(record, {record.blobs["output"]: content})


def test_projections_read_the_rest_without_the_blobs() -> None:
    completed = encode_event(NodeCompleted(node="a", run=3, outputs={"main": LARGE}), spill=BlobCollector("w1"))
    assert decode_event_bare(completed) == NodeCompleted(node="a", run=3, outputs={})
    answered = ResponseGiven(node="a", status=200, headers={}, body=LARGE)
    assert decode_event_bare(encode_event(answered, spill=BlobCollector("w1"))).body is None
    small = ExecutionCompleted(output=SMALL, at=1)
    assert decode_event_bare(encode_event(small)) == small


def start() -> StartExecution:
    return StartExecution(
        execution_id="e",
        workflow_id="f",
        workflow_version=1,
        trigger_node="t",
        trigger_type="manual",
        items=LARGE,
        queued_at=1,
    )


def test_commands_move_their_items_out_too() -> None:
    collector = BlobCollector("w1")
    record = command_record(start(), id="1", stream="execution-e", workspace="w1", made=1, spill=collector)
    sent = sent_command(OutgoingCommand("1", "execution-e", start()), spill=collector)
    assert blobs_of(record) == blobs_of(sent) == list(collector.blobs)
    assert decode_command_data(record, collector.blobs) == decode_command_data(sent, collector.blobs) == start()


def test_a_commit_names_the_blobs_of_all_its_parts_once() -> None:
    collector = BlobCollector("w1")
    events = [encode_event(ExecutionCompleted(output=items, at=1), spill=collector) for items in (LARGE, SMALL, LARGE)]
    other = ResponseGiven(node="a", status=200, headers={}, body=LARGE + SMALL)
    commit = CommitRecord(
        id="1",
        stream="execution-e",
        version=1,
        epoch=Epoch(0, "n"),
        n=0,
        workspace="w1",
        time=1,
        events=[*events, encode_event(other, spill=collector)],
        commands=[sent_command(OutgoingCommand("1", "execution-e", start()), spill=collector)],
    )
    assert blobs_of(commit) == list(collector.blobs)
    assert len(collector.blobs) == 2


def test_a_record_that_is_not_an_object_cannot_be_joined() -> None:
    with pytest.raises(MalformedRecord):
        decode_event(EventRecord("execution.completed", msgspec.Raw(b"[]"), 1, {"output": "b"}), {"b": b"[]"})
