"""What the rows of dead letters should be, from the JSON of the log alone (see verify_history)."""

from typing import Any

from services.projector.verify_values import Row, digest, shown

COLUMNS: dict[str, tuple[int, dict[str, str]]] = {
    "dead_letters": (1, {"id": "uuid", "workspace_id": "uuid", "topic": "", "partition": "", "position": "",
                         "code": "", "reason": "", "command": "", "stream": "", "excerpt": "", "body": "json",
                         "outside": "json",
                         "status": "", "attempts": "", "last_stream": "", "last_by": "", "discard_reason": "",
                         "reviewed_at": "time", "created_at": "time", "updated_at": "time", "stream_version": ""}),
}  # fmt: skip


def fold_letter(rows: dict[tuple[Any, ...], Row], commit: Row, key: str, version: int, event: Row) -> bool:
    """False: the event follows nothing."""
    data, kind = event["data"], event["type"]
    if kind == "dead_letter.recorded":
        blob = event.get("blobs", {}).get("body")
        body = {"$blob": blob} if blob else data.get("body")
        rows[key,] = {
            "workspace_id": commit["workspace"] or None, "topic": data["topic"], "partition": data["partition"],
            "position": data["offset"], "code": shown(data["code"]), "reason": shown(data["reason"]),
            "command": shown(data.get("command", "")), "stream": shown(data.get("stream", "")),
            "excerpt": shown(data.get("excerpt", "")), "body": digest(body),
            "outside": digest(data["outside"]) if data.get("outside") else None, "status": "open", "attempts": 0,
            "last_stream": None, "last_by": None, "discard_reason": None, "reviewed_at": None,
            "created_at": data["at"], "updated_at": data["at"], "stream_version": version,
        }  # fmt: skip
        return True
    row = rows.get((key,))
    if row is None:
        return False
    row.update(updated_at=data["at"], stream_version=version)
    if kind == "dead_letter.reviewed":
        row["reviewed_at"] = data["at"]
    elif kind == "dead_letter.redriven":
        row.update(
            status="redriven", attempts=data["number"], last_stream=data["stream"], last_by=shown(data.get("by", ""))
        )
    elif kind == "dead_letter.discarded":
        row.update(
            status="discarded", last_by=shown(data.get("by", "")), discard_reason=shown(data.get("reason", "")),
            body=None,
        )  # fmt: skip
    return True
