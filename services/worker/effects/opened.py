"""A credential in clear, what is hidden of it, and why one cannot be used."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from domain.credential.http_auth import basic
from domain.effects import EffectError
from infra.telemetry.secret_values import SecretValues


class CredentialProblem(Exception):
    """A credential that cannot be used. `message` says nothing of its content."""

    def __init__(self, code: str, message: str, *, retriable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retriable = retriable

    def as_error(self) -> EffectError:
        """What an interpreter answers in place of a result: nothing was sent."""
        return EffectError(self.code, self.message, retriable=self.retriable)


@dataclass(frozen=True, slots=True)
class Opened:
    """A credential in clear: for interpreters only, never to be returned or logged (its repr holds no values).

    `fields`: all of them, with defaults, tokens too.
    """

    id: str
    type: str
    fields: Mapping[str, str]
    workspace: str
    hiding: SecretValues
    generation: int = 0
    expires_at: int | None = None
    used_at: int = 0

    def hide(self, text: str) -> str:
        """The text without this credential's secrets, however encoded. Before it is cut, not after."""
        return self.hiding.hide(text)

    def hide_in(self, value: Any) -> Any:
        """As `hide`, for a JSON value."""
        return self.hiding.hide_in(value)

    def __repr__(self) -> str:
        return f"Opened({self.id}, {self.type})"


def secret_values(secret: Mapping[str, str], fields: Mapping[str, str]) -> list[str]:
    """What must not turn up anywhere: the secrets, the parts of those that are objects, and what they are sent as."""
    values: list[str] = []
    for name, text in secret.items():
        values.append(text)
        if text.startswith("{"):
            try:
                values += msgspec.json.decode(text, type=dict[str, str]).values()
            except msgspec.MsgspecError:
                continue
        if name == "password":
            values.append(basic(fields.get("user", ""), text).removeprefix("Basic "))
    return values
