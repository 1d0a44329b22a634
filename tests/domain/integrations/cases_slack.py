"""Slack: requests and answers as on the pages https://docs.slack.dev/reference/methods/METHOD."""

from typing import Any

from tests.domain.integrations.table import Case, http

API = "https://slack.com/api"
CHANNEL = "C123ABC456"
TS = "1503435956.000247"
MESSAGE = {"text": "Here's a message for you", "username": "ecto1", "type": "message", "ts": TS}
GENERAL = {"id": "C012AB3CD", "name": "general", "is_channel": True, "is_archived": False}
RANDOM = {"id": "C061EG9T2", "name": "random", "is_channel": True, "is_archived": False}
SPENGLER = {"id": "W012A3CDE", "team_id": "T012AB3C4", "name": "spengler", "deleted": False}


FILE = {"data": "aGVsbG8gd29ybGQh", "mime_type": "text/plain", "file_name": "hello.txt", "size": 12}
UPLOAD_URL = "https://files.slack.com/upload/v1/CwABAAAAXAoAAVnX"


def uploaded(file: dict[str, Any], **body: Any) -> list[dict[str, Any]]:
    """The two steps behind files.getUploadURLExternal."""
    headers = {"Content-Type": file["mime_type"]}
    raw = {"method": "POST", "url": "", "headers": headers, "body_data": file["data"]}
    done: dict[str, Any] = {"method": "POST", "url": f"{API}/files.completeUploadExternal"}
    return [
        {"request": raw, "url_at": "0.upload_url"},
        {"request": done | {"body": body}, "fill": {"files.0.id": "0.file_id"}},
    ]


def ok(**fields: object) -> dict[str, object]:
    return {"ok": True, **fields}


def refused(code: str, **fields: object) -> dict[str, object]:
    return {"ok": False, "error": code, **fields}


CASES: tuple[Case, ...] = (
    http(
        "message.post",
        {"channel": CHANNEL, "text": "Here's a message for {{ $json.name }}"},
        f"POST {API}/chat.postMessage",
        {"channel": CHANNEL, "text": "Here's a message for you"},
        item={"name": "you"},
        answer=ok(channel=CHANNEL, ts=TS, message=MESSAGE),
        items=[ok(channel=CHANNEL, ts=TS, message=MESSAGE)],
    ),
    http(
        "message.post",
        {
            "channel": CHANNEL,
            "text": "hi",
            "blocks": [{"type": "divider"}],
            "thread_ts": TS,
            "reply_broadcast": True,
            "username": "ecto1",
            "icon_emoji": ":chart_with_upwards_trend:",
            "unfurl_links": False,
            "more": {"unfurl_media": False},
        },
        f"POST {API}/chat.postMessage",
        {
            "channel": CHANNEL,
            "text": "hi",
            "blocks": [{"type": "divider"}],
            "thread_ts": TS,
            "reply_broadcast": True,
            "username": "ecto1",
            "icon_emoji": ":chart_with_upwards_trend:",
            "unfurl_links": False,
            "unfurl_media": False,
        },
        answer=refused("channel_not_found"),
        failure=("not_found", False),
    ),
    http(
        "message.post",
        {"channel": CHANNEL, "text": "hi"},
        f"POST {API}/chat.postMessage",
        {"channel": CHANNEL, "text": "hi"},
        status=429,
        answer=refused("ratelimited"),
        answer_headers={"retry-after": "30"},
        failure=("rate_limited", 30.0),
    ),
    http(
        "message.post",
        {"channel": CHANNEL, "text": "hi"},
        f"POST {API}/chat.postMessage",
        {"channel": CHANNEL, "text": "hi"},
        answer=refused("no_text"),
        failure=("rejected", False),
    ),
    http(
        "message.update",
        {"channel": CHANNEL, "ts": TS, "text": "Updated text", "blocks": [{"type": "divider"}]},
        f"POST {API}/chat.update",
        {"channel": CHANNEL, "ts": TS, "text": "Updated text", "blocks": [{"type": "divider"}]},
        answer=ok(channel=CHANNEL, ts=TS, text="Updated text"),
        items=[ok(channel=CHANNEL, ts=TS, text="Updated text")],
    ),
    http(
        "message.delete",
        {"channel": CHANNEL, "ts": TS},
        f"POST {API}/chat.delete",
        {"channel": CHANNEL, "ts": TS},
        answer=ok(channel=CHANNEL, ts=TS),
        items=[ok(channel=CHANNEL, ts=TS)],
    ),
    http(
        "message.permalink",
        {"channel": CHANNEL, "message_ts": TS},
        f"GET {API}/chat.getPermalink",
        query={"channel": CHANNEL, "message_ts": TS},
        answer=ok(channel=CHANNEL, permalink="https://ghostbusters.slack.com/archives/C1H9RESGA/p135854651500008"),
        items=[ok(channel=CHANNEL, permalink="https://ghostbusters.slack.com/archives/C1H9RESGA/p135854651500008")],
    ),
    http(
        "file.upload",
        {
            "file": "scan",
            "filename": "{{ $json.name }}.txt",
            "alt_txt": "A greeting",
            "snippet_type": "text",
            "title": "slack-test",
            "channel": "C0NF841BK",
            "thread_ts": "1524523204.000192",
            "initial_comment": "Look",
        },
        f"POST {API}/files.getUploadURLExternal",
        form={"filename": "greeting.txt", "length": "12", "alt_txt": "A greeting", "snippet_type": "text"},
        then=uploaded(
            FILE,
            files=[{"title": "slack-test"}],
            channel_id="C0NF841BK",
            thread_ts="1524523204.000192",
            initial_comment="Look",
        ),
        item={"name": "greeting"},
        files={"scan": FILE},
        answer=ok(files=[{"id": "F123ABC456", "title": "slack-test"}]),
        items=[{"id": "F123ABC456", "title": "slack-test"}],
    ),
    http(  # the first answer refuses: nothing follows
        "file.upload",
        {},
        f"POST {API}/files.getUploadURLExternal",
        form={"filename": "hello.txt", "length": "12"},
        then=uploaded(FILE),
        files={"data": FILE},
        answer=refused("file_uploads_disabled"),
        missing="0.upload_url",
        failure=("forbidden", False),
    ),
    http(  # an answer that is none
        "file.upload",
        {},
        f"POST {API}/files.getUploadURLExternal",
        form={"filename": "hello.txt", "length": "12"},
        then=uploaded(FILE),
        files={"data": FILE},
        answer=ok(file_id="F123ABC456"),
        missing="0.upload_url",
        failure=("unexpected_answer", False),
    ),
    http(  # the upload itself
        "file.upload",
        {},
        f"POST {API}/files.getUploadURLExternal",
        form={"filename": "hello.txt", "length": "12"},
        then=uploaded(FILE),
        files={"data": FILE},
        status=503,
        answer="busy",
        failure=("unavailable", True),
    ),
    http(
        "channel.list",
        {"types": "public_channel,private_channel", "exclude_archived": True, "limit": 2},
        f"GET {API}/conversations.list",
        query={"types": "public_channel,private_channel", "exclude_archived": True, "limit": 2},
        answer=ok(channels=[GENERAL, RANDOM], response_metadata={"next_cursor": ""}),
        items=[GENERAL, RANDOM],
    ),
    http(
        "channel.list",
        {},
        f"GET {API}/conversations.list",
        query={"limit": 100},
        answer=refused("invalid_auth"),
        failure=("unauthorized", False),
    ),
    http(
        "channel.info",
        {"channel": "C012AB3CD", "include_num_members": True},
        f"GET {API}/conversations.info",
        query={"channel": "C012AB3CD", "include_num_members": True},
        answer=ok(channel=GENERAL),
        items=[GENERAL],
    ),
    http(
        "channel.history",
        {"channel": CHANNEL, "oldest": "1512085861.000543", "latest": "1512104434.000490", "inclusive": True},
        f"GET {API}/conversations.history",
        query={
            "channel": CHANNEL,
            "oldest": "1512085861.000543",
            "latest": "1512104434.000490",
            "inclusive": True,
            "limit": 100,
        },
        answer=ok(messages=[MESSAGE], has_more=False, pin_count=0),
        items=[MESSAGE],
    ),
    http(
        "channel.replies",
        {"channel": CHANNEL, "ts": TS, "limit": 1000},
        f"GET {API}/conversations.replies",
        query={"channel": CHANNEL, "ts": TS, "limit": 200},
        answer=ok(messages=[MESSAGE, {"text": "an answer"}], has_more=False),
        items=[MESSAGE, {"text": "an answer"}],
    ),
    http(
        "channel.create",
        {"name": "endeavor", "is_private": True},
        f"POST {API}/conversations.create",
        {"name": "endeavor", "is_private": True},
        answer=ok(channel={"id": "C0EAQDV4Z", "name": "endeavor"}),
        items=[{"id": "C0EAQDV4Z", "name": "endeavor"}],
    ),
    http(
        "channel.create",
        {"name": "endeavor"},
        f"POST {API}/conversations.create",
        {"name": "endeavor"},
        answer=refused("name_taken"),
        failure=("conflict", False),
    ),
    http(
        "channel.invite",
        {"channel": "C012AB3CD", "users": "W1234567890,U2345678901"},
        f"POST {API}/conversations.invite",
        {"channel": "C012AB3CD", "users": "W1234567890,U2345678901"},
        answer=ok(channel=GENERAL),
        items=[GENERAL],
    ),
    http(
        "user.list",
        {"limit": 1},
        f"GET {API}/users.list",
        query={"limit": 1},
        answer=ok(members=[SPENGLER], cache_ts=1498777272, response_metadata={"next_cursor": ""}),
        items=[SPENGLER],
    ),
    http(
        "user.info",
        {"user": "W012A3CDE"},
        f"GET {API}/users.info",
        query={"user": "W012A3CDE"},
        answer=ok(user=SPENGLER),
        items=[SPENGLER],
    ),
    http(
        "user.find",
        {"email": "spengler@ghostbusters.example.com"},
        f"GET {API}/users.lookupByEmail",
        query={"email": "spengler@ghostbusters.example.com"},
        answer=ok(user=SPENGLER),
        items=[SPENGLER],
    ),
    http(
        "reaction.add",
        {"channel": CHANNEL, "timestamp": TS, "name": "thumbsup"},
        f"POST {API}/reactions.add",
        {"channel": CHANNEL, "timestamp": TS, "name": "thumbsup"},
        answer=ok(),
        items=[ok()],
    ),
    http(  # repeated after a crash: it is so already
        "reaction.add",
        {"channel": CHANNEL, "timestamp": TS, "name": "thumbsup"},
        f"POST {API}/reactions.add",
        {"channel": CHANNEL, "timestamp": TS, "name": "thumbsup"},
        answer=refused("already_reacted"),
        items=[{"done": True}],
    ),
    http(
        "reaction.remove",
        {"channel": CHANNEL, "timestamp": TS, "name": "thumbsup"},
        f"POST {API}/reactions.remove",
        {"channel": CHANNEL, "timestamp": TS, "name": "thumbsup"},
        answer=refused("no_reaction"),
        items=[{"done": True}],
    ),
    http(
        "reaction.get",
        {"channel": CHANNEL, "timestamp": TS, "full": True},
        f"GET {API}/reactions.get",
        query={"channel": CHANNEL, "timestamp": TS, "full": True},
        answer=ok(
            type="message", channel=CHANNEL, message={**MESSAGE, "reactions": [{"name": "astonished", "count": 3}]}
        ),
        items=[{**MESSAGE, "reactions": [{"name": "astonished", "count": 3}]}],
    ),
)
