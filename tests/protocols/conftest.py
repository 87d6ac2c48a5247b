"""A gateway of its own for each dialect, where two modules were entered before it ever ran."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.core.core import open_core
from gateway.settings import Settings
from tests.dialects.world import World, open_world

from .house import House


async def _declare(data: Path, *entries: dict[str, Any]) -> list[str]:
    """Their shared keys."""
    async with open_core(Settings(data=data)) as core:
        return [key for _, key in await core.decisions.declare(list(entries), "test", with_token=False)]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    (shared_key,) = asyncio.run(_declare(tmp_path / "data", {"serial": "STRIP-2", "type": 0}))
    with open_world(tmp_path) as world:
        yield House(world, shared_key)


@pytest.fixture
def world(house: House) -> World:
    return house.world


@pytest.fixture
def keep() -> Iterator[Callable[[Any], Any]]:
    """`keep(client)`: closed at the end."""
    with ExitStack() as stack:
        yield stack.enter_context
