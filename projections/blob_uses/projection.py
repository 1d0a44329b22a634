"""Which executions name a value that is stored outside: as long as one does, housekeeping leaves it alone."""

from projections.facts import Commit
from projections.operations import Operation, Table, Upsert

VERSION = 1

BLOB_USES = Table(
    name="blob_uses",
    key=("execution_id", "blob_id"),
    columns={"execution_id": "uuid", "blob_id": "text", "queued_at": "time", "workspace_id": "uuid"},
)
TABLES = (BLOB_USES,)


def project(commit: Commit) -> list[Operation]:
    """Nothing for most commits: large values are rare."""
    values = {"queued_at": commit.queued_at, "workspace_id": commit.workspace}
    return [Upsert("blob_uses", (commit.id, blob), values) for blob in commit.blobs]
