"""Journals of the witnesses: one JSON object a line, on the disk before the writer goes on."""

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

    def write(self, **record: Any) -> None:
        os.write(self._file, json.dumps(record, separators=(",", ":")).encode() + b"\n")
        if self._sync:
            os.fdatasync(self._file)

    def close(self) -> None:
        os.close(self._file)


def read_journal(path: Path) -> list[dict[str, Any]]:
    """All whole lines. A last line that was cut off by a crash is left out."""
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    return [json.loads(line) for line in lines[:-1]]
