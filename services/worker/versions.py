"""Compiled workflow versions: immutable, loaded from the read model once and kept (the least used go first)."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import asyncpg
import msgspec

from domain.errors import DomainError
from domain.workflow.document import parse_document
from domain.workflow.graph import Graph, compile_workflow
from infra.blobs import BlobStore
from infra.log.port import Log, LogError, Topic
from infra.telemetry.logs import get_logger
from schemas.envelope import partition_of

GraphKey = tuple[str, str, int]
"""(workspace, workflow id, version)"""

KEPT = 5_000
_IN_USE_SECONDS = 60.0
"""What was asked for lately stays, beyond KEPT too: a decision finds what was loaded for it."""
_WAIT_SECONDS = 30.0
_ASK_AGAIN_SECONDS = 0.05

_log = get_logger("worker.versions")


class VersionsBehind(Exception):
    """The read model does not hold what the log does: nothing can be said of a version. Ask again (retriable)."""

    code = "versions_behind"


class Versions(Protocol):
    """Graphs by key. `get` is for decisions (no I/O); `load` is awaited before them."""

    def get(self, key: GraphKey) -> Graph | None: ...

    def document(self, key: GraphKey) -> bytes | None:
        """The document as JSON, for the compute pool."""
        ...

    def missing(self, keys: Iterable[GraphKey]) -> set[GraphKey]: ...

    async def load(self, keys: Iterable[GraphKey]) -> None:
        """Load what is not here yet. A version that does not exist stays missing."""
        ...


@dataclass(slots=True)
class _Version:
    graph: Graph
    document: bytes
    used: float


class WorkflowVersions:
    """Versions from the read model."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        log: Log,
        blobs: BlobStore,
        *,
        kept: int = KEPT,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._log = log
        self._blobs = blobs
        self._kept = kept
        self._seconds = seconds
        self._versions: OrderedDict[GraphKey, _Version] = OrderedDict()

    def get(self, key: GraphKey) -> Graph | None:
        found = self._use(key)
        return found.graph if found else None

    def document(self, key: GraphKey) -> bytes | None:
        """The document as JSON, for the compute pool."""
        found = self._use(key)
        return found.document if found else None

    def missing(self, keys: Iterable[GraphKey]) -> set[GraphKey]:
        return {key for key in keys if self._use(key) is None}

    async def load(self, keys: Iterable[GraphKey]) -> None:
        """Load what is not here yet. A version that does not exist stays missing; one that the projector has not
        reached yet is waited for (at most 30 s: VersionsBehind)."""
        wanted, absent = set(keys), set[GraphKey]()
        while missing := self.missing(wanted) - absent:
            for key in missing:
                if not await self._load(key):
                    absent.add(key)

    def _use(self, key: GraphKey) -> "_Version | None":
        found = self._versions.get(key)
        if found is not None:
            found.used = self._seconds()
            self._versions.move_to_end(key)
        return found

    async def _load(self, key: GraphKey) -> bool:
        """Whether the version exists; it is here then."""
        document = await self._document(key)
        if document is None:
            _log.warning("workflow version not found", workflow_id=key[1], version=key[2])
            return False
        try:
            graph = compile_workflow(parse_document(msgspec.json.decode(document)))
        except DomainError as error:
            _log.error("stored workflow version does not compile", workflow_id=key[1], error=str(error))
            return False
        now = self._seconds()
        self._versions[key] = _Version(graph, document, now)
        while len(self._versions) > self._kept:
            oldest = next(iter(self._versions))
            if self._versions[oldest].used > now - _IN_USE_SECONDS:
                break
            del self._versions[oldest]
        return True

    async def _document(self, key: GraphKey) -> bytes | None:
        deadline = asyncio.get_running_loop().time() + _WAIT_SECONDS
        while True:
            reached_end = await self._projected(key[1])
            row = await self._pool.fetchval(
                "SELECT document FROM workflow_versions WHERE workflow_id = $1 AND version = $2 AND workspace_id = $3",
                key[1],
                key[2],
                key[0],
            )
            if row is not None:
                return await self._whole(key[0], row if isinstance(row, str) else msgspec.json.encode(row).decode())
            if reached_end:
                return None
            if asyncio.get_running_loop().time() > deadline:
                raise VersionsBehind(f"version {key[2]} of workflow {key[1]} is not in the read model yet")
            await asyncio.sleep(_ASK_AGAIN_SECONDS)

    async def _projected(self, workflow_id: str) -> bool:
        """Whether the read model has everything that is in the workflow's partition now."""
        partition = partition_of(f"workflow-{workflow_id}", self._log.partitions)
        try:
            end = await self._log.end_offset(Topic.EVENTS, partition)
        except LogError:
            return False
        reached = await self._pool.fetchval(
            "SELECT next_offset FROM positions"
            " WHERE projection = 'workflow_versions' AND topic = $1 AND partition = $2",
            str(Topic.EVENTS),
            partition,
        )
        return end == 0 or (reached is not None and reached >= end)

    async def _whole(self, workspace: str, text: str) -> bytes:
        value = text.encode()
        if value.startswith(b'{"$blob"'):
            blob_id = msgspec.json.decode(value)["$blob"]
            return (await self._blobs.get_many(workspace, [blob_id]))[blob_id]
        return value
