"""What a partition owner needs of the worker around it."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Protocol

from domain.effects import Compute, CredentialWork, PerformAttempt
from infra.blobs import BlobStore
from infra.log.clock import LogClock
from infra.log.port import Log, Writer
from infra.postgres.checkpoints import Checkpoints
from services.worker.lanes import Entry
from services.worker.shares import Shares
from services.worker.variables import Variables
from services.worker.versions import Versions

if TYPE_CHECKING:
    from services.worker.owner import PartitionOwner


class Surroundings(Protocol):
    """The worker as its owners see it."""

    log: Log
    log_clock: LogClock
    checkpoints: Checkpoints
    blobs: BlobStore
    versions: Versions
    variables: Variables
    shares: Shares
    name: str

    async def writer(self) -> Writer:
        """The writer that all owners of this worker share."""
        ...

    async def writer_failed(self, writer: Writer) -> None:
        """Close it and give up everything under way in it (rule 4); the next call of `writer` opens a new one."""
        ...

    async def started(self, executions: Collection[str]) -> Collection[str]:
        """Those of them that the read model has."""
        ...

    def confirmed(self, lane: str, partition: int) -> bool:
        """Whether the group still gives this partition to this worker."""
        ...

    def feed(self, owner: "PartitionOwner", offset: int) -> None:
        """Let inputs from `offset` on, and ticks, flow to the owner."""
        ...

    def stop_feeding(self, owner: "PartitionOwner") -> None: ...

    def pause(self, owner: "PartitionOwner") -> None: ...

    def resume(self, owner: "PartitionOwner") -> None: ...

    def perform(self, owner: "PartitionOwner", request: PerformAttempt, stream: str, entry: Entry) -> None:
        """Perform an attempt; what became of it comes back by `owner.post`, or by the log if ownership moved."""
        ...

    def saturated(self, workspace: str) -> bool:
        """Whether as many effects are under way as a workspace may have at once: its starts are put off then."""
        ...

    def serve_credential(self, work: CredentialWork, entry: Entry) -> None:
        """Do what a credential asks for itself; what came of it comes back by the log."""
        ...

    def compute(self, owner: "PartitionOwner", request: Compute, stream: str, entry: Entry) -> None:
        """Do a heavy pure run in the compute pool; the result comes back by `owner.post`."""
        ...
