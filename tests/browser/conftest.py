"""A browser for tests, and the API of tests/services/api behind it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.api.conftest import api
from tests.support.chromium import Browser, BrowserMissing, browser_required, open_browser

__all__ = ["api"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture
def browser() -> Iterator[Browser]:
    try:
        with open_browser() as opened:
            yield opened
    except BrowserMissing as missing:
        if browser_required():
            pytest.fail(f"a browser is required here: {missing}")
        pytest.skip(f"the status page was not looked at: {missing}")
