"""W1, W2, W3, W5, W6, the visibility lag and the rebuild: each puts rows into a report and checks its results.

Everything runs on one machine: `linkflow up` with all its processes, database or broker, stub and load client.
"""

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from benchmarks import workflows
from benchmarks.load import Answers, Load, percentile, request
from benchmarks.measure import MIB, Meter, memory, memory_of, own
from benchmarks.product import Product, while_running
from benchmarks.report import Budget, Report

MS = 1000.0
CONNECTIONS = 32
SAMPLES = 100
Expected = Callable[[int], list[dict[str, Any]]]


@dataclass(frozen=True)
class Sizes:
    """How much of everything; the defaults are the definitions of the workloads."""

    seconds: float = 15.0
    starts: int = 500
    parked: int = 10_000
    park_seconds: int = 60
    crashed: int = 200
    crash_seconds: int = 30


def hook_requests(product: Product, path: str, body: Callable[[int], bytes], count: int) -> list[bytes]:
    return [request("POST", path, product.port, body(which)) for which in range(count)]


async def w1(product: Product, report: Report, sizes: Sizes) -> float:
    """Webhook, five steps, 32 connections, answered at once. Returns completed/s."""
    workflow, path = await product.cluster.client.deploy(workflows.five_steps())
    requests = hook_requests(product, path, workflows.five_steps_input, workflows.VARIANTS)
    warm = await Load(product.port, requests, connections=CONNECTIONS, total=320).run()
    await product.visible(workflow, len(warm))
    roles = product.processes()
    meter = Meter.start(roles)
    load = Load(product.port, requests, connections=CONNECTIONS, seconds=sizes.seconds)
    answers, used = await while_running(load.run(), sizes.seconds * 0.8, lambda: memory(roles))
    accepted = answers.with_status(202)
    shown = await product.visible(workflow, len(warm) + len(accepted))
    spent = meter.read(roles)
    rate: float = len(accepted) / (shown - answers.began)
    report.add("W1", "completed", rate, "/s", Budget(1500, 2000, "least"))
    report.add("W1", "accepted", len(accepted) / answers.seconds, "/s")
    report.add("W1", "accept p50", answers.percentile(0.5) * MS, "ms")
    report.add("W1", "accept p99", answers.percentile(0.99) * MS, "ms", Budget(40, 25))
    report.add("W1", "memory (PSS) of LinkFlow", own(used) / MIB, "MiB", Budget(350, 250))
    for role in ("db", "broker"):
        if role in used:
            report.add("W1", f"memory (PSS) of {role}", used[role] / MIB, "MiB")
    report.add("W1", "CPU of LinkFlow an execution", own(spent) / len(accepted) * MS, "ms")
    for role, seconds in sorted(spent.items()):
        if seconds > 0.05:
            report.add("W1", f"CPU of {role} an execution", seconds / len(accepted) * MS, "ms")
    report.add("W1", "CPU of the load client", answers.cpu_share * 100, "% of a core")
    report.facts["W1 memory MiB"] = {role: round(size / MIB) for role, size in used.items()}
    await check(product, report, "W1", workflow, answers, workflows.five_steps_output, before=len(warm))
    return rate


async def w2(product: Product, report: Report, sizes: Sizes) -> None:
    """The same five steps; the response carries the result."""
    _, path = await product.cluster.client.deploy(workflows.five_steps("when_done"))
    requests = hook_requests(product, path, workflows.five_steps_input, workflows.VARIANTS)
    await Load(product.port, requests, connections=4, total=100).run()
    for connections in (1, CONNECTIONS):
        answers = await Load(product.port, requests, connections=connections, seconds=sizes.seconds / 2).run()
        one = connections == 1
        name = f"result, {connections} connection{'' if one else 's'},"
        report.add("W2", f"{name} p50", answers.percentile(0.5) * MS, "ms", Budget(8, 5) if one else None)
        report.add("W2", f"{name} p99", answers.percentile(0.99) * MS, "ms", Budget(25, 15) if one else None)
        report.add("W2", f"{name} rate", len(answers) / answers.seconds, "/s")
        report.check(not answers.refused(), f"W2: refused: {dict(answers.refused())}")
        wrong = [body for which, body in answers.with_status(200) if body != workflows.five_steps_output(which)]
        report.check(not wrong, f"W2: {len(wrong)} wrong results, the first: {wrong[:1]}")


async def w3(product: Product, report: Report, sizes: Sizes) -> None:
    """500 starts at once of a 50 ms HTTP step."""
    url = f"{product.stub.url}/delay/50"
    workflow, path = await product.cluster.client.deploy(workflows.http_step(url))
    requests = hook_requests(product, path, workflows.http_step_input, sizes.starts)
    warm = await Load(product.port, requests, connections=8, total=16).run()
    await product.visible(workflow, len(warm))
    product.stub.reset()
    answers = await Load(product.port, requests, connections=100, total=sizes.starts).run()
    shown = await product.visible(workflow, len(warm) + sizes.starts)
    report.add("W3", f"{sizes.starts} starts accepted", answers.seconds, "s")
    report.add("W3", f"{sizes.starts} starts, all done", shown - answers.began, "s", Budget(1.0, 0.5))
    report.add("W3", "HTTP steps side by side, most", product.stub.summary()["most_in_flight"], "")
    await check(product, report, "W3", workflow, answers, workflows.http_step_output, before=len(warm))
    calls = product.stub.summary()["received"]
    report.check(calls == sizes.starts, f"W3: the stub got {calls} requests for {sizes.starts} executions")


async def lag(product: Product, report: Report, sizes: Sizes, rate: float) -> None:
    """How long after its end an execution shows in the read model, at 70 % of the rate that W1 reached."""
    _, path = await product.cluster.client.deploy(workflows.five_steps())
    requests = hook_requests(product, path, workflows.five_steps_input, workflows.VARIANTS)
    watch = _Watch(product, every=max(1, int(rate * 0.7 * sizes.seconds / 2000)))
    load = Load(
        product.port,
        requests,
        connections=CONNECTIONS,
        seconds=sizes.seconds / 2,
        rate=0.7 * rate,
        answered=watch.answered,
    )
    watching = asyncio.create_task(watch.run())
    answers = await load.run()
    watch.close()
    await watching
    at, shown = "at 70 % load: ", Budget(500, 200)
    report.add("lag", f"{at}visible after its end p50", percentile(watch.lags, 0.5) * MS, "ms")
    report.add("lag", f"{at}visible after its end p99", percentile(watch.lags, 0.99) * MS, "ms", shown)
    report.add("lag", f"{at}visible after the 202 p99", percentile(watch.after_answer, 0.99) * MS, "ms")
    report.add("lag", f"{at}accept p99", answers.percentile(0.99) * MS, "ms")
    report.check(not answers.refused(), f"lag: refused: {dict(answers.refused())}")
    report.check(len(watch.lags) > 100, f"lag: only {len(watch.lags)} samples")


class _Watch:
    """Asks the read model every few milliseconds for those samples that it does not show yet."""

    ENDED = """SELECT id::text, extract(epoch FROM completed_at)::float8 FROM read.executions
               WHERE id = ANY($1::uuid[]) AND status = 'completed'"""

    def __init__(self, product: Product, every: int) -> None:
        self._product = product
        self._every = every
        self._open: dict[str, float] = {}
        self._closing = False
        self.lags: list[float] = []
        self.after_answer: list[float] = []

    def answered(self, which: int, body: bytes) -> None:
        if which % self._every == 0:
            self._open[json.loads(body)["execution_id"]] = time.time()

    def close(self) -> None:
        self._closing = True

    async def run(self) -> None:
        deadline = float("inf")
        while not (self._closing and not self._open) and time.monotonic() < deadline:
            if self._closing and deadline == float("inf"):
                deadline = time.monotonic() + 10
            for found, ended in await self._product.database.fetch(self.ENDED, list(self._open)):
                now = time.time()
                self.lags.append(now - ended)
                self.after_answer.append(now - self._open.pop(found))
            await asyncio.sleep(0.005)


async def rebuild(product: Product, report: Report) -> None:
    """All read models folded anew from the log, the whole of `linkflow rebuild`, beside the serving system."""
    began = time.monotonic()
    code, out, err = await product.cluster.cli("rebuild", "all", "--json", within=600)
    seconds = time.monotonic() - began
    report.check(code == 0, f"rebuild: exit code {code}: {out[-500:]} {err[-500:]}")
    if code == 0:
        events = json.loads(out)["events"]
        report.add("rebuild", "read models", events / seconds, "events/s", Budget(20_000, 50_000, "least"))
        report.facts["rebuild"] = {"events": events, "seconds": round(seconds, 2)}


async def verify(product: Product, report: Report) -> None:
    code, out, err = await product.cluster.cli("verify", "--json", within=600)
    report.check(code == 0, f"linkflow verify found differences: {out[-1000:]} {err[-500:]}")


async def w5(product: Product, report: Report, sizes: Sizes) -> None:
    """Executions parked in a wait: accept time, memory each, and how late they wake."""
    workflow, path = await product.cluster.client.deploy(workflows.parked(sizes.park_seconds))
    requests = hook_requests(product, path, workflows.five_steps_input, workflows.VARIANTS)
    warm = await Load(product.port, requests, connections=CONNECTIONS, total=100).run()
    await product.visible(workflow, len(warm), status="waiting")
    before = _worker_memory(product)
    answers = await Load(product.port, requests, connections=CONNECTIONS, total=sizes.parked).run()
    parked = await product.visible(workflow, len(warm) + len(answers), status="waiting", within=sizes.park_seconds)
    await asyncio.sleep(1)  # what is left over from the way there is freed by then
    each = (_worker_memory(product) - before) / len(answers)
    report.add("W5", f"{sizes.parked} accepted in", answers.seconds, "s")
    report.add("W5", f"{sizes.parked} visible as waiting after", parked - answers.began, "s")
    report.add("W5", "memory each (PSS of the worker)", each / 1024, "KiB", Budget(4, 2))
    report.facts["W5 PSS MiB while parked"] = {
        role: round(size / MIB) for role, size in memory(product.processes()).items()
    }
    shown = await product.visible(workflow, len(warm) + len(answers), within=sizes.park_seconds + 60)
    report.add("W5", "last visible as completed, after its due time", shown - answers.ended - sizes.park_seconds, "s")
    late = await product.database.fetch(
        """SELECT extract(epoch FROM n.completed_at - n.started_at)::float8 - $2 AS late
           FROM read.node_executions n JOIN read.executions e ON e.id = n.execution_id AND e.queued_at = n.queued_at
           WHERE e.workflow_id = $1::uuid AND n.node_id = 'sleep'""",
        workflow,
        float(sizes.park_seconds),
    )
    lateness = [row["late"] for row in late]
    report.add("W5", "woken after the due time p50", percentile(lateness, 0.5), "s")
    report.add("W5", "woken after the due time, last", max(lateness), "s")
    early = min(lateness)
    report.check(early > -0.05, f"W5: an execution woke {-early:.3f} s early")
    await check(product, report, "W5", workflow, answers, workflows.parked_output, before=len(warm))


def _worker_memory(product: Product) -> int:
    return sum(memory_of(process) for process in product.processes()["worker"])


async def w6(product: Product, report: Report, sizes: Sizes) -> None:
    """kill -9 of every LinkFlow process with 200 executions inside an HTTP step, and a restart at once."""
    url = f"{product.stub.url}/delay/{sizes.crash_seconds * 1000}"
    workflow, path = await product.cluster.client.deploy(workflows.http_step(url))
    requests = hook_requests(product, path, workflows.http_step_input, sizes.crashed)
    answers = await Load(product.port, requests, connections=CONNECTIONS, total=sizes.crashed).run()
    await product.stub.received(sizes.crashed)
    product.cluster.kill()
    killed = time.monotonic()
    product.cluster.supervisor.start()
    await product.cluster.ready()
    report.add("W6", "ready again after kill -9", time.monotonic() - killed, "s")
    await product.reconnect()
    shown = await product.visible(workflow, sizes.crashed, within=sizes.crash_seconds + 90)
    beyond = shown - killed - sizes.crash_seconds
    report.add("W6", f"{sizes.crashed} done, seconds beyond the step", beyond, "s", Budget(4, 1.5))
    calls = product.stub.summary()["received"]
    report.check(calls <= 2 * sizes.crashed, f"W6: the stub got {calls} requests for {sizes.crashed} executions")
    await check(product, report, "W6", workflow, answers, workflows.http_step_output)


async def check(
    product: Product,
    report: Report,
    workload: str,
    workflow: str,
    answers: Answers,
    expected: Expected,
    *,
    before: int = 0,
) -> None:
    """Every accepted id is completed in GET /executions and none is there twice; samples have the right output."""
    report.check(not answers.refused(), f"{workload}: refused: {dict(answers.refused())}")
    accepted = {body["execution_id"]: which for which, body in answers.with_status(202)}
    report.check(len(accepted) == len(answers), f"{workload}: {len(answers)} answers have {len(accepted)} ids")
    shown: dict[str, str] = {}
    total = 0
    async for each in product.cluster.client.executions(workflow_id=workflow):
        shown[each["id"]] = each["status"]
        total += 1
    open_ = [found for found in accepted if shown.get(found) != "completed"]
    some = [(found, shown.get(found)) for found in open_[:3]]
    report.check(not open_, f"{workload}: {len(open_)} accepted executions are not completed, such as {some}")
    report.check(
        total == len(shown) == len(accepted) + before,
        f"{workload}: {total} executions are listed, {len(accepted) + before} were accepted",
    )
    chosen = random.Random(7).sample(sorted(accepted), min(SAMPLES, len(accepted)))
    await _check_outputs(product, report, workload, chosen, accepted, expected)


async def _check_outputs(
    product: Product, report: Report, workload: str, chosen: Iterable[str], accepted: dict[str, int], expected: Expected
) -> None:
    for found in chosen:
        execution = await product.cluster.client.execution(found)
        right = expected(accepted[found])
        output = [item["json"] for item in execution["output"]]
        if output != right:
            report.check(False, f"{workload}: {found} put out {output}, not {right}")
            return
