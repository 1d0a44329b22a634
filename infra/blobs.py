"""Where large fields of records are kept: stored before the append, loaded before the decision or the answer.

A blob's id is the hash of its workspace and its bytes (schemas.payloads.blob_id): the same blob is stored once, it
never changes, and who does not belong to the workspace does not get it.

Housekeeping deletes what nothing names any more. What is stored again is named again: so storing renews a blob's age,
and what was stored lately is never deleted (services/housekeeping/blobs.py).
"""

import time
from collections import OrderedDict
from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

from infra.postgres.pool import Pool

RENEW_SECONDS = 3_600.0
"""A blob that is stored again and was stored longer ago than this becomes young again."""


class BlobStore(Protocol):
    """Stores blobs for ever, or until housekeeping finds that nothing names them."""

    async def put_many(self, workspace: str, blobs: Mapping[str, bytes]) -> None:
        """Store `blobs` (id → bytes), durably once this returns. Storing a blob again does nothing."""
        ...

    async def find_many(self, workspace: str, ids: Collection[str]) -> dict[str, bytes]:
        """The bytes of those ids that the workspace has: for records that anybody may have written."""
        ...

    async def get_many(self, workspace: str, ids: Collection[str]) -> dict[str, bytes]:
        """The bytes of each id. Raises BlobsMissing if the workspace lacks one."""
        ...


class BlobsMissing(Exception):
    """Blobs that a record names are not in the store (of that workspace)."""

    code = "missing_blob"

    def __init__(self, ids: Collection[str]) -> None:
        super().__init__(f"not in the blob store: {', '.join(sorted(ids))}")
        self.ids = frozenset(ids)


class MemoryBlobs:
    """Blobs in memory, for tests and simulation."""

    def __init__(self) -> None:
        self._blobs: dict[tuple[str, str], bytes] = {}

    async def put_many(self, workspace: str, blobs: Mapping[str, bytes]) -> None:
        for key, content in blobs.items():
            self._blobs.setdefault((workspace, key), content)

    async def find_many(self, workspace: str, ids: Collection[str]) -> dict[str, bytes]:
        return {key: self._blobs[workspace, key] for key in ids if (workspace, key) in self._blobs}

    async def get_many(self, workspace: str, ids: Collection[str]) -> dict[str, bytes]:
        return _complete(ids, await self.find_many(workspace, ids))


class PostgresBlobs:
    """Blobs in the table `blobs`, those used lately in memory as well (at most `cache_bytes` of them)."""

    def __init__(self, pool: Pool, *, cache_bytes: int = 16_000_000) -> None:
        self._pool = pool
        self._cache = _RecentlyUsed(cache_bytes)

    async def put_many(self, workspace: str, blobs: Mapping[str, bytes]) -> None:
        new = sorted(key for key in blobs if not self._is_young(workspace, key))
        if new:
            # Sorted, so that two processes that store the same blobs cannot block each other in turn.
            await self._pool.execute(
                "INSERT INTO blobs (id, workspace, content) SELECT id, $1, content "
                "FROM unnest($2::text[], $3::bytea[]) AS new (id, content) "
                "ON CONFLICT (id) DO UPDATE SET stored_at = now() "
                "WHERE blobs.stored_at < now() - make_interval(secs => $4)",
                workspace,
                new,
                [blobs[key] for key in new],
                RENEW_SECONDS,
            )
        for key in new:
            self._cache.put((workspace, key), blobs[key], time.monotonic() + RENEW_SECONDS)

    def _is_young(self, workspace: str, key: str) -> bool:
        """Whether it is in the store and need not be renewed."""
        entry = self._cache.get((workspace, key))
        return entry is not None and entry.young_until > time.monotonic()

    async def get_many(self, workspace: str, ids: Collection[str]) -> dict[str, bytes]:
        return _complete(ids, await self.find_many(workspace, ids))

    async def find_many(self, workspace: str, ids: Collection[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for key in ids:
            entry = self._cache.get((workspace, key))
            if entry is not None:
                found[key] = entry.content
        absent = [key for key in ids if key not in found]
        if absent:
            rows = await self._pool.fetch(
                "SELECT id, content, extract(epoch FROM now() - stored_at)::float8 AS age FROM blobs"
                " WHERE workspace = $1 AND id = ANY($2::text[])",
                workspace,
                absent,
            )
            for row in rows:
                found[row["id"]] = row["content"]
                young_until = time.monotonic() + RENEW_SECONDS - row["age"]
                self._cache.put((workspace, row["id"]), row["content"], young_until)
        return found


class _Cached(NamedTuple):
    """`young_until`: by the monotonic clock."""

    content: bytes
    young_until: float


class _RecentlyUsed:
    """A bounded number of bytes, the least recently used leave first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._entries: OrderedDict[tuple[str, str], _Cached] = OrderedDict()

    def get(self, key: tuple[str, str]) -> _Cached | None:
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def put(self, key: tuple[str, str], content: bytes, young_until: float) -> None:
        if len(content) > self._limit:
            return
        if key not in self._entries:
            self._size += len(content)
        self._entries[key] = _Cached(content, young_until)
        while self._size > self._limit:
            _, oldest = self._entries.popitem(last=False)
            self._size -= len(oldest.content)


def _complete(ids: Collection[str], found: dict[str, bytes]) -> dict[str, bytes]:
    if len(found) < len(set(ids)):
        raise BlobsMissing([key for key in ids if key not in found])
    return found
