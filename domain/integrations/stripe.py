"""Stripe's API: customers, payment intents, refunds, invoices (https://docs.stripe.com/api).

Bodies are forms. Stripe keeps its word on Idempotency-Key for every POST (https://docs.stripe.com/api/idempotent_requests):
so what creates something is idempotent here, by the effect's own key.
"""

from domain.credential.credential_type import CredentialField, CredentialType, HttpAuth
from domain.credential.http_test import http_test
from domain.integrations.errors import CONFLICT, FORBIDDEN, NOT_FOUND, RATE_LIMITED, Errors
from domain.integrations.shape import Integration, Operation, body, get, more, path, post, query
from domain.nodes.node_type import MAIN, Example

_API = "https://api.stripe.com/v1"
_DOCS = "https://docs.stripe.com/api/"
_LIMIT = query("limit", "integer", docs="So many at most.", default=10, minimum=1, maximum=100)
_AFTER = query("starting_after", docs="Only those after this id.")
_METADATA = body("metadata", "object", docs="Texts by name that are kept with it.")

STRIPE = Integration(
    "stripe",
    "Stripe",
    "Works with customers, payments, refunds and invoices. What is created is created once, also after a crash.",
    (
        Operation(
            "create",
            "Create a customer",
            "Creates a customer.",
            post("/customers", form=True),
            (
                body("email", docs="The mail address."),
                body("name", docs="The name."),
                body("description", docs="A note."),
                _METADATA,
                more(),
            ),
            resource="customer",
            effect="idempotent",
            source=_DOCS + "customers/create",
        ),
        Operation(
            "get",
            "Get a customer",
            "One customer.",
            get("/customers/{customer}"),
            (path("customer", docs="The customer's id, such as cus_NffrFeUfNV2Hib."),),
            resource="customer",
            source=_DOCS + "customers/retrieve",
        ),
        Operation(
            "list",
            "List customers",
            "Customers, newest first, one item each.",
            get("/customers"),
            (query("email", docs="Only with this address."), _LIMIT, _AFTER),
            resource="customer",
            items="data[]",
            source=_DOCS + "customers/list",
        ),
        Operation(
            "update",
            "Update a customer",
            "Changes the given fields of a customer.",
            post("/customers/{customer}", form=True),
            (
                path("customer", docs="The customer's id."),
                body("email", docs="The mail address."),
                body("name", docs="The name."),
                _METADATA,
                more(),
            ),
            resource="customer",
            effect="idempotent",
            source=_DOCS + "customers/update",
        ),
        Operation(
            "create",
            "Create a payment",
            "Creates a payment intent.",
            post("/payment_intents", form=True),
            (
                body("amount", "integer", docs="In the smallest unit of the currency.", required=True, minimum=0),
                body("currency", docs="Such as eur.", required=True),
                body("customer", docs="The customer's id."),
                body("payment_method", docs="The id of a way to pay."),
                body("confirm", "boolean", docs="Confirm it at once."),
                _METADATA,
                more(),
            ),
            resource="payment",
            effect="idempotent",
            source=_DOCS + "payment_intents/create",
        ),
        Operation(
            "get",
            "Get a payment",
            "One payment intent.",
            get("/payment_intents/{payment}"),
            (path("payment", docs="Its id, such as pi_3MtwBwLkdIwHu7ix28a3tqPa."),),
            resource="payment",
            source=_DOCS + "payment_intents/retrieve",
        ),
        Operation(
            "create",
            "Refund a payment",
            "Gives a payment back, all of it or a part.",
            post("/refunds", form=True),
            (
                body("payment", docs="The payment intent's id.", sent_as="payment_intent", required=True),
                body("amount", "integer", docs="A part, in the smallest unit.", minimum=1),
                body("reason", docs="Why.", choices=("duplicate", "fraudulent", "requested_by_customer")),
                _METADATA,
            ),
            resource="refund",
            effect="idempotent",
            source=_DOCS + "refunds/create",
        ),
        Operation(
            "list",
            "List invoices",
            "Invoices, newest first, one item each.",
            get("/invoices"),
            (
                query("customer", docs="Only of this customer."),
                query("status", docs="Only these.", choices=("draft", "open", "paid", "uncollectible", "void")),
                _LIMIT,
                _AFTER,
            ),
            resource="invoice",
            items="data[]",
            source=_DOCS + "invoices/list",
        ),
    ),
    credential=CredentialType(
        "stripe",
        "Stripe",
        "A secret or restricted key (https://dashboard.stripe.com/apikeys).",
        (CredentialField("key", "Key", secret=True, required=True),),
        HttpAuth(headers={"Authorization": "Bearer {key}"}, hosts=("api.stripe.com",)),
        http_test(f"{_API}/customers?limit=1"),
    ),
    base_url=_API,
    errors=Errors(
        code=("error.code", "error.type"),
        message=("error.message",),
        codes={
            "resource_missing": NOT_FOUND,
            "rate_limit": RATE_LIMITED,
            "lock_timeout": RATE_LIMITED,
            "idempotency_key_in_use": CONFLICT,
            "card_declined": FORBIDDEN,
        },
    ),
    examples=(
        Example(
            "Makes a customer of each guest.",
            {"resource": "customer", "operation": "create", "email": "{{ $json.mail }}"},
            [{"mail": "jenny@example.com"}],
            {MAIN: [{"id": "cus_NffrFeUfNV2Hib", "object": "customer", "email": "jenny@example.com"}]},
            answer={
                "status": 200,
                "body": {"id": "cus_NffrFeUfNV2Hib", "object": "customer", "email": "jenny@example.com"},
            },
        ),
    ),
)
