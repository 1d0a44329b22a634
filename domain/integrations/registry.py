"""The integrations that LinkFlow brings along. A new one is a module and a line here."""

from domain.credential.credential_type import CredentialType
from domain.integrations.compiling import compile_integration
from domain.integrations.email import EMAIL
from domain.integrations.github import GITHUB
from domain.integrations.openai import OPENAI
from domain.integrations.postgres import POSTGRES
from domain.integrations.redis import REDIS
from domain.integrations.shape import Integration
from domain.integrations.slack import SLACK
from domain.nodes.node_type import NodeType

INTEGRATIONS: tuple[Integration, ...] = (SLACK, GITHUB, OPENAI, POSTGRES, REDIS, EMAIL)


def integration_types() -> tuple[NodeType, ...]:
    """Their node types."""
    return tuple(compile_integration(integration) for integration in INTEGRATIONS)


def integration_credentials() -> tuple[CredentialType, ...]:
    """The types of credentials that they declare."""
    return tuple(each.credential for each in INTEGRATIONS if each.credential is not None)
