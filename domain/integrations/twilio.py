"""Twilio's REST API: text messages and calls (https://www.twilio.com/docs/usage/api). Bodies are forms.

The account's id stands in the address, where the credential puts it.
"""

from domain.credential.credential_type import CredentialField, CredentialType, HttpAuth
from domain.credential.http_test import http_test
from domain.integrations.errors import Errors
from domain.integrations.shape import Integration, Operation, body, get, path, post, query
from domain.nodes.node_type import MAIN, Example

_API = "https://api.twilio.com/2010-04-01/Accounts"
_DOCS = "https://www.twilio.com/docs/"
_TO = body("to", docs="The number that gets it, such as +15558675310.", sent_as="To", required=True)
_FROM = body("from", docs="The number (or the sender) that it comes from.", sent_as="From", required=True)

TWILIO = Integration(
    "twilio",
    "Twilio",
    "Sends text messages (SMS, WhatsApp) and makes calls.",
    (
        Operation(
            "send",
            "Send a message",
            "Sends a text message; for WhatsApp both numbers begin with `whatsapp:`.",
            post("/Messages.json", form=True),
            (
                _TO,
                _FROM,
                body("text", docs="The text, at most 1,600 characters.", sent_as="Body"),
                body("media", docs="The address of a picture to send.", sent_as="MediaUrl"),
                body("status_callback", docs="Where Twilio tells what became of it.", sent_as="StatusCallback"),
            ),
            resource="message",
            source=_DOCS + "messaging/api/message-resource#create-a-message-resource",
        ),
        Operation(
            "get",
            "Get a message",
            "One message, with what became of it.",
            get("/Messages/{message}.json"),
            (path("message", docs="Its id, such as SMXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX."),),
            resource="message",
            source=_DOCS + "messaging/api/message-resource#fetch-a-message-resource",
        ),
        Operation(
            "list",
            "List messages",
            "Messages, newest first, one item each.",
            get("/Messages.json"),
            (
                query("to", docs="Only to this number.", sent_as="To"),
                query("from", docs="Only from this number.", sent_as="From"),
                query(
                    "limit", "integer", docs="So many at most.", sent_as="PageSize", default=50, minimum=1, maximum=1000
                ),
            ),
            resource="message",
            items="messages[]",
            source=_DOCS + "messaging/api/message-resource#read-multiple-message-resources",
        ),
        Operation(
            "make",
            "Make a call",
            "Calls a number and does what TwiML says.",
            post("/Calls.json", form=True),
            (
                _TO,
                _FROM,
                body("twiml", docs="What happens in the call, in TwiML.", sent_as="Twiml"),
                body("url", docs="Or where TwiML comes from.", sent_as="Url"),
            ),
            resource="call",
            source=_DOCS + "voice/api/call-resource#create-a-call-resource",
        ),
    ),
    credential=CredentialType(
        "twilio",
        "Twilio",
        "An account with its token (https://console.twilio.com).",
        (
            CredentialField("user", "Account SID", required=True, pattern=r"[A-Za-z0-9]+"),
            CredentialField("password", "Auth token", secret=True, required=True),
        ),
        HttpAuth(scheme="basic", service=(_API, _API + "/{user}")),
        http_test(_API + "/Messages.json?PageSize=1"),
    ),
    base_url=_API,
    errors=Errors(code=("code",), message=("message",)),
    examples=(
        Example(
            "Tells each guest by a text message.",
            {
                "resource": "message",
                "operation": "send",
                "to": "{{ $json.phone }}",
                "from": "+15557122661",
                "text": "Your table is ready.",
            },
            [{"phone": "+15558675310"}],
            {MAIN: [{"sid": "SM1", "status": "queued", "to": "+15558675310"}]},
            answer={"status": 201, "body": {"sid": "SM1", "status": "queued", "to": "+15558675310"}},
        ),
    ),
)
