"""Trying out a credential by one GET: what most types that authenticate HTTP requests need."""

from collections.abc import Mapping
from typing import Any

from domain.credential.credential_type import CredentialTest
from domain.effects import CredentialRef, HttpRequest

TEST_SECONDS = 15.0


def http_test(url: str = "{test_url}") -> CredentialTest:
    """A GET of `url`, a text with `{field}` of plain fields in it; it works if the server answers with 2xx or 3xx."""

    def effect(ref: CredentialRef, plain: Mapping[str, str]) -> HttpRequest | None:
        address = filled(url, plain)
        if not address:
            return None
        return HttpRequest("GET", address, timeout_seconds=TEST_SECONDS, max_response_bytes=200_000, credential=ref)

    return CredentialTest(effect, refusal)


def refusal(value: Any) -> str | None:
    """What an HTTP answer says of the credential; nothing of its body, which may repeat the secret."""
    status = value.get("status") if isinstance(value, dict) else None
    if not isinstance(status, int):
        return "the answer cannot be read"
    if status in {401, 403}:
        return f"the server refuses the credential (status {status})"
    return f"the server answered {status}" if status >= 400 else None


def filled(template: str, values: Mapping[str, str]) -> str:
    """The text with each `{field}` replaced by its value; unknown ones by nothing."""
    filled_in, rest = "", template
    while "{" in rest:
        before, _, after = rest.partition("{")
        name, closed, rest = after.partition("}")
        filled_in += before + (values.get(name, "") if closed else "{" + name)
    return filled_in + rest
