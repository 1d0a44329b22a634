"""Discord and Telegram: requests and answers as in their documentation (each operation's `source`)."""

from tests.domain.integrations.table import Case, http

DISCORD_API = "https://discord.com/api/v10"
CHANNEL, MESSAGE = "290926798999357250", "334385199974967042"
POSTED = {"id": MESSAGE, "channel_id": CHANNEL, "content": "Supa Hot", "embeds": []}
AT = {"channel": CHANNEL, "message": MESSAGE}
MEMBER = {"user": {"id": "80351110224678912"}, "nick": "NOT API SUPPORT", "roles": []}

DISCORD: tuple[Case, ...] = (
    http(
        "message.send",
        {
            "channel": CHANNEL,
            "content": "Supa {{ $json.how }}",
            "embeds": [{"title": "Hello, Embed!"}],
            "reply_to": "1",
            "more": {"tts": False},
        },
        f"POST {DISCORD_API}/channels/{CHANNEL}/messages",
        {
            "content": "Supa Hot",
            "embeds": [{"title": "Hello, Embed!"}],
            "message_reference": {"message_id": "1"},
            "tts": False,
        },
        item={"how": "Hot"},
        answer=POSTED,
        items=[POSTED],
    ),
    http(
        "message.send",
        {"channel": CHANNEL, "content": "x"},
        f"POST {DISCORD_API}/channels/{CHANNEL}/messages",
        {"content": "x"},
        status=429,
        answer={"message": "You are being rate limited.", "retry_after": 64.57, "global": False},
        answer_headers={"retry-after": "65", "x-ratelimit-reset-after": "64.57"},
        failure=("rate_limited", 65.0),
    ),
    http(
        "message.send",
        {"channel": CHANNEL, "content": "x"},
        f"POST {DISCORD_API}/channels/{CHANNEL}/messages",
        {"content": "x"},
        status=403,
        answer={"message": "Missing Permissions", "code": 50013},
        failure=("forbidden", False),
    ),
    http(
        "message.update",
        {**AT, "content": "new", "embeds": []},
        f"PATCH {DISCORD_API}/channels/{CHANNEL}/messages/{MESSAGE}",
        {"content": "new", "embeds": []},
        answer=POSTED,
        items=[POSTED],
    ),
    http(
        "message.delete",
        AT,
        f"DELETE {DISCORD_API}/channels/{CHANNEL}/messages/{MESSAGE}",
        status=204,
        items=[{"deleted": True}],
    ),
    http(
        "message.list",
        {"channel": CHANNEL, "limit": 2, "before": "9", "after": "1"},
        f"GET {DISCORD_API}/channels/{CHANNEL}/messages",
        query={"limit": 2, "before": "9", "after": "1"},
        answer=[POSTED],
        items=[POSTED],
    ),
    http(
        "message.react",
        {**AT, "emoji": "👍"},
        f"PUT {DISCORD_API}/channels/{CHANNEL}/messages/{MESSAGE}/reactions/%F0%9F%91%8D/@me",
        status=204,
        items=[{"reacted": True}],
    ),
    http(
        "channel.list",
        {"server": "41771983423143937"},
        f"GET {DISCORD_API}/guilds/41771983423143937/channels",
        answer=[{"id": "41771983423143937", "name": "general"}],
        items=[{"id": "41771983423143937", "name": "general"}],
    ),
    http(
        "member.get",
        {"server": "1", "user": "80351110224678912"},
        f"GET {DISCORD_API}/guilds/1/members/80351110224678912",
        answer=MEMBER,
        items=[MEMBER],
    ),
)

TELEGRAM_API = "https://api.telegram.org"
SENT = {"message_id": 1365, "chat": {"id": 1111111}, "text": "hi"}

TELEGRAM: tuple[Case, ...] = (
    http(
        "send",
        {
            "chat": 1111111,
            "text": "<b>hi</b>",
            "format": "HTML",
            "silent": True,
            "reply_to": 7,
            "keyboard": {"inline_keyboard": []},
            "more": {"protect_content": True},
        },
        f"POST {TELEGRAM_API}/sendMessage",
        {
            "chat_id": 1111111,
            "text": "<b>hi</b>",
            "parse_mode": "HTML",
            "disable_notification": True,
            "reply_parameters": {"message_id": 7},
            "reply_markup": {"inline_keyboard": []},
            "protect_content": True,
        },
        answer={"ok": True, "result": SENT},
        items=[SENT],
    ),
    http(
        "send",
        {"chat": "@channel", "text": "hi"},
        f"POST {TELEGRAM_API}/sendMessage",
        {"chat_id": "@channel", "text": "hi"},
        status=429,
        answer={
            "ok": False,
            "error_code": 429,
            "description": "Too Many Requests: retry after 35",
            "parameters": {"retry_after": 35},
        },
        failure=("rate_limited", 35.0),
    ),
    http(
        "send",
        {"chat": 1, "text": "hi"},
        f"POST {TELEGRAM_API}/sendMessage",
        {"chat_id": 1, "text": "hi"},
        status=400,
        answer={"ok": False, "error_code": 400, "description": "Bad Request: chat not found"},
        failure=("rejected", False),
    ),
    http(
        "update",
        {"chat": 1, "message": 1365, "text": "new", "format": "MarkdownV2"},
        f"POST {TELEGRAM_API}/editMessageText",
        {"chat_id": 1, "message_id": 1365, "text": "new", "parse_mode": "MarkdownV2"},
        answer={"ok": True, "result": SENT},
        items=[SENT],
    ),
    http(  # repeated after a crash: it is so already
        "update",
        {"chat": 1, "message": 1365, "text": "new"},
        f"POST {TELEGRAM_API}/editMessageText",
        {"chat_id": 1, "message_id": 1365, "text": "new"},
        status=400,
        answer={
            "ok": False,
            "error_code": 400,
            "description": "Bad Request: message is not modified: specified new message content and reply markup are "
            "exactly the same as a current content and reply markup of the message",
        },
        items=[{"done": True}],
    ),
    http(
        "delete",
        {"chat": 1, "message": 1365},
        f"POST {TELEGRAM_API}/deleteMessage",
        {"chat_id": 1, "message_id": 1365},
        answer={"ok": True, "result": True},
        items=[{"value": True}],
    ),
    http(
        "photo",
        {"chat": 1, "photo": "https://example.com/a.png", "caption": "*a*", "format": "MarkdownV2"},
        f"POST {TELEGRAM_API}/sendPhoto",
        {"chat_id": 1, "photo": "https://example.com/a.png", "caption": "*a*", "parse_mode": "MarkdownV2"},
        answer={"ok": True, "result": SENT},
        items=[SENT],
    ),
    http(
        "chat",
        {"chat": "@channel"},
        f"POST {TELEGRAM_API}/getChat",
        {"chat_id": "@channel"},
        answer={"ok": True, "result": {"id": -100, "title": "Channel", "type": "channel"}},
        items=[{"id": -100, "title": "Channel", "type": "channel"}],
    ),
)
