"""What the rows of variables should be, from the JSON of the log alone (see verify_history)."""

from typing import Any

from services.projector.verify_values import Row, digest, shown

COLUMNS: dict[str, tuple[int, dict[str, str]]] = {
    "variables": (2, {"workspace_id": "uuid", "name": "", "value": "json", "description": "", "version": "",
                      "request_id": "uuid", "fingerprint": "", "created_at": "time", "updated_at": "time"}),
}  # fmt: skip


def fold_variable(rows: dict[tuple[Any, ...], Row], key: str, event: Row) -> bool:
    """Take one event of `variables-<key>` into `rows`. False: the event follows nothing."""
    data, kind = event["data"], event["type"]
    place = (key, shown(data["name"]))
    if (kind == "variable.created") == (place in rows):
        return False
    if kind == "variable.deleted":
        del rows[place]
        return True
    if kind == "variable.created":
        request_id, fingerprint = data.get("request_id") or None, shown(data.get("fingerprint", ""))
        rows[place] = {"request_id": request_id, "fingerprint": fingerprint, "created_at": data["at"]}
    rows[place] |= {
        "value": digest(data["value"]), "description": shown(data.get("description", "")),
        "version": data["version"], "updated_at": data["at"],
    }  # fmt: skip
    return True
