"""All types of credentials: an explicit table. Those of integrations stand beside their nodes and are listed here."""

from domain.credential.credential_type import CredentialField, CredentialTest, CredentialType, HttpAuth
from domain.credential.http_test import http_test
from domain.credential.signature import PATTERN
from domain.integrations.registry import integration_credentials

__all__ = ["CREDENTIAL_TYPES", "CredentialField", "CredentialTest", "CredentialType", "HttpAuth"]

_WEB_ADDRESS = r"https?://[^\s/@]+(/\S*)?"
_HEADER_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}"

ALLOWED_HOSTS = CredentialField(
    "allowed_hosts",
    "Allowed hosts",
    docs="The only hosts that may see it, separated by commas: api.example.com, *.example.com. Empty: any host.",
    directs=True,
)
TEST_URL = CredentialField(
    "test_url", "Test address", docs="An address that a GET with this credential can read.", pattern=_WEB_ADDRESS
)
_HTTP_FIELDS = (ALLOWED_HOSTS, TEST_URL)

HTTP_BEARER = CredentialType(
    "http_bearer",
    "Bearer token",
    "Sends `Authorization: Bearer …`.",
    (CredentialField("token", "Token", secret=True, required=True), *_HTTP_FIELDS),
    HttpAuth(headers={"Authorization": "Bearer {token}"}),
    http_test(),
)

_USER = CredentialField("user", "User", required=True)
_PASSWORD = CredentialField("password", "Password", secret=True, required=True)

HTTP_BASIC = CredentialType(
    "http_basic",
    "User and password (Basic)",
    "Sends user and password with every request (RFC 7617). Use it over https only.",
    (_USER, _PASSWORD, *_HTTP_FIELDS),
    HttpAuth(scheme="basic"),
    http_test(),
)

HTTP_DIGEST = CredentialType(
    "http_digest",
    "User and password (Digest)",
    "Answers the server's challenge (RFC 7616, with MD5, SHA-256 or SHA-512/256); the password itself is never sent.",
    (_USER, _PASSWORD, *_HTTP_FIELDS),
    HttpAuth(scheme="digest"),
    http_test(),
)

HTTP_HEADER = CredentialType(
    "http_header",
    "API key in a header",
    "Sends one header of its own.",
    (
        CredentialField("name", "Header", required=True, default="X-API-Key", pattern=_HEADER_NAME),
        CredentialField("value", "Value", secret=True, required=True),
        *_HTTP_FIELDS,
    ),
    HttpAuth(headers={"{name}": "{value}"}),
    http_test(),
)

HTTP_QUERY = CredentialType(
    "http_query",
    "API key in the address",
    "Adds one query parameter. Addresses end up in logs on the way: prefer a header where the service takes one.",
    (
        CredentialField("name", "Parameter", required=True, default="api_key"),
        CredentialField("value", "Value", secret=True, required=True),
        *_HTTP_FIELDS,
    ),
    HttpAuth(query={"{name}": "{value}"}),
    http_test(),
)

HTTP_CUSTOM = CredentialType(
    "http_custom",
    "Several headers and parameters",
    "Sends any headers and query parameters; all their values are secret.",
    (
        CredentialField("headers", "Headers", secret=True, kind="object", docs="Name → value."),
        CredentialField("query", "Query parameters", secret=True, kind="object", docs="Name → value."),
        *_HTTP_FIELDS,
    ),
    HttpAuth(scheme="custom"),
    http_test(),
)

OAUTH2 = CredentialType(
    "oauth2",
    "OAuth 2",
    "Gets access tokens from a provider and renews them before they expire. authorization_code: a person allows it "
    "once, in the browser (with PKCE); client_credentials: the client stands for itself.",
    (
        CredentialField(
            "grant",
            "Grant",
            required=True,
            default="authorization_code",
            choices=("authorization_code", "client_credentials"),
        ),
        CredentialField(
            "authorize_url",
            "Authorization address",
            docs="Where a person allows it: authorization_code.",
            pattern=_WEB_ADDRESS,
        ),
        CredentialField("token_url", "Token address", required=True, pattern=_WEB_ADDRESS, directs=True),
        CredentialField("client_id", "Client id", required=True),
        CredentialField("client_secret", "Client secret", secret=True),
        CredentialField("scope", "Scope", docs="Separated by spaces."),
        CredentialField("audience", "Audience", docs="For providers that ask for it."),
        CredentialField(
            "client_authentication",
            "Client authentication",
            default="header",
            choices=("header", "body"),
            docs="header: Basic, as RFC 6749 wants it; body: for providers that take it only there.",
        ),
        *_HTTP_FIELDS,
    ),
    HttpAuth(scheme="oauth2"),
    http_test(),
)

_UNTIL = "Until when it signs: milliseconds since 1970; empty: for ever."

WEBHOOK_SIGNATURE = CredentialType(
    "webhook_signature",
    "Webhook signature",
    "Signs what is sent as Standard Webhooks (standardwebhooks.com) has it: headers webhook-id, webhook-timestamp and "
    "webhook-signature. The request names the message by a header webhook-id.",
    (
        CredentialField("secret", "Secret", secret=True, docs="whsec_ and the base64 of 24 to 64 bytes.",
                        pattern=PATTERN),
        CredentialField("secret_until", "Secret signs until", kind="integer", docs=_UNTIL),
        CredentialField("second_secret", "Second secret", secret=True, docs="While one follows the other, both sign.",
                        pattern=PATTERN),
        CredentialField("second_secret_until", "Second secret signs until", kind="integer", docs=_UNTIL),
        ALLOWED_HOSTS,
    ),
    HttpAuth(scheme="signature"),
)  # fmt: skip

SLACK_WEBHOOK = CredentialType(
    "slack_webhook",
    "Slack incoming webhook",
    "The address of an incoming webhook of Slack, or of a service that takes the same, for notifications.",
    (CredentialField("url", "Address", secret=True, required=True, pattern=_WEB_ADDRESS),),
    HttpAuth(service=("https://hooks.slack.com/services", "url")),
)

CREDENTIAL_TYPES: dict[str, CredentialType] = {
    each.name: each
    for each in (
        HTTP_BEARER,
        HTTP_BASIC,
        HTTP_DIGEST,
        HTTP_HEADER,
        HTTP_QUERY,
        HTTP_CUSTOM,
        OAUTH2,
        WEBHOOK_SIGNATURE,
        SLACK_WEBHOOK,
        *integration_credentials(),
    )
}
