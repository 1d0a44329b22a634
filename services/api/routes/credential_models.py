"""Shapes of the answers about credentials, for the OpenAPI document."""

from typing import Any

from pydantic import BaseModel, Field

from services.api.routes import examples


class CredentialTest(BaseModel):
    ok: bool
    code: str = Field(description="Stable; empty if it works.")
    message: str
    at: str


class OAuth2Status(BaseModel):
    connected: bool
    expires_at: str | None = Field(description="Of the access token; it is renewed before.")
    scope: str | None
    error: dict[str, Any] | None = Field(description="Why the last connection or renewal failed: {code, message, at}.")


class CredentialSummary(BaseModel):
    id: str = Field(examples=[examples.CREDENTIAL_ID])
    name: str
    type: str = Field(examples=["http_bearer"])
    description: str
    version: int
    oauth2: OAuth2Status | None = Field(description="For types that live by tokens.")
    last_used_at: str | None = Field(description="To a few minutes.")
    last_test: CredentialTest | None
    created_at: str
    updated_at: str


class CredentialUse(BaseModel):
    workflow_id: str
    name: str
    status: str
    version: int = Field(description="The active version if it uses it, else the newest.")
    nodes: list[str]


class Credential(CredentialSummary):
    data: dict[str, Any] = Field(description="The fields that are not secret.")
    secrets: list[str] = Field(description="The secret fields that are set. Their values never come back.")
    used_by: list[CredentialUse]


class CredentialPage(BaseModel):
    items: list[CredentialSummary]
    next_cursor: str | None


class CredentialType(BaseModel):
    type: str = Field(examples=["http_bearer"])
    title: str
    docs: str
    http: bool = Field(description="It can authenticate any HTTP request.")
    oauth2: bool
    testable: bool
    json_schema: dict[str, Any] = Field(alias="schema", description="JSON Schema of `data`; secrets are `writeOnly`.")
    order: list[str] = Field(description="The fields as a form shows them.")


class CredentialTypePage(BaseModel):
    items: list[CredentialType]
    next_cursor: str | None


class Authorization(BaseModel):
    url: str = Field(description="Open it in a browser within 10 minutes; it works once.")
    redirect_uri: str = Field(description="To be registered with the provider.")
    expires_at: str
