"""Many operations, few writes: operations of one batch on the same row become one."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from projections.catalog import TABLES
from projections.operations import Add, Delete, Insert, Key, Operation, Table, Update, UpdateWhere, Upsert, Values

Write = Literal["insert", "upsert", "update", "delete"]


class Pending(msgspec.Struct, gc=False):
    """What one row of a table with months becomes."""

    write: Write
    values: Values


class Merged(msgspec.Struct):
    """`rows`: for each table with months, what becomes of each row (at most one write a key).

    `ordered`: the operations on other tables, in order. `sums`: table → key → what is added to its numbers.
    """

    rows: dict[str, dict[Key, Pending]]
    ordered: list[Operation]
    sums: dict[str, dict[Key, Values]] = {}


def merge(operations: Iterable[Operation]) -> Merged:
    """Carrying out the result gives the rows that carrying out `operations` one by one gives.

    ValueError where operations contradict each other (an Insert of a row that is there, a change of one deleted).
    """
    merged = Merged({}, [], {})
    families: set[Key] = set()
    for operation in operations:
        table = TABLES[operation.table]
        if isinstance(operation, Add):
            _sum(merged.sums.setdefault(table.name, {}), operation)
        elif table.months:
            rows = merged.rows.setdefault(table.name, {})
            _merge(table, rows, families, operation)
        else:
            merged.ordered.append(operation)
    return merged


def _sum(rows: dict[Key, Values], operation: Add) -> None:
    amounts = rows.setdefault(operation.key, {})
    for name, amount in operation.amounts.items():
        amounts[name] = amounts.get(name, 0) + amount


def _merge(
    table: Table,
    rows: dict[Key, Pending],
    families: set[Key],
    operation: Insert | Upsert | Update | UpdateWhere | Delete,
) -> None:
    if isinstance(operation, UpdateWhere):
        raise ValueError(f"rows of {table.name} change by key only")
    key = operation.key
    before = rows.get(key)
    if before is None:
        rows[key] = _first(table, families, operation)
        return
    match operation:
        case Update() if before.write != "delete":
            before.values.update(operation.values)
        case Upsert() if before.write in ("insert", "upsert"):
            _replace(before.values, operation.values, table.lasting)
        case _:
            raise ValueError(f"{table.name} {key}: {type(operation).__name__} after {before.write}")


def _first(table: Table, families: set[Key], operation: Insert | Upsert | Update | Delete) -> Pending:
    family = operation.key[: table.family]
    match operation:
        case Insert():
            if family:
                families.add(family)
            return Pending("insert", dict(operation.values))
        case Upsert():
            return Pending("insert" if family and family in families else "upsert", dict(operation.values))
        case Update():
            return Pending("update", dict(operation.values))
        case Delete():
            return Pending("delete", {})


def _replace(values: Values, by: Values, lasting: frozenset[str]) -> None:
    values.update({name: value for name, value in by.items() if name not in lasting})
