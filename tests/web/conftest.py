"""The house under test: one for each test, or one shared by the tests of a file.

The models are bound to one database a process, so a file uses `house` or `shared`, never both.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from firmware.house import open_firmware
from gateway.core.core import open_core
from gateway.settings import Settings
from tests.web.house import House
from web.app import create_app


@pytest.fixture
async def house(anyio_backend: str, tmp_path: Path) -> AsyncIterator[House]:
    async with open_core(Settings(data=tmp_path)) as core, open_firmware(core) as firmware:
        yield House(core, create_app(core, firmware), firmware)


@pytest.fixture(scope="module")
async def shared(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    settings = Settings(data=tmp_path_factory.mktemp("house"), rate_limits=False)
    async with open_core(settings) as core, open_firmware(core) as firmware:
        yield House(core, create_app(core, firmware), firmware)
