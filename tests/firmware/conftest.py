"""A floor on which time stands still, an image, a module that is there, and the one assigned to the other."""

import pytest

from tests.firmware.floor import open_floor
from tests.gateway.core.heart import TECHNICIAN, Clock


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


@pytest.fixture
async def floor(tmp_path, clock):
    async with open_floor(tmp_path, clock) as floor:
        yield floor


@pytest.fixture
async def image(floor):
    return await floor.image()


@pytest.fixture
async def module(floor):
    return await floor.module()


@pytest.fixture
async def assigned(floor, module, image):
    return await floor.firmware.assignments.assign(module.id, image.id, TECHNICIAN)
