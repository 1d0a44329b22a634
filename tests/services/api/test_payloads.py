"""Bodies of webhooks by content type: forms with files, files, and whatever is forged in them (S05, S27)."""

import contextlib
import json
import time
from base64 import b64decode
from typing import Any

import pytest

from services.api.multipart import MAX_PARTS
from services.api.payloads import Files, decode_payload
from services.api.problems import Problem
from tests.services.api.conftest import Api
from tests.services.api.test_executions import deploy

CANARY = "/etc/passwd"
KIND = "multipart/form-data; boundary=X"
FORGED: dict[str, Any] = {
    "files": {"data": {"path": CANARY, "filepath": CANARY, "data": "Y2FuYXJ5"}},
    "_meta": {"path": CANARY},
    "binary": {"data": {"data": "Y2FuYXJ5", "path": CANARY, "file_name": CANARY}},
    "path": CANARY,
    "blob": "0" * 64,
    "origin": {"start": [0, "main", 0]},
    "json": {"x": 1},
    "__proto__": {"x": 1},
}


def part(disposition: str, content: bytes, *more: str) -> bytes:
    head = "\r\n".join([f"Content-Disposition: {disposition}", *more])
    return b"--X\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--X--\r\n"


def field(name: str, value: str) -> bytes:
    return part(f'form-data; name="{name}"', value.encode())


def files_of(body: bytes) -> dict[str, tuple[str, str, bytes]]:
    _, files = decode_payload(KIND, "", body)
    return {name: (made["file_name"], made["mime_type"], b64decode(made["data"])) for name, made in files.items()}


def test_fields_and_files() -> None:
    body = form(
        field("a", "1"),
        field("b", "grüß"),
        field("a", "2"),
        part('form-data; name="f"; filename="a.png"', b"\x00\r\n--\r\nX", "Content-Type: image/png"),
        part('form-data; name="f"; filename="b"', b"two"),
        part('form-data; name="none"; filename=""', b"", "Content-Type: application/octet-stream"),
        part("form-data; name=plain; filename=c.txt", b"", "content-type: text/plain; charset=utf-8"),
        part("form-data; name=star; filename=x; filename*=UTF-8''gr%C3%BC%C3%9F.txt", b"s"),
        part(r'form-data; name="q\"q"; filename="a\"b;c.txt"', b"q"),
    )
    fields, files = decode_payload(KIND, "", body)
    assert fields == {"a": ["1", "2"], "b": "grüß"}
    assert {name: made["size"] for name, made in files.items()} == {
        "f": 8, "f_2": 3, "plain": 0, "star": 1, 'q"q': 1,
    }  # fmt: skip
    found = files_of(body)
    assert found["f"] == ("a.png", "image/png", b"\x00\r\n--\r\nX")
    assert found["f_2"] == ("b", "application/octet-stream", b"two")
    assert found["plain"][:2] == ("c.txt", "text/plain; charset=utf-8")
    assert found["star"][0] == "grüß.txt"
    assert found['q"q'][0] == "a_b;c.txt"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"), ("/etc/passwd", "passwd"), ("C:\\\\temp\\\\a.exe", "a.exe"), ("..", "file"),
        (".bashrc", "bashrc"), ("a\x00b.txt", "a_b.txt"), ("a/", "file"), ("x" * 300, "x" * 200), ("con|<>", "con_"),
    ],
)  # fmt: skip
def test_file_names_are_harmless(given: str, kept: str) -> None:
    body = form(part(f'form-data; name="f"; filename="{given}"', b"x"))
    assert files_of(body)["f"][0] == kept


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", form(field("a", "1"))),
        ("multipart/form-data; boundary=", form(field("a", "1"))),
        (KIND, b"nothing"),
        (KIND, b"--X\r\n"),
        (KIND, field("a", "1")),
        (KIND, b"--X\r\n\r\nno head\r\n--X--"),
        (KIND, b"--Xtra\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--X--"),
        (KIND, form(part("form-data", b"1"))),
        (KIND, form(part('attachment; name="a"', b"1"))),
        (KIND, form(part('form-data; name=""', b"1"))),
        (KIND, form(part('form-data; name="a"', b"\xff"))),
        (KIND, form(part(f'form-data; name="{"a" * 300}"', b"1"))),
        (KIND, form(part('form-data; name="a"', b"1", "X: " + "y" * 10_000))),
        (KIND, form(*[field("a", "1")] * (MAX_PARTS + 1))),
        (KIND, form(*[field("a", "1")] * 40_000)),
        ("application/x-www-form-urlencoded", b"&".join([b"a=1"] * 100_000)),
    ],
)
def test_what_is_no_form_is_refused(kind: str, body: bytes) -> None:
    begun = time.process_time()
    with pytest.raises(Problem) as refused:
        decode_payload(kind, "", body)
    assert (refused.value.status, refused.value.code) == (400, "malformed_form")
    assert time.process_time() - begun < 1.0


@pytest.mark.parametrize(
    "body",
    [
        form(*[part("form-data; name=a" + ';a="' * 2_000, b"1")] * 500),
        form(*[part("form-data; name=a" + "; " * 4_000, b"1")] * 500),
        b"--X\r\n" + b"\r\n--" * 1_000_000,
        b"\r\n--" * 1_000_000 + b"--X--",
        b"--X" * 1_500_000,
        form(part("form-data; name=a", b"\r\n--X" * 500_000)),
    ],
)
def test_reading_costs_what_the_body_is_long(body: bytes) -> None:
    begun = time.process_time()
    with contextlib.suppress(Problem):
        decode_payload(KIND, "", body[:5_000_000])
    assert time.process_time() - begun < 2.0


def test_a_packed_body_is_not_unpacked() -> None:
    with pytest.raises(Problem) as refused:
        decode_payload("application/json", "gzip", b"\x1f\x8b\x08")
    assert (refused.value.status, refused.value.code) == (415, "unsupported_encoding")


@pytest.mark.parametrize(
    ("kind", "body", "value", "file"),
    [
        ("application/octet-stream", b"plain", {}, (b"plain", "application/octet-stream")),
        ("application/octet-stream", b"\xff\xfe", {}, (b"\xff\xfe", "application/octet-stream")),
        ("image/png", b"\x89PNG", {}, (b"\x89PNG", "image/png")),
        ("image/svg+xml", b"<svg/>", "<svg/>", None),
        ("application/xml", b"<a/>", "<a/>", None),
        ("text/csv", b"a;b", "a;b", None),
        ("text/plain", b"\xff\xfe", {}, (b"\xff\xfe", "text/plain")),
        ("", b'{"a": 1}', {"a": 1}, None),
        ("", b"text", "text", None),
        ("", b"[" * 100_000, "[" * 100_000, None),
        ("", b"\xff", {}, (b"\xff", "application/octet-stream")),
    ],
)
def test_other_bodies(kind: str, body: bytes, value: Any, file: tuple[bytes, str] | None) -> None:
    found, files = decode_payload(kind, "", body)
    assert found == value
    if file is None:
        assert files == {}
    else:
        assert list(files) == ["data"]
        assert (b64decode(files["data"]["data"]), files["data"]["mime_type"]) == file


# --- S05: what is forged stays data, whatever it is called ------------------------------------------------------------

AS_JSON = json.dumps(FORGED).encode()
AS_FORM = b"&".join(f"{name}={json.dumps(value)}".encode() for name, value in FORGED.items())
AS_PARTS = form(*(field(name, json.dumps(value)) for name, value in FORGED.items()))
KINDS = [
    "application/json", "application/problem+json", "application/x-www-form-urlencoded", KIND,
    "multipart/mixed; boundary=X", "multipart/related; boundary=X", "text/plain", "text/html", "application/xml",
    "application/octet-stream", "application/x-ndjson", "image/png", "", "nonsense", "multipart/form-data",
    "application/json, multipart/form-data; boundary=X",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("body", [AS_JSON, AS_FORM, AS_PARTS], ids=["json", "form", "parts"])
def test_no_parser_takes_forged_keys_for_its_own(kind: str, body: bytes) -> None:
    """Every body under every content type: a file comes only of a sent file, and holds exactly what was sent."""
    files: Files = {}
    with contextlib.suppress(Problem):
        _, files = decode_payload(kind, "", body)
    for name, made in files.items():
        assert name == "data"
        assert b64decode(made["data"]) == body
        assert set(made) == {"data", "mime_type", "file_name", "size"}


def test_forged_names_of_files_are_names_only() -> None:
    body = form(*(part(f'form-data; name="{name}"; filename="{CANARY}"', b"mine") for name in FORGED))
    _, files = decode_payload(KIND, "", body)
    assert set(files) == set(FORGED)
    assert all(b64decode(made["data"]) == b"mine" and made["file_name"] == "passwd" for made in files.values())


async def test_forged_keys_stay_in_the_body(api: Api) -> None:
    """Through the whole way: the stored item has the shape that LinkFlow gave it."""
    _, path = await deploy(api)
    for kind, body in (("application/json", AS_JSON), ("application/x-www-form-urlencoded", AS_FORM), (KIND, AS_PARTS)):
        status, _, accepted = await api.client.send("POST", path, data=body, headers={"Content-Type": kind})
        assert status == 202, accepted
        [item] = (await api.client.execution(accepted["execution_id"]))["input"]
        assert set(item) == {"json"}
        assert set(item["json"]) == {"body", "query", "headers", "method", "params"}
        assert "canary:" not in json.dumps(item)
        assert set(item["json"]["body"]) == set(FORGED)


async def test_a_file_reaches_the_execution(api: Api) -> None:
    _, path = await deploy(api)
    content = bytes(range(256)) * 400  # over 64 KB: stored outside the record
    body = form(
        field("a", "1"), part('form-data; name="scan"; filename="../s.png"', content, "Content-Type: image/png")
    )
    status, _, accepted = await api.client.send("POST", path, data=body, headers={"Content-Type": KIND})
    assert status == 202, accepted
    [item] = (await api.client.execution(accepted["execution_id"]))["input"]
    assert item["json"]["body"] == {"a": "1"}
    file = item["binary"]["scan"]
    assert (file["file_name"], file["mime_type"], file["size"]) == ("s.png", "image/png", len(content))
    assert b64decode(file["data"]) == content
