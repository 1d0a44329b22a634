import pytest

from projections.sql import load_queries, parse_queries


def test_named_queries() -> None:
    assert parse_queries("-- a comment\n-- name: one\nSELECT 1;\n\n-- name: two\nSELECT\n  2\n") == {
        "one": "SELECT 1",
        "two": "SELECT\n  2",
    }


def test_a_name_that_stands_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        parse_queries("-- name: one\nSELECT 1\n-- name: one\nSELECT 2")


def test_every_projection_has_its_queries() -> None:
    assert "get_execution" in load_queries("projections.executions")
