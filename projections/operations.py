"""What a projection wants done to rows: typed, frozen values that PostgreSQL or memory carries out.

Values: uuids, texts and JSON as str (JSON as its text), times in milliseconds since 1970, numbers, booleans, None.
"""

from typing import Any, Literal, TypeAlias

import msgspec

Kind = Literal["uuid", "text", "integer", "bigint", "float", "boolean", "json", "time"]
Key: TypeAlias = tuple[Any, ...]
Values: TypeAlias = dict[str, Any]


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table as operations see it. `columns`: all of them, the key's first, with their kinds.

    `lasting`: columns that keep what the row began with when an Upsert meets a row. `months`: the table has a
    partition a month of its first key column (`queued_at`) and takes so many rows that operations on it are merged
    per key and written in bulk; other tables take them one by one, in order. `family`: an Insert says that no row
    of any table with months whose key begins with the same so many values was there before. `durable`: what somebody
    has read there must not be taken back by a crash of the database: a batch that changes it is flushed to disk.
    """

    name: str
    key: tuple[str, ...]
    columns: dict[str, Kind]
    defaults: Values = {}
    lasting: frozenset[str] = frozenset()
    months: bool = False
    family: int = 0
    durable: bool = False


class Insert(msgspec.Struct, frozen=True, gc=False):
    """A row that cannot be there yet. Columns that `values` leaves out get their defaults (else null)."""

    table: str
    key: Key
    values: Values


class Upsert(msgspec.Struct, frozen=True, gc=False):
    """A row that may be there: then the given columns are replaced, but for the lasting ones."""

    table: str
    key: Key
    values: Values


class Update(msgspec.Struct, frozen=True, gc=False):
    """A row that is there: the given columns are replaced. Nothing happens if it is not."""

    table: str
    key: Key
    values: Values


class UpdateWhere(msgspec.Struct, frozen=True, gc=False):
    """All rows whose columns equal `where`: the given columns are replaced. Not for tables with months."""

    table: str
    where: Values
    values: Values


class Add(msgspec.Struct, frozen=True, gc=False):
    """Numbers of a row grow by `amounts`; a row that is not there begins with its defaults. Not for tables with
    months. Operations of one batch on the same row become one."""

    table: str
    key: Key
    amounts: Values


class Delete(msgspec.Struct, frozen=True, gc=False):
    table: str
    key: Key


Operation: TypeAlias = Insert | Upsert | Update | UpdateWhere | Add | Delete
