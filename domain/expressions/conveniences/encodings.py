"""Convenience functions of strings: encodings and hashes."""

import base64
import binascii
import hashlib
from typing import Final
from urllib.parse import quote

from domain.expressions import utf16
from domain.expressions.conveniences.registry import offer, text_of
from domain.expressions.errors import RANGE, ExpressionError
from domain.expressions.library import CONSTANTS
from domain.expressions.scope import Scope
from domain.expressions.values import UNDEFINED, Value

_ALGORITHMS: Final = ("md5", "sha1", "sha256", "sha384", "sha512", "sha3_256", "sha3_512")


def _bytes(scope: Scope, text: str) -> bytes:
    scope.charge_text(len(text))
    return utf16.well_formed(text).encode()


def _text(encoded: bytes, what: str) -> str:
    try:
        return encoded.decode()
    except UnicodeDecodeError:
        raise ExpressionError(RANGE, f"what the {what} stands for is no text") from None


@offer(
    "string",
    "hash(algorithm = 'sha256')",
    "Its hash in hexadecimal digits: md5, sha1, sha256, sha384, sha512, sha3_256 or sha3_512.",
    ("'abc'.hash('md5')", "900150983cd24fb0d6963f7d28e17f72"),
    ("'abc'.hash().slice(0, 8)", "ba7816bf"),
)
def _hash(scope: Scope, text: str, algorithm: Value = UNDEFINED, *_: Value) -> str:
    name = text_of(scope, algorithm, "sha256").lower().replace("-", "")
    if name not in _ALGORITHMS:
        raise ExpressionError(RANGE, f"hash knows {', '.join(_ALGORITHMS)}")
    scope.charge(1 + (len(text) >> 7))
    return hashlib.new(name, _bytes(scope, text), usedforsecurity=False).hexdigest()


@offer("string", "base64Encode()", "Its UTF-8 bytes in Base64.", ("'Größe'.base64Encode()", "R3LDtsOfZQ=="))
def _base64_encode(scope: Scope, text: str, *_: Value) -> str:
    scope.charge_text(4 * len(text))
    return base64.b64encode(_bytes(scope, text)).decode("ascii")


@offer(
    "string",
    "base64Decode()",
    "The text that its Base64 stands for, also in the alphabet for addresses.",
    ("'R3LDtsOfZQ=='.base64Decode()", "Größe"),
)
def _base64_decode(scope: Scope, text: str, *_: Value) -> str:
    scope.charge_text(len(text))
    plain = "".join(text.split()).replace("-", "+").replace("_", "/")
    try:
        decoded = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ExpressionError(RANGE, "the text is not Base64") from None
    return _text(decoded, "Base64")


@offer("string", "hexEncode()", "Its UTF-8 bytes in hexadecimal digits.", ("'Az'.hexEncode()", "417a"))
def _hex_encode(scope: Scope, text: str, *_: Value) -> str:
    scope.charge_text(4 * len(text))
    return _bytes(scope, text).hex()


@offer("string", "hexDecode()", "The text that its hexadecimal digits stand for.", ("'417a'.hexDecode()", "Az"))
def _hex_decode(scope: Scope, text: str, *_: Value) -> str:
    scope.charge_text(len(text))
    try:
        return _text(bytes.fromhex(text), "hexadecimal text")
    except ValueError:
        raise ExpressionError(RANGE, "the text is not hexadecimal") from None


@offer(
    "string",
    "urlEncode()",
    "Fit for a query: everything but letters, digits and `-_.~` percent-encoded.",
    ("'a b&c=ä'.urlEncode()", "a%20b%26c%3D%C3%A4"),
)
def _url_encode(scope: Scope, text: str, *_: Value) -> str:
    scope.charge_text(9 * len(text))
    return quote(_bytes(scope, text), safe="")


@offer("string", "urlDecode()", "Percent-encoding taken back.", ("'a%20b%26c'.urlDecode()", "a b&c"))
def _url_decode(scope: Scope, text: str, *_: Value) -> str:
    return str(CONSTANTS["decodeURIComponent"].call(scope, text))
