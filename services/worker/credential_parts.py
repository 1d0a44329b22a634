"""Wires what a worker needs for credentials: to open them for its interpreters, and to serve their own requests."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from domain.effects import EffectError, HttpRequest
from infra.log.clock import LogClock
from infra.log.port import Log
from infra.postgres.pool import Pool, open_connection
from infra.settings import Settings
from infra.vault import Vault
from infra.vault_keys import open_vault
from services.worker.effects.credential_rows import PostgresCredentialRows
from services.worker.effects.credential_work import CredentialDesk
from services.worker.effects.credentials import Credentials, Fetch
from services.worker.effects.interpreter import EffectContext, Interpreter, Interpreters
from services.worker.tell import LogTeller


@dataclass(frozen=True, slots=True)
class CredentialParts:
    """`credentials` goes to the interpreters; `desk` to the worker, when they are made."""

    credentials: Credentials
    vault: Vault
    teller: LogTeller
    http: Interpreter

    def desk(self, interpreters: Interpreters) -> CredentialDesk:
        return CredentialDesk(interpreters, self.credentials, self.vault, self.teller, fetch_by(self.http))

    async def close(self) -> None:
        await self.credentials.close()
        await self.http.close()


def make_credential_parts(
    settings: Settings, pool: Pool, log: Log, clock: LogClock, http: Interpreter, *, name: str
) -> CredentialParts:
    """`http`: performs the requests to providers' token addresses, by the egress guard and without a credential."""
    connect = partial(open_connection, settings.database_url, application_name="linkflow credentials")
    vault = open_vault(settings)
    teller = LogTeller(log, clock, name)
    rows = PostgresCredentialRows(pool, connect)
    return CredentialParts(Credentials(rows, vault, teller, fetch_by(http)), vault, teller, http)


def fetch_by(http: Interpreter) -> Fetch:
    async def fetch(workspace: str, request: HttpRequest) -> dict[str, Any] | EffectError:
        answer: dict[str, Any] | EffectError = await http.perform(
            request, EffectContext(workspace, "", "", "", "unsafe")
        )
        return answer

    return fetch
