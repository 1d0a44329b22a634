"""multipart/form-data as it comes in (RFC 7578): fields and files, in one pass over a body that is in memory."""

import re
from base64 import b64encode
from collections.abc import Iterator
from typing import Any, Final, NamedTuple
from urllib.parse import unquote_to_bytes

from domain.nodes.binary import OCTETS, make_binary
from services.api.problems import Problem

MAX_PARTS: Final = 1_000
_MAX_HEAD: Final = 8_192
_LONGEST_NAME: Final = 200
_BOUNDARY: Final = re.compile(r'boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_PARAMETER: Final = re.compile(r';\s*([A-Za-z*-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*+)(?:"|\Z)|([^\s;"]*+))')


class Part(NamedTuple):
    name: str
    file_name: str | None
    mime_type: str
    content: bytes


def parse_multipart(content_type: str, body: bytes) -> tuple[list[tuple[str, str]], dict[str, dict[str, Any]]]:
    """Fields in their order, and files as items carry them, by the name of their field (`name_2`, … for further ones).

    Everything that a part says is data: names are keys of the body or of the files, file names lose their folders.
    Raises Problem 400 `malformed_form`.
    """
    fields: list[tuple[str, str]] = []
    files: dict[str, dict[str, Any]] = {}
    counts: dict[str, int] = {}
    for part in _parts(content_type, body):
        if part.file_name is None:
            try:
                fields.append((part.name, part.content.decode()))
            except UnicodeDecodeError:
                raise _malformed(f"field {part.name[:100]!r} is not UTF-8") from None
            continue
        if part.file_name == "" and not part.content:
            continue  # a file input of a page that nobody filled
        counts[part.name] = counts.get(part.name, 0) + 1
        key = part.name if counts[part.name] == 1 else f"{part.name}_{counts[part.name]}"
        data = b64encode(part.content).decode()
        files[key] = make_binary(data, len(part.content), mime_type=part.mime_type, file_name=part.file_name)
    return fields, files


def _parts(content_type: str, body: bytes) -> Iterator[Part]:
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise _malformed("its content type names no boundary")
    mark = b"--" + (found[1] or found[2]).encode("latin-1", "replace")
    # The first mark may stand at the very beginning; each other one ends the part before it with its line break.
    place = 0 if body.startswith(mark) else body.find(b"\r\n" + mark) + 2
    if place == 1:
        raise _malformed("its boundary is nowhere in the body")
    for _ in range(MAX_PARTS + 1):
        place += len(mark)
        if body.startswith(b"--", place):
            return
        begin = body.find(b"\r\n", place, place + 256)
        end = body.find(b"\r\n" + mark, place)
        if begin < 0 or end < 0 or body[place:begin].strip(b" \t"):
            raise _malformed("it ends before its last boundary")
        yield _part(body, begin + 2, end)
        place = end + 2
    raise _malformed(f"it has over {MAX_PARTS} parts")


def _part(body: bytes, begin: int, end: int) -> Part:
    """The part between two marks. One without any header has none to name it, and is refused."""
    head_end = body.find(b"\r\n\r\n", begin, min(end, begin + _MAX_HEAD) + 4)
    if head_end < 0:
        raise _malformed("a part has no head, or too long a one")
    disposition, mime_type = "", ""
    for line in body[begin:head_end].split(b"\r\n"):
        name, _, value = line.partition(b":")
        match name.strip().lower():
            case b"content-disposition":
                disposition = value.decode("utf-8", "replace").strip()
            case b"content-type":
                mime_type = value.decode("latin-1").strip()
    given = {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(disposition)}
    if not disposition.lower().startswith("form-data") or not given.get("name"):
        raise _malformed("a part has no name")
    if len(given["name"]) > _LONGEST_NAME:
        raise _malformed(f"the name of a part has more than {_LONGEST_NAME} characters")
    return Part(_plain(given["name"]), _file_name(given), mime_type[:200] or OCTETS, body[head_end + 4 : end])


def _file_name(given: dict[str, str]) -> str | None:
    if "filename*" in given:  # RFC 5987: charset'language'text
        charset, _, rest = given["filename*"].partition("'")
        try:
            return unquote_to_bytes(rest.partition("'")[2]).decode(charset or "utf-8", "replace")
        except LookupError:
            return ""
    return _plain(given["filename"]) if "filename" in given else None


def _plain(quoted: str) -> str:
    return re.sub(r'\\(["\\])', r"\1", quoted)


def _malformed(why: str) -> Problem:
    return Problem(400, "malformed_form", f"The multipart form cannot be read: {why}.")
