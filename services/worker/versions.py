"""Compiled workflow versions: immutable, loaded from the read model once and kept (the least used go first).

Version 0 stands for the active version, else the newest: that is looked up anew whenever it is wanted.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import asyncpg
import msgspec

from domain.errors import DomainError
from domain.workflow.document import parse_document
from domain.workflow.graph import Graph, compile_workflow
from infra.blobs import BlobStore
from infra.log.port import Log, LogError, Topic
from infra.telemetry.logs import get_logger
from schemas.envelope import partition_of
from services.worker.read_models import ASK_AGAIN_SECONDS, WAIT_SECONDS, ReadModelsBehind, projected

GraphKey = tuple[str, str, int]
"""(workspace, workflow id, version)"""

BY_REFERENCE = 0
"""As a version: the active one, else the newest."""

KEPT = 5_000
_IN_USE_SECONDS = 60.0
"""What was asked for lately stays, beyond KEPT too: a decision finds what was loaded for it."""

_log = get_logger("worker.versions")


class Versions(Protocol):
    """Graphs by key. `get` is for decisions (no I/O); `load` is awaited before them."""

    def get(self, key: GraphKey) -> Graph | None: ...

    def meant(self, key: GraphKey) -> GraphKey:
        """The key that a start by reference (version 0) means since the last `load` of it: the active version, else
        the newest. Version 0 still: the workflow does not exist, or it is archived."""
        ...

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
        self._meant: OrderedDict[GraphKey, tuple[int, GraphKey]] = OrderedDict()
        self._looked_up = 0

    def meant(self, key: GraphKey) -> GraphKey:
        return self._meant.get(key, (0, key))[1]

    def get(self, key: GraphKey) -> Graph | None:
        found = self._use(key)
        return found.graph if found else None

    def document(self, key: GraphKey) -> bytes | None:
        """The document as JSON, for the compute pool."""
        found = self._use(key)
        return found.document if found else None

    def missing(self, keys: Iterable[GraphKey]) -> set[GraphKey]:
        return {key for key in keys if key[2] == BY_REFERENCE or self._use(key) is None}

    async def load(self, keys: Iterable[GraphKey]) -> None:
        """Load what is not here yet. A version that does not exist stays missing; one that the projector has not
        reached yet is waited for (at most 30 s: ReadModelsBehind)."""
        self._looked_up += 1
        turn = self._looked_up
        references = [key for key in keys if key[2] == BY_REFERENCE]
        named = await asyncio.gather(*[self._look_up(key) for key in references])
        wanted = {key for key in (*keys, *named) if key[2] != BY_REFERENCE}
        absent = set[GraphKey]()
        while missing := self.missing(wanted) - absent:
            for key in missing:
                if not await self._load(key):
                    absent.add(key)
        for reference, key in zip(references, named, strict=True):  # only now: what it means is there
            self._note_meant(reference, key, turn)

    async def _look_up(self, key: GraphKey) -> GraphKey:
        """What a start by reference means now."""
        if not _is_uuid(key[1]):  # users write it
            return key
        row = await self._row(
            "workflows",
            "SELECT coalesce(active_version, version) AS version, status FROM workflows"
            " WHERE id = $1 AND workspace_id = $2",
            key,
        )
        return key if row is None or row["status"] == "archived" else (key[0], key[1], int(row["version"]))

    def _note_meant(self, reference: GraphKey, key: GraphKey, turn: int) -> None:
        """Owners load side by side: who looked later knows better."""
        if self._meant.get(reference, (0, key))[0] < turn:
            self._meant[reference] = (turn, key)
            self._meant.move_to_end(reference)
        while len(self._meant) > self._kept:
            self._meant.popitem(last=False)

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
        row = await self._row(
            "workflow_versions",
            "SELECT document FROM workflow_versions WHERE workflow_id = $1 AND workspace_id = $2 AND version = $3",
            key,
            key[2],
        )
        if row is None:
            return None
        document = row["document"]
        return await self._whole(
            key[0], document if isinstance(document, str) else msgspec.json.encode(document).decode()
        )

    async def _row(self, projection: str, query: str, key: GraphKey, *more: Any) -> Any:
        """The row of a workflow in a read model; None where there is none. Waits until the projector has got there."""
        deadline = asyncio.get_running_loop().time() + WAIT_SECONDS
        while True:
            reached_end = await self._projected(projection, key[1])
            row = await self._pool.fetchrow(query, key[1], key[0], *more)
            if row is not None or reached_end:
                return row
            if asyncio.get_running_loop().time() > deadline:
                raise ReadModelsBehind(f"version {key[2]} of workflow {key[1]} is not in the read model yet")
            await asyncio.sleep(ASK_AGAIN_SECONDS)

    async def _projected(self, projection: str, workflow_id: str) -> bool:
        """Whether the read model has everything that is in the workflow's partition now."""
        partition = partition_of(f"workflow-{workflow_id}", self._log.partitions)
        try:
            end = await self._log.end_offset(Topic.EVENTS, partition)
        except LogError:
            return False
        return await projected(self._pool, projection, partition, end)

    async def _whole(self, workspace: str, text: str) -> bytes:
        value = text.encode()
        if value.startswith(b'{"$blob"'):
            blob_id = msgspec.json.decode(value)["$blob"]
            return (await self._blobs.get_many(workspace, [blob_id]))[blob_id]
        return value


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
