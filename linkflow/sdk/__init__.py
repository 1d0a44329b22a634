"""What packages with nodes of their own import (docs/nodes/writing-a-node.md). Everything else may change.

A package offers what it has by an entry point of the group `linkflow.nodes`: a NodeType, an Integration, a
CredentialType, or a list of these.
"""

from domain.credential.credential_type import CredentialField, CredentialTest, CredentialType, HttpAuth
from domain.credential.http_test import http_test
from domain.effects import (
    CredentialRef,
    Effect,
    EffectClass,
    HttpRequest,
    RedisCommand,
    SendMail,
    SqlQuery,
)
from domain.execution.events import Item, Items
from domain.expressions import Scope
from domain.integrations.compiling import compile_integration
from domain.integrations.errors import (
    CONFLICT,
    FORBIDDEN,
    NOT_FOUND,
    RATE_LIMITED,
    REJECTED,
    UNAUTHORIZED,
    UNAVAILABLE,
    Errors,
)
from domain.integrations.pages import Pages, cursor, link, number, offset
from domain.integrations.shape import (
    Field,
    Integration,
    Operation,
    Request,
    Step,
    body,
    delete,
    fields,
    file_name,
    file_size,
    get,
    header,
    local,
    more,
    patch,
    path,
    post,
    put,
    query,
    upload,
)
from domain.nodes.failures import BAD_PARAMETER, NodeFailure
from domain.nodes.node_type import MAIN, POOLED, Effects, Example, NodeType, Output, Pure, Run, map_items
from domain.nodes.parameters import Parameter, Parameters

__all__ = [
    "BAD_PARAMETER",
    "CONFLICT",
    "FORBIDDEN",
    "MAIN",
    "NOT_FOUND",
    "POOLED",
    "RATE_LIMITED",
    "REJECTED",
    "UNAUTHORIZED",
    "UNAVAILABLE",
    "CredentialField",
    "CredentialRef",
    "CredentialTest",
    "CredentialType",
    "Effect",
    "EffectClass",
    "Effects",
    "Errors",
    "Example",
    "Field",
    "HttpAuth",
    "HttpRequest",
    "Integration",
    "Item",
    "Items",
    "NodeFailure",
    "NodeType",
    "Operation",
    "Output",
    "Pages",
    "Parameter",
    "Parameters",
    "Pure",
    "RedisCommand",
    "Request",
    "Run",
    "Scope",
    "SendMail",
    "SqlQuery",
    "Step",
    "body",
    "compile_integration",
    "cursor",
    "delete",
    "fields",
    "file_name",
    "file_size",
    "get",
    "header",
    "http_test",
    "link",
    "local",
    "map_items",
    "more",
    "number",
    "offset",
    "patch",
    "path",
    "post",
    "put",
    "query",
    "upload",
]
