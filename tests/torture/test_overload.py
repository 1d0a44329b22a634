"""The CI size of the overload: fifteen seconds of three times what can be sustained."""

from pathlib import Path

import pytest

from tests.torture.overload import overload


@pytest.mark.torture
async def test_an_overload_is_refused_politely_and_leaves_nothing_behind(tmp_path: Path) -> None:
    found = await overload(tmp_path, "postgres", 15)
    print(found)
    assert found.problems() == [], str(found)
