"""E-mail by SMTP (RFC 5321, RFC 5322): one mail an item."""

import re
from base64 import b64decode
from collections.abc import Sequence
from email.utils import getaddresses
from typing import Any, Final

from domain.credential.credential_type import CredentialField, CredentialType
from domain.effects import Attachment, CredentialRef, SendMail
from domain.execution.events import Item
from domain.integrations.servers import CA, HOST, PASSWORD, USER, port, tls, tried_by
from domain.integrations.shape import ITEM, Integration, Operation, Values, local
from domain.nodes.binary import find_binary
from domain.nodes.failures import BAD_PARAMETER, NodeFailure
from domain.nodes.node_type import MAIN, Example

MOST_RECIPIENTS: Final = 100
MOST_ATTACHED: Final = 10_000_000
"""Bytes of all attachments of a mail, as Base64."""
_ADDRESS: Final = re.compile(r"[^\s@<>,;:\"\\()\[\]]+@[^\s@<>,;:\"\\()\[\]]+")
_LINE: Final = re.compile(r"[\r\n\0]")
_HEADER: Final = re.compile(r"[!-9;-~]+")
_OURS: Final = frozenset(
    {
        "from", "to", "cc", "bcc", "reply-to", "subject", "date", "message-id", "sender", "mime-version",
        "content-type", "content-transfer-encoding", "content-disposition",
    }
)  # fmt: skip

SMTP_CREDENTIAL = CredentialType(
    "smtp",
    "Mail server (SMTP)",
    "A server that sends mails, and the address that they come from.",
    (
        HOST,
        port("587", "Usual: 587 with starttls, 465 with tls, 25 with none."),
        CredentialField(
            "security",
            "Encryption",
            docs="starttls: from the second command on; tls: from the first byte; none: in clear, the password too.",
            default="starttls",
            choices=("starttls", "tls", "none"),
            directs=True,
        ),
        USER,
        PASSWORD,
        CredentialField("from", "Sender", docs="Such as Shop <shop@example.org>, unless a node says another."),
        tls(choices=("verify", "encrypt")),
        CA,
    ),
    test=tried_by(lambda ref: SendMail([], "", login_only=True, timeout_seconds=15.0, credential=ref)),
)


def _send(values: Values, credential: CredentialRef | None) -> SendMail:
    to, cc, bcc = (_addresses(values[name], name) for name in ("to", "cc", "bcc"))
    if not to and not cc and not bcc:
        raise _bad("to", "names nobody")
    if len(to) + len(cc) + len(bcc) > MOST_RECIPIENTS:
        raise _bad("to", f"and cc and bcc name more than {MOST_RECIPIENTS} people")
    if values["text"] is None and values["html"] is None:
        raise _bad("text", "is missing: give text, html or both")
    return SendMail(
        to=to,
        subject=_line(values["subject"], "subject"),
        sender=_one_address(values["from"], "from"),
        text=values["text"],
        html=values["html"],
        cc=cc,
        bcc=bcc,
        reply_to=_one_address(values["reply_to"], "reply_to"),
        headers={_name(name): _line(str(value), "headers") for name, value in values["headers"].items()},
        attachments=_attachments(values["attachments"], values[ITEM]),
        credential=credential,
    )


def _bad(name: str, why: str) -> NodeFailure:
    return NodeFailure(BAD_PARAMETER, f"parameter {name!r} {why}")


def _line(text: str, name: str) -> str:
    """Text that cannot begin a header of its own."""
    if _LINE.search(text):
        raise _bad(name, "must not have line breaks")
    return text


def _name(name: str) -> str:
    if not _HEADER.fullmatch(name) or name.lower() in _OURS:
        raise _bad("headers", f"cannot set {name[:100]!r}")
    return name


def _addresses(value: Any, name: str) -> list[str]:
    """Mail addresses (`ada@example.com`, `Ada <ada@example.com>`): a list, or one text with commas."""
    if value is None:
        return []
    texts = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in texts):
        raise _bad(name, "must be an address or a list of addresses")
    found = []
    for shown, address in getaddresses([_line(text, name) for text in texts if text.strip()]):
        if not _ADDRESS.fullmatch(address):
            raise _bad(name, f"has an address that cannot be used: {(address or shown)[:100]!r}")
        found.append(f"{_quoted(shown)} <{address}>" if shown else address)
    if not found and any(text.strip() for text in texts):
        raise _bad(name, "has an address that cannot be read")
    return found


def _one_address(value: str | None, name: str) -> str:
    found = _addresses(value, name)
    if len(found) > 1:
        raise _bad(name, "must be one address")
    return found[0] if found else ""


def _quoted(shown: str) -> str:
    plain = shown.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{plain}"'


def _attachments(given: Sequence[Any], item: Item) -> list[Attachment]:
    """Files of the item by their names, and files that are spelled out."""
    made = []
    size = 0
    for index, each in enumerate(given):
        where = f"attachments[{index}]"
        if isinstance(each, str):
            file = find_binary(item, each)
            size += len(file["data"])
            made.append(Attachment(file["file_name"], file["data"], file["mime_type"]))
            continue
        if not isinstance(each, dict) or not isinstance(each.get("content"), str):
            raise _bad(where, "must be the name of a file of the item, or an object with filename and content (Base64)")
        size += len(each["content"])
        try:
            b64decode(each["content"], validate=True)
        except ValueError:
            raise _bad(f"{where}.content", "is not Base64") from None
        made.append(
            Attachment(
                filename=_line(str(each.get("filename") or f"attachment-{index + 1}"), f"{where}.filename"),
                content=each["content"],
                content_type=_line(str(each.get("content_type") or "application/octet-stream"), where),
            )
        )
    if size > MOST_ATTACHED:
        raise _bad("attachments", f"have more than {MOST_ATTACHED:,} bytes")
    return made


OPERATIONS = (
    Operation(
        "send",
        "Send a mail",
        "Sends one mail for each item. Puts out its Message-ID and who was refused by the server.",
        _send,
        (
            local("from", docs="The sender's address; else the credential's."),
            local("to", "any", docs="Addresses: a list, or one text with commas.", required=True),
            local("cc", "any", docs="Who gets a copy."),
            local("bcc", "any", docs="Who gets a copy that the others do not see."),
            local("reply_to", docs="Where answers go."),
            local("subject", docs="The subject.", required=True, longest=1_000),
            local("text", docs="The text."),
            local("html", docs="The text as HTML; with text as well, readers show one of them."),
            local(
                "attachments",
                "list",
                docs="Names of files of the item (such as data), or objects with filename, content (in Base64) and "
                "content_type.",
                default=[],
            ),
            local("headers", "object", docs="Further headers.", default={}),
        ),
        effect="unsafe",
        source="https://www.rfc-editor.org/rfc/rfc5321",
    ),
)

EMAIL = Integration(
    "email",
    "E-mail",
    "Sends mails by an SMTP server. Every attempt of a mail has the same Message-ID: it tells a mail that came twice.",
    OPERATIONS,
    credential=SMTP_CREDENTIAL,
    timeout_seconds=60.0,
    examples=(
        Example(
            "Thanks for each order.",
            {
                "to": "{{ $json.mail }}",
                "subject": "Order {{ $json.id }}",
                "text": "Thank you!",
                "html": "<p>Thank you!</p>",
            },
            [{"id": 7, "mail": "Ada <ada@example.com>"}],
            {
                MAIN: [
                    {
                        "message_id": "<d3b2a1c0-1111-5222-8333-444455556666@example.org>",
                        "accepted": ["ada@example.com"],
                        "refused": {},
                    }
                ]
            },
            answer={
                "message_id": "<d3b2a1c0-1111-5222-8333-444455556666@example.org>",
                "accepted": ["ada@example.com"],
                "refused": {},
            },
        ),
    ),
)
