"""Carries a batch out in PostgreSQL: rows and positions in one transaction, moved by compare-and-set (rule 12)."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import Any

import asyncpg

from infra.failpoints import failpoint
from infra.postgres.pool import Connection, PooledConnection
from projections.catalog import TABLES, Projection
from projections.merge import Merged, Pending, merge
from projections.operations import Add, Delete, Insert, Key, Operation, Table, Update, UpdateWhere, Upsert
from projections.positions import Place
from services.projector import statements
from services.projector.batch import Entry, PlaceKey
from services.projector.schema import ensure_months
from services.projector.statements import column, instant, month_of, qualified

SESSION = {
    # Rows and position stand or fall together and the log has everything: nothing is lost but work. (Batches that
    # change a durable table are flushed all the same.)
    "synchronous_commit": "off",
    # Rows are found by their key, whatever the planner believes of a table that was empty a minute ago.
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_seqscan": "off",
}
"""Settings of the sessions that write read models."""

BAD_ROW: tuple[type[Exception], ...] = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    OverflowError,
    ValueError,
    TypeError,
)
"""Something in the batch cannot become a row, now or ever."""

_TIME_CACHE = 20_000
_WORTH_A_COPY = 60
"""Rows. Below, a prepared INSERT costs less: a COPY asks for the table's columns anew each time."""


class PositionMoved(Exception):
    """Another projector is ahead: nothing was written; read the positions and go on there."""

    code = "position_moved"


class ProjectorStore:
    """Writes the read models of `projections` in `schema` over one connection (used by one task)."""

    def __init__(
        self, connection: Connection | PooledConnection, projections: Sequence[Projection], schema: str = "read"
    ) -> None:
        self._connection = connection
        self._schema = schema
        self._projections = projections
        self._move_positions = statements.MOVE_POSITIONS.format(positions=qualified(schema, "positions"))
        self._months: set[str] = set()
        self._instants: dict[int, datetime] = {}

    async def apply(self, entries: Sequence[Entry], start: Mapping[PlaceKey, Place]) -> None:
        """Write `entries`, whose partitions stood at `start`, and move the positions behind the last of each.

        Raises PositionMoved, one of BAD_ROW, or what the connection raises: nothing is written then.
        """
        merged = merge(operation for entry in entries for operation in entry.operations)
        by_month = _by_month(merged)
        await self._ensure_months({month for _, month in by_month})
        async with self._connection.transaction():
            failpoint("projector.in_transaction")
            if any(TABLES[operation.table].durable for operation in merged.ordered):
                await self._connection.execute("SET LOCAL synchronous_commit = on")
            await self._move(start, {entry.key: entry.place for entry in entries})
            failpoint("projector.after_positions")
            for (name, month), rows in by_month.items():
                await self._write_rows(TABLES[name], f"{name}_{month}", rows)
            await self._write_ordered(merged.ordered)
            for name, sums in merged.sums.items():
                await self._add(TABLES[name], sums)
            failpoint("projector.before_commit")

    async def _ensure_months(self, months: set[str]) -> None:
        missing = months - self._months
        if missing:
            tables = [table for each in self._projections for table in each.tables if table.months]
            await ensure_months(self._connection, self._schema, tables, missing)
            self._months |= missing

    async def _move(self, start: Mapping[PlaceKey, Place], end: Mapping[PlaceKey, Place]) -> None:
        rows = []
        for (topic, partition), to in end.items():
            since = start[topic, partition]
            before = None if since.epoch is None else since.epoch.nonce
            epoch = (None, None) if to.epoch is None else (to.epoch.offset, to.epoch.nonce)
            rows += [
                (each.name, topic, partition, since.next_offset, before, to.next_offset, *epoch, to.next_n, to.answered)
                for each in self._projections
                if each.topic == topic
            ]
        if not rows:
            return
        done = await self._connection.execute(self._move_positions, *map(list, zip(*rows, strict=True)))
        if done != f"UPDATE {len(rows)}":
            raise PositionMoved("another projector is ahead of this one")

    async def _write_rows(self, table: Table, target: str, rows: dict[Key, Pending]) -> None:
        inserts: list[tuple[Any, ...]] = []
        groups: dict[tuple[str, tuple[str, ...]], list[tuple[Any, ...]]] = defaultdict(list)
        for key, pending in rows.items():
            if pending.write == "insert":
                inserts.append(self._record(table, key, pending.values))
            else:
                groups[pending.write, (*table.key, *pending.values)].append((*key, *pending.values.values()))
        await self._insert(table, target, inserts)
        for (write, columns), group in groups.items():
            make = _BULK[write]
            arrays = [
                column(list(values), table.columns[name])
                for name, values in zip(columns, zip(*group, strict=True), strict=True)
            ]
            await self._connection.execute(make(self._schema, target, table.name, columns), *arrays)

    async def _insert(self, table: Table, target: str, rows: list[tuple[Any, ...]]) -> None:
        if len(rows) >= _WORTH_A_COPY:
            await self._connection.copy_records_to_table(
                target, schema_name=self._schema, records=rows, columns=list(table.columns)
            )
        elif rows:
            statement = statements.insert_rows(self._schema, target, table.name)
            await self._connection.execute(statement, *map(list, zip(*rows, strict=True)))

    async def _add(self, table: Table, sums: dict[Key, dict[str, Any]]) -> None:
        rows = [self._record(table, key, amounts) for key, amounts in sums.items()]
        statement = statements.add_rows(self._schema, table.name)
        await self._connection.execute(statement, *map(list, zip(*rows, strict=True)))

    def _record(self, table: Table, key: Key, values: dict[str, Any]) -> tuple[Any, ...]:
        blank, times, pick = _shape(table.name)
        whole = {**blank, **values, **dict(zip(table.key, key, strict=True))}
        for name in times:
            if whole[name] is not None:
                whole[name] = self._instant(whole[name])
        return pick(whole)

    def _instant(self, milliseconds: int) -> datetime:
        """A batch has many rows and few times: each is made once."""
        found = self._instants.get(milliseconds)
        if found is None:
            if len(self._instants) >= _TIME_CACHE:
                self._instants.clear()
            found = self._instants[milliseconds] = instant(milliseconds)
        return found

    async def _write_ordered(self, operations: Iterable[Operation]) -> None:
        """One by one in order; runs of the same shape go in one message exchange."""
        prepared = (_one(self._schema, operation) for operation in operations)
        for statement, group in groupby(prepared, key=lambda each: each[0]):
            await self._connection.executemany(statement, [arguments for _, arguments in group])


_BULK = {"upsert": statements.upsert_rows, "update": statements.update_rows, "delete": statements.delete_rows}


@cache
def _shape(name: str) -> tuple[dict[str, Any], list[str], Callable[[dict[str, Any]], tuple[Any, ...]]]:
    """For rows of a table: one with nothing but defaults, the columns that are times, and all columns in order."""
    table = TABLES[name]
    blank = {**dict.fromkeys(table.columns), **table.defaults}
    return blank, [column for column, kind in table.columns.items() if kind == "time"], itemgetter(*table.columns)


def _by_month(merged: Merged) -> dict[tuple[str, str], dict[Key, Pending]]:
    """(table, month) → its rows. Rows are written straight into the partition of their month."""
    found: dict[tuple[str, str], dict[Key, Pending]] = {}
    months: dict[int, str] = {}
    for name, rows in merged.rows.items():
        for key, pending in rows.items():
            day = key[0] // 86_400_000
            month = months.get(day)
            if month is None:
                month = months[day] = month_of(key[0])
            target = found.get((name, month))
            if target is None:
                target = found[name, month] = {}
            target[key] = pending
    return found


def _one(schema: str, operation: Operation) -> tuple[str, list[Any]]:
    """The statement and its arguments for one operation on an ordinary table."""
    table = TABLES[operation.table]
    if isinstance(operation, Add):
        raise ValueError(f"sums of {table.name} are written apart")
    if isinstance(operation, UpdateWhere):
        names, where = tuple(operation.values), tuple(operation.where)
        values = [*operation.values.values(), *operation.where.values()]
        return statements.update_where(schema, table.name, names, where), _convert(table, (*names, *where), values)
    key = [*operation.key]
    match operation:
        case Delete():
            return statements.delete_where(schema, table.name, table.key), _convert(table, table.key, key)
        case Update():
            names = tuple(operation.values)
            values = [*operation.values.values(), *key]
            statement = statements.update_where(schema, table.name, names, table.key)
            return statement, _convert(table, (*names, *table.key), values)
        case Insert() | Upsert():
            columns = (*table.key, *operation.values)
            statement = statements.insert_one(schema, table.name, columns, isinstance(operation, Upsert))
            return statement, _convert(table, columns, [*key, *operation.values.values()])


def _convert(table: Table, names: tuple[str, ...], values: list[Any]) -> list[Any]:
    return [
        instant(value) if value is not None and table.columns[name] == "time" else value
        for name, value in zip(names, values, strict=True)
    ]
