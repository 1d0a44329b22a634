"""Rules 3 and 14: a caller gets the answer of the owner in force, never one that stands in the void (trace 11)."""

import asyncio

from infra.log.memory import MemoryLog
from infra.log.port import NewRecord, Topic
from schemas.envelope import KIND_COMMIT, KIND_TAKEOVER, Headers
from schemas.fence import Fence
from services.api.answers import Follower


def _commit(epoch: bytes, n: int, nonce: bytes) -> NewRecord:
    headers: Headers = (("k", KIND_COMMIT), ("e", epoch), ("n", b"%d" % n), ("r", nonce))
    return NewRecord(b"{}", headers)


async def test_a_void_answer_reaches_nobody() -> None:
    log = MemoryLog(1)
    writer = await log.writer()

    async def nowhere() -> dict[tuple[Topic, int], Fence]:
        return {}

    follower = Follower(log, nowhere)
    following = asyncio.create_task(follower.run())
    try:
        async with asyncio.timeout(10):
            await follower.ready.wait()
            takeovers = [NewRecord(b"{}", (("k", KIND_TAKEOVER), ("o", nonce))) for nonce in (b"old", b"new")]
            await writer.append(Topic.EXECUTIONS, 0, takeovers)
            with follower.expect_reply(b"asked") as answer:
                await writer.append(
                    Topic.EXECUTIONS, 0, [_commit(b"0:old", 0, b"asked"), _commit(b"1:new", 1, b"asked")]
                )
                offset = await writer.append(Topic.EXECUTIONS, 0, [_commit(b"1:new", 0, b"asked")])
                assert (await answer).offset == offset
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await log.close()
