"""Proves that the rows are what the log says: folds it a second time by other code and compares, while all goes on."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import asyncpg

from infra.log.port import Log, OffsetOutOfRange, Topic
from infra.postgres.pool import Pool, PooledConnection
from projections.catalog import PROJECTIONS
from services.projector import (
    verify_blob_uses,
    verify_dead_letters,
    verify_deliveries,
    verify_schedules,
    verify_subscriptions,
    verify_usage,
    verify_variables,
)
from services.projector.verify_history import AggregateHistory, ExecutionHistory, PartitionHistory, Row, digest
from services.projector.verify_retention import FADED, Expected, MayBeGone, Retention, load_retention

Progress = Callable[[int, int], None]
"""Called with (records read, records to read)."""

_SHOWN = 100
_RECORDS_AT_ONCE = 50_000
"""Partitions are folded in groups of about so many records: memory is bounded, each group reads the rows once."""

_EXECUTIONS = {
    "queued_at": "time", "id": "uuid", "workspace_id": "uuid", "workflow_id": "uuid", "workflow_version": "",
    "status": "", "trigger_type": "", "trigger_node": "", "priority": "", "fingerprint": "", "retry_of": "uuid",
    "retry_count": "", "parent_id": "uuid", "delivery_id": "uuid", "recoveries": "",
    "variables": "json", "input": "json", "output": "json", "error": "json", "response": "json", "started_at": "time",
    "completed_at": "time", "stream_version": "",
}  # fmt: skip
_NODES = {
    "queued_at": "time", "execution_id": "uuid", "node_id": "", "run": "", "seq": "", "status": "", "attempts": "",
    "sources": "json", "output": "json", "error": "json", "asked": "json", "awaits": "json", "taken": "",
    "ended_seq": "", "logs": "json", "started_at": "time", "completed_at": "time",
}  # fmt: skip
_OF_EXECUTIONS = ("executions", "node_executions", "usage_hours", "blob_uses")
_AGGREGATES: dict[str, tuple[int, dict[str, str]]] = {
    "workspaces": (1, {"id": "uuid", "name": "", "created_at": "time", "weight": "", "concurrent": "",
                       "retention_days": "", "payload_retention_days": ""}),
    "api_keys": (1, {"key_hash": "", "key_id": "uuid", "workspace_id": "uuid", "prefix": "", "name": "",
                     "created_at": "time", "revoked_at": "time"}),
    "workflows": (1, {"id": "uuid", "workspace_id": "uuid", "name": "", "status": "", "version": "",
                      "active_version": "", "created_at": "time", "updated_at": "time", "fingerprint": "",
                      "stream_version": ""}),
    "workflow_versions": (2, {"workflow_id": "uuid", "version": "", "workspace_id": "uuid", "name": "",
                              "document": "json", "created_at": "time"}),
    "webhooks": (1, {"endpoint_id": "", "workspace_id": "uuid", "workflow_id": "uuid", "workflow_version": "",
                     "node": "", "method": "", "respond": "", "active": ""}),
    "credentials": (1, {"id": "uuid", "workspace_id": "uuid", "type": "", "name": "", "description": "",
                        "fields": "json", "sealed": "json", "access_token": "", "refresh_token": "", "version": "",
                        "generation": "", "expires_at": "time", "scope": "", "connection_error": "json",
                        "last_used_at": "time", "last_test": "json", "created_at": "time", "updated_at": "time",
                        "fingerprint": "", "stream_version": ""}),
    **verify_schedules.COLUMNS,
    **verify_dead_letters.COLUMNS,
    **verify_deliveries.COLUMNS,
    **verify_subscriptions.COLUMNS,
    **verify_variables.COLUMNS,
}  # fmt: skip


def _never(_key: tuple[Any, ...], _row: Row) -> bool:
    return False


class VerifyRefused(Exception):
    """There is nothing to compare, or nothing that can be; the message says what to do."""

    code = "verify_refused"


@dataclass(frozen=True, slots=True)
class Difference:
    """`kind`: missing_history (nothing of that partition is compared), gap, undecodable, epoch, version,
    answered_twice, stream, queued_at, transition, terminal (history); position, missing_row, wrong_row, surplus_row
    (rows)."""

    kind: str
    where: str
    what: str


@dataclass(slots=True)
class VerifyReport:
    """`statuses`: executions by status; `differences`: the first hundred, `found` counts all by kind."""

    commits: int = 0
    void: int = 0
    events: int = 0
    executions: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return not self.found

    def add(self, kind: str, where: str, what: str) -> None:
        self.found[kind] += 1
        if len(self.differences) < _SHOWN:
            self.differences.append(Difference(kind, where, what))


async def verify(log: Log, pool: Pool, progress: Progress = lambda done, total: None) -> VerifyReport:
    """Compare all rows with the log up to the stored positions, as they stand at one moment.

    Raises VerifyRefused if there are no read models yet, or of another version. LogUnavailable passes through.
    """
    began = time.monotonic()
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        report = VerifyReport()
        work = _Verification(log, connection, report, progress)
        await work.begin()
        await work.aggregates()
        await work.executions()
    report.seconds = time.monotonic() - began
    return report


class _Verification:
    def __init__(self, log: Log, connection: PooledConnection, report: VerifyReport, progress: Progress) -> None:
        self._log = log
        self._connection = connection
        self._report = report
        self._progress = progress
        self._ends: dict[tuple[str, int], int] = {}
        self._stored: list[Row] = []
        self._missing: set[tuple[str, int]] = set()
        self._retention = Retention()
        self._read = 0

    async def begin(self) -> None:
        tables = ", ".join(f"read.{name}" for name in ("positions", *_OF_EXECUTIONS, *_AGGREGATES))
        try:
            # Before the snapshot is taken: a rebuild must not put other tables in their place meanwhile.
            await self._connection.execute(f"LOCK TABLE {tables} IN ACCESS SHARE MODE")
        except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
            raise VerifyRefused("there are no read models in this database: start a projector first") from None
        self._stored = [dict(row) for row in await self._connection.fetch("SELECT * FROM read.positions")]
        for row in self._stored:
            key = (row["topic"], row["partition"])
            if self._ends.setdefault(key, row["next_offset"]) != row["next_offset"]:
                raise VerifyRefused(f"the read models of {key[0]} stand at different positions: rebuild them first")
        await self._check_versions()
        self._retention = await load_retention(self._connection)
        for topic, partition in self._ends:
            begin = self._retention.begin_of(topic, partition)
            first = await self._log.first_offset(Topic(topic), partition)
            if first > begin:
                self._missing.add((topic, partition))
                self._report.add(
                    "missing_history",
                    f"{topic}/{partition}",
                    f"offsets {begin} to {first - 1} are gone, and the database does not know what stood there;"
                    " if a backup of it was restored: linkflow restored (docs/backup.md)",
                )

    async def _check_versions(self) -> None:
        rows = await self._connection.fetch("SELECT name, version FROM read.projections")
        stored = {row["name"]: row["version"] for row in rows}
        others = [name for name, each in PROJECTIONS.items() if stored.get(name) != each.version]
        if others:
            raise VerifyRefused(
                f"the rows of {', '.join(others)} are of another version of LinkFlow: a projector of this one rebuilds"
                " them. If a backup was restored: linkflow restored, first (docs/backup.md)"
            )

    async def aggregates(self) -> None:
        if any(topic == Topic.EVENTS for topic, _ in self._missing):
            return
        history = AggregateHistory(self._report.add)
        for partition in self._partitions(Topic.EVENTS):
            await self._fold(Topic.EVENTS, partition, history.fold)
        for name, (keys, columns) in _AGGREGATES.items():
            excuse = self._retention.excuse(name)
            rows = history.tables[name]
            faded = self._retention.faded_of(name, rows)
            await self._compare(name, columns, keys, rows, lambda _: True, excuse, faded)

    async def executions(self) -> None:
        count = self._log.partitions
        usage: dict[tuple[Any, ...], Row] = self._retention.usage
        for group in self._groups():
            executions: dict[tuple[Any, ...], Row] = {}
            nodes: dict[tuple[Any, ...], Row] = {}
            uses: dict[tuple[Any, ...], Row] = {}
            for partition in group:
                history = ExecutionHistory(self._report.add)

                def fold(
                    commit: Row,
                    history: ExecutionHistory = history,
                    blob_uses: dict[tuple[Any, ...], Row] = uses,
                ) -> None:
                    history.fold(commit)
                    verify_usage.fold_usage(usage, commit)
                    verify_blob_uses.fold_blob_uses(blob_uses, commit)

                await self._fold(Topic.EXECUTIONS, partition, fold)
                self._check_ends(history)
                for key, row in history.executions.items():
                    executions[row.pop("queued_at"), key] = row
                queued = {key: queued_at for queued_at, key in executions}
                for (key, node, run), row in history.nodes.items():
                    nodes[queued.get(key), key, node, run] = row
            chosen = frozenset(group)

            def mine(key: tuple[Any, ...], chosen: frozenset[int] = chosen) -> bool:
                return crc32(f"execution-{key[1]}".encode()) % count in chosen

            expected = Expected(executions, self._retention)
            await self._compare("executions", _EXECUTIONS, 2, executions, mine, expected.may_be_gone, expected.faded)
            await self._compare("node_executions", _NODES, 4, nodes, mine, expected.may_be_gone, expected.faded)

            def own(key: tuple[Any, ...], chosen: frozenset[int] = chosen) -> bool:
                return crc32(f"execution-{key[0]}".encode()) % count in chosen

            await self._compare("blob_uses", verify_blob_uses.COLUMNS, 2, uses, own, expected.use_may_be_gone)
        if not self._missing:  # it adds up all partitions
            await self._compare("usage_hours", verify_usage.COLUMNS, 2, usage, lambda _: True)

    def _partitions(self, topic: Topic) -> list[int]:
        return sorted(key[1] for key in self._ends if key[0] == topic and key not in self._missing)

    def _groups(self) -> Iterator[list[int]]:
        group: list[int] = []
        size = 0
        for partition in self._partitions(Topic.EXECUTIONS):
            records = self._ends[Topic.EXECUTIONS, partition]
            if group and size + records > _RECORDS_AT_ONCE:
                yield group
                group, size = [], 0
            group.append(partition)
            size += records
        if group:
            yield group

    async def _fold(self, topic: Topic, partition: int, fold: Callable[[Row], None]) -> None:
        end = self._ends[topic, partition]
        history = PartitionHistory(
            f"{topic}/{partition}", self._report.add, self._retention.cuts.get((topic.value, partition))
        )
        total = sum(end - self._retention.begin_of(*key) for key, end in self._ends.items())
        reader = await self._log.reader()
        try:
            if end > history.next_offset:
                reader.seek(topic, partition, history.next_offset)
            while history.next_offset < end:
                for record in await reader.read(max_records=2_000):
                    if record.offset >= end:
                        break
                    commit = history.read(record.offset, record.headers, record.value)
                    self._read += 1
                    if commit is not None:
                        _fold_one(fold, commit, self._report, f"{topic}/{partition}@{record.offset}")
                self._progress(self._read, total)
        except OffsetOutOfRange as error:
            raise VerifyRefused(
                f"the log was cut meanwhile (then ask again), or the positions are ahead of it: {error}"
            ) from error
        finally:
            await reader.close()
        self._check_position(topic, partition, history)
        self._report.commits += history.commits
        self._report.void += history.void
        self._report.events += history.events

    def _check_position(self, topic: Topic, partition: int, history: PartitionHistory) -> None:
        expected = (history.epoch, history.next_n, history.answered)
        for row in self._stored:
            if (row["topic"], row["partition"]) != (topic, partition):
                continue
            epoch = None if row["epoch_nonce"] is None else f"{row['epoch_offset']}:{row['epoch_nonce']}"
            found = (epoch, row["next_n"], row["answered"])
            if found != expected:
                where = f"{row['projection']} {topic}/{partition}"
                self._report.add("position", where, f"(epoch, n, answered) is {found}, should be {expected}")

    def _check_ends(self, history: ExecutionHistory) -> None:
        self._report.executions += len(history.executions)
        for key, row in history.executions.items():
            self._report.statuses[row["status"]] += 1
            ends = history.ended.get(key, 0)
            if ends > 1:
                self._report.add("terminal", f"execution-{key}", f"{ends} terminal events")

    async def _compare(
        self,
        table: str,
        columns: Mapping[str, str],
        keys: int,
        expected: dict[tuple[Any, ...], Row],
        mine: Callable[[tuple[Any, ...]], bool],
        may_be_gone: MayBeGone = _never,
        faded: Callable[[tuple[Any, ...]], bool] = lambda _: False,
    ) -> None:
        """`expected` is used up: what is left has no row, which only `may_be_gone` excuses. Rows that are `faded`
        may be without their payloads."""
        names = list(columns)
        query = f"SELECT {', '.join(_select(name, kind) for name, kind in columns.items())} FROM read.{table}"  # noqa: S608
        jsons = [place for place, kind in enumerate(columns.values()) if kind == "json"]
        async for row in self._connection.cursor(query, prefetch=1_000):
            key = tuple(row[place] for place in range(keys))
            if not mine(key):
                continue
            self._report.rows[table] += 1
            wanted = expected.pop(key, None)
            if wanted is None:
                self._report.add(
                    "surplus_row", f"{table} {_text(key)}", "the log knows nothing of it, or it is there twice"
                )
                continue
            values = [row[place] for place in range(len(names))]
            for place in jsons:
                values[place] = None if values[place] is None else digest(_whole(table, names[place], values[place]))
            wrong = [name for name, value in zip(names[keys:], values[keys:], strict=True) if wanted[name] != value]
            if wrong and faded(key):
                wrong = [
                    name
                    for name in wrong
                    if name not in FADED.get(table, ()) or row[names.index(name)] not in (None, "")
                ]
            if wrong:
                self._report.add(
                    "wrong_row", f"{table} {_text(key)}", _explain(wrong, wanted, dict(zip(names, values, strict=True)))
                )
        for key, wanted in expected.items():
            if may_be_gone(key, wanted):
                continue
            self._report.add("missing_row", f"{table} {_text(key)}", "the log says that it should be there")


def _fold_one(fold: Callable[[Row], None], commit: Row, report: VerifyReport, where: str) -> None:
    try:
        fold(commit)
    except (KeyError, TypeError, ValueError) as error:
        report.add("undecodable", where, f"{type(error).__name__}: {error}")


def _select(name: str, kind: str) -> str:
    if kind == "time":
        return f"(extract(epoch FROM {name}) * 1000)::bigint AS {name}"
    return f"{name}::text AS {name}" if kind in ("uuid", "json") else name


def _whole(table: str, name: str, text: str) -> Any:
    """A node's error names its node or not: the same thing said with and without null."""
    value = json.loads(text)
    return {"node_id": None, **value} if table == "node_executions" and name == "error" else value


def _explain(wrong: Sequence[str], wanted: Row, found: Row) -> str:
    return "; ".join(
        f"{name} differs"
        if isinstance(wanted[name], bytes)
        else f"{name} is {found[name]!r}, should be {wanted[name]!r}"
        for name in wrong
    )


def _text(key: tuple[Any, ...]) -> str:
    return "/".join(str(part) for part in key)
