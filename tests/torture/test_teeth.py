"""Every planted bug has its patch, which applies, and a test that is there."""

from pathlib import Path

import pytest

from tests.torture.teeth.catalog import HERE, TEETH, Tooth
from tests.torture.teeth.run import ROOT, apply_patch, bite, copy_tree, run_tests


def test_patches_and_catalog_name_the_same_bugs() -> None:
    assert sorted(path.stem for path in HERE.glob("*.patch")) == sorted(tooth.name for tooth in TEETH)
    rules = {tooth.subject.split(",")[0] for tooth in TEETH}
    assert {f"rule {number}" for number in range(1, 15)} <= rules


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("teeth") / "base"
    base.mkdir()
    copy_tree(base)
    return base


@pytest.mark.parametrize("tooth", TEETH, ids=lambda tooth: tooth.name)
def test_the_patch_applies_and_its_test_exists(tooth: Tooth, tree: Path) -> None:
    assert apply_patch(tooth, tree, dry=True) == ""
    path, _, name = tooth.caught_by.partition("::")
    assert (ROOT / path).is_file()
    assert not name or f"def {name.partition('[')[0]}(" in (ROOT / path).read_text()


@pytest.mark.torture
@pytest.mark.parametrize("tooth", TEETH, ids=lambda tooth: tooth.name)
def test_the_bug_is_caught(tooth: Tooth, tree: Path, tmp_path: Path) -> None:
    code, said = run_tests(tree, [tooth.caught_by], tooth.environment)
    assert code == 0, f"its test fails without the bug: {said}"
    found = bite(tooth, tree, tmp_path)
    assert found.caught, found.how
