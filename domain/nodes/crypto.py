"""`crypto`: hashes, signatures and encodings. What needs chance (keys, random ids) is not here: nodes are pure."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes
from uuid import NAMESPACE_DNS, NAMESPACE_OID, NAMESPACE_URL, NAMESPACE_X500, UUID, uuid5

from domain.execution.events import Item, Items
from domain.expressions import Scope
from domain.nodes.failures import BAD_PARAMETER, NodeFailure
from domain.nodes.node_type import MAIN, Example, NodeType, Operation, Pure, map_items
from domain.nodes.parameters import Parameter, Parameters
from domain.nodes.texts import field_path, from_base64, long_text, utf8, with_field

ALGORITHMS: Final = (
    "md5", "sha1", "sha224", "sha256", "sha384", "sha512",
    "sha3_224", "sha3_256", "sha3_384", "sha3_512", "blake2b", "blake2s",
)  # fmt: skip
_NAMESPACES: Final = {"dns": NAMESPACE_DNS, "url": NAMESPACE_URL, "oid": NAMESPACE_OID, "x500": NAMESPACE_X500}


def _from_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise NodeFailure("bad_text", "the text is not hexadecimal") from None


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise NodeFailure("not_text", "the bytes are not UTF-8 text") from None


_READ: Final[dict[str, Callable[[str], bytes]]] = {
    "text": utf8,
    "base64": from_base64,
    "base64url": lambda text: from_base64(text, url=True),
    "hex": _from_hex,
    "url": lambda text: unquote_to_bytes(text.encode("utf-8", "replace").decode()),
}
_WRITE: Final[dict[str, Callable[[bytes], str]]] = {
    "text": _text,
    "base64": lambda data: base64.b64encode(data).decode(),
    "base64url": lambda data: base64.urlsafe_b64encode(data).decode().rstrip("="),
    "hex": bytes.hex,
    "url": lambda data: quote(data, safe="-_.!~*'()"),
}
_DIGESTS: Final = ("hex", "base64", "base64url")


def _bind(parameters: Parameters) -> Operation:
    into = field_path(parameters, "into")
    work = _WORK[parameters.plain("operation") or "hash"](parameters)

    def compute(scope: Scope, item: Item) -> Items:
        return [with_field(item, into, work(scope))]

    return Pure(lambda run: map_items(run, compute), weight=20)


def _bytes_of(parameters: Parameters) -> Callable[[Scope], bytes]:
    value_of, read = parameters.evaluator("value"), _READ[parameters.plain("from")]
    return lambda scope: read(value_of(scope))


def _digest_of(parameters: Parameters) -> Callable[[bytes], str]:
    form = parameters.plain("to") if parameters.given("to") else "hex"
    if form not in _DIGESTS:
        parameters.refuse("to", f"must be one of {', '.join(_DIGESTS)} here")
    return _WRITE[form]


def _hash(parameters: Parameters) -> Callable[[Scope], Any]:
    data_of, shown, algorithm = _bytes_of(parameters), _digest_of(parameters), parameters.plain("algorithm")
    return lambda scope: shown(hashlib.new(algorithm, data_of(scope), usedforsecurity=False).digest())


def _hmac(parameters: Parameters) -> Callable[[Scope], Any]:
    if not parameters.given("secret"):
        parameters.refuse("secret", "is missing: hmac needs one")
    data_of, shown, algorithm = _bytes_of(parameters), _digest_of(parameters), parameters.plain("algorithm")
    secret_of, read_secret = parameters.evaluator("secret"), _READ[parameters.plain("secret_from")]

    def sign(scope: Scope) -> str:
        secret = secret_of(scope)
        if not secret:
            raise NodeFailure(BAD_PARAMETER, "parameter 'secret' must be a text that is not empty")
        return shown(hmac.new(read_secret(secret), data_of(scope), algorithm).digest())

    return sign


def _convert(parameters: Parameters) -> Callable[[Scope], Any]:
    data_of, shown = _bytes_of(parameters), _WRITE[parameters.plain("to")]
    return lambda scope: shown(data_of(scope))


def _uuid5(parameters: Parameters) -> Callable[[Scope], Any]:
    name_of, namespace = parameters.evaluator("value"), parameters.plain("namespace")
    try:
        space = _NAMESPACES.get(namespace) or UUID(namespace)
    except ValueError:
        parameters.refuse("namespace", "must be dns, url, oid, x500 or a UUID")
        space = NAMESPACE_DNS

    def derive(scope: Scope) -> str:
        name = name_of(scope)
        utf8(name)
        return str(uuid5(space, name))

    return derive


_WORK: Final[dict[str, Callable[[Parameters], Callable[[Scope], Any]]]] = {
    "hash": _hash,
    "hmac": _hmac,
    "convert": _convert,
    "uuid5": _uuid5,
}

CRYPTO = NodeType(
    "crypto",
    "Crypto",
    "Hashes (hash), signs with a secret (hmac), changes encodings (convert) and derives ids from names (uuid5: one "
    "name gives one id). md5 and sha1 are for checking old sums, not for security. Random values are not made "
    "here.",
    _bind,
    (
        Parameter("operation", "text", "What is done.", required=True, expression=False, choices=tuple(_WORK)),
        long_text("value", "The text that is worked on."),
        Parameter(
            "algorithm", "text", "hash, hmac: which one.", default="sha256", expression=False, choices=ALGORITHMS
        ),
        Parameter("secret", "text", "hmac: the secret."),
        Parameter(
            "secret_from",
            "text",
            "hmac: how the secret's bytes are written.",
            default="text",
            expression=False,
            choices=tuple(_READ),
        ),
        Parameter(
            "from",
            "text",
            "How the value's bytes are written: as text (UTF-8), base64, base64url, hex or url (%20).",
            default="text",
            expression=False,
            choices=tuple(_READ),
        ),
        Parameter(
            "to",
            "text",
            "How the result is written; hashes in hex unless base64 or base64url is named.",
            default="text",
            expression=False,
            choices=tuple(_WRITE),
        ),
        Parameter("namespace", "text", "uuid5: dns, url, oid, x500 or a UUID.", default="dns", expression=False),
        Parameter("into", "text", "The field that gets the result.", default="result", expression=False),
    ),
    examples=(
        Example(
            "The signature that a webhook's receiver checks.",
            {"operation": "hmac", "value": "{{ $json.body }}", "secret": "key", "into": "signature"},
            [{"body": "The quick brown fox jumps over the lazy dog"}],
            {
                MAIN: [
                    {
                        "body": "The quick brown fox jumps over the lazy dog",
                        "signature": "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8",
                    }
                ]
            },
        ),
    ),
)
