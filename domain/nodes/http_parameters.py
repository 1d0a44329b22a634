"""The parameters of the node `http`, with their documentation and worked examples."""

from collections.abc import Mapping
from typing import Final

from domain.effects import EffectClass
from domain.nodes.node_type import MAIN, Example
from domain.nodes.parameters import Parameter

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
CLASSES: Final[Mapping[str, EffectClass]] = {
    "GET": "read",
    "HEAD": "read",
    "OPTIONS": "read",
    "PUT": "idempotent",
    "DELETE": "idempotent",
}

_FILE: Final = (
    Parameter("field", "text", "The field of the form.", default="file"),
    Parameter("binary", "text", "The name of the item's file.", default="data"),
    Parameter("file_name", "text", "Sent as the file's name; its own unless given."),
    Parameter("mime_type", "text", "Sent as its type; its own unless given."),
)

PARAMETERS: Final = (
    Parameter("method", "text", "The HTTP method.", default="GET", expression=False, choices=METHODS),
    Parameter("url", "text", "The address, http or https.", required=True),
    Parameter("query", "object", "Query parameters; a list is sent as several, null is not sent.", default={}),
    Parameter("headers", "object", "Request headers.", default={}),
    Parameter(
        "body_kind",
        "text",
        "auto: text as it is, everything else as JSON; json; form: an object of fields, URL-encoded; multipart: an "
        "object of fields, and files; text; binary: the item's file that `body` names (data); none.",
        default="auto",
        expression=False,
        choices=("auto", "json", "form", "multipart", "text", "binary", "none"),
    ),
    Parameter("body", "any", "The body, as body_kind says."),
    Parameter("files", "rows", "multipart: the item's files that are sent.", of=_FILE),
    Parameter("content_type", "text", "The body's content type, where body_kind does not fix it."),
    Parameter(
        "response",
        "text",
        "What the answer's body is: auto goes by its content type (text and JSON, else a file), json fails where it is "
        "none, text, binary: a file in the item's binary.",
        default="auto",
        expression=False,
        choices=("auto", "json", "text", "binary"),
    ),
    Parameter("binary_name", "text", "The name of a file that came back.", default="data", expression=False),
    Parameter("full_response", "boolean", "Put out {status, headers, body}.", default=False, expression=False),
    Parameter("accept_status", "list", "Statuses of 400 or more that are no failure.", default=[], expression=False),
    Parameter("follow_redirects", "boolean", "Follow redirects.", default=True, expression=False),
    Parameter(
        "redirect_methods",
        "list",
        "Redirects are followed for these methods only; 303, and 301 and 302 of a POST, go on as GET.",
        default=list(METHODS),
        expression=False,
    ),
    Parameter("max_redirects", "integer", "More fail the item.", default=10, expression=False, minimum=0, maximum=50),
    Parameter(
        "timeout_seconds",
        "number",
        "For a request with its redirects and pages: 30, unless the node's own timeout_seconds says more or less; that "
        "bounds it as well.",
        expression=False,
        minimum=0.1,
        maximum=3_600,
    ),
    Parameter(
        "max_response_bytes",
        "integer",
        "A larger answer (unpacked, all pages together) fails the item.",
        default=5_000_000,
        expression=False,
        minimum=1,
        maximum=10_000_000,
    ),
    Parameter("proxy", "text", "An http proxy's address; the egress guard judges it, and the target."),
    Parameter("verify_tls", "boolean", "Refuse servers whose certificate is not good.", default=True, expression=False),
    Parameter(
        "batch_size",
        "integer",
        "So many items are sent at once, the next ones after the interval; 0: all at once.",
        default=0,
        expression=False,
        minimum=0,
        maximum=200,
    ),
    Parameter(
        "batch_interval_seconds",
        "number",
        "Between two batches.",
        default=1,
        expression=False,
        minimum=0,
        maximum=60,
    ),
    Parameter(
        "paginate",
        "text",
        "How a list goes on. link: the next page's address is in the body (next_at) or the Link header; cursor: what "
        "is at next_at is sent as page_parameter; number: page_parameter counts pages; offset: it counts items. Puts "
        "out an item a page, or an item an entry where items_at is given.",
        default="off",
        expression=False,
        choices=("off", "link", "cursor", "number", "offset"),
    ),
    Parameter("page_parameter", "text", "The parameter that changes from page to page.", default="", expression=False),
    Parameter(
        "page_in",
        "text",
        "Where page_parameter stands. Its first value is what query or body hold, else nothing is sent and 0 counts.",
        default="query",
        expression=False,
        choices=("query", "body"),
    ),
    Parameter("next_at", "text", "Where the body holds the next cursor or address.", default="", expression=False),
    Parameter("items_at", "text", "Where the body holds the list; empty: it is the list.", expression=False),
    Parameter(
        "page_size",
        "integer",
        "Items of a full page: what offset is raised by, and fewer (with items_at) end the list.",
        default=0,
        expression=False,
        minimum=0,
        maximum=100_000,
    ),
    Parameter("max_pages", "integer", "At most so many.", default=100, expression=False, minimum=1, maximum=1_000),
    Parameter(
        "on_max_pages",
        "text",
        "What becomes of a list that has more: fail, or stop with what there is.",
        default="fail",
        expression=False,
        choices=("fail", "stop"),
    ),
)

_JSON: Final = {"content-type": "application/json"}

EXAMPLES: Final = (
    Example(
        "Reads a customer.",
        {"url": "https://crm.example.com/customers/{{ $json.customer }}", "query": {"expand": "orders"}},
        [{"customer": 7}],
        {MAIN: [{"id": 7, "name": "Ada"}]},
        answer={"status": 200, "headers": _JSON, "body": {"id": 7, "name": "Ada"}},
    ),
    Example(
        "Sends JSON, with a key that makes it safe to repeat, and looks at the status.",
        {
            "method": "POST",
            "url": "https://shop.example.com/orders",
            "headers": {"Idempotency-Key": "{{ $json.order }}"},
            "body": {"order": "{{ $json.order }}", "amount": "{{ $json.amount }}"},
            "full_response": True,
            "accept_status": [409],
        },
        [{"order": "o-1", "amount": 3}],
        {MAIN: [{"status": 409, "headers": _JSON, "body": {"error": "exists"}}]},
        answer={"status": 409, "headers": _JSON, "body": {"error": "exists"}},
    ),
    Example(
        "Sends a form.",
        {
            "method": "POST",
            "url": "https://login.example.com/token",
            "body_kind": "form",
            "body": {"grant_type": "client_credentials", "scope": ["read", "write"]},
        },
        [{}],
        {MAIN: [{"access_token": "…"}]},
        answer={"status": 200, "headers": _JSON, "body": {"access_token": "…"}},
    ),
    Example(
        "All pages of a list, an item an entry.",
        {
            "url": "https://api.example.com/users",
            "query": {"limit": 2},
            "paginate": "cursor",
            "next_at": "meta.next",
            "page_parameter": "after",
            "items_at": "users",
        },
        [{}],
        {MAIN: [{"id": 1}, {"id": 2}, {"id": 3}]},
        answer={
            "status": 200,
            "headers": _JSON,
            "body": {"users": [{"id": 3}], "meta": {"next": None}},
            "earlier": [{"users": [{"id": 1}, {"id": 2}], "meta": {"next": "c2"}}],
        },
    ),
)
