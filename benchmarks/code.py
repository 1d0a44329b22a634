"""W4: Code nodes in a row, through the product; 10,000 items through five nodes beside another workspace's webhook."""

import asyncio
import itertools
import json
import statistics
import subprocess
import time
from typing import Any

from benchmarks import workflows
from benchmarks.load import Load, request
from benchmarks.product import Product
from benchmarks.report import Budget, Report
from tests.support.client import Client
from tests.support.cluster import LINKFLOW, environment

MS = 1000.0
ROUNDS = 7
ITEMS = 10_000
FIBO = """
function fibo(n) { return n < 2 ? n : fibo(n - 1) + fibo(n - 2); }
return {v: fibo(%d)};
"""


def codes(count: int, n: int) -> dict[str, Any]:
    """A workflow of so many Code nodes, one after the other, each with the naive fibo(n)."""
    nodes = [{"id": "hook", "type": "webhook", "parameters": {"method": "POST", "respond": "when_done"}}]
    nodes += [{"id": f"c{number}", "type": "code", "parameters": {"source": FIBO % n}} for number in range(count)]
    pairs = itertools.pairwise(nodes)
    return {
        "name": f"{count} × fibo({n})",
        "nodes": nodes,
        "connections": [{"from": a["id"], "to": b["id"]} for a, b in pairs],
    }


async def w4(product: Product, report: Report) -> None:
    """One execution with 40 sequential fibo(10), one with 10 sequential fibo(30): start to answer, the median."""
    for count, n, value, budget in ((40, 10, 55, Budget(100, 40)), (10, 30, 832_040, Budget(400, 200))):
        _, path = await product.cluster.client.deploy(codes(count, n))
        hook = request("POST", path, product.port, b"{}")
        seconds: list[float] = []
        for which in range(ROUNDS + 2):  # the first two start the sandbox and tell it what runs long
            answers = await Load(product.port, [hook], connections=1, total=1).run()
            if which >= 2:
                seconds.append(answers.percentile(0.5))
            wrong = [body for _, body in answers.with_status(200) if body != [{"v": value}]]
            report.check(not wrong and len(answers.with_status(200)) == 1, f"W4: {count} × fibo({n}) gave {wrong}")
        report.add("W4", f"{count} × fibo({n}), median of {ROUNDS}", statistics.median(seconds) * MS, "ms", budget)
        report.add("W4", f"{count} × fibo({n}), slowest", max(seconds) * MS, "ms")


def five_nodes() -> dict[str, Any]:
    """10,000 items (made by the first two) through set, filter, sort, set, aggregate."""
    nodes = [
        {"id": "hook", "type": "webhook", "parameters": {"method": "POST", "respond": "when_done"}},
        {"id": "split", "type": "split_out", "parameters": {"field": "body.ns"}},
        {
            "id": "price",
            "type": "set",
            "parameters": {"fields": {"price": "{{ $json.ns * 3 }}", "name": "item {{ $json.ns }}"}},
        },
        {"id": "even", "type": "filter", "parameters": {"condition": "{{ $json.ns % 2 === 0 }}"}},
        {"id": "sorted", "type": "sort", "parameters": {"fields": [{"name": "price", "order": "desc"}]}},
        {"id": "count", "type": "summarize", "parameters": {"fields": [{"operation": "count", "into": "n"}]}},
    ]
    pairs = itertools.pairwise(nodes)
    return {"name": "10,000 items", "nodes": nodes, "connections": [{"from": a["id"], "to": b["id"]} for a, b in pairs]}


async def neighbours(product: Product, report: Report) -> None:
    """How long 10,000 items take through five nodes, and what another workspace's webhook notices of it."""
    _, path = await product.cluster.client.deploy(five_nodes())
    large = request("POST", path, product.port, json.dumps({"ns": list(range(ITEMS))}).encode())
    key = await asyncio.to_thread(another_workspace, product)
    async with Client(f"http://127.0.0.1:{product.port}", key) as other:
        _, small = await other.deploy(workflows.five_steps("when_done"))
    hooks = [request("POST", small, product.port, workflows.five_steps_input(which)) for which in range(100)]

    async def webhook(seconds: float) -> float:
        answers = await Load(product.port, hooks, connections=2, seconds=seconds, rate=40.0).run()
        report.check(not answers.refused(), f"neighbours: refused: {dict(answers.refused())}")
        return answers.percentile(0.99)

    for _ in range(3):
        await Load(product.port, [large], connections=1, total=1).run()
    await webhook(2.0)
    alone = await webhook(8.0)
    took: list[float] = []

    async def heavy(pause: float) -> None:
        """One run a second, or (0) one after the other."""
        stop = time.monotonic() + 8.0
        while time.monotonic() < stop:
            began = time.monotonic()
            answers = await Load(product.port, [large], connections=1, total=1).run()
            took.append(answers.percentile(0.5))
            got = [body for _, body in answers.with_status(200)]
            report.check(got == [[{"n": ITEMS // 2}]], f"neighbours: 10,000 items gave {str(got)[:200]}")
            await asyncio.sleep(max(0.0, began + pause - time.monotonic()))

    each_second, _ = await asyncio.gather(webhook(8.0), heavy(1.0))
    in_a_row, _ = await asyncio.gather(webhook(8.0), heavy(0.0))
    report.add(
        "items",
        f"{ITEMS:,} items through 5 nodes, median of {len(took)}",
        statistics.median(took),
        "s",
        Budget(1.0, 0.5),
    )
    report.add("items", "another workspace's webhook alone, p99", alone * MS, "ms")
    report.add("items", "the same beside a run each second, p99", each_second * MS, "ms")
    report.add("items", "beside ÷ alone", each_second / alone, "×", Budget(2.0, 1.5))
    report.add("items", "the same beside runs one after the other, p99", in_a_row * MS, "ms")


def another_workspace(product: Product) -> str:
    """A new workspace's API key."""
    command = [*LINKFLOW, "keys", "create", "--workspace", "neighbour", "--json"]
    done = subprocess.run(
        command, env=environment(product.cluster.settings), capture_output=True, text=True, check=True
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return str(answer["api_key"])
