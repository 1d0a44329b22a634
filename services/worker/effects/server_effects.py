"""What the interpreters that talk to a credential's server have in common: opening it, time, errors without secrets.

code                 what happened                                                     again?   may have happened
credential_missing   the node names no credential                                      no       no
egress_refused       the server's address may not be reached                           no       no
connection_failed    no connection                                                     yes      no
tls_failed           the server's certificate, or TLS itself, cannot be trusted        no       no
timeout              no complete answer in time                                        yes      if it was sent
connection_lost      the connection broke                                              yes      if it was sent
bad_response         the server does not speak its protocol                            no       if it was sent
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, TypeVar

import msgspec

from domain.effects import CredentialRef, EffectError
from infra.egress.guard import EgressRefused
from infra.telemetry import metrics
from services.worker.effects.credentials import CredentialProblem, Opened
from services.worker.effects.interpreter import EffectContext

CONNECT_SECONDS: Final = 10.0
_LONGEST: Final = 500


class Opener(Protocol):
    """Opens credentials: `Credentials`, or a test's."""

    async def open(self, workspace: str, ref: CredentialRef) -> Opened: ...


class Progress:
    """How far an effect came. `sent`: from here on nobody knows whether it happened until the answer is there."""

    __slots__ = ("opened", "sent")

    def __init__(self) -> None:
        self.sent = False
        self.opened: Opened | None = None


class NotConnected(Exception):
    """There was no connection, so nothing has happened. `error`: what it means."""

    def __init__(self, error: EffectError) -> None:
        super().__init__(error.message)
        self.error = error


class BadResponse(Exception):
    """The server said something that its protocol does not know."""


class Refused(Exception):
    """The server answered, and refuses: nothing has happened, or the answer says what."""

    def __init__(self, error: EffectError) -> None:
        super().__init__(error.message)
        self.error = error


class _Effect(Protocol):
    @property
    def credential(self) -> CredentialRef | None: ...

    @property
    def timeout_seconds(self) -> float: ...


Answer = TypeVar("Answer")


async def performed(
    kind: str,
    credentials: Opener,
    effect: _Effect,
    context: EffectContext,
    work: Callable[[Opened, Progress], Awaitable[Answer]],
) -> Answer | EffectError:
    """What `work` answers with the opened credential, within the effect's time; or what went wrong, without secrets."""
    started = asyncio.get_running_loop().time()
    progress = Progress()
    result: Any = None
    try:
        async with asyncio.timeout(effect.timeout_seconds):
            if effect.credential is None:
                raise CredentialProblem("credential_missing", "the node names no credential")
            progress.opened = await credentials.open(context.workspace, effect.credential)
            result = await work(progress.opened, progress)
    except CredentialProblem as problem:
        result = problem.as_error()
    except Exception as error:  # noqa: BLE001 — whatever a driver raises: it is a result, and it must not hold a secret
        result = error_of(error, progress, effect.timeout_seconds)
    if progress.opened is not None:
        result = _hidden(progress.opened, result)
    metrics.EFFECTS.labels(kind, "error" if isinstance(result, EffectError) else "ok").inc()
    metrics.EFFECT_SECONDS.labels(kind).observe(asyncio.get_running_loop().time() - started)
    return result  # type: ignore[no-any-return]


def error_of(error: Exception, progress: Progress, seconds: float) -> EffectError:
    """What an exception means. Only what was sent may have happened."""
    match error:
        case NotConnected() | Refused():
            return error.error
        case EgressRefused() | ssl.SSLError() | ConnectionRefusedError():
            return connection_error(error)
        case TimeoutError():
            return EffectError("timeout", f"no answer within {seconds:g} seconds", unknown=progress.sent)
        case BadResponse():
            return EffectError("bad_response", str(error), retriable=False, unknown=progress.sent)
        case OSError() | EOFError():
            return EffectError("connection_lost", f"the connection broke: {_why(error)}", unknown=progress.sent)
        case _:
            name = type(error).__name__
            return EffectError("internal_error", f"{name}: {_why(error)}", retriable=False, unknown=progress.sent)


def connection_error(error: Exception) -> EffectError:
    """Why there is no connection."""
    match error:
        case EgressRefused():
            return EffectError(error.code, error.message, retriable=False)
        case ssl.SSLCertVerificationError():
            why = error.verify_message or _why(error)
            return EffectError("tls_failed", f"the server's certificate is refused: {why}", retriable=False)
        case ssl.SSLError():
            return EffectError("tls_failed", f"no TLS connection to the server: {_why(error)}", retriable=False)
        case TimeoutError():
            return EffectError("connection_failed", f"no connection within {CONNECT_SECONDS:g} seconds")
        case _:
            return EffectError("connection_failed", f"cannot connect: {_why(error)}")


def _why(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _hidden(opened: Opened, result: Any) -> Any:
    """Secrets are hidden before a message is cut: a part of one is a secret too."""
    if isinstance(result, EffectError):
        return msgspec.structs.replace(result, message=opened.hide(result.message)[:_LONGEST])
    return opened.hide_in(result)
