"""A rollout is told to those who look after all that it names."""

import pytest

from gateway.core.events import RolloutChanged
from gateway.core.rights import Person, Role
from tests.bridge.sockets.test_update_events import Room
from tests.gateway.core.heart import ADMIN, OWNER, TECHNICIAN, approved, open_heart

pytestmark = pytest.mark.anyio
GARDENER = Person(9, "gil", Role.TECHNICIAN, frozenset({"garden"}))


async def test_a_rollout_beyond_ones_groups_is_not_heard_of(tmp_path):
    async with open_heart(tmp_path) as core:
        numbers = {}
        for id, group in (("NEAR", "garden"), ("FAR", "garage")):
            module, _ = await approved(core, id, address=f"10.0.0.{len(numbers)}")
            await core.registry.edit(id, TECHNICIAN, group=group)
            numbers[id] = module.number
        room = Room(core)
        for person in (ADMIN, TECHNICIAN, OWNER, GARDENER):
            room.enter(person)
        for id, named in ((1, ("NEAR", "FAR")), (2, ("NEAR",))):
            news = {"id": id, "name": "May", "state": "running"}
            core.hub.publish(RolloutChanged(news, frozenset(numbers[one] for one in named)))
        room.flush()
        heard = {name: [data["id"] for _, data in room.hear(name)] for name in room.told}
        assert heard == {"ann": [1, 2], "tom": [1, 2], "olga": [], "gil": [2]}
