"""Redis: the commands of https://redis.io/docs/latest/commands/ with the replies named there.

They run on a real server in tests/services/worker/effects/test_redis.py.
"""

from typing import Any

from tests.domain.integrations.table import Case


def redis(
    operation: str,
    parameters: dict[str, Any],
    command: list[str],
    reply: Any,
    items: list[Any],
    scan: int | None = None,
) -> Case:
    effect: dict[str, Any] = {"type": "redis_command", "command": command}
    if scan is not None:
        effect["scan"] = scan
    return Case(operation, parameters, effect, {"reply": reply}, items)


CASES: tuple[Case, ...] = (
    redis("key.get", {"key": "mykey"}, ["GET", "mykey"], "Hello", [{"value": "Hello"}]),
    redis("key.get", {"key": "nothing"}, ["GET", "nothing"], None, [{"value": None}]),
    redis("key.set", {"key": "mykey", "value": "Hello"}, ["SET", "mykey", "Hello"], "OK", [{"set": True}]),
    redis(
        "key.set",
        {"key": "k\r\nFLUSHALL", "value": {"a": [1, "ü"]}, "seconds": 60, "only_if": "missing"},
        ["SET", "k\r\nFLUSHALL", '{"a":[1,"ü"]}', "EX", "60", "NX"],
        None,
        [{"set": False}],
    ),
    redis("key.set", {"key": "k", "value": 1.5, "only_if": "there"}, ["SET", "k", "1.5", "XX"], "OK", [{"set": True}]),
    redis("key.delete", {"keys": ["key1", "key2"]}, ["DEL", "key1", "key2"], 2, [{"count": 2}]),
    redis("key.increment", {"key": "mykey", "by": 5}, ["INCRBY", "mykey", "5"], 15, [{"value": 15}]),
    redis("key.increment", {"key": "k", "by": 0.1}, ["INCRBYFLOAT", "k", "0.1"], "10.6", [{"value": "10.6"}]),
    redis("key.expire", {"key": "mykey", "seconds": 10}, ["EXPIRE", "mykey", "10"], 1, [{"done": True}]),
    redis(
        "key.find",
        {"pattern": "user:*", "limit": 10},
        ["SCAN", "0", "MATCH", "user:*", "COUNT", "500"],
        ["user:1", "user:2"],
        [{"key": "user:1"}, {"key": "user:2"}],
        scan=10,
    ),
    redis("hash.get", {"key": "myhash", "field": "field1"}, ["HGET", "myhash", "field1"], "foo", [{"value": "foo"}]),
    redis(
        "hash.get_all",
        {"key": "myhash"},
        ["HGETALL", "myhash"],
        ["field1", "Hello", "field2", "World"],
        [{"field1": "Hello", "field2": "World"}],
    ),
    redis("hash.get_all", {"key": "nothing"}, ["HGETALL", "nothing"], [], [{}]),
    redis(
        "hash.set",
        {"key": "myhash", "entries": {"field1": "Hello", "field2": 2}},
        ["HSET", "myhash", "field1", "Hello", "field2", "2"],
        2,
        [{"count": 2}],
    ),
    redis("hash.delete", {"key": "h", "fields": ["f"]}, ["HDEL", "h", "f"], 1, [{"count": 1}]),
    redis("hash.increment", {"key": "h", "field": "f", "by": -1}, ["HINCRBY", "h", "f", "-1"], 4, [{"value": 4}]),
    redis("list.push", {"key": "l", "values": ["a", {"b": 1}]}, ["RPUSH", "l", "a", '{"b":1}'], 2, [{"count": 2}]),
    redis("list.push", {"key": "l", "values": ["a"], "end": "left"}, ["LPUSH", "l", "a"], 1, [{"count": 1}]),
    redis("list.pop", {"key": "l"}, ["RPOP", "l", "1"], ["a"], [{"value": "a"}]),
    redis("list.pop", {"key": "l", "count": 2, "end": "left"}, ["LPOP", "l", "2"], None, []),
    redis(
        "list.range",
        {"key": "l", "first": 0, "last": -1},
        ["LRANGE", "l", "0", "-1"],
        ["one", "two"],
        [{"value": "one"}, {"value": "two"}],
    ),
    redis("set.add", {"key": "s", "values": ["a", 1]}, ["SADD", "s", "a", "1"], 2, [{"count": 2}]),
    redis("set.remove", {"key": "s", "values": ["a"]}, ["SREM", "s", "a"], 1, [{"count": 1}]),
    redis("set.members", {"key": "s"}, ["SMEMBERS", "s"], ["a", "b"], [{"value": "a"}, {"value": "b"}]),
    redis("channel.publish", {"channel": "c", "message": {"a": 1}}, ["PUBLISH", "c", '{"a":1}'], 2, [{"count": 2}]),
)
