"""The measuring tools themselves: the stub tells what it got, the load client counts right and notices refusals."""

import asyncio
import json
import os
import signal
import urllib.request

import pytest

from benchmarks.load import Load, percentile, request
from benchmarks.report import Budget, Report, table
from tests.support.stub import Stub


def test_the_stub_records_what_it_got() -> None:
    with Stub() as stub:
        asked = urllib.request.Request(f"{stub.url}/echo?a=1", data=b'{"x": 1}', headers={"Idempotency-Key": "k"})
        with urllib.request.urlopen(asked) as answer:
            assert json.loads(answer.read()) == {"method": "POST", "query": {"a": "1"}, "body": {"x": 1}}
        [call] = stub.requests()
        assert (call["method"], call["path"], call["headers"]["idempotency-key"]) == ("POST", "/echo", "k")
        assert call["answered"]
        stub.reset()
        assert stub.summary() == {"received": 0, "in_flight": 0, "most_in_flight": 0}


async def test_the_stub_says_when_enough_came() -> None:
    with Stub() as stub:
        load = Load(stub.port, [request("GET", "/delay/20", stub.port)], connections=10, total=10)
        answers = await load.run()
        await stub.received(10)
        assert len(answers) == 10
        assert stub.summary()["most_in_flight"] == 10
        with pytest.raises(AssertionError, match="not 11 requests"):
            await stub.received(11, within=0.05)


async def test_the_load_client_counts_answers_refusals_and_broken_connections() -> None:
    with Stub() as stub:
        mixed = [request("GET", "/status/202", stub.port), request("GET", "/status/503", stub.port)]
        answers = await Load(stub.port, mixed, connections=4, total=100).run()
        assert len(answers.with_status(202)) == len(answers.with_status(503)) == 50
        assert answers.refused() == {'503 {"status": 503}': 50}
        paced = await Load(stub.port, mixed[:1], connections=4, seconds=0.3, rate=200).run()
        assert 40 <= len(paced) <= 61


async def test_the_load_client_ends_when_its_server_dies() -> None:
    with Stub() as stub:
        load = asyncio.create_task(Load(stub.port, [request("GET", "/hold", stub.port)], connections=2, total=2).run())
        await stub.received(2)
        os.kill(stub.pid, signal.SIGKILL)
        assert (await load).errors.total() == 2


def test_percentiles() -> None:
    values = [float(number) for number in range(1, 101)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1.0)) == (50.0, 99.0, 100.0)
    assert percentile([3.0], 0.99) == 3.0
    assert percentile([], 0.5) == 0.0


def test_the_table_marks_what_misses_its_budget(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report("postgres")
    report.add("W1", "completed", 1499, "/s", Budget(1500, 2000, "least"))
    report.add("W1", "accept p99", 30, "ms", Budget(40, 25))
    capsys.readouterr()
    assert [row.what for row in report.missed()] == ["completed"]
    drawn = table([report])
    assert "1,499 !" in drawn
    assert "30.0 " in drawn
