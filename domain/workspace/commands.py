"""What can be asked of a workspace (minimal: its keys; members and plans come with accounts)."""

import msgspec


class CreateWorkspace(msgspec.Struct, frozen=True, omit_defaults=True):
    workspace_id: str
    name: str
    at: int


class AddApiKey(msgspec.Struct, frozen=True, omit_defaults=True):
    """`key_hash`: hex SHA-256 of the key (256 random bits: a plain hash is enough); `prefix`: its first characters."""

    key_id: str
    key_hash: str
    prefix: str
    name: str
    at: int


class RevokeApiKey(msgspec.Struct, frozen=True, omit_defaults=True):
    key_id: str
    at: int


class SetShare(msgspec.Struct, frozen=True, omit_defaults=True):
    """The operator's word: how much of the machines a workspace gets when others want them too (`weight`), and how many
    of its executions may go on side by side (`concurrent`, None: as many as there are)."""

    at: int
    weight: float = 1.0
    concurrent: int | None = None


class SetRetention(msgspec.Struct, frozen=True, omit_defaults=True):
    """The operator's word: for how many days an execution is kept after its end, and for how many its inputs and
    outputs are (None: as the installation has it; payloads are never kept longer than the execution)."""

    at: int
    days: int | None = None
    payload_days: int | None = None


WorkspaceCommand = CreateWorkspace | AddApiKey | RevokeApiKey | SetShare | SetRetention
