"""What a credential's own decider asks of the world: to be tried out, and a code exchanged for tokens.

Both go the way of every effect: by the interpreters, through the egress guard; what came of it goes back by the log.
"""

import asyncio
import time
from collections.abc import Callable

from domain.credential.commands import ConcludeTest, EndConnection
from domain.credential.oauth2 import Tokens, code_request, read_tokens
from domain.credential.types import CREDENTIAL_TYPES
from domain.effects import CredentialRef, CredentialWork, EffectError, ExchangeCode, TryCredential
from infra.telemetry.logs import get_logger
from infra.vault import CannotOpen, Place, Vault
from services.worker.effects.credentials import CredentialProblem, Credentials, Fetch, Opened
from services.worker.effects.interpreter import EffectContext, Interpreters
from services.worker.tell import Teller

WORK_SECONDS = 25.0
AT_ONCE = 20

_log = get_logger("worker.credentials")


class CredentialDesk:
    """Serves credentials' own requests, at most AT_ONCE side by side."""

    def __init__(
        self,
        interpreters: Interpreters,
        credentials: Credentials,
        vault: Vault,
        teller: Teller,
        fetch: Fetch,
        *,
        wall: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._interpreters = interpreters
        self._credentials = credentials
        self._vault = vault
        self._teller = teller
        self._fetch = fetch
        self._wall = wall
        self._places = asyncio.Semaphore(AT_ONCE)

    async def serve(self, work: CredentialWork, workspace: str) -> None:
        """Do it, and tell the credential what came of it. Raises nothing but for cancellation."""
        stream = f"credential-{work.credential_id}"
        async with self._places:
            match work:
                case TryCredential():
                    code, message = await self._try(work, workspace)
                    tested = ConcludeTest(work.test_id, not code, self._wall(), code, message)
                    await self._teller.tell(workspace, stream, tested)
                case ExchangeCode():
                    problem = await self._exchange(work, workspace)
                    if problem is not None:
                        ended = EndConnection(*problem, self._wall(), state_id=work.state_id)
                        await self._teller.tell(workspace, stream, ended)

    async def _try(self, work: TryCredential, workspace: str) -> tuple[str, str]:
        """("", "") if it works, else code and message of what is wrong."""
        interpreter = self._interpreters.get(type(work.effect))
        type_ = CREDENTIAL_TYPES.get(work.kind)
        if interpreter is None or type_ is None or type_.test is None:
            return "test_not_possible", "this worker cannot try out credentials of this type"
        context = EffectContext(workspace, "", "", work.test_id, "read")
        try:
            async with asyncio.timeout(WORK_SECONDS):
                value = await interpreter.perform(work.effect, context)
        except TimeoutError:
            return "timeout", f"no answer within {WORK_SECONDS:g} seconds"
        except Exception as error:  # noqa: BLE001 — somebody waits for the verdict, whatever it is
            _log.exception("trying out a credential failed", credential_id=work.credential_id)
            return "internal_error", type(error).__name__
        if isinstance(value, EffectError):
            return value.code, value.message
        wrong = type_.test.problem(value)
        return ("credential_refused", wrong) if wrong is not None else ("", "")

    async def _exchange(self, work: ExchangeCode, workspace: str) -> tuple[str, str] | None:
        """None: the tokens are recorded; else code and message of what is wrong."""
        try:
            async with asyncio.timeout(WORK_SECONDS):
                opened = await self._credentials.look(workspace, CredentialRef(work.credential_id, ["http"]))
                tokens = await self._tokens(work, opened)
        except CredentialProblem as problem:
            return problem.code, problem.message
        except CannotOpen as error:
            return error.code, str(error)
        except TimeoutError:
            return "timeout", f"the provider did not answer within {WORK_SECONDS:g} seconds"
        except Exception as error:  # noqa: BLE001 — somebody waits in the browser
            _log.exception("exchanging a code failed", credential_id=work.credential_id)
            return "internal_error", type(error).__name__
        key = (workspace, work.credential_id)
        await self._credentials.store_tokens(key, tokens, work.generation, work.state_id)
        return None

    async def _tokens(self, work: ExchangeCode, opened: Opened) -> Tokens:
        code, verifier = (
            self._vault.open(work.sealed[name], Place(opened.workspace, work.credential_id, name))
            for name in ("code", "verifier")
        )
        request = code_request(opened.fields, code=code, verifier=verifier, redirect_uri=work.redirect_uri)
        answer = await self._fetch(opened.workspace, request)
        if isinstance(answer, EffectError):
            message = opened.hide(answer.message).replace(code, "…")
            raise CredentialProblem("oauth2_unavailable", f"the token address cannot be reached: {message}")
        read = read_tokens(answer)
        if isinstance(read, Tokens):
            return read
        raise CredentialProblem(read.code, read.message)
