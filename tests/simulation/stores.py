"""What workers keep outside the log, with latency and failures: checkpoints, blobs, workflow versions, compute pool."""

from asyncio import get_running_loop, sleep
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

from domain.execution.decider import compute_run
from domain.workflow.graph import Graph
from infra.blobs import MemoryBlobs
from infra.postgres.checkpoints import Checkpoint, CheckpointChange, MemoryCheckpoints
from infra.sandbox import SandboxFailed, ScriptRequest
from schemas.envelope import Epoch
from services.worker.compute import ComputeFailed, ComputePool
from services.worker.versions import GraphKey
from tests.simulation.faults import Faults
from tests.support.workers import KnownVersions

UNSYNCED_SECONDS = 0.6
"""Three times PostgreSQL's wal_writer_delay: so long a commit that waits for no disk may be lost."""

UNSYNCED_SAVES = 100


class Statements:
    """The database as every store meets it: slow, away, or cut off after it has done its work."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.down = False

    async def before(self) -> None:
        await sleep(self._faults.latency())
        if self.down:
            self._faults.counted["store refused while down"] += 1
            raise OSError("the database is down")
        if self._faults.strikes("store failed", self._faults.store_failure):
            raise OSError("the connection was refused")

    async def after(self) -> None:
        await sleep(self._faults.latency())
        if self._faults.strikes("store answered nothing", self._faults.store_failure):
            raise OSError("the connection was lost after the statement")


class SimCheckpoints:
    """Checkpoints. Claims are on the disk when they are answered; saves up to UNSYNCED_SECONDS later: `crash`.

    Some seeds aim: the database goes down just after a save, for a moment that an idle owner does not notice.
    """

    def __init__(self, statements: Statements, faults: Faults) -> None:
        self._statements = statements
        self._faults = faults
        self._inner = MemoryCheckpoints()
        self._unsynced: list[tuple[float, tuple[str, int], Checkpoint]] = []

    def crash(self, seconds: float) -> None:
        """The database ends: the saves of so many seconds before (newest first) are taken back."""
        since = get_running_loop().time() - min(seconds, UNSYNCED_SECONDS)
        while self._unsynced and self._unsynced[-1][0] >= since:
            _, place, before = self._unsynced.pop()
            self._inner._rows[place].checkpoint = before

    def _go_down(self) -> None:
        self.crash(UNSYNCED_SECONDS)
        if not self._statements.down:
            self._statements.down = True
            get_running_loop().call_later(0.5, self._come_up)

    def _come_up(self) -> None:
        self._statements.down = False

    async def claim(self, lane: str, partition: int, epoch: Epoch) -> None:
        await self._statements.before()
        await self._inner.claim(lane, partition, epoch)
        self._unsynced.clear()
        await self._statements.after()

    async def load(self, lane: str, partition: int) -> Checkpoint:
        await self._statements.before()
        stored = await self._inner.load(lane, partition)
        await self._statements.after()
        return stored

    async def save(self, lane: str, partition: int, epoch: Epoch, change: CheckpointChange) -> None:
        await self._statements.before()
        row = self._inner._rows.get((lane, partition))
        before = None if row is None else row.checkpoint
        await self._inner.save(lane, partition, epoch, change)
        if before is not None:
            self._unsynced.append((get_running_loop().time(), (lane, partition), before))
            del self._unsynced[:-UNSYNCED_SAVES]
            if self._faults.strikes("save taken back", self._faults.save_loss):
                get_running_loop().call_later(self._faults.latency(), self._go_down)
        await self._statements.after()

    async def suspect(self, lane: str, partition: int, offset: int) -> int:
        await self._statements.before()
        return await self._inner.suspect(lane, partition, offset)


class SimBlobs:
    """A BlobStore."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements
        self._inner = MemoryBlobs()

    async def put_many(self, workspace: str, blobs: Mapping[str, bytes]) -> None:
        await self._statements.before()
        await self._inner.put_many(workspace, blobs)
        await self._statements.after()

    async def find_many(self, workspace: str, ids: Collection[str]) -> dict[str, bytes]:
        await self._statements.before()
        return await self._inner.find_many(workspace, ids)

    async def get_many(self, workspace: str, ids: Collection[str]) -> dict[str, bytes]:
        await self._statements.before()
        return await self._inner.get_many(workspace, ids)

    def now(self, workspace: str, ids: Collection[str]) -> dict[str, bytes]:
        """For checkers: at once."""
        return {key: self.find(workspace, key) for key in ids}

    def find(self, workspace: str, blob: str) -> bytes:
        """For checkers: at once."""
        return self._inner._blobs[workspace, blob]


class SimVersions:
    """Versions as one process has them: loaded when first needed."""

    def __init__(self, known: KnownVersions, statements: Statements) -> None:
        self._known = known
        self._statements = statements
        self._loaded: set[GraphKey] = set()

    def get(self, key: GraphKey) -> Graph | None:
        return self._known.get(key) if key in self._loaded else None

    def meant(self, key: GraphKey) -> GraphKey:
        return self._known.meant(key)

    def document(self, key: GraphKey) -> bytes | None:
        return self._known.document(key) if key in self._loaded else None

    def missing(self, keys: Iterable[GraphKey]) -> set[GraphKey]:
        return {key for key in keys if key not in self._loaded}

    async def load(self, keys: Iterable[GraphKey]) -> None:
        for key in sorted(self.missing({self.meant(key) for key in keys})):
            await self._statements.before()
            if self._known.get(key) is not None:
                self._loaded.add(key)


class SimSandbox:
    """The sandbox without processes: takes a while, fails sometimes, gives back the items that it was given."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    async def run(self, tenant: str, request: ScriptRequest) -> bytes:
        await sleep(self._faults.latency())
        if self._faults.strikes("sandbox failed", 0.02):
            raise SandboxFailed("sandbox_failed", "the sandboxed process died")
        job = msgspec.json.decode(request.job)
        if request.mode == "expressions":
            return msgspec.json.encode({"values": [[["v", 2] for _ in job["items"]] for _ in job["sources"]]})
        items = [{"json": item["json"], "from": [number]} for number, item in enumerate(job["items"])]
        return msgspec.json.encode({"items": items})

    async def close(self) -> None:
        return


class SimComputePool(ComputePool):
    """The compute pool without processes: takes a while, dies sometimes."""

    def __init__(self, faults: Faults) -> None:
        super().__init__(0)
        self._faults = faults

    async def run(self, document: bytes, job: bytes) -> Any:
        await sleep(self._faults.latency())
        if self._faults.strikes("compute process died", 0.02):
            raise ComputeFailed("the compute process died")
        return compute_run(document, job)

    def close(self) -> None:
        return
