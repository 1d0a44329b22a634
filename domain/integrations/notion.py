"""Notion's API (version 2022-06-28): pages, databases and blocks (https://developers.notion.com/reference)."""

from domain.credential.credential_type import CredentialField, CredentialType, HttpAuth
from domain.credential.http_test import http_test
from domain.integrations.errors import CONFLICT, FORBIDDEN, Errors
from domain.integrations.pages import cursor
from domain.integrations.shape import Integration, Operation, Request, body, get, path, post
from domain.nodes.node_type import MAIN, Example

_API = "https://api.notion.com/v1"
_DOCS = "https://developers.notion.com/reference/"
_QUERY_PAGES = cursor("next_cursor", "start_cursor", size_as="page_size", size=100)
_BODY_PAGES = cursor("next_cursor", "start_cursor", size_as="page_size", size=100, in_body=True)
_PROPERTIES = "Values by property, as the API has them."

NOTION = Integration(
    "notion",
    "Notion",
    "Reads and writes pages, databases and blocks of a Notion workspace.",
    (
        Operation(
            "create",
            "Create a page",
            "Creates a page in a database.",
            post("/pages"),
            (
                body("database", docs="The database's id.", sent_as="parent.database_id", required=True),
                body("properties", "object", docs=_PROPERTIES, required=True),
                body("children", "list", docs="The page's content: blocks."),
            ),
            resource="page",
            source=_DOCS + "post-page",
        ),
        Operation(
            "get",
            "Get a page",
            "A page's properties.",
            get("/pages/{page}"),
            (path("page", docs="The page's id."),),
            resource="page",
            source=_DOCS + "retrieve-a-page",
        ),
        Operation(
            "update",
            "Update a page",
            "Changes properties of a page, or archives it.",
            Request("PATCH", "/pages/{page}"),
            (
                path("page", docs="The page's id."),
                body("properties", "object", docs=_PROPERTIES),
                body("archived", "boolean", docs="Archive it, or take it back."),
            ),
            resource="page",
            effect="idempotent",
            source=_DOCS + "patch-page",
        ),
        Operation(
            "query",
            "Query a database",
            "The pages of a database, one item each.",
            post("/databases/{database}/query"),
            (
                path("database", docs="The database's id."),
                body("filter", "object", docs="Which pages, as the API has it."),
                body("sorts", "list", docs="In which order, as the API has it."),
            ),
            resource="database",
            effect="read",
            items="results[]",
            pages=_BODY_PAGES,
            source=_DOCS + "post-database-query",
        ),
        Operation(
            "list",
            "Read blocks",
            "The blocks of a page or of a block, one item each.",
            get("/blocks/{block}/children"),
            (path("block", docs="The id of the page or block."),),
            resource="block",
            items="results[]",
            pages=_QUERY_PAGES,
            source=_DOCS + "get-block-children",
        ),
        Operation(
            "append",
            "Append blocks",
            "Adds blocks to the end of a page or of a block; the new blocks are put out, one item each.",
            Request("PATCH", "/blocks/{block}/children"),
            (
                path("block", docs="The id of the page or block."),
                body("children", "list", docs="The blocks.", required=True),
            ),
            resource="block",
            items="results[]",
            source=_DOCS + "patch-block-children",
        ),
        Operation(
            "search",
            "Search",
            "Pages and databases by their titles, one item each.",
            post("/search"),
            (
                body("query", docs="What is in the title."),
                body("filter", "object", docs='Only these, such as {"property": "object", "value": "page"}.'),
            ),
            resource="workspace",
            effect="read",
            items="results[]",
            pages=_BODY_PAGES,
            source=_DOCS + "post-search",
        ),
    ),
    credential=CredentialType(
        "notion",
        "Notion",
        "The secret of an integration (https://www.notion.so/my-integrations) that pages were shared with.",
        (CredentialField("token", "Secret", secret=True, required=True),),
        HttpAuth(
            headers={"Authorization": "Bearer {token}", "Notion-Version": "2022-06-28"}, hosts=("api.notion.com",)
        ),
        http_test(f"{_API}/users/me"),
    ),
    base_url=_API,
    headers={"Notion-Version": "2022-06-28"},
    errors=Errors(
        code=("code",),
        message=("message",),
        codes={"restricted_resource": FORBIDDEN, "conflict_error": CONFLICT},
    ),
    examples=(
        Example(
            "Notes each lead in a database.",
            {
                "resource": "page",
                "operation": "create",
                "database": "d9824bdc84454327be8b5b47500af6ce",
                "properties": {"Name": {"title": [{"text": {"content": "{{ $json.name }}"}}]}},
            },
            [{"name": "Ada"}],
            {MAIN: [{"object": "page", "id": "59833787-2cf9-4fdf-8782-e53db20768a5"}]},
            answer={"status": 200, "body": {"object": "page", "id": "59833787-2cf9-4fdf-8782-e53db20768a5"}},
        ),
    ),
)
