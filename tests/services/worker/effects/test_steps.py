"""Operations of several requests, by the real interpreter on loopback: Slack's upload of a file as it is documented."""

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from domain.credential import http_auth
from domain.effects import CredentialRef, EffectError, HttpRequest, HttpStep, ItemResult
from domain.integrations.answers import put_at
from domain.integrations.steps import MissingInAnswer, next_request
from tests.domain.integrations.table import started
from tests.services.worker.effects.test_integrations import CANARY, CONTEXT, client_with, holds_secret, json_answer
from tests.support.certificates import authority
from tests.support.executions import Run
from tests.support.raw_http import Asked, RawServer, answer, serve_raw

CONTENT = bytes(range(256)) * 40
FILE = {"data": b64encode(CONTENT).decode(), "mime_type": "image/png", "file_name": "a.png", "size": len(CONTENT)}
UPLOAD = {"resource": "file", "operation": "upload", "channel": "C0NF841BK", "title": "slack-test"}
Handler = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


class Slack:
    """What Slack's pages say that it answers; `answers` overrules by path."""

    def __init__(self) -> None:
        self.upload_url = ""
        self.answers: dict[str, Handler] = {}

    async def handle(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        path = urlsplit(asked.target).path
        if path in self.answers:
            await self.answers[path](asked, writer)
        elif path == "/api/files.getUploadURLExternal":
            writer.write(json_answer({"ok": True, "upload_url": self.upload_url, "file_id": "F123ABC456"}))
        elif path == "/upload/v1/abc":
            writer.write(answer(b"OK - 10240", content_type="text/plain"))
        else:
            writer.write(json_answer({"ok": True, "files": [{"id": "F123ABC456", "title": "slack-test"}]}))


async def perform(server: RawServer, **fields: Any) -> tuple[Run, dict[str, Any] | EffectError]:
    """The effect of the node, sent to this server instead of slack.com."""
    run = started("slack", UPLOAD, {}, {"data": FILE})
    (effect,) = run.attempt("x").effects
    assert isinstance(effect, HttpRequest)

    def moved(request: HttpRequest) -> HttpRequest:
        if not request.url:
            return request
        url = server.url + urlsplit(request.url).path
        return msgspec.structs.replace(request, url=url, credential=CredentialRef("c", ["slack"]))

    then = [HttpStep(moved(step.request), step.url_at, step.fill) for step in effect.then]
    effect = msgspec.structs.replace(moved(effect), then=then, timeout_seconds=10.0, **fields)
    client = await client_with("slack")
    result = await client.perform(effect, CONTEXT)
    await client.close()
    assert not holds_secret(msgspec.to_builtins(result))
    return run, result


def paths(server: RawServer) -> list[str]:
    return [urlsplit(asked.target).path for asked in server.asked]


@pytest.fixture(autouse=True)
def _anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_auth, "check_host", lambda *_: None)  # the server here is not Slack's


async def test_a_file_goes_up_as_slack_documents_it() -> None:
    slack = Slack()
    async with serve_raw(slack.handle) as api, serve_raw(slack.handle) as files:
        slack.upload_url = f"{files.url}/upload/v1/abc?token=x"
        run, result = await perform(api)
        assert isinstance(result, dict)
        run.conclude("x", [ItemResult(index=0, value=result)])
        assert [item["json"] for item in run.output] == [{"id": "F123ABC456", "title": "slack-test"}]
        asked, complete = api.asked
        assert (asked.method, asked.target) == ("POST", "/api/files.getUploadURLExternal")
        assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
        assert parse_qs(asked.body.decode()) == {"filename": ["a.png"], "length": ["10240"]}
        (upload,) = files.asked
        assert (upload.method, upload.target, upload.body) == ("POST", "/upload/v1/abc?token=x", CONTENT)
        assert upload.headers["content-type"] == "image/png"
        assert "authorization" not in upload.headers
        assert CANARY not in upload.head.decode()
        assert (complete.method, complete.target) == ("POST", "/api/files.completeUploadExternal")
        assert msgspec.json.decode(complete.body) == {
            "files": [{"title": "slack-test", "id": "F123ABC456"}],
            "channel_id": "C0NF841BK",
        }
        assert [each.headers["authorization"] for each in api.asked] == [f"Bearer {CANARY}"] * 2


async def test_the_upload_gets_no_token_where_its_address_is_the_apis_own() -> None:
    slack = Slack()
    async with serve_raw(slack.handle) as api:
        slack.upload_url = f"{api.url}/upload/v1/abc"
        _, result = await perform(api)
        assert isinstance(result, dict)
        assert ["authorization" in each.headers for each in api.asked] == [True, False, True]


async def refuses(asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(json_answer({"ok": False, "error": "file_uploads_disabled"}))


async def fails(asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(answer(b"no room", status="500 X", content_type="text/plain"))


async def silence(asked: Asked, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


@pytest.mark.parametrize(
    ("path", "handler", "asked", "code"),
    [
        ("/api/files.getUploadURLExternal", refuses, 1, "forbidden"),
        ("/api/files.getUploadURLExternal", fails, 1, "unavailable"),
        ("/upload/v1/abc", fails, 2, "unavailable"),
        ("/api/files.completeUploadExternal", refuses, 3, "forbidden"),
        ("/api/files.completeUploadExternal", fails, 3, "unavailable"),
    ],
)
async def test_what_is_refused_ends_it(path: str, handler: Handler, asked: int, code: str) -> None:
    slack = Slack()
    slack.answers[path] = handler
    async with serve_raw(slack.handle) as api:
        slack.upload_url = f"{api.url}/upload/v1/abc"
        run, result = await perform(api)
        assert isinstance(result, dict)
        run.conclude("x", [ItemResult(index=0, value=result)])
        assert (len(api.asked), run.error.code) == (asked, code)


@pytest.mark.parametrize(
    ("path", "unknown"),
    [
        ("/api/files.getUploadURLExternal", False),
        ("/upload/v1/abc", False),
        ("/api/files.completeUploadExternal", True),
    ],
)
async def test_only_the_last_request_may_have_happened(path: str, unknown: bool) -> None:
    slack = Slack()
    slack.answers[path] = silence
    async with serve_raw(slack.handle) as api:
        slack.upload_url = f"{api.url}/upload/v1/abc"
        _, result = await perform(api, exchange_seconds=0.5)
        assert isinstance(result, EffectError)
        assert (result.code, result.retriable, result.unknown) == ("timeout", True, unknown)


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("http://169.254.169.254/latest/meta-data/", "egress_refused"),
        ("http://10.0.0.1/upload", "egress_refused"),
        ("file:///etc/passwd", "egress_refused"),
        ("http://user@127.0.0.1/", "egress_refused"),
        ("nonsense", "egress_refused"),
    ],
)
async def test_an_answer_leads_nowhere_that_a_request_could_not_go(address: str, code: str) -> None:
    slack = Slack()
    slack.upload_url = address
    async with serve_raw(slack.handle) as api:
        _, result = await perform(api)
        assert isinstance(result, EffectError), result
        assert (result.code, result.unknown) == (code, False)
        assert paths(api) == ["/api/files.getUploadURLExternal"]


async def test_an_answer_is_no_way_out_of_encryption(tmp_path: Path) -> None:
    slack = Slack()
    async with serve_raw(slack.handle) as plain:
        slack.upload_url = f"{plain.url}/upload/v1/abc"
        tls = authority().server(tmp_path, "other.example")
        async with serve_raw(slack.handle, tls) as api:
            _, result = await perform(api, verify_tls=False)
        assert isinstance(result, EffectError)
        assert (result.code, plain.asked) == ("egress_refused", [])
        assert "unencrypted" in result.message


def test_an_item_without_the_file_asks_for_nothing() -> None:
    run = started("slack", UPLOAD | {"file": "scan"}, {}, {"data": FILE})
    assert (run.status, run.error.code) == ("failed", "missing_binary")
    assert "'scan'" in run.error.message


def test_what_an_answer_does_not_say_is_missing() -> None:
    step = HttpStep(HttpRequest("POST", ""), "0.upload_url", {"files.0.id": "0.file_id"})
    good = {"upload_url": "https://x.example/", "file_id": 7}
    following = next_request(step, [good, "OK"])
    assert (following.url, following.body) == ("https://x.example/", {"files": [{"id": 7}]})
    for wrong in ({}, {"upload_url": 5, "file_id": 7}, {"upload_url": ""}, None, "OK", []):
        with pytest.raises(MissingInAnswer, match=r"0\.upload_url"):
            next_request(step, [wrong])
    with pytest.raises(MissingInAnswer, match=r"0\.file_id"):
        next_request(step, [{**good, "file_id": None}])


def test_a_value_is_put_at_a_place_of_a_copy() -> None:
    given = {"files": [{"title": "a"}], "x": 1}
    assert put_at(given, "files.0.id", 7) == {"files": [{"title": "a", "id": 7}], "x": 1}
    assert put_at(given, "files.2.id", 7)["files"] == [{"title": "a"}, None, {"id": 7}]
    assert put_at(None, "a.b", 7) == {"a": {"b": 7}}
    assert given == {"files": [{"title": "a"}], "x": 1}
