"""Credentials of tests, opened without a vault."""

from domain.effects import CredentialRef, EffectClass
from infra.telemetry.secret_values import SecretValues
from services.worker.effects.credentials import CredentialProblem, Opened
from services.worker.effects.interpreter import EffectContext

REF = CredentialRef("credential-1", ["test"])


class Opener:
    """Opens the one credential that it has, in the workspace `w`."""

    def __init__(self, secret: str = "password", **fields: str) -> None:
        self.fields = fields
        self._secret = secret

    async def open(self, workspace: str, ref: CredentialRef) -> Opened:
        if workspace != "w" or ref.id != REF.id:
            raise CredentialProblem("credential_not_found", "there is no such credential in this workspace")
        hidden = [self.fields[self._secret]] if self.fields.get(self._secret) else []
        return Opened(ref.id, "test", dict(self.fields), workspace, SecretValues(hidden))


def context(key: str = "5f0c1a2b-0000-5000-8000-000000000001", effect_class: EffectClass = "unsafe") -> EffectContext:
    return EffectContext(workspace="w", execution_id="e", node="n", key=key, effect_class=effect_class)
