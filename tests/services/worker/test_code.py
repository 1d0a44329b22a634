"""Code in a worker: in the sandbox or not at all, chains of it in few appends, effects whose expressions need it."""

from typing import Any

import pytest

from tests.services.worker.test_running import DONE, Server, begin, call, chain, events, outputs, server
from tests.support.workers import Cluster

__all__ = ["server"]


def code(id_: str, source: str, **more: Any) -> dict[str, Any]:
    return {"id": id_, "type": "code", "parameters": {"source": source, **more}}


async def test_a_chain_of_code_is_reckoned_ahead_and_recorded_step_by_step() -> None:
    async with Cluster(sandboxed=True) as cluster:
        await cluster.start("a")
        nodes = [code(f"c{n}", "$json.n += 1; console.log($json.n); return $json") for n in range(12)]
        warm = await begin(cluster, chain(*nodes))
        await cluster.closed(warm, 30)
        stream = await begin(cluster, chain(*nodes))
        types = await cluster.closed(stream, 30)
        assert types.count("execution.node_completed") == 13
        assert outputs(cluster, stream, "c11")[0]["main"][0]["json"]["n"] == 13
        logged = [event.logs[0].text for event in events(cluster, stream) if getattr(event, "logs", None)]
        assert logged == [str(n) for n in range(2, 14)]


async def test_what_follows_code_sees_what_was_recorded() -> None:
    async with Cluster(sandboxed=True) as cluster:
        await cluster.start("a")
        stamp = {"id": "stamp", "type": "set", "parameters": {"fields": {"at": "{{ $now.toMillis() }}"}}}
        after = code("after", "return {same: $json.at === $('stamp').first().json.at, at: $json.at}")
        stream = await begin(cluster, chain(code("before", "return items"), stamp, after))
        await cluster.closed(stream, 30)
        (made,) = outputs(cluster, stream, "after")[0]["main"]
        (stamped,) = outputs(cluster, stream, "stamp")[0]["main"]
        assert made["json"] == {"same": True, "at": stamped["json"]["at"]}


async def test_an_effect_whose_expression_needs_the_sandbox_waits_for_it(server: Server) -> None:
    async with Cluster(sandboxed=True) as cluster:
        await cluster.start("a")
        url = server.url + "/{{ new Map([[1, 'one']]).get($json.n) }}"
        stream = await begin(cluster, chain(call(url), DONE))
        types = await cluster.closed(stream, 30)
        assert types[-1] == "execution.completed"
        assert types.index("execution.node_prepared") < types.index("execution.node_attempted")
        assert [path for _, path, _ in server.requests] == ["/one"]


async def test_without_a_sandbox_nothing_runs_and_the_error_says_so() -> None:
    async with Cluster() as cluster:
        await cluster.start("a")
        for node in (
            code("x", "return items"),
            {"id": "x", "type": "set", "parameters": {"fields": {"a": "{{ new Date() }}"}}},
            {"id": "x", "type": "wait", "parameters": {"seconds": "{{ new Map().size }}"}},
        ):
            stream = await begin(cluster, chain(node))
            types = await cluster.closed(stream, 30)
            assert types[-2:] == ["execution.node_failed", "execution.failed"]
            assert events(cluster, stream)[-1].error.code == "sandbox_unavailable"
            assert "sandbox" in events(cluster, stream)[-1].error.message


BY_ITSELF = """
import os
for file in range(3, 64):
    try:
        os.write(file, len(answer).to_bytes(4, "big") + answer)
    except OSError:
        pass
return []
"""


@pytest.mark.parametrize(
    ("source", "error"),
    [
        (r"""answer = b'{"items":[{"json":{"a":"\xff"}}]}'""" + BY_ITSELF, "invalid_output"),
        (r"""answer = b'{"items":[{"json":' + b'{"a":' * 5000 + b'}' * 5002 + b']}'""" + BY_ITSELF, "output_too_deep"),
        ("answer = b'[]'" + BY_ITSELF, "invalid_output"),
        ("value = {}\nfor n in range(200):\n    value = {'a': value}\nreturn value", "output_too_deep"),
    ],
    ids=["no text", "deep", "no answer", "honest and deep"],
)
async def test_whatever_a_program_answers_its_execution_ends_and_others_go_on(source: str, error: str) -> None:
    async with Cluster(sandboxed=True) as cluster:
        await cluster.start("a")
        stream = await begin(cluster, chain(code("x", source, language="python"), DONE))
        assert (await cluster.closed(stream, 30))[-1] == "execution.failed"
        assert events(cluster, stream)[-1].error.code == error
        after = await begin(cluster, chain(code("x", "return [{json: {ended: true}}]"), DONE))
        assert (await cluster.closed(after, 30))[-1] == "execution.completed"


@pytest.mark.parametrize(
    "nodes",
    [
        [{"id": f"a{n}", "type": "aggregate", "parameters": {}} for n in range(600)],
        [{"id": f"a{n}", "type": "aggregate", "parameters": {}} for n in range(210)],
        [{"id": "s", "type": "set", "parameters": {"fields": {".".join("a" * 900): 1}}}],
    ],
    ids=["for the encoder", "for readers", "at once"],
)
async def test_what_is_nested_too_deep_for_a_record_fails_its_execution_not_the_worker(
    nodes: list[dict[str, Any]],
) -> None:
    async with Cluster() as cluster:
        await cluster.start("a")
        stream = await begin(cluster, chain(*nodes))
        assert (await cluster.closed(stream, 30))[-1] == "execution.failed"
        assert events(cluster, stream)[-1].error.code == "unencodable"
        after = await begin(cluster, chain({"id": "x", "type": "noop"}))
        assert (await cluster.closed(after, 30))[-1] == "execution.completed"


async def test_a_takeover_runs_code_again() -> None:
    async with Cluster(sandboxed=True) as cluster:
        await cluster.start("a")
        slow = code("slow", "const end = Date.now() + 700; while (Date.now() < end); return {ended: true}")
        streams = [await begin(cluster, chain(slow, DONE)) for _ in range(3)]
        await cluster.owned("a")
        await cluster.kill("a")
        await cluster.start("b")
        for stream in streams:
            assert (await cluster.closed(stream, 60))[-1] == "execution.completed"
            assert outputs(cluster, stream, "slow")[0]["main"][0]["json"] == {"ended": True}
