"""The shape of an integration: choosing operations, building requests, reading answers, descriptions that are wrong."""

from typing import Any

import msgspec
import pytest

from domain.effects import EffectError, ItemResult
from domain.errors import InvalidDocument
from domain.execution.commands import GiveVerdict
from domain.integrations.answers import at, found_at
from domain.integrations.compiling import compile_integration
from domain.integrations.errors import Errors, failure_in
from domain.integrations.requests import fill_path, form_of
from domain.integrations.shape import Integration, Operation, Step, body, get, header, local, path, post, query, upload
from domain.nodes.catalogue import describe
from domain.nodes.failures import NodeFailure
from domain.nodes.registry import NODE_TYPES
from tests.domain.integrations.table import conclude, effect_of, started
from tests.support.executions import Run, node, workflow

SHOP = Integration(
    "shop",
    "Shop",
    "A shop.",
    (
        Operation(
            "get",
            "Get an order",
            "One order.",
            get("/orders/{id}", expand="lines"),
            (
                path("id", docs="Its id."),
                query("tags", "list", docs="Tags."),
                header("language", docs="The language.", sent_as="Accept-Language"),
            ),
            resource="order",
            items="order",
        ),
        Operation(
            "create",
            "Create an order",
            "Orders something.",
            post("/orders", currency="EUR", customer={"kind": "person"}),
            (body("name", docs="Who.", sent_as="customer.name"), body("note", docs="A note.")),
            resource="order",
        ),
        Operation("list", "List customers", "All.", get("/customers"), resource="customer", items="[]"),
    ),
    base_url="https://shop.example",
)


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NODE_TYPES, "shop", compile_integration(SHOP))


def run(parameters: dict[str, Any], item: dict[str, Any] | None = None, **fields: Any) -> Run:
    return Run(workflow([node("start", "manual"), node("x", "shop", parameters, **fields)], "start -> x")).start(
        [item or {}]
    )


def problems(parameters: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(InvalidDocument) as caught:
        run(parameters)
    return {each.path.removeprefix("nodes[1].parameters."): each.message for each in caught.value.problems}


ORDER = {"resource": "order", "operation": "get"}


def plain(run: Run) -> dict[str, Any]:
    (effect,) = run.attempt("x").effects
    return dict(msgspec.to_builtins(effect))


@pytest.mark.usefixtures("shop")
class TestChoosing:
    def test_each_operation_has_its_own_parameters(self) -> None:
        assert (
            "unknown parameter; known are: resource, operation, id"
            in problems({**ORDER, "id": "1", "note": "x"})["note"]
        )
        assert "is missing" in problems(ORDER)["id"]

    def test_a_wrong_choice_is_the_only_problem(self) -> None:
        assert problems({"resource": "order", "operation": "list", "id": 7}) == {
            "operation": "node 'x': parameter 'operation' must be one of get, create"
        }
        found = problems({"resource": "x", "operation": "get", "id": "1"})
        assert list(found) == ["resource"]
        assert "must be one of order, customer" in found["resource"]

    def test_nothing_chosen(self) -> None:
        assert set(problems({})) == {"resource", "operation"}

    def test_an_expression_cannot_choose(self) -> None:
        assert "operation" in problems({"resource": "order", "operation": "{{ $json.what }}"})

    def test_what_no_operation_knows_is_told_as_well(self) -> None:
        assert set(problems({"resource": "order", "operation": "x", "colour": "red"})) == {"operation", "colour"}

    def test_the_class_is_the_operations(self) -> None:
        assert run({**ORDER, "id": "1"}).attempt("x").effect_class == "read"
        assert run({"resource": "order", "operation": "create"}).attempt("x").effect_class == "unsafe"


@pytest.mark.usefixtures("shop")
class TestRequests:
    def test_constants_and_values(self) -> None:
        made = plain(run({**ORDER, "id": "{{ $json.n }}", "tags": ["a", "b"], "language": "de"}, {"n": "ü/1"}))
        assert made["url"] == "https://shop.example/orders/%C3%BC%2F1"
        assert made["query"] == {"expand": "lines", "tags": ["a", "b"]}
        assert made["headers"] == {"Accept-Language": "de"}
        assert "body" not in made

    def test_nested_fields_do_not_touch_the_description(self) -> None:
        create = {"resource": "order", "operation": "create"}
        assert plain(run({**create, "name": "Ada"}))["body"] == {
            "currency": "EUR",
            "customer": {"kind": "person", "name": "Ada"},
        }
        assert plain(run(create))["body"] == {"currency": "EUR", "customer": {"kind": "person"}}

    def test_a_value_that_cannot_stand_in_the_path_fails_its_item(self) -> None:
        assert run({**ORDER, "id": ".."}).error.code == "bad_parameter"
        assert run({**ORDER, "id": "{{ '' }}"}).error.code == "bad_parameter"

    def test_a_header_cannot_have_lines(self) -> None:
        assert run({**ORDER, "id": "1", "language": "de\r\nX-Evil: 1"}).error.code == "bad_parameter"


@pytest.mark.usefixtures("shop")
class TestAnswers:
    def test_a_list_is_one_item_an_entry(self) -> None:
        listed = conclude(
            run({"resource": "customer", "operation": "list"}), {"status": 200, "body": [{"n": 1}, "two", None]}
        )
        assert [item["json"] for item in listed.output] == [{"n": 1}, {"value": "two"}, {"value": None}]

    def test_an_empty_list_is_no_item(self) -> None:
        listed = conclude(run({"resource": "customer", "operation": "list"}), {"status": 200, "body": []})
        assert (listed.status, listed.output) == ("completed", [])

    def test_an_answer_that_has_not_the_place_is_no_item(self) -> None:
        assert conclude(run({**ORDER, "id": "1"}), {"status": 200, "body": {"other": 1}}).output == []

    def test_items_come_from_their_own_input(self) -> None:
        document = workflow(
            [
                node("start", "manual"),
                node("x", "shop", {"resource": "customer", "operation": "list"}),
                node("y", "set", {"fields": {"of": "{{ $('start').item.json.n }}"}}),
            ],
            "start -> x",
            "x -> y",
        )
        made = Run(document).start([{"n": 1}, {"n": 2}])
        answers = [[{"a": 1}, {"a": 2}], [{"a": 3}]]
        made.conclude("x", [ItemResult(index=i, value={"status": 200, "body": each}) for i, each in enumerate(answers)])
        assert [item["json"]["of"] for item in made.output] == [1, 1, 2]

    def test_a_persons_verdict_stands_for_the_answer(self) -> None:
        made = run({"resource": "order", "operation": "create"}, on_unknown_outcome="ask")
        made.conclude("x", [ItemResult(index=0, error=EffectError("timeout", "t", unknown=True))])
        assert made.status == "waiting"
        made.do(GiveVerdict(node="x", run=0, verdict="happened", result={"id": 7}))
        assert [item["json"] for item in made.output] == [{"id": 7}]


@pytest.mark.parametrize(
    ("path_", "values", "filled"),
    [
        ("/a/{x}", {"x": "b c"}, "/a/b%20c"),
        ("/a/{x}", {"x": 7}, "/a/7"),
        ("/a/{x}", {"x": "../b"}, "/a/..%2Fb"),
        ("/a/{x}", {"x": "b?c=1#d%2e"}, "/a/b%3Fc%3D1%23d%252e"),
        ("/a/{x*}", {"x": "b/c d/e"}, "/a/b/c%20d/e"),
        ("/a/{x*}", {"x": "/b/"}, "/a/b"),
        ("/{x}/{y}", {"x": "{y}", "y": "z"}, "/%7By%7D/z"),
    ],
)
def test_paths(path_: str, values: dict[str, Any], filled: str) -> None:
    assert fill_path(path_, values) == filled


@pytest.mark.parametrize("value", ["", ".", "..", "a/../b", "a//b"])
def test_paths_that_lead_elsewhere(value: str) -> None:
    with pytest.raises(NodeFailure):
        fill_path("/a/{x*}", {"x": value})


def test_forms() -> None:
    assert form_of({"a": 1, "b": {"c": True, "d": None}, "e": ["x y", {"f": "&"}]}) == {
        "a": "1",
        "b[c]": "true",
        "e[0]": "x y",
        "e[1][f]": "&",
    }


def test_places() -> None:
    value = {"a": {"b": [{"c": 1}]}}
    assert at(value, "a.b.0.c") == 1
    assert at(value, "a.b.1.c") is None
    assert at(value, "a.x.y") is None
    assert found_at(value, "a.b[]") == [{"c": 1}]
    assert found_at(value, "a[]") == []


@pytest.mark.parametrize(
    ("status", "headers", "body_", "code", "wait"),
    [
        (400, {}, {"message": "no"}, "rejected", None),
        (401, {}, "", "unauthorized", None),
        (429, {"retry-after": "7"}, None, "rate_limited", 7.0),
        (
            429,
            {"retry-after": "Thu, 01 Jan 2026 00:01:00 GMT", "date": "Thu, 01 Jan 2026 00:00:00 GMT"},
            None,
            "rate_limited",
            60.0,
        ),
        (429, {"retry-after": "Thu, 01 Jan 2026 00:01:00 GMT"}, None, "rate_limited", None),
        (429, {"retry-after": "soon"}, None, "rate_limited", None),
        (503, {"retry-after": "9999999"}, "<html>", "unavailable", 86_400.0),
        (500, {}, [1], "unavailable", None),
    ],
)
def test_failures(status: int, headers: dict[str, str], body_: Any, code: str, wait: float | None) -> None:
    failed = failure_in(Errors(), "Shop", status, headers, body_)
    assert failed is not None
    assert (failed.code, failed.retry_after_seconds) == (code, wait)
    assert failed.retriable == (code in {"rate_limited", "unavailable"})
    assert failed.message.startswith(f"Shop answered {status}")


def test_the_message_says_what_the_provider_said_once_and_is_short() -> None:
    failed = failure_in(Errors(), "Shop", 400, {}, {"code": "E1", "message": "much too \n long" + "g" * 1000})
    assert failed is not None
    assert failed.message.startswith("Shop answered 400: E1 – much too long")
    assert len(failed.message) < 310
    same = failure_in(Errors(), "Shop", 400, {}, {"error": "no_text"})
    assert same is not None
    assert same.message == "Shop answered 400: no_text"


def test_an_answer_that_is_not_what_is_documented() -> None:
    failed = failure_in(Errors(ok="ok"), "Shop", 200, {}, "<html>Welcome to this hotel's network</html>")
    assert failed is not None
    assert failed.code == "unexpected_answer"


@pytest.mark.parametrize(
    ("operations", "says"),
    [
        ((), "no operation"),
        ((Operation("a", "A", "A.", get("/{x}")),), "the path '/{x}'"),
        ((Operation("a", "A", "A.", get("/"), (path("x", docs="X."),)),), "the path '/'"),
        ((Operation("a", "A", "A.", get("/")), Operation("a", "B", "B.", get("/"))), "the same name"),
        ((Operation("a", "A", "A.", get("/")), Operation("b", "B", "B.", get("/"), resource="r")), "resource"),
        ((Operation("a", "A", "A.", get("/"), (query("q", docs="."), query("q", docs="."))),), "used twice"),
        ((Operation("a", "A", "A.", get("/"), (local("operation", docs="."),)),), "used twice"),
        ((Operation("a", "A", "A.", post("/"), then=(Step(post("/{x}")),)),), "the path '/{x}'"),
        ((Operation("a", "A", "A.", post("/"), (body("x", docs=".", step=1),)),), "a request that there is not"),
        ((Operation("a", "A", "A.", upload("file")),), "names the file"),
        ((Operation("a", "A", "A.", lambda _values, _credential: None),), "effect class"),  # type: ignore[arg-type,return-value]
    ],
)
def test_descriptions_that_contradict_themselves(operations: tuple[Operation, ...], says: str) -> None:
    with pytest.raises(ValueError, match="integration 'x'") as caught:
        compile_integration(Integration("x", "X", "X.", operations))
    assert says in str(caught.value)


def test_one_operation_needs_no_choosing() -> None:
    only = compile_integration(Integration("x", "X", "X.", (Operation("send", "Send", "Sends.", post("/")),)))
    described = describe(only)
    assert described["parameters"]["required"] == []
    assert described["parameters"]["properties"]["operation"]["default"] == "send"


def test_the_catalogue_says_which_parameters_belong_to_which_operation() -> None:
    described = describe(compile_integration(SHOP))
    assert described["parameters"]["required"] == ["resource", "operation"]
    assert described["parameters"]["properties"]["operation"]["enum"] == ["get", "create", "list"]
    branch = described["parameters"]["oneOf"][0]
    assert branch["title"] == "Get an order"
    assert branch["properties"]["operation"]["const"] == "get"
    assert branch["properties"]["resource"]["const"] == "order"
    assert branch["required"] == ["id"]
    assert set(branch["properties"]) == {"resource", "operation", "id", "tags", "language"}
    assert branch["additionalProperties"] is False
    assert [entry["effect"] for entry in described["operations"]] == ["read", "unsafe", "read"]


def test_a_credential_is_asked_for() -> None:
    with pytest.raises(InvalidDocument, match="credential"):
        Run(workflow([node("start", "manual"), node("x", "slack", {"resource": "user", "operation": "list"})]))
    made = started("slack", {"resource": "user", "operation": "list"}, {})
    assert made.attempt("x").effects[0].credential is not None
    assert effect_of(made)["url"] == "https://slack.com/api/users.list"
