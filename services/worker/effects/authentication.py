"""What the HTTP interpreter needs of credentials."""

from collections.abc import Mapping
from typing import Any, Protocol

from domain.effects import CredentialRef, EffectError, HttpRequest


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


class Opened(Protocol):
    """A credential in clear."""

    def hide(self, text: str) -> str: ...

    def hide_in(self, value: Any) -> Any: ...


class HttpCredentials(Protocol):
    """Opens credentials and puts them into requests. All raise CredentialProblem."""

    async def open(self, workspace: str, ref: CredentialRef) -> Any: ...

    async def authorise(self, request: HttpRequest, opened: Any) -> HttpRequest: ...

    async def answer_refusal(
        self, request: HttpRequest, opened: Any, status: int, headers: Mapping[str, str], url: str = ""
    ) -> HttpRequest | None: ...
