"""`linkflow subscriptions`: what is asked of the API, and what is shown of its answers."""

import json
from typing import Any

import pytest

from services.cli import subscriptions
from services.cli.app import run

SUBSCRIPTION: dict[str, Any] = {
    "id": "u1", "name": "[shop]", "status": "disabled", "reason": "the server answered 410: gone", "failures": 1,
    "events": ["execution.failed"], "channel": {"type": "webhook", "url": "https://x.example/in"},
    "last_delivery_at": None,
}  # fmt: skip
MAIL = SUBSCRIPTION | {"id": "u2", "reason": None, "channel": {"type": "email", "to": ["a@x.example"]}}
DELIVERY: dict[str, Any] = {
    "id": "d1", "type": "execution.failed", "status": "retrying", "attempts": 3, "response_status": None,
    "duration_ms": None, "error": {"code": "http_status", "message": "the server answered 503"},
    "created_at": "2026-11-27T14:08:26.939Z",
}  # fmt: skip
PAGE = {"items": [SUBSCRIPTION, MAIL], "next_cursor": "c"}
ASKED: list[tuple[list[str], tuple[str, str], Any, list[str]]] = [
    (["list"], ("GET", ""), PAGE, ["[shop]", "https://x.example/in", "a@x.example"]),
    (["show", "u 1"], ("GET", "/u%201"), SUBSCRIPTION, ["disabled (the server answered 410: gone)"]),
    (["pause", "u1", "--reason", "lunch"], ("POST", "/u1/pause"), SUBSCRIPTION, ["[shop]"]),
    (["resume", "u1"], ("POST", "/u1/resume"), MAIL, ["by email to a@x.example"]),
    (["delete", "u1"], ("DELETE", "/u1"), None, ["deleted u1"]),
    (["test", "u1"], ("POST", "/u1/test"), DELIVERY, ["d1"]),
    (["rotate-secret", "u1"], ("POST", "/u1/secret"), {"secret": "whsec_x", "old_secret_until": "t"}, ["whsec_x"]),
    (["deliveries", "u1"], ("GET", "/u1/deliveries"), {"items": [DELIVERY], "next_cursor": None}, ["answered 503"]),
    (["redeliver", "u1", "d1"], ("POST", "/u1/deliveries/d1/redeliver"), DELIVERY, ["d1"]),
    (["redeliver", "u1", "--since", "x"], ("POST", "/u1/redeliver"), {"redelivered": 7, "more": True}, ["7", "more"]),
]  # fmt: skip


@pytest.mark.parametrize(("words", "asked", "answer", "shown"), ASKED, ids=[" ".join(each[0]) for each in ASKED])
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
        requests.append((method, path.removeprefix(subscriptions.PATH)))
        return answer

    monkeypatch.setattr(subscriptions, "request", request)
    monkeypatch.setenv("COLUMNS", "250")
    assert run(["subscriptions", *words]) == 0
    out = capsys.readouterr().out
    assert requests == [asked]
    for each in shown:
        assert each in out
    assert run(["subscriptions", *words, "--json"]) == 0
    if answer is not None:
        assert json.loads(capsys.readouterr().out) == answer


def test_one_delivery_or_all_since_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["subscriptions", "redeliver", "u1"]) == 2
    assert "--since" in capsys.readouterr().err
