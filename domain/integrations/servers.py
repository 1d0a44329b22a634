"""Fields that credentials of several integrations have: where a server is, who comes, how far it is trusted."""

from collections.abc import Callable, Mapping
from typing import Any

from domain.credential.credential_type import CredentialField, CredentialTest
from domain.effects import CredentialRef, Effect

HOST = CredentialField("host", "Host", required=True, pattern=r"[^\s/@:\[\]]+|[0-9A-Fa-f:.]+", directs=True)
CA = CredentialField(
    "ca",
    "Certificate authority",
    docs="PEM: whom to trust instead of the system's authorities.",
    kind="multiline",
    directs=True,
)
USER = CredentialField("user", "User")
PASSWORD = CredentialField("password", "Password", secret=True)


def address_of_api(usual: str, docs: str) -> CredentialField:
    """Where the API is, for services that people run themselves."""
    return CredentialField(
        "base_url", "Address of the API", docs=docs, default=usual, pattern=r"https?://[^\s/@]+(/\S*)?", directs=True
    )


def port(usual: str, docs: str = "") -> CredentialField:
    return CredentialField(
        "port", "Port", docs=docs, default=usual, kind="integer", pattern=r"[1-9]\d{0,4}", directs=True
    )


def tls(usual: str = "verify", choices: tuple[str, ...] = ("verify", "encrypt", "off")) -> CredentialField:
    """How the connection is encrypted."""
    return CredentialField(
        "tls",
        "TLS",
        docs="verify: encrypted, certificate and name are checked; encrypt: whoever it is; off: in clear.",
        default=usual,
        choices=choices,
        directs=True,
    )


def tried_by(effect: Callable[[CredentialRef], Effect]) -> CredentialTest:
    """It works if this effect does."""

    def ask(ref: CredentialRef, _plain: Mapping[str, str]) -> Effect:
        return effect(ref)

    def problem(_value: Any) -> str | None:
        return None

    return CredentialTest(ask, problem)
