"""What can be asked of a credential. Times: milliseconds since 1970.

`fields`: values of plain fields; `sealed`: field → ciphertext (infra/vault.py). No command holds a secret in clear.
"""

import msgspec


class CreateCredential(msgspec.Struct, frozen=True, omit_defaults=True):
    """`fingerprint`: hash of what was asked, so that the same id with another body is refused."""

    credential_id: str
    type: str
    name: str
    fields: dict[str, str]
    sealed: dict[str, str]
    at: int
    description: str = ""
    fingerprint: str = ""


class UpdateCredential(msgspec.Struct, frozen=True, omit_defaults=True):
    """`fields`: all plain ones; `sealed`: the secret ones that are new; `kept`: the secret ones that stay as they are;
    other secrets go. `expected_version`: refused with `version_conflict` if the newest version is another."""

    name: str
    fields: dict[str, str]
    sealed: dict[str, str]
    kept: list[str]
    at: int
    description: str = ""
    expected_version: int | None = None


class DeleteCredential(msgspec.Struct, frozen=True, omit_defaults=True):
    at: int


class ResealCredential(msgspec.Struct, frozen=True, omit_defaults=True):
    """The same secrets under the newest key. `revision`: of the credential whose secrets were read for it."""

    sealed: dict[str, str]
    revision: int
    at: int


class ConnectCredential(msgspec.Struct, frozen=True, omit_defaults=True):
    """A person allowed it: exchange the provider's code for tokens. `state_id`: works once; `expires`: and not after.

    `sealed`: `code` and `verifier` as ciphertext.
    """

    state_id: str
    sealed: dict[str, str]
    redirect_uri: str
    expires: int
    at: int


class StoreTokens(msgspec.Struct, frozen=True, omit_defaults=True):
    """The provider gave tokens in place of those of `generation`. `sealed`: `access_token` and, if there is a new one,
    `refresh_token`. `expires_at`: None where the provider does not say. `state_id`: of the connection they came by."""

    sealed: dict[str, str]
    generation: int
    at: int
    expires_at: int | None = None
    scope: str = ""
    state_id: str = ""


class EndConnection(msgspec.Struct, frozen=True, omit_defaults=True):
    """The provider refused: the exchange of a code (`state_id`), or for good the tokens of `generation`."""

    code: str
    message: str
    at: int
    generation: int = 0
    state_id: str = ""


class NoteCredentialUsed(msgspec.Struct, frozen=True, omit_defaults=True):
    at: int


class TestCredential(msgspec.Struct, frozen=True, omit_defaults=True):
    """Try it out. `url`: where, for types that are tested by a GET; empty: the credential's `test_url`."""

    __test__ = False  # no test of pytest's

    test_id: str
    at: int
    url: str = ""


class ConcludeTest(msgspec.Struct, frozen=True, omit_defaults=True):
    test_id: str
    ok: bool
    at: int
    code: str = ""
    message: str = ""


CredentialCommand = (
    CreateCredential
    | UpdateCredential
    | DeleteCredential
    | ResealCredential
    | ConnectCredential
    | StoreTokens
    | EndConnection
    | NoteCredentialUsed
    | TestCredential
    | ConcludeTest
)
