"""A gateway of its own for each conversation, and clients that are closed when it is over."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.dialects.world import World, open_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path) as opened:
        yield opened


@pytest.fixture
def keep() -> Iterator[Callable[[Any], Any]]:
    """`keep(client)`: closed at the end."""
    with ExitStack() as stack:
        yield stack.enter_context
