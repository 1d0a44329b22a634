"""Journals of the witnesses: one JSON object a line, on the disk before the writer goes on."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any


class Journal:
    """Appends records and syncs each, so that a crash of the run itself leaves what was known."""

    def __init__(self, path: Path, *, sync: bool = True) -> None:
        self.path = path
        self._sync = sync
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._under_way: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None

    def write(self, **record: Any) -> None:
        self._append(record)
        if self._sync:
            os.fdatasync(self._file)

    async def keep(self, **record: Any) -> None:
        """As `write`; those who come while the disk is busy share the next sync, so that many can be busy at once."""
        self._append(record)
        if self._sync:
            if self._following is None:
                self._following = asyncio.create_task(self._sync_after(self._under_way))
            await asyncio.shield(self._following)

    async def _sync_after(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait({before})
        self._under_way, self._following = self._following, None
        await asyncio.to_thread(os.fdatasync, self._file)

    def _append(self, record: dict[str, Any]) -> None:
        os.write(self._file, json.dumps(record, separators=(",", ":")).encode() + b"\n")

    def close(self) -> None:
        os.close(self._file)


def read_journal(path: Path) -> list[dict[str, Any]]:
    """All whole lines. A last line that was cut off by a crash is left out."""
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    return [json.loads(line) for line in lines[:-1]]
