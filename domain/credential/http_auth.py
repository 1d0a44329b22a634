"""How a credential authenticates an HTTP request: pure, from its fields and the request to the request that is sent.

Called by effect interpreters alone: fields hold secrets, and so does what comes back.
"""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlsplit

import msgspec

from domain.credential.credential_type import CredentialType, HttpAuth
from domain.credential.http_test import filled
from domain.credential.signature import secrets_at, signatures
from domain.effects import HttpRequest
from domain.errors import DomainError

_AMBIGUOUS = re.compile(r"[\\\s\x00-\x1f]")
_UNSENDABLE = re.compile(r"[\r\n\0]")


class CannotAuthorise(DomainError):
    """The credential cannot be used for this request; the message holds nothing secret."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def authorised(request: HttpRequest, type_: CredentialType, fields: Mapping[str, str], *, at: int) -> HttpRequest:
    """`request` with the credential in it: its headers replace those of the same name. Raises CannotAuthorise.

    `fields`: all of them, secrets in clear, for oauth2 `access_token` too. Digest changes nothing before the server's
    challenge (`domain.credential.digest`). `at`: ms since 1970, when it is sent; a signature says so.
    """
    auth = type_.http
    if auth is None:
        raise CannotAuthorise("credential_type_mismatch", f"a credential of type {type_.name} authenticates no request")
    url = moved(request.url, auth, fields)
    check_host(url, auth, fields)
    if auth.scheme == "signature":
        request = signed(request, fields, at)
    headers, query = _parts(auth, fields)
    for name, value in headers.items():
        if not name or _UNSENDABLE.search(name) or _UNSENDABLE.search(value) or not _latin(name + value):
            raise CannotAuthorise("credential_unusable", f"the header {name[:100]!r} cannot be sent")
    replaced = {name.lower() for name in headers}
    kept = {name: value for name, value in request.headers.items() if name.lower() not in replaced}
    return msgspec.structs.replace(request, url=url, headers=kept | headers, query={**request.query, **query})


def signed(request: HttpRequest, fields: Mapping[str, str], at: int) -> HttpRequest:
    """With the headers of Standard Webhooks, for the message that the header webhook-id (or Idempotency-Key) names."""
    given = {name.lower(): value for name, value in request.headers.items()}
    message_id = given.get("webhook-id") or given.get("idempotency-key")
    if not message_id:
        raise CannotAuthorise("credential_unusable", "a signature needs the message's id: give a header webhook-id")
    if request.form is not None or request.files or request.multipart or request.body_data is not None:
        raise CannotAuthorise("credential_unusable", "a signature needs a body of text or JSON")
    text, headers = request.body_text, dict(request.headers)
    if text is None and request.body is not None:
        text = msgspec.json.encode(request.body).decode()  # the very bytes that are signed are sent
        headers = {"Content-Type": "application/json"} | headers
    secrets = secrets_at(fields, at)
    if not secrets:
        raise CannotAuthorise("credential_unusable", "its secrets sign no more: their time is over")
    timestamp = at // 1_000
    headers = {name: value for name, value in headers.items() if not name.lower().startswith("webhook-")} | {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signatures(secrets, message_id, timestamp, (text or "").encode()),
    }
    return msgspec.structs.replace(request, body=None, body_text=text, headers=headers)


def moved(url: str, auth: HttpAuth, fields: Mapping[str, str]) -> str:
    """The address at the service that the credential names, where its type lets it name one."""
    if auth.service is None:
        return url
    usual, field = auth.service
    if "{" in field:
        named = filled(field, {name: quote(value, safe=":") for name, value in fields.items()})
    else:
        named = fields.get(field, "").rstrip("/")
    if named and (url == named or url.startswith(named + "/")):
        return url  # the next page, as the service itself spells its address
    if not (url == usual or url.startswith(usual + "/")):
        raise CannotAuthorise(
            "credential_host_refused", f"the credential is only for addresses that begin with {usual}"
        )
    return (named or usual) + url[len(usual) :]


def check_host(url: str, auth: HttpAuth, fields: Mapping[str, str]) -> None:
    """Raises CannotAuthorise `credential_host_refused` where the credential must not be shown to this host."""
    allowed = auth.hosts or tuple(each.strip() for each in fields.get("allowed_hosts", "").split(",") if each.strip())
    if not allowed:
        return
    try:
        # clients differ in what they make of a backslash, or of spaces: nobody sees a secret by that difference
        host = "" if _AMBIGUOUS.search(url) else urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    if not host_allowed(host, allowed):
        raise CannotAuthorise(
            "credential_host_refused",
            f"the credential is not for the host {host[:100]!r}: see its allowed hosts",
        )


def host_allowed(host: str, allowed: Sequence[str]) -> bool:
    """`*.example.com` stands for every host below example.com, not for example.com itself."""
    plain = host.lower().rstrip(".")
    for each in allowed:
        wanted = each.lower().rstrip(".")
        if wanted.startswith("*."):
            below = plain.removesuffix(wanted[1:])
            if below != plain and below:
                return True
        elif plain == wanted and plain:
            return True
    return False


def _parts(auth: HttpAuth, fields: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Headers and query parameters that carry the credential."""
    headers = {filled(name, fields): filled(value, fields) for name, value in (auth.headers or {}).items()}
    query = {filled(name, fields): filled(value, fields) for name, value in (auth.query or {}).items()}
    match auth.scheme:
        case "basic":
            headers["Authorization"] = basic(fields.get("user", ""), fields.get("password", ""))
        case "oauth2":
            if not fields.get("access_token"):
                raise CannotAuthorise("credential_not_connected", "nobody has connected this credential yet")
            headers["Authorization"] = f"Bearer {fields['access_token']}"
        case "custom":
            headers |= _object(fields.get("headers"))
            query |= _object(fields.get("query"))
        case "digest" | "none" | "signature":
            pass
    return headers, query


def basic(user: str, password: str) -> str:
    """The value of an Authorization header (RFC 7617, UTF-8)."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode("ascii")


def _object(text: str | None) -> dict[str, str]:
    return msgspec.json.decode(text, type=dict[str, str]) if text else {}


def _latin(text: str) -> bool:
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True
