"""The package that `linkflow nodes new` writes: a node for a service of its own, its test, a README."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,40}")


class NotMade(Exception):
    """No package was written; the message says why."""


def make_package(name: str, into: Path) -> tuple[Path, list[str]]:
    """Write the package; returns its folder and the files in it. Nothing that is there is changed. Raises NotMade."""
    if not _NAME.fullmatch(name):
        raise NotMade(f"{name!r} is no name for a type: lower-case letters, digits and _, a letter first")
    folder = into / f"linkflow-{name.replace('_', '-')}"
    if folder.exists():
        raise NotMade(f"{folder} is there already; give another name or another directory")
    files = files_of(name)
    for place, text in files.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder, list(files)


def files_of(name: str) -> Mapping[str, str]:
    """File → content."""
    values = {
        "name": name,
        "constant": name.upper(),
        "module": f"linkflow_{name}",
        "project": f"linkflow-{name.replace('_', '-')}",
        "title": name.replace("_", " ").capitalize(),
    }
    return {
        "pyproject.toml": _filled(_PYPROJECT, values),
        "README.md": _filled(_README, values),
        f"linkflow_{name}/__init__.py": _filled(_NODE, values),
        f"tests/test_{name}.py": _filled(_TEST, values),
    }


def _filled(template: str, values: Mapping[str, str]) -> str:
    for key, value in values.items():
        template = template.replace(f"<{key}>", value)
    return template.lstrip("\n")


_PYPROJECT: Final = """
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "<project>"
version = "0.1.0"
description = "<title> for LinkFlow"
requires-python = ">=3.11"
dependencies = ["linkflow"]

[project.optional-dependencies]
dev = ["pytest"]

# What LinkFlow finds: a NodeType, an Integration, a CredentialType, or a list of these.
[project.entry-points."linkflow.nodes"]
<name> = "<module>:NODES"

[tool.setuptools]
packages = ["<module>"]
"""

_NODE: Final = '''
"""<title>: what it does is described here, LinkFlow does it. No code of this package touches the network."""

from linkflow.sdk import (
    MAIN,
    CredentialField,
    CredentialType,
    Errors,
    Example,
    HttpAuth,
    Integration,
    Operation,
    body,
    get,
    http_test,
    link,
    path,
    post,
    query,
)

API = "https://api.example.com/v1"

CREDENTIAL = CredentialType(
    "<name>",
    "<title>",
    "An API key of <title>.",
    (CredentialField("key", "API key", secret=True, required=True),),
    HttpAuth(headers={"Authorization": "Bearer {key}"}, hosts=("api.example.com",)),
    http_test(f"{API}/me"),
)

<constant> = Integration(
    "<name>",
    "<title>",
    "Reads and creates things at <title>.",
    (
        Operation(
            "list",
            "List things",
            "All things, one item each.",
            get("/things"),
            (query("state", docs="Only those in this state.", choices=("open", "closed")),),
            items="things[]",
            pages=link(),
            source="https://api.example.com/docs#list",
        ),
        Operation(
            "get",
            "Get a thing",
            "One thing.",
            get("/things/{id}"),
            (path("id", docs="The thing's id."),),
            source="https://api.example.com/docs#get",
        ),
        Operation(
            "create",
            "Create a thing",
            "Creates a thing.",
            post("/things"),
            (body("name", docs="Its name.", required=True), body("labels", "list", docs="Its labels.")),
            source="https://api.example.com/docs#create",
        ),
    ),
    credential=CREDENTIAL,
    base_url=API,
    errors=Errors(code=("error.code",), message=("error.message",)),
    examples=(
        Example(
            "Creates a thing for each item.",
            {"operation": "create", "name": "{{ $json.title }}"},
            [{"title": "chair"}],
            {MAIN: [{"id": 7, "name": "chair"}]},
            answer={"status": 201, "body": {"id": 7, "name": "chair"}},
        ),
    ),
)

NODES = [<constant>]
'''

_TEST: Final = '''
"""<title>: the requests are the provider's documented ones, its documented answers become items."""

import pytest

import <module>
from linkflow.sdk import RATE_LIMITED
from linkflow.sdk.testing import NodeFailed, effect_of, http_answer, put_out, run_examples

API = <module>.API
NODE = <module>.<constant>


def test_the_examples() -> None:
    assert run_examples(NODE) == 1


def test_list() -> None:
    parameters = {"operation": "list", "state": "open"}
    request = effect_of(NODE, parameters)
    assert (request.method, request.url) == ("GET", f"{API}/things")
    assert request.query == {"state": "open", "per_page": 100}
    things = [{"id": 1}, {"id": 2}]
    assert put_out(NODE, parameters, {}, http_answer({"things": things})) == things


def test_get() -> None:
    parameters = {"operation": "get", "id": "{{ $json.id }}"}
    assert effect_of(NODE, parameters, {"id": "a/b"}).url == f"{API}/things/a%2Fb"
    assert put_out(NODE, parameters, {"id": "1"}, http_answer({"id": 1})) == [{"id": 1}]


def test_create() -> None:
    parameters = {"operation": "create", "name": "chair", "labels": ["new"]}
    request = effect_of(NODE, parameters)
    assert (request.method, request.body) == ("POST", {"name": "chair", "labels": ["new"]})


def test_too_many_requests() -> None:
    answer = http_answer({"error": {"message": "slow down"}}, 429, {"retry-after": "7"})
    with pytest.raises(NodeFailed, match="slow down") as failed:
        put_out(NODE, {"operation": "get", "id": "1"}, {}, answer)
    assert failed.value.code == RATE_LIMITED
'''

_README: Final = """
# <project>

The node `<name>` for LinkFlow.

```console
pip install -e '.[dev]'   # into the environment that LinkFlow runs in
pytest
linkflow nodes list       # shows it; a running LinkFlow has it after a restart
```

The node is described in `<module>/__init__.py`: change the operations into those of your service, and the tests with
them. How it works: `docs/nodes/writing-a-node.md` of LinkFlow.
"""
