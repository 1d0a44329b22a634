"""What is told of a fact: its data from the event and the read models, small, without what workflows worked on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import NAMESPACE_OID, UUID, uuid5

import msgspec

from domain.execution.endings import iso_time
from domain.subscription.commands import Notice, PlacedNotice, Redelivery, TellEvents
from domain.subscription.deliveries import WORKFLOWS
from domain.subscription.topics import TYPE_OF_FACT
from infra.postgres.pool import Pool
from projections.connection import Row
from services.in_parts import NOTICE_BYTES, in_parts
from services.scheduler.facts import Found, Interest

MOST_OUTPUT = 16_000
"""Bytes of an execution's output that come along where they are asked for."""
MOST_AT_ONCE = 50
"""Notices of one command."""
_LONGEST_TEXT = 500

_STATUS = {
    "execution.started": "running",
    "execution.completed": "completed",
    "execution.failed": "failed",
    "execution.timed_out": "timeout",
    "execution.cancelled": "cancelled",
}
_EXECUTIONS = """
SELECT e.id::text, e.workflow_id::text, e.workflow_version, e.trigger_type, e.retry_of::text, e.queued_at,
       e.started_at, e.completed_at, w.name AS workflow_name
FROM executions e LEFT JOIN workflows w ON w.id = e.workflow_id WHERE e.id = ANY($1::uuid[])
"""
_WORKFLOWS = "SELECT id::text, name, id::text AS workflow_id FROM workflows WHERE id = ANY($1::uuid[])"
_SCHEDULES = "SELECT id::text, name, workflow_id::text, next_run_at FROM schedules WHERE id = ANY($1::uuid[])"
_LETTERS = """
SELECT id::text, workspace_id::text, code, reason, command, stream, status, attempts
FROM dead_letters WHERE id = ANY($1::uuid[])
"""
_OPEN_LETTERS = """
SELECT workspace_id::text, code, count(*) AS open FROM dead_letters WHERE status = 'open' GROUP BY 1, 2
"""
_QUERIES = {"execution": _EXECUTIONS, "workflow": _WORKFLOWS, "schedule": _SCHEDULES, "letter": _LETTERS}
_HIDDEN = frozenset({"fingerprint", "definition", "document", "output", "body", "outside", "webhooks", "excerpt"})
_data = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode


def event_id(found: Found) -> str:
    """Of the fact, for ever."""
    topic, partition = found.slot
    return str(uuid5(NAMESPACE_OID, f"event {topic} {partition} {found.offset} {found.place}"))


@dataclass(frozen=True, slots=True)
class Told:
    """Commands to one subscription, in order."""

    interest: Interest
    commands: list[TellEvents]


class NoticeMaker:
    """Makes notices of facts. The read models have reached them: a caller has seen to that. `own_url`: for links."""

    def __init__(self, pool: Pool, own_url: str, operator: str) -> None:
        self._pool = pool
        self._own_url = own_url
        self._operator = operator

    async def tell(self, facts: Sequence[Found], at: int) -> list[Told]:
        """What each subscription is told of these facts, which come in the order of their partitions."""
        rows = {kind: await self._rows(kind, facts) for kind in _QUERIES}
        summary = await self._summary(facts)
        gathered: dict[tuple[str, str], list[PlacedNotice]] = {}
        interests: dict[str, Interest] = {}
        for found in facts:
            row = rows.get(found.kind, {}).get(found.key)
            if found.kind == "execution" and (row is None or _delivers(row)):
                continue  # of what delivers nobody is told, and what is gone is nobody's any more
            data = self._data(found, row)
            source = f"{found.slot[0]}/{found.slot[1]}"
            for interest in found.interests:
                wanted = interest.definition.workflow_id
                if wanted and data.get("workflow_id") != wanted:
                    continue
                notice = self._notice(found, interest, data, summary)
                interests[interest.id] = interest
                placed = PlacedNotice(found.offset, found.place, notice)
                gathered.setdefault((interest.id, source), []).append(placed)
        told: dict[str, Told] = {}
        for (subscription, source), notices in gathered.items():
            made = told.setdefault(subscription, Told(interests[subscription], []))
            made.commands.extend(TellEvents(source, part, at) for part in of_one_command(notices))
        return list(told.values())

    async def _rows(self, kind: str, facts: Sequence[Found]) -> dict[str, Row]:
        keys = list({UUID(found.key) for found in facts if found.kind == kind})
        if not keys:
            return {}
        return {row["id"]: row for row in await self._pool.fetch(_QUERIES[kind], keys)}

    async def _summary(self, facts: Sequence[Found]) -> list[Row]:
        """Open dead letters by workspace and code, where a review is told of."""
        if all(found.event.type != "dead_letter.reviewed" for found in facts):
            return []
        return list(await self._pool.fetch(_OPEN_LETTERS))

    def _notice(self, found: Found, interest: Interest, data: dict[str, Any], summary: Sequence[Row]) -> Notice:
        if found.event.type == "execution.completed" and interest.definition.include_output:
            data = data | {"output": _output(found)}
        if found.event.type == "dead_letter.reviewed":
            data = data | {
                "open": _open_letters(summary, None if interest.workspace == self._operator else interest.workspace)
            }
        return Notice(
            event_id(found), TYPE_OF_FACT[found.event.type], found.commit.time, found.commit.workspace, data,
            found.cursor,
        )  # fmt: skip

    def _data(self, found: Found, row: Row | None) -> dict[str, Any]:
        said = _plain(_data(found.event.data))
        match found.kind:
            case "execution":
                assert row is not None
                return self._execution(found, row, said)
            case "workflow":
                named = {} if row is None else {"workflow_name": row["name"]}
                return {"workflow_id": found.key, **named, **_without(said, "at")}
            case "schedule":
                named = {} if row is None else {"name": row["name"], "workflow_id": row["workflow_id"]}
                return {"schedule_id": found.key, **named, **_without(said, "at")}
            case "letter":
                known = {} if row is None else {name: row[name] for name in ("code", "reason", "command", "stream")}
                known |= {} if row is None else {"status": row["status"], "attempts": row["attempts"]}
                return {"letter_id": found.key, **_short(known), **_without(said, "at", "tv")}
            case _:
                return {"subscription_id": found.key, **_without(said, "at")}

    def _execution(self, found: Found, row: Row, said: dict[str, Any]) -> dict[str, Any]:
        kind = found.event.type
        data: dict[str, Any] = {
            "execution_id": found.key,
            "workflow_id": row["workflow_id"],
            "workflow_name": row["workflow_name"],
            "workflow_version": row["workflow_version"],
            "trigger_type": row["trigger_type"],
            "retry_of": row["retry_of"],
            "queued_at": _time(row["queued_at"]),
            "started_at": _time(row["started_at"]),
            "url": f"{self._own_url}/api/v1/executions/{found.key}",
        }
        if kind in _STATUS:
            data["status"] = _STATUS[kind]
            data["ended_at"] = iso_time(found.commit.time) if kind != "execution.started" else None
        if "error" in said:
            data["error"] = said["error"]
        if kind == "execution.cancelled":
            data["reason"] = said.get("reason", "")
        if kind == "execution.node_outcome_unknown":
            data |= {"node_id": said["node"], "run": said["run"], "asked": said.get("asked", False)}
        return {name: value for name, value in data.items() if value is not None}


def _delivers(row: Row) -> bool:
    return row["workflow_id"] in WORKFLOWS.values()


def _output(found: Found) -> Any:
    if "output" in found.event.blobs:
        return {"$blob": found.event.blobs["output"]}
    raw = msgspec.json.decode(found.event.data, type=dict[str, msgspec.Raw]).get("output", msgspec.Raw(b"[]"))
    return msgspec.json.decode(raw) if len(raw) <= MOST_OUTPUT else {"$omitted": True, "size": len(raw)}


def _open_letters(summary: Sequence[Row], workspace: str | None) -> dict[str, Any]:
    """How many letters are open, of one workspace or of all."""
    by_code: dict[str, int] = {}
    for row in summary:
        if workspace is None or row["workspace_id"] == workspace:
            by_code[row["code"]] = by_code.get(row["code"], 0) + row["open"]
    return {"total": sum(by_code.values()), "by_code": by_code}


def _plain(data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an event that say what happened: no documents, no payloads, no long texts."""
    return _short({name: value for name, value in data.items() if name not in _HIDDEN})


def _short(data: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in data.items():
        if isinstance(value, str):
            found[name] = value if len(value) <= _LONGEST_TEXT else value[:_LONGEST_TEXT] + "…"
        elif isinstance(value, dict):
            found[name] = _short(value)
        elif isinstance(value, int | float) or value is None:
            found[name] = value
    return found


def _without(data: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in names}


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else iso_time(round(moment.timestamp() * 1_000))


Part = TypeVar("Part", PlacedNotice, Redelivery)


def of_one_command(notices: Sequence[Part]) -> Iterator[list[Part]]:
    """In order, as many together as one command takes."""
    return in_parts(notices, lambda each: len(_encode(each)), NOTICE_BYTES, MOST_AT_ONCE)
