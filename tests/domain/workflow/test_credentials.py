"""The credential that a node names."""

from typing import Any

import pytest

from domain.effects import CredentialRef
from domain.nodes.flow import NOOP
from domain.nodes.node_type import NodeType
from domain.workflow.credentials import credential_of
from domain.workflow.document import NodeDocument
from domain.workflow.fields import Problems


def node_type(*accepts: str, required: bool = False) -> NodeType:
    return NodeType("mail", "Mail", "…", NOOP.bind, credential_types=accepts, credential_required=required)


@pytest.mark.parametrize(
    ("given", "accepts", "found"),
    [
        (None, ("smtp",), None),
        ("c1", ("smtp", "oauth2"), CredentialRef("c1", ["smtp", "oauth2"])),
        ({"smtp": "c1"}, ("smtp", "oauth2"), CredentialRef("c1", ["smtp"])),
        ({"http_basic": "c1"}, ("http",), CredentialRef("c1", ["http_basic"])),
    ],
)
def test_an_id_stands_for_any_type_that_the_node_takes_and_a_named_type_for_itself(
    given: Any, accepts: tuple[str, ...], found: CredentialRef | None
) -> None:
    problems = Problems()
    assert credential_of(
        NodeDocument("n", "mail", {}, credentials=given), node_type(*accepts), "nodes[0]", problems
    ) == (found)
    assert problems == []


@pytest.mark.parametrize(
    ("given", "type_", "says"),
    [
        (None, node_type("smtp", required=True), "needs a credential of type smtp"),
        ("c1", node_type(), "uses no credential"),
        ({"slack": "c1"}, node_type("smtp"), "takes credentials of type smtp, not 'slack'"),
        ({"smtp": "c1", "slack": "c2"}, node_type("smtp"), "give one credential"),
    ],
)
def test_what_does_not_fit_names_the_node_and_the_field(given: Any, type_: NodeType, says: str) -> None:
    problems = Problems()
    assert credential_of(NodeDocument("n", "mail", {}, credentials=given), type_, "nodes[0]", problems) is None
    (problem,) = problems
    assert problem.path == "nodes[0].credentials"
    assert "node 'n'" in problem.message
    assert says in problem.message
