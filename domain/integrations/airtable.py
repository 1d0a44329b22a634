"""Airtable's Web API: records of bases (https://airtable.com/developers/web/api/introduction).

Lists go on by `offset`; too many requests are a 429, after which 30 seconds must pass.
"""

from domain.credential.credential_type import CredentialField, CredentialType, HttpAuth
from domain.credential.http_test import http_test
from domain.integrations.errors import NOT_FOUND, UNAUTHORIZED, Errors
from domain.integrations.pages import cursor
from domain.integrations.shape import Field, Integration, Operation, body, delete, get, patch, path, post, put, query
from domain.nodes.node_type import MAIN, Example

_API = "https://api.airtable.com/v0"
_DOCS = "https://airtable.com/developers/web/api/"
_TABLE: tuple[Field, ...] = (
    path("base", docs="The base's id, such as appXXXXXXXXXXXXXX."),
    path("table", docs="The table's name or id."),
)
_RECORD = path("record", docs="The record's id, such as recXXXXXXXXXXXXXX.")
_FIELDS = body("fields", "object", docs="Values by field.", required=True)
_TYPECAST = body("typecast", "boolean", docs="Let Airtable turn texts into what a field takes.")

AIRTABLE = Integration(
    "airtable",
    "Airtable",
    "Reads and changes records of an Airtable base.",
    (
        Operation(
            "list",
            "List records",
            "The records of a table, one item each.",
            get("/{base}/{table}"),
            (
                *_TABLE,
                query("filter", docs="A formula that holds for them.", sent_as="filterByFormula"),
                query("view", docs="As this view shows them."),
                query("fields", "list", docs="Only these fields.", sent_as="fields[]"),
            ),
            items="records[]",
            pages=cursor("offset", "offset", size_as="pageSize", size=100),
            source=_DOCS + "list-records",
        ),
        Operation(
            "get",
            "Get a record",
            "One record.",
            get("/{base}/{table}/{record}"),
            (*_TABLE, _RECORD),
            source=_DOCS + "get-record",
        ),
        Operation(
            "create",
            "Create a record",
            "Creates a record.",
            post("/{base}/{table}"),
            (*_TABLE, _FIELDS, _TYPECAST),
            source=_DOCS + "create-records",
        ),
        Operation(
            "update",
            "Update a record",
            "Changes the given fields of a record.",
            patch("/{base}/{table}/{record}"),
            (*_TABLE, _RECORD, _FIELDS, _TYPECAST),
            effect="idempotent",
            source=_DOCS + "update-record",
        ),
        Operation(
            "replace",
            "Replace a record",
            "Sets the given fields of a record and clears the others.",
            put("/{base}/{table}/{record}"),
            (*_TABLE, _RECORD, _FIELDS, _TYPECAST),
            source=_DOCS + "update-record",
        ),
        Operation(
            "delete",
            "Delete a record",
            "Deletes a record.",
            delete("/{base}/{table}/{record}"),
            (*_TABLE, _RECORD),
            source=_DOCS + "delete-record",
        ),
    ),
    credential=CredentialType(
        "airtable",
        "Airtable",
        "A personal access token (https://airtable.com/create/tokens).",
        (CredentialField("token", "Token", secret=True, required=True),),
        HttpAuth(headers={"Authorization": "Bearer {token}"}, hosts=("api.airtable.com",)),
        http_test(f"{_API}/meta/whoami"),
    ),
    base_url=_API,
    errors=Errors(
        code=("error.type", "error"),
        message=("error.message", "error.type", "error"),
        codes={"NOT_FOUND": NOT_FOUND, "MODEL_ID_NOT_FOUND": NOT_FOUND, "AUTHENTICATION_REQUIRED": UNAUTHORIZED},
    ),
    examples=(
        Example(
            "Adds each guest.",
            {
                "operation": "create",
                "base": "app1",
                "table": "Guests",
                "fields": {"Name": "{{ $json.name }}", "Seats": "{{ $json.seats }}"},
            },
            [{"name": "Ada", "seats": 2}],
            {MAIN: [{"id": "rec1", "fields": {"Name": "Ada", "Seats": 2}}]},
            answer={"status": 200, "body": {"id": "rec1", "fields": {"Name": "Ada", "Seats": 2}}},
        ),
    ),
)
