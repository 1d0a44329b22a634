"""One seed: an installation, what clients want of it, a nemesis, and everything that must hold, in virtual time."""

import asyncio
import hashlib
import random
import traceback
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from infra.log.memory import MemoryLog
from infra.log.port import LogError, Record, Topic
from projections.memory import MemoryTables
from tests.simulation.checkers.deliveries import check_deliveries, held
from tests.simulation.checkers.effects import EffectsChecker
from tests.simulation.checkers.families import check_families, unanswered
from tests.simulation.checkers.ledger import Ledger
from tests.simulation.checkers.letters import check_letters, open_letters
from tests.simulation.checkers.places import check_places
from tests.simulation.checkers.reading import ReadingChecker
from tests.simulation.checkers.states import StatesChecker
from tests.simulation.client import Client
from tests.simulation.clocks import EPOCH_MS, silent, simulated
from tests.simulation.deliveries import random_deliveries
from tests.simulation.faults import Faults
from tests.simulation.group import Group
from tests.simulation.log import SimLog
from tests.simulation.loop import Process, SimLoop, SimTask, StepsExhausted
from tests.simulation.nemesis import Nemesis
from tests.simulation.processes import Installation, Shared
from tests.simulation.stores import SimBlobs, SimCheckpoints, Statements
from tests.simulation.workload import Workload, random_workload, workflow_id
from tests.simulation.world import World
from tests.support.workers import KnownVersions

MAX_STEPS = 3_000_000
REST_SECONDS = 7_200.0
"""Simulated time within which everything must have ended once the nemesis rests."""
MOST_VIOLATIONS = 20
WAIT_TOLERANCE = 3.0
"""Seconds that a wait may be short where no clock was stepped: a tick may be as long on its way to the log."""


@dataclass(slots=True)
class Result:
    seed: int
    violations: list[str] = field(default_factory=list)
    seconds: float = 0.0
    steps: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    executions: Counter[str] = field(default_factory=Counter)
    commits: int = 0
    void: int = 0
    takeovers: int = 0
    requests: int = 0
    states: int = 0
    shortest_wait: float = 0.0
    digest: str = ""

    @property
    def command(self) -> str:
        """What repeats this seed."""
        return f".venv/bin/python -m tests.simulation --seed {self.seed} -v"


def run_seed(seed: int, *, verbose: bool = False) -> Result:
    """Simulate one seed. Deterministic, also between processes."""
    source = random.Random(f"limits {seed}")
    constants = {
        "services.worker.owner.INBOX_LIMIT": source.choice((1_000, 4)),
        "services.worker.owner.MAX_BATCH": source.choice((200, 3)),
        "services.worker.owner.CHECKPOINT_SECONDS": source.choice((3.0, 0.4)),
        "services.worker.commits.SPILL_ABOVE": source.choice(((64_000, 4_000, 500), (700, 300, 50))),
        "domain.execution.course.HEAVY": source.choice((1_000, 0)),
        "domain.execution.course.RUNS_PER_DECISION": source.choice((200, 3)),
        "domain.execution.course.MAX_RUNS": 60,
        "domain.execution.children.AT_ONCE": source.choice((50, 1)),
        "domain.execution.children.STARTED_AT_ONCE": source.choice((200, 1)),
        "domain.execution.attempts.ATTEMPT_ITEMS": source.choice((200, 2)),
    }
    with silent(verbose), simulated(source, constants):
        return Simulation(seed).run()


class Simulation:
    """All parts of one seed, wired up."""

    def __init__(self, seed: int) -> None:
        self.result = Result(seed)
        self._seed = seed
        plan = self._source("plan")
        self._seconds = plan.choice((5.0, 20.0, 60.0))
        self._loop = SimLoop(self._source("order"), shuffled=plan.random() < 0.5, max_steps=MAX_STEPS)
        self._loop.on_failure = self._task_failed
        self._loop.on_error = self._callback_failed
        self._faults = Faults(self._source("faults"), quiet=plan.random() < 0.05)
        partitions = plan.choice((1, 2, 3))
        inner = MemoryLog(partitions, clock=lambda: EPOCH_MS + int(self._loop.time() * 1_000))
        group = Group(self._loop, self._source("group"), partitions, self._faults.counted)
        log = SimLog(self._loop, inner, self._faults, group, self._landed)
        self._load = random_workload(self._source("work"), self._seconds)
        workflows = [workflow_id(number) for number in range(len(self._load.documents))]
        self._load.deliveries = random_deliveries(self._source("deliveries"), self._seconds, workflows)
        known = _known(self._load)
        statements = Statements(self._faults)
        tables, blobs = MemoryTables(), SimBlobs(statements)
        self._ledger = Ledger(
            self.report, self._document, self._judged, lambda space, blob: blobs.now(space, [blob])[blob]
        )
        self._world = World(self._loop, self._source("world"), self._faults)
        self._effects = EffectsChecker(self._ledger, self.report)
        self._world.arrived = self._effects.arrived
        shared = Shared(
            self._loop,
            log,
            group,
            SimCheckpoints(statements, self._faults),
            blobs,
            known,
            statements,
            tables,
            self._world,
            StatesChecker(known, blobs, self.report),
            ReadingChecker(tables, self.report),
        )
        self._shared = shared
        self._system = Installation(
            shared, self._source("system"), workers=plan.choice((1, 2, 3)), max_effects=plan.choice((2_000, 2))
        )
        self._system.on_crash = self._crashed
        self._nemesis = Nemesis(self._system, self._faults, self._source("nemesis"))
        self._client = Client(log, tables, blobs, self._source("client"), self._load)

    def run(self) -> Result:
        result = self.result
        try:
            self._loop.run_until_complete(self._main())
        except StepsExhausted as error:
            self.report("rest", f"{error}; {self._unrest()}")
        finally:
            result.seconds, result.steps = self._loop.time(), self._loop.steps
            self._loop.bury()
            self._loop.close()
        self._sum_up()
        return result

    def report(self, checker: str, what: str) -> None:
        if len(self.result.violations) < MOST_VIOLATIONS:
            self.result.violations.append(f"{checker}: {what} (at {self._loop.time():.3f} s)")

    # --- the course ---------------------------------------------------------------------------------------------------

    async def _main(self) -> None:
        self._system.start_all()
        self._loop.spawn(Process("client"), self._client.run())
        await self._nemesis.rage(self._seconds)
        self._nemesis.rest()
        deadline = self._loop.time() + REST_SECONDS
        while (unrest := self._unrest()) and not self.result.violations:
            if self._loop.time() > deadline:
                self.report("rest", unrest)
                return
            await asyncio.sleep(2.0)
        if not self.result.violations:
            self._check_end()

    def _unrest(self) -> str:
        if not self._client.done:
            return "clients wait"
        if self._shared.log.on_the_way:
            return "appends are on their way"
        if left := self._ledger.unfinished():
            return f"executions that do not end: {left}"
        if left := unanswered(self._ledger):
            return f"commands of commits that nobody answered: {left[:3]}"
        if left := open_letters(self._ledger):
            return f"dead letters that nobody sends again: {left[:3]}"
        if left := held(self._ledger):
            return f"deliveries that nobody begins: {left[:3]}"
        for input_topic, topic in _PAIRS.items():
            for partition in range(self._shared.log.partitions):
                place = self._ledger.places.get((str(topic), partition))
                if self._shared.log.end(input_topic, partition) > (place.answered if place else 0):
                    return f"inputs of {input_topic}/{partition} are not answered"
        return self._system.unrest()

    def _check_end(self) -> None:
        self._effects.finish()
        self._shared.reading.check_everything_read()
        ends = {
            (str(topic), partition): self._shared.log.end(input_topic, partition)
            for input_topic, topic in _PAIRS.items()
            for partition in range(self._shared.log.partitions)
        }
        self._ledger.check_answered(ends)
        for execution in sorted(self._client.promised - set(self._ledger.histories)):
            self.report("promises", f"execution {execution} was promised and is not in the log")
        for answer in self._client.answers:
            if answer.commit not in self._ledger.commit_ids:
                self.report("answers", f"a client was told of commit {answer.commit}, which does not count")
        self._check_waits()
        check_families(self._ledger, self.report)
        check_deliveries(self._ledger, self._client.taken, self.report)
        check_places(self._ledger, self.report)
        check_letters(self._ledger, self._inputs(), self.report)

    def _inputs(self) -> list[Record]:
        log = self._shared.log
        return [
            r for topic in _PAIRS for partition in range(log.partitions) for r in log.inner.records(topic, partition)
        ]

    def _check_waits(self) -> None:
        for history in self._ledger.histories.values():
            for wait in history.waits:
                short = wait.wanted - wait.real
                if not self._nemesis.stepped:
                    self.result.shortest_wait = max(self.result.shortest_wait, short)
                tolerance = WAIT_TOLERANCE + (self._faults.slow_seconds if self._faults.slow_share else 0.0)
                if short > tolerance and not self._nemesis.stepped:
                    self.report("waits", f"{wait.node} of {wait.execution}: {wait.real:.3f} s of {wait.wanted} s")

    # --- what the parts tell ------------------------------------------------------------------------------------------

    def _landed(self, topic: Topic, partition: int, start: int, end: int) -> None:
        if topic not in _PAIRS.values():
            return
        reading = self._shared.reading.accepted.setdefault((str(topic), partition), [])
        for record in self._shared.log.inner.records(topic, partition, start)[: end - start]:
            accepted = self._ledger.take(record, self._loop.time())
            if accepted is not None:
                reading.append(accepted)
                self._shared.states.accepted(record.value)

    def _task_failed(self, process: Process, task: SimTask) -> None:
        error = task.exception()
        expected = LogError | BaseExceptionGroup if process.name.startswith("worker") else LogError
        if not isinstance(error, expected):
            self.report("tasks", f"{process}: {task.get_coro().__qualname__} ended with {error!r}")  # type: ignore[union-attr]

    def _callback_failed(self, error: BaseException) -> None:
        self.report("harness", f"a callback ended with {error!r}: {traceback.format_tb(error.__traceback__)[-1]}")

    def _crashed(self, name: str, error: BaseException) -> None:
        self._faults.counted["worker ended by itself"] += 1
        for each in _leaves(error):
            if not isinstance(each, LogError):
                self.report("crash", f"{name} ended with {each!r}")

    # --- helpers ------------------------------------------------------------------------------------------------------

    def _source(self, purpose: str) -> random.Random:
        """Randomness of its own for each purpose, so that a change of one does not change all others."""
        return random.Random(f"{purpose} {self._seed}")

    def _document(self, execution: str, workflow: str) -> dict[str, Any]:
        wish = next((wish for wish in self._load.wishes if wish.execution_id == execution), None)
        if wish is not None and workflow != workflow_id(wish.workflow):
            self.report("history", f"{execution} runs workflow {workflow}, {wish.workflow} was asked for")
        return self._load.by_id()[workflow]

    def _judged(self, execution: str, node: str, run: int) -> bool:
        return (execution, node, run) in self._client.run_again

    def _sum_up(self) -> None:
        result, ledger = self.result, self._ledger
        result.faults = self._faults.counted
        result.executions = Counter(history.status for history in ledger.histories.values())
        result.requests = len(self._world.requests)
        result.states = self._shared.states.compared
        for place in ledger.places.values():
            result.commits += place.accepted
            result.void += place.void
            result.takeovers += place.takeovers
        digest = hashlib.blake2b(digest_size=8)
        for topic in Topic:
            for partition in range(self._shared.log.partitions):
                for record in self._shared.log.inner.records(topic, partition):
                    digest.update(record.value)
        result.digest = digest.hexdigest()


_PAIRS = {Topic.COMMANDS: Topic.EVENTS, Topic.EXECUTION_COMMANDS: Topic.EXECUTIONS}


def _known(load: Workload) -> KnownVersions:
    known = KnownVersions()
    for name, document in load.by_id().items():
        known.add(name, 1, document)
    return known


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [error]
