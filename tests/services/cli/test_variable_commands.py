"""`linkflow variables`: what is asked of the API, and what is shown of its answers."""

import io
import json
from typing import Any

import pytest

from services.cli import variables
from services.cli.access import ApiRefused
from services.cli.app import run

VARIABLE = {
    "name": "region", "value": "[eu1]", "description": "where", "version": 3,
    "created_at": "2026-11-27T10:00:00.000Z", "updated_at": "2026-11-27T11:00:00.000Z",
}  # fmt: skip
LONG = VARIABLE | {"name": "rates", "value": {"vat": [0.19] * 50}}
PAGE: dict[str, Any] = {"items": [VARIABLE, LONG], "next_cursor": "rates"}
Asked = list[tuple[str, str, Any, Any]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """(method, path, body, headers) of the requests; there is a variable `region` and no other."""
    requests: Asked = []

    def request(method: str, path: str, *, body: Any = None, headers: Any = None, query: Any = None) -> Any:
        requests.append((method, path.removeprefix(variables.BASE), body, headers or query))
        if path.endswith("/other") and method == "GET":
            raise ApiRefused(404, {"code": "not_found"})
        return PAGE if path == variables.BASE else None if method == "DELETE" else VARIABLE

    monkeypatch.setattr(variables, "request", request)
    return requests


def test_list(asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["variables", "list", "--limit", "2"]) == 0
    said = capsys.readouterr()
    assert all(text in said.out for text in ("region", "[eu1]", "where", "2026-11-27 11:00:00.000", "…"))
    assert "--cursor rates" in said.err
    assert asked == [("GET", "", None, {"limit": 2, "cursor": None})]


def test_get(asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["variables", "get", "region"]) == 0
    assert capsys.readouterr().out == "[eu1]\n"
    assert run(["variables", "get", "region", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == VARIABLE


def test_set(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(["variables", "set", "region", "12"]) == 0
    assert run(["variables", "set", "other", "12", "--value-json", "--version", "3"]) == 0
    monkeypatch.setattr("sys.stdin", io.StringIO('{"a": "é"}\n'))
    assert run(["variables", "set", "region", "-", "-j", "--description", "new"]) == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("a text\n"))
    assert run(["variables", "set", "region", "-", "--description", ""]) == 0
    assert [each for each in asked if each[0] == "PUT"] == [
        ("PUT", "/region", {"value": "12", "description": "where"}, None),
        ("PUT", "/other", {"value": 12, "description": ""}, {"if-match": '"3"'}),
        ("PUT", "/region", {"value": {"a": "é"}, "description": "new"}, None),
        ("PUT", "/region", {"value": "a text", "description": ""}, None),
    ]


def test_what_is_no_json_is_not_sent(asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["variables", "set", "region", "eu1", "--value-json"]) == 2
    assert "no JSON" in capsys.readouterr().err
    assert asked == []


def test_delete(asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["variables", "delete", "a b"]) == 0
    assert "deleted a b" in capsys.readouterr().err
    assert asked == [("DELETE", "/a%20b", None, None)]
