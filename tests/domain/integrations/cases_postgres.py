"""PostgreSQL: the statements, by the syntax of https://www.postgresql.org/docs/current/sql-commands.html.

They run on a real server in tests/services/worker/effects/test_sql.py.
"""

from typing import Any

from tests.domain.integrations.table import Case

EVIL = "x'; DROP TABLE orders; --"


def sql(
    operation: str,
    parameters: dict[str, Any],
    statement: str,
    arguments: list[Any],
    rows: list[Any] | None,
    items: list[Any],
    *,
    count: int = 0,
    read_only: bool = False,
    item: dict[str, Any] | None = None,
) -> Case:
    effect: dict[str, Any] = {"type": "sql_query", "statement": statement}
    if arguments:
        effect["arguments"] = arguments
    if read_only:
        effect["read_only"] = True
    return Case(operation, parameters, effect, {"rows": rows, "count": count}, items, item=item or {})


CASES: tuple[Case, ...] = (
    sql(
        "query",
        {"statement": "SELECT * FROM orders WHERE customer = $1", "values": ["{{ $json.name }}"]},
        "SELECT * FROM orders WHERE customer = $1",
        [EVIL],
        [{"id": 1}, {"id": 2}],
        [{"id": 1}, {"id": 2}],
        read_only=True,
        item={"name": EVIL},
    ),
    sql(
        "select",
        {
            "schema": "shop",
            "table": "orders",
            "columns": ["id", 'to"tal'],
            "where": [
                {"column": "customer", "value": "{{ $json.name }}"},
                {"column": "total", "operator": ">=", "value": 10},
                {"column": "state", "operator": "in", "value": ["new", "paid"]},
                {"column": "deleted", "operator": "is null"},
            ],
            "order_by": [{"column": "id", "order": "desc"}, {"column": "total"}],
            "limit": 5,
            "offset": 10,
        },
        'SELECT "id", "to""tal" FROM "shop"."orders" WHERE "customer" = $1 AND "total" >= $2 AND "state" = ANY($3) '
        'AND "deleted" IS NULL ORDER BY "id" DESC, "total" LIMIT $4 OFFSET $5',
        [EVIL, 10, ["new", "paid"], 5, 10],
        [],
        [],
        read_only=True,
        item={"name": EVIL},
    ),
    sql(
        "select",
        {"table": EVIL},
        f'SELECT * FROM "{EVIL}" LIMIT $1',
        [100],
        [{"a": None}],
        [{"a": None}],
        read_only=True,
    ),
    sql(
        "insert",
        {"schema": "shop", "table": "orders", "row": {"customer": "{{ $json.name }}", "total": 5}, "returning": ["id"]},
        'INSERT INTO "shop"."orders" ("customer", "total") VALUES ($1, $2) RETURNING "id"',
        [EVIL, 5],
        [{"id": 7}],
        [{"id": 7}],
        item={"name": EVIL},
    ),
    sql(
        "insert",
        {"table": "orders", "row": {"id": 1}, "skip_existing": True},
        'INSERT INTO "orders" ("id") VALUES ($1) ON CONFLICT DO NOTHING',
        [1],
        None,
        [{"count": 0}],
    ),
    sql(
        "upsert",
        {
            "schema": "shop",
            "table": "orders",
            "row": {"id": 1, "total": 5, "state": None},
            "keys": ["id"],
            "returning": ["*"],
        },
        'INSERT INTO "shop"."orders" ("id", "total", "state") VALUES ($1, $2, $3) ON CONFLICT ("id") '
        'DO UPDATE SET "total" = EXCLUDED."total", "state" = EXCLUDED."state" RETURNING *',
        [1, 5, None],
        [{"id": 1, "total": 5}],
        [{"id": 1, "total": 5}],
    ),
    sql(
        "upsert",
        {"table": "tags", "row": {"name": "a"}, "keys": ["name"]},
        'INSERT INTO "tags" ("name") VALUES ($1) ON CONFLICT ("name") DO NOTHING',
        ["a"],
        None,
        [{"count": 1}],
        count=1,
    ),
    sql(
        "update",
        {
            "schema": "shop",
            "table": "orders",
            "row": {"state": "paid"},
            "where": [{"column": "id", "value": 1}],
            "returning": ["id"],
        },
        'UPDATE "shop"."orders" SET "state" = $1 WHERE "id" = $2 RETURNING "id"',
        ["paid", 1],
        [{"id": 1}],
        [{"id": 1}],
    ),
    sql(
        "update",
        {"table": "orders", "row": {"state": "old"}, "all_rows": True},
        'UPDATE "orders" SET "state" = $1',
        ["old"],
        None,
        [{"count": 12}],
        count=12,
    ),
    sql(
        "delete",
        {
            "schema": "shop",
            "table": "orders",
            "where": [{"column": "id", "operator": "<", "value": 5}],
            "returning": ["id"],
        },
        'DELETE FROM "shop"."orders" WHERE "id" < $1 RETURNING "id"',
        [5],
        [{"id": 4}],
        [{"id": 4}],
    ),
    sql("delete", {"table": "orders", "all_rows": True}, 'DELETE FROM "orders"', [], None, [{"count": 3}], count=3),
    sql(
        "execute",
        {"statement": "CALL settle($1)", "values": [7]},
        "CALL settle($1)",
        [7],
        None,
        [{"count": 0}],
    ),
)
