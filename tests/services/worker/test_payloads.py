"""Fields that are stored outside of the records: found, missing, and handed on."""

from collections.abc import Collection

from msgspec import Raw

from infra.log.clock import LogClock
from infra.log.port import NewRecord, Topic
from schemas.envelope import KIND_COMMAND, CommandRecord, Epoch, SentCommand, decode_command, encode, partition_of
from schemas.payloads import BlobCollector
from schemas.registry import command_record
from services.worker.clock import wall_ms
from services.worker.outbox import Outbox
from services.worker.owner import SUSPECT_LIMIT
from tests.services.worker.test_traces import CREATE, MANUAL, STREAM
from tests.support.workers import PARTITIONS, WORKSPACE, Cluster, until

WORKFLOW = "7d7a2c04-93b1-4a0f-8a58-0a3c0f7a9e21"
LARGE = {**MANUAL, "nodes": [{**MANUAL["nodes"][0], "notes": "n" * 15_000}, *MANUAL["nodes"][1:]]}  # type: ignore[dict-item]


def create_workflow(spill: BlobCollector) -> CommandRecord:
    from domain.workflow.commands import CreateWorkflow

    return command_record(
        CreateWorkflow(WORKFLOW, LARGE, 1),
        id="create",
        stream=f"workflow-{WORKFLOW}",
        workspace=WORKSPACE,
        made=wall_ms(),
        spill=spill,
        over=1_000,
    )


async def append(cluster: Cluster, record: CommandRecord) -> int:
    place = partition_of(record.stream, PARTITIONS)
    writer = await cluster.log.writer()
    await writer.append(Topic.COMMANDS, place, [NewRecord(encode(record), (("k", KIND_COMMAND),))])
    return place


async def test_a_command_whose_document_is_stored_outside_is_decided() -> None:
    async with Cluster() as cluster:
        collector = BlobCollector(WORKSPACE)
        record = create_workflow(collector)
        assert record.blobs
        await cluster.blobs.put_many(WORKSPACE, collector.blobs)
        await append(cluster, record)
        await cluster.start("a")
        assert (await cluster.answered("create", record.stream)).outcome.kind == "accepted"


async def test_a_command_that_names_a_blob_which_is_not_there_costs_one_dead_letter() -> None:
    async with Cluster() as cluster:
        record = create_workflow(BlobCollector(WORKSPACE))
        place = await append(cluster, record)
        await cluster.send(CREATE, STREAM)
        await cluster.start("a")
        answer = await cluster.answered("create", record.stream)
        assert (answer.outcome.kind, answer.outcome.code) == ("failed", "missing_blob")
        await until(lambda: bool(cluster.answers(STREAM)), 5, "the worker did not go on")
        assert len(cluster.log.records(Topic.DEAD_LETTERS, place)) == 1


async def test_the_outbox_keeps_what_is_stored_outside() -> None:
    cluster = Cluster()
    sent = create_workflow(BlobCollector(WORKSPACE))
    before = Outbox()
    before.add(SentCommand(sent.id, sent.type, sent.stream, sent.data, sent.tv, sent.blobs), WORKSPACE, "", None)
    after = Outbox(before.pending())
    after.start(_Sending(cluster), {})
    place = partition_of(sent.stream, PARTITIONS)
    await until(lambda: bool(cluster.log.records(Topic.COMMANDS, place)), 5, "nothing was sent")
    (record,) = cluster.log.records(Topic.COMMANDS, place)
    assert decode_command(record.value).blobs == sent.blobs


class _Sending:
    """The worker as an outbox sees it."""

    def __init__(self, cluster: Cluster) -> None:
        self.log = cluster.log
        self.log_clock = LogClock()
        self.log_clock.saw(wall_ms())
        self.writer = cluster.log.writer

    async def started(self, executions: Collection[str]) -> Collection[str]:
        return ()

    async def writer_failed(self, writer: object) -> None:
        raise AssertionError("the log is up")


async def test_a_malformed_input_that_is_suspected_of_killing_processes_is_put_aside() -> None:
    async with Cluster() as cluster:
        stream = f"workspace-{WORKSPACE}"
        record = CommandRecord("bad", "workspace.create", stream, WORKSPACE, wall_ms(), Raw(b'{"name": 7}'))
        place = await append(cluster, record)
        await cluster.checkpoints.claim("aggregates", place, Epoch(0, "earlier"))
        for _ in range(SUSPECT_LIMIT):
            await cluster.checkpoints.suspect("aggregates", place, 0)
        await cluster.start("a")
        assert (await cluster.answered("bad", stream)).outcome.code == "poison"
        assert (await cluster.answered(await cluster.send(CREATE, STREAM), STREAM)).outcome.kind == "accepted"
