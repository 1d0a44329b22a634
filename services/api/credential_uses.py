"""Which nodes use which credentials: checked when a workflow is saved, shown where a credential is."""

from collections.abc import Mapping
from typing import Any

import msgspec

from domain.credential.types import CREDENTIAL_TYPES
from domain.effects import CredentialRef
from domain.nodes.registry import NODE_TYPES
from domain.workflow.credentials import credential_of
from domain.workflow.document import WorkflowDocument
from domain.workflow.fields import Problems
from services.api.problems import Problem
from services.api.reads import Reads


async def check_credentials(reads: Reads, workspace: str, document: WorkflowDocument) -> None:
    """Raises Problem 422 `invalid_workflow` naming each node whose credential this workspace has not, or does not fit.

    A credential of another workspace is one that there is not. The worker looks again at each use.
    """
    wanted = _references(document)
    if not wanted:
        return
    types = await reads.credential_types(workspace, [ref.id for _, _, ref in wanted])
    problems = []
    for index, node, ref in wanted:
        path = f"nodes[{index}].credentials"
        name = types.get(ref.id)
        if name is None:
            problems.append((path, f"node {node!r}: there is no credential {ref.id[:100]!r} in this workspace"))
        elif (type_ := CREDENTIAL_TYPES.get(name)) is None or not type_.fits(ref.accepts):
            takes = " or ".join(ref.accepts)
            problems.append((path, f"node {node!r}: takes a credential of type {takes}, this one is of type {name}"))
    if problems:
        raise Problem(422, "invalid_workflow", "The workflow is not valid.", problems)


def _references(document: WorkflowDocument) -> list[tuple[int, str, CredentialRef]]:
    """(index, node id, credential) of each node that names one; disabled ones too."""
    found = []
    for index, node in enumerate(document.nodes):
        node_type = NODE_TYPES.get(node.type)
        if node_type is not None:
            ref = credential_of(node, node_type, f"nodes[{index}]", Problems())
            if ref is not None:
                found.append((index, node.id, ref))
    return found


class _Node(msgspec.Struct):
    id: str
    credentials: Any = None


class _Document(msgspec.Struct):
    nodes: list[_Node] = []


_decode = msgspec.json.Decoder(_Document).decode


async def uses_of(reads: Reads, workspace: str, credential_id: str) -> list[dict[str, Any]]:
    """The workflows whose newest or active version names the credential: id, name, status, version, nodes."""
    rows = await reads.workflows_that_may_use(workspace, credential_id)
    documents = await reads.whole(workspace, [row.document for row in rows])
    uses: dict[str, dict[str, Any]] = {}
    for row, text in zip(rows, documents, strict=True):
        if text is None:
            continue
        nodes = [node.id for node in _decode(text.encode()).nodes if names_credential(node.credentials, credential_id)]
        if not nodes:
            continue
        known = uses.get(row.workflow_id)
        # the active version says more than a draft: it is what runs
        if known is None or row.active:
            uses[row.workflow_id] = {
                "workflow_id": row.workflow_id,
                "name": row.name,
                "status": row.status,
                "version": row.version,
                "nodes": nodes,
            }
    return list(uses.values())


def names_credential(given: Any, credential_id: str) -> bool:
    """Whether a node's `credentials` (an id, or {type: id}) name this one."""
    return given == credential_id or (isinstance(given, Mapping) and credential_id in given.values())
