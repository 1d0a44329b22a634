"""The second reading of credentials: what their rows should be, from the log's JSON alone (see verify_history)."""

from typing import Any

from services.projector.verify_values import Report, Row, digest, shown

_NO_TOKENS: Row = {"access_token": None, "refresh_token": None, "expires_at": None, "scope": None}


def fold_credential(
    rows: dict[tuple[Any, ...], Row], commit: Row, key: str, version: int, event: Row, report: Report
) -> None:
    """Take one event of `credential-<key>` into `rows`."""
    kind, data = event["type"].removeprefix("credential."), event["data"]
    if kind == "created":
        rows[key,] = {
            "workspace_id": commit["workspace"], "type": shown(data["type"]), **_described(data), **_NO_TOKENS,
            "version": 1, "generation": 0, "connection_error": None, "last_used_at": None, "last_test": None,
            "created_at": data["at"], "updated_at": data["at"], "fingerprint": shown(data.get("fingerprint", "")),
            "stream_version": version,
        }  # fmt: skip
        return
    row = rows.get((key,))
    if row is None:
        report("transition", f"{commit['stream']} version {version}", f"{event['type']} follows nothing")
        return
    row["stream_version"] = version
    match kind:
        case "updated":
            row.update(_described(data), version=data["version"], updated_at=data["at"])
            if data.get("disconnected"):
                row.update(_NO_TOKENS, connection_error=None)
        case "deleted":
            del rows[key,]
        case "resealed":
            sealed = dict(data["sealed"])
            for token in ("access_token", "refresh_token"):
                if token in sealed:
                    row[token] = sealed.pop(token)
            row["sealed"] = digest(sealed)
        case "tokens_stored":
            expires_at = data.get("expires_at")
            row.update(data["sealed"], generation=data["generation"], expires_at=expires_at, connection_error=None)
            row["scope"] = shown(data.get("scope", ""))
        case "connection_ended":
            row["connection_error"] = digest({name: data[name] for name in ("code", "message", "at")})
            if not data.get("state_id"):
                row.update(_NO_TOKENS)
        case "used":
            row["last_used_at"] = data["at"]
        case "tested":
            row["last_test"] = digest(
                {"ok": data["ok"], "code": data.get("code", ""), "message": data.get("message", ""), "at": data["at"]}
            )


def _described(data: Row) -> Row:
    return {
        "name": shown(data["name"]), "description": shown(data.get("description", "")),
        "fields": digest(data["fields"]), "sealed": digest(data["sealed"]),
    }  # fmt: skip
