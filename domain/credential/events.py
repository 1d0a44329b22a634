"""Facts recorded for one credential. Secrets stand in them as ciphertext only. Times are milliseconds since 1970."""

import msgspec


class CredentialCreated(msgspec.Struct, frozen=True, omit_defaults=True):
    """Version 1."""

    type: str
    name: str
    fields: dict[str, str]
    sealed: dict[str, str]
    at: int
    description: str = ""
    fingerprint: str = ""


class CredentialUpdated(msgspec.Struct, frozen=True, omit_defaults=True):
    """`sealed`: all secret fields as they are now; `disconnected`: its tokens belong to another client or provider."""

    version: int
    name: str
    fields: dict[str, str]
    sealed: dict[str, str]
    at: int
    description: str = ""
    disconnected: bool = False


class CredentialDeleted(msgspec.Struct, frozen=True, omit_defaults=True):
    at: int


class CredentialResealed(msgspec.Struct, frozen=True, omit_defaults=True):
    """`sealed`: all secrets, tokens too, under another key."""

    sealed: dict[str, str]
    at: int


class ConnectionBegun(msgspec.Struct, frozen=True, omit_defaults=True):
    """A person's consent came back; its state can be used no more."""

    state_id: str
    expires: int
    at: int


class TokensStored(msgspec.Struct, frozen=True, omit_defaults=True):
    """`generation` counts the tokens of a credential from 1. `sealed`: those that are new."""

    sealed: dict[str, str]
    generation: int
    at: int
    expires_at: int | None = None
    scope: str = ""
    state_id: str = ""


class ConnectionEnded(msgspec.Struct, frozen=True, omit_defaults=True):
    """`state_id`: an exchange failed, the tokens stay as they were; without: the tokens are of no use any more."""

    code: str
    message: str
    at: int
    state_id: str = ""


class CredentialUsed(msgspec.Struct, frozen=True, omit_defaults=True):
    """It was used lately; recorded once in a while, not for each use."""

    at: int


class CredentialTested(msgspec.Struct, frozen=True, omit_defaults=True):
    test_id: str
    ok: bool
    at: int
    code: str = ""
    message: str = ""


CredentialEvent = (
    CredentialCreated
    | CredentialUpdated
    | CredentialDeleted
    | CredentialResealed
    | ConnectionBegun
    | TokensStored
    | ConnectionEnded
    | CredentialUsed
    | CredentialTested
)
