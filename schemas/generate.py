"""Writes schemas/json/<wire name>.v<n>.json and schemas/asyncapi.json from the registry; they are committed.

    python -m schemas.generate            write what is new
    python -m schemas.generate --check    write nothing, fail if anything differs

The schema of a version that is written already may only gain optional fields: everything on the log must go on to
decode. Any other change is refused; descriptions are free.
"""

import inspect
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from schemas import envelope
from schemas.asyncapi import asyncapi
from schemas.codec import Entry
from schemas.registry import COMMANDS, EVENTS

FOLDER = Path(__file__).parent
ENVELOPES: Mapping[str, type[msgspec.Struct]] = {
    "envelope.command.v1": envelope.CommandRecord,
    "envelope.commit.v1": envelope.CommitRecord,
    "envelope.takeover.v1": envelope.TakeoverRecord,
    "envelope.tick.v1": envelope.TickRecord,
    "envelope.dead_letter.v1": envelope.DeadLetterRecord,
}


class ChangedSchema(Exception):
    """The schema of a stored version was changed in a way that old records may not fit."""

    code = "changed_schema"

    def __init__(self, name: str, changes: Iterable[str]) -> None:
        super().__init__(
            f"{name} would change ({'; '.join(changes)}), but records of this version are on the log for ever: leave "
            "it as it is, and add a new version and an upcaster in schemas/registry.py (optional fields may be added "
            "freely)"
        )


def schemas() -> dict[str, dict[str, Any]]:
    """`<wire name>.v<n>` → JSON Schema, of everything that can stand on the log in its current version."""
    entries: list[Entry] = [*EVENTS.entries.values(), *COMMANDS.entries.values()]
    kinds = {f"{entry.name}.v{entry.version}": entry.type for entry in entries} | dict(ENVELOPES)
    return {name: _schema(name, kind) for name, kind in kinds.items()}


def _schema(name: str, kind: type[msgspec.Struct]) -> dict[str, Any]:
    schema = msgspec.json.schema(kind)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{name}.json",
        **_clean(schema),
    }


def _clean(value: Any) -> Any:
    """Descriptions without the indentation that docstrings have in the source."""
    if isinstance(value, dict):
        return {
            key: inspect.cleandoc(each) if key == "description" and isinstance(each, str) else _clean(each)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [_clean(each) for each in value]
    return value


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What makes `new` refuse, or read otherwise, what `old` describes; names of classes and descriptions are free."""
    return _changes(_resolved(old, old.get("$defs", {})), _resolved(new, new.get("$defs", {})), "$")


def _resolved(value: Any, definitions: Mapping[str, Any]) -> Any:
    """The schema with its references put in place, without what is only for people."""
    if isinstance(value, list):
        return [_resolved(each, definitions) for each in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        target = definitions[value["$ref"].rpartition("/")[2]]
        value = {**target, **{key: each for key, each in value.items() if key != "$ref"}}
    return {
        key: {name: _resolved(each, definitions) for name, each in part.items()}
        if key == "properties"
        else _resolved(part, definitions)
        for key, part in value.items()
        if key not in {"$defs", "$id", "title", "description"}
    }


def _changes(old: Any, new: Any, path: str) -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for key in sorted({*old, *new}):
            where = f"{path}.{key}"
            if key not in new:
                found.append(f"{where} is gone")
            elif key in old:
                found += _changes(old[key], new[key], where)
            elif not path.endswith(".properties"):
                found.append(f"{where} is new")
        return found
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [each for index, (was, now) in pairs for each in _changes(was, now, f"{path}[{index}]")]
    return [] if old == new else [f"{path} was {json.dumps(old)}, is {json.dumps(new)}"]


def generated(folder: Path = FOLDER) -> dict[Path, str]:
    """Path → text of every generated file. Raises ChangedSchema if one in `folder` may not become that."""
    files = {}
    for name, schema in schemas().items():
        path = folder / "json" / f"{name}.json"
        if path.exists():
            found = changes(json.loads(path.read_text(encoding="utf-8")), schema)
            if found:
                raise ChangedSchema(name, found)
        files[path] = _text(schema)
    files[folder / "asyncapi.json"] = _text(_clean(asyncapi()))
    return files


def _text(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    try:
        files = generated()
    except ChangedSchema as refused:
        sys.stderr.write(f"{refused}\n")
        return 1
    stale = [path for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in arguments:
        for path in stale:
            sys.stderr.write(f"{path.relative_to(FOLDER)} is not up to date: run python -m schemas.generate\n")
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(exist_ok=True)
        path.write_text(files[path], encoding="utf-8")
        sys.stdout.write(f"wrote {path.relative_to(FOLDER)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
