"""What starts need to know, cached: an endpoint's binding, a workflow's newest version, a version's triggers.

A commit of a workflow drops what is cached of it. Until its rows are there nothing of that workflow is cached, so that
what was read too early cannot stay.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic

import msgspec

from domain.inbox.rules import Rules, read_rules
from infra.log.port import Record, Topic
from projections.webhooks.queries import WebhookRow
from projections.workflows.queries import WorkflowRow
from schemas.envelope import CommitRecord, decode_commit
from services.api.commands import Position
from services.api.positions import Positions

_KEPT_SECONDS = 30.0
_UNKNOWN_SECONDS = 1.0
_SETTLE_SECONDS = 30.0
_MAX_CACHED = 50_000
TRIGGERS = frozenset(("manual", "webhook", "schedule", "error_trigger", "execute_workflow_trigger"))


class _Node(msgspec.Struct):
    id: str
    type: str
    disabled: bool = False
    parameters: msgspec.Raw = msgspec.Raw(b"{}")


class _Settings(msgspec.Struct, frozen=True):
    priority: str = "normal"


class _Document(msgspec.Struct):
    nodes: list[_Node] = []
    settings: _Settings = _Settings()


class VersionFacts(msgspec.Struct, frozen=True):
    """What a start takes from an immutable version: its trigger nodes (id, type), how urgent it is, and the webhook
    nodes whose deliveries go through an inbox."""

    triggers: list[tuple[str, str]]
    priority: str
    inboxes: dict[str, Rules] = {}

    def entry(self) -> tuple[str, str] | None:
        """Where `execute` begins: the manual trigger, else the first trigger there is."""
        for node, kind in self.triggers:
            if kind == "manual":
                return node, kind
        return self.triggers[0] if self.triggers else None


_decode_document = msgspec.json.Decoder(_Document).decode


def version_facts(document: bytes) -> VersionFacts:
    parsed = _decode_document(document)
    return VersionFacts(
        [(node.id, node.type) for node in parsed.nodes if node.type in TRIGGERS],
        parsed.settings.priority,
        _inboxes(parsed.nodes),
    )


def _inboxes(nodes: Sequence[_Node]) -> dict[str, Rules]:
    hooks = ((node.id, msgspec.json.decode(node.parameters)) for node in nodes if node.type == "webhook")
    read = {node: read_rules(parameters).rules for node, parameters in hooks if isinstance(parameters, dict)}
    return {node: rules for node, rules in read.items() if rules.gated}


class Bindings:
    """`load_document` gives the JSON of an immutable version, or None."""

    def __init__(
        self,
        positions: Positions,
        find_webhook: Callable[[str], Awaitable[WebhookRow | None]],
        get_workflow: Callable[[str, str], Awaitable[WorkflowRow | None]],
        load_document: Callable[[str, str, int], Awaitable[bytes | None]],
    ) -> None:
        self._positions = positions
        self._find_webhook = find_webhook
        self._get_workflow = get_workflow
        self._load_document = load_document
        self._endpoints: dict[str, tuple[float, WebhookRow | None]] = {}
        self._endpoints_of: dict[str, set[str]] = {}
        self._workflows: dict[str, tuple[float, WorkflowRow]] = {}
        self._versions: dict[tuple[str, int], VersionFacts] = {}
        self._unsettled: dict[str, tuple[int, int]] = {}
        self._generation = 0
        self._settling: set[asyncio.Task[None]] = set()

    def workflow_changed(self, record: Record, stream: bytes) -> None:
        """A commit of a workflow was accepted (a listener of the Follower)."""
        workflow_id = stream[len(b"workflow-") :].decode()
        self._generation += 1
        commit: CommitRecord = decode_commit(record.value)
        if commit.answers is not None:
            self._unsettled[workflow_id] = (record.partition, commit.answers.offset)
            task = asyncio.create_task(self.settle(workflow_id, _SETTLE_SECONDS))
            self._settling.add(task)
            task.add_done_callback(self._settling.discard)
        self._drop(workflow_id)

    def forget(self) -> None:
        """Commits may have been missed."""
        self._generation += 1
        self._endpoints.clear()
        self._endpoints_of.clear()
        self._workflows.clear()

    def close(self) -> None:
        for task in self._settling:
            task.cancel()

    async def endpoint(self, endpoint_id: str) -> WebhookRow | None:
        """The binding of an endpoint, active or not; None for an unknown one."""
        cached = self._endpoints.get(endpoint_id)
        now = monotonic()
        if cached is not None and cached[0] > now:
            return cached[1]
        generation = self._generation
        row = await self._find_webhook(endpoint_id)
        if generation == self._generation and (row is None or row.workflow_id not in self._unsettled):
            if len(self._endpoints) >= _MAX_CACHED:
                self._endpoints.clear()
                self._endpoints_of.clear()
            self._endpoints[endpoint_id] = (now + (_UNKNOWN_SECONDS if row is None else _KEPT_SECONDS), row)
            if row is not None:
                self._endpoints_of.setdefault(row.workflow_id, set()).add(endpoint_id)
        return row

    async def workflow(self, workspace_id: str, workflow_id: str) -> WorkflowRow | None:
        """The workflow's row; where a change is known that has no rows yet, they are waited for (bounded)."""
        cached = self._workflows.get(workflow_id)
        now = monotonic()
        if cached is not None and cached[0] > now:
            return cached[1] if cached[1].workspace_id == workspace_id else None
        await self.settle(workflow_id)
        generation = self._generation
        row = await self._get_workflow(workspace_id, workflow_id)
        if row is not None and generation == self._generation and workflow_id not in self._unsettled:
            if len(self._workflows) >= _MAX_CACHED:
                self._workflows.clear()
            self._workflows[workflow_id] = (now + _KEPT_SECONDS, row)
        return row

    async def version(self, workspace_id: str, workflow_id: str, version: int) -> VersionFacts | None:
        """The facts of a version of a workflow that belongs to this workspace (its row or endpoint said so)."""
        facts = self._versions.get((workflow_id, version))
        if facts is None:
            document = await self._load_document(workspace_id, workflow_id, version)
            if document is None:
                return None
            facts = version_facts(document)
            if len(self._versions) >= _MAX_CACHED:
                self._versions.clear()
            self._versions[workflow_id, version] = facts
        return facts

    async def settle(self, workflow_id: str, seconds: float = 2.0) -> None:
        """Wait until every change of the workflow that is known here has its rows."""
        place = self._unsettled.get(workflow_id)
        if place is None or not await self._positions.wait_for(Position(Topic.COMMANDS, *place), seconds):
            return
        if self._unsettled.get(workflow_id) == place:
            # what is being read just now may have been read too early
            self._generation += 1
            del self._unsettled[workflow_id]

    def _drop(self, workflow_id: str) -> None:
        for endpoint_id in self._endpoints_of.pop(workflow_id, ()):
            self._endpoints.pop(endpoint_id, None)
        self._workflows.pop(workflow_id, None)
