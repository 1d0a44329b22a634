"""HubSpot's CRM API, version 3: contacts, companies, deals, notes (https://developers.hubspot.com/docs/api-reference)."""

from domain.credential.credential_type import CredentialField, CredentialType, HttpAuth
from domain.credential.http_test import http_test
from domain.integrations.errors import CONFLICT, NOT_FOUND, RATE_LIMITED, Errors
from domain.integrations.pages import cursor
from domain.integrations.shape import Integration, Operation, body, delete, get, patch, path, post, query
from domain.nodes.node_type import MAIN, Example
from domain.nodes.parameters import Parameter

_API = "https://api.hubapi.com"
_DOCS = "https://developers.hubspot.com/docs/guides/api/crm/using-object-apis"
_KIND = path("kind", docs="What it is: contacts, companies, deals, tickets, …, or the id of a kind of your own.")
_ID = path("id", docs="Its id.")
_PROPERTIES = body("properties", "object", docs="Values by property.", required=True)
_SHOWN = query("properties", docs="The properties to put out, separated by commas.")

HUBSPOT = Integration(
    "hubspot",
    "HubSpot",
    "Reads and changes contacts, companies, deals and other objects of a HubSpot CRM.",
    (
        Operation(
            "create",
            "Create an object",
            "Creates a contact, a company, a deal, ….",
            post("/crm/v3/objects/{kind}"),
            (
                _KIND,
                _PROPERTIES,
                body("associations", "list", docs="What it belongs to, as the API has it."),
            ),
            source=_DOCS + "#create-records",
        ),
        Operation(
            "get",
            "Get an object",
            "One object.",
            get("/crm/v3/objects/{kind}/{id}"),
            (_KIND, _ID, _SHOWN, query("by", docs="The id is the value of this property.", sent_as="idProperty")),
            source=_DOCS + "#retrieve-records",
        ),
        Operation(
            "list",
            "List objects",
            "Objects of a kind, one item each.",
            get("/crm/v3/objects/{kind}"),
            (_KIND, _SHOWN),
            items="results[]",
            pages=cursor("paging.next.after", "after", size_as="limit", size=100),
            source=_DOCS + "#retrieve-records",
        ),
        Operation(
            "search",
            "Search objects",
            "Objects that fit filters, one item each.",
            post("/crm/v3/objects/{kind}/search"),
            (
                _KIND,
                body("query", docs="Text in their main properties."),
                body(
                    "filters",
                    "rows",
                    docs="Conditions, all of which must hold.",
                    sent_as="filters",
                    of=(
                        Parameter("propertyName", "text", "The property.", required=True),
                        Parameter("operator", "text", "Such as EQ, CONTAINS_TOKEN, GT.", required=True),
                        Parameter("value", "any", "With what."),
                    ),
                ),
                body("properties", "list", docs="The properties to put out."),
            ),
            effect="read",
            items="results[]",
            pages=cursor("paging.next.after", "after", size_as="limit", size=200, in_body=True),
            source="https://developers.hubspot.com/docs/guides/api/crm/search",
        ),
        Operation(
            "update",
            "Update an object",
            "Changes the given properties of an object.",
            patch("/crm/v3/objects/{kind}/{id}"),
            (_KIND, _ID, _PROPERTIES),
            effect="idempotent",
            source=_DOCS + "#update-records",
        ),
        Operation(
            "delete",
            "Delete an object",
            "Moves an object to the recycling bin.",
            delete("/crm/v3/objects/{kind}/{id}"),
            (_KIND, _ID),
            empty={"deleted": True},
            source=_DOCS + "#delete-records",
        ),
    ),
    credential=CredentialType(
        "hubspot",
        "HubSpot",
        "The access token of a private app.",
        (CredentialField("token", "Token", secret=True, required=True),),
        HttpAuth(headers={"Authorization": "Bearer {token}"}, hosts=("api.hubapi.com",)),
        http_test(f"{_API}/crm/v3/objects/contacts?limit=1"),
    ),
    also_accepts=("oauth2",),
    base_url=_API,
    errors=Errors(
        code=("category",),
        message=("message",),
        codes={"CONFLICT": CONFLICT, "OBJECT_NOT_FOUND": NOT_FOUND, "RATE_LIMITS": RATE_LIMITED},
    ),
    examples=(
        Example(
            "Adds each lead.",
            {"operation": "create", "kind": "contacts", "properties": {"email": "{{ $json.mail }}"}},
            [{"mail": "ada@example.com"}],
            {MAIN: [{"id": "512", "properties": {"email": "ada@example.com"}}]},
            answer={"status": 201, "body": {"id": "512", "properties": {"email": "ada@example.com"}}},
        ),
    ),
)
