"""Rule 9: an effect starts after the commit that records its attempt was accepted."""

from infra.log.port import Topic
from schemas.envelope import partition_of
from tests.services.worker.test_running import DONE, Server, begin, call, chain, server
from tests.support.workers import PARTITIONS, Cluster, until

__all__ = ["server"]


async def test_an_attempt_whose_commit_is_void_makes_no_call(server: Server) -> None:
    async with Cluster() as cluster:
        await cluster.start("a", alone=True)
        await cluster.owned("a")
        cluster.held["a"].gate.clear()  # a decides, and is stopped before its append leaves
        stream = await begin(cluster, chain(call(server.url + "/x"), DONE))
        await cluster.start("b")
        types = await cluster.closed(stream)
        place = partition_of(stream, PARTITIONS)
        before = len(cluster.log.records(Topic.EXECUTIONS, place))
        cluster.held["a"].gate.set()
        await until(
            lambda: len(cluster.log.records(Topic.EXECUTIONS, place)) > before, 10, "a never sent its void record"
        )
        assert types.count("execution.node_attempted") == len(server.requests) == 1
