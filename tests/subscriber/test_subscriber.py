"""What programs outside see of the log."""

import asyncio
import base64

import pytest

from infra.log.memory import MemoryLog
from infra.log.port import OffsetOutOfRange, Topic
from linkflow.subscriber import AcceptedCommit, InvalidCursor, Subscriber
from tests.subscriber.commits import COMPLETED, STARTED, Owner


async def taken(subscriber: Subscriber, count: int) -> list[AcceptedCommit]:
    """The next `count` commits."""
    found: list[AcceptedCommit] = []
    async with asyncio.timeout(5):
        async for commit in subscriber:
            found.append(commit)
            if len(found) == count:
                break
    await subscriber.close()
    return found


def ids(commits: list[AcceptedCommit]) -> list[str]:
    return [commit.commit.id for commit in commits]


async def test_only_accepted_commits_come_and_in_order() -> None:
    log = MemoryLog(2)
    first, second = Owner(log, 0), Owner(log, 0)
    await first.commit("before any takeover")
    await first.take_over("a")
    await first.commit("1", STARTED)
    await second.take_over("b")
    await first.commit("void: the epoch is over")
    await second.commit("2", COMPLETED)
    second.n += 1
    await second.commit("void: not the next one")
    second.n = 1
    await second.commit("3")
    commits = await taken(Subscriber(log), 3)
    assert ids(commits) == ["1", "2", "3"]
    assert commits[1].events() == commits[1].bare_events() == [COMPLETED]
    assert (commits[1].topic, commits[1].partition, commits[1].offset) == (Topic.EXECUTIONS, 0, 5)


async def test_a_cursor_goes_on_behind_the_commit_that_was_handled() -> None:
    log = MemoryLog(2)
    for partition in (0, 1):
        owner = Owner(log, partition)
        await owner.take_over(f"a{partition}")
        for number in range(5):
            await owner.commit(f"{partition}-{number}")
    seen: list[str] = []
    cursor = None
    for _ in range(5):
        subscriber = Subscriber(log, cursor=cursor)
        seen += ids(await taken(subscriber, 2))
        cursor = subscriber.cursor
    for partition in ("0", "1"):
        assert [each for each in seen if each[0] == partition] == [f"{partition}-{number}" for number in range(5)]


async def test_a_cursor_keeps_the_epoch() -> None:
    log = MemoryLog(1)
    old, new = Owner(log, 0), Owner(log, 0)
    await old.take_over("a")
    await new.take_over("b")
    await new.commit("1")
    subscriber = Subscriber(log)
    assert ids(await taken(subscriber, 1)) == ["1"]
    old.n = 1
    await old.commit("void")
    await new.commit("2")
    assert ids(await taken(Subscriber(log, cursor=subscriber.cursor), 1)) == ["2"]


async def test_what_comes_later_wakes_it() -> None:
    log = MemoryLog(1)
    owner = Owner(log, 0)
    waiting = asyncio.create_task(taken(Subscriber(log), 1))
    await owner.take_over("a")
    await owner.commit("1")
    assert ids(await waiting) == ["1"]


async def test_one_workspace_sees_only_its_own() -> None:
    log = MemoryLog(1)
    owner = Owner(log, 0)
    await owner.take_over("a")
    for number, workspace in enumerate(["w1", "w2", "w1", "w2"]):
        await owner.commit(str(number), workspace=workspace)
    assert ids(await taken(Subscriber(log, workspace="w2"), 2)) == ["1", "3"]


async def test_topics_can_be_chosen() -> None:
    log = MemoryLog(1)
    for topic, name in ((Topic.EXECUTIONS, "execution"), (Topic.EVENTS, "workflow")):
        owner = Owner(log, 0, topic)
        await owner.take_over("a")
        await owner.commit(name)
    assert ids(await taken(Subscriber(log, topics=[Topic.EVENTS]), 1)) == ["workflow"]
    assert sorted(ids(await taken(Subscriber(log), 2))) == ["execution", "workflow"]


async def test_garbage_is_left_out() -> None:
    log = MemoryLog(1)
    owner = Owner(log, 0)
    await owner.take_over("a")
    await owner.garbage()
    await owner.commit("1")
    assert ids(await taken(Subscriber(log), 1)) == ["1"]


async def test_a_log_that_was_cut_is_an_error_not_a_silent_gap() -> None:
    log = MemoryLog(1)
    owner = Owner(log, 0)
    await owner.take_over("a")
    await owner.commit("1")
    await log.delete_before(Topic.EXECUTIONS, 0, 1)
    with pytest.raises(OffsetOutOfRange):
        await taken(Subscriber(log), 1)


@pytest.mark.parametrize(
    "cursor",
    [
        "garbage",
        "ü",
        base64.urlsafe_b64encode(b'{"a": 1}').decode(),
        base64.urlsafe_b64encode(b'[["linkflow.unheard", 0, 1, null, 0]]').decode(),
        base64.urlsafe_b64encode(b'[["linkflow.events", 7, 1, null, 0]]').decode(),
    ],
)
def test_what_is_not_a_cursor_of_this_log_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        Subscriber(MemoryLog(2), cursor=cursor)
