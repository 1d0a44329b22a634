"""PostgreSQL: rows of tables, and statements with bound values.

Its syntax is at https://www.postgresql.org/docs/current/sql-commands.html. Names are quoted and values bound; a
statement's text takes no expression, so that nothing that comes from outside can become a part of it.
"""

from typing import Any

from domain.credential.credential_type import CredentialField, CredentialType
from domain.effects import CredentialRef, SqlQuery
from domain.integrations.servers import CA, HOST, PASSWORD, port, tls, tried_by
from domain.integrations.shape import Field, Integration, Operation, Values, local
from domain.integrations.sql import COMPARISONS, Statement, columns, given, order, quoted, table, where
from domain.nodes.failures import BAD_PARAMETER, NodeFailure
from domain.nodes.node_type import MAIN, Example
from domain.nodes.parameters import Parameter

_DOCS = "https://www.postgresql.org/docs/current/sql-"
MOST_ROWS = 10_000

POSTGRES_CREDENTIAL = CredentialType(
    "postgres",
    "PostgreSQL",
    "A database of a PostgreSQL server, and who works in it. Give workflows a user of their own with few rights.",
    (
        HOST,
        port("5432"),
        CredentialField("database", "Database", required=True),
        CredentialField("user", "User", required=True),
        PASSWORD,
        tls(),
        CA,
    ),
    test=tried_by(lambda ref: SqlQuery("SELECT 1", read_only=True, timeout_seconds=15.0, credential=ref)),
)

_TABLE: tuple[Field, ...] = (
    local("schema", docs="The table's schema; else the search path decides."),
    local("table", docs="The table's name, as it is: upper case counts.", required=True),
)
_WHERE = local(
    "where",
    "rows",
    docs="Conditions, all of which must hold.",
    of=(
        Parameter("column", "text", "The column.", required=True),
        Parameter("operator", "text", "How it is compared.", default="=", expression=False, choices=tuple(COMPARISONS)),
        Parameter("value", "any", "With what; for in and not in a list."),
    ),
)
_ALL = local("all_rows", "boolean", docs="Without conditions: really all rows.", default=False, expression=False)
_RETURNING = local("returning", "list", docs='The columns that are put out; ["*"]: all. Without: the count of rows.')
_STATEMENT: tuple[Field, ...] = (
    local(
        "statement",
        docs="One statement, with $1, $2, … for the values. It takes no expressions.",
        required=True,
        expression=False,
        longest=100_000,
    ),
    local("values", "list", docs="The values of $1, $2, …, each of which may be an expression.", default=[]),
)


def _effect(statement: Statement, credential: CredentialRef | None, *, read_only: bool = False) -> SqlQuery:
    return SqlQuery(statement=statement.text, arguments=statement.arguments, read_only=read_only, credential=credential)


def _returning(statement: Statement, values: Values) -> None:
    names = values["returning"]
    if names:
        statement.add("RETURNING", "*" if names == ["*"] else columns(names, "returning"))


def _conditions(statement: Statement, values: Values) -> None:
    """A change without conditions must be meant."""
    if not values["where"] and not values["all_rows"]:
        raise NodeFailure(BAD_PARAMETER, "parameter 'where' is empty: name conditions, or set all_rows")
    where(statement, values["where"])


def _select(values: Values, credential: CredentialRef | None) -> SqlQuery:
    statement = Statement().add("SELECT", columns(values["columns"], "columns"))
    statement.add("FROM", table(values["schema"], values["table"]))
    where(statement, values["where"])
    order(statement, values["order_by"])
    statement.add("LIMIT", statement.bind(int(values["limit"])))
    if values["offset"]:
        statement.add("OFFSET", statement.bind(int(values["offset"])))
    return _effect(statement, credential, read_only=True)


def _insert(values: Values, credential: CredentialRef | None) -> SqlQuery:
    statement = _into(values)
    if values["skip_existing"]:
        statement.add("ON CONFLICT DO NOTHING")
    _returning(statement, values)
    return _effect(statement, credential)


def _into(values: Values) -> Statement:
    row = given(values["row"], "row")
    statement = Statement().add("INSERT INTO", table(values["schema"], values["table"]))
    statement.add("(" + columns([*row], "row") + ")")
    return statement.add("VALUES", "(" + ", ".join(statement.bind(value) for value in row.values()) + ")")


def _upsert(values: Values, credential: CredentialRef | None) -> SqlQuery:
    keys = values["keys"]
    if not keys:
        raise NodeFailure(BAD_PARAMETER, "parameter 'keys' must name at least one column")
    statement = _into(values)
    statement.add("ON CONFLICT", "(" + columns(keys, "keys") + ")")
    changed = [quoted(name, "row") for name in values["row"] if name not in keys]
    if changed:
        statement.add("DO UPDATE SET", ", ".join(f"{name} = EXCLUDED.{name}" for name in changed))
    else:
        statement.add("DO NOTHING")
    _returning(statement, values)
    return _effect(statement, credential)


def _update(values: Values, credential: CredentialRef | None) -> SqlQuery:
    row = given(values["row"], "row")
    statement = Statement().add("UPDATE", table(values["schema"], values["table"]), "SET")
    statement.add(", ".join(f"{quoted(name, 'row')} = {statement.bind(value)}" for name, value in row.items()))
    _conditions(statement, values)
    _returning(statement, values)
    return _effect(statement, credential)


def _delete(values: Values, credential: CredentialRef | None) -> SqlQuery:
    statement = Statement().add("DELETE FROM", table(values["schema"], values["table"]))
    _conditions(statement, values)
    _returning(statement, values)
    return _effect(statement, credential)


def _query(values: Values, credential: CredentialRef | None) -> SqlQuery:
    return SqlQuery(statement=values["statement"], arguments=values["values"], read_only=True, credential=credential)


def _execute(values: Values, credential: CredentialRef | None) -> SqlQuery:
    return SqlQuery(statement=values["statement"], arguments=values["values"], credential=credential)


def _rows(answer: Any) -> list[Any]:
    return list(answer["rows"])


def _rows_or_count(answer: Any) -> list[Any]:
    """The rows that came back; of a statement that gives none how many it changed."""
    return [{"count": answer["count"]}] if answer["rows"] is None else list(answer["rows"])


OPERATIONS = (
    Operation(
        "query",
        "Query",
        "Runs one statement that only reads (in a read-only transaction); one item a row.",
        _query,
        _STATEMENT,
        effect="read",
        items=_rows,
        source=_DOCS + "select.html",
    ),
    Operation(
        "select",
        "Read rows",
        "Reads rows of a table; one item a row.",
        _select,
        (
            *_TABLE,
            local("columns", "list", docs="The columns; else all."),
            _WHERE,
            local(
                "order_by",
                "rows",
                docs="The order of the rows.",
                of=(
                    Parameter("column", "text", "The column.", required=True),
                    Parameter("order", "text", "Which way.", default="asc", expression=False, choices=("asc", "desc")),
                ),
            ),
            local("limit", "integer", docs="So many rows at most.", default=100, minimum=1, maximum=MOST_ROWS),
            local("offset", "integer", docs="Leave out so many rows.", default=0, minimum=0),
        ),
        effect="read",
        items=_rows,
        source=_DOCS + "select.html",
    ),
    Operation(
        "insert",
        "Insert a row",
        "Inserts one row for each item.",
        _insert,
        (
            *_TABLE,
            local("row", "object", docs="Values by column.", required=True),
            local("skip_existing", "boolean", docs="A row that is there already is no error.", default=False),
            _RETURNING,
        ),
        effect="unsafe",
        items=_rows_or_count,
        source=_DOCS + "insert.html",
    ),
    Operation(
        "upsert",
        "Insert or update a row",
        "Inserts a row, or updates the one that has the same keys (they need a unique index).",
        _upsert,
        (
            *_TABLE,
            local("row", "object", docs="Values by column, those of the keys included.", required=True),
            local("keys", "list", docs="The columns by which a row is known.", required=True),
            _RETURNING,
        ),
        effect="idempotent",
        items=_rows_or_count,
        source=_DOCS + "insert.html",
    ),
    Operation(
        "update",
        "Update rows",
        "Changes columns of the rows that fit.",
        _update,
        (*_TABLE, local("row", "object", docs="New values by column.", required=True), _WHERE, _ALL, _RETURNING),
        effect="idempotent",
        items=_rows_or_count,
        source=_DOCS + "update.html",
    ),
    Operation(
        "delete",
        "Delete rows",
        "Deletes the rows that fit.",
        _delete,
        (*_TABLE, _WHERE, _ALL, _RETURNING),
        effect="idempotent",
        items=_rows_or_count,
        source=_DOCS + "delete.html",
    ),
    Operation(
        "execute",
        "Run a statement",
        "Runs one statement that may change anything, in a transaction of its own.",
        _execute,
        _STATEMENT,
        effect="unsafe",
        items=_rows_or_count,
        source="https://www.postgresql.org/docs/current/sql-commands.html",
    ),
)

POSTGRES = Integration(
    "postgres",
    "PostgreSQL",
    "Reads and changes rows of a PostgreSQL database: one statement an item. Values are bound and names quoted. "
    "Dates, numeric, uuid and intervals come as text, bytea as Base64, bigint beyond 2^53 as text.",
    OPERATIONS,
    credential=POSTGRES_CREDENTIAL,
    examples=(
        Example(
            "Finds the orders of each customer.",
            {
                "operation": "query",
                "statement": "SELECT id, total FROM orders WHERE customer = $1 ORDER BY id",
                "values": ["{{ $json.customer }}"],
            },
            [{"customer": "Ada'; DROP TABLE orders; --"}],
            {MAIN: [{"id": 1, "total": "12.50"}, {"id": 4, "total": "3.00"}]},
            answer={"rows": [{"id": 1, "total": "12.50"}, {"id": 4, "total": "3.00"}], "count": 2},
        ),
    ),
)
