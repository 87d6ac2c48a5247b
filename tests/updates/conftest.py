"""One gateway for the tests of a file, with a fresh start for those that kill it."""

from collections.abc import Iterator

import pytest

from .world import Updates, open_updates


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Updates]:
    with open_updates(tmp_path_factory.mktemp("updates")) as opened:
        yield opened
