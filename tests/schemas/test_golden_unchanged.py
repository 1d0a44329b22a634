"""Nobody changes or removes a golden file; new ones come by `python -m tests.golden.add`."""

from tests.golden.files import manifest, sums


def test_no_golden_file_was_changed_or_removed() -> None:
    now = sums()
    broken = [name for name, digest in manifest().items() if now.get(name) != digest]
    assert not broken, f"restore {broken}: what is on the log for ever must decode for ever"


def test_every_golden_file_is_in_the_manifest() -> None:
    missing = sorted(set(sums()) - set(manifest()))
    assert not missing, f"run python -m tests.golden.add for {missing}"
