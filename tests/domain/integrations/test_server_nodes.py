"""What the nodes for PostgreSQL, Redis and e-mail refuse before anything is asked of the world."""

from typing import Any

import pytest

from domain.effects import Attachment, ItemResult
from domain.errors import InvalidDocument
from domain.execution.commands import StartExecution
from tests.domain.integrations.table import CREDENTIAL, selects, started
from tests.support.executions import EXECUTION, NOW, Run, node, workflow

WHERE = [{"column": "id", "value": 1}]
MAIL = {"to": "ada@example.com", "subject": "s", "text": "t"}


@pytest.mark.parametrize(
    ("type_", "operation", "parameters", "says"),
    [
        ("postgres", "select", {"table": ""}, "'table'"),
        ("postgres", "select", {"table": "a\0b"}, "'table'"),
        ("postgres", "select", {"table": "ä" * 32}, "longer than 63 bytes"),
        ("postgres", "select", {"table": "t", "columns": [7]}, "'columns'"),
        ("postgres", "select", {"table": "t", "where": [{"column": "a", "value": None}]}, "is null"),
        ("postgres", "select", {"table": "t", "where": [{"column": "a", "operator": "in", "value": 1}]}, "a list"),
        ("postgres", "insert", {"table": "t", "row": {}}, "'row'"),
        ("postgres", "upsert", {"table": "t", "row": {"a": 1}, "keys": []}, "'keys'"),
        ("postgres", "update", {"table": "t", "row": {"a": 1}}, "all_rows"),
        ("postgres", "update", {"table": "t", "row": {"a": 1}, "where": []}, "all_rows"),
        ("postgres", "delete", {"table": "t"}, "all_rows"),
        ("redis", "key.delete", {"keys": []}, "'keys'"),
        ("redis", "hash.set", {"key": "k", "entries": {}}, "'entries'"),
        ("email", "send", {**MAIL, "to": []}, "names nobody"),
        ("email", "send", {**MAIL, "to": "nobody"}, "'to'"),
        ("email", "send", {**MAIL, "to": "a@b.example\r\nBcc: c@d.example"}, "line breaks"),
        ("email", "send", {**MAIL, "to": "a@b.example>\x00"}, "line breaks"),
        ("email", "send", {**MAIL, "to": ["a@b.example"] * 101}, "more than 100"),
        ("email", "send", {**MAIL, "to": 7}, "'to'"),
        ("email", "send", {**MAIL, "from": "a@b.example, c@d.example"}, "one address"),
        ("email", "send", {**MAIL, "subject": "s\nX-Evil: 1"}, "line breaks"),
        ("email", "send", {**MAIL, "headers": {"X-A": "b\r\nX-Evil: 1"}}, "line breaks"),
        ("email", "send", {**MAIL, "headers": {"X A": "b"}}, "cannot set"),
        ("email", "send", {**MAIL, "headers": {"Message-ID": "<a@b>"}}, "cannot set"),
        ("email", "send", {"to": "a@b.example", "subject": "s"}, "text, html or both"),
        ("email", "send", {**MAIL, "attachments": [7]}, "filename and content"),
        ("email", "send", {**MAIL, "attachments": [{"content": "%"}]}, "Base64"),
        ("email", "send", {**MAIL, "attachments": [{"content": "A" * 10_000_004}]}, "bytes"),
    ],
)
def test_values_that_cannot_be_meant(type_: str, operation: str, parameters: dict[str, Any], says: str) -> None:
    run = started(type_, {**selects(operation), **parameters}, {})
    assert run.error.code == "bad_parameter"
    assert says in run.error.message


def test_the_text_of_a_statement_takes_no_expression() -> None:
    with pytest.raises(InvalidDocument, match="takes no expression"):
        started("postgres", {"operation": "query", "statement": "SELECT '{{ $json.name }}'"}, {"name": "x"})


@pytest.mark.parametrize("operator", ["=", "; DROP TABLE t; --"])
def test_an_operator_is_one_of_the_known(operator: str) -> None:
    parameters = {"operation": "select", "table": "t", "where": [{"column": "a", "operator": operator, "value": 1}]}
    if operator == "=":
        started("postgres", parameters, {})
    else:
        with pytest.raises(InvalidDocument, match="must be one of"):
            started("postgres", parameters, {})


def test_files_of_the_item_are_attached() -> None:
    file = {"data": "SGFsbG8=", "mime_type": "text/plain", "file_name": "a.txt", "size": 5}
    parameters = {"operation": "send", **MAIL, "attachments": ["data"]}
    nodes = [node("start", "manual"), node("x", "email", parameters, credentials=CREDENTIAL, on_error="continue")]
    run = Run(workflow(nodes, "start -> x"))
    start = StartExecution(
        execution_id=EXECUTION,
        workflow_id="w",
        workflow_version=1,
        trigger_node="start",
        trigger_type="manual",
        items=[{"json": {}, "binary": {"data": file}}, {"json": {}}],
        queued_at=NOW,
    )
    (effect,) = run.do(start).attempt("x").effects
    assert effect.attachments == [Attachment("a.txt", "SGFsbG8=", "text/plain")]
    run.conclude("x", [ItemResult(index=0, value={"message_id": "<a@b>", "accepted": [], "refused": {}})])
    assert run.output[1]["json"]["error"]["code"] == "missing_binary"
