"""Nodes of other packages: what is loaded, and what stops the process with the package's name."""

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from domain.credential.types import CREDENTIAL_TYPES
from domain.nodes.catalogue import catalogue, describe
from domain.nodes.registry import NODE_TYPES, PACKAGES
from infra import node_packages
from infra.node_packages import GROUP, BrokenNodePackage, load_node_packages
from services.cli.scaffold import NotMade, make_package

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    tables: tuple[dict[str, object], ...] = (NODE_TYPES, CREDENTIAL_TYPES, PACKAGES)  # type: ignore[assignment]
    copies = [dict(table) for table in tables]
    yield
    for table, copy in zip(tables, copies, strict=True):
        table.clear()
        table.update(copy)


def installed(folder: Path, name: str, source: str, value: str = "{module}:NODES") -> Path:
    """A package as pip leaves it in a folder of the path: a module and its metadata."""
    module = f"linkflow_{name}"
    (folder / f"{module}.py").write_text(source)
    metadata = folder / f"{module}-1.2.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: linkflow-{name}\nVersion: 1.2\n")
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {value.format(module=module)}\n")
    return folder


DOUBLE = """
from linkflow.sdk import NodeType, Pure, map_items
NODES = NodeType("acme.double", "Twice", "Doubles.", lambda _p: Pure(lambda run: map_items(run, lambda _s, i: [i, i])))
"""


def test_a_package_is_found_by_its_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(installed(tmp_path, "double", DOUBLE)))
    (loaded,) = load_node_packages()
    assert loaded.package == "linkflow-double 1.2"
    assert loaded.node_types == ("acme.double",)
    assert "acme.double" in [entry["type"] for entry in catalogue()]
    assert describe(NODE_TYPES["acme.double"])["package"] == "linkflow-double 1.2"
    assert describe(NODE_TYPES["set"])["package"] == ""
    assert load_node_packages() == [loaded], "again, as in a compute process, changes nothing"


BROKEN = {
    "import": ("1 / 0", "cannot be imported: ZeroDivisionError"),
    "name": ("", "cannot be imported: AttributeError"),
    "kind": ("NODES = [7]", "offers int; wanted: NodeType, Integration, CredentialType, a list"),
    "taken": (DOUBLE.replace("acme.double", "set"), "there is a node type 'set' already, of LinkFlow itself"),
    "spelled": (DOUBLE.replace("acme.double", "Acme Double"), "'Acme Double' is no name for a type"),
    "bind": (
        "from linkflow.sdk import NodeType\nNODES = NodeType('broken', 'B', 'B.', lambda p: p.plain('nothing'))",
        "the node type 'broken' cannot be bound: KeyError",
    ),
    "shape": (
        """from linkflow.sdk import Integration, Operation, get
NODES = Integration('broken', 'B', 'B.', (Operation('a', 'A', 'A.', get('/{x}')),))""",
        "integration 'broken': a: the path '/{x}'",
    ),
    "credential": (
        "from linkflow.sdk import CredentialType\nNODES = CredentialType('slack', 'Mine', 'Mine.', ())",
        "there is a type of credentials 'slack' already",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_package_is_named(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, says = BROKEN[what]
    monkeypatch.syspath_prepend(str(installed(tmp_path, f"broken_{what}", source)))
    before = dict(NODE_TYPES)
    with pytest.raises(BrokenNodePackage) as broken:
        load_node_packages()
    assert f"the package linkflow-broken_{what} 1.2 (entry point" in str(broken.value)
    assert says in str(broken.value)
    assert before == NODE_TYPES


def test_an_entry_point_without_a_package() -> None:
    with pytest.raises(BrokenNodePackage, match="a package without a name"):
        load_node_packages([EntryPoint("x", "nothing.at.all", GROUP)])


def test_a_role_does_not_start_with_a_broken_package(tmp_path: Path) -> None:
    installed(tmp_path, "broken", "1 / 0")
    done = subprocess.run(
        [sys.executable, "-m", "linkflow.main", "worker"],
        env={
            **os.environ,
            "PYTHONPATH": f"{tmp_path}:{ROOT}",
            "LINKFLOW_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "linkflow-broken 1.2 (entry point broken = linkflow_broken:NODES) cannot be imported" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_package_that_is_made_works(tmp_path: Path) -> None:
    """Its own tests pass, and LinkFlow finds it where it is installed."""
    folder, files = make_package("acme_shop", tmp_path)
    assert sorted(files) == ["README.md", "linkflow_acme_shop/__init__.py", "pyproject.toml", "tests/test_acme_shop.py"]
    metadata = folder / "linkflow_acme_shop-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: linkflow-acme-shop\nVersion: 0.1.0\n")
    wanted = (folder / "pyproject.toml").read_text().partition('[project.entry-points."linkflow.nodes"]\n')[2]
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\n{wanted.splitlines()[0].replace(chr(34), '')}\n")
    environment = {**os.environ, "PYTHONPATH": f"{folder}:{ROOT}"}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "5 passed" in run("-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert '"package": "linkflow-acme-shop 0.1.0"' in run("-m", "linkflow.main", "nodes", "list", "--json")


def test_nothing_that_is_there_is_changed(tmp_path: Path) -> None:
    make_package("shop", tmp_path)
    with pytest.raises(NotMade, match="is there already"):
        make_package("shop", tmp_path)
    for name in ("", "Shop", "1shop", "a/b", "../x", "a-b"):
        with pytest.raises(NotMade, match="is no name"):
            make_package(name, tmp_path)
    assert node_packages.GROUP == "linkflow.nodes"
