"""E-mail: what is asked of the mail server. Real mails: tests/services/worker/effects/test_mail.py."""

from tests.domain.integrations.table import Case

SENT = {"message_id": "<k@example.org>", "accepted": ["ada@example.com"], "refused": {}}

CASES: tuple[Case, ...] = (
    Case(
        "send",
        {"to": "ada@example.com", "subject": "Hello {{ $json.name }}", "text": "Hi!"},
        {"type": "send_mail", "to": ["ada@example.com"], "subject": "Hello Ada", "text": "Hi!"},
        SENT,
        [SENT],
        item={"name": "Ada"},
    ),
    Case(
        "send",
        {
            "from": "Shop <shop@example.org>",
            "to": ["Ada Lovelace <ada@example.com>", "b@example.com, c@example.com"],
            "cc": "d@example.com",
            "bcc": ["e@example.com"],
            "reply_to": "help@example.org",
            "subject": "Order",
            "text": "t",
            "html": "<p>t</p>",
            "headers": {"X-Order": "7"},
            "attachments": [{"filename": "a.txt", "content": "SGFsbG8=", "content_type": "text/plain"}],
        },
        {
            "type": "send_mail",
            "to": ['"Ada Lovelace" <ada@example.com>', "b@example.com", "c@example.com"],
            "subject": "Order",
            "sender": '"Shop" <shop@example.org>',
            "text": "t",
            "html": "<p>t</p>",
            "cc": ["d@example.com"],
            "bcc": ["e@example.com"],
            "reply_to": "help@example.org",
            "headers": {"X-Order": "7"},
            "attachments": [{"filename": "a.txt", "content": "SGFsbG8=", "content_type": "text/plain"}],
        },
        SENT,
        [SENT],
    ),
)
