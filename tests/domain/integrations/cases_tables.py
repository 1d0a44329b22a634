"""Notion, Airtable and HubSpot: requests and answers as in their documentation (each operation's `source`)."""

from typing import Any

from tests.domain.integrations.table import Case, http

NOTION_API = "https://api.notion.com/v1"
VERSION = {"Notion-Version": "2022-06-28"}
PAGE = {"object": "page", "id": "59833787-2cf9-4fdf-8782-e53db20768a5"}
DATABASE = "d9824bdc84454327be8b5b47500af6ce"
NAME = {"Name": {"title": [{"text": {"content": "Tuscan kale"}}]}}
BLOCK = {"object": "block", "id": "b1", "type": "paragraph"}


def notion(operation: str, parameters: dict[str, Any], request: str, body: Any = None, **more: Any) -> Case:
    return http(operation, parameters, request, body, headers=VERSION, **more)


NOTION: tuple[Case, ...] = (
    notion(
        "page.create",
        {"database": DATABASE, "properties": NAME, "children": [BLOCK]},
        f"POST {NOTION_API}/pages",
        {"parent": {"database_id": DATABASE}, "properties": NAME, "children": [BLOCK]},
        answer=PAGE,
        items=[PAGE],
    ),
    notion(
        "page.create",
        {"database": DATABASE, "properties": {}},
        f"POST {NOTION_API}/pages",
        {"parent": {"database_id": DATABASE}, "properties": {}},
        status=400,
        answer={"object": "error", "status": 400, "code": "validation_error", "message": "body failed validation"},
        failure=("rejected", False),
    ),
    notion("page.get", {"page": PAGE["id"]}, f"GET {NOTION_API}/pages/{PAGE['id']}", answer=PAGE, items=[PAGE]),
    notion(
        "page.get",
        {"page": "x"},
        f"GET {NOTION_API}/pages/x",
        status=429,
        answer={"object": "error", "status": 429, "code": "rate_limited", "message": "slow down"},
        answer_headers={"retry-after": "3"},
        failure=("rate_limited", 3.0),
    ),
    notion(
        "page.update",
        {"page": PAGE["id"], "properties": NAME, "archived": False},
        f"PATCH {NOTION_API}/pages/{PAGE['id']}",
        {"properties": NAME, "archived": False},
        answer=PAGE,
        items=[PAGE],
    ),
    notion(
        "database.query",
        {"database": DATABASE, "filter": {"property": "Done", "checkbox": {"equals": True}}, "sorts": [], "limit": 5},
        f"POST {NOTION_API}/databases/{DATABASE}/query",
        {"filter": {"property": "Done", "checkbox": {"equals": True}}, "sorts": [], "page_size": 5},
        answer={"object": "list", "results": [PAGE], "next_cursor": None, "has_more": False},
        items=[PAGE],
    ),
    notion(
        "block.list",
        {"block": "b0"},
        f"GET {NOTION_API}/blocks/b0/children",
        query={"page_size": 100},
        answer={"object": "list", "results": [BLOCK], "next_cursor": None, "has_more": False},
        items=[BLOCK],
    ),
    notion(
        "block.append",
        {"block": "b0", "children": [BLOCK]},
        f"PATCH {NOTION_API}/blocks/b0/children",
        {"children": [BLOCK]},
        answer={"object": "list", "results": [BLOCK]},
        items=[BLOCK],
    ),
    notion(
        "workspace.search",
        {"query": "kale", "filter": {"property": "object", "value": "page"}},
        f"POST {NOTION_API}/search",
        {"query": "kale", "filter": {"property": "object", "value": "page"}, "page_size": 100},
        answer={"object": "list", "results": [PAGE], "next_cursor": None, "has_more": False},
        items=[PAGE],
    ),
)

AIRTABLE_API = "https://api.airtable.com/v0/app1/Table%201"
AT = {"base": "app1", "table": "Table 1"}
RECORD = {"id": "rec560UJdUtocSouk", "createdTime": "2022-09-12T21:03:48.000Z", "fields": {"Visited": True}}

AIRTABLE: tuple[Case, ...] = (
    http(
        "list",
        {**AT, "filter": "{Visited}", "view": "Grid", "fields": ["Name", "Visited"], "limit": 3},
        f"GET {AIRTABLE_API}",
        query={"filterByFormula": "{Visited}", "view": "Grid", "fields[]": ["Name", "Visited"], "pageSize": 3},
        answer={"records": [RECORD]},
        items=[RECORD],
    ),
    http("get", {**AT, "record": RECORD["id"]}, f"GET {AIRTABLE_API}/{RECORD['id']}", answer=RECORD, items=[RECORD]),
    http(
        "get",
        {**AT, "record": "rec0"},
        f"GET {AIRTABLE_API}/rec0",
        status=404,
        answer={"error": "NOT_FOUND"},
        failure=("not_found", False),
    ),
    http(
        "create",
        {**AT, "fields": {"Visited": "{{ $json.yes }}"}, "typecast": True},
        f"POST {AIRTABLE_API}",
        {"fields": {"Visited": True}, "typecast": True},
        item={"yes": True},
        answer=RECORD,
        items=[RECORD],
    ),
    http(
        "create",
        {**AT, "fields": {"Nothing": 1}},
        f"POST {AIRTABLE_API}",
        {"fields": {"Nothing": 1}},
        status=422,
        answer={"error": {"type": "UNKNOWN_FIELD_NAME", "message": 'Unknown field name: "Nothing"'}},
        failure=("rejected", False),
    ),
    http(
        "update",
        {**AT, "record": "rec1", "fields": {"A": 1}, "typecast": False},
        f"PATCH {AIRTABLE_API}/rec1",
        {"fields": {"A": 1}, "typecast": False},
        answer=RECORD,
        items=[RECORD],
    ),
    http(
        "replace",
        {**AT, "record": "rec1", "fields": {"A": 1}, "typecast": False},
        f"PUT {AIRTABLE_API}/rec1",
        {"fields": {"A": 1}, "typecast": False},
        answer=RECORD,
        items=[RECORD],
    ),
    http(
        "delete",
        {**AT, "record": "rec1"},
        f"DELETE {AIRTABLE_API}/rec1",
        answer={"deleted": True, "id": "rec1"},
        items=[{"deleted": True, "id": "rec1"}],
    ),
)

HUBSPOT_API = "https://api.hubapi.com/crm/v3/objects/contacts"
CONTACT = {"id": "512", "properties": {"email": "mark.s@lumon.industries"}}
KIND = {"kind": "contacts"}

HUBSPOT: tuple[Case, ...] = (
    http(
        "create",
        {**KIND, "properties": {"email": "mark.s@lumon.industries"}, "associations": []},
        f"POST {HUBSPOT_API}",
        {"properties": {"email": "mark.s@lumon.industries"}, "associations": []},
        status=201,
        answer=CONTACT,
        items=[CONTACT],
    ),
    http(
        "create",
        {**KIND, "properties": {"email": "mark.s@lumon.industries"}},
        f"POST {HUBSPOT_API}",
        {"properties": {"email": "mark.s@lumon.industries"}},
        status=409,
        answer={"status": "error", "message": "Contact already exists. Existing ID: 512", "category": "CONFLICT"},
        failure=("conflict", False),
    ),
    http(
        "get",
        {**KIND, "id": "mark.s@lumon.industries", "properties": "email", "by": "email"},
        f"GET {HUBSPOT_API}/mark.s%40lumon.industries",
        query={"properties": "email", "idProperty": "email"},
        answer=CONTACT,
        items=[CONTACT],
    ),
    http(
        "list",
        {**KIND, "properties": "email"},
        f"GET {HUBSPOT_API}",
        query={"properties": "email", "limit": 100},
        answer={"results": [CONTACT]},
        items=[CONTACT],
    ),
    http(
        "search",
        {
            **KIND,
            "query": "mark",
            "filters": [{"propertyName": "email", "operator": "EQ", "value": "{{ $json.mail }}"}],
            "properties": ["email"],
            "limit": 10,
        },
        f"POST {HUBSPOT_API}/search",
        {
            "query": "mark",
            "filters": [{"propertyName": "email", "operator": "EQ", "value": "mark.s@lumon.industries"}],
            "properties": ["email"],
            "limit": 10,
        },
        item={"mail": "mark.s@lumon.industries"},
        answer={"total": 1, "results": [CONTACT]},
        items=[CONTACT],
    ),
    http(
        "update",
        {**KIND, "id": "512", "properties": {"phone": "1"}},
        f"PATCH {HUBSPOT_API}/512",
        {"properties": {"phone": "1"}},
        answer=CONTACT,
        items=[CONTACT],
    ),
    http("delete", {**KIND, "id": "512"}, f"DELETE {HUBSPOT_API}/512", status=204, items=[{"deleted": True}]),
)
