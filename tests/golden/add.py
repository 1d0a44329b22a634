"""Adds golden files for what has none yet; never touches one that is there.

    python -m tests.golden.add
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from schemas import envelope
from schemas.registry import encode_event
from tests.golden import samples
from tests.golden.files import (
    EXPECTED,
    HISTORIES,
    MANIFEST,
    RECORDS,
    decoded,
    expectation,
    manifest,
    records,
    sums,
    text_of,
)
from tests.golden.histories import expected_path, folded, histories
from tests.golden.scenarios import SCENARIOS, recorded


def new_records() -> Iterator[tuple[str, envelope.Headers, Any]]:
    """`<wire name>.v<n>`, headers and record of every sample."""
    for event in samples.EVENTS:
        record = encode_event(event)
        yield f"{record.type}.v{record.v}", (), record
    for command in (*samples.COMMANDS, *samples.OWNER_COMMANDS):
        asked = samples.record_of(command)
        yield f"{asked.type}.v{asked.tv}", (), asked
    for name, (headers, record) in samples.envelopes().items():
        yield f"{name}.v{record.v}", headers, record


def add_records() -> None:
    for name, headers, record in new_records():
        text = text_of(headers, record)
        there = sorted(RECORDS.glob(f"{name}.json")) + sorted(RECORDS.glob(f"{name}.*.json"))
        if all(path.read_text(encoding="utf-8") != text for path in there):
            variant = f".{len(there) + 1}" if there else ""
            (RECORDS / f"{name}{variant}.json").write_text(text, encoding="utf-8")
    for path in records():
        pin(EXPECTED / path.name, lambda path=path: expectation(decoded(path)))


def add_histories() -> None:
    for name in SCENARIOS:
        path = HISTORIES / f"{name}.jsonl"
        if not path.exists():
            path.write_bytes(b"".join(envelope.encode(commit) + b"\n" for commit in recorded(name)))
    for path in histories():
        pin(expected_path(path), lambda path=path: folded(path))


def pin(path: Path, value: Callable[[], Any]) -> None:
    if not path.exists():
        path.write_text(json.dumps(value(), indent=1, ensure_ascii=True) + "\n", encoding="utf-8")


def main() -> int:
    known = manifest()
    broken = [name for name, digest in known.items() if sums().get(name) != digest]
    if broken:
        sys.stderr.write(f"changed or removed: {', '.join(broken)}. Golden files stay as they are: restore them.\n")
        return 1
    for folder in (RECORDS, EXPECTED, HISTORIES, EXPECTED / "histories"):
        folder.mkdir(exist_ok=True)
    add_records()
    add_histories()
    added = {name: digest for name, digest in sums().items() if name not in known}
    lines = [f"{digest}  {name}" for name, digest in sorted({**known, **added}.items())]
    MANIFEST.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name in added:
        sys.stdout.write(f"added {name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
