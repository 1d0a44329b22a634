"""Spreadsheets: what is written is read again, and what cannot be read says why."""

import base64
import io
import zipfile
from typing import Any

import pytest

from domain.nodes.xlsx_writer import workbook
from tests.domain.nodes.test_transform_nodes import code, main


def read(data: bytes, **parameters: Any) -> Any:
    file = base64.b64encode(data).decode()
    return main("xlsx", {"operation": "read", "file": "{{ $json.f }}", **parameters}, {"f": file})


@pytest.mark.parametrize(
    ("rows", "parameters", "jsons"),
    [
        ([["a", "b"], [1, "x"], [2.5, True]], {}, [{"a": 1, "b": "x"}, {"a": 2.5, "b": True}]),
        ([["ä"], ["Ü & <b>"], [" x "]], {}, [{"ä": "Ü & <b>"}, {"ä": " x "}]),
        ([["a", "b"], [None, 1], [None, None], [2, None]], {}, [{"a": None, "b": 1}, {"a": 2, "b": None}]),
        ([[1, 2]], {"header": False, "columns": ["x"]}, [{"x": 1, "column_2": 2}]),
        ([["a"], [1]], {"columns": ["n"]}, [{"n": 1}]),
        ([["a"], ["=1+1"], ["007"]], {}, [{"a": "=1+1"}, {"a": "007"}]),
        ([["a"]], {}, []),
    ],
)
def test_sheets_are_read(rows: list[list[Any]], parameters: dict[str, Any], jsons: Any) -> None:
    assert read(workbook("One", rows), **parameters) == jsons


def test_what_is_written_is_read_again() -> None:
    jsons = [{"n": 1, "t": "é\n<", "o": {"a": [1]}}, {"n": -2.5, "b": False}]
    (made,) = main("xlsx", {"operation": "write", "sheet": "A & B"}, *jsons)
    data = base64.b64decode(made["file"])
    assert read(data, sheet="A & B") == [
        {"n": 1, "t": "é\n<", "o": '{"a":[1]}', "b": None},
        {"n": -2.5, "t": None, "o": None, "b": False},
    ]
    assert main("xlsx", {"operation": "write", "sheet": "A & B"}, *jsons) == [made]
    (chosen,) = main("xlsx", {"operation": "write", "columns": ["o.a", "n"], "header": False, "into": "x.f"}, *jsons)
    rows = read(base64.b64decode(chosen["x"]["f"]), header=False)
    assert rows == [{"column_1": "[1]", "column_2": 1}, {"column_2": -2.5}]


def test_many_columns_have_their_letters() -> None:
    found = read(workbook("s", [[f"c{number}" for number in range(800)], list(range(800))]))
    assert found == [{f"c{number}": number for number in range(800)}]


def bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("xl/workbook.xml", b" " * 50_000_001)
    return out.getvalue()


def empty_package() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as package:
        package.writestr("a", b"b")
    return out.getvalue()


@pytest.mark.parametrize(
    ("file", "parameters", "error"),
    [
        ("!", {}, "bad_text"),
        ("", {}, "bad_xlsx"),
        (base64.b64encode(b"name;price").decode(), {}, "bad_xlsx"),
        (base64.b64encode(empty_package()).decode(), {}, "bad_xlsx"),
        (base64.b64encode(bomb()).decode(), {}, "xlsx_too_large"),
        (base64.b64encode(workbook("One", [])).decode(), {"sheet": "Two"}, "no_such_sheet"),
        (5, {}, "bad_parameter"),
    ],
)
def test_what_cannot_be_read(file: Any, parameters: dict[str, Any], error: str) -> None:
    assert code("xlsx", {"operation": "read", "file": "{{ $json.f }}", **parameters}, {"f": file}) == error


def test_what_cannot_be_written() -> None:
    assert code("xlsx", {"operation": "write"}, {"a": "x" * 32_768}) == "text_too_long"
