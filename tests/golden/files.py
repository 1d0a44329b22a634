"""Where golden files are, what they hold, and the manifest that keeps them as they are.

records/<wire name>.v<n>[.k].json   {"headers": [[name, text], …], "value": "<the record's JSON, byte for byte>"}
expected/<the same name>            {"class", "data"}: what it decodes into, in the newest version's fields
histories/<name>.jsonl              whole commits, one a line: of a workflow, then of an execution of it
expected/histories/<name>.json      what the history folds into, commit by commit
MANIFEST.sha256                     sums of records/ and histories/: those files never change
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec

from schemas import envelope
from schemas.registry import COMMANDS, EVENTS

FOLDER = Path(__file__).parent
RECORDS, EXPECTED, HISTORIES = FOLDER / "records", FOLDER / "expected", FOLDER / "histories"
MANIFEST = FOLDER / "MANIFEST.sha256"

ENVELOPES: dict[str, Any] = {
    "envelope.command": envelope.decode_command,
    "envelope.commit": envelope.decode_commit,
    "envelope.takeover": envelope.decode_takeover,
    "envelope.tick": envelope.decode_tick,
    "envelope.dead_letter": envelope.decode_dead_letter,
}


def records() -> list[Path]:
    return sorted(RECORDS.glob("*.json"))


def wire_name(path: Path) -> tuple[str, int]:
    """`execution.queued.v1.2.json` → (`execution.queued`, 1)."""
    name, _, rest = path.name.removesuffix(".json").rpartition(".v")
    return name, int(rest.split(".")[0])


def read(path: Path) -> tuple[envelope.Headers, bytes]:
    content = json.loads(path.read_text(encoding="utf-8"))
    return tuple((name, text.encode()) for name, text in content["headers"]), content["value"].encode()


def text_of(headers: envelope.Headers, record: Any) -> str:
    content = {"headers": [[name, value.decode()] for name, value in headers], "value": envelope.encode(record).decode()}
    return json.dumps(content, indent=1, ensure_ascii=True) + "\n"


def decoded(path: Path) -> Any:
    """The object that a golden record decodes into."""
    name, _ = wire_name(path)
    _, value = read(path)
    if name in ENVELOPES:
        return ENVELOPES[name](value)
    if name in EVENTS.entries:
        event = msgspec.json.decode(value, type=envelope.EventRecord)
        return EVENTS.decode(event.type, event.v, event.data)
    command = envelope.decode_command(value)
    return COMMANDS.decode(command.type, command.tv, command.data)


def expectation(value: Any) -> dict[str, Any]:
    """An object as it is pinned: its class, and its fields as JSON (those at their defaults left out)."""
    return {"class": type(value).__name__, "data": json.loads(envelope.encode(value))}


def sums() -> dict[str, str]:
    """Path in this folder → SHA-256 of every file that may never change."""
    frozen = [*records(), *sorted(path for path in HISTORIES.glob("*") if path.is_file())]
    return {path.relative_to(FOLDER).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in frozen}


def manifest() -> dict[str, str]:
    if not MANIFEST.exists():
        return {}
    lines = MANIFEST.read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
