"""Merging operations of a batch gives the rows that carrying them out one by one gives."""

import random
from collections.abc import Iterator

import pytest

from infra.log.port import Topic
from projections.catalog import PROJECTIONS
from projections.memory import DuplicateRow, MemoryTables
from projections.merge import Merged, merge
from projections.operations import Add, Delete, Insert, Operation, Update, UpdateWhere, Upsert
from projections.positions import Place
from services.projector.batch import PartitionFold
from tests.projections.given import T0, World

KEY = (T0, "x")


def carried_out(merged: Merged) -> Iterator[Operation]:
    kinds = {"insert": Insert, "upsert": Upsert, "update": Update}
    for table, rows in merged.rows.items():
        for key, pending in rows.items():
            yield Delete(table, key) if pending.write == "delete" else kinds[pending.write](table, key, pending.values)
    yield from merged.ordered
    for table, sums in merged.sums.items():
        yield from (Add(table, key, amounts) for key, amounts in sums.items())


def operations_of(world: World) -> list[Operation]:
    folds = [
        (topic, partition, PartitionFold(topic.value, partition, Place(), list(PROJECTIONS.values())))
        for topic in (Topic.EVENTS, Topic.EXECUTIONS)
        for partition in range(world.log.partitions)
    ]
    return [
        operation
        for topic, partition, fold in folds
        for record in world.log.records(topic, partition)
        for operation in fold.fold(record).operations
    ]


@pytest.mark.parametrize("seed", range(20))
def test_any_cut_into_batches_gives_the_same_rows(seed: int) -> None:
    chance = random.Random(seed)
    world = World()
    world.configure()
    for number in range(15):
        if chance.random() < 0.5:
            world.run_at_once(number, at=T0 + number)
        else:
            world.run_in_steps(number, at=T0 + number, fails=chance.random() < 0.5)
    operations = operations_of(world)
    tables = MemoryTables()
    while operations:
        size = chance.randint(1, 40)
        tables.apply(carried_out(merge(operations[:size])))
        operations = operations[size:]
    assert tables.rows == world.fold().rows


def test_an_execution_in_one_commit_is_one_new_row_each() -> None:
    world = World()
    world.run_at_once("a", nodes=3)
    rows = merge(operations_of(world)).rows
    assert [pending.write for pending in rows["executions"].values()] == ["insert"]
    assert [pending.write for pending in rows["node_executions"].values()] == ["insert"] * 3


def test_all_commits_of_an_execution_in_one_batch_are_new_rows_too() -> None:
    world = World()
    world.run_in_steps("a")
    rows = merge(operations_of(world)).rows
    assert {pending.write for table in rows.values() for pending in table.values()} == {"insert"}


def test_merging_leaves_the_operations_as_they_are() -> None:
    first = Insert("executions", KEY, {"status": "queued"})
    merge([first, Update("executions", KEY, {"status": "running"})])
    assert first.values == {"status": "queued"}


@pytest.mark.parametrize(
    "operations",
    [
        [Insert("executions", KEY, {}), Insert("executions", KEY, {})],
        [Update("executions", KEY, {}), Insert("executions", KEY, {})],
        [Delete("executions", KEY), Upsert("executions", KEY, {})],
        [UpdateWhere("executions", {"status": "x"}, {"status": "y"})],
    ],
)
def test_contradictions_are_refused(operations: list[Operation]) -> None:
    with pytest.raises(ValueError, match="executions"):
        merge(operations)


def test_memory_refuses_a_second_insert() -> None:
    tables = MemoryTables()
    with pytest.raises(DuplicateRow):
        tables.apply([Insert("workspaces", ("w",), {}), Insert("workspaces", ("w",), {})])
