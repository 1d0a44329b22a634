"""Everything the API reads, each call in one workspace: the one place that scopes queries.

JSON columns come as text and stay text: they are spliced into answers. Values that are stored outside
(`{"$blob": id}`) are put in place here.
"""

from collections.abc import Iterable
from datetime import datetime

import asyncpg
import msgspec

from infra.blobs import BlobStore
from infra.log.port import Topic
from infra.postgres.pool import DATABASE_AWAY, Pool
from projections.credentials import queries as credentials
from projections.credentials.queries import CredentialRow, PossibleUse
from projections.dead_letters import queries as dead_letters
from projections.dead_letters.queries import DeadLetterRow
from projections.dead_letters.queries import Filter as DeadLetterFilter
from projections.executions import queries as executions
from projections.executions.failures import FailureFilter, find_failures
from projections.executions.queries import ExecutionRow, ExecutionSummary
from projections.node_executions import queries as node_executions
from projections.node_executions.queries import NodeExecutionRow, NodeLogsRow
from projections.positions import load_answered, load_places
from projections.usage import queries as usage
from projections.usage.queries import By, UsageRow
from projections.webhook_deliveries import queries as deliveries
from projections.webhook_deliveries.queries import DeliveryRow
from projections.webhook_deliveries.queries import Filter as DeliveryFilter
from projections.webhooks import queries as webhooks
from projections.webhooks.queries import WebhookRow
from projections.workflow_versions import queries as workflow_versions
from projections.workflow_versions.queries import WorkflowVersionRow
from projections.workflows import queries as workflows
from projections.workflows.queries import WorkflowRow
from projections.workspaces import queries as workspaces
from projections.workspaces.queries import ApiKeyRow
from schemas.fence import Fence

READS_AWAY: tuple[type[BaseException], ...] = (*DATABASE_AWAY, asyncpg.UndefinedColumnError)
"""The read side cannot be asked now: the database is away, or the projector has not made the tables yet, or not yet
those of this version."""

_BLOB_START = '{"$blob"'


class _BlobMark(msgspec.Struct):
    blob: str = msgspec.field(name="$blob")


_decode_mark = msgspec.json.Decoder(_BlobMark).decode


class Reads:
    """Queries of the read models. Raises what asyncpg raises where the database is away."""

    def __init__(self, pool: Pool, blobs: BlobStore) -> None:
        self.pool = pool
        self._blobs = blobs

    # without a workspace: what finds a principal or a binding, and where the rows stand

    async def find_api_key(self, key_hash: str) -> ApiKeyRow | None:
        return await workspaces.find_api_key(self.pool, key_hash)

    async def find_webhook(self, endpoint_id: str) -> WebhookRow | None:
        return await webhooks.find_webhook(self.pool, endpoint_id)

    async def answered(self) -> dict[tuple[str, int], int]:
        return await load_answered(self.pool)

    async def fences(self) -> dict[tuple[Topic, int], Fence]:
        """Where all read models stand in the commit topics."""
        places = await load_places(self.pool)
        return {
            (Topic(topic), partition): Fence(place.next_offset, place.epoch, place.next_n)
            for (topic, partition), place in places.items()
        }

    async def usage_of_all(self, by: By, since: datetime, until: datetime, *, limit: int) -> list[UsageRow]:
        return await usage.usage_of_all(self.pool, by, since, until, limit=limit)

    # in one workspace

    async def usage(self, workspace: str, by: By, since: datetime, until: datetime, *, limit: int) -> list[UsageRow]:
        return await usage.usage_of_workspace(self.pool, workspace, by, since, until, limit=limit)

    async def workflow(self, workspace: str, workflow_id: str) -> WorkflowRow | None:
        return await workflows.get_workflow(self.pool, workspace, workflow_id)

    async def workflows(
        self, workspace: str, *, status: str | None, limit: int, before: tuple[datetime, str] | None
    ) -> list[WorkflowRow]:
        return await workflows.list_workflows(self.pool, workspace, status=status, limit=limit, before=before)

    async def version(self, workspace: str, workflow_id: str, version: int) -> WorkflowVersionRow | None:
        return await workflow_versions.get_version(self.pool, workspace, workflow_id, version)

    async def versions(
        self, workspace: str, workflow_id: str, *, limit: int, before_version: int | None
    ) -> list[WorkflowVersionRow]:
        return await workflow_versions.list_versions(
            self.pool, workspace, workflow_id, limit=limit, before_version=before_version
        )

    async def document(self, workspace: str, workflow_id: str, version: int) -> bytes | None:
        """The JSON of a version's document."""
        row = await self.version(workspace, workflow_id, version)
        if row is None or row.document is None:
            return None
        (document,) = await self.whole(workspace, [row.document])
        return None if document is None else document.encode()

    async def webhooks(self, workspace: str, workflow_id: str) -> list[WebhookRow]:
        """The endpoints that answer now."""
        return [row for row in await webhooks.list_webhooks(self.pool, workspace, workflow_id) if row.active]

    async def delivery(self, workspace: str, delivery_id: str) -> DeliveryRow | None:
        return await deliveries.get_delivery(self.pool, workspace, delivery_id)

    async def deliveries(
        self,
        workspace: str,
        workflow_id: str,
        wanted: DeliveryFilter,
        *,
        limit: int,
        before: tuple[datetime, str] | None,
    ) -> list[DeliveryRow]:
        return await deliveries.list_deliveries(self.pool, workspace, workflow_id, wanted, limit=limit, before=before)

    async def has_delivery_with_key(self, workspace: str, endpoint: str, dedup_key: str, since: datetime) -> bool:
        return await deliveries.has_delivery_with_key(self.pool, workspace, endpoint, dedup_key, since)

    async def delivery_payload(self, row: DeliveryRow) -> str | None:
        """The items that were in it, as JSON; None: not kept, or not any more."""
        if row.repeats and row.duplicate_of is not None:
            first = await self.delivery(row.workspace_id, row.duplicate_of)
            return None if first is None else await self.delivery_payload(first)
        if row.payload is not None or row.execution_id is None:
            return (await self.whole(row.workspace_id, [row.payload]))[0]
        execution = await self.execution(row.workspace_id, row.execution_id)
        return None if execution is None else (await self.whole(row.workspace_id, [execution.input]))[0]

    async def executions_of_delivery(self, workspace: str, delivery_id: str) -> list[str]:
        """Those that an inbox or a person began from it; a delivery that is an execution itself is not among them."""
        return await executions.list_of_delivery(self.pool, workspace, delivery_id)

    async def dead_letter(self, workspace: str, letter_id: str, *, operator: bool) -> DeadLetterRow | None:
        return await dead_letters.get_dead_letter(self.pool, workspace, letter_id, operator=operator)

    async def dead_letters(
        self,
        workspace: str,
        wanted: DeadLetterFilter,
        *,
        limit: int,
        before: tuple[datetime, str] | None = None,
    ) -> list[DeadLetterRow]:
        return await dead_letters.list_dead_letters(self.pool, workspace, wanted, limit=limit, before=before)

    async def count_dead_letters(self, workspace: str, wanted: DeadLetterFilter) -> int:
        return await dead_letters.count_dead_letters(self.pool, workspace, wanted)

    async def dead_letter_body(self, row: DeadLetterRow) -> str | None:
        """What was in it, as JSON."""
        return (await self.whole(row.workspace_id or "", [row.body]))[0]

    async def credential(self, workspace: str, credential_id: str) -> CredentialRow | None:
        return await credentials.get_credential(self.pool, workspace, credential_id)

    async def credentials(
        self,
        workspace: str,
        *,
        type_: str | None,
        name: str | None,
        limit: int,
        before: tuple[datetime, str] | None,
    ) -> list[CredentialRow]:
        return await credentials.list_credentials(
            self.pool, workspace, type_=type_, name=name, limit=limit, before=before
        )

    async def credential_types(self, workspace: str, ids: list[str]) -> dict[str, str]:
        """Id → type, of those that this workspace has."""
        return await credentials.credential_types(self.pool, workspace, ids)

    async def workflows_that_may_use(self, workspace: str, credential_id: str) -> list[PossibleUse]:
        return await credentials.workflows_that_may_use(self.pool, workspace, credential_id)

    async def execution(self, workspace: str, execution_id: str) -> ExecutionRow | None:
        return await executions.get_execution(self.pool, workspace, execution_id)

    async def executions(
        self,
        workspace: str,
        *,
        workflow_id: str | None,
        status: str | None,
        since: datetime | None,
        until: datetime | None,
        limit: int,
        before: tuple[datetime, str] | None,
    ) -> list[ExecutionSummary]:
        return await executions.list_executions(
            self.pool,
            workspace,
            workflow_id=workflow_id,
            status=status,
            since=since,
            until=until,
            limit=limit,
            before=before,
        )

    async def fingerprint(self, workspace: str, execution_id: str) -> str | None:
        """The fingerprint of the request that made this execution; None: not (yet) in the read model."""
        return await executions.find_fingerprint(self.pool, workspace, execution_id)

    async def failures(
        self, workspace: str, wanted: FailureFilter, *, limit: int, after: tuple[datetime, str] | None
    ) -> list[tuple[datetime, str]]:
        """(queued_at, id) of what failed and was not run again, oldest first."""
        return await find_failures(self.pool, workspace, wanted, limit=limit, after=after)

    async def repeats(self, workspace: str, execution_id: str) -> list[str]:
        """The executions that repeat this one, or go on with it."""
        return await executions.list_repeats(self.pool, workspace, execution_id)

    async def node_runs(self, workspace: str, execution: ExecutionRow) -> list[NodeExecutionRow]:
        return await node_executions.list_node_executions(self.pool, workspace, execution.id, execution.queued_at)

    async def node_logs(self, workspace: str, execution: ExecutionRow, *, after: int, limit: int) -> list[NodeLogsRow]:
        return await node_executions.list_logs(
            self.pool, workspace, execution.id, execution.queued_at, after=after, limit=limit
        )

    async def blob(self, workspace: str, blob_id: str) -> bytes:
        """One value that is stored outside."""
        return (await self._blobs.get_many(workspace, [blob_id]))[blob_id]

    async def whole(self, workspace: str, texts: Iterable[str | None]) -> list[str | None]:
        """JSON texts with those that are stored outside put in place, in the order given."""
        values = list(texts)
        marks = {
            place: _decode_mark(text.encode()).blob
            for place, text in enumerate(values)
            if text is not None and text.startswith(_BLOB_START)
        }
        if marks:
            contents = await self._blobs.find_many(workspace, list(dict.fromkeys(marks.values())))
            for place, blob in marks.items():
                found = contents.get(blob)
                values[place] = None if found is None else found.decode()
        return values
