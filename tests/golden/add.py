"""Adds golden files for what has none yet; never touches one that is there.

    python -m tests.golden.add
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

from schemas import envelope
from schemas.registry import encode_event
from tests.golden import samples
from tests.golden.files import EXPECTED, MANIFEST, RECORDS, decoded, expectation, manifest, records, sums, text_of


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


def main() -> int:
    known = manifest()
    broken = [name for name, digest in known.items() if sums().get(name) != digest]
    if broken:
        sys.stderr.write(f"changed or removed: {', '.join(broken)}. Golden files stay as they are: restore them.\n")
        return 1
    for folder in (RECORDS, EXPECTED):
        folder.mkdir(exist_ok=True)
    for name, headers, record in new_records():
        text = text_of(headers, record)
        there = sorted(RECORDS.glob(f"{name}.json")) + sorted(RECORDS.glob(f"{name}.*.json"))
        if all(path.read_text(encoding="utf-8") != text for path in there):
            variant = f".{len(there) + 1}" if there else ""
            (RECORDS / f"{name}{variant}.json").write_text(text, encoding="utf-8")
    for path in records():
        pinned = EXPECTED / path.name
        if not pinned.exists():
            value = json.dumps(expectation(decoded(path)), indent=1, ensure_ascii=True)
            pinned.write_text(value + "\n", encoding="utf-8")
    added = {name: digest for name, digest in sums().items() if name not in known}
    lines = [f"{digest}  {name}" for name, digest in sorted({**known, **added}.items())]
    MANIFEST.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name in added:
        sys.stdout.write(f"added {name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
