"""Redis (and what speaks its protocol): one command an item, as documented at https://redis.io/docs/latest/commands/.

Values are text; objects and lists are written as JSON.
"""

from collections.abc import Callable
from typing import Any, Final

from domain.credential.credential_type import CredentialField, CredentialType
from domain.effects import CredentialRef, RedisCommand
from domain.integrations.servers import CA, HOST, PASSWORD, USER, port, tls, tried_by
from domain.integrations.shape import Field, Integration, Operation, Values, local
from domain.integrations.values import as_text
from domain.nodes.failures import BAD_PARAMETER, NodeFailure
from domain.nodes.node_type import MAIN, Example

_DOCS: Final = "https://redis.io/docs/latest/commands/"
MOST_KEYS: Final = 10_000

REDIS_CREDENTIAL = CredentialType(
    "redis",
    "Redis",
    "A database of a Redis server. TLS is off unless it is asked for, as with Redis itself.",
    (
        HOST,
        port("6379"),
        USER,
        PASSWORD,
        CredentialField("database", "Database", default="0", kind="integer", pattern=r"\d{1,4}"),
        tls("off"),
        CA,
    ),
    test=tried_by(lambda ref: RedisCommand(["PING"], timeout_seconds=15.0, credential=ref)),
)

_KEY = local("key", docs="The key.", required=True)
_VALUE = local("value", "any", docs="The value; an object or a list is written as JSON.", required=True)
_VALUES = local("values", "list", docs="The values, in this order.", required=True)
_FIELD = local("field", docs="The field of the hash.", required=True)
_END = local("end", docs="At which end.", default="right", expression=False, choices=("left", "right"))

Build = Callable[[Values], list[Any]]


def _plan(build: Build, *, scan: bool = False) -> Callable[[Values, CredentialRef | None], RedisCommand]:
    """The command's words out of the values; none of them can become two."""

    def plan(values: Values, credential: CredentialRef | None) -> RedisCommand:
        return RedisCommand(
            command=[as_text(word) for word in build(values)],
            scan=int(values["limit"]) if scan else None,
            credential=credential,
        )

    return plan


def _set(values: Values) -> list[Any]:
    command = ["SET", values["key"], values["value"]]
    if values["seconds"] is not None:
        command += ["EX", int(values["seconds"])]
    if values["only_if"] is not None:
        command.append("NX" if values["only_if"] == "missing" else "XX")
    return command


def _increment(values: Values) -> list[Any]:
    by = values["by"]
    whole = float(by).is_integer()
    return ["INCRBY", values["key"], int(by)] if whole else ["INCRBYFLOAT", values["key"], by]


def _several(name: str) -> Callable[[Values], list[Any]]:
    """The values of a list parameter. Raises NodeFailure where there are none: Redis has no such command."""

    def words(values: Values) -> list[Any]:
        if not values[name]:
            raise NodeFailure(BAD_PARAMETER, f"parameter {name!r} must have at least one value")
        return list(values[name])

    return words


_of_keys, _of_values, _of_fields = _several("keys"), _several("values"), _several("fields")


def _pairs(values: Values) -> list[Any]:
    entries = values["entries"]
    if not entries:
        raise NodeFailure(BAD_PARAMETER, "parameter 'entries' must have at least one field")
    return [word for entry in entries.items() for word in entry]


def _sided(values: Values, command: str) -> str:
    return ("L" if values["end"] == "left" else "R") + command


def _pop(values: Values) -> list[Any]:
    return [_sided(values, "POP"), values["key"], int(values["count"])]


def _scan(values: Values) -> list[Any]:
    return ["SCAN", "0", "MATCH", values["pattern"], "COUNT", 500]


def _value(answer: Any) -> list[Any]:
    return [{"value": answer["reply"]}]


def _entries(answer: Any) -> list[Any]:
    """One item an entry; none where there was nothing."""
    return [{"value": entry} for entry in answer["reply"] or []]


def _keys(answer: Any) -> list[Any]:
    return [{"key": entry} for entry in answer["reply"]]


def _hash(answer: Any) -> list[Any]:
    words = answer["reply"]
    return [dict(zip(words[::2], words[1::2], strict=True))]


def _count(answer: Any) -> list[Any]:
    return [{"count": answer["reply"]}]


def _is_set(answer: Any) -> list[Any]:
    return [{"set": answer["reply"] == "OK"}]


def _happened(answer: Any) -> list[Any]:
    return [{"done": answer["reply"] == 1}]


def _operation(
    name: str,
    title: str,
    docs: str,
    fields: tuple[Field, ...],
    build: Build,
    items: Callable[[Any], list[Any]],
    page: str,
    **more: Any,
) -> Operation:
    scan = more.pop("scan", False)
    return Operation(name, title, docs, _plan(build, scan=scan), fields, items=items, source=f"{_DOCS}{page}/", **more)


OPERATIONS = (
    _operation(
        "get",
        "Get a value",
        "The text of a key; null if there is none.",
        (_KEY,),
        lambda v: ["GET", v["key"]],
        _value,
        "get",
        resource="key",
        effect="read",
    ),
    _operation(
        "set",
        "Set a value",
        "Sets the text of a key; `set` is false where `only_if` did not hold.",
        (
            _KEY,
            _VALUE,
            local("seconds", "integer", docs="Forget it after so long.", minimum=1),
            local(
                "only_if", docs="Only if there is no such key, or only if there is one.", choices=("missing", "there")
            ),
        ),
        _set,
        _is_set,
        "set",
        resource="key",
        effect="idempotent",
    ),
    _operation(
        "delete",
        "Delete keys",
        "Deletes keys, whatever they hold; puts out how many there were.",
        (local("keys", "list", docs="The keys.", required=True),),
        lambda v: ["DEL", *_of_keys(v)],
        _count,
        "del",
        resource="key",
        effect="idempotent",
    ),
    _operation(
        "increment",
        "Count",
        "Adds to a number (0 if there is none) and puts out the sum.",
        (_KEY, local("by", "number", docs="What is added; may be negative.", default=1)),
        _increment,
        _value,
        "incrby",
        resource="key",
        effect="unsafe",
    ),
    _operation(
        "expire",
        "Let a key expire",
        "Forgets a key after a time; `done` is false if there is none.",
        (_KEY, local("seconds", "integer", docs="After so long.", required=True, minimum=0)),
        lambda v: ["EXPIRE", v["key"], int(v["seconds"])],
        _happened,
        "expire",
        resource="key",
        effect="idempotent",
    ),
    _operation(
        "find",
        "Find keys",
        "The keys that fit a pattern, in no order, one item each. Goes through all keys of the database.",
        (
            local("pattern", docs="Such as user:*; also ? and [ab].", default="*"),
            local("limit", "integer", docs="So many at most.", default=100, minimum=1, maximum=MOST_KEYS),
        ),
        _scan,
        _keys,
        "scan",
        resource="key",
        effect="read",
        scan=True,
    ),
    _operation(
        "get",
        "Get a field",
        "The text of a field of a hash; null if there is none.",
        (_KEY, _FIELD),
        lambda v: ["HGET", v["key"], v["field"]],
        _value,
        "hget",
        resource="hash",
        effect="read",
    ),
    _operation(
        "get_all",
        "Get a hash",
        "All fields of a hash as one item, which is empty if there is none.",
        (_KEY,),
        lambda v: ["HGETALL", v["key"]],
        _hash,
        "hgetall",
        resource="hash",
        effect="read",
    ),
    _operation(
        "set",
        "Set fields",
        "Sets fields of a hash; puts out how many are new.",
        (_KEY, local("entries", "object", docs="Values by field.", required=True)),
        lambda v: ["HSET", v["key"], *_pairs(v)],
        _count,
        "hset",
        resource="hash",
        effect="idempotent",
    ),
    _operation(
        "delete",
        "Delete fields",
        "Deletes fields of a hash; puts out how many there were.",
        (_KEY, local("fields", "list", docs="The fields.", required=True)),
        lambda v: ["HDEL", v["key"], *_of_fields(v)],
        _count,
        "hdel",
        resource="hash",
        effect="idempotent",
    ),
    _operation(
        "increment",
        "Count in a field",
        "Adds to a number in a hash and puts out the sum.",
        (_KEY, _FIELD, local("by", "integer", docs="What is added; may be negative.", default=1)),
        lambda v: ["HINCRBY", v["key"], v["field"], int(v["by"])],
        _value,
        "hincrby",
        resource="hash",
        effect="unsafe",
    ),
    _operation(
        "push",
        "Push to a list",
        "Adds values at an end of a list; puts out its length.",
        (_KEY, _VALUES, _END),
        lambda v: [_sided(v, "PUSH"), v["key"], *_of_values(v)],
        _count,
        "rpush",
        resource="list",
        effect="unsafe",
    ),
    _operation(
        "pop",
        "Pop from a list",
        "Takes values from an end of a list, one item each; none if it is empty.",
        (_KEY, local("count", "integer", docs="So many at most.", default=1, minimum=1), _END),
        _pop,
        _entries,
        "lpop",
        resource="list",
        effect="unsafe",
    ),
    _operation(
        "range",
        "Read a list",
        "Values of a list by their places, one item each.",
        (
            _KEY,
            local("first", "integer", docs="From this place, counted from 0; -1 is the last.", default=0),
            local("last", "integer", docs="To this place, included.", default=-1),
        ),
        lambda v: ["LRANGE", v["key"], int(v["first"]), int(v["last"])],
        _entries,
        "lrange",
        resource="list",
        effect="read",
    ),
    _operation(
        "add",
        "Add to a set",
        "Adds members to a set; puts out how many are new.",
        (_KEY, _VALUES),
        lambda v: ["SADD", v["key"], *_of_values(v)],
        _count,
        "sadd",
        resource="set",
        effect="idempotent",
    ),
    _operation(
        "remove",
        "Remove from a set",
        "Takes members out of a set; puts out how many there were.",
        (_KEY, _VALUES),
        lambda v: ["SREM", v["key"], *_of_values(v)],
        _count,
        "srem",
        resource="set",
        effect="idempotent",
    ),
    _operation(
        "members",
        "Read a set",
        "The members of a set, in no order, one item each.",
        (_KEY,),
        lambda v: ["SMEMBERS", v["key"]],
        _entries,
        "smembers",
        resource="set",
        effect="read",
    ),
    _operation(
        "publish",
        "Publish a message",
        "Sends a message to a channel; puts out how many got it.",
        (
            local("channel", docs="The channel.", required=True),
            local("message", "any", docs="The message; an object or a list is sent as JSON.", required=True),
        ),
        lambda v: ["PUBLISH", v["channel"], v["message"]],
        _count,
        "publish",
        resource="channel",
        effect="unsafe",
    ),
)

REDIS = Integration(
    "redis",
    "Redis",
    "Reads and changes keys, hashes, lists and sets, counts, and publishes messages: one command an item.",
    OPERATIONS,
    credential=REDIS_CREDENTIAL,
    examples=(
        Example(
            "Remembers each visitor for an hour.",
            {
                "resource": "key",
                "operation": "set",
                "key": "visitor:{{ $json.id }}",
                "value": {"seen": "{{ $json.page }}"},
                "seconds": 3600,
            },
            [{"id": 7, "page": "/"}],
            {MAIN: [{"set": True}]},
            answer={"reply": "OK"},
        ),
    ),
)
