"""One gateway for the tests of a file, and clients that are closed when their test is over."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from .talker import Talker
from .world import CLIENTS, World, open_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with open_world(tmp_path_factory.mktemp("gateway")) as opened:
        yield opened


@pytest.fixture
def keep() -> Iterator[Callable[[Any], Any]]:
    """`keep(client)`: closed at the end."""
    with ExitStack() as stack:
        yield stack.enter_context


@pytest.fixture(params=CLIENTS)
def connect(request: pytest.FixtureRequest, world: World, keep: Any) -> Callable[..., Talker]:
    """Open a Socket.IO connection with one of the clients there are."""
    return lambda **more: keep(CLIENTS[request.param](world.url, **more))
