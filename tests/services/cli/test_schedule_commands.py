"""`linkflow schedules`: what is asked of the API, and what is shown of its answers."""

import json
from typing import Any

import pytest

from services.cli import schedules
from services.cli.app import run

RUN = {"at": "2026-10-25T00:30:00.000Z", "local_time": "2026-10-25T02:30:00", "dst": "overlap", "note": "comes twice"}
SCHEDULE = {
    "id": "s1", "name": "[nightly]", "status": "paused", "reason": "lunch", "cron_expression": "30 2 * * *",
    "every": None, "at": None, "timezone": "Europe/Berlin", "next_run_at": None, "run_count": 3, "next_runs": [RUN],
}  # fmt: skip
OFTEN = SCHEDULE | {"id": "s2", "cron_expression": None, "every": {"seconds": 90}, "reason": None}
ONCE = SCHEDULE | {"id": "s3", "cron_expression": None, "at": "2026-12-24T17:00:00.000Z"}
FIRING = {
    "due_at": "2026-10-25T00:30:00.000Z", "local_time": "2026-10-25T02:30:00", "count": 2000, "more": True,
    "outcome": "skipped", "explanation": "The schedule was paused.", "execution_id": None,
}  # fmt: skip
BACKFILL = {
    "id": "b1",
    "from": "2026-10-01T00:00:00Z",
    "to": "2026-10-02T00:00:00Z",
    "status": "running",
    "fired": 3,
    "total": 9,
}
PAGE: dict[str, Any] = {"items": [SCHEDULE, OFTEN, ONCE], "next_cursor": "c"}
FIRINGS: dict[str, Any] = {"items": [FIRING], "next_cursor": None}
ASKED: list[tuple[list[str], tuple[str, str], Any, list[str]]] = [
    (["list", "--limit", "3"], ("GET", ""), PAGE, ["[nightly]", "every 90 s", "at 2026-12-24"]),
    (["show", "s 1"], ("GET", "/s%201"), SCHEDULE, ["paused (lunch)", "comes twice"]),
    (["pause", "s1", "--reason", "lunch"], ("POST", "/s1/pause"), SCHEDULE, ["paused (lunch)"]),
    (["resume", "s1"], ("POST", "/s1/resume"), SCHEDULE, ["30 2 * * *"]),
    (["delete", "s1"], ("DELETE", "/s1"), None, ["deleted s1"]),
    (["firings", "s1", "--from", "x"], ("GET", "/s1/firings"), FIRINGS, ["2000+", "was paused"]),
    (["backfill", "s1", "--from", "x", "--to", "y"], ("POST", "/s1/backfill"), BACKFILL, ["b1", "running"]),
    (["backfills", "s1"], ("GET", "/s1/backfills"), {"items": [BACKFILL], "next_cursor": None}, ["b1"]),
    (["cancel-backfill", "s1", "b1"], ("POST", "/s1/backfills/b1/cancel"), BACKFILL, ["b1"]),
    (["preview", "30 2 * * *"], ("POST", "/preview"), {"runs": [RUN], "suppressed": []}, ["comes twice"]),
]  # fmt: skip


@pytest.mark.parametrize(("words", "asked", "answer", "shown"), ASKED, ids=[each[0][0] for each in ASKED])
def test_what_is_asked_and_shown(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    asked: tuple[str, str],
    answer: Any,
    shown: list[str],
) -> None:
    requests: list[tuple[str, str]] = []

    def request(method: str, path: str, **_more: Any) -> Any:
        requests.append((method, path.removeprefix(schedules.PATH)))
        return answer

    monkeypatch.setattr(schedules, "request", request)
    assert run(["schedules", *words]) == 0
    assert requests == [asked]
    said = capsys.readouterr().out
    assert all(text in said for text in shown), said
    assert run(["schedules", *words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)
