"""Logs without secrets, one line an event; traces that survive the way through the log."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from infra.settings import Settings
from infra.telemetry.errors import explain
from infra.telemetry.logs import configure_logs, get_logger
from infra.telemetry.redaction import HIDDEN, redact, redact_text
from infra.telemetry.tracing import configure_tracing, shutdown_tracing, start_span

KEY = "lf_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"
PARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def logging_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    "text",
    [
        f"key {KEY} refused",
        "Authorization: Bearer abc.def-ghi_jkl",
        "postgresql://user:s3cret-pass@host/db",
        "GET /login?token=s3cret-token-value&x=1",
    ],
)
def test_secrets_are_hidden_by_their_look(text: str) -> None:
    hidden = redact_text(text)
    assert HIDDEN in hidden
    assert not any(secret in hidden for secret in (KEY, "abc.def", "s3cret"))


def test_secrets_are_hidden_by_their_name_at_any_depth() -> None:
    value = {"a": [{"password": "p1", "X_API_KEY": "p2"}], "database_url": "p3", "tokens_used": 5, "token": ""}
    assert redact(value) == {
        "a": [{"password": HIDDEN, "X_API_KEY": HIDDEN}],
        "database_url": HIDDEN,
        "tokens_used": 5,
        "token": "",
    }


@pytest.mark.usefixtures("logging_restored")
@pytest.mark.parametrize("form", ["text", "json"])
def test_lines(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(Settings(log_format=form), "worker-0")
    log = get_logger("here")
    with structlog.contextvars.bound_contextvars(execution_id="e-1"):
        log.info(f"took {KEY}", password="p", text="two\nlines")
        logging.getLogger("library").warning("by a library: %s", "Bearer abcdefghijkl")
        log.debug("not shown")
    said = capsys.readouterr().err
    lines = said.splitlines()
    assert len(lines) == 2
    assert KEY not in said
    assert "abcdefghijkl" not in said
    assert all("e-1" in line and "worker-0" in line for line in lines)
    if form == "json":
        first: dict[str, Any] = json.loads(lines[0])
        assert (first["level"], first["password"], first["text"]) == ("info", HIDDEN, "two\nlines")


def test_off_costs_nothing_and_gives_nothing() -> None:
    with start_span("anything", PARENT, node="x") as traceparent:
        assert traceparent is None


def test_spans_continue_what_came_and_what_is_around() -> None:
    exporter = InMemorySpanExporter()
    configure_tracing(Settings(otel_sample=1.0), "api", exporter=exporter)
    try:
        with start_span("outer", PARENT) as outer, start_span("inner", node="n") as inner:
            assert outer is not None
            assert inner is not None
            assert outer.split(b"-")[1] == inner.split(b"-")[1] == PARENT.split(b"-")[1]
            assert structlog.contextvars.get_contextvars()["trace_id"] == PARENT.split(b"-")[1].decode()
    finally:
        shutdown_tracing()
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert spans["inner"].parent is not None
    assert spans["outer"].context is not None
    assert spans["inner"].parent.span_id == spans["outer"].context.span_id
    assert dict(spans["inner"].attributes or {}) == {"node": "n"}
    with start_span("after") as traceparent:
        assert traceparent is None


def test_failures_are_one_line() -> None:
    class Coded(Exception):
        code = "no_cheese"

    group = ExceptionGroup("several", [ExceptionGroup("inner", [Coded(f"all\n gone {KEY}")])])
    assert explain(group) == f"no_cheese: all gone lf_{HIDDEN}"
    assert explain(ValueError()) == "ValueError: no message"
