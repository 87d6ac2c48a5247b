"""One browser for the tests of a file: playwright's own loop must not outlive them."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from .chromium import chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened
