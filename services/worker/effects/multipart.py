"""multipart/form-data (RFC 7578) as bytes."""

from base64 import b64decode
from collections.abc import Iterable, Sequence
from secrets import token_hex

from domain.effects import FilePart


def encode_multipart(fields: Iterable[tuple[str, str]], files: Sequence[FilePart]) -> tuple[bytes, str]:
    """The body and its content type. Raises ValueError for a file that is no base64."""
    boundary = f"linkflow-{token_hex(16)}"  # no content can hold what nobody knew
    out: list[bytes] = []
    for name, value in fields:
        out.append(_head(boundary, f'name="{_quoted(name)}"') + value.encode())
    for file in files:
        disposition = f'name="{_quoted(file.field)}"; filename="{_quoted(file.file_name)}"'
        out.append(_head(boundary, disposition, _line(file.mime_type)) + b64decode(file.data, validate=True))
    out.append(f"--{boundary}--\r\n".encode())
    return b"\r\n".join(out), f"multipart/form-data; boundary={boundary}"


def _head(boundary: str, disposition: str, mime_type: str = "") -> bytes:
    kind = f"Content-Type: {mime_type}\r\n" if mime_type else ""
    return f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n{kind}\r\n".encode()


def _quoted(name: str) -> str:
    """As browsers escape names: a quote or a line break would end the header."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _line(text: str) -> str:
    return "".join(sign for sign in text if sign.isprintable())
