"""What is waited out: a database that is away, and nothing else in silence."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from infra.postgres.pool import CONNECTION_LOST, DATABASE_AWAY, Connection, open_connection
from infra.postgres.waiting import waited_out
from infra.telemetry.logs import get_logger

log = get_logger("test")


@pytest.fixture
async def connection(postgres_url: str) -> AsyncIterator[Connection]:
    opened = await open_connection(postgres_url)
    yield opened
    await opened.close()


@pytest.mark.parametrize("lost", [asyncio.IncompleteReadError(b"", 4), asyncpg.InternalClientError("got no answer")])
def test_a_connection_that_ends_in_the_middle_of_an_answer_is_away(lost: Exception) -> None:
    assert isinstance(lost, CONNECTION_LOST)
    assert isinstance(lost, DATABASE_AWAY)


@pytest.mark.parametrize(
    "statement",
    [
        "SELEC 1",
        "SELECT nothing FROM pg_class",
        "SELECT no_such_function()",
        "SELECT 1 / 0",
        "SELECT 'x'::integer",
        "INSERT INTO once VALUES (1), (1)",
    ],
)
async def test_what_is_wrong_with_a_statement_is_not_waited_for(connection: Connection, statement: str) -> None:
    await connection.execute("CREATE TEMP TABLE once (id integer PRIMARY KEY)")
    with pytest.raises(asyncpg.PostgresError) as refused:
        await connection.execute(statement)
    assert not isinstance(refused.value, DATABASE_AWAY)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM not_yet_migrated",
        "CREATE TABLE nowhere.t ()",
        "SELECT pg_terminate_backend(pg_backend_pid())",
        "SET statement_timeout = 1; SELECT pg_sleep(9)",
        "BEGIN; SET LOCAL idle_in_transaction_session_timeout = 1; SELECT 1",
    ],
)
async def test_what_passes_by_itself_is_waited_for(connection: Connection, statement: str) -> None:
    with pytest.raises(DATABASE_AWAY):
        await _repeat(connection, statement)


async def _repeat(connection: Connection, statement: str) -> None:
    """And wait for the end of the session, where it comes a moment later."""
    await connection.execute(statement)
    while True:
        await connection.execute("SELECT 1")
        await asyncio.sleep(0.01)


async def test_what_does_not_pass_is_told_as_an_error_each_time(
    connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        with waited_out(log, "the rows cannot be read", quiet=True) as reading:
            await connection.execute("SELEC 1")
        assert reading.failed
        told = capsys.readouterr().out
        assert "error" in told
        assert "the rows cannot be read" in told
        assert "syntax error" in told
    with waited_out(log, "the rows cannot be read") as reading:
        await connection.execute("SELECT * FROM not_yet_migrated")
    assert reading.failed
    told = capsys.readouterr().out
    assert "warning" in told
    assert "Traceback" not in told
    with waited_out(log, "the rows cannot be read") as reading:
        await connection.execute("SELECT 1")
    assert not reading.failed
    assert capsys.readouterr().out == ""


async def test_what_is_not_the_databases_is_not_caught() -> None:
    with pytest.raises(KeyError), waited_out(log, "nothing"):
        raise KeyError("x")
