"""The processes of one simulated installation: workers, projectors, schedulers; started, killed, paused, replaced."""

import asyncio
import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from domain.effects import HttpRequest
from infra.log.port import LogError, LogUnavailable, Record, Topic
from projections.catalog import PROJECTIONS
from projections.memory import MemoryTables
from projections.positions import Place
from services.projector.batch import PartitionFold, PlaceKey
from services.scheduler.ticker import Ticker
from services.worker.lanes import AggregateLane
from services.worker.worker import Worker
from tests.simulation.checkers.reading import ReadingChecker
from tests.simulation.checkers.states import StatesChecker, WatchedLane
from tests.simulation.clocks import simulated_boot_ms, simulated_wall_ms
from tests.simulation.group import Group
from tests.simulation.log import SimLog
from tests.simulation.loop import Process, SimLoop
from tests.simulation.stores import SimBlobs, SimCheckpoints, SimComputePool, SimSandbox, SimVersions, Statements
from tests.simulation.world import World
from tests.support.workers import KnownVersions

TICK_SECONDS = 1.0
COMMIT_TOPICS = (Topic.EVENTS, Topic.EXECUTIONS)


@dataclass(slots=True)
class Shared:
    """What outlives every process."""

    loop: SimLoop
    log: SimLog
    group: Group
    checkpoints: SimCheckpoints
    blobs: SimBlobs
    known: KnownVersions
    statements: Statements
    tables: MemoryTables
    world: World
    states: StatesChecker
    reading: ReadingChecker


class Installation:
    """Names are stable: whoever is started under the name of a dead process takes its place in the group."""

    def __init__(self, shared: Shared, source: random.Random, *, workers: int, max_effects: int) -> None:
        self.shared = shared
        self.names = [f"worker-{number}" for number in range(workers)]
        self.processes: dict[str, Process] = {}
        self.workers: dict[str, Worker] = {}
        self.places: dict[PlaceKey, Place] = {
            (str(topic), partition): Place() for topic in COMMIT_TOPICS for partition in range(shared.log.partitions)
        }
        self.on_crash: Callable[[str, BaseException], None] = lambda _name, _error: None
        self._random = source
        self._max_effects = max_effects
        self._stops: dict[str, asyncio.Event] = {}
        self._leader = ""

    # --- what the nemesis does ----------------------------------------------------------------------------------------

    def start_all(self) -> None:
        for name in self.names:
            self.start_worker(name)
        self.start_projector("projector")
        self.start_scheduler("scheduler-0")

    def start_worker(self, name: str) -> None:
        if self.alive(name):
            return
        self._stops[name] = asyncio.Event()
        self._spawn(name, self._run_worker(name, self._stops[name]))

    def start_projector(self, name: str) -> None:
        if not self.alive(name):
            self._spawn(name, self._project())

    def start_scheduler(self, name: str) -> None:
        if not self.alive(name):
            self._leader = name
            self._spawn(name, self._tick(name))

    def alive(self, name: str) -> bool:
        return name in self.processes and not self.processes[name].dead

    def kill(self, name: str) -> None:
        self.shared.loop.kill(self.processes[name])
        self.workers.pop(name, None)

    def stop(self, name: str) -> None:
        """As SIGTERM does; it is started again by `_run_worker` ending."""
        self._stops[name].set()

    def pause(self, name: str) -> None:
        self.shared.loop.pause(self.processes[name])

    def resume(self, name: str) -> None:
        self.shared.loop.resume(self.processes[name])

    def heal(self) -> None:
        """Everything runs."""
        for name, process in self.processes.items():
            if process.paused and not process.dead:
                self.resume(name)
        for name in self.names:
            self.start_worker(name)
        self.start_projector("projector")
        if not self.alive(self._leader):
            self.start_scheduler(self._leader + "+")

    # --- what is asked at the end -------------------------------------------------------------------------------------

    def unrest(self) -> str:
        """Why this installation is not at rest; empty if it is."""
        log = self.shared.log
        for (topic, partition), place in self.places.items():
            if place.next_offset < log.end(Topic(topic), partition):
                return f"the projector is behind in {topic}/{partition}"
        for lane in ("executions", "aggregates"):
            for partition in range(log.partitions):
                owners = [owner for worker in self.workers.values() if (owner := worker.find_owner(lane, partition))]
                if len(owners) != 1:
                    return f"{lane}/{partition} has {len(owners)} owners"
                owner = owners[0]
                if not owner.live or not owner.idle:
                    return f"{lane}/{partition} is busy or not taken over (stopped: {owner.stopped})"
                if lane == "executions" and owner.open_streams:
                    return f"{lane}/{partition} holds {owner.open_streams} streams: {list(owner._memory.entries)[:3]}"
        return ""

    # --- processes ----------------------------------------------------------------------------------------------------

    def _spawn(self, name: str, work: Any) -> None:
        process = Process(name, boot_ms=self._random.randrange(10**9))
        before = self.processes.get(name)
        process.wall_offset_ms = before.wall_offset_ms if before else 0
        self.processes[name] = process
        self.shared.loop.spawn(process, work)

    async def _run_worker(self, name: str, stop: asyncio.Event) -> None:
        shared = self.shared
        process = self.processes[name]
        versions = SimVersions(shared.known, shared.statements)
        worker = Worker(
            shared.log,
            shared.checkpoints,
            shared.blobs,
            versions,
            self._positions,
            name=name,
            max_effects=self._max_effects,
            lanes=(WatchedLane(versions, shared.states), AggregateLane()),
            interpreters={HttpRequest: shared.world.client(name)},
            compute=SimComputePool(shared.log.faults),
            started=self._started,
            sandbox=SimSandbox(shared.log.faults),
        )
        self.workers[name] = worker
        try:
            await worker.run(stop)
        except Exception as error:  # noqa: BLE001 - a supervisor starts it again, whatever it was
            self.on_crash(name, error)
        self.workers.pop(name, None)
        shared.loop.call_outside(self._random.uniform(0.05, 1.0), self._replace, name, process)

    def _replace(self, name: str, process: Process) -> None:
        """What a supervisor does with a process that has ended."""
        if self.processes[name] is process and not process.dead:
            self.shared.loop.kill(process)
            self.shared.group.drop(name)
            self.start_worker(name)

    async def _started(self, executions: Collection[str]) -> Collection[str]:
        await self.shared.statements.before()
        return {key[1] for key in self.shared.tables.rows["executions"]} & set(executions)

    async def _positions(self) -> Mapping[tuple[str, int], int]:
        await self.shared.statements.before()
        return {key: place.next_offset for key, place in self.places.items()}

    async def _tick(self, name: str) -> None:
        """As services.scheduler.main does: whoever holds the lock, which a paused leader loses."""
        log = self.shared.log
        while self._leader == name:
            try:
                ticker = await Ticker.open(log, name, monotonic=simulated_boot_ms, wall=simulated_wall_ms)
                try:
                    while self._leader == name:
                        await ticker.tick()
                        await asyncio.sleep(TICK_SECONDS)
                finally:
                    await ticker.close()
            except LogError:
                await asyncio.sleep(0.5)

    async def _project(self) -> None:
        reader = await self.shared.log.reader()
        while True:
            folds = {
                key: PartitionFold(key[0], key[1], place, list(PROJECTIONS.values()))
                for key, place in self.places.items()
            }
            for (topic, partition), fold in folds.items():
                reader.seek(Topic(topic), partition, fold.next_offset)
            try:
                while True:
                    records = await reader.read(max_records=self._random.choice((3, 500)))
                    await self._write(folds, records)
            except (LogUnavailable, OSError):
                await asyncio.sleep(0.3)

    async def _write(self, folds: dict[PlaceKey, PartitionFold], records: list[Record]) -> None:
        """One transaction: rows, and positions by compare-and-set (rule 12)."""
        keys = list(dict.fromkeys((str(record.topic), record.partition) for record in records))
        starts = {key: folds[key].place for key in keys}
        entries = [folds[str(record.topic), record.partition].fold(record) for record in records]
        await self.shared.statements.before()
        if any(self.places[key] != starts[key] for key in keys):
            raise OSError("another projector was faster")
        self.shared.tables.apply(operation for entry in entries for operation in entry.operations)
        for key in keys:
            self.places[key] = folds[key].place
            self.shared.reading.projected(*key, self.places[key].next_offset)
        await self.shared.statements.after()
