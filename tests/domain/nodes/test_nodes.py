"""Each node type beyond the golden vectors: what it puts out for which items."""

from itertools import pairwise
from typing import Any

import pytest

from domain.execution.commands import StartExecution
from domain.execution.events import ResponseGiven
from domain.nodes.parameters import schema_of
from domain.nodes.registry import NODE_TYPES
from tests.support.executions import Run, items, node, ok, workflow


def run_of(type_: str, parameters: dict[str, Any], jsons: list[dict[str, Any]], **fields: Any) -> Run:
    return Run(workflow([node("start", "manual"), node("x", type_, parameters, **fields)], "start -> x")).start(jsons)


def outputs(type_: str, parameters: dict[str, Any], *jsons: dict[str, Any], **fields: Any) -> Any:
    """What the node puts out, by port, as plain jsons."""
    run = run_of(type_, parameters, list(jsons), **fields)
    assert run.status == "completed", run.error
    return {port: [item["json"] for item in made] for port, made in run.nodes["x"][0].items()}


def main(type_: str, parameters: dict[str, Any], *jsons: dict[str, Any]) -> Any:
    return outputs(type_, parameters, *jsons).get("main", [])


def code(type_: str, parameters: dict[str, Any], *jsons: dict[str, Any]) -> str:
    return str(run_of(type_, parameters, list(jsons)).error.code)


def test_set() -> None:
    assert main("set", {"fields": {"a.b": 1, "a.c": "{{ $json.a.x }}"}}, {"a": {"x": 5}}) == [
        {"a": {"x": 5, "b": 1, "c": 5}}
    ]
    assert main("set", {"fields": {"a.b": 1}}, {"a": [1]}) == [{"a": {"b": 1}}]
    assert main("set", {"fields": {"n": "{{ $json.zzz }}"}}, {"n": 1}) == [{"n": 1}]
    assert main("set", {"fields": {"n": "{{ 0 / 0 }}"}}, {}) == [{"n": None}]
    assert main("set", {"fields": {"list": ["{{ $json.n }}", {"k": "{{ $json.n }}!"}]}}, {"n": 1}) == [
        {"n": 1, "list": [1, {"k": "1!"}]}
    ]
    assert main("set", {"fields": "{{ ({a: $json.n, 'b.c': 2}) }}", "keep": False}, {"n": 1}) == [
        {"a": 1, "b": {"c": 2}}
    ]


def test_set_changes_no_item_of_others() -> None:
    document = workflow(
        [
            node("start", "manual"),
            node("a", "set", {"fields": {"deep.x": "a"}}),
            node("b", "set", {"fields": {"deep.x": "b"}}),
        ],
        "start -> a",
        "start -> b",
    )
    run = Run(document).start([{"deep": {"x": 0}}])
    assert run.nodes["start"] == [{"main": items({"deep": {"x": 0}})}]
    assert run.nodes["a"] == [{"main": items({"deep": {"x": "a"}})}]


def test_binary_data_stays_with_its_item() -> None:
    document = workflow([node("start", "manual"), node("x", "set", {"fields": {"n": 1}})], "start -> x")
    run = Run(document)
    given = [{"json": {}, "binary": {"data": {"id": "b1"}}}]
    run.do(
        StartExecution(
            execution_id="e",
            workflow_id="w",
            workflow_version=1,
            trigger_node="start",
            trigger_type="manual",
            items=given,
            queued_at=0,
        )
    )
    assert run.output == [{"json": {"n": 1}, "binary": {"data": {"id": "b1"}}}]


def test_if_and_switch_put_failed_items_on_main_with_continue() -> None:
    wrong: dict[str, Any] = {}
    found = outputs("if", {"condition": "{{ $json.a.b }}"}, {"a": {"b": 1}}, wrong, on_error="continue")
    assert found["true"] == [{"a": {"b": 1}}]
    assert found["main"][0]["error"]["code"] == "expression_type"
    rules = [{"output": "yes", "condition": "{{ $json.a.b }}"}]
    found = outputs("switch", {"rules": rules}, wrong, {"a": {"b": 1}}, on_error="continue")
    assert set(found) == {"yes", "main"}


def test_split_out() -> None:
    assert main("split_out", {"field": "a.b", "keep": True}, {"n": 1, "a": {"b": [1, {"x": 2}], "c": 3}}) == [
        {"n": 1, "a": {"c": 3}, "b": 1},
        {"n": 1, "a": {"c": 3}, "x": 2},
    ]
    assert main("split_out", {"field": "a"}, {"a": []}) == []
    assert code("split_out", {"field": "a"}, {"a": "text"}) == "not_a_list"


def test_aggregate() -> None:
    assert main("aggregate", {}, {"a": 1}, {"a": 2}) == [{"items": [{"a": 1}, {"a": 2}]}]
    assert main("aggregate", {"field": "a.b", "into": "x.y"}, {"a": {"b": 1}}, {}, {"a": {"b": None}}) == [
        {"x": {"y": [1, None]}}
    ]


def test_limit() -> None:
    three = [{"n": 1}, {"n": 2}, {"n": 3}]
    assert main("limit", {"count": 2}, *three) == three[:2]
    assert main("limit", {"count": "{{ $json.n }}", "from": "end"}, *three) == three[2:]
    assert main("limit", {"count": 0, "from": "end"}, *three) == []
    assert main("limit", {"count": 9}, *three) == three
    assert code("limit", {"count": "{{ 'two' }}"}, {}) == "bad_parameter"


def test_sort() -> None:
    values = ["b", 10, None, True, 2, "a", {"x": 1}, 1.5, "Ä"]
    jsons = [{"v": value} for value in values] + [{"w": 1}]
    up = [json.get("v", "missing") for json in main("sort", {"fields": [{"name": "v"}]}, *jsons)]
    assert up == [1.5, 2, 10, "a", "b", "Ä", True, {"x": 1}, None, "missing"]
    down = main("sort", {"fields": [{"name": "v", "order": "desc"}]}, *jsons)
    assert [json.get("v", "missing") for json in down] == [
        True, {"x": 1}, "Ä", "b", "a", 10, 2, 1.5, None, "missing",
    ]  # fmt: skip
    two = [{"a": 1, "b": 1}, {"a": 0, "b": 2}, {"a": 1, "b": 0}]
    found = main("sort", {"fields": [{"name": "a", "order": "desc"}, {"name": "b"}]}, *two)
    assert found == [two[2], two[0], two[1]]


def merged(parameters: dict[str, Any], *lists: list[Any]) -> Any:
    """A merge of inputs made by splitting lists."""
    names = [f"i{number}" for number in range(1, len(lists) + 1)]
    document = workflow(
        [
            node("start", "manual"),
            *(node(name, "split_out", {"field": name}) for name in names),
            node("m", "merge", parameters),
        ],
        *(f"start -> {name}" for name in names),
        *(f"{name} -> m.input{number}" for number, name in enumerate(names, start=1)),
    )
    run = Run(document).start([dict(zip(names, lists, strict=True))])
    return [item["json"] for item in run.output]


def test_merge_by_fields_compares_like_javascript() -> None:
    values = [1, True, "1", None, [1, {"a": 2}], 0, False, 1.0]
    left = [{"k": value, "l": place} for place, value in enumerate(values)]
    right = [{"k": 1}, {"k": "1"}, {"k": None}, {"k": [1.0, {"a": 2}]}, {"k": False}, {}]
    by_k = {"mode": "combine_by_fields", "fields": ["k"]}
    assert [json["l"] for json in merged(by_k, left, right)] == [0, 2, 3, 4, 6, 7]
    assert merged({**by_k, "join": "left"}, [{"k": 1}, {"x": 2}], [{"k": 1, "y": 1}, {"z": 1}]) == [
        {"k": 1, "y": 1},
        {"x": 2},
    ]
    assert merged({**by_k, "fields": ["a.b"]}, [{"a": {"b": 1}}], [{"a": {"b": 1, "c": 2}}]) == [
        {"a": {"b": 1, "c": 2}}
    ]


def test_merge_of_many_inputs() -> None:
    lists = [[{"n": number}] for number in range(1, 12)]
    assert [json["n"] for json in merged({}, *lists)] == list(range(1, 12))
    three = [[{"a": 1}, {"a": 2}], [{"b": 1}], [{"a": 3, "c": 1}]]
    assert merged({"mode": "combine_by_position"}, *three) == [{"a": 3, "b": 1, "c": 1}]
    assert merged({"mode": "combine_by_position", "include_unpaired": True}, *three)[1:] == [{"a": 2}]


def test_merge_refuses_to_explode() -> None:
    many = [{"n": number} for number in range(400)]
    names = {"i1": many, "i2": many}
    document = workflow(
        [
            node("start", "manual"),
            node("i1", "split_out", {"field": "i1"}),
            node("i2", "split_out", {"field": "i2"}),
            node("m", "merge", {"mode": "combine_all"}),
        ],
        "start -> i1",
        "start -> i2",
        "i1 -> m.input1",
        "i2 -> m.input2",
    )
    run = Run(document).start([names])
    while run.status == "running":
        run.compute()
    assert run.error.code == "too_many_items"


def test_merges_that_double_what_they_get_come_to_an_end() -> None:
    names = ["start", *(f"m{number}" for number in range(30))]
    links = []
    for source, target in pairwise(names):
        links += [f"{source} -> {target}.input1", f"{source} -> {target}.input2"]
    document = workflow([node("start", "manual"), *(node(name, "merge") for name in names[1:])], *links)
    run = Run(document).start([{}])
    while run.status == "running":
        run.compute()
    assert run.error.code == "too_many_items"


def test_stop_and_error_says_why() -> None:
    run = run_of("stop_and_error", {"message": "no stock for {{ $json.sku }}"}, [{"sku": "A1"}])
    assert (run.error.code, run.error.message) == ("stop_and_error", "no stock for A1")


def test_respond_answers_once_and_hands_on() -> None:
    document = workflow(
        [
            node("start", "manual"),
            node(
                "a", "respond", {"status": "{{ 200 + 1 }}", "headers": {"X-N": "{{ $json.n }}"}, "body": "{{ $json }}"}
            ),
            node("b", "respond", {"status": 500}),
        ],
        "start -> a",
        "a -> b",
    )
    run = Run(document).start([{"n": 1}, {"n": 2}])
    given = run.of(ResponseGiven)
    assert [(event.node, event.status, event.headers, event.body) for event in given] == [
        ("a", 201, {"x-n": "1"}, {"n": 1})
    ]
    assert run.output == items({"n": 1}, {"n": 2})


@pytest.mark.parametrize(
    "parameters", [{"status": "{{ 99 }}"}, {"status": "{{ 'ok' }}"}, {"headers": {"x": "{{ 'a\\r\\nb' }}"}}]
)
def test_a_response_that_cannot_be_sent_fails(parameters: dict[str, Any]) -> None:
    assert code("respond", parameters, {}) == "bad_parameter"


# http


def asked(parameters: dict[str, Any], json: dict[str, Any] | None = None) -> Any:
    return run_of("http", {"url": "http://x/", **parameters}, [json or {}]).attempt("x")


@pytest.mark.parametrize(
    ("method", "headers", "effect_class"),
    [
        ("GET", {}, "read"),
        ("HEAD", {}, "read"),
        ("PUT", {}, "idempotent"),
        ("DELETE", {}, "idempotent"),
        ("POST", {}, "unsafe"),
        ("PATCH", {}, "unsafe"),
        ("POST", {"idempotency-KEY": "{{ $json.id }}"}, "idempotent"),
        ("POST", "{{ ({'Idempotency-Key': 'x'}) }}", "unsafe"),
        ("GET", {"Idempotency-Key": "x"}, "read"),
    ],
)
def test_effect_classes(method: str, headers: Any, effect_class: str) -> None:
    assert asked({"method": method, "headers": headers}, {"id": "a"}).effect_class == effect_class


def test_what_is_sent() -> None:
    parameters = {
        "method": "POST",
        "query": {"q": "{{ $json.n }}"},
        "headers": {"X-N": "{{ $json.n }}", "X-None": "{{ $json.zzz }}"},
        "body": {"n": "{{ $json.n }}"},
        "follow_redirects": False,
    }
    effect = asked(parameters, {"n": 5}).effects[0]
    assert (effect.query, effect.headers, effect.body, effect.body_text) == ({"q": 5}, {"X-N": "5"}, {"n": 5}, None)
    assert not effect.follow_redirects
    assert asked({"method": "POST", "body": "n={{ $json.n }}"}, {"n": 5}).effects[0].body_text == "n=5"
    assert asked({"method": "POST", "body": "{{ [1, 2] }}"}).effects[0].body == [1, 2]


@pytest.mark.parametrize(
    "parameters",
    [
        {"url": "{{ 'file:///etc/passwd' }}"},
        {"url": "x"},
        {"url": "{{ 5 }}"},
        {"headers": {"X": "{{ 'a\\nb' }}"}},
        {"query": "{{ [] }}"},
    ],
)
def test_what_cannot_be_sent(parameters: dict[str, Any]) -> None:
    assert code("http", {"url": "http://x/", **parameters}, {}) == "bad_parameter"


@pytest.mark.parametrize(
    ("parameters", "answer", "json"),
    [
        ({}, ok(0, {"a": 1}), {"a": 1}),
        ({}, ok(0, [1, 2]), {"body": [1, 2]}),
        ({}, ok(0, "text"), {"body": "text"}),
        ({}, ok(0, None, status=204), {"body": None}),
        ({"accept_status": [404]}, ok(0, {"a": 1}, status=404), {"a": 1}),
        ({"accept_status": ["400-499"]}, ok(0, {"a": 1}, status=422), {"a": 1}),
        (
            {"full_response": True},
            ok(0, {"a": 1}, headers={"x": "y"}),
            {"status": 200, "headers": {"x": "y"}, "body": {"a": 1}},
        ),
    ],
)
def test_what_comes_back(parameters: dict[str, Any], answer: Any, json: Any) -> None:
    run = run_of("http", {"url": "http://x/", **parameters}, [{}]).conclude("x", [answer])
    assert [item["json"] for item in run.output] == [json]


def test_the_error_of_a_bad_status_is_short() -> None:
    run = run_of("http", {"url": "http://x/"}, [{}]).conclude("x", [ok(0, "x" * 10_000, status=400)])
    assert len(run.error.message) < 400


# the catalogue


def test_every_node_type_describes_itself() -> None:
    for name, node_type in NODE_TYPES.items():
        assert node_type.type == name
        assert node_type.title
        assert node_type.docs.endswith(".")
        schema = schema_of(node_type.parameters)
        assert set(schema["properties"]) == {parameter.name for parameter in node_type.parameters}
        assert all(entry["description"] for entry in schema["properties"].values())


def test_parameters_as_json_schema() -> None:
    schema = schema_of(NODE_TYPES["limit"].parameters)
    assert schema["required"] == ["count"]
    assert schema["properties"]["count"]["anyOf"][0]["type"] == "integer"
    assert schema["properties"]["from"]["enum"] == ["start", "end"]
    rows = schema_of(NODE_TYPES["switch"].parameters)["properties"]["rules"]["items"]
    assert rows["required"] == ["output", "condition"]
