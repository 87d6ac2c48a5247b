"""Roles x events x owners at random: no socket ever hears what it may not, and each hears what it must.

`PASSERELLE_FUZZ_ROUNDS` asks for longer runs, `PASSERELLE_FUZZ_SEED` for another course of events.
"""

import asyncio
import os
import random

import pytest

from .acts import ACTS
from .world import open_world

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(3600)]
ROUNDS = int(os.environ.get("PASSERELLE_FUZZ_ROUNDS", "25"))
FIRST_SEED = int(os.environ.get("PASSERELLE_FUZZ_SEED", "1"))


@pytest.mark.parametrize("seed", [FIRST_SEED, FIRST_SEED + 1])
async def test_nobody_hears_what_is_not_his(tmp_path, seed):
    faults = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    rng = random.Random(seed)
    async with open_world(tmp_path, rng) as world:
        await world.settle()
        for _ in range(ROUNDS):
            for act in rng.choices(ACTS, k=rng.randint(1, 5)):
                await world.do(act)
            await world.settle()
        assert not world.core.hub.failures
    assert not faults
