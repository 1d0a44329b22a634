"""The CI size of the overload: fifteen seconds of three times what can be sustained, in each mix."""

from pathlib import Path

import pytest

from tests.torture.cpu import can_limit
from tests.torture.overload import PROCESSORS, overload


@pytest.mark.torture
@pytest.mark.parametrize("mix", ["light", "dear"])
async def test_an_overload_is_refused_politely_and_leaves_nothing_behind(mix: str, tmp_path: Path) -> None:
    if mix == "light" and not can_limit():
        pytest.skip("the generator needs a part of the machine: only root makes control groups")
    found = await overload(tmp_path, "postgres", mix, 15, PROCESSORS if can_limit() else None)
    print(found)
    if found.weak:
        pytest.skip(f"the machine is too busy to offer three times as much: {found}")
    assert found.problems() == [], str(found)
