"""Slack's Web API: messages, files, channels, people, reactions.

Reading methods take query parameters, writing ones JSON. Every answer has status 200 and says by `ok` whether it worked
(https://docs.slack.dev/apis/web-api/using-the-slack-web-api); too many requests are a 429 with Retry-After
(https://docs.slack.dev/apis/web-api/rate-limits); lists go on by cursor (https://docs.slack.dev/apis/web-api/pagination).
"""

from collections.abc import Mapping
from typing import Any

from domain.credential.credential_type import CredentialField, CredentialTest, CredentialType, HttpAuth
from domain.credential.http_test import TEST_SECONDS, refusal
from domain.effects import CredentialRef, HttpRequest
from domain.integrations.errors import CONFLICT, FORBIDDEN, NOT_FOUND, RATE_LIMITED, UNAUTHORIZED, UNAVAILABLE, Errors
from domain.integrations.pages import cursor
from domain.integrations.shape import (
    Field,
    Integration,
    Operation,
    Step,
    body,
    file_name,
    file_size,
    get,
    local,
    more,
    post,
    query,
    upload,
)
from domain.nodes.node_type import MAIN, Example

_API = "https://slack.com/api"
_DOCS = "https://docs.slack.dev/reference/methods/"
_PAGES = cursor("response_metadata.next_cursor", "cursor", size_as="limit", size=200)
_CHANNEL = "The id of the channel, such as C0123456789."
_TS = "The `ts` of the message."
_MESSAGE: tuple[Field, ...] = (
    body("text", docs="The text, in Slack's mrkdwn; with blocks the text of notifications."),
    body("blocks", "list", docs="The message as blocks of the Block Kit."),
)
_REACTION: tuple[Field, ...] = (
    body("channel", docs=_CHANNEL, required=True),
    body("timestamp", docs=_TS, required=True),
    body("name", docs="The emoji's name without colons, such as thumbsup.", required=True),
)


def _try_out(ref: CredentialRef, _plain: Mapping[str, str]) -> HttpRequest:
    return HttpRequest("GET", f"{_API}/auth.test", timeout_seconds=TEST_SECONDS, credential=ref)


def _problem(value: Any) -> str | None:
    """Slack answers 200 to a wrong token as well."""
    told = refusal(value)
    if told is None and not (isinstance(value.get("body"), dict) and value["body"].get("ok") is True):
        return "Slack refuses the token"
    return told


SLACK_CREDENTIAL = CredentialType(
    "slack",
    "Slack",
    "The token of a Slack app (https://api.slack.com/apps, OAuth & Permissions), with the scopes that its use needs.",
    (CredentialField("token", "Token", secret=True, required=True, docs="Begins with xoxb- or xoxp-."),),
    HttpAuth(headers={"Authorization": "Bearer {token}"}, hosts=("slack.com",)),
    CredentialTest(_try_out, _problem),
)

ERRORS = Errors(
    ok="ok",
    code=("error",),
    message=("response_metadata.messages.0", "error"),
    codes={
        "ratelimited": RATE_LIMITED,
        "rate_limited": RATE_LIMITED,
        "invalid_auth": UNAUTHORIZED,
        "not_authed": UNAUTHORIZED,
        "account_inactive": UNAUTHORIZED,
        "token_expired": UNAUTHORIZED,
        "token_revoked": UNAUTHORIZED,
        "missing_scope": FORBIDDEN,
        "not_allowed_token_type": FORBIDDEN,
        "no_permission": FORBIDDEN,
        "not_in_channel": FORBIDDEN,
        "restricted_action": FORBIDDEN,
        "cant_update_message": FORBIDDEN,
        "cant_delete_message": FORBIDDEN,
        "file_uploads_disabled": FORBIDDEN,
        "file_uploads_except_images_disabled": FORBIDDEN,
        "channel_not_found": NOT_FOUND,
        "message_not_found": NOT_FOUND,
        "file_not_found": NOT_FOUND,
        "thread_not_found": NOT_FOUND,
        "user_not_found": NOT_FOUND,
        "users_not_found": NOT_FOUND,
        "name_taken": CONFLICT,
        "is_archived": CONFLICT,
        "internal_error": UNAVAILABLE,
        "fatal_error": UNAVAILABLE,
        "service_unavailable": UNAVAILABLE,
        "request_timeout": UNAVAILABLE,
    },
)

OPERATIONS = (
    Operation(
        "post",
        "Post a message",
        "Posts to a channel, a person, or (with `thread_ts`) into a thread.",
        post("/chat.postMessage"),
        (
            body("channel", docs="The channel's id or name, or a person's id.", required=True),
            *_MESSAGE,
            body("thread_ts", docs="The `ts` of the message whose thread this belongs to."),
            body("reply_broadcast", "boolean", docs="Show a reply in the channel as well."),
            body("username", docs="The name to post as (scope chat:write.customize)."),
            body("icon_emoji", docs="The emoji to post with, such as :robot_face:."),
            body("unfurl_links", "boolean", docs="Show previews of links."),
            more(),
        ),
        resource="message",
        source=_DOCS + "chat.postMessage",
    ),
    Operation(
        "update",
        "Update a message",
        "Replaces the text or the blocks of a message.",
        post("/chat.update"),
        (
            body("channel", docs=_CHANNEL, required=True),
            body("ts", docs=_TS, required=True),
            *_MESSAGE,
            more(),
        ),
        resource="message",
        effect="idempotent",
        source=_DOCS + "chat.update",
    ),
    Operation(
        "delete",
        "Delete a message",
        "Deletes a message.",
        post("/chat.delete"),
        (body("channel", docs=_CHANNEL, required=True), body("ts", docs=_TS, required=True)),
        resource="message",
        effect="idempotent",
        source=_DOCS + "chat.delete",
    ),
    Operation(
        "permalink",
        "Get a message's link",
        "The address under which people see a message.",
        get("/chat.getPermalink"),
        (query("channel", docs=_CHANNEL, required=True), query("message_ts", docs=_TS, required=True)),
        resource="message",
        source=_DOCS + "chat.getPermalink",
    ),
    Operation(
        "upload",
        "Upload a file",
        "Uploads a file of the item and shares it in a channel; without one only the app sees it (scope files:write).",
        post("/files.getUploadURLExternal", form=True, filename=file_name("file"), length=file_size("file")),
        (
            local("file", docs="Which of the item's files.", default="data"),
            body("filename", docs="Its name in Slack, with an ending; the file's own unless given."),
            body("alt_txt", docs="What an image shows, for screen readers."),
            body("snippet_type", docs="The language of a snippet, such as python."),
            body("title", docs="Its title.", sent_as="files.0.title", step=2),
            body("channel", docs=_CHANNEL, sent_as="channel_id", step=2),
            body("thread_ts", docs="The `ts` of the message whose thread this belongs to.", step=2),
            body("initial_comment", docs="The message that comes with it.", step=2),
        ),
        resource="file",
        items="files[]",
        source=_DOCS + "files.getUploadURLExternal",
        then=(
            Step(upload("file"), url_at="0.upload_url"),
            Step(post("/files.completeUploadExternal"), fill={"files.0.id": "0.file_id"}),
        ),
    ),
    Operation(
        "list",
        "List channels",
        "The channels of the workspace, one item each.",
        get("/conversations.list"),
        (
            query("types", docs="Kinds, separated by commas: public_channel, private_channel, mpim, im."),
            query("exclude_archived", "boolean", docs="Leave archived ones out."),
        ),
        resource="channel",
        items="channels[]",
        pages=_PAGES,
        source=_DOCS + "conversations.list",
    ),
    Operation(
        "info",
        "Get a channel",
        "One channel.",
        get("/conversations.info"),
        (
            query("channel", docs=_CHANNEL, required=True),
            query("include_num_members", "boolean", docs="With the number of members."),
        ),
        resource="channel",
        items="channel",
        source=_DOCS + "conversations.info",
    ),
    Operation(
        "history",
        "Read a channel",
        "The messages of a channel, newest first, one item each.",
        get("/conversations.history"),
        (
            query("channel", docs=_CHANNEL, required=True),
            query("oldest", docs="Only messages after this `ts`."),
            query("latest", docs="Only messages before this `ts`."),
            query("inclusive", "boolean", docs="With the messages of these moments."),
        ),
        resource="channel",
        items="messages[]",
        pages=_PAGES,
        source=_DOCS + "conversations.history",
    ),
    Operation(
        "replies",
        "Read a thread",
        "The messages of a thread, its first message included, one item each.",
        get("/conversations.replies"),
        (query("channel", docs=_CHANNEL, required=True), query("ts", docs="The `ts` of its first.", required=True)),
        resource="channel",
        items="messages[]",
        pages=_PAGES,
        source=_DOCS + "conversations.replies",
    ),
    Operation(
        "create",
        "Create a channel",
        "Creates a public or private channel.",
        post("/conversations.create"),
        (
            body("name", docs="Its name: lower-case letters, digits, - and _.", required=True),
            body("is_private", "boolean", docs="Only for those invited."),
        ),
        resource="channel",
        items="channel",
        source=_DOCS + "conversations.create",
    ),
    Operation(
        "invite",
        "Invite people to a channel",
        "Adds people to a channel.",
        post("/conversations.invite"),
        (
            body("channel", docs=_CHANNEL, required=True),
            body("users", docs="Their ids, separated by commas.", required=True),
        ),
        resource="channel",
        items="channel",
        effect="idempotent",
        already=("already_in_channel",),
        source=_DOCS + "conversations.invite",
    ),
    Operation(
        "list",
        "List people",
        "The people and bots of the workspace, one item each.",
        get("/users.list"),
        resource="user",
        items="members[]",
        pages=_PAGES,
        source=_DOCS + "users.list",
    ),
    Operation(
        "info",
        "Get a person",
        "One person by id.",
        get("/users.info"),
        (query("user", docs="The person's id, such as U0123456789.", required=True),),
        resource="user",
        items="user",
        source=_DOCS + "users.info",
    ),
    Operation(
        "find",
        "Find a person by e-mail",
        "The person with this e-mail address.",
        get("/users.lookupByEmail"),
        (query("email", docs="The address.", required=True),),
        resource="user",
        items="user",
        source=_DOCS + "users.lookupByEmail",
    ),
    Operation(
        "add",
        "Add a reaction",
        "Puts an emoji to a message.",
        post("/reactions.add"),
        _REACTION,
        resource="reaction",
        effect="idempotent",
        already=("already_reacted",),
        source=_DOCS + "reactions.add",
    ),
    Operation(
        "remove",
        "Remove a reaction",
        "Takes an emoji away from a message.",
        post("/reactions.remove"),
        _REACTION,
        resource="reaction",
        effect="idempotent",
        already=("no_reaction",),
        source=_DOCS + "reactions.remove",
    ),
    Operation(
        "get",
        "Get a message's reactions",
        "The message with its reactions.",
        get("/reactions.get"),
        (
            query("channel", docs=_CHANNEL, required=True),
            query("timestamp", docs=_TS, required=True),
            query("full", "boolean", docs="With everybody who reacted."),
        ),
        resource="reaction",
        items="message",
        source=_DOCS + "reactions.get",
    ),
)

SLACK = Integration(
    "slack",
    "Slack",
    "Posts, reads and changes messages, channels and reactions of a Slack workspace, and uploads files to it.",
    OPERATIONS,
    credential=SLACK_CREDENTIAL,
    also_accepts=("oauth2",),
    base_url=_API,
    errors=ERRORS,
    examples=(
        Example(
            "Tells a channel about each order.",
            {
                "resource": "message",
                "operation": "post",
                "channel": "C123ABC456",
                "text": "Order {{ $json.id }}: {{ $json.total }} €",
            },
            [{"id": 7, "total": 12.5}],
            {MAIN: [{"ok": True, "channel": "C123ABC456", "ts": "1503435956.000247", "message": {"text": "Order 7"}}]},
            answer={
                "status": 200,
                "body": {
                    "ok": True,
                    "channel": "C123ABC456",
                    "ts": "1503435956.000247",
                    "message": {"text": "Order 7"},
                },
            },
        ),
    ),
)
