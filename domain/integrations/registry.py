"""The integrations that LinkFlow brings along. A new one is a module and a line here."""

from domain.credential.credential_type import CredentialType
from domain.integrations.airtable import AIRTABLE
from domain.integrations.compiling import compile_integration
from domain.integrations.discord import DISCORD
from domain.integrations.email import EMAIL
from domain.integrations.github import GITHUB
from domain.integrations.gitlab import GITLAB
from domain.integrations.hubspot import HUBSPOT
from domain.integrations.notion import NOTION
from domain.integrations.openai import OPENAI
from domain.integrations.postgres import POSTGRES
from domain.integrations.redis import REDIS
from domain.integrations.shape import Integration
from domain.integrations.slack import SLACK
from domain.integrations.stripe import STRIPE
from domain.integrations.telegram import TELEGRAM
from domain.integrations.twilio import TWILIO
from domain.nodes.node_type import NodeType

INTEGRATIONS: tuple[Integration, ...] = (
    SLACK,
    DISCORD,
    TELEGRAM,
    EMAIL,
    TWILIO,
    GITHUB,
    GITLAB,
    NOTION,
    AIRTABLE,
    HUBSPOT,
    STRIPE,
    OPENAI,
    POSTGRES,
    REDIS,
)


def integration_types() -> tuple[NodeType, ...]:
    """Their node types."""
    return tuple(compile_integration(integration) for integration in INTEGRATIONS)


def integration_credentials() -> tuple[CredentialType, ...]:
    """The types of credentials that they declare."""
    return tuple(each.credential for each in INTEGRATIONS if each.credential is not None)
