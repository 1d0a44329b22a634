"""Discord's HTTP API, version 10: messages, channels and members, as a bot.

Too many requests are a 429 whose Retry-After is exact (https://discord.com/developers/docs/topics/rate-limits).
"""

from domain.credential.credential_type import CredentialField, CredentialType, HttpAuth
from domain.credential.http_test import http_test
from domain.integrations.errors import Errors
from domain.integrations.shape import Integration, Operation, body, delete, get, more, patch, path, post, put, query
from domain.nodes.node_type import MAIN, Example

_API = "https://discord.com/api/v10"
_DOCS = "https://discord.com/developers/docs/resources/"
_CHANNEL = path("channel", docs="The channel's id.")
_MESSAGE = path("message", docs="The message's id.")
_CONTENT = body("content", docs="The text, at most 2,000 characters.")
_EMBEDS = body("embeds", "list", docs="Embedded parts: objects with title, description and so on.")

DISCORD = Integration(
    "discord",
    "Discord",
    "Sends, changes and reads messages of a Discord server, as a bot.",
    (
        Operation(
            "send",
            "Send a message",
            "Posts to a channel or a thread.",
            post("/channels/{channel}/messages"),
            (
                _CHANNEL,
                _CONTENT,
                _EMBEDS,
                body(
                    "reply_to", docs="The id of the message that this answers.", sent_as="message_reference.message_id"
                ),
                more(),
            ),
            resource="message",
            source=_DOCS + "message#create-message",
        ),
        Operation(
            "update",
            "Change a message",
            "Replaces the given parts of a message of the bot's own.",
            patch("/channels/{channel}/messages/{message}"),
            (_CHANNEL, _MESSAGE, _CONTENT, _EMBEDS),
            resource="message",
            effect="idempotent",
            source=_DOCS + "message#edit-message",
        ),
        Operation(
            "delete",
            "Delete a message",
            "Deletes a message.",
            delete("/channels/{channel}/messages/{message}"),
            (_CHANNEL, _MESSAGE),
            resource="message",
            empty={"deleted": True},
            source=_DOCS + "message#delete-message",
        ),
        Operation(
            "list",
            "Read a channel",
            "The newest messages of a channel, newest first, one item each.",
            get("/channels/{channel}/messages"),
            (
                _CHANNEL,
                query("limit", "integer", docs="So many at most.", default=50, minimum=1, maximum=100),
                query("before", docs="Only those before this message's id."),
                query("after", docs="Only those after this message's id."),
            ),
            resource="message",
            items="[]",
            source=_DOCS + "message#get-channel-messages",
        ),
        Operation(
            "react",
            "React to a message",
            "Puts an emoji to a message.",
            put("/channels/{channel}/messages/{message}/reactions/{emoji}/@me"),
            (_CHANNEL, _MESSAGE, path("emoji", docs="The emoji itself, or name:id of one of the server's own.")),
            resource="message",
            empty={"reacted": True},
            source=_DOCS + "message#create-reaction",
        ),
        Operation(
            "list",
            "List channels",
            "The channels of a server, one item each.",
            get("/guilds/{server}/channels"),
            (path("server", docs="The server's id."),),
            resource="channel",
            items="[]",
            source=_DOCS + "guild#get-guild-channels",
        ),
        Operation(
            "get",
            "Get a member",
            "One member of a server.",
            get("/guilds/{server}/members/{user}"),
            (path("server", docs="The server's id."), path("user", docs="The user's id.")),
            resource="member",
            source=_DOCS + "guild#get-guild-member",
        ),
    ),
    credential=CredentialType(
        "discord",
        "Discord bot",
        "The token of a bot (https://discord.com/developers/applications, Bot).",
        (CredentialField("token", "Token", secret=True, required=True),),
        HttpAuth(headers={"Authorization": "Bot {token}"}, hosts=("discord.com",)),
        http_test(f"{_API}/users/@me"),
    ),
    base_url=_API,
    errors=Errors(code=("code",), message=("message",), reset=("retry-after", "x-ratelimit-reset-after")),
    examples=(
        Example(
            "Tells a channel about each sale.",
            {
                "resource": "message",
                "operation": "send",
                "channel": "1100000000000000001",
                "content": "Sold: {{ $json.thing }}",
            },
            [{"thing": "chair"}],
            {MAIN: [{"id": "1100000000000000002", "content": "Sold: chair"}]},
            answer={"status": 200, "body": {"id": "1100000000000000002", "content": "Sold: chair"}},
        ),
    ),
)
