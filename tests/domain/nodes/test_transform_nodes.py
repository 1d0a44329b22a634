"""The transform nodes: table by table what they put out, how items fail, what is refused when a workflow is saved."""

from typing import Any

import pytest

from domain.effects import Compute
from domain.errors import InvalidDocument
from domain.nodes.selectors import parse_selector
from tests.support.executions import Run, compiled, node, workflow

Jsons = list[dict[str, Any]]


def run_of(type_: str, parameters: dict[str, Any], jsons: Jsons, **fields: Any) -> Run:
    document = workflow([node("start", "manual"), node("x", type_, parameters, **fields)], "start -> x")
    return Run(document).start(jsons).settle()


def main(type_: str, parameters: dict[str, Any], *jsons: dict[str, Any]) -> Any:
    run = run_of(type_, parameters, list(jsons))
    assert run.status == "completed", run.error
    return [item["json"] for item in run.output]


def code(type_: str, parameters: dict[str, Any], *jsons: dict[str, Any]) -> str:
    return str(run_of(type_, parameters, list(jsons)).error.code)


def summary(operation: str, values: list[Any]) -> Any:
    fields = [{"field": "v", "operation": operation, "into": "r"}]
    return main("summarize", {"fields": fields}, *[{"v": value} for value in values], {})[0]["r"]


@pytest.mark.parametrize(
    ("operation", "values", "result"),
    [
        ("count", [1, None, "a", 1], 3),
        ("count_unique", [1, "1", True, 1.0, [1], [1], None], 4),
        ("sum", [1, 2.5, None], 3.5),
        ("sum", [], 0),
        ("sum", [1e308, 1e308], None),
        ("sum", [2**53, 1, 1], 2**53),
        ("average", [1, 2], 1.5),
        ("average", [2, 4], 3),
        ("average", [], None),
        ("min", ["b", 3, 2.5, "a"], 2.5),
        ("max", ["b", 3, "ä", None], "ä"),
        ("max", [], None),
        ("concatenate", ["a", 1, None, True, [1, 2]], "a, 1, true, 1,2"),
        ("append", [1, None, {"a": 1}], [1, {"a": 1}]),
        ("first", [None, 2, 3], 2),
        ("last", [1, 2, None], 2),
    ],
)
def test_summaries(operation: str, values: list[Any], result: Any) -> None:
    found = summary(operation, values)
    assert found == result
    assert type(found) is type(result) or isinstance(found, int | float)


@pytest.mark.parametrize(
    ("operation", "value", "error"),
    [("sum", "1", "not_a_number"), ("average", True, "not_a_number"), ("min", [1], "not_comparable")],
)
def test_what_cannot_be_summed_up(operation: str, value: Any, error: str) -> None:
    fields = [{"field": "v", "operation": operation}]
    assert code("summarize", {"fields": fields}, {"v": 1}, {"v": value}) == error


def test_groups_of_missing_fields_are_their_own() -> None:
    parameters = {"group_by": ["a.b"], "fields": [{"operation": "count"}]}
    assert main("summarize", parameters, {"a": {"b": None}}, {}, {"a": {"b": 1}}, {"a": 5}) == [
        {"a": {"b": None}, "count": 1},
        {"count": 2},
        {"a": {"b": 1}, "count": 1},
    ]


@pytest.mark.parametrize(
    ("parameters", "jsons", "kept"),
    [
        ({}, [{"a": 1}, {"a": 1.0}, {"a": "1"}], [0, 2]),
        ({}, [{"a": 1, "b": 2}, {"b": 2, "a": 1}], [0]),
        ({"fields": ["a.b"]}, [{"a": {"b": 1}, "n": 1}, {"a": {"b": 1}}, {}, {"n": 2}], [0, 2]),
        ({"fields": ["a"]}, [{"a": None}, {}], [0, 1]),
        ({"fields": ["a"], "keep": "last"}, [{"a": 1}, {"a": 2}, {"a": 1}], [1, 2]),
        ({"ignore": ["n"]}, [{"a": "é", "n": 1}, {"a": "é", "n": 2}], [0]),
        ({"fields": ["a"]}, [{"a": True}, {"a": 1}, {"a": [1, {"x": 2}]}, {"a": [1, {"x": 2.0}]}], [0, 1, 2]),
    ],
)
def test_remove_duplicates(parameters: dict[str, Any], jsons: Jsons, kept: list[int]) -> None:
    assert main("remove_duplicates", parameters, *jsons) == [jsons[index] for index in kept]


@pytest.mark.parametrize(
    ("pairs", "json", "renamed"),
    [
        ({"a": "b"}, {"a": 1, "c": 2}, {"b": 1, "c": 2}),
        ({"a": "b", "b": "a"}, {"a": 1, "b": 2}, {"b": 1, "a": 2}),
        ({"a": "b"}, {"a": 1, "b": 2}, {"b": 1}),
        ({"a": "b"}, {"b": 2}, {"b": 2}),
        ({"a.x": "a.y"}, {"a": {"x": 1, "z": 3}}, {"a": {"y": 1, "z": 3}}),
        ({"a.x": "x"}, {"a": [1]}, {"a": [1]}),
        ({"ü": "größe.n"}, {"ü": None}, {"größe": {"n": None}}),
    ],
)
def test_rename_keys(pairs: dict[str, str], json: dict[str, Any], renamed: dict[str, Any]) -> None:
    keys = [{"from": old, "to": new} for old, new in pairs.items()]
    found = main("rename_keys", {"keys": keys}, json)[0]
    assert found == renamed


def test_the_new_name_stands_in_the_place_of_the_old() -> None:
    found = main("rename_keys", {"keys": [{"from": "b", "to": "x"}]}, {"a": 1, "b": 2, "c": 3})[0]
    assert list(found) == ["a", "x", "c"]
    assert code("rename_keys", {"keys": [{"from": "b", "to": "x"}], "missing": "fail"}, {}) == "missing_field"


def compared(parameters: dict[str, Any], left: Jsons, right: Jsons) -> Any:
    document = workflow(
        [
            node("start", "manual"),
            node("l", "split_out", {"field": "l"}),
            node("r", "split_out", {"field": "r"}),
            node("x", "compare", parameters),
        ],
        "start -> l",
        "start -> r",
        "l -> x.input1",
        "r -> x.input2",
    )
    run = Run(document).start([{"l": left, "r": right}]).settle()
    assert run.status == "completed", run.error
    return {port: [item["json"] for item in made] for port, made in run.nodes["x"][0].items()}


@pytest.mark.parametrize(
    ("parameters", "left", "right", "ports"),
    [
        ({}, [{"id": 1}], [], {"in_a_only": [{"id": 1}]}),
        ({}, [], [{"id": 1}], {"in_b_only": [{"id": 1}]}),
        ({}, [{"id": 1}], [{"id": "1"}], {"in_a_only": [{"id": 1}], "in_b_only": [{"id": "1"}]}),
        (
            {},
            [{"id": 1, "n": 1}, {"id": 1, "n": 2}],
            [{"id": 1, "n": 1}],
            {"same": [{"id": 1, "n": 1}], "in_a_only": [{"id": 1, "n": 2}]},
        ),
        ({}, [{"x": 1}], [{"x": 1}], {"in_a_only": [{"x": 1}], "in_b_only": [{"x": 1}]}),
        ({"ignore": ["at"]}, [{"id": 1, "at": 1}], [{"id": 1, "at": 2}], {"same": [{"id": 1, "at": 1}]}),
        ({"different": "input2"}, [{"id": 1, "a": 1}], [{"id": 1}], {"different": [{"id": 1}]}),
        (
            {},
            [{"id": 1, "a": {"b": 1}}],
            [{"id": 1, "c": None, "a": {"b": 1.0}}],
            {"different": [{"keys": {"id": 1}, "different": {"c": {"input2": None}}}]},
        ),
    ],
)
def test_compare(parameters: dict[str, Any], left: Jsons, right: Jsons, ports: dict[str, Any]) -> None:
    assert compared({"fields": ["id"], **parameters}, left, right) == ports


def date(operation: str, **parameters: Any) -> Any:
    return main("date_time", {"operation": operation, **parameters}, {})[0]["date"]


def test_now_is_the_decisions_time() -> None:
    assert date("now", zone="Asia/Tokyo") == "2026-01-01T09:00:00.000+09:00"


BERLIN = {"zone": "Europe/Berlin"}


@pytest.mark.parametrize(
    ("operation", "parameters", "result"),
    [
        ("parse", {"value": "2026-07-01"}, "2026-07-01T00:00:00.000Z"),
        ("parse", {"value": 0, **BERLIN}, "1970-01-01T01:00:00.000+01:00"),
        ("parse", {"value": "2026-07-01T12:00:00+02:00"}, "2026-07-01T10:00:00.000Z"),
        ("parse", {"value": "2026-07-01 12:00", **BERLIN}, "2026-07-01T12:00:00.000+02:00"),
        ("parse", {"value": "1/2/26 3pm", "pattern": "M/d/yy ha"}, "2026-01-02T15:00:00.000Z"),
        ("parse", {"value": "12:30 AM 1.1.2026", "pattern": "hh:mm a d.M.yyyy"}, "2026-01-01T00:30:00.000Z"),
        ("parse", {"value": "Wed, 25 Nov 2026", "pattern": "EEE, dd MMM yyyy"}, "2026-11-25T00:00:00.000Z"),
        ("parse", {"value": "20261123 0730 +0200", "pattern": "yyyyMMdd HHmm ZZZ"}, "2026-11-23T05:30:00.000Z"),
        ("parse", {"value": "on 1.2.2026", "pattern": "'on' d.M.yyyy"}, "2026-02-01T00:00:00.000Z"),
        ("parse", {"value": 1767225600, "pattern": "X"}, "2026-01-01T00:00:00.000Z"),
        ("format", {"value": "2026-07-01T22:30:00Z", "pattern": "dd.MM.yyyy HH:mm", **BERLIN}, "02.07.2026 00:30"),
        ("format", {"value": "2026-07-01T22:30:00Z"}, "2026-07-01"),
        ("add", {"value": "2026-01-31", "amount": 1, "unit": "months"}, "2026-02-28T00:00:00.000Z"),
        ("add", {"value": "2026-03-28T12:00", "amount": 1, **BERLIN}, "2026-03-29T12:00:00.000+02:00"),
        (
            "add",
            {"value": "2026-03-28T12:00", "amount": 24, "unit": "hours", **BERLIN},
            "2026-03-29T13:00:00.000+02:00",
        ),
        ("subtract", {"value": "2024-02-29", "amount": 1, "unit": "years"}, "2023-02-28T00:00:00.000Z"),
        ("difference", {"value": "2026-01-01", "end": "2026-03-01", "unit": "months"}, 2),
        ("difference", {"value": "2026-03-28T12:00", "end": "2026-03-29T12:00", **BERLIN}, 1),
        ("difference", {"value": "2026-03-28T12:00", "end": "2026-03-29T12:00", "unit": "hours", **BERLIN}, 23),
        ("difference", {"value": "2026-01-03", "end": "2026-01-01T12:00"}, -1.5),
        ("difference", {"value": "2000-02-29", "end": "2026-02-28", "unit": "years"}, 26),
        ("round", {"value": "2026-05-17T10:00:00Z", "unit": "months"}, "2026-05-01T00:00:00.000Z"),
        ("round", {"value": "2026-05-17T10:00:00Z", "unit": "hours", "round": "up"}, "2026-05-17T10:00:00.000Z"),
        ("round", {"value": "2026-05-17T10:31:00Z", "unit": "hours", "round": "nearest"}, "2026-05-17T11:00:00.000Z"),
        ("extract", {"value": "2026-11-23", "part": "weekday"}, 1),
        ("extract", {"value": "2027-01-01", "part": "week"}, 53),
        ("extract", {"value": "1970-01-01T00:00:01Z", "part": "timestamp"}, 1000),
    ],
)
def test_dates(operation: str, parameters: dict[str, Any], result: Any) -> None:
    assert date(operation, **parameters) == result


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"operation": "parse", "value": "tomorrow"}, "bad_date"),
        ({"operation": "parse", "value": "{{ $json.missing }}"}, "bad_date"),
        ({"operation": "parse", "value": True}, "bad_date"),
        ({"operation": "parse", "value": "31.02.2026", "pattern": "dd.MM.yyyy"}, "bad_date"),
        ({"operation": "parse", "value": 1e300}, "bad_date"),
        ({"operation": "add", "value": "2026-01-01", "amount": 1e12, "unit": "years"}, "bad_date"),
        ({"operation": "add", "value": "2026-01-01", "amount": "{{ 'x' }}"}, "bad_parameter"),
        ({"operation": "now", "zone": "{{ 'Mars' }}"}, "bad_parameter"),
    ],
)
def test_bad_dates(parameters: dict[str, Any], error: str) -> None:
    assert code("date_time", parameters, {}) == error


PAGE = """<ul id=l><li class="a b">One<li>Two <b>bold</b></li><li class=b data-x="Ü">Three</ul><p>A</p><p>B</p>
<div><div><p><i>deep</i></p></div></div><h2>x</h2><p>after</p>"""


@pytest.mark.parametrize(
    ("selector", "texts"),
    [
        ("li", ["One", "Two bold", "Three"]),
        ("ul > .b", ["One", "Three"]),
        ("div p i", ["deep"]),
        ("div > p", ["deep"]),
        ("p+p", ["B"]),
        ("h2 ~ p", ["after"]),
        ("li:not(.b), i", ["Two bold", "deep"]),
        ('[data-x="Ü"]', ["Three"]),
        ("li:nth-child(2n + 1)", ["One", "Three"]),
        ("body > div div i , li b", ["bold", "deep"]),
        ("a.none", []),
    ],
)
def test_selectors(selector: str, texts: list[str]) -> None:
    values = [{"name": "v", "selector": selector, "all": True}]
    assert main("html_extract", {"html": "{{ $json.h }}", "values": values}, {"h": PAGE}) == [{"v": texts}]


@pytest.mark.parametrize(
    "selector",
    ["", "li[", "> a", "a >", "a,,b", "p:nope", "p:has(b)", "p:not(a b)", "li:nth-child(1 of .x)", "x" * 1001],
)
def test_what_is_no_selector(selector: str) -> None:
    with pytest.raises(ValueError, match=r"selector|characters|cannot use"):
        parse_selector(selector)


@pytest.mark.parametrize(
    ("take", "value"),
    [
        ({"take": "html"}, '<b x="1"> a <i>é</i></b>'),
        ({"take": "inner_html"}, " a <i>é</i>"),
        ({"take": "raw_text"}, " a é"),
        ({"take": "attribute", "attribute": "X"}, "1"),
        ({"take": "attribute", "attribute": "none"}, None),
        ({"selector": "u"}, None),
    ],
)
def test_what_is_taken(take: dict[str, Any], value: Any) -> None:
    values = [{"name": "a.v", "selector": "b", **take}]
    found = main("html_extract", {"html": "<b x=1> a <i>é</i></b>", "values": values, "keep": True}, {"k": 1})
    assert found == [{"k": 1, "a": {"v": value}}]


@pytest.mark.parametrize(
    "html",
    ["<div>" * 501, "<div><table><td></div>" * 501, "<svg>" + "<td>" * 501, "<b a=1><i b=2>" * 200 + "<p>" * 10_000],
)
def test_html_that_would_take_quadratic_time_is_refused(html: str) -> None:
    values = [{"name": "v", "selector": "p"}]
    assert code("html_extract", {"html": "{{ $json.h }}", "values": values}, {"h": html}) == "html_too_deep"


def test_selectors_with_many_ancestors_stay_linear() -> None:
    html = "<div>" * 400 + "<p>x</p>" * 2_000 + "</div>" * 400
    values = [{"name": "v", "selector": "i div div div div div p"}]
    assert main("html_extract", {"html": "{{ $json.h }}", "values": values}, {"h": html}) == [{"v": None}]


@pytest.mark.parametrize(
    ("xml", "json"),
    [
        ("<a/>", {"a": ""}),
        ("<a> x </a>", {"a": "x"}),
        ('<a b="1"/>', {"a": {"@b": "1"}}),
        ("<a><b>1</b><c/><b>2</b></a>", {"a": {"b": ["1", "2"], "c": ""}}),
        ("<a>t<b/>u</a>", {"a": {"b": "", "#text": "tu"}}),
        ("<a><![CDATA[<&>]]>&amp;&#252;</a>", {"a": "<&>&ü"}),
        (
            '<?xml version="1.0" encoding="iso-8859-1"?><x:a xmlns:x="u">ß</x:a>',
            {"x:a": {"@xmlns:x": "u", "#text": "ß"}},
        ),
        ("<a><list><i>1</i></list></a>", {"a": {"list": {"i": ["1"]}}}),
    ],
)
def test_xml_to_json(xml: str, json: dict[str, Any]) -> None:
    parameters = {"operation": "to_json", "xml": "{{ $json.x }}", "lists": ["i"]}
    assert main("xml", parameters, {"x": xml})[0]["data"] == json


@pytest.mark.parametrize(
    ("xml", "error"),
    [
        ("", "bad_xml"),
        ("<a>", "bad_xml"),
        ("<a>&b;</a>", "bad_xml"),
        ('<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', "xml_doctype"),
        ("<!DOCTYPE a><a/>", "xml_doctype"),
        ("<a>" * 101, "xml_too_deep"),
        (5, "bad_parameter"),
    ],
)
def test_xml_that_is_not_read(xml: Any, error: str) -> None:
    assert code("xml", {"operation": "to_json", "xml": "{{ $json.x }}"}, {"x": xml}) == error


@pytest.mark.parametrize(
    ("data", "xml"),
    [
        (None, "<root/>"),
        ("<&>", "<root>&lt;&amp;&gt;</root>"),
        ({"a": [1, True, None]}, "<root><a>1</a><a>true</a><a/></root>"),
        ({"@x": '"', "#text": "t"}, "<root x='\"'>t</root>"),
        ({"@x": 1, "b": {}}, '<root x="1"><b/></root>'),
        ({"a b": 1}, None),
        ({"a": "\x01"}, None),
    ],
)
def test_json_to_xml(data: Any, xml: str | None) -> None:
    parameters = {"operation": "to_xml", "data": "{{ $json.d }}", "into": "x"}
    if xml is None:
        assert code("xml", parameters, {"d": data}) == "bad_xml"
    else:
        assert main("xml", parameters, {"d": data})[0]["x"] == xml


@pytest.mark.parametrize(
    ("text", "parameters", "rows"),
    [
        ("a,b\n1,2\n", {}, [{"a": "1", "b": "2"}]),
        ('a\r\n"x ""y"", z\nw"\r\n', {}, [{"a": 'x "y", z\nw'}]),
        ("\ufeffä\tb\n\n1\t2", {"delimiter": "\t"}, [{"ä": "1", "b": "2"}]),
        ("1;2\n3", {"delimiter": ";", "header": False, "columns": ["x", "y"]}, [{"x": "1", "y": "2"}, {"x": "3"}]),
        ("a\n1,2", {}, [{"a": "1", "column_2": "2"}]),
        ("a,b\n1,2", {"columns": ["x", "y"]}, [{"x": "1", "y": "2"}]),
        ("", {}, []),
        ("'a,b',c", {"quote": "'", "header": False}, [{"column_1": "a,b", "column_2": "c"}]),
    ],
)
def test_csv_is_read(text: str, parameters: dict[str, Any], rows: Jsons) -> None:
    assert main("csv", {"operation": "read", "text": "{{ $json.t }}", **parameters}, {"t": text}) == rows


def test_csv_that_is_not_read() -> None:
    parameters = {"operation": "read", "text": "{{ $json.t }}"}
    assert code("csv", parameters, {"t": 'a\n"open'}) == "bad_csv"
    assert code("csv", parameters, {"t": 'a\n"x"y'}) == "bad_csv"
    assert code("csv", parameters, {"t": "a\n" * 100_002}) == "too_many_items"
    assert code("csv", parameters, {"t": [1]}) == "bad_parameter"


@pytest.mark.parametrize(
    ("jsons", "parameters", "text"),
    [
        ([{"a": 1, "b": None}, {"c": "x,y"}], {}, 'a,b,c\n1,,\n,,"x,y"\n'),
        ([{"a": {"b": 1.5}}], {"columns": ["a.b"], "line_end": "crlf"}, "a.b\r\n1.5\r\n"),
        ([{"a": True}], {"header": False}, "true\n"),
        ([{"a": "é\n"}], {"delimiter": ";", "quote": "'"}, "a\n'é\n'\n"),
        ([{"a": {"x": [1]}}], {}, 'a\n"{""x"":[1]}"\n'),
        ([{"a.b": 2}], {}, "a.b\n2\n"),
    ],
)
def test_csv_is_written(jsons: Jsons, parameters: dict[str, Any], text: str) -> None:
    assert main("csv", {"operation": "write", **parameters}, *jsons) == [{"csv": text}]


@pytest.mark.parametrize(
    ("parameters", "result"),
    [
        ({"operation": "hash", "algorithm": "md5", "value": ""}, "d41d8cd98f00b204e9800998ecf8427e"),
        ({"operation": "hash", "algorithm": "sha1", "value": "abc"}, "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (
            {"operation": "hash", "value": "616263", "from": "hex"},
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
        (
            {"operation": "hash", "value": "abc", "algorithm": "sha3_256"},
            "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
        ),
        ({"operation": "hash", "algorithm": "md5", "value": "", "to": "base64"}, "1B2M2Y8AsgTpgAmY7PhCfg=="),
        (
            {"operation": "hmac", "algorithm": "md5", "value": "what do ya want for nothing?", "secret": "Jefe"},
            "750c783e6ab0b503eaa86e310a5db738",
        ),
        (
            {"operation": "hmac", "value": "Hi There", "secret": "0b" * 20, "secret_from": "hex"},
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        ({"operation": "convert", "value": "Grüße", "to": "base64"}, "R3LDvMOfZQ=="),
        ({"operation": "convert", "value": "R3LDvMOfZQ", "from": "base64url"}, "Grüße"),
        ({"operation": "convert", "value": "a b/ü", "to": "url"}, "a%20b%2F%C3%BC"),
        ({"operation": "convert", "value": "a%20b", "from": "url", "to": "hex"}, "612062"),
        ({"operation": "uuid5", "value": "python.org"}, "886313e1-3b8a-5372-9b90-0c9aee199e5d"),
    ],
)
def test_crypto(parameters: dict[str, Any], result: str) -> None:
    assert main("crypto", parameters, {})[0]["result"] == result


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"operation": "convert", "value": "!", "from": "base64"}, "bad_text"),
        ({"operation": "convert", "value": "abc", "from": "hex"}, "bad_text"),
        ({"operation": "convert", "value": "ff", "from": "hex"}, "not_text"),
        ({"operation": "hash", "value": "{{ 5 }}"}, "bad_parameter"),
        ({"operation": "hash", "value": "{{ $json.none }}"}, "bad_parameter"),
        ({"operation": "hmac", "value": "x", "secret": "{{ '' }}"}, "bad_parameter"),
        ({"operation": "hmac", "value": "x", "secret": "{{ $json.none }}"}, "bad_parameter"),
    ],
)
def test_what_crypto_cannot_do(parameters: dict[str, Any], error: str) -> None:
    assert code("crypto", parameters, {}) == error


def test_switch_by_expression() -> None:
    parameters = {"output": "{{ $json.o }}", "outputs": ["a", "b"], "fallback": "other"}
    run = run_of("switch", parameters, [{"o": value} for value in ("b", 0, 1.0, "z", 7, None, True)])
    ports = {port: [item["json"]["o"] for item in made] for port, made in run.nodes["x"][0].items()}
    assert ports == {"a": [0], "b": ["b", 1.0], "other": ["z", 7, None, True]}
    assert code("switch", {"output": "{{ $json.o }}", "outputs": ["a"]}, {"o": -1}) == "no_such_output"


@pytest.mark.parametrize(
    ("type_", "parameters", "field"),
    [
        ("summarize", {"fields": []}, "fields"),
        ("summarize", {"fields": [{"operation": "sum"}]}, "fields[0].field"),
        ("summarize", {"fields": [{"operation": "median", "field": "a"}]}, "fields[0].operation"),
        ("summarize", {"fields": [{"operation": "count"}, {"operation": "count"}]}, "fields"),
        ("summarize", {"fields": [{"operation": "count"}], "group_by": [1]}, "group_by"),
        ("remove_duplicates", {"fields": ["a"], "ignore": ["b"]}, "ignore"),
        ("remove_duplicates", {"fields": [""]}, "fields"),
        ("remove_duplicates", {"keep": "best"}, "keep"),
        ("rename_keys", {"keys": []}, "keys"),
        ("rename_keys", {"keys": [{"from": "a..b", "to": "c"}]}, "keys[0].from"),
        ("rename_keys", {"keys": [{"from": "a", "to": "c"}, {"from": "b", "to": "c"}]}, "keys[1].to"),
        ("date_time", {}, "operation"),
        ("date_time", {"operation": "add", "value": 0}, "amount"),
        ("date_time", {"operation": "format"}, "value"),
        ("date_time", {"operation": "parse", "value": "x", "pattern": "yyyy Q"}, "pattern"),
        ("date_time", {"operation": "parse", "value": "x", "pattern": "yyyy yyyy"}, "pattern"),
        ("date_time", {"operation": "parse", "value": "x", "pattern": "HH:mm"}, "pattern"),
        ("date_time", {"operation": "now", "zone": "Mars/Base"}, "zone"),
        ("date_time", {"operation": "now", "into": "a..b"}, "into"),
        ("html_extract", {"html": "x", "values": []}, "values"),
        ("html_extract", {"html": "x", "values": [{"name": "a", "selector": "b["}]}, "values[0].selector"),
        ("html_extract", {"html": 5, "values": [{"name": "a", "selector": "b"}]}, "html"),
        (
            "html_extract",
            {"html": "x", "values": [{"name": "a", "selector": "b", "take": "attribute"}]},
            "values[0].attribute",
        ),
        ("xml", {"operation": "to_json"}, "xml"),
        ("xml", {"operation": "to_xml"}, "data"),
        ("xml", {"operation": "to_xml", "data": 1, "root": "1a"}, "root"),
        ("csv", {"operation": "read"}, "text"),
        ("csv", {"operation": "write", "delimiter": ";;"}, "delimiter"),
        ("csv", {"operation": "write", "quote": ","}, "quote"),
        ("crypto", {"operation": "hmac", "value": "x"}, "secret"),
        ("crypto", {"operation": "hash", "value": "x", "algorithm": "crc32"}, "algorithm"),
        ("crypto", {"operation": "hash", "value": "x", "to": "url"}, "to"),
        ("crypto", {"operation": "uuid5", "value": "x", "namespace": "y"}, "namespace"),
        ("switch", {"output": "{{ 0 }}"}, "outputs"),
        ("switch", {}, "rules"),
    ],
)
def test_problems_name_node_and_field(type_: str, parameters: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        compiled(workflow([node("start", "manual"), node("x", type_, parameters)], "start -> x"))
    found = {problem.path: problem.message for problem in caught.value.problems}
    assert "'x'" in found[f"nodes[1].parameters.{field}"]


@pytest.mark.parametrize(
    ("type_", "parameters"),
    [
        ("date_time", {"operation": "parse", "value": "{{ $json.v }}"}),
        ("crypto", {"operation": "hash", "value": "{{ $json.v }}"}),
        ("xml", {"operation": "to_json", "xml": "{{ $json.v }}"}),
        ("csv", {"operation": "read", "text": "{{ $json.v }}"}),
        ("html_extract", {"html": "{{ $json.v }}", "values": [{"name": "v", "selector": "b"}]}),
    ],
)
def test_failed_items_go_where_on_error_says(type_: str, parameters: dict[str, Any]) -> None:
    run = run_of(type_, parameters, [{"v": [1]}], on_error="continue")
    (item,) = run.output
    assert set(item["json"]) == {"error"}
    run = run_of(type_, parameters, [{"v": [1]}], on_error="error_output")
    (item,) = run.nodes["x"][0]["error"]
    assert item["json"]["v"] == [1]
    assert set(item["json"]["error"]) == {"code", "message"}


@pytest.mark.parametrize(
    ("type_", "parameters", "count"),
    [
        ("csv", {"operation": "write"}, 1),
        ("xml", {"operation": "to_xml", "data": "x"}, 1),
        ("html_extract", {"html": "", "values": [{"name": "v", "selector": "b"}]}, 1),
        ("summarize", {"fields": [{"operation": "count"}]}, 1_001),
        ("remove_duplicates", {}, 501),
        ("crypto", {"operation": "hash", "value": "x"}, 51),
    ],
)
def test_heavy_runs_go_to_the_pool(type_: str, parameters: dict[str, Any], count: int) -> None:
    document = workflow([node("start", "manual"), node("x", type_, parameters)], "start -> x")
    run = Run(document).start([{"n": 1}] * count)
    assert any(isinstance(effect, Compute) for effect in run.open)
    assert run.settle().status == "completed"


@pytest.mark.parametrize(("count", "pooled"), [(990, False), (1_000, True)])
def test_what_makes_many_items_of_one_goes_to_the_pool(count: int, pooled: bool) -> None:
    document = workflow([node("start", "manual"), node("x", "split_out", {"field": "ns"})], "start -> x")
    run = Run(document).start([{"ns": list(range(count))}])
    assert any(isinstance(effect, Compute) for effect in run.open) == pooled
    assert [item["json"]["ns"] for item in run.settle().output] == list(range(count))
