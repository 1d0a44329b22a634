"""Read models in memory: for tests and simulation. Carries operations out one by one, in order."""

from collections.abc import Iterable
from typing import Any

from projections.catalog import TABLES
from projections.operations import Add, Delete, Insert, Key, Operation, Update, UpdateWhere, Upsert, Values


class DuplicateRow(Exception):
    """An Insert of a row that is there."""

    code = "duplicate_row"


class MemoryTables:
    """`rows`: table → key → all columns but the key's."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[Key, Values]] = {name: {} for name in TABLES}

    def apply(self, operations: Iterable[Operation]) -> None:
        for operation in operations:
            self._apply(operation)

    def all_rows(self, table: str) -> list[dict[str, Any]]:
        """Whole rows, in the order of their keys."""
        names = TABLES[table].key
        return [
            {**dict(zip(names, key, strict=True)), **values}
            for key, values in sorted(self.rows[table].items(), key=lambda each: each[0])
        ]

    def _apply(self, operation: Operation) -> None:
        table = TABLES[operation.table]
        rows = self.rows[table.name]
        match operation:
            case Insert() if operation.key in rows:
                raise DuplicateRow(f"{table.name} {operation.key}")
            case Upsert() if operation.key in rows:
                changes = {name: value for name, value in operation.values.items() if name not in table.lasting}
                rows[operation.key].update(changes)
            case Insert() | Upsert():
                columns = [name for name in table.columns if name not in table.key]
                rows[operation.key] = {name: operation.values.get(name, table.defaults.get(name)) for name in columns}
            case Update():
                if operation.key in rows:
                    rows[operation.key].update(operation.values)
            case Add():
                names = [name for name in table.columns if name not in table.key]
                row = rows.setdefault(operation.key, {name: table.defaults.get(name) for name in names})
                for name, amount in operation.amounts.items():
                    row[name] += amount
            case Delete():
                rows.pop(operation.key, None)
            case UpdateWhere():
                for key, row in rows.items():
                    whole = {**dict(zip(table.key, key, strict=True)), **row}
                    if all(whole[name] == value for name, value in operation.where.items()):
                        row.update(operation.values)
