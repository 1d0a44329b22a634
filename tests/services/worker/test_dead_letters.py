"""What cannot be decided becomes a letter that can be looked at and sent again."""

from uuid import uuid4

import msgspec

from domain.dead_letter.commands import RedriveLetter
from domain.dead_letter.decider import STREAM, letter_id
from domain.dead_letter.events import LetterRecorded
from domain.inbox.commands import ReceiveDelivery
from domain.inbox.decider import stream_of
from domain.inbox.gates import Delivery, Gates
from infra.log.memory import MemoryLog
from infra.log.port import NewRecord, Topic
from schemas import registry
from schemas.envelope import KIND_COMMAND, CommandRecord, encode, partition_of
from schemas.payloads import blob_id
from services.worker.clock import wall_ms
from tests.services.worker.test_running import DONE, chain
from tests.support.workers import PARTITIONS, WORKSPACE, Cluster, until

ITEMS = b'[{"json":{"n":1}}]'


async def start_without_its_items(cluster: Cluster, workflow: str, execution: str) -> str:
    """A start whose items stand in a blob that is not there; the id of the letter that it becomes."""
    stream = f"execution-{execution}"
    data = {
        "execution_id": execution, "workflow_id": workflow, "workflow_version": 1, "trigger_node": "start",
        "trigger_type": "manual", "queued_at": wall_ms(),
    }  # fmt: skip
    record = CommandRecord(
        str(uuid4()), "execution.start", stream, WORKSPACE, wall_ms(), msgspec.Raw(encode(data)), 1,
        blobs={"items": blob_id(WORKSPACE, ITEMS)},
    )  # fmt: skip
    writer = await cluster.log.writer()
    place = partition_of(stream, PARTITIONS)
    headers = (("k", KIND_COMMAND), ("i", record.id.encode()), ("s", stream.encode()))
    offset = await writer.append(Topic.EXECUTION_COMMANDS, place, [NewRecord(encode(record), headers)])
    return letter_id(Topic.EXECUTION_COMMANDS, place, offset)


async def test_a_start_that_could_not_be_read_is_sent_again_when_what_it_missed_is_there() -> None:
    async with Cluster() as cluster:
        await cluster.start("a")
        workflow, execution = str(uuid4()), str(uuid4())
        cluster.versions.add(workflow, 1, chain(DONE))
        letter = STREAM + await start_without_its_items(cluster, workflow, execution)
        await until(lambda: bool(cluster.answers(letter)), 10.0, "no letter was recorded")
        (commit,) = cluster.answers(letter)
        event = registry.decode_event_bare(commit.events[0])
        assert isinstance(event, LetterRecorded)
        assert (event.code, event.command, event.stream) == (
            "missing_blob",
            "execution.start",
            f"execution-{execution}",
        )
        assert commit.workspace == WORKSPACE

        await cluster.blobs.put_many(WORKSPACE, {blob_id(WORKSPACE, ITEMS): ITEMS})
        await cluster.send(RedriveLetter(wall_ms(), "key:1"), letter)
        await until(lambda: len(cluster.answers(letter)) == 2, 10.0, "it was not sent again")
        redriven = registry.decode_event_bare(cluster.answers(letter)[1].events[0])
        assert (await cluster.closed(redriven.stream))[-1] == "execution.completed"
        (queued, *_) = [event for commit in cluster.answers(redriven.stream) for event in commit.events]
        assert registry.decode_event(queued).retry_of == execution


async def test_garbage_becomes_a_letter_of_nobody() -> None:
    async with Cluster() as cluster:
        await cluster.start("a")
        writer = await cluster.log.writer()
        offset = await writer.append(Topic.EXECUTION_COMMANDS, 0, [NewRecord(b"\xff garbage", ())])
        letter = STREAM + letter_id(Topic.EXECUTION_COMMANDS, 0, offset)
        await until(lambda: bool(cluster.answers(letter)), 10.0, "no letter was recorded")
        (commit,) = cluster.answers(letter)
        event = registry.decode_event_bare(commit.events[0])
        assert (commit.workspace, event.command, event.code) == ("", "", "undecodable")
        assert "garbage" in event.excerpt


async def test_a_delivery_whose_id_is_none_becomes_a_letter_and_its_inbox_goes_on() -> None:
    async with Cluster() as cluster:
        await cluster.start("a")
        stream = stream_of("some endpoint")
        place = partition_of(stream, PARTITIONS)
        good = Delivery(str(uuid4()), "some endpoint", str(uuid4()), 1, "hook", wall_ms())
        command = ReceiveDelivery(good, Gates(), [{"json": {}}])
        name, version, data = registry.encode_command(command)
        bad = msgspec.Raw(bytes(data).replace(good.id.encode(), b"nobody"))
        record = CommandRecord(str(uuid4()), name, stream, WORKSPACE, wall_ms(), bad, version)
        headers = (("k", KIND_COMMAND), ("i", record.id.encode()), ("s", stream.encode()))
        writer = await cluster.log.writer()
        offset = await writer.append(Topic.COMMANDS, place, [NewRecord(encode(record), headers)])
        letter = STREAM + letter_id(Topic.COMMANDS, place, offset)
        await until(lambda: bool(cluster.answers(letter)), 10.0, "no letter was recorded")
        event = registry.decode_event_bare(cluster.answers(letter)[0].events[0])
        assert (event.command, "delivery.id" in event.reason) == ("inbox.receive", True)
        answer = await cluster.answered(await cluster.send(command, stream), stream)
        assert [each.type for each in answer.events] == ["inbox.accepted"]


async def test_a_worker_whose_clock_is_wrong_sends_what_counts_before_it_has_read_a_tick() -> None:
    """Its letters would be as old as its clock is slow: refused as stale, and lost (simulation, seeds 71 and 169)."""
    cluster = Cluster()
    cluster.log = MemoryLog(PARTITIONS, clock=lambda: wall_ms() + 3_600_000)
    cluster.tick_time = lambda: None
    async with cluster:
        writer = await cluster.log.writer()
        await writer.append(Topic.EXECUTION_COMMANDS, 0, [NewRecord(b"garbage")])
        await cluster.start("a")
        letter = STREAM + letter_id(Topic.EXECUTION_COMMANDS, 0, 0)
        await until(lambda: bool(cluster.answers(letter)), 10.0, "no letter was recorded")
        assert cluster.answers(letter)[0].outcome.kind == "accepted"
