"""Counting ended executions: the fold everywhere, the faust application where faust is installed."""

import asyncio
import importlib
import importlib.util
import json
import os
import sys
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import pytest

from infra.log import open_admin, open_log
from infra.settings import Settings, SettingsError
from linkflow.terminal_counts import Ended, TerminalCounter
from schemas.envelope import KIND_TAKEOVER, Epoch, Headers, encode
from tests.subscriber.commits import COMPLETED, FAILED, STARTED, Owner, commit_headers, commit_record
from tests.support.postgres import free_port

WITH_FAUST = pytest.mark.skipif(importlib.util.find_spec("faust") is None, reason="faust is not installed")


def takeover(nonce: str) -> Headers:
    return (("k", KIND_TAKEOVER), ("o", nonce.encode()))


def commit(epoch: Epoch, n: int, *events: object) -> tuple[Headers, bytes]:
    return commit_headers(epoch, n, "w1"), encode(commit_record(str(n), epoch, n, events, "w1"))


def test_ends_are_counted_and_nothing_else() -> None:
    counter = TerminalCounter()
    epoch = Epoch(0, "a")
    assert list(counter.ended(0, 0, takeover("a"), b"")) == []
    assert list(counter.ended(0, 1, *commit(epoch, 0, STARTED))) == []
    assert list(counter.ended(0, 2, *commit(epoch, 1, STARTED, COMPLETED))) == [Ended("w1", "completed")]
    assert list(counter.ended(0, 3, *commit(epoch, 2, FAILED))) == [Ended("w1", "failed")]


def test_void_commits_and_garbage_are_not_counted() -> None:
    counter = TerminalCounter()
    old, new = Epoch(0, "a"), Epoch(1, "b")
    list(counter.ended(0, 0, takeover("a"), b""))
    list(counter.ended(0, 1, takeover("b"), b""))
    assert list(counter.ended(0, 2, *commit(old, 0, COMPLETED))) == []
    assert list(counter.ended(0, 3, *commit(new, 1, COMPLETED))) == []
    assert list(counter.ended(0, 4, commit_headers(new, 0, "w1"), b"\xff")) == []
    assert list(counter.ended(0, 5, *commit(new, 1, COMPLETED))) == [Ended("w1", "completed")]


def test_a_start_in_the_middle_trusts_the_first_commit_and_each_partition_has_its_own_place() -> None:
    counter = TerminalCounter()
    epoch = Epoch(3, "a")
    assert len(list(counter.ended(0, 70, *commit(epoch, 60, COMPLETED)))) == 1
    assert len(list(counter.ended(1, 9, *commit(epoch, 5, COMPLETED)))) == 1
    assert list(counter.ended(0, 71, *commit(epoch, 60, COMPLETED))) == []
    assert len(list(counter.ended(0, 72, *commit(epoch, 61, COMPLETED)))) == 1


def test_a_gap_begins_anew() -> None:
    counter = TerminalCounter()
    epoch = Epoch(3, "a")
    assert len(list(counter.ended(0, 70, *commit(epoch, 60, COMPLETED)))) == 1
    assert len(list(counter.ended(0, 90, *commit(epoch, 80, COMPLETED)))) == 1
    assert len(list(counter.ended(0, 91, *commit(epoch, 81, COMPLETED)))) == 1


@pytest.mark.skipif(importlib.util.find_spec("faust") is not None, reason="faust is installed")
def test_without_faust_the_import_says_what_to_install() -> None:
    with pytest.raises(ImportError, match=r"linkflow\[faust\]"):
        importlib.import_module("linkflow.faust_metrics")


@WITH_FAUST
def test_only_kafka_can_be_read() -> None:
    from linkflow.faust_metrics import make_app

    with pytest.raises(SettingsError, match="Kafka only"):
        make_app(Settings(log="postgres"))


@WITH_FAUST
@pytest.mark.kafka
async def test_the_application_counts_what_ended(kafka_bootstrap: str, tmp_path: Path) -> None:
    prefix, port = f"t{uuid.uuid4().hex[:8]}-", free_port()
    await _write_executions(f"kafka://{kafka_bootstrap}", prefix)
    environment = {
        **os.environ,
        "LINKFLOW_LOG": f"kafka://{kafka_bootstrap}",
        "LINKFLOW_LOG_PREFIX": prefix,
        "LINKFLOW_PARTITIONS": "2",
        "PYTHONWARNINGS": "ignore",
        "PYTHONPATH": os.pathsep.join(each for each in sys.path if each),
    }
    arguments = ["--datadir", str(tmp_path), "worker", "--web-port", str(port)]
    with (tmp_path / "faust.log").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "linkflow.faust_metrics", *arguments, env=environment, stdout=output, stderr=output
        )
    try:
        counts = await _counted(port, total=3)
        assert counts == {"w1:completed": 2, "w2:failed": 1}, (tmp_path / "faust.log").read_text()
    finally:
        process.kill()
        await process.wait()


async def _write_executions(url: str, prefix: str) -> None:
    admin = await open_admin(url, prefix=prefix)
    await admin.create_topics(2)
    await admin.close()
    log = await open_log(url, prefix=prefix)
    try:
        first, second = Owner(log, 0), Owner(log, 1)
        for owner in (first, second):
            await owner.take_over("a")
        await first.commit("1", STARTED, COMPLETED)
        await first.commit("2", STARTED)
        await second.commit("3", FAILED, workspace="w2")
        second.n += 1
        await second.commit("void", FAILED, workspace="w2")
        await first.commit("4", COMPLETED)
    finally:
        await log.close()


async def _counted(port: int, total: int) -> dict[str, int]:
    """The counts that the application shows, once there are `total` of them (or what there is after a minute)."""
    counts: dict[str, int] = {}
    try:
        async with asyncio.timeout(60):
            while sum(counts.values()) < total:
                counts = await asyncio.to_thread(_ask, port)
                await asyncio.sleep(0.2)
    except TimeoutError:
        pass
    return counts


def _ask(port: int) -> dict[str, int]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ended/", timeout=5) as answer:
            return dict(json.load(answer))
    except (urllib.error.URLError, OSError):
        return {}
