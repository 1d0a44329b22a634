"""OAuth 2 (RFC 6749, PKCE: RFC 7636): the addresses and requests it takes and what providers answer. Pure.

Token requests hold secrets: they are made and sent by the effect interpreter alone.
"""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import quote, quote_plus, urlencode, urlsplit

import msgspec

from domain.credential.http_auth import basic
from domain.effects import HttpRequest

TOKEN_SECONDS = 20.0
AUTHORIZATION_CODE = "authorization_code"
CLIENT_CREDENTIALS = "client_credentials"
_RETRIABLE = frozenset({"temporarily_unavailable", "server_error", "slow_down"})


class Tokens(msgspec.Struct, frozen=True):
    """`lives_seconds`: of the access token, None where the provider does not say."""

    access_token: str
    refresh_token: str | None = None
    lives_seconds: int | None = None
    scope: str = ""


class TokensRefused(msgspec.Struct, frozen=True):
    """`final`: the grant is over; a person must connect the credential again."""

    code: str
    message: str
    final: bool = False


def challenge_of(verifier: str) -> str:
    """PKCE's challenge, S256."""
    return urlsafe_b64encode(sha256(verifier.encode("ascii")).digest()).rstrip(b"=").decode("ascii")


def authorize_address(plain: Mapping[str, str], *, redirect_uri: str, state: str, verifier: str) -> str:
    """Where a person's browser goes to allow it."""
    wanted = {
        "response_type": "code",
        "client_id": plain.get("client_id", ""),
        "redirect_uri": redirect_uri,
        "state": state,
        "code_challenge": challenge_of(verifier),
        "code_challenge_method": "S256",
    }
    for name in ("scope", "audience"):
        if plain.get(name):
            wanted[name] = plain[name]
    address = plain.get("authorize_url", "")
    return address + ("&" if urlsplit(address).query else "?") + urlencode(wanted, quote_via=quote)


def code_request(fields: Mapping[str, str], *, code: str, verifier: str, redirect_uri: str) -> HttpRequest:
    return _token_request(
        fields,
        {"grant_type": AUTHORIZATION_CODE, "code": code, "redirect_uri": redirect_uri, "code_verifier": verifier},
    )


def renewal_request(fields: Mapping[str, str]) -> HttpRequest | None:
    """The request that gives the next access token; None where only a person can help."""
    if fields.get("grant") == CLIENT_CREDENTIALS:
        wanted = {"grant_type": CLIENT_CREDENTIALS}
        wanted |= {name: fields[name] for name in ("scope", "audience") if fields.get(name)}
        return _token_request(fields, wanted)
    if not fields.get("refresh_token"):
        return None
    return _token_request(fields, {"grant_type": "refresh_token", "refresh_token": fields["refresh_token"]})


def read_tokens(answer: Any) -> Tokens | TokensRefused:
    """What the provider's answer `{"status", "headers", "body"}` says. Nothing of it but its error code is repeated."""
    status, body = answer.get("status"), answer.get("body")
    if not isinstance(body, dict):
        return TokensRefused("oauth2_answer", f"the token address answered {status}, but not with a JSON object")
    if status == 200 and isinstance(body.get("access_token"), str) and body["access_token"]:
        kind = str(body.get("token_type", "bearer"))
        if kind.lower() != "bearer":
            return TokensRefused("oauth2_answer", "the provider gave a token that is not a bearer token")
        lives, renewal = body.get("expires_in"), body.get("refresh_token")
        return Tokens(
            body["access_token"],
            renewal if isinstance(renewal, str) and renewal else None,
            int(lives) if isinstance(lives, int | float | str) and str(lives).split(".")[0].isdecimal() else None,
            body["scope"] if isinstance(body.get("scope"), str) else "",
        )
    code = str(body.get("error", ""))[:60]
    shown = code if code.replace("_", "").isalnum() else "no error code"
    return TokensRefused(
        "oauth2_refused",
        f"the provider refused it ({shown}, status {status})",
        final=code == "invalid_grant",
    )


def may_succeed_later(answer: Any) -> bool:
    """Whether asking again makes sense: the provider is unwell or busy."""
    status, body = answer.get("status"), answer.get("body")
    return (isinstance(status, int) and (status >= 500 or status == 429)) or (
        isinstance(body, dict) and body.get("error") in _RETRIABLE
    )


def _token_request(fields: Mapping[str, str], wanted: Mapping[str, str]) -> HttpRequest:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    form = dict(wanted)
    client, secret = fields.get("client_id", ""), fields.get("client_secret", "")
    if secret and fields.get("client_authentication", "header") == "header":
        # RFC 6749, 2.3.1: both are form-encoded first
        headers["Authorization"] = basic(quote_plus(client), quote_plus(secret))
    else:
        form["client_id"] = client
        if secret:
            form["client_secret"] = secret
    return HttpRequest(
        "POST",
        fields.get("token_url", ""),
        headers=headers,
        body_text=urlencode(form),
        timeout_seconds=TOKEN_SECONDS,
        follow_redirects=False,
        max_response_bytes=200_000,
    )
