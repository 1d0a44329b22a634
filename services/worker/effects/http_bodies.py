"""Bodies of HTTP: what is sent as bytes, what came back as JSON values; bounded while it arrives."""

import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
import msgspec

from domain.effects import EffectError, HttpRequest
from domain.nodes.binary import OCTETS, is_text_type, make_binary
from schemas.nesting import MAX_JSON_DEPTH, too_deep
from services.worker.effects.multipart import encode_multipart

ACCEPT_ENCODING: Final = "gzip, deflate"
_CHUNK: Final = 65_536


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that was read. `headers` in lower case; `mime_type` empty where none is given; `hops`: redirects."""

    status: int
    headers: dict[str, str]
    body: bytes
    mime_type: str
    charset: str
    file_name: str
    url: str
    hops: int


class Unusable(Exception):
    """The answer cannot be used; `error` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.error = EffectError(code, message, retriable=False)


def encode_body(request: HttpRequest) -> tuple[bytes | None, str | None]:
    """The body as it is sent, and the content type that belongs to it where the user's headers name none.

    Raises ValueError for a file that is no base64.
    """
    if request.body_text is not None:
        return request.body_text.encode(), None
    if request.body_data is not None:
        return b64decode(request.body_data, validate=True), OCTETS
    if request.multipart or request.files:
        return encode_multipart(query_pairs(request.form or {}), request.files)
    if request.form is not None:
        return urlencode(query_pairs(request.form)).encode(), "application/x-www-form-urlencoded"
    if request.body is not None:
        return msgspec.json.encode(request.body), "application/json"
    return None, None


def query_pairs(query: dict[str, Any]) -> list[tuple[str, str]]:
    """A list is a parameter that comes several times; null is none."""
    pairs: list[tuple[str, str]] = []
    for name, value in query.items():
        values = value if isinstance(value, list) else [value]
        pairs.extend((name, as_text(each)) for each in values if each is not None)
    return pairs


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


async def read_body(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The whole body, unpacked, at most `limit` bytes packed and unpacked. Raises Unusable, aiohttp's errors."""
    if (response.content_length or 0) > limit and response.method != "HEAD":
        response.close()
        raise _too_large(limit)
    unpack = _unpacker(response.headers.get("content-encoding", ""))
    chunks: list[bytes] = []
    arrived = size = 0
    async for chunk in response.content.iter_chunked(_CHUNK):
        arrived += len(chunk)
        plain = chunk if unpack is None else unpack.feed(chunk, limit - size + 1)
        size += len(plain)
        if max(size, arrived) > limit:
            response.close()
            raise _too_large(limit)
        chunks.append(plain)
    if unpack is not None and arrived:
        unpack.finish()
    return b"".join(chunks)


def _too_large(limit: int) -> Unusable:
    return Unusable("response_too_large", f"the answer is larger than {limit} bytes")


class _Unpacker:
    """gzip or deflate, never more at once than there is room for: a bomb is found out before it is held."""

    def __init__(self, name: str, bits: tuple[int, ...]) -> None:
        self._name = name
        self._bits = bits
        self._stream = zlib.decompressobj(bits[0])
        self._begun = False

    def feed(self, chunk: bytes, room: int) -> bytes:
        """What `chunk` unpacks to, at most `room` bytes (then the limit is passed anyway)."""
        made: list[bytes] = []
        while chunk and room > 0:
            if self._stream.eof:  # gzip may have several members
                self._stream = zlib.decompressobj(self._bits[0])
            plain = self._inflate(chunk, room)
            self._begun = True
            made.append(plain)
            room -= len(plain)
            chunk = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
        return b"".join(made)

    def finish(self) -> None:
        if not self._stream.eof:
            raise Unusable("bad_response", f"the {self._name} data of the answer's body ends too early")

    def _inflate(self, chunk: bytes, room: int) -> bytes:
        try:
            return self._stream.decompress(chunk, room)
        except zlib.error as error:
            if not self._begun and len(self._bits) > 1:  # "deflate" is sent with and without zlib's head
                self._bits = self._bits[1:]
                self._stream = zlib.decompressobj(self._bits[0])
                return self._inflate(chunk, room)
            raise Unusable("bad_response", f"the {self._name} data of the answer's body is broken: {error}") from None


def _unpacker(encoding: str) -> _Unpacker | None:
    match encoding.strip().lower():
        case "gzip" | "x-gzip":
            return _Unpacker("gzip", (16 + zlib.MAX_WBITS,))
        case "deflate":
            return _Unpacker("deflate", (zlib.MAX_WBITS, -zlib.MAX_WBITS))
        case "" | "identity":
            return None
        case other:
            raise Unusable("bad_response", f"the answer's body is packed as {other[:40]!r}, which nobody asked for")


def headers_of(response: aiohttp.ClientResponse) -> dict[str, str]:
    """Names in lower case; what comes several times is joined."""
    headers: dict[str, str] = {}
    for name, value in response.headers.items():
        lower = name.lower()
        headers[lower] = f"{headers[lower]}, {value}" if lower in headers else value
    return headers


def decode_body(answer: Answer, kind: str, hide: Callable[[str], str] | None = None) -> dict[str, Any]:
    """`{"body": …}`, or `{"body": None, "binary": {…}}` for a file. Raises Unusable.

    `kind`: auto (JSON, text or a file by the content type), json, text, binary. `hide`: takes secrets out of a file,
    where nobody would find them any more once it is base64.
    """
    body = answer.body
    if not body and kind != "binary":
        return {"body": None}
    if kind == "binary" or (kind == "auto" and not _is_text(answer)):
        if hide is not None:
            body = hide(body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        data = b64encode(body).decode()
        file = make_binary(data, len(body), mime_type=answer.mime_type, file_name=answer.file_name)
        return {"body": None, "binary": file}
    if kind == "json" or (kind == "auto" and answer.mime_type.endswith(("application/json", "+json"))):
        if too_deep(body):
            raise Unusable("response_too_deep", f"the answer's JSON is nested more than {MAX_JSON_DEPTH} levels deep")
        try:
            return {"body": msgspec.json.decode(body)}
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if kind == "json":
                raise Unusable("bad_response", f"the answer is no JSON: {error}") from None
    try:
        return {"body": body.decode(answer.charset, errors="replace")}
    except LookupError:
        return {"body": body.decode(errors="replace")}


def _is_text(answer: Answer) -> bool:
    if not answer.mime_type:
        try:
            answer.body.decode()
        except UnicodeDecodeError:
            return False
        return True
    return is_text_type(answer.mime_type)
