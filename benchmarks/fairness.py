"""L6: what a workspace notices of another one that floods the installation."""

import asyncio

from benchmarks import workflows
from benchmarks.code import another_workspace
from benchmarks.load import Load, percentile, request
from benchmarks.product import Product
from benchmarks.report import Budget, Report
from tests.support.client import Client

MS = 1000.0
RATE = 40.0
"""Requests a second of the workspace that is watched, each a five-step webhook that answers with its result."""
FLOOD = 10
"""So many times its rate the other one asks for, with the same workflow; and once as fast as it can."""
SECONDS = 10.0
ROUNDS = 3


async def flood(product: Product, report: Report) -> None:
    """The watched webhook's p99 alone and beside a flood, in turns; the middle one of the rounds."""
    workflow, flooding = await product.cluster.client.deploy(workflows.five_steps())
    key = await asyncio.to_thread(another_workspace, product)
    async with Client(f"http://127.0.0.1:{product.port}", key) as other:
        _, watched = await other.deploy(workflows.five_steps("when_done"))
    floods = [request("POST", flooding, product.port, workflows.five_steps_input(which)) for which in range(100)]
    hooks = [request("POST", watched, product.port, workflows.five_steps_input(which)) for which in range(100)]

    async def watch() -> float:
        answers = await Load(product.port, hooks, connections=8, seconds=SECONDS, rate=RATE).run()
        report.check(not answers.refused(), f"flood: the watched workspace was refused: {dict(answers.refused())}")
        return answers.percentile(0.99)

    total = 0

    async def beside(rate: float | None) -> tuple[float, float]:
        nonlocal total
        load = Load(product.port, floods, connections=64, seconds=SECONDS, rate=rate)
        answers, noticed = await asyncio.gather(load.run(), watch())
        accepted = len(answers.with_status(202))
        total += accepted
        await product.visible(workflow, total)  # nothing of it is left when the next one begins
        return noticed, accepted / answers.seconds

    await watch()
    rounds = [(await watch(), await beside(RATE * FLOOD), await beside(None)) for _ in range(ROUNDS)]
    alone = percentile([each for each, _, _ in rounds], 0.5)
    tenfold = percentile([each for _, (each, _), _ in rounds], 0.5)
    flat_out = percentile([each for _, _, (each, _) in rounds], 0.5)
    report.add("L6", f"a webhook at {RATE:.0f}/s alone, p99", alone * MS, "ms")
    report.add("L6", f"the same beside another workspace at {RATE * FLOOD:.0f}/s, p99", tenfold * MS, "ms")
    report.add("L6", "beside ÷ alone", tenfold / alone, "×", Budget(2.0, 1.5))
    report.add("L6", "the same beside one that asks as fast as it can, p99", flat_out * MS, "ms")
    report.add("L6", "accepted of that one", percentile([each for _, _, (_, each) in rounds], 0.5), "/s")
