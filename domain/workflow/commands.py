"""What can be asked of a workflow. `at`: milliseconds since 1970; `document`: the workflow document as posted."""

from typing import Any

import msgspec


class CreateWorkflow(msgspec.Struct, frozen=True, omit_defaults=True):
    """`fingerprint`: hash of what was asked, so that the same id with another body is refused."""

    workflow_id: str
    document: dict[str, Any]
    at: int
    fingerprint: str = ""


class UpdateWorkflow(msgspec.Struct, frozen=True, omit_defaults=True):
    """The next version. `expected_version`: refused with `version_conflict` if the newest version is another."""

    document: dict[str, Any]
    at: int
    expected_version: int | None = None


class ActivateWorkflow(msgspec.Struct, frozen=True, omit_defaults=True):
    """`new_endpoints`: a random endpoint id (≥ 128 bits) for each webhook node, used for those that have none yet."""

    at: int
    new_endpoints: dict[str, str]
    version: int | None = None


class DeactivateWorkflow(msgspec.Struct, frozen=True, omit_defaults=True):
    at: int


class ArchiveWorkflow(msgspec.Struct, frozen=True, omit_defaults=True):
    """What DELETE does: history stays, nothing starts any more."""

    at: int


WorkflowCommand = CreateWorkflow | UpdateWorkflow | ActivateWorkflow | DeactivateWorkflow | ArchiveWorkflow
