"""The SQL that carries out operations: made once for each shape of operation, with arrays for its rows."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from projections.catalog import TABLES
from projections.operations import Table

SQL_TYPES = {
    "uuid": "uuid",
    "text": "text",
    "integer": "integer",
    "bigint": "bigint",
    "float": "double precision",
    "boolean": "boolean",
    "json": "json",
    "time": "timestamptz",
}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant(milliseconds: int) -> datetime:
    """OverflowError for what no timestamp can hold."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def month_of(milliseconds: int) -> str:
    """The month in the name of a partition: `2026_11`."""
    return instant(milliseconds).strftime("%Y_%m")


def month_bounds(month: str) -> tuple[datetime, datetime]:
    """First instant of `month` and of the next one."""
    year, number = (int(part) for part in month.split("_"))
    following = (year + 1, 1) if number == 12 else (year, number + 1)
    return datetime(year, number, 1, tzinfo=UTC), datetime(*following, 1, tzinfo=UTC)


def qualified(schema: str, table: str) -> str:
    return f'"{schema}"."{table}"'


@cache
def insert_rows(schema: str, target: str, table_name: str) -> str:
    """Many new rows at once, with all columns as one array each."""
    table = TABLES[table_name]
    columns = tuple(table.columns)
    arrays = _arrays(table, columns)
    return f"INSERT INTO {qualified(schema, target)} ({', '.join(columns)}) SELECT * FROM {arrays}"  # noqa: S608


@cache
def upsert_rows(schema: str, target: str, table_name: str, columns: tuple[str, ...]) -> str:
    """Many rows at once: `columns` (the key's first) as one array each."""
    table = TABLES[table_name]
    changed = [name for name in columns if name not in table.key and name not in table.lasting]
    action = "UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in changed) if changed else "NOTHING"
    return (
        f"INSERT INTO {qualified(schema, target)} ({', '.join(columns)}) "  # noqa: S608 - names of our own
        f"SELECT * FROM {_arrays(table, columns)} ON CONFLICT ({', '.join(table.key)}) DO {action}"
    )


@cache
def add_rows(schema: str, table_name: str) -> str:
    """Many rows at once, with all columns as one array each: the numbers of those that are there grow. In the order of
    their keys, so that two that write cannot block each other in turn."""
    table = TABLES[table_name]
    columns = tuple(table.columns)
    keys = ", ".join(table.key)
    grown = ", ".join(f"{name} = old.{name} + excluded.{name}" for name in columns if name not in table.key)
    return (
        f"INSERT INTO {qualified(schema, table_name)} AS old ({', '.join(columns)}) "  # noqa: S608 - names of our own
        f"SELECT * FROM {_arrays(table, columns)} AS new({', '.join(columns)}) ORDER BY {keys} "
        f"ON CONFLICT ({keys}) DO UPDATE SET {grown}"
    )


@cache
def update_rows(schema: str, target: str, table_name: str, columns: tuple[str, ...]) -> str:
    table = TABLES[table_name]
    changes = ", ".join(f"{name} = new.{name}" for name in columns if name not in table.key)
    found = " AND ".join(f"old.{name} = new.{name}" for name in table.key)
    return (
        f"UPDATE {qualified(schema, target)} AS old SET {changes} "  # noqa: S608 - names of our own
        f"FROM {_arrays(table, columns)} AS new({', '.join(columns)}) WHERE {found}"
    )


@cache
def delete_rows(schema: str, target: str, table_name: str, columns: tuple[str, ...]) -> str:
    table = TABLES[table_name]
    found = " AND ".join(f"old.{name} = gone.{name}" for name in table.key)
    return (
        f"DELETE FROM {qualified(schema, target)} AS old "  # noqa: S608 - names of our own
        f"USING {_arrays(table, columns)} AS gone({', '.join(columns)}) WHERE {found}"
    )


@cache
def insert_one(schema: str, table_name: str, columns: tuple[str, ...], or_update: bool) -> str:
    table = TABLES[table_name]
    values = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
    statement = f"INSERT INTO {qualified(schema, table_name)} ({', '.join(columns)}) VALUES ({values})"  # noqa: S608
    if not or_update:
        return statement
    changed = [name for name in columns if name not in table.key and name not in table.lasting]
    action = ", ".join(f"{name} = excluded.{name}" for name in changed)
    return f"{statement} ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {action}"


@cache
def update_where(schema: str, table_name: str, changed: tuple[str, ...], where: tuple[str, ...]) -> str:
    changes = ", ".join(f"{name} = ${number}" for number, name in enumerate(changed, 1))
    found = " AND ".join(f"{name} = ${number}" for number, name in enumerate(where, len(changed) + 1))
    return f"UPDATE {qualified(schema, table_name)} SET {changes} WHERE {found}"  # noqa: S608 - names of our own


@cache
def delete_where(schema: str, table_name: str, where: tuple[str, ...]) -> str:
    found = " AND ".join(f"{name} = ${number}" for number, name in enumerate(where, 1))
    return f"DELETE FROM {qualified(schema, table_name)} WHERE {found}"  # noqa: S608 - names of our own


MOVE_POSITIONS = """
UPDATE {positions} AS p
SET next_offset = new.next_offset, epoch_offset = new.epoch_offset, epoch_nonce = new.epoch_nonce,
    next_n = new.next_n, answered = new.answered
FROM unnest($1::text[], $2::text[], $3::integer[], $4::bigint[], $5::text[],
            $6::bigint[], $7::bigint[], $8::text[], $9::bigint[], $10::bigint[])
  AS new(projection, topic, partition, from_offset, from_nonce,
         next_offset, epoch_offset, epoch_nonce, next_n, answered)
WHERE p.projection = new.projection AND p.topic = new.topic AND p.partition = new.partition
  AND p.next_offset = new.from_offset AND p.epoch_nonce IS NOT DISTINCT FROM new.from_nonce
"""
"""Compare and set (rule 12): a position moves only from where this batch began; the count of rows says if all did."""


def _arrays(table: Table, columns: tuple[str, ...]) -> str:
    parts = (f"${number}::{SQL_TYPES[table.columns[name]]}[]" for number, name in enumerate(columns, 1))
    return f"unnest({', '.join(parts)})"


def column(values: list[Any], kind: str) -> list[Any]:
    """Values of one column as PostgreSQL takes them."""
    if kind == "time":
        return [None if value is None else instant(value) for value in values]
    return values
