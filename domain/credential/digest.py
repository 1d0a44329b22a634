"""HTTP Digest (RFC 7616): the answer to a server's challenge. Pure: the client's nonce comes in."""

import re
from collections.abc import Callable, Mapping
from hashlib import md5, new, sha256
from urllib.parse import urlsplit

_PARTS = re.compile(r"""([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))""")
_CHALLENGE = re.compile(
    r"(?:^|,)\s*Digest\s+(.*?)(?=,\s*(?:Basic|Bearer|Digest|Negotiate|NTLM)\b|$)", re.IGNORECASE | re.DOTALL
)


def _md5(data: bytes) -> str:
    return md5(data, usedforsecurity=False).hexdigest()


def _sha256(data: bytes) -> str:
    return sha256(data).hexdigest()


def _sha512_256(data: bytes) -> str:
    return new("sha512_256", data).hexdigest()


_HASHES: Mapping[str, Callable[[bytes], str]] = {"MD5": _md5, "SHA-256": _sha256, "SHA-512-256": _sha512_256}
_STRONGEST_FIRST = ("SHA-512-256", "SHA-256", "MD5")


def find_challenge(header: str) -> dict[str, str] | None:
    """The strongest Digest challenge of a WWW-Authenticate header that can be answered, None if there is none."""
    found: dict[str, dict[str, str]] = {}
    for match in _CHALLENGE.finditer(header):
        parts = {
            name.lower(): re.sub(r"\\(.)", r"\1", quoted) or plain for name, quoted, plain in _PARTS.findall(match[1])
        }
        algorithm = parts.get("algorithm", "MD5").upper().removesuffix("-SESS")
        offered = [each.strip() for each in parts.get("qop", "").split(",") if each.strip()]
        if algorithm in _HASHES and "nonce" in parts and (not offered or "auth" in offered):
            found.setdefault(algorithm, parts)
    return next((found[name] for name in _STRONGEST_FIRST if name in found), None)


def answer_challenge(
    challenge: Mapping[str, str], *, method: str, url: str, user: str, password: str, client_nonce: str
) -> str:
    """The value of the Authorization header. `url`: as it is sent, with its query."""
    named = challenge.get("algorithm", "MD5")
    hashed = _HASHES[named.upper().removesuffix("-SESS")]

    def digest(*parts: str) -> str:
        return hashed(":".join(parts).encode())

    target = urlsplit(url)
    uri = (target.path or "/") + (f"?{target.query}" if target.query else "")
    realm, nonce = challenge.get("realm", ""), challenge["nonce"]
    secret = digest(user, realm, password)
    if named.upper().endswith("-SESS"):
        secret = digest(secret, nonce, client_nonce)
    what = digest(method, uri)
    answer = {"username": user, "realm": realm, "nonce": nonce, "uri": uri}
    if challenge.get("qop"):
        response = digest(secret, nonce, "00000001", client_nonce, "auth", what)
    else:
        response = digest(secret, nonce, what)
    quoted = [f'{name}="{_quoted(value)}"' for name, value in (answer | {"response": response}).items()]
    if "opaque" in challenge:
        quoted.append(f'opaque="{_quoted(challenge["opaque"])}"')
    if "algorithm" in challenge:
        quoted.append(f"algorithm={named}")
    if challenge.get("qop"):
        quoted += ["qop=auth", "nc=00000001", f'cnonce="{client_nonce}"']
    return "Digest " + ", ".join(quoted)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
