"""`linkflow up` as its user knows it: one command, one Ctrl-C, and nothing left behind in between."""

import json
import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.support.cluster import Up, role_of
from tests.support.processes import LINKFLOW, Process, environment, eventually
from tests.system.documents import echo
from tests.system.flow import all_ended, start_many


async def test_up_serves_and_ctrl_c_ends_everything(tmp_path: Path) -> None:
    async with Up(tmp_path) as cluster:
        workflow, path = await cluster.client.deploy(echo())
        accepted = await start_many(cluster.client, path, 20)
        assert await all_ended(cluster.client, workflow, accepted.values(), within=20) == {"completed": 20}
        for command in (("verify",), ("rebuild", "all"), ("verify",)):
            code, out, err = await cluster.cli(*command, "--json")
            assert code == 0, out + err
        assert json.loads(out)["statuses"] == {"completed": 20}
        roles = cluster.linkflow_processes()
        assert {"api", "worker", "projector", "db"} <= roles.keys()
        below = [process for processes in roles.values() for process in processes]
        os.killpg(cluster.supervisor.pid, signal.SIGINT)  # as a terminal does: to all of the group
        assert await cluster.supervisor.ended(20) == 0
        _, left = psutil.wait_procs(below, timeout=5)
        assert not left, [process.cmdline() for process in left]


async def test_up_starts_again_what_was_killed(tmp_path: Path) -> None:
    async with Up(tmp_path) as cluster:
        workflow, path = await cluster.client.deploy(echo())
        accepted = await start_many(cluster.client, path, 20)
        for role in ("worker", "projector", "api"):
            [victim, *_] = cluster.linkflow_processes()[role]
            victim.kill()

            async def back(role: str = role, victim: psutil.Process = victim) -> bool:
                return any(each.pid != victim.pid for each in cluster.linkflow_processes().get(role, []))

            await eventually(back, lambda role=role: f"no new {role}", within=10)  # type: ignore[misc]
            await cluster.ready()
            accepted |= await start_many(cluster.client, path, 20, prefix=role)
        assert await all_ended(cluster.client, workflow, accepted.values(), within=20) == {"completed": 80}


async def test_up_after_its_own_death(tmp_path: Path) -> None:
    async with Up(tmp_path) as cluster:
        workflow, path = await cluster.client.deploy(echo())
        accepted = await start_many(cluster.client, path, 20)
        before = cluster.remember()
        cluster.supervisor.kill()  # only the supervisor: its children notice, or the next `up` ends them
        cluster.supervisor.start()
        await cluster.ready()
        now = {process.pid for process in cluster.remember()}
        strays = [each for each in before if each.pid not in now and each.is_running() and role_of(each) != "db"]
        assert not strays, [process.cmdline() for process in strays]
        accepted |= await start_many(cluster.client, path, 20, prefix="again")
        assert await all_ended(cluster.client, workflow, accepted.values(), within=20) == {"completed": 40}


async def test_a_second_up_says_so_and_ends(tmp_path: Path) -> None:
    async with Up(tmp_path) as cluster:
        second = Process("second", [*LINKFLOW, "up"], environment(cluster.settings), tmp_path / "second.log")
        second.start()
        try:
            assert await second.ended(15) == 1
        finally:
            second.kill()
        said = second.tail()
        assert "Traceback" not in said
        assert "already" in said or "runs" in said
        await cluster.ready(5)


@pytest.mark.kafka
async def test_up_on_kafka(tmp_path: Path, kafka_bootstrap: str) -> None:
    async with Up(tmp_path, log=f"kafka://{kafka_bootstrap}") as cluster:
        workflow, path = await cluster.client.deploy(echo())
        accepted = await start_many(cluster.client, path, 20)
        assert await all_ended(cluster.client, workflow, accepted.values(), within=20) == {"completed": 20}
