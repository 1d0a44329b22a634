"""What retention may have taken away, by its own records in the database (see projections/retention.py): by other code
than a rebuild's, as everything here."""

from collections.abc import Callable
from typing import Any, TypeAlias

from infra.postgres.pool import PooledConnection
from services.projector.verify_values import Row

MayBeGone: TypeAlias = Callable[[tuple[Any, ...], Row], bool]

FADED = {
    "executions": ("variables", "input", "output", "response"),
    "node_executions": ("output", "logs"),
    "webhook_deliveries": ("payload", "excerpt"),
    "event_deliveries": ("notice",),
}
"""Columns that a row may have lost with its payloads."""

_AGED: dict[str, tuple[str, Callable[[Row], bool]]] = {
    "schedule_firings": ("at", lambda _: True),
    "webhook_deliveries": ("updated_at", lambda row: row["status"] != "held"),
    "event_deliveries": ("ended_at", lambda row: row["ended_at"] is not None),
    "event_redeliveries": ("at", lambda _: True),
    "schedule_backfills": ("ended_at", lambda row: row["ended_at"] is not None),
    "dead_letters": ("updated_at", lambda row: row["status"] != "open"),
}
_NEVER = -1


class Retention:
    """`cuts`: where the history of a partition begins; `usage`: counted before; times in ms since 1970."""

    def __init__(self) -> None:
        self.cuts: dict[tuple[str, int], Row] = {}
        self.usage: dict[tuple[Any, ...], Row] = {}
        self._ended: dict[str, int] = {}
        self._payloads: dict[str, int] = {}

    def begin_of(self, topic: str, partition: int) -> int:
        cut = self.cuts.get((topic, partition))
        return 0 if cut is None else int(cut["next_offset"])

    def note(self, workspace: str, ended_before: int, payloads_before: int) -> None:
        self._ended[workspace] = ended_before
        self._payloads[workspace] = payloads_before

    def is_over(self, workspace: str, ended_at: int) -> bool:
        return ended_at < _of(self._ended, workspace)

    def is_faded(self, workspace: str, ended_at: int) -> bool:
        return ended_at < _of(self._payloads, workspace)

    def excuse(self, table: str) -> MayBeGone:
        """For tables other than those of executions."""
        rule = _AGED.get(table)
        if rule is None:
            return lambda _key, _row: False
        at, may_go = rule
        return lambda _key, row: may_go(row) and self.is_over(row["workspace_id"], row[at])

    def faded_of(self, table: str, rows: dict[tuple[Any, ...], Row]) -> Callable[[tuple[Any, ...]], bool]:
        """Which of these may be without their payloads, for tables other than those of executions."""
        if table not in FADED:
            return lambda _key: False
        at, may_go = _AGED[table]
        faded = {key for key, row in rows.items() if may_go(row) and self.is_faded(row["workspace_id"], row[at])}
        return faded.__contains__


class Expected:
    """Which of some executions may be gone or faded. `executions`: (queued_at, id) → row, before it is used up."""

    def __init__(self, executions: dict[tuple[Any, ...], Row], retention: Retention) -> None:
        self._gone: set[tuple[Any, ...]] = set()
        self._faded: set[tuple[Any, ...]] = set()
        self._kept_whole: set[str] = set()
        for key, row in executions.items():
            ended = None if row["completed_at"] is None else max(row["completed_at"], key[0])
            if ended is not None and retention.is_over(row["workspace_id"], ended):
                self._gone.add(key)
            if ended is not None and retention.is_faded(row["workspace_id"], ended):
                self._faded.add(key)
            else:
                self._kept_whole.add(key[1])

    def may_be_gone(self, key: tuple[Any, ...], _row: Row) -> bool:
        return key[:2] in self._gone

    def faded(self, key: tuple[Any, ...]) -> bool:
        return key[:2] in self._faded

    def use_may_be_gone(self, key: tuple[Any, ...], _row: Row) -> bool:
        """Of a blob: its execution is faded, gone, or began before the history does."""
        return key[0] not in self._kept_whole


async def load_retention(connection: PooledConnection) -> Retention:
    retention = Retention()
    for row in await connection.fetch("SELECT * FROM read.log_cuts"):
        retention.cuts[row["topic"], row["partition"]] = dict(row)
    for row in await connection.fetch(
        "SELECT workspace_id::text AS workspace, (extract(epoch FROM ended_before) * 1000)::bigint AS ended,"
        " (extract(epoch FROM payloads_before) * 1000)::bigint AS payloads FROM read.horizons"
    ):
        retention.note(row["workspace"], row["ended"], row["payloads"])
    for row in await connection.fetch(
        "SELECT workspace_id::text AS workspace, (extract(epoch FROM hour) * 1000)::bigint AS at, *"
        " FROM read.usage_before_cuts"
    ):
        counts = dict(row)
        for name in ("workspace_id", "hour"):
            del counts[name]
        retention.usage[counts.pop("workspace"), counts.pop("at")] = counts
    return retention


def _of(horizons: dict[str, int], workspace: str) -> int:
    return horizons.get(workspace, _NEVER)
