"""Commands that need no installation, and how the others fail without one."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from infra.keys import api_key_hash, load_bootstrap_api_key, load_secret_key, new_api_key
from infra.settings import Settings, SettingsError
from services.cli.app import run

KEY = "lf_" + "k" * 43


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LINKFLOW_DATA", str(tmp_path))
    monkeypatch.setenv("LINKFLOW_PORT", "1")


def _json(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert run([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_settings_have_source_and_meaning_and_hide_secrets(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINKFLOW_BOOTSTRAP_API_KEY", KEY)
    rows = {row["variable"]: row for row in _json(capsys, "settings")}
    assert rows["LINKFLOW_PORT"] == {
        "variable": "LINKFLOW_PORT",
        "value": 1,
        "source": "environment",
        "meaning": "port of the HTTP server",
    }
    assert rows["LINKFLOW_WORKERS"]["source"] == "default"
    assert all(row["meaning"] for row in rows.values())
    assert run(["settings"]) == 0
    said = capsys.readouterr().out + json.dumps(rows)
    assert KEY not in said
    assert "LINKFLOW_BOOTSTRAP_API_KEY" in said


def test_logs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "worker-0.log").write_text("".join(f"line {n} [b]\n" for n in range(100)))
    assert _json(capsys, "logs") == [{"name": "worker-0", "bytes": 1190}]
    assert run(["logs", "worker-0", "-n", "2"]) == 0
    assert capsys.readouterr().out == "line 98 [b]\nline 99 [b]\n"
    assert run(["logs", "api"]) == 2
    assert "worker-0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["verify"], "linkflow up"),
        (["keys", "list"], "linkflow up"),
        (["topics", "create"], "linkflow up"),
        (["workflows", "list"], "LINKFLOW_API_KEY"),
        (["workflows", "create", "missing.json"], "missing.json"),
        (["execute", "id", "--input", "{nonsense"], "--input is not JSON"),
    ],
)
def test_failures_are_one_line_with_what_to_do(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 1
    error = capsys.readouterr().err
    assert error.startswith("linkflow: ")
    assert error.count("\n") == 1
    assert said in error


@pytest.mark.parametrize(
    ("variable", "value"),
    [("LINKFLOW_PORT", "eighty"), ("LINKFLOW_LOG", "redis://x"), ("LINKFLOW_PARTITIONS", "0")],
)
def test_a_wrong_setting_is_named(
    variable: str, value: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    assert run(["settings"]) == 1
    assert f"{variable}=" in capsys.readouterr().err


def test_nobody_answers(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINKFLOW_API_KEY", KEY)
    assert run(["workflows", "list"]) == 1
    assert "is `linkflow up` running?" in capsys.readouterr().err


@contextmanager
def _answering(status: int, body: Any) -> Iterator[tuple[str, list[Any]]]:
    """An HTTP server that answers everything with `body`; yields its address and what it was asked."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.command, self.path, dict(self.headers)))
            payload = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def test_refusals_show_the_problem(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    problem = {
        "code": "invalid_workflow",
        "detail": "The workflow is not valid.",
        "errors": [{"path": "nodes[0].type", "message": "there is no type 'htpp'"}],
    }
    monkeypatch.setenv("LINKFLOW_API_KEY", KEY)
    with _answering(422, problem) as (url, _):
        monkeypatch.setenv("LINKFLOW_URL", url)
        assert run(["workflows", "activate", "some/id"]) == 1
    error = capsys.readouterr().err
    assert error == ("linkflow: invalid_workflow: The workflow is not valid.; nodes[0].type: there is no type 'htpp'\n")


def test_an_execution_is_shown_as_a_tree_and_markup_is_text(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = {
        "id": "e-1",
        "workflow_id": "w-1",
        "workflow_version": 3,
        "status": "failed",
        "trigger_type": "webhook",
        "queued_at": "2030-01-01T00:00:00.000+00:00",
        "started_at": "2030-01-01T00:00:00.000+00:00",
        "completed_at": "2030-01-01T00:00:02.500+00:00",
        "error": {"code": "http_error", "message": "[red]status 500[/]", "node_id": "check"},
        "node_executions": [
            {
                "node_id": "check",
                "run": 1,
                "status": "failed",
                "attempts": 3,
                "output": {"main": [{"json": {"a": 1}}]},
                "error": None,
                "started_at": "2030-01-01T00:00:00.000+00:00",
                "completed_at": "2030-01-01T00:00:00.250+00:00",
            }
        ],
    }
    monkeypatch.setenv("LINKFLOW_API_KEY", KEY)
    with _answering(200, execution) as (url, asked):
        monkeypatch.setenv("LINKFLOW_URL", url)
        assert run(["executions", "show", "e 1?"]) == 0
    said = capsys.readouterr().out
    assert "check [1]  failed  250 ms  3 attempts" in said
    assert "http_error in check: [red]status 500[/]" in said
    assert 'main: 1 item [{"a": 1}]' in said
    assert "2.50 s" in said
    assert asked[0][1] == "/api/v1/executions/e%201%3F"
    assert asked[0][2]["authorization"] == f"Bearer {KEY}"


def test_keys_are_made_once_and_kept_closed(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data")
    key, made = load_bootstrap_api_key(settings)
    assert made
    assert load_bootstrap_api_key(settings) == (key, False)
    assert load_secret_key(settings) == load_secret_key(settings)
    assert len(load_secret_key(settings)) == 32
    for path in (tmp_path / "data").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
    assert len(key) == 46
    assert key != new_api_key()
    assert len(api_key_hash(key)) == 64
    with pytest.raises(SettingsError, match="LINKFLOW_BOOTSTRAP_API_KEY"):
        load_bootstrap_api_key(Settings(data=tmp_path, bootstrap_api_key="password"))
    (tmp_path / "data" / "secret-key").write_text("nonsense")
    with pytest.raises(SettingsError, match="secret-key"):
        load_secret_key(settings)
