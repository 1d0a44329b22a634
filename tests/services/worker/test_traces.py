"""The traces of docs/log-protocol.md that an owner can show, each by its number."""

import asyncio
from collections.abc import Sequence
from uuid import uuid4

import pytest

from domain.decision import Decision, OutgoingCommand
from domain.execution.commands import CancelExecution, StartExecution
from domain.workspace.commands import AddApiKey, CreateWorkspace
from infra.log.memory import Fault, MemoryLog
from infra.log.port import LogUnavailable, NewRecord, Topic
from infra.postgres.checkpoints import CheckpointChange, CheckpointRefused
from schemas.envelope import KIND_COMMIT, KIND_TAKEOVER, Epoch, TakeoverRecord, encode, partition_of
from schemas.fence import Fence, GapInLog
from services.worker import owner
from services.worker.clock import wall_ms
from services.worker.lanes import AggregateLane, Entry
from services.worker.worker import GROUP
from tests.support.workers import PARTITIONS, WORKSPACE, Cluster, until

FEW = 5
"""Deaths that make an input a suspect here; the product waits for more."""
STREAM = f"workspace-{WORKSPACE}"
PLACE = partition_of(STREAM, PARTITIONS)
CREATE = CreateWorkspace(workspace_id=WORKSPACE, name="Acme", at=1)
MANUAL = {
    "name": "one",
    "nodes": [{"id": "start", "type": "manual"}, {"id": "done", "type": "set", "parameters": {"fields": {"ok": True}}}],
    "connections": [{"from": "start", "to": "done"}],
}


def add_key(number: int) -> AddApiKey:
    return AddApiKey(key_id=f"key-{number}", key_hash=f"{number:064x}", prefix="lf_x", name=f"key {number}", at=number)


def start(execution_id: str, workflow_id: str, fingerprint: str = "") -> StartExecution:
    return StartExecution(
        execution_id=execution_id,
        workflow_id=workflow_id,
        workflow_version=1,
        trigger_node="start",
        trigger_type="manual",
        items=[{"json": {"n": 1}}],
        queued_at=1_700_000_000_000,
        fingerprint=fingerprint,
    )


def takeover(owner: str) -> NewRecord:
    record = TakeoverRecord(nonce=owner, owner=owner, time=0)
    return NewRecord(encode(record), (("k", KIND_TAKEOVER), ("o", owner.encode())))


async def test_trace_01_a_reader_drops_what_follows_a_commit_that_never_landed() -> None:
    fence = Fence()
    headers = (("k", KIND_COMMIT), ("e", Epoch(0, "a").header()))
    assert not fence.accept(0, (("k", KIND_TAKEOVER), ("o", b"a")))
    assert not fence.accept(1, (*headers, ("n", b"1")))  # commit 0 failed
    assert not fence.accept(2, (*headers, ("n", b"2")))
    assert fence.accept(3, (*headers, ("n", b"0")))


async def test_trace_01_an_owner_whose_append_is_lost_takes_over_anew_and_answers_once() -> None:
    async with Cluster() as cluster:
        await cluster.start("a")
        await cluster.owned("a")
        first = await cluster.send(CREATE, STREAM)
        await cluster.answered(first, STREAM)
        cluster.log.fail_next(Fault.LOST, topic=Topic.EVENTS)
        sent = await asyncio.gather(*[cluster.send(add_key(number), STREAM) for number in range(1, 4)])
        for command_id in sent:
            commit = await cluster.answered(command_id, STREAM)
            assert commit.outcome.kind == "accepted"
        assert [c.version for c in cluster.answers(STREAM)] == [1, 2, 3, 4]


async def test_trace_02_a_commit_that_lands_twice_counts_once() -> None:
    async with Cluster() as cluster:
        await cluster.start("a")
        await cluster.owned("a")
        created = await cluster.send(CREATE, STREAM)
        await cluster.answered(created, STREAM)
        cluster.log.fail_next(Fault.TWICE, topic=Topic.EVENTS)
        first = await cluster.send(add_key(1), STREAM)
        await cluster.answered(first, STREAM)
        second = await cluster.send(add_key(2), STREAM)
        assert (await cluster.answered(second, STREAM)).version == 3
        versions = [commit.version for commit in cluster.answers(STREAM) if commit.events]
        assert versions == [1, 2, 3]


async def test_trace_03_an_old_takeover_that_lands_voids_the_owner_until_it_announces_itself_anew() -> None:
    async with Cluster() as cluster:
        await cluster.start("a")
        await cluster.owned("a")
        writer = await cluster.log.writer()
        await writer.append(Topic.EVENTS, PLACE, [takeover("b-which-died")])
        command = await cluster.send(CREATE, STREAM)
        commit = await cluster.answered(command, STREAM)
        assert commit.epoch.nonce != "b-which-died"
        assert commit.outcome.kind == "accepted"


async def test_trace_04_a_void_commit_of_a_paused_owner_starts_no_effect_and_is_decided_by_the_next() -> None:
    async with Cluster() as cluster:
        workflow = str(uuid4())
        cluster.versions.add(workflow, 1, MANUAL)
        await cluster.start("a", alone=True)
        await cluster.owned("a")
        cluster.held["a"].gate.clear()  # a decides, and is stopped before its append leaves
        execution = str(uuid4())
        stream = f"execution-{execution}"
        command = await cluster.send(start(execution, workflow), stream)
        await cluster.start("b")
        await cluster.owned("b")
        commit = await cluster.answered(command, stream)
        records_before = len(cluster.log.records(Topic.EXECUTIONS, partition_of(stream, PARTITIONS)))
        cluster.held["a"].gate.set()
        await until(
            lambda: len(cluster.log.records(Topic.EXECUTIONS, partition_of(stream, PARTITIONS))) > records_before,
            10,
            "the paused owner never sent its void record",
        )
        assert cluster.answer_to(command, stream) == commit
        assert [c.id for c in cluster.answers(stream)].count(commit.id) == 1


async def test_trace_05_an_owner_that_announces_itself_anew_folds_what_others_committed_meanwhile() -> None:
    async with Cluster() as cluster:
        await cluster.start("a", alone=True)
        await cluster.owned("a")
        await cluster.answered(await cluster.send(CREATE, STREAM), STREAM)
        cluster.held["a"].gate.clear()
        late = await cluster.send(add_key(1), STREAM)
        await cluster.start("b", alone=True)
        await cluster.owned("b")
        await cluster.answered(late, STREAM)
        await cluster.kill("b")
        cluster.held["a"].gate.set()
        again = await cluster.send(add_key(1), STREAM)
        assert (await cluster.answered(again, STREAM)).outcome.kind == "duplicate"
        assert sorted(c.version for c in cluster.answers(STREAM) if c.events) == [1, 2]


class _Fanning(AggregateLane):
    """The aggregates' lane, but each new key asks a second workspace to be created: a decision for two streams."""

    other = f"workspace-{uuid4()}"

    def decide(self, command, entry: Entry | None, *, stream, workspace, **rest) -> Decision:  # type: ignore[no-untyped-def]
        if stream == self.other:
            workspace = self.other.removeprefix("workspace-")
        decided = super().decide(command, entry, stream=stream, workspace=workspace, **rest)
        if isinstance(command, AddApiKey) and decided.events:
            wanted = CreateWorkspace(workspace_id=self.other.removeprefix("workspace-"), name="child", at=command.at)
            outgoing = OutgoingCommand(id=f"child-of-{command.key_id}", stream=self.other, command=wanted)
            return Decision(decided.events, decided.state, decided.outcome, commands=[outgoing])
        return decided


async def test_trace_06_and_10_what_a_commit_wants_of_another_stream_is_sent_after_a_crash_too() -> None:
    async with Cluster() as cluster:
        lane = _Fanning()
        await cluster.start("a", alone=True, lanes=[lane])
        await cluster.owned("a")
        await cluster.answered(await cluster.send(CREATE, STREAM), STREAM)
        outbox_closed = cluster.workers["a"].owner_of("aggregates", PLACE)
        outbox_closed._memory.outbox.send = lambda: None  # type: ignore[method-assign]  # the crash comes before it is sent
        asked = await cluster.send(add_key(1), STREAM)
        await cluster.answered(asked, STREAM)
        await cluster.kill("a")
        assert cluster.answers(lane.other) == []
        await cluster.start("b", lanes=[lane])
        await until(lambda: bool(cluster.answers(lane.other)), 10, "the child was never asked")
        await cluster.kill("b")
        await cluster.start("c", lanes=[lane])
        await cluster.owned("c")
        probe = await cluster.send(add_key(2), STREAM)
        await cluster.answered(probe, STREAM)
        await until(lambda: len(cluster.answers(lane.other)) >= 2, 10, "the second child command was never answered")
        assert len(cluster.answers(lane.other)[0].events) == 1
        assert sum(len(commit.events) for commit in cluster.answers(lane.other)) == 1


async def test_trace_07_a_zombie_cannot_write_its_checkpoint() -> None:
    async with Cluster() as cluster:
        await cluster.start("a", alone=True)
        await cluster.owned("a")
        await cluster.answered(await cluster.send(CREATE, STREAM), STREAM)
        owner = cluster.workers["a"].owner_of("aggregates", PLACE)
        old = owner._memory.fence.epoch
        assert old is not None
        await cluster.start("b", alone=True)
        await cluster.owned("b")
        change, _ = owner._memory.collect_changes()
        with pytest.raises(CheckpointRefused):
            await cluster.checkpoints.save("aggregates", PLACE, old, change)
        with pytest.raises(CheckpointRefused):
            await cluster.checkpoints.claim("aggregates", PLACE, old)


async def test_trace_07_a_checkpoint_never_goes_back() -> None:
    async with Cluster() as cluster:
        epoch = Epoch(7, "me")
        await cluster.checkpoints.claim("aggregates", 0, epoch)
        await cluster.checkpoints.save("aggregates", 0, epoch, CheckpointChange({0}, Fence(9, epoch, 1), 3, b""))
        with pytest.raises(CheckpointRefused):
            await cluster.checkpoints.save("aggregates", 0, epoch, CheckpointChange({9}, Fence(8, epoch, 0), 3, b""))


async def test_trace_09_and_15_a_log_cut_behind_the_checkpoint_stops_the_partition() -> None:
    async with Cluster() as cluster:
        await cluster.start("a")
        await cluster.owned("a")
        await cluster.answered(await cluster.send(CREATE, STREAM), STREAM)
        await cluster.kill("a")
        end = await cluster.log.end_offset(Topic.EVENTS, PLACE)
        await cluster.log.delete_before(Topic.EVENTS, PLACE, end)
        worker = await cluster.start("b")
        await until(
            lambda: (owner := worker.find_owner("aggregates", PLACE)) is not None and owner.stopped is not None,
            10,
            "the partition went on with a hole in its history",
        )


async def test_trace_12_the_groups_offset_is_only_a_hint() -> None:
    async with Cluster() as cluster:
        command = await cluster.send(CREATE, STREAM)
        await cluster.log.commit_group_offsets(GROUP, {(Topic.COMMANDS, PLACE): 1})
        await cluster.start("a")
        assert (await cluster.answered(command, STREAM)).outcome.kind == "accepted"


async def test_trace_14_a_decision_that_raises_is_recorded_as_failed_and_the_partition_goes_on() -> None:
    class Broken(AggregateLane):
        def decide(self, command, entry, **rest) -> Decision:  # type: ignore[no-untyped-def]
            if isinstance(command, AddApiKey) and command.key_id == "key-13":
                raise ZeroDivisionError("planted")
            return super().decide(command, entry, **rest)

    async with Cluster() as cluster:
        await cluster.start("a", lanes=[Broken()])
        await cluster.answered(await cluster.send(CREATE, STREAM), STREAM)
        bad = await cluster.answered(await cluster.send(add_key(13), STREAM), STREAM)
        assert (bad.outcome.kind, bad.outcome.code) == ("failed", "internal_error")
        good = await cluster.answered(await cluster.send(add_key(14), STREAM), STREAM)
        assert good.outcome.kind == "accepted"


async def test_trace_14_an_input_that_takes_its_process_down_becomes_a_dead_letter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(owner, "SUSPECT_LIMIT", FEW)

    class Deadly(AggregateLane):
        def decide(self, command, entry, **rest) -> Decision:  # type: ignore[no-untyped-def]
            if isinstance(command, AddApiKey):
                raise KeyboardInterrupt  # not an Exception: nothing in the owner can catch it
            return super().decide(command, entry, **rest)

    async with Cluster() as cluster:
        stored = cluster.checkpoints
        await cluster.start("a", lanes=[Deadly()])
        await cluster.answered(await cluster.send(CREATE, STREAM), STREAM)
        await cluster.kill("a")
        bad = await cluster.send(add_key(1), STREAM)
        for _ in range(5):  # as often as a process died of it
            await stored.suspect("aggregates", PLACE, 1)
        await cluster.start("b", lanes=[Deadly()])
        commit = await cluster.answered(bad, STREAM)
        assert (commit.outcome.kind, commit.outcome.code) == ("failed", "poison")
        assert len(cluster.log.records(Topic.DEAD_LETTERS, PLACE)) == 1


async def test_trace_15_a_missing_record_is_noticed_by_every_reader() -> None:
    fence = Fence(next_offset=5)
    with pytest.raises(GapInLog):
        fence.accept(6, ())


async def test_trace_16_an_owner_waits_for_the_group_before_it_takes_over_again() -> None:
    async with Cluster() as cluster:
        worker = await cluster.start("a")
        await cluster.owned("a")
        worker._assigned = frozenset()  # the group has moved on, the worker's loop has not heard of it yet
        before = len(cluster.log.records(Topic.EVENTS, PLACE))
        writer = await cluster.log.writer()
        await writer.append(Topic.EVENTS, PLACE, [takeover("b")])
        await cluster.send(CREATE, STREAM)
        owner = worker.owner_of("aggregates", PLACE)
        await until(lambda: not owner.live, 10, "the owner never noticed")
        await asyncio.sleep(0.5)  # longer than any back-off of the first failure
        records = cluster.log.records(Topic.EVENTS, PLACE)[before:]
        kinds = [dict(record.headers)["k"] for record in records]
        assert kinds == [KIND_TAKEOVER, KIND_COMMIT]  # b's takeover, a's void commit, and nothing more of a


async def test_trace_17_a_cancel_cannot_overtake_its_start() -> None:
    async with Cluster() as cluster:
        workflow = str(uuid4())
        cluster.versions.add(workflow, 1, MANUAL)
        execution = str(uuid4())
        stream = f"execution-{execution}"
        started = await cluster.send(start(execution, workflow), stream)
        cancelled = await cluster.send(CancelExecution(), stream)
        await cluster.start("a")
        await cluster.answered(cancelled, stream)
        assert [c.cause for c in cluster.answers(stream)] == [started, cancelled]


async def test_rule_06_garbage_costs_one_dead_letter_and_the_partition_goes_on() -> None:
    async with Cluster() as cluster:
        writer = await cluster.log.writer()
        garbage = [
            b"",
            b"\xff\xfe",
            b"{",
            b"[]",
            b'{"id": 1}',
            b'{"v":9,"id":"x","type":"no.such","stream":"workspace-x"}',
        ]
        await writer.append(Topic.COMMANDS, PLACE, [NewRecord(each) for each in garbage])
        command = await cluster.send(CREATE, STREAM)
        await cluster.start("a")
        assert (await cluster.answered(command, STREAM)).outcome.kind == "accepted"
        answered = [(c.answers.offset, c.stream) for _, c in cluster.accepted(Topic.EVENTS, PLACE) if c.answers]
        assert [offset for offset, _ in answered] == list(range(len(answered)))
        assert all(stream.startswith("letter-") for _, stream in answered[len(garbage) + 1 :])  # what records them
        assert len(cluster.log.records(Topic.DEAD_LETTERS, PLACE)) == len(garbage)


async def test_rule_14_the_same_start_is_answered_once_also_after_the_end_and_after_a_takeover() -> None:
    async with Cluster() as cluster:
        workflow = str(uuid4())
        cluster.versions.add(workflow, 1, MANUAL)
        execution = str(uuid4())
        stream = f"execution-{execution}"
        await cluster.start("a")
        first = await cluster.send(start(execution, workflow, "f1"), stream)
        await cluster.closed(stream)
        second = await cluster.send(start(execution, workflow, "f1"), stream)
        third = await cluster.send(start(execution, workflow, "f2"), stream)
        assert (await cluster.answered(first, stream)).outcome.kind == "accepted"
        assert (await cluster.answered(second, stream)).outcome.kind == "duplicate"
        assert (await cluster.answered(third, stream)).outcome.code == "idempotency_mismatch"
        await cluster.kill("a")
        await cluster.start("b")
        fourth = await cluster.send(start(execution, workflow, "f1"), stream)
        assert (await cluster.answered(fourth, stream)).outcome.kind == "duplicate"
        await cluster.stop("b")  # checkpoints
        await cluster.start("c")
        fifth = await cluster.send(start(execution, workflow, "f1"), stream)
        assert (await cluster.answered(fifth, stream)).outcome.kind == "duplicate"


async def test_rule_14_an_input_appended_too_late_is_refused() -> None:
    async with Cluster() as cluster:
        await cluster.start("a")
        late = await cluster.send(CREATE, STREAM, made=1_000)
        assert (await cluster.answered(late, STREAM)).outcome.code == "stale_command"
        fresh = await cluster.send(CREATE, STREAM)
        assert (await cluster.answered(fresh, STREAM)).outcome.kind == "accepted"


class RefusesCommits(MemoryLog):
    """Its first `left` commits are lost; takeovers land."""

    left = 0

    def append(self, topic: Topic, partition: int, records: Sequence[NewRecord]) -> int:
        if self.left and records[0].headers[0] == ("k", KIND_COMMIT):
            self.left -= 1
            raise LogUnavailable("lost")
        return super().append(topic, partition, records)


async def test_an_input_whose_commits_were_lost_again_and_again_is_no_poison(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a process that died of it speaks against it: this one lives on (rule 8)."""
    monkeypatch.setattr(owner, "SUSPECT_LIMIT", FEW)
    cluster = Cluster()
    cluster.log = log = RefusesCommits(PARTITIONS, clock=wall_ms)
    async with cluster:
        await cluster.start("a")
        await cluster.owned("a")
        log.left = FEW + 3
        sent = await cluster.send(CREATE, STREAM)
        commit = await cluster.answered(sent, STREAM)
        assert commit.outcome.kind == "accepted"
        assert not log.left
