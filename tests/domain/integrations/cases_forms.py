"""Stripe and Twilio, whose bodies are forms: requests and answers as in their documentation."""

from tests.domain.integrations.table import Case, http

STRIPE_API = "https://api.stripe.com/v1"
CUSTOMER = {"id": "cus_NffrFeUfNV2Hib", "object": "customer", "email": "jennyrosen@example.com"}
PAYMENT = {"id": "pi_3MtwBwLkdIwHu7ix28a3tqPa", "object": "payment_intent", "amount": 2000, "currency": "usd"}

STRIPE: tuple[Case, ...] = (
    http(
        "customer.create",
        {
            "email": "jennyrosen@example.com",
            "name": "Jenny {{ $json.name }}",
            "description": "d",
            "metadata": {"order_id": 6735},
            "more": {"address": {"city": "Bonn"}},
        },
        f"POST {STRIPE_API}/customers",
        form={
            "email": "jennyrosen@example.com",
            "name": "Jenny Rosen",
            "description": "d",
            "metadata[order_id]": "6735",
            "address[city]": "Bonn",
        },
        item={"name": "Rosen"},
        answer=CUSTOMER,
        items=[CUSTOMER],
    ),
    http(
        "customer.get",
        {"customer": CUSTOMER["id"]},
        f"GET {STRIPE_API}/customers/{CUSTOMER['id']}",
        answer=CUSTOMER,
        items=[CUSTOMER],
    ),
    http(
        "customer.get",
        {"customer": "cus_0"},
        f"GET {STRIPE_API}/customers/cus_0",
        status=404,
        answer={
            "error": {
                "type": "invalid_request_error",
                "code": "resource_missing",
                "message": "No such customer: 'cus_0'",
            }
        },
        failure=("not_found", False),
    ),
    http(
        "customer.list",
        {"email": "jennyrosen@example.com", "limit": 3, "starting_after": "cus_1"},
        f"GET {STRIPE_API}/customers",
        query={"email": "jennyrosen@example.com", "limit": 3, "starting_after": "cus_1"},
        answer={"object": "list", "data": [CUSTOMER], "has_more": False},
        items=[CUSTOMER],
    ),
    http(
        "customer.update",
        {"customer": "cus_1", "email": "a@example.com", "name": "A", "metadata": {"a": True}},
        f"POST {STRIPE_API}/customers/cus_1",
        form={"email": "a@example.com", "name": "A", "metadata[a]": "true"},
        answer=CUSTOMER,
        items=[CUSTOMER],
    ),
    http(
        "payment.create",
        {
            "amount": 2000,
            "currency": "usd",
            "customer": "cus_1",
            "payment_method": "pm_card_visa",
            "confirm": True,
            "metadata": {"order": "1"},
            "more": {"payment_method_types": ["card"]},
        },
        f"POST {STRIPE_API}/payment_intents",
        form={
            "amount": "2000",
            "currency": "usd",
            "customer": "cus_1",
            "payment_method": "pm_card_visa",
            "confirm": "true",
            "metadata[order]": "1",
            "payment_method_types[0]": "card",
        },
        answer=PAYMENT,
        items=[PAYMENT],
    ),
    http(
        "payment.create",
        {"amount": 2000, "currency": "usd"},
        f"POST {STRIPE_API}/payment_intents",
        form={"amount": "2000", "currency": "usd"},
        status=402,
        answer={"error": {"type": "card_error", "code": "card_declined", "message": "Your card was declined."}},
        failure=("forbidden", False),
    ),
    http(
        "payment.get",
        {"payment": PAYMENT["id"]},
        f"GET {STRIPE_API}/payment_intents/{PAYMENT['id']}",
        answer=PAYMENT,
        items=[PAYMENT],
    ),
    http(
        "refund.create",
        {"payment": PAYMENT["id"], "amount": 500, "reason": "duplicate", "metadata": {"a": "b"}},
        f"POST {STRIPE_API}/refunds",
        form={"payment_intent": str(PAYMENT["id"]), "amount": "500", "reason": "duplicate", "metadata[a]": "b"},
        answer={"id": "re_1", "object": "refund", "amount": 500},
        items=[{"id": "re_1", "object": "refund", "amount": 500}],
    ),
    http(
        "invoice.list",
        {"customer": "cus_1", "status": "open", "limit": 3, "starting_after": "in_1"},
        f"GET {STRIPE_API}/invoices",
        query={"customer": "cus_1", "status": "open", "limit": 3, "starting_after": "in_1"},
        answer={"object": "list", "data": [{"id": "in_2"}], "has_more": False},
        items=[{"id": "in_2"}],
    ),
)

TWILIO_API = "https://api.twilio.com/2010-04-01/Accounts"
MESSAGE = {"sid": "SM1", "status": "queued", "to": "+15558675310", "body": "Hi there"}

TWILIO: tuple[Case, ...] = (
    http(
        "message.send",
        {
            "to": "+15558675310",
            "from": "+15557122661",
            "text": "Hi {{ $json.who }}",
            "media": "https://demo.twilio.com/owl.png",
            "status_callback": "https://example.com/told",
        },
        f"POST {TWILIO_API}/Messages.json",
        form={
            "To": "+15558675310",
            "From": "+15557122661",
            "Body": "Hi there",
            "MediaUrl": "https://demo.twilio.com/owl.png",
            "StatusCallback": "https://example.com/told",
        },
        item={"who": "there"},
        status=201,
        answer=MESSAGE,
        items=[MESSAGE],
    ),
    http(
        "message.send",
        {"to": "x", "from": "+15557122661", "text": "Hi"},
        f"POST {TWILIO_API}/Messages.json",
        form={"To": "x", "From": "+15557122661", "Body": "Hi"},
        status=400,
        answer={"code": 21211, "message": "Invalid 'To' Phone Number: x", "status": 400},
        failure=("rejected", False),
    ),
    http("message.get", {"message": "SM1"}, f"GET {TWILIO_API}/Messages/SM1.json", answer=MESSAGE, items=[MESSAGE]),
    http(
        "message.list",
        {"to": "+15558675310", "from": "+15557122661", "limit": 20},
        f"GET {TWILIO_API}/Messages.json",
        query={"To": "+15558675310", "From": "+15557122661", "PageSize": 20},
        answer={"messages": [MESSAGE], "page": 0},
        items=[MESSAGE],
    ),
    http(
        "call.make",
        {
            "to": "+15558675310",
            "from": "+15557122661",
            "twiml": "<Response><Say>Ahoy</Say></Response>",
            "url": "https://example.com/twiml",
        },
        f"POST {TWILIO_API}/Calls.json",
        form={
            "To": "+15558675310",
            "From": "+15557122661",
            "Twiml": "<Response><Say>Ahoy</Say></Response>",
            "Url": "https://example.com/twiml",
        },
        status=201,
        answer={"sid": "CA1", "status": "queued"},
        items=[{"sid": "CA1", "status": "queued"}],
    ),
)
