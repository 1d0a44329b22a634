"""What a type of credentials is: a pure description. Integrations declare theirs beside their node.

A type names its fields, how it authenticates an HTTP request (`http`, None where it cannot), and how it is tried out
(`test`). The values of secret fields are seen by effect interpreters alone; everybody else sees the plain fields.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from domain.effects import CredentialRef, Effect

FieldKind = Literal["text", "multiline", "integer", "boolean", "object"]
"""Values are kept as text: an integer in decimal, a boolean as true or false, an object of texts as its JSON."""

Scheme = Literal["none", "basic", "digest", "oauth2", "custom", "signature"]


@dataclass(frozen=True, slots=True)
class CredentialField:
    """One field. `default`: what a field that is not given has; `choices`: the values that it takes; `pattern`: what a
    value must match as a whole; `directs`: it decides where the secrets are sent, or who can read them on the way."""

    name: str
    title: str
    secret: bool = False
    required: bool = False
    docs: str = ""
    default: str = ""
    choices: tuple[str, ...] = ()
    kind: FieldKind = "text"
    pattern: str = ""
    directs: bool = False


@dataclass(frozen=True, slots=True)
class HttpAuth:
    """How an HTTP request is authenticated.

    `headers`, `query`: name → value; both are texts with `{field}` in them. `scheme`: what texts cannot say:
    basic and digest take the fields `user` and `password`, oauth2 the token that was got for the credential, custom
    the objects `headers` and `query`, signature signs the body by the secrets that `domain.credential.signature` names.
    `hosts`: the only hosts that may see it (`api.example.com`, `*.example.com`);
    empty: those of the field `allowed_hosts`, and all where that is empty. `service`: an address that requests begin
    with, and what is used in its place: the field that may hold another one, or an address with `{field}` in it; no
    other address may see the credential then.
    """

    headers: Mapping[str, str] | None = None
    query: Mapping[str, str] | None = None
    scheme: Scheme = "none"
    hosts: tuple[str, ...] = ()
    service: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class CredentialTest:
    """How a credential is tried out, without changing anything.

    `effect(ref, plain)`: what is asked of the world with the credential `ref`, whose plain fields are `plain`; None
    where they do not say enough. `problem(value)`: what is wrong with what came back, None: it works.
    """

    effect: Callable[[CredentialRef, Mapping[str, str]], Effect | None]
    problem: Callable[[Any], str | None]


@dataclass(frozen=True, slots=True)
class CredentialType:
    """What is known of all credentials of a type. `name` stands in documents and events for ever."""

    name: str
    title: str
    docs: str
    fields: tuple[CredentialField, ...]
    http: HttpAuth | None = None
    test: CredentialTest | None = None

    @property
    def oauth2(self) -> bool:
        """Whether it lives by tokens that a provider gives and renews."""
        return self.http is not None and self.http.scheme == "oauth2"

    def field(self, name: str) -> CredentialField | None:
        return next((field for field in self.fields if field.name == name), None)

    def fits(self, accepts: list[str]) -> bool:
        """Whether an effect that accepts these types can use it; `http` stands for all that authenticate requests."""
        return self.name in accepts or ("http" in accepts and self.http is not None)
