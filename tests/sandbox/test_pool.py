"""The pool: tenants apart, contexts fresh, what dies is replaced, nothing is left behind."""

# ruff: noqa: E501 - programs in one line each

import asyncio
import os
from typing import Any

import psutil
import pytest

from infra.sandbox import Limits, Sandbox, pool
from tests.sandbox.conftest import Ask

PLANT = """
globalThis.planted = 'seen'; Object.prototype.planted = 'seen'; Array.prototype.toReversed = () => ['seen'];
JSON.parse = () => ({planted: 'seen'}); Date.now = () => 7; String.prototype.planted = 'seen'; console.planted = 'seen';
return [{json: {done: true}}]
"""
LOOK = """
return {global: globalThis.planted ?? null, object: ({}).planted ?? null, text: ''.planted ?? null, reversed: [1].toReversed(),
        now: Date.now() > 7, console: console.planted ?? null, parse: JSON.parse('{"a": 1}')}
"""
CLEAN = {"global": None, "object": None, "text": None, "reversed": [1], "now": True, "console": None, "parse": {"a": 1}}
PLANT_PYTHON = """
import sys, json, builtins, os
builtins.planted = 'seen'; json.planted = 'seen'; sys.modules['planted'] = json; os.environ['PLANTED'] = 'seen'
try:
    open('/tmp/planted', 'w').write('seen')
except OSError:
    pass
return {'done': True}
"""
LOOK_PYTHON = """
import sys, json, builtins, os
return {'seen': [hasattr(builtins, 'planted'), hasattr(json, 'planted'), 'planted' in sys.modules, 'PLANTED' in os.environ,
                 os.path.exists('/tmp/planted')]}
"""


async def test_two_tenants_in_turn_see_nothing_of_each_other(ask: Ask) -> None:
    """S03, and nothing of one's own earlier runs either."""
    for tenant in ("a", "b", "a", "b"):
        assert (await ask(LOOK, tenant=tenant))["items"][0]["json"] == CLEAN
        assert (await ask(PLANT, tenant=tenant))["items"][0]["json"] == {"done": True}
        assert (await ask(LOOK_PYTHON, "python", tenant=tenant))["items"][0]["json"] == {"seen": [False] * 5}
        assert (await ask(PLANT_PYTHON, "python", tenant=tenant))["items"][0]["json"] == {"done": True}


async def test_v8_keeps_runs_apart_as_well(ask: Ask) -> None:
    busy = "const end = Date.now() + 100; while (Date.now() < end); "
    for tenant in ("a", "b", "a"):
        assert (await ask(busy + LOOK, tenant=tenant))["items"][0]["json"] == CLEAN
        assert (await ask(busy + PLANT, tenant=tenant))["items"][0]["json"] == {"done": True}


async def test_both_engines_have_the_same_globals(ask: Ask) -> None:
    names = "return {names: Object.getOwnPropertyNames(globalThis).filter((n) => !n.startsWith('__')).sort()}"
    quick = (await ask(names))["items"][0]["json"]["names"]
    heavy = (await ask("const end = Date.now() + 100; while (Date.now() < end); " + names))["items"][0]["json"]["names"]
    assert quick == heavy
    assert "console" in quick


async def test_what_quickjs_has_no_time_for_goes_to_v8(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """However little its process got of the machine: only the run's own time counts as a time-out."""
    await ask("return []")
    monkeypatch.setattr(pool, "GRACE_SECONDS", 0.001 - pool.SHORT_SECONDS)
    answer = await ask("return {done: true}", limits=Limits(seconds=20))
    assert answer["items"][0]["json"] == {"done": True}


async def test_half_a_character_becomes_the_sign_for_it(ask: Ask) -> None:
    face = "'\U0001f600'"
    code = f"return {{half: {face}.slice(0, 1), whole: {face}, named: '\\\\ud83d', two: {face}[1] + {face}[0]}}"
    seen = {"half": "\ufffd", "whole": "\U0001f600", "named": "\\ud83d", "two": "\ufffd\ufffd"}
    assert (await ask(code))["items"][0]["json"] == seen
    busy = "const end = Date.now() + 100; while (Date.now() < end); "
    assert (await ask(busy + code))["items"][0]["json"] == seen
    python = "return {'half': '\\ud83d', 'whole': '\\U0001f600', 'named': '\\\\ud83d', 'two': '\\ude00\\ud83d'}"
    assert (await ask(python, "python"))["items"][0]["json"] == seen
    assert (await ask([f"[...new Set([{face}[0]])][0]"], mode="expressions"))["values"] == [[["v", "\ufffd"]]]


@pytest.mark.parametrize(
    ("language", "source"),
    [
        ("javascript", "const before = $vars.list[0].n; $vars.list[0].n = 7; $vars.more = 1; return {before, $vars}"),
        (
            "javascript",
            "const before = $v\\u0061rs.list[0].n; $vars.list[0].n = 7; $vars.more = 1; return {before, $vars}",
        ),
        (
            "python",
            "before = _vars.list[0].n; _vars.list[0].n = 7; _vars.more = 1\nreturn {'before': before, '$vars': _vars}",
        ),
    ],
)
async def test_what_code_assigns_to_variables_no_other_item_sees(ask: Ask, language: str, source: str) -> None:
    given = {"list": [{"n": 1}, None, 0.5], "text": "é"}
    answer = await ask(source, language, "each_item", items=[{"json": {}}] * 3, vars=given)
    shown = {"list": [{"n": 7}, None, 0.5], "text": "é", "more": 1}
    assert [item["json"] for item in answer["items"]] == [{"before": 1, "$vars": shown}] * 3


async def test_a_process_serves_one_tenant(ask: Ask, sandbox: Sandbox) -> None:
    """Each new one has a process of its own, although others lie idle; who was there before has his again."""
    counts = []
    for tenant in ("a", "b", "c", "a", "b", "c"):
        await ask("return []", tenant=tenant)
        counts.append(len(processes(sandbox)))
    assert [count - counts[0] for count in counts] == [0, 1, 2, 2, 2, 2]


async def test_the_sandbox_is_replaced_when_it_dies(ask: Ask, sandbox: Sandbox) -> None:
    assert (await ask("return {n: 1}"))["items"]
    assert sandbox._zygote is not None
    os.kill(sandbox._zygote.pid, 9)
    answer = await ask("return {n: 2}")
    assert answer.get("items") == [{"json": {"n": 2}}], answer


async def test_a_tenant_in_an_endless_loop_does_not_stop_the_others(ask: Ask) -> None:
    loops = [
        asyncio.create_task(ask("while True: pass", "python", tenant="bad", limits=Limits(seconds=3))) for _ in range(6)
    ]
    await asyncio.sleep(0)
    started = asyncio.get_running_loop().time()
    assert (await ask("return {'fine': True}", "python", tenant="good"))["items"]
    waited = asyncio.get_running_loop().time() - started
    for answer in await asyncio.gather(*loops):
        assert answer["error"]["code"] == "timeout"
    assert waited < 3 + 5  # not behind all six, which take nine seconds two by two


def processes(sandbox: Sandbox) -> list[psutil.Process]:
    """Of this sandbox alone: the test process has other children, too (servers and a sandbox that tests share)."""
    assert sandbox._zygote is not None
    first = psutil.Process(sandbox._zygote.pid)
    return [first, *first.children(recursive=True)]


async def test_a_thousand_runs_leave_nothing(ask: Ask, sandbox: Sandbox) -> None:
    """Processes, descriptors, memory: as after the first hundred."""
    own = psutil.Process()

    async def round_(count: int) -> None:
        for number in range(count):
            language = "python" if number % 20 == 0 else "javascript"
            source = "return {'n': 1}" if language == "python" else "return {n: 1}"
            answer: dict[str, Any] = await ask(source, language, tenant=f"t{number % 3}")
            assert answer["items"][0]["json"] == {"n": 1}

    await round_(100)
    before = own.num_fds(), own.memory_info().rss
    held = [child.memory_info().rss for child in processes(sandbox) if child.is_running()]
    await round_(900)
    alive = [child for child in processes(sandbox) if child.status() != psutil.STATUS_ZOMBIE]
    assert len(alive) <= 3 + 4, alive
    assert own.num_fds() <= before[0] + 4
    assert own.memory_info().rss < before[1] + 20_000_000
    assert max(child.memory_info().rss for child in alive) < max(held) + 30_000_000
