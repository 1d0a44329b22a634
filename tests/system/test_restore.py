"""The documented way back from a backup of the database (docs/backup.md), on both logs."""

from pathlib import Path

from infra.log.port import Topic
from tests.support.backup import back_up, restore
from tests.support.cluster import Roles
from tests.support.postgres import PostgresServer
from tests.system.aging import job, opened, put_forward, set_clock, settled
from tests.system.test_housekeeping import document
from tests.torture.clocks import SteppedClock


async def test_a_backup_is_restored_after_retention_has_cut_the_log(
    tmp_path: Path, server: PostgresServer, clock: SteppedClock, log: str
) -> None:
    async with Roles(tmp_path, database_url=server.create_database(), log=log) as cluster:
        client = cluster.client
        flow, _ = await client.deploy(document({"id": "set", "type": "set", "parameters": {"fields": {"a": 1}}}))
        waits, _ = await client.deploy(
            document({"id": "wait", "type": "wait", "parameters": {"seconds": 100 * 86_400}})
        )

        async def run(count: int) -> list[str]:
            ids = []
            for _ in range(count):
                body = {"input": {}, "wait": 20}
                ended = await client.ask("POST", f"/api/v1/workflows/{flow}/execute", json=body)
                assert ended["status"] == "completed"
                ids.append(ended["id"])
            return ids

        await run(20)
        waiting = (await client.execute(waits, {}))["execution_id"]
        await settled(cluster)
        await job(cluster, "retention")
        await back_up(cluster.database_url, tmp_path / "backup")

        await put_forward(cluster, clock, 40)
        assert (await cluster.cli("admin", "trust-clocks"))[0] == 0
        for name in ("retention", "log"):  # each of them is also due
            await job(cluster, name)
        assert [each["id"] for each in (await client.ask("GET", "/api/v1/executions"))["items"]] == [waiting]
        async with opened(cluster) as source:
            firsts = [await source.first_offset(Topic.EXECUTIONS, number) for number in range(source.partitions)]
        assert sum(firsts) > 10
        await set_clock(cluster, clock, 0)
        after = await run(5)
        await settled(cluster)
        await cluster.stop()

        await restore(cluster.database_url, tmp_path / "backup")
        assert (await cluster.cli("migrate"))[0] == 0
        code, out, err = await cluster.cli("verify")
        if log == "postgres":  # the log came back with the rows
            assert code == 0, out + err
            assert "nothing is missing" in "".join((await cluster.cli("restored", "--adopt"))[1:])
        else:
            assert code == 1
            assert "missing_history" in out, out + err
            assert (await cluster.cli("rebuild", "all"))[0] != 0
            code, out, err = await cluster.cli("restored")
            assert (code, "go with --adopt" in out) == (0, True), out + err
            code, out, err = await cluster.cli("restored", "--adopt")
            assert (code, "were taken away" in out) == (0, True), out + err
            assert "nothing is missing" in "".join((await cluster.cli("restored"))[1:])
        cluster.start_all()
        await cluster.ready()

        ran = await run(3)
        await settled(cluster)
        await cluster.verify()
        code, out, err = await cluster.cli("rebuild", "all")
        assert code == 0, out + err
        await settled(cluster)
        await cluster.verify()
        found = (await client.ask("GET", "/api/v1/executions?limit=100"))["items"]
        listed = {each["id"]: each["status"] for each in found}
        assert listed[waiting] == "waiting"
        assert listed.keys() >= set(ran)
        assert (listed.keys() >= set(after)) == (log != "postgres")  # they stood in the log only
        year = "/api/v1/usage?by=day&from=2020-01-01T00:00:00Z&to=2100-01-01T00:00:00Z"
        usage = (await client.ask("GET", year))["items"]
        assert sum(each["queued"] for each in usage) == 20 + 1 + 3 + (0 if log == "postgres" else 5)
