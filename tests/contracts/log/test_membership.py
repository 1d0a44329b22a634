"""The contract of partition assignment, for every implementation."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from infra.log.memory import MemoryMembership
from infra.log.port import Log, Membership
from tests.contracts.log.stores import PARTITIONS, PATIENCE, Store, die, settled

ALL = frozenset(range(PARTITIONS))
Join = Callable[[str], Awaitable[Membership]]
LOW, HIGH = frozenset({0, 1}), frozenset({2, 3})


@pytest.fixture
async def members(store: Store) -> AsyncIterator[Join]:
    """Joins members, each with a log of its own as another process has; closes them at the end."""
    joined: list[Membership] = []

    async def join(name: str) -> Membership:
        log = await store.log()
        membership = await log.membership("workers", name)
        joined.append(membership)
        return membership

    yield join
    for membership in joined:
        await membership.close()


async def test_one_member_has_all(members: Join) -> None:
    one = await members("a")
    async with asyncio.timeout(PATIENCE):
        assert await one.assigned() == ALL
    assert one.current() == ALL


async def test_two_members_split_and_one_leaves(members: Join) -> None:
    one = await members("a")
    await settled([one], [ALL])
    two = await members("b")
    await settled([one, two], [LOW, HIGH])
    await one.close()
    await settled([two], [ALL])
    assert one.current() == frozenset()


async def test_three_members_cover_everything_once(members: Join) -> None:
    three = [await members(name) for name in ("a", "b", "c")]
    await settled(three, [LOW, frozenset({2}), frozenset({3})])


async def test_more_members_than_partitions_leave_some_idle(members: Join) -> None:
    five = [await members(name) for name in ("a", "b", "c", "d", "e")]
    await settled(five, [frozenset({0}), frozenset({1}), frozenset({2}), frozenset({3}), frozenset()])


async def test_the_partitions_of_a_dead_member_are_taken_over(members: Join) -> None:
    one, two = await members("a"), await members("b")
    await settled([one, two], [LOW, HIGH])
    await die(one)
    await settled([two], [ALL])


async def test_a_member_that_comes_back_has_its_partitions_at_once(members: Join) -> None:
    one, two = await members("a"), await members("b")
    await settled([one, two], [LOW, HIGH])
    if not isinstance(two, MemoryMembership):  # there, whoever dies is missed at once
        await die(two)
    back = await members("b")
    await settled([back], [HIGH])
    assert one.current() == LOW, "the others were not disturbed"


async def test_groups_do_not_meet(store: Store, log: Log) -> None:
    one = await log.membership("workers", "a")
    two = await log.membership("projectors", "a")
    await settled([one, two], [ALL, ALL])
    await one.close()
    await two.close()


async def test_assigned_tells_only_changes(members: Join) -> None:
    one = await members("a")
    async with asyncio.timeout(PATIENCE):
        assert await one.assigned() == ALL
    change = asyncio.ensure_future(one.assigned())
    done, _ = await asyncio.wait([change], timeout=0.5)
    assert not done, "nothing changed"
    two = await members("b")
    async with asyncio.timeout(PATIENCE):
        assert await change == LOW
    await settled([one, two], [LOW, HIGH])
