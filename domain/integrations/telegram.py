"""Telegram's Bot API (https://core.telegram.org/bots/api): messages of a bot.

The token stands in the address, where the credential puts it. Answers are `{ok, result}` or `{ok, error_code,
description, parameters: {retry_after}}`.
"""

from domain.credential.credential_type import CredentialField, CredentialType, HttpAuth
from domain.credential.http_test import http_test
from domain.integrations.errors import Errors
from domain.integrations.shape import Integration, Operation, body, more, post
from domain.nodes.node_type import MAIN, Example

_API = "https://api.telegram.org"
_DOCS = "https://core.telegram.org/bots/api#"
_NOT_MODIFIED = (
    "Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a "
    "current content and reply markup of the message"
)
_CHAT = body("chat", "any", docs="The chat's id, or a channel's @name.", sent_as="chat_id", required=True)
_MESSAGE = body("message", "integer", docs="The message's id.", sent_as="message_id", required=True)
_FORMAT = body("format", docs="How the text is marked up.", sent_as="parse_mode", choices=("HTML", "MarkdownV2"))

TELEGRAM = Integration(
    "telegram",
    "Telegram",
    "Sends and changes messages as a Telegram bot.",
    (
        Operation(
            "send",
            "Send a message",
            "Sends a text to a chat.",
            post("/sendMessage"),
            (
                _CHAT,
                body("text", docs="The text, at most 4,096 characters.", required=True),
                _FORMAT,
                body("silent", "boolean", docs="Without a sound.", sent_as="disable_notification"),
                body(
                    "reply_to",
                    "integer",
                    docs="The id of the message that this answers.",
                    sent_as="reply_parameters.message_id",
                ),
                body("keyboard", "object", docs="Buttons, as the API has them.", sent_as="reply_markup"),
                more(),
            ),
            items="result",
            source=_DOCS + "sendmessage",
        ),
        Operation(
            "update",
            "Change a message",
            "Replaces the text of a message of the bot's own.",
            post("/editMessageText"),
            (_CHAT, _MESSAGE, body("text", docs="The new text.", required=True), _FORMAT, more()),
            effect="idempotent",
            items="result",
            already=(_NOT_MODIFIED,),
            source=_DOCS + "editmessagetext",
        ),
        Operation(
            "delete",
            "Delete a message",
            "Deletes a message.",
            post("/deleteMessage"),
            (_CHAT, _MESSAGE),
            effect="idempotent",
            items="result",
            source=_DOCS + "deletemessage",
        ),
        Operation(
            "photo",
            "Send a photo",
            "Sends a photo that Telegram fetches by its address, or that it knows by id.",
            post("/sendPhoto"),
            (
                _CHAT,
                body("photo", docs="An address, or the file_id of a photo that Telegram has.", required=True),
                body("caption", docs="The text below it."),
                _FORMAT,
                more(),
            ),
            items="result",
            source=_DOCS + "sendphoto",
        ),
        Operation(
            "chat",
            "Get a chat",
            "What is known of a chat.",
            post("/getChat"),
            (_CHAT,),
            effect="read",
            items="result",
            source=_DOCS + "getchat",
        ),
    ),
    credential=CredentialType(
        "telegram",
        "Telegram bot",
        "The token of a bot, from @BotFather.",
        (CredentialField("token", "Token", secret=True, required=True, pattern=r"[0-9A-Za-z:_-]+"),),
        HttpAuth(service=(_API, _API + "/bot{token}")),
        http_test(_API + "/getMe"),
    ),
    base_url=_API,
    errors=Errors(
        ok="ok",
        code=("description",),
        message=("description",),
        reset=("retry-after",),
        reset_in="parameters.retry_after",
    ),
    examples=(
        Example(
            "Tells a chat about each alarm.",
            {"operation": "send", "chat": 1111111, "text": "Alarm: {{ $json.what }}"},
            [{"what": "fire"}],
            {MAIN: [{"message_id": 1365, "chat": {"id": 1111111}, "text": "Alarm: fire"}]},
            answer={
                "status": 200,
                "body": {"ok": True, "result": {"message_id": 1365, "chat": {"id": 1111111}, "text": "Alarm: fire"}},
            },
        ),
    ),
)
