"""Shapes of the answers, for the OpenAPI document. (Answers are built as JSON text; these describe them.)"""

from typing import Any, Literal

from pydantic import BaseModel, Field

from services.api.routes import examples

WorkflowStatus = Literal["draft", "active", "inactive", "archived"]
ExecutionStatus = Literal["queued", "running", "waiting", "completed", "failed", "cancelled", "timeout"]
NodeStatus = Literal["running", "waiting", "completed", "failed", "skipped", "cancelled", "outcome_unknown"]


class Webhook(BaseModel):
    endpoint_id: str = Field(description="Secret address; it stays the same over versions.")
    node_id: str
    method: str
    url: str


class WorkflowSummary(BaseModel):
    id: str = Field(examples=[examples.WORKFLOW_ID])
    name: str
    status: WorkflowStatus
    version: int = Field(description="The newest version.")
    active_version: int | None
    created_at: str
    updated_at: str


class Activation(WorkflowSummary):
    webhooks: list[Webhook] = Field(description="The endpoints that answer now.")


class Workflow(Activation):
    document: dict[str, Any] = Field(description="The newest version's document, as posted.")


class WorkflowPage(BaseModel):
    items: list[WorkflowSummary]
    next_cursor: str | None


class VersionSummary(BaseModel):
    version: int
    name: str
    created_at: str


class VersionPage(BaseModel):
    items: list[VersionSummary]
    next_cursor: str | None


class WorkflowVersion(VersionSummary):
    workflow_id: str
    document: dict[str, Any]


class Position(BaseModel):
    topic: str
    partition: int
    offset: int


class Accepted(BaseModel):
    execution_id: str = Field(examples=[examples.EXECUTION_ID])
    position: Position | None = Field(
        description="Give it as `min_position` to a read that must know about this; null: it was there before."
    )


class ExecutionError(BaseModel):
    code: str
    message: str
    node_id: str | None = None


class WaitsFor(BaseModel):
    kind: Literal["time", "webhook", "approval", "retry"]
    until: str | None
    title: str = Field(description="What a person who approves is asked.")
    message: str


class NodeExecution(BaseModel):
    node_id: str
    run: int
    status: NodeStatus
    attempts: int
    input: dict[str, list[dict[str, Any]]] | None = Field(description="Items per input port.")
    output: dict[str, list[dict[str, Any]]] | None = Field(description="Items per output port.")
    error: ExecutionError | None
    asked: list[int] | None = Field(description="The numbers of the items that wait for a verdict (from 0).")
    taken: bool = Field(description="It ran in the execution that this one goes on with; its output was taken over.")
    waits_for: WaitsFor | None = Field(description="What a parked run waits for.")
    started_at: str | None
    completed_at: str | None


class ExecutionSummary(BaseModel):
    id: str = Field(examples=[examples.EXECUTION_ID])
    workflow_id: str
    workflow_version: int
    status: ExecutionStatus
    trigger_type: str
    priority: str
    retry_of: str | None = Field(description="The execution that this one repeats, or goes on with.")
    retry_count: int = Field(description="How many repeats by `settings.retries` led here.")
    parent_id: str | None = Field(description="The execution that waits for this one, as its sub-workflow.")
    delivery_id: str | None = Field(description="The webhook delivery that it comes from.")
    recoveries: int = Field(description="How often it went on after a failure of the system itself.")
    error: ExecutionError | None
    queued_at: str
    started_at: str | None
    completed_at: str | None


class Execution(ExecutionSummary):
    trigger_node: str
    retries: list[str] = Field(description="The executions that repeat this one, or go on with it.")
    variables: dict[str, Any] | None = Field(description="What it saw in `$vars`; null: it asked for nothing there.")
    input: list[dict[str, Any]] | None
    output: list[dict[str, Any]] | None
    node_executions: list[NodeExecution]


class Repaired(BaseModel):
    execution_id: str
    retried_as: str | None = Field(description="The new execution; null: it cannot be run again, `code` says why.")
    code: str | None
    detail: str | None


class Repair(BaseModel):
    dry_run: bool
    found: int = Field(description="Dry run: how many there are (at most 10,000 are counted); else: of this page.")
    more: bool
    items: list[Repaired]
    next_cursor: str | None


class ExecutionPage(BaseModel):
    items: list[ExecutionSummary]
    next_cursor: str | None


class LogLine(BaseModel):
    node_id: str
    run: int
    item: int | None = Field(description="Which of the run's items it is about, if it is about one.")
    level: Literal["debug", "info", "log", "warn", "error"]
    text: str
    at: str = Field(description="When the run ended.")


class LogPage(BaseModel):
    items: list[LogLine]
    next_cursor: str | None


class FieldProblem(BaseModel):
    path: str
    message: str


class ProblemDocument(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[FieldProblem]
    request_id: str


class Health(BaseModel):
    status: Literal["ok", "failing"]
    components: dict[str, dict[str, Any]]


class NodeExample(BaseModel):
    says: str
    parameters: dict[str, Any]
    items: dict[str, list[dict[str, Any]]] = Field(description="The jsons of the items, by input port.")
    outputs: dict[str, list[dict[str, Any]]] = Field(description="The jsons of the items, by output port.")


class NodeOperation(BaseModel):
    selects: dict[str, str] = Field(examples=[{"resource": "message", "operation": "post"}])
    title: str
    docs: str
    effect: Literal["pure", "read", "idempotent", "unsafe"]
    source: str = Field(description="Where the provider documents it.")


class NodeType(BaseModel):
    type: str = Field(examples=["http"])
    version: int
    package: str = Field(description="The package that brought it along, with its version; empty: LinkFlow itself.")
    title: str
    docs: str
    kind: Literal["trigger", "pure", "effect", "wait", "merge", "loop", "sub_workflow"]
    effects: list[Literal["pure", "read", "idempotent", "unsafe"]] = Field(
        description="What its effects may be; the parameters decide."
    )
    inputs: list[str] = Field(description="Input ports; … stands for any number more.")
    outputs: list[str]
    outputs_vary: bool = Field(description="The names of the outputs depend on the parameters.")
    can_be_disabled: bool
    credential_types: list[str] = Field(
        description="What its credential may be; http: any that authenticates requests."
    )
    credential_required: bool
    parameters: dict[str, Any] = Field(
        description="JSON Schema; where a node does one of several things, oneOf has a branch for each operation."
    )
    operations: list[NodeOperation] = Field(description="What a node can do, in the order of the schema's oneOf.")
    examples: list[NodeExample]


class NodeTypePage(BaseModel):
    items: list[NodeType]
    next_cursor: str | None
