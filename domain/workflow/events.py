"""Facts recorded for one workflow and its versions. Versions count from 1 and never change. Times: ms since 1970."""

from typing import Any

import msgspec


class WorkflowCreated(msgspec.Struct, frozen=True, omit_defaults=True):
    """Version 1 of a workflow, as a draft."""

    name: str
    document: dict[str, Any]
    at: int
    fingerprint: str = ""


class WorkflowVersionAdded(msgspec.Struct, frozen=True, omit_defaults=True):
    version: int
    name: str
    document: dict[str, Any]
    at: int


class WebhookBinding(msgspec.Struct, frozen=True, omit_defaults=True):
    """An endpoint answers for a webhook node of the active version. `respond`: at_once, when_done, with_node."""

    endpoint_id: str
    node: str
    method: str
    respond: str


class WorkflowActivated(msgspec.Struct, frozen=True, omit_defaults=True):
    """`webhooks`: all endpoints that answer from now on (others of this workflow fall silent)."""

    version: int
    webhooks: list[WebhookBinding]
    at: int


class WorkflowDeactivated(msgspec.Struct, frozen=True, omit_defaults=True):
    at: int


class WorkflowArchived(msgspec.Struct, frozen=True, omit_defaults=True):
    at: int


WorkflowEvent = WorkflowCreated | WorkflowVersionAdded | WorkflowActivated | WorkflowDeactivated | WorkflowArchived
