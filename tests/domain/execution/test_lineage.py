"""`$('node').item`: the item that the current one was made of, whatever happened in between (ADR 0010)."""

# ruff: noqa: E501 - tables

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.nodes.origins import ORIGIN, unmarked
from tests.support.executions import Run, node, ok, workflow

ASK = node("ask", "set", {"fields": {"seen": "{{ $('mark').item.json.mark }}"}})
MARK = node("mark", "set", {"fields": {"mark": "{{ $json.id * 10 }}"}})


def seen(run: Run, of: str = "ask") -> list[Any]:
    """What the asking node saw, over all its runs, beside the id that its item has."""
    assert run.status == "completed", run.error
    return [
        (item["json"].get("id"), item["json"]["seen"]) for outputs in run.nodes[of] for item in outputs.get("main", [])
    ]


def ran(nodes: list[dict[str, Any]], *links: str, count: int = 6) -> Run:
    jsons = [{"id": number, "tags": [{"t": 1}, {"t": 2}]} for number in range(1, count + 1)]
    return Run(workflow([node("start", "manual"), *nodes], *links)).start(jsons).settle()


@pytest.mark.parametrize(
    "between",
    [
        node("b", "filter", {"condition": "{{ $json.id % 2 }}"}),
        node("b", "sort", {"fields": [{"name": "id", "order": "desc"}]}),
        node("b", "limit", {"count": 2, "from": "end"}),
        node("b", "split_out", {"field": "tags", "keep": True}),
        node("b", "set", {"fields": {"x": 1}}),
        node("b", "set", {"fields": {"x": "{{ $json.id === 2 ? $json.zork.zork : 1 }}"}, "keep": True}, on_error="error_output"),
        node("b", "noop", disabled=True),
        node("b", "wait", {"seconds": 1}),
    ],
    ids=lambda one: one["type"],
)  # fmt: skip
def test_through_one_node(between: dict[str, Any]) -> None:
    run = ran([MARK, between, ASK], "start -> mark", "mark -> b", "b -> ask")
    pairs = seen(run)
    assert pairs
    assert pairs == [(number, number * 10) for number, _ in pairs]


def test_an_error_item_knows_its_item() -> None:
    broken = node("b", "set", {"fields": {"x": "{{ $json.zork.zork }}"}}, on_error="continue")
    run = ran([MARK, broken, ASK], "start -> mark", "mark -> b", "b -> ask", count=2)
    assert [value for _, value in seen(run)] == [10, 20]


def test_through_branches_and_a_merge() -> None:
    route = node("route", "if", {"condition": "{{ $json.id > 2 }}"})
    merge = node("join", "merge", {"mode": "append"})
    run = ran(
        [MARK, route, merge, ASK],
        "start -> mark", "mark -> route", "route.true -> join.input1", "route.false -> join.input2", "join -> ask",
    )  # fmt: skip
    assert seen(run) == [(number, number * 10) for number in (3, 4, 5, 6, 1, 2)]


def test_a_combined_item_has_the_origins_of_both_and_none_where_they_differ() -> None:
    other = node("other", "sort", {"fields": [{"name": "id", "order": "desc"}]})
    merge = node("join", "merge", {"mode": "combine_by_position"})
    links = ["start -> mark", "mark -> join.input1", "start -> other", "other -> join.input2", "join -> ask"]
    assert [value for _, value in seen(ran([MARK, other, merge, ASK], *links))] == [10, 20, 30, 40, 50, 60]
    links[2] = "mark -> other"
    run = ran([MARK, other, merge, ASK], *links)
    assert run.status == "failed"
    assert run.error.code == "expression_reference"
    assert "comes from several items of $('mark')" in run.error.message


def test_what_is_made_of_all_items_has_no_single_origin() -> None:
    nodes = [MARK, node("all", "aggregate"), ASK]
    links = ["start -> mark", "mark -> all", "all -> ask"]
    assert ran(nodes, *links).status == "failed"
    assert [value for _, value in seen(ran(nodes, *links, count=1))] == [10]


def test_through_a_loop_to_the_right_iteration() -> None:
    loop = node("loop", "loop", {"batch_size": 2})
    links = ["start -> loop", "loop.loop -> mark", "mark -> loop", "loop.done -> ask"]
    assert seen(ran([loop, MARK, ASK], *links)) == [(number, number * 10) for number in range(1, 7)]


def test_through_an_effect() -> None:
    call = node("call", "http", {"method": "GET", "url": "http://x/{{ $json.id }}"})
    keep = node("keep", "filter", {"condition": "{{ $json.id !== 1 }}"})
    document = workflow([node("start", "manual"), MARK, keep, call, ASK], "start -> mark", "mark -> keep", "keep -> call", "call -> ask")  # fmt: skip
    run = Run(document).start([{"id": 1}, {"id": 2}, {"id": 3}])
    run.conclude("call", [ok(0, {"body": 1}), ok(1, {"body": 2})])
    assert [value for _, value in seen(run)] == [20, 30]


def test_a_node_on_another_branch_is_answered_by_position() -> None:
    ask = node("ask", "set", {"fields": {"seen": "{{ $('side').item.json.id }}"}})
    side = node("side", "filter", {"condition": "{{ $json.id > 2 }}"})
    run = ran([side, node("main", "noop"), ask], "start -> side", "start -> main", "main -> ask", count=3)
    assert seen(run) == [(1, 3), (2, 3), (3, 3)]


def test_a_workflow_that_does_not_ask_has_no_origins() -> None:
    nodes = [MARK, node("ask", "set", {"fields": {"seen": "{{ $('mark').first().json.mark + $json.item }}"}})]
    followed = ran(nodes, "start -> mark", "mark -> ask")
    nodes[1]["parameters"]["fields"]["seen"] = "{{ $('mark').all().map(item => item.json.mark).length }}"
    free = ran(nodes, "start -> mark", "mark -> ask")
    has = [any(ORIGIN in item for out in run.nodes["mark"] for item in out["main"]) for run in (followed, free)]
    assert has == [True, False]  # a text that may ask is taken for one that does
    assert all(ORIGIN not in item for item in free.output)


def test_origins_of_a_caller_mean_nothing_here() -> None:
    items = [{"json": {"id": 1}, ORIGIN: {"mark": [7, "main", 0]}}, {"json": {"id": 2}}]
    assert unmarked(items) == [{"json": {"id": 1}}, {"json": {"id": 2}}]
    assert ORIGIN in items[0]
    assert unmarked(items[1:]) == items[1:]


def random_chain(random: Random) -> tuple[list[dict[str, Any]], list[str]]:
    """A chain of random nodes behind `start` that keep `id` and put their own followed mark in between."""
    kinds = ["filter", "sort", "limit", "split_out", "set", "noop", "branch", "mark"]
    chosen = [random.choice(kinds) for _ in range(random.randint(1, 6))]
    chosen.insert(random.randint(0, len(chosen)), "mark")
    nodes: list[dict[str, Any]] = []
    links: list[str] = []
    end, marked = "start", False
    for number, kind in enumerate(chosen):
        name = f"n{number}"
        match kind:
            case "filter":
                nodes.append(node(name, "filter", {"condition": f"{{{{ $json.id % 4 !== {random.randint(0, 3)} }}}}"}))
            case "sort":
                nodes.append(node(name, "sort", {"fields": [{"name": random.choice(("id", "t")), "order": "desc"}]}))
            case "limit":
                nodes.append(
                    node(name, "limit", {"count": random.randint(1, 9), "from": random.choice(("start", "end"))})
                )
            case "split_out":
                nodes.append(node(name, "split_out", {"field": "tags", "keep": True}))
                nodes.append(node(f"{name}t", "set", {"fields": {"tags": [{"t": 1}, {"t": 2}]}}))
                links.append(f"{name} -> {name}t")
            case "branch":
                nodes.append(node(f"{name}i", "if", {"condition": "{{ $json.id % 2 }}"}))
                nodes.append(node(name, "merge"))
                links += [f"{name}i.true -> {name}.input2", f"{name}i.false -> {name}.input1"]
            case "mark" if not marked:
                marked = True
                name = "mark"
                nodes.append(
                    node(name, "set", {"fields": {"mark": "{{ $json.id * 10 }}", "place": "{{ $itemIndex }}"}})
                )
            case "set":
                nodes.append(node(name, "set", {"fields": {"x": "{{ $json.id }}"}}))
            case _:
                nodes.append(node(name, "noop"))
        links.append(f"{end} -> {name}i" if kind == "branch" else f"{end} -> {name}")
        end = f"{name}t" if kind == "split_out" else name
    return nodes, [*links, f"{end} -> ask"]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_random_chains_find_their_way_back(seed: int) -> None:
    random = Random(seed)
    nodes, links = random_chain(random)
    fields = {
        "seen": "{{ $('mark').item.json.mark }}",
        "place": "{{ $('mark').item.json.place === $json.place }}",
        "began": "{{ $('start').item.json.id === $json.id }}",
    }
    document = workflow([node("start", "manual"), *nodes, node("ask", "set", {"fields": fields})], *links)
    run = Run(document)
    run.start([{"id": number, "tags": [{"t": 1}, {"t": 2}]} for number in range(1, random.randint(2, 12))])
    run.restart() if run.status == "running" and random.random() < 0.5 else run.settle()
    run.settle()
    assert run.status == "completed", run.error
    for outputs in run.nodes.get("ask", []):
        for item in outputs.get("main", []):
            json = item["json"]
            assert (json["seen"], json["place"], json["began"]) == (json["id"] * 10, True, True)


def test_the_compute_pool_and_a_new_owner_follow_as_well() -> None:
    sort = node("b", "sort", {"fields": [{"name": "id", "order": "desc"}]})
    wait = node("w", "wait", {"seconds": 3600})
    document = workflow([node("start", "manual"), MARK, sort, wait, ASK], "start -> mark", "mark -> b", "b -> w", "w -> ask")  # fmt: skip
    run = Run(document).start([{"id": number} for number in range(1, 1201)])
    while run.status != "waiting":
        run.compute()
    run.restart().settle()
    assert seen(run) == [(number, number * 10) for number in range(1200, 0, -1)]
